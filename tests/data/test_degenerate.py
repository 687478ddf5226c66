"""Rigs that cannot tell where a joint is: refused in a sentence, or marked as missing."""

import numpy as np
import pytest

from posebook.data.recorded.views import ViewsSize, make_views
from posebook.data.records import ViewSequence
from posebook.data.virtual import add_virtual_views, triangulated
from posebook.geometry.camera import Camera, meeting_point
from posebook.geometry.multiview import collapsed


def looking(name, at, target, roll=0.0, focal=1100.0):
    """A camera at `at` that looks at `target`, by hand and not by the package's own."""
    at, target = np.array(at, float), np.array(target, float)
    z = (target - at) / np.linalg.norm(target - at)
    x = np.cross(z, [0.0, 0, 1])
    x /= np.linalg.norm(x)
    a = np.deg2rad(roll)
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    R = turn @ np.stack([x, np.cross(z, x), z])
    return Camera.from_center(name, R, at, [focal] * 2, [960, 540], (1920, 1080))


RIGS = {
    "facing": [looking("a", (0, -4, 1), (0, 0, 1)), looking("b", (0, 4, 1), (0, 0, 1))],
    "stereo": [looking("a", (0, -4, 1), (0, 0, 1)), looking("b", (0.5, -4, 1), (0.5, 0, 1))],
}
ROLLED = [
    looking("a", (0, -4, 1.5), (0, 0, 1)), looking("b", (4, 0, 1.5), (0, 0, 1), roll=90),
    looking("c", (-4, 1, 1.5), (0, 0, 1), roll=180),
]  # fmt: skip


@pytest.fixture(scope="module")
def body():
    [take, *_] = make_views(ViewsSize(1, 40, 1), noise="none")[0]
    joints = take.joints_3d.astype(float)
    return joints - joints[:, :1].mean(0, keepdims=True) * [1, 1, 0]


def film(body, rig):
    pixels = np.stack([c.project(body) for c in rig], axis=1).astype(np.float32)
    sure = np.ones(pixels.shape[:3], np.float32)
    return ViewSequence(pixels, sure, tuple(rig), "me", "walk", 50.0, "train")


def nudged(camera, degrees, random):
    """The camera as a real calibration would give it, a little off."""
    w = np.deg2rad(degrees) * random.standard_normal(3)
    turn = np.eye(3) + np.array([[0, -w[2], w[1]], [w[2], 0, -w[0]], [-w[1], w[0], 0]])
    u, _, v = np.linalg.svd(turn)
    return Camera.from_center(
        camera.name, u @ v @ camera.R, camera.center, camera.focal, camera.principal,
        camera.resolution,
    )  # fmt: skip


@pytest.mark.parametrize("degrees", [0, 0.02, 0.1, 0.5])
@pytest.mark.parametrize("kind", RIGS)
def test_cameras_that_look_at_no_common_place_get_no_virtual_views(body, kind, degrees):
    random = np.random.default_rng(1)
    rig = [nudged(c, degrees, random) for c in RIGS[kind]]
    with pytest.raises(ValueError, match="optical axes of cameras 'a', 'b' are parallel"):
        add_virtual_views(film(body, rig), from_truth=False)


def test_rolled_cameras_meet_where_they_look(body):
    np.testing.assert_allclose(meeting_point(ROLLED), [0, 0, 1], atol=1e-9)
    take = film(body, ROLLED)
    np.testing.assert_allclose(triangulated(take, weighted=True), body, atol=1e-4)
    views = add_virtual_views(take, from_truth=False)
    for v, camera in enumerate(views.cameras):
        depth = camera.to_camera(body)[..., 2]
        assert (views.confidence[:, v][depth <= 0] == 0).all()


def test_a_point_behind_a_camera_has_no_pixel():
    [camera, _] = RIGS["stereo"]
    behind, mirrored = np.array([[0.3, -6.0, 1.7]]), np.array([[-0.3, -2.0, 0.3]])
    assert np.isnan(camera.project(behind)).all()
    np.testing.assert_allclose(camera.project(mirrored), [[795, 925]])  # by hand, 2 m ahead


def test_axes_that_meet_behind_a_camera_are_refused():
    away = [looking("a", (0, -4, 1), (-1, -8, 1)), looking("b", (3, -4, 1), (4, -8, 1))]
    with pytest.raises(ValueError, match="meet behind camera"):
        meeting_point(away)


def test_rays_that_do_not_tell_where_a_joint_is_are_marked():
    far, near = np.array([0.0, 9000.0, 1.0]), np.array([0.2, 0.0, 1.0])
    [a, b] = RIGS["stereo"]
    R, center = np.stack([a.R, b.R]), np.stack([a.center, b.center])
    world = np.stack([far, near])
    rays = np.stack([np.stack([c.rays(c.project(p)) for c in (a, b)]) for p in world])
    used = np.ones((2, 2), bool)
    assert collapsed(rays, world, R, center, used).tolist() == [True, False]
    world[1] = [0.2, -6.0, 1.0]  # behind both
    assert collapsed(rays, world, R, center, used).tolist() == [True, True]
    assert collapsed(rays, world, R, center, ~used).all()  # nobody saw it
