"""Left and right, mistaken by one camera, are put right by the others, and by them alone."""

from dataclasses import replace

import numpy as np

from posebook.data.recorded.pose2sim import load_pose2sim
from posebook.data.recorded.rig import human36m_rig
from posebook.footage.sides import with_sides
from posebook.geometry.skeleton import H36M

TAKE = load_pose2sim()


def mistaken(frames, v):
    joints, confidence = TAKE.joints_2d.copy(), TAKE.confidence.copy()
    for array in (joints, confidence):
        array[frames, v] = array[frames, v][:, H36M.flip]
    return replace(TAKE, joints_2d=joints, confidence=confidence)


def test_frames_in_which_a_camera_mistakes_sides_are_put_right_and_said():
    frames = np.r_[5:9, 40:75]
    take, said = with_sides(mistaken(frames, 1))
    np.testing.assert_array_equal(take.joints_2d, TAKE.joints_2d)
    np.testing.assert_array_equal(take.confidence, TAKE.confidence)
    assert said == ["camera cam02: left and right were exchanged in frames 5 to 8 and 40 to 74, as "
                    "the other cameras show; put right"]  # fmt: skip


def test_what_is_right_and_what_cannot_be_judged_is_left():
    for take in (TAKE, mistaken(np.arange(100), 1)):  # always: that is an order of joints
        same, said = with_sides(take)
        np.testing.assert_array_equal(same.joints_2d, take.joints_2d)
        assert said == []
    two = mistaken(np.arange(30), 1)
    two = replace(two, joints_2d=two.joints_2d[:, :2], confidence=two.confidence[:, :2],
                  cameras=two.cameras[:2])  # fmt: skip
    assert with_sides(two) == (two, [])


def test_cameras_that_do_not_fit_exchange_nothing():
    others = tuple(replace(c, R=o.R, center=o.center)
                   for c, o in zip(TAKE.cameras, human36m_rig("S1")))  # fmt: skip
    apart = replace(TAKE, cameras=others)
    take, said = with_sides(apart)
    np.testing.assert_array_equal(take.joints_2d, apart.joints_2d)
    assert said == []
