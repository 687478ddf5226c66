"""Rigs that cannot tell where a joint is: refused in a sentence, or marked as missing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

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
    return Camera(name, R, at, [focal] * 2, [960, 540], (1920, 1080))


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
    return Camera(
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


@pytest.mark.parametrize(("aside", "none"), [(3.6, False), (4.8, True)])
def test_a_point_far_beside_the_ray_of_a_camera_is_none(aside, none):
    """4 m before both cameras; `a` saw it straight ahead, where it lies 0.9 or 1.2 rays aside."""
    [a, b] = RIGS["stereo"]
    rays = np.array([[0.0, 0.0], [(aside - 0.5) / 4, 0.0]])
    rig = np.stack([a.R, b.R]), np.stack([a.center, b.center])
    assert collapsed(rays, np.array([aside, 0.0, 1.0]), *rig, np.ones(2, bool)) == none


# ---------------------------------------------------------------- any rig, drawn


@st.composite
def rigs(draw):
    """Two to four cameras: anyhow, side by side, face to face, in one place, or as they should be.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["any", "parallel", "facing", "one place", "around"]))
    count = draw(st.integers(2, 4))
    centers = rng.normal(size=(count, 3)) * draw(st.sampled_from([0.01, 1.0, 5.0]))
    turns = Rotation.random(count, random_state=rng)
    if kind in ("parallel", "facing"):
        rolls = Rotation.from_rotvec(np.outer(rng.uniform(0, 2 * np.pi, count), [0, 0, 1]))
        back = np.pi * (np.arange(count) % 2) * (kind == "facing")
        backs = Rotation.from_rotvec(np.outer(back, [1, 0, 0]))
        off = np.deg2rad(draw(st.floats(0, 0.3))) * rng.normal(size=(count, 3))
        jitter = Rotation.from_rotvec(off)
        turns = rolls * backs * turns[0] * jitter
    elif kind == "one place":
        centers[:] = centers[0]
    elif kind == "around":
        turns = Rotation.from_matrix([looking("", c, [0, 0, 0.5]).R for c in centers])
    return kind, tuple(
        Camera(f"c{k}", R, at, [1000.0, 1000.0], [960, 540], (1920, 1080))
        for k, (R, at) in enumerate(zip(turns.as_matrix(), centers))
    )


any_rig = settings(max_examples=60, deadline=None, derandomize=True)


def depths(camera, points):
    """By hand: how far (..., 3) lie along the third row of R."""
    return (np.asarray(points) - camera.center) @ camera.R[2]


@any_rig
@given(rigs())
def test_cameras_look_at_a_place_before_all_of_them_or_are_refused(drawn):
    kind, rig = drawn
    axes = np.stack([c.R[2] for c in rig])
    try:
        meeting = meeting_point(rig)
    except ValueError as error:
        assert "are parallel to 3 degrees" in str(error) or "meet behind camera 'c" in str(error)
        assert kind != "around" or np.abs(axes @ axes[0]).min() > 0.99
        return
    assert kind not in ("parallel", "facing")
    assert all(depths(c, meeting) > 0 for c in rig)
    if kind == "around":
        np.testing.assert_allclose(meeting, [0, 0, 0.5], atol=1e-6)


@any_rig
@given(rigs(), st.integers(0, 2**32 - 1))
def test_a_point_has_a_pixel_if_and_only_if_it_lies_before_the_camera(drawn, seed):
    points = np.random.default_rng(seed).normal(size=(40, 3)) * 4
    for camera in drawn[1]:
        ahead, pixels = depths(camera, points) > 0, camera.project(points)
        assert (np.isfinite(pixels).all(-1) == ahead).all()
        side = ((points - camera.center) @ camera.R[:2].T)[ahead]
        by_hand = 1000 * side / depths(camera, points)[ahead, None] + [960, 540]
        np.testing.assert_allclose(pixels[ahead], by_hand, rtol=1e-9, atol=1e-6)


def filmed(rig, world, noise, rng):
    """What cameras find of points (T, 17, 3), in front of them or not; a third is not found."""
    local = np.stack([(world - c.center) @ c.R.T for c in rig], axis=1)
    with np.errstate(all="ignore"):
        pixels = 1000 * local[..., :2] / local[..., 2:] + [960, 540]
    pixels = np.clip(np.nan_to_num(pixels) + noise * rng.normal(size=pixels.shape), -1e5, 1e5)
    sure = (rng.random(pixels.shape[:3]) > 1 / 3).astype(np.float32)
    return ViewSequence(pixels.astype(np.float32), sure, rig, "me", "walk", 50.0, "train")


@any_rig
@given(rigs(), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 5.0, 300.0]))
def test_a_triangulated_point_can_be_one_or_is_none(drawn, seed, noise):
    """Before every camera that found it, near its rays, and these not parallel; by hand."""
    kind, rig = drawn
    rng = np.random.default_rng(seed)
    world = rng.normal(size=(3, 17, 3)) * 3
    take = filmed(rig, world, noise, rng)
    found = triangulated(take, weighted=True)
    rays = (take.joints_2d.astype(float) - [960, 540]) / 1000
    rays = np.concatenate([rays, np.ones_like(rays[..., :1])], axis=-1)
    rays = np.stack([rays[:, v] @ c.R for v, c in enumerate(rig)], axis=1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    for t, j in np.argwhere(np.isfinite(found).all(-1)):
        views = np.flatnonzero(take.confidence[t, :, j] > 0)
        assert len(views) > 1
        for v in views:
            towards = found[t, j] - rig[v].center
            assert depths(rig[v], found[t, j]) > 0
            assert towards @ rays[t, v, j] > 0
        cosines = rays[t, views, j] @ rays[t, views, j].T
        assert np.rad2deg(np.arccos(np.clip(cosines.min(), -1, 1))) > 0.099
    if kind == "one place":
        assert np.isnan(found).all()
    if kind == "around" and not noise:
        right = np.stack([depths(c, world) > 0 for c in rig], axis=1) | (take.confidence == 0)
        known = np.isfinite(found).all(-1) & right.all(1)
        np.testing.assert_allclose(found[known], world[known], atol=0.02)


@any_rig
@given(rigs(), st.integers(0, 2**32 - 1))
def test_a_virtual_view_is_sure_of_what_lies_before_it_alone(drawn, seed):
    rng = np.random.default_rng(seed)
    take = filmed(drawn[1], rng.normal(size=(3, 17, 3)), 2.0, rng)
    try:
        views = add_virtual_views(take, from_truth=False)
    except ValueError as error:
        assert "the optical axes" in str(error)
        return
    world = triangulated(take, weighted=True)
    assert np.isfinite(views.joints_2d).all()
    for v in range(len(drawn[1]), len(views.cameras)):
        sure = views.confidence[:, v] > 0
        assert (depths(views.cameras[v], world[sure]) > 0).all()
        assert not (sure & np.isnan(world).any(-1)).any()
        assert (views.joints_2d[:, v][~sure] == 0).all()
