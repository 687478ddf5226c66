"""Takes as tensors: each number is the record's, and what cannot belong together is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from posebook.data.views import collect
from posebook.data.virtual import triangulate_labels
from posebook.geometry.camera import project, rig_key


def test_rows_are_the_takes_one_after_the_other(takes, collected):
    assert len(collected) == sum(map(len, takes)) and collected.views == 4
    starts = np.cumsum([0, *map(len, takes)])
    for k, take in enumerate(takes):
        part = slice(starts[k], starts[k + 1])
        assert (collected.first[part] == starts[k]).all()
        assert (collected.last[part] == starts[k + 1] - 1).all()
        assert {collected.actions[i] for i in collected.action[part]} == {take.action}
        assert {collected.subjects[i] for i in collected.subject[part]} == {take.subject}
    assert len(collected.R) == len({take.subject for take in takes}), "one table a rig"


def test_rays_are_undistorted(collected):
    """So that equation 3.1, which knows no lens, holds."""
    projected = project(collected.Y)
    assert (projected - collected.X).abs().max() * collected.focal < 0.01


def test_takes_of_which_some_have_no_truth_give_none_and_say_so(takes):
    mixed = [takes[0], replace(takes[1], joints_3d=None), *takes[2:]]
    said = f"1 of {len(takes)} takes have no 3D poses .*{takes[1].subject} is the first"
    with pytest.warns(UserWarning, match=said):
        assert collect(mixed).Y is None


def test_focal_length_is_the_mean_of_the_rigs(takes, collected):
    assert collected.focal == pytest.approx(1147, abs=3)


def test_a_frame_that_nobody_sees_has_no_triangulated_label(takes):
    """Its label is NaN, and only it is left out of what training draws from."""
    first = takes[0]
    confidence = first.confidence.copy()
    confidence[1] = 0
    blind = [replace(first, confidence=confidence), *takes[1:]]
    views = triangulate_labels(collect(blind), blind, weighted=True)
    usable = views.labelled().tolist()
    assert usable == [row for row in range(len(views)) if row != 1]


@pytest.mark.parametrize(
    "lens",
    [{"distortion": [-0.1, 0, 0, 0]}, {"fisheye": [0.01, 0, 0, 0]}, {"radial": [-0.1, 0, 0]}],
)
def test_cameras_with_other_lenses_are_another_rig(takes, lens):
    like = [replace(c, radial=[0, 0, 0], tangential=[0, 0]) for c in takes[0].cameras]
    assert rig_key(like) == rig_key([replace(c) for c in like])
    assert rig_key(like) != rig_key([replace(like[0], **lens), *like[1:]])


# ---------------------------------------------------------------- missing joints


def with_gap(take, frames, joint, view=1):
    """The take with a joint missing in some frames of one view."""
    joints, confidence = take.joints_2d.copy(), take.confidence.copy()
    joints[frames, view, joint], confidence[frames, view, joint] = 0, 0
    return replace(take, joints_2d=joints, confidence=confidence)


def test_a_missing_joint_is_interpolated_and_keeps_confidence_zero(takes, collected):
    (views, whole) = collect([with_gap(takes[0], [2, 3], 16)]), collect([takes[0]])
    before, after = whole.X[1, 1, 16], whole.X[4, 1, 16]
    torch.testing.assert_close(views.X[2, 1, 16], before + (after - before) / 3)
    torch.testing.assert_close(views.X[3, 1, 16], before + (after - before) * 2 / 3)
    assert (views.w[2:4, 1, 16] == 0).all() and (views.w == 0).sum() == 2
    untouched = torch.ones_like(views.w, dtype=torch.bool)
    untouched[2:4, 1, 16] = False
    torch.testing.assert_close(views.X[untouched], whole.X[untouched])


def test_a_joint_that_is_never_seen_takes_its_parents_place(takes):
    views = collect([with_gap(takes[0], slice(None), 16)])
    torch.testing.assert_close(views.X[:, 1, 16], views.X[:, 1, 15])
    # Without the elbow too, both take the shoulder's.
    views = collect([with_gap(with_gap(takes[0], slice(None), 16), slice(None), 15)])
    for joint in (15, 16):
        torch.testing.assert_close(views.X[:, 1, joint], views.X[:, 1, 14])


# ---------------------------------------------------------------- bad records


def moved(take, index, center):
    cameras = list(take.cameras)
    cameras[index] = replace(cameras[index], center=center)
    return replace(take, cameras=tuple(cameras))


def test_two_cameras_in_one_place_are_refused(takes):
    take = takes[0]
    same = moved(take, 2, take.cameras[0].center + 1e-5)
    with pytest.raises(ValueError, match="'54138969' and '58860488' of S1 stand in the same place"):
        collect([same])
    beside = moved(take, 2, take.cameras[0].center + 0.1)
    collect([beside], trust=("residual",))


def test_takes_with_different_numbers_of_views_are_refused(takes):
    take = takes[1]
    fewer = replace(
        take, joints_2d=take.joints_2d[:, :3], confidence=take.confidence[:, :3],
        cameras=take.cameras[:3], occluded=None,
    )  # fmt: skip
    with pytest.raises(
        ValueError, match=f"{take.subject}/{take.action} has 3 views, others have 4"
    ):
        collect([takes[0], fewer])


def test_nothing_to_collect():
    with pytest.raises(ValueError, match="no sequences to collect"):
        collect([])
