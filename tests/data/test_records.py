"""The view record refuses what would spoil a training later, and says which field of which take."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from posebook.data.plausible import DOUBTS
from posebook.data.records import ImageSet, VideoClip, ViewSequence, stack_views
from posebook.data.views import collect
from posebook.data.virtual import triangulated
from posebook.geometry.camera import Camera

T, V, J = 4, 3, 17


def camera(name: str) -> Camera:
    return Camera(name, np.eye(3), np.zeros(3), [1000.0, 1000.0], [500.0, 500.0], (1000, 1000))


def fields(**changes) -> dict:
    good = dict(
        joints_2d=np.full((T, V, J, 2), 500, dtype=np.float32),
        confidence=np.full((T, V, J), 0.9, dtype=np.float32),
        cameras=tuple(camera(name) for name in "abc"),
        subject="S1", action="walk", fps=50.0, split="train",
        joints_3d=np.zeros((T, J, 3), dtype=np.float32), occluded=np.zeros((T, V, J), dtype=bool),
        source="take.npz",
    )  # fmt: skip
    return good | changes


def spoiled(field: str, index: tuple, value: float) -> dict:
    array = fields()[field].copy()
    array[index] = value
    return {field: array}


def test_a_good_take_is_accepted_with_and_without_truth():
    assert len(ViewSequence(**fields())) == T
    bare = ViewSequence(**fields(joints_3d=None, occluded=None))
    assert bare.joints_3d is None and bare.joint_set == "h36m17"


def test_confidences_may_be_zero_and_one():
    confidence = np.zeros((T, V, J))
    confidence[0] = 1
    ViewSequence(**fields(confidence=confidence))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            spoiled("joints_2d", (2, 1, 5, 0), np.nan),
            r"joints_2d is not finite at .*\(2, 1, 5, 0\)",
        ),
        (
            spoiled("joints_2d", (0, 0, 0, 1), np.inf),
            r"joints_2d is not finite at .*\(0, 0, 0, 1\)",
        ),
        (spoiled("joints_3d", (3, 16, 2), np.nan), r"joints_3d is not finite at .*\(3, 16, 2\)"),
        (spoiled("confidence", (1, 2, 3), np.nan), r"confidence is not finite at .*\(1, 2, 3\)"),
        (
            spoiled("confidence", (1, 2, 3), 1.02),
            "confidence must .* from 0.9 to 1.02; .*SimCC",
        ),
        (spoiled("confidence", (1, 2, 3), -0.01), "confidence must lie between 0 and 1"),
        (dict(joints_2d=np.zeros((T, V, 16, 2))), r"joints_2d must be \(T, V, 17, 2\), got .*16"),
        (dict(joints_2d=np.zeros((T, V, J, 3))), r"joints_2d must be \(T, V, 17, 2\), got .*17, 3"),
        (dict(joints_2d=np.zeros((T, J, 2))), r"joints_2d must be \(T, V, 17, 2\)"),
        (dict(joints_2d=np.zeros((0, V, J, 2))), "joints_2d the sequence has no frames"),
        (dict(confidence=np.ones((T, V, J, 1))), r"confidence must be \(4, 3, 17\)"),
        (dict(confidence=np.ones((T + 1, V, J))), r"confidence must be \(4, 3, 17\), got \(5"),
        (dict(joints_3d=np.zeros((T, V, J, 3))), r"joints_3d must be \(4, 17, 3\)"),
        (dict(joints_3d=np.zeros((T - 1, J, 3))), r"joints_3d must be \(4, 17, 3\), got \(3"),
        (dict(occluded=np.zeros((T, J), dtype=bool)), r"occluded must be \(4, 3, 17\)"),
        (dict(cameras=(camera("a"), camera("b"))), "cameras there are 3 views but 2 cameras"),
        (dict(cameras=camera("a")), "cameras must be a sequence of cameras, got a Camera"),
        (dict(cameras=[{}] * V), "cameras must be Cameras, number 0 is a dict"),
        (dict(joints_2d=[[1.0], [1.0, 2.0]]), "joints_2d must be one array of numbers, got lists"),
        (dict(joints_2d=None), "joints_2d must be numbers, got None"),
        (dict(joints_3d=np.array(["a"])), "joints_3d must be numbers, got array of <U1"),
        (dict(fps="50"), "fps must be a positive number of frames a second, got '50'"),
        (dict(fps=0), "fps must be a positive number of frames a second, got 0"),
        (dict(fps=float("nan")), "fps must be a positive number .* got nan"),
        (dict(split=None), "split must be a text, got None"),
        (dict(occluded=np.full((T, V, J), 2)), "occluded must be True or False .* it holds 2;"),
    ],
)
def test_what_is_wrong_is_named(changes, message):
    with pytest.raises(ValueError, match=f"take.npz: S1/walk: {message}"):
        ViewSequence(**fields(**changes))


def test_the_remedy_for_missing_joints_is_named():
    with pytest.raises(ValueError, match=r"a missing detection is \(0, 0\) with confidence 0"):
        ViewSequence(**fields(**spoiled("joints_2d", (0, 0, 0, 0), np.nan)))


def test_lists_and_tensors_and_whole_numbers_become_arrays():
    good = fields()
    plain = ViewSequence(**good)
    for convert in (np.ndarray.tolist, torch.from_numpy, lambda a: a.astype(int)):
        arrays = {name: convert(good[name]) for name in ("joints_2d", "joints_3d", "occluded")}
        found = ViewSequence(**good | arrays | dict(cameras=list(good["cameras"]), fps=50))
        for name in arrays:
            np.testing.assert_array_equal(getattr(found, name), getattr(plain, name))
        assert found.occluded.dtype == bool and found.joints_2d.dtype.kind == "f"
        assert found.cameras == plain.cameras and isinstance(found.fps, float)
    seen = good["confidence"] > 0
    assert (ViewSequence(**good | dict(confidence=seen)).confidence == 1.0).all()


def test_what_is_right_is_not_touched():
    good = fields()
    take = ViewSequence(**good)
    assert all(getattr(take, name) is value for name, value in good.items())


def test_a_missing_joint_may_be_nan_and_has_no_pixel():
    changes = spoiled("joints_2d", (2, 1, 5), np.nan) | spoiled("confidence", (2, 1, 5), 0)
    take = ViewSequence(**fields(**changes))
    assert (take.joints_2d[2, 1, 5] == 0).all()
    missing = np.isnan(take.pixels(1)).all(-1)
    assert missing[2, 5] and missing.sum() == 1 and (take.pixels(1)[~missing] == 500).all()


def test_a_joint_that_is_found_is_never_nan_however_unsure():
    changes = spoiled("joints_2d", (2, 1, 5), np.nan) | spoiled("confidence", (2, 1, 5), 0.01)
    with pytest.raises(ValueError, match="joints_2d is not finite at index"):
        ViewSequence(**fields(**changes))


def test_missing_joints_need_no_ray_of_a_lens_that_ends_before_the_corner():
    """Pixel (0, 0) stands for a missing joint; this lens model ends 562 px off the middle."""
    like = camera("a")
    rig = [
        Camera(n, like.R, [k, 0, 0], 800, like.principal, (1000, 1000), radial=[-0.3, 0, 0])
        for k, n in enumerate("abc")
    ]
    body = np.random.default_rng(0).uniform([0.7, -0.8, 4], [1.3, 0.8, 4.5], (T, J, 3))
    joints = np.stack([c.project(body) for c in rig], axis=1)
    joints[2, 1, 5] = 0
    confidence = spoiled("confidence", (2, 1, 5), 0)
    seen = dict(joints_2d=joints, joints_3d=body, cameras=rig)
    take = ViewSequence(**fields(**seen, **confidence))
    np.testing.assert_allclose(triangulated(take, weighted=True), body, atol=1e-9)
    assert collect([take], trust=DOUBTS).X.isfinite().all()  # no person moves so
    with pytest.raises(ValueError, match=r"camera 'b': no ray leads to pixel \(0.0, 0.0\)"):
        collect([ViewSequence(**fields(**seen))], trust=DOUBTS)


def test_an_unknown_joint_set_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown joint set 'coco99'; known: .*h36m17"):
        ViewSequence(**fields(joint_set="coco99"))


def test_views_are_stacked_on_the_second_axis():
    views = [np.full((T, J, 2), v) for v in range(V)]
    stacked = stack_views("take.npz", views)
    assert stacked.shape == (T, V, J, 2)
    for v in range(V):
        assert (stacked[:, v] == v).all()


def test_views_of_different_length_are_refused():
    views = [np.zeros((length, J, 2)) for length in (100, 100, 98)]
    with pytest.raises(ValueError, match=r"take.npz: .*same frames, got \[100, 100, 98\] .*; cut"):
        stack_views("take.npz", views)


# ---------------------------------------------------------------- pictures


def pictures(**changes) -> dict:
    good = dict(
        pictures=[np.zeros((24, 32, 3), np.uint8)] * T,
        joints=np.full((T, 13, 2), 5.0), visible=np.ones((T, 13), bool),
        box=np.tile([2.0, 3.0, 20.0, 22.0], (T, 1)), joint_set="penn13", split="train",
        source="Penn",
    )  # fmt: skip
    return good | changes


def clip(**changes) -> VideoClip:
    return VideoClip(**pictures(name="0007", action="squat") | changes)


def test_good_pictures_and_clips_are_accepted():
    assert len(ImageSet(**pictures())) == len(clip()) == T
    assert len(clip(annotated=np.ones((T, 13), bool))) == T


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(pictures=[]), "pictures must be at least one"),
        (dict(joints=np.zeros((T, 15, 2))), r"joints must be \(4, 13, 2\), got \(4, 15, 2\)"),
        (dict(visible=np.ones((T, 12))), r"visible must be \(4, 13\)"),
        (dict(annotated=np.ones((1, 13))), r"annotated must be \(4, 13\)"),
        (dict(box=np.full((T, 4), np.nan)), r"box is not finite at index \(0, 0\)"),
        (dict(box=np.tile([2.0, 3.0, 2.0, 9.0], (T, 1))), r"box \[2.0, 3.0, 2.0, 9.0\] of frame 0"),
        (
            dict(visible=np.full((T, 13), 2)),
            "visible must be True or False .* flags == 2 as",
        ),
        (dict(visible=np.full((T, 13), -1)), "visible must be True or False .* it holds -1;"),
        (dict(visible=np.full((T, 13), np.nan)), "visible must be True or False .* it holds nan;"),
        (dict(annotated=np.full((T, 13), 2)), "annotated must be True or False"),
        (dict(split=None), "split must be a text, got None"),
        (dict(box=np.tile([5.0, 5.0, 5.9, 9.0], (T, 1))), "below one pixel.*: from x, y, width"),
        (dict(box=np.tile([50.0, 50.0, 10.0, 10.0], (T, 1))), "of frame 0 has no area"),
        (dict(box=np.tile([40.0, 3.0, 50.0, 9.0], (T, 1))), "of frame 0 lies wholly outside its"),
        (dict(box=np.tile([3.0, 24.0, 50.0, 29.0], (T, 1))), "of frame 0 lies wholly outside its"),
        (dict(box=np.tile([-9.0, 3.0, 0.0, 9.0], (T, 1))), "of frame 0 lies wholly outside its"),
        (dict(joints=np.full((T, 13, 2), np.nan)), "joints is not .* unknown, annotated is False"),
        (dict(joint_set="penn14"), "unknown joint set 'penn14'"),
    ],
)
def test_bad_pictures_are_refused_with_record_and_field(changes, message):
    with pytest.raises(ValueError, match=message):
        ImageSet(**pictures(**changes))
    with pytest.raises(ValueError, match=message):
        clip(**changes)


def test_masks_of_ones_and_zeros_are_masks():
    flags = np.arange(T * 13).reshape(T, 13) % 2
    for mask in (flags, flags.astype(float), flags.tolist(), torch.tensor(flags), flags > 0):
        record = clip(visible=mask, annotated=mask)
        for found in (record.visible, record.annotated):
            assert found.dtype == bool and (found == flags).all()


def test_an_unknown_place_may_be_nan():
    annotated = np.ones((T, 13), bool)
    annotated[1, 2] = False
    joints = np.where(annotated[..., None], [5.0, 5.0], np.nan)
    record = clip(joints=joints, annotated=annotated)
    assert (record.joints[1, 2] == 0).all() and (record.joints[annotated] == 5).all()


def test_boxes_may_reach_beyond_the_picture():
    assert len(clip(box=np.tile([-50, -20, 150, 130], (T, 1)))) == T


def test_boxes_of_width_and_height_are_told_of():
    """Joints from (15, 12) to (27, 18): in the box 14, 10, 15, 12 none, in that of 14, 10, 29, 22
    all."""
    joints = np.stack([np.linspace(15.5, 27, 13), np.linspace(12.5, 18, 13)], axis=-1)
    joints = np.tile(joints, (T, 1, 1))
    with pytest.warns(UserWarning, match=r"Penn: 0007: the boxes hold 0% .* height they .* 100%"):
        clip(joints=joints, box=np.tile([14, 10, 15, 12], (T, 1)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clip(joints=joints, box=np.tile([14, 10, 29, 22], (T, 1)))


def test_boxes_of_a_part_of_the_person_are_told_of():
    """Joints at x = 5, 6, ... 17; four of the 13 lie in the box."""
    joints = np.stack([np.arange(5, 18), np.full(13, 5)], axis=-1)
    with pytest.warns(UserWarning, match="the boxes hold 31% of the annotated joints; a box must"):
        clip(joints=np.tile(joints, (T, 1, 1)), box=np.tile([4, 2, 8.5, 20], (T, 1)))


@pytest.mark.parametrize("fps", ["25", 0, None])
def test_a_clip_s_rate_is_a_number(fps):
    with pytest.raises(ValueError, match="Penn: 0007: fps must be a positive number"):
        clip(fps=fps)


kinds = st.sampled_from([np.float32, np.float64, np.int64, np.uint8, bool])


@settings(max_examples=60, deadline=None)
@given(arrays(kinds, (T, 13), elements={"min_value": 0, "max_value": 2}, fill=st.nothing()))
def test_a_mask_of_any_type_is_right_or_refused(given_mask):
    if np.isin(given_mask, (0, 1)).all():
        assert (clip(visible=given_mask).visible == (given_mask == 1)).all()
    else:
        with pytest.raises(ValueError, match="visible must be True or False"):
            clip(visible=given_mask)


def test_the_refusal_names_the_clip():
    with pytest.raises(ValueError, match="^Penn: 0007: pictures"):
        clip(pictures=[])
