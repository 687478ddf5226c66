"""Bodies of one view: how far from triangulation, in which frames, how steady."""

import numpy as np
import pytest

from posebook.data.recorded.pose2sim import load_pose2sim
from posebook.data.virtual import triangulated
from posebook.footage.lifter import LIFTERS, jitter, level_camera, lift, smoothed
from posebook.geometry.skeleton import PCK3D_JOINTS

TAKE = load_pose2sim()
TRUTH = triangulated(TAKE, weighted=True, least_confidence=0.3)


def off(bodies, camera):
    """Millimetres from triangulation, root on root, 14 joints."""
    truth = camera.to_camera(TRUTH)
    d = (bodies - bodies[:, :1]) - (truth - truth[:, :1])
    return 1000 * np.nanmean(np.linalg.norm(d, axis=-1)[:, PCK3D_JOINTS])


@pytest.mark.parametrize("network", LIFTERS)
def test_bodies_are_near_those_of_four_views(network):
    camera = TAKE.cameras[2]
    bodies = lift(TAKE.joints_2d[:, 2], TAKE.confidence[:, 2], camera, network)
    assert off(bodies, camera) < 120
    # The whole body's place is a guess from its size, along the right ray.
    assert np.nanmedian(np.linalg.norm(bodies[:, 0] - camera.to_camera(TRUTH)[:, 0], axis=-1)) < 0.6
    apart = np.linalg.norm(camera.project(camera.to_world(bodies)) - TAKE.joints_2d[:, 2], axis=-1)
    assert np.nanmedian(apart) < 40


def test_a_focal_length_that_is_guessed_moves_the_body_more_than_it_bends_it():
    camera = TAKE.cameras[2]
    known = lift(TAKE.joints_2d[:, 2], TAKE.confidence[:, 2], camera)
    guess = level_camera("c", camera.resolution, 1.2 * float(camera.focal[0]))
    guessed = lift(TAKE.joints_2d[:, 2], TAKE.confidence[:, 2], guess)
    assert np.median(guessed[:, 0, 2] / known[:, 0, 2]) == pytest.approx(1.2, abs=0.05)
    assert abs(off(guessed, camera) - off(known, camera)) < 15


def test_frames_without_the_person_have_no_body_and_bend_no_other():
    joints, confidence = TAKE.joints_2d[:, 2].astype(float), TAKE.confidence[:, 2].copy()
    whole = lift(joints, confidence, TAKE.cameras[2])
    joints[40:50], confidence[40:50] = np.nan, 0.0
    bodies = lift(joints, confidence, TAKE.cameras[2])
    assert np.isnan(bodies[40:50]).all()
    rest = np.r_[0:38, 52:100]  # a joint missing beside the gap is interpolated over it
    np.testing.assert_allclose(bodies[rest], whole[rest], atol=1e-5)
    steady = smoothed(bodies, 60.0)
    assert np.isnan(steady[40:50]).all() and np.isfinite(steady[np.r_[0:40, 50:100]]).all()
    np.testing.assert_allclose(steady[:40], smoothed(bodies[:40], 60.0), atol=1e-12)


def test_smoothing_takes_jitter_and_no_accuracy():
    camera = TAKE.cameras[2]
    bodies = lift(TAKE.joints_2d[:, 2], TAKE.confidence[:, 2], camera)
    steady = smoothed(bodies, TAKE.fps)
    assert jitter(steady) < jitter(bodies) / 5 and off(steady, camera) < off(bodies, camera)
    np.testing.assert_array_equal(smoothed(bodies, TAKE.fps, 0.0), bodies)


def test_a_level_camera_looks_along_y_with_z_up():
    camera = level_camera("c", (640, 480), 600.0)
    u, v = camera.project(np.array([[0.0, 5.0, 0.0], [0, 5, 1]])).T
    np.testing.assert_allclose(u, 319.5)
    assert v[0] == pytest.approx(239.5) and v[1] < v[0]


def test_what_cannot_be_lifted_is_said():
    with pytest.raises(ValueError, match="no lifter 'resnet'; there are consensus-augmented-flip"):
        lift(TAKE.joints_2d[:, 2], TAKE.confidence[:, 2], TAKE.cameras[2], "resnet")
    with pytest.raises(ValueError, match="no frame shows 6 joints of the person"):
        lift(TAKE.joints_2d[:, 2], 0 * TAKE.confidence[:, 2], TAKE.cameras[2])
