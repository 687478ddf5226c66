"""The view record refuses what would spoil a training later, and says which field of which take."""

import numpy as np
import pytest

from posebook.data.records import ImageSet, VideoClip, ViewSequence, stack_views
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
        (spoiled("confidence", (1, 2, 3), 1.01), "confidence must lie between 0 and 1"),
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
    ],
)
def test_what_is_wrong_is_named(changes, message):
    with pytest.raises(ValueError, match=f"take.npz: S1/walk: {message}"):
        ViewSequence(**fields(**changes))


def test_the_remedy_for_missing_joints_is_named():
    with pytest.raises(ValueError, match=r"a missing detection is \(0, 0\) with confidence 0"):
        ViewSequence(**fields(**spoiled("joints_2d", (0, 0, 0, 0), np.nan)))


def test_an_unknown_joint_set_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown joint set 'coco17'; known: h36m17"):
        ViewSequence(**fields(joint_set="coco17"))


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
        (dict(joint_set="penn14"), "unknown joint set 'penn14'"),
    ],
)
def test_bad_pictures_are_refused_with_record_and_field(changes, message):
    with pytest.raises(ValueError, match=message):
        ImageSet(**pictures(**changes))
    with pytest.raises(ValueError, match=message):
        clip(**changes)


def test_the_refusal_names_the_clip():
    with pytest.raises(ValueError, match="^Penn: 0007: pictures"):
        clip(pictures=[])
