"""Exact recovery without noise for a rig like Human3.6M's, and clear refusals where none exists."""

from functools import partial

import cv2
import numpy as np
import pytest
from scipy import optimize
from scipy.spatial.transform import Rotation

from posebook.geometry.camera import Camera, relative, stack
from posebook.geometry.multiview import (
    epipolar_distance,
    estimate_relative_pose,
    nearest_essential,
    triangulate,
)

PLACES = [(2.0, 4.8, 1.6), (1.5, -4.9, 1.6), (-1.7, 4.7, 1.5), (-2.2, -4.6, 1.6)]


def look_at(name, center, target=(0.0, 0.0, 0.9)):
    """A camera at `center` whose axis goes through `target`, upright."""
    z = np.subtract(target, center)
    x = np.cross(z, [0.0, 0.0, 1.0])
    R = np.stack([axis / np.linalg.norm(axis) for axis in (x, np.cross(z, x), z)])
    return Camera(name, R, center, (1145.0, 1144.0), (512.0, 515.0), (1000, 1002))


RIG = [look_at(str(n), place) for n, place in enumerate(PLACES)]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def people(rng, n=1000):
    """Points of the volume in which people moved, in metres."""
    return rng.uniform([-1.0, -1.0, 0.0], [1.0, 1.0, 1.8], size=(n, 3))


def see(points, cameras=RIG, noise=0.0, rng=None):
    """Rays (..., V, 2) of world points; noise in pixels."""
    views = [camera.project(points) for camera in cameras]
    if noise:
        views = [view + rng.normal(0, noise, view.shape) for view in views]
    return np.stack([c.rays(v) for c, v in zip(cameras, views, strict=True)], axis=-2)


def true_pose(a, b):
    return relative(a.R, a.center, b.R, b.center)


# ---------------------------------------------------------------- triangulation


@pytest.mark.parametrize("views", [2, 3, 4])
def test_exact_rays_meet_at_their_point(rng, views):
    points = people(rng, 60).reshape(5, 4, 3, 3)
    R, center = stack(RIG[:views])
    found = triangulate(see(points, RIG[:views]), R, center)
    np.testing.assert_allclose(found, points, atol=1e-12)


def test_the_world_may_be_moved(rng):
    """Equations in X - center do not care where the origin is."""
    points = people(rng, 20)
    R, center = stack(RIG)
    shift = np.array([100.0, -50.0, 7.0])
    rays = see(points, noise=2.0, rng=rng)
    np.testing.assert_allclose(
        triangulate(rays, R, center + shift), triangulate(rays, R, center) + shift, atol=1e-9
    )


def test_a_view_of_weight_zero_is_ignored(rng):
    points = people(rng, 30)
    R, center = stack(RIG)
    rays = see(points)
    rays[:, 1] += 0.5
    rays[::2, 1] = np.nan
    weights = np.ones((30, 4))
    weights[:, 1] = 0
    np.testing.assert_allclose(triangulate(rays, R, center, weights), points, atol=1e-12)


def test_weights_say_whom_to_trust(rng):
    points = people(rng, 2000)
    R, center = stack(RIG)
    noise = np.array([1.0, 1.0, 10.0, 10.0])
    rays = see(points) + rng.normal(size=(2000, 4, 2)) * noise[:, None] / 1145
    weights = np.broadcast_to(noise**-2.0, (2000, 4))
    errors = [
        np.linalg.norm(triangulate(rays, R, center, w) - points, axis=-1).mean()
        for w in (None, weights, 7 * weights)
    ]
    assert errors[1] < errors[0] / 2
    assert errors[2] == pytest.approx(errors[1])


def test_a_weight_multiplies_the_square(rng):
    """A view of weight 2 counts as two equal views."""
    points = people(rng, 10)
    rays = see(points, noise=3.0, rng=rng)
    R, center = stack(RIG)
    weights = np.tile([1.0, 2.0, 1.0, 1.0], (10, 1))
    twice = [0, 1, 1, 2, 3]
    np.testing.assert_allclose(
        triangulate(rays, R, center, weights), triangulate(rays[:, twice], R[twice], center[twice])
    )


def test_what_cannot_be_triangulated_is_nan(rng):
    points = people(rng, 3)
    R, center = stack(RIG)
    weights = np.ones((3, 4))
    weights[1, 1:] = 0
    weights[2] = 0
    found = triangulate(see(points), R, center, weights)
    assert np.isnan(found).any(-1).tolist() == [False, True, True]
    assert np.isnan(found[1:]).all()
    turned = look_at("turned", PLACES[0], (0.5, 0.0, 1.0))
    R, center = stack([RIG[0], turned])
    assert np.isnan(triangulate(see(points, [RIG[0], turned]), R, center)).all()


def test_bad_views_are_refused(rng):
    R, center = stack(RIG)
    rays = see(people(rng, 3))
    with pytest.raises(ValueError, match="V = 4"):
        triangulate(rays[:, :3], R, center)
    with pytest.raises(ValueError, match=">= 2 views"):
        triangulate(rays[:, :1], R[:1], center[:1])
    with pytest.raises(ValueError, match="center"):
        triangulate(rays, R, center[:2])
    with pytest.raises(ValueError, match="weights must be"):
        triangulate(rays, R, center, np.ones(4))
    with pytest.raises(ValueError, match="negative"):
        triangulate(rays, R, center, -np.ones((3, 4)))
    rays[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="weight 0"):
        triangulate(rays, R, center)


# ---------------------------------------------------------------- relative pose


@pytest.mark.parametrize("refine", [False, True])
@pytest.mark.parametrize("pair", [(0, 1), (1, 0), (0, 2), (1, 2), (2, 3)])
def test_the_pose_is_exact_without_noise(rng, pair, refine):
    a, b = (RIG[n] for n in pair)
    rays = see(people(rng), [a, b])
    R, t = true_pose(a, b)
    found_R, found_t = estimate_relative_pose(
        rays[:, 0], rays[:, 1], np.linalg.norm(b.center - a.center), refine=refine
    )
    np.testing.assert_allclose(found_R, R, atol=1e-6)
    np.testing.assert_allclose(found_t, t, atol=1e-5)


def test_the_pose_carries_points_over_as_the_thesis_writes(rng):
    """X_2 = R (X_1 - t): the sign and the order that eq. 3.3 wants, not OpenCV's."""
    a, b = RIG[0], RIG[3]
    points = people(rng)
    rays = see(points, [a, b])
    R, t = estimate_relative_pose(rays[:, 0], rays[:, 1], np.linalg.norm(b.center - a.center))
    np.testing.assert_allclose((a.to_camera(points) - t) @ R.T, b.to_camera(points), atol=1e-4)


@pytest.fixture
def noisy(rng):
    """Rays of two cameras: 3 pixels of noise, and every tenth point wrong altogether."""
    rays = see(people(rng, 3000), RIG[:2], noise=3.0, rng=rng)
    rays[::10, 1] += rng.uniform(-0.3, 0.3, size=(300, 2))
    return rays[:, 0], rays[:, 1]


def test_noise_and_outliers_cost_little(noisy):
    R, t = true_pose(*RIG[:2])
    baseline = np.linalg.norm(t)

    def degrees(refine):
        found, _ = estimate_relative_pose(*noisy, baseline, refine=refine)
        return np.degrees(Rotation.from_matrix(found @ R.T).magnitude())

    assert 3 * degrees(True) < degrees(False) and degrees(True) < 0.5
    assert np.linalg.norm(estimate_relative_pose(*noisy, baseline)[1] - t) < 0.05


def test_a_refinement_that_does_not_settle_is_refused(noisy, monkeypatch):
    few = partial(optimize.least_squares, max_nfev=1)
    monkeypatch.setattr(optimize, "least_squares", few)
    with pytest.raises(ValueError, match="refinement has not settled after 1 steps .*refine=False"):
        estimate_relative_pose(*noisy, 9.0)


def test_the_estimate_is_the_same_each_time(noisy):
    first = estimate_relative_pose(*noisy, 9.0)
    cv2.setRNGSeed(12345)
    second = estimate_relative_pose(*noisy, 9.0)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_baseline_sets_the_scale(rng):
    rays = see(people(rng), RIG[:2])
    _, near = estimate_relative_pose(rays[:, 0], rays[:, 1], 1.0)
    _, far = estimate_relative_pose(rays[:, 0], rays[:, 1], 5.0)
    np.testing.assert_allclose(far, 5 * near)
    assert np.linalg.norm(near) == pytest.approx(1)


def plane(rng):
    points = people(rng)
    points[:, 1] = 0.3 * points[:, 0] + 0.1
    return see(points, RIG[:2])


def line(rng):
    return see(np.outer(np.linspace(0, 1, 1000), [1.0, 0.5, 1.5]), RIG[:2])


def one_place(rng):
    return see(people(rng), [RIG[0], look_at("turned", PLACES[0], (0.5, 0.2, 1.0))])


def same_camera(rng):
    return see(people(rng), [RIG[0], RIG[0]])


def one_point(rng):
    return np.full((50, 2, 2), 0.1)


@pytest.mark.parametrize("make", [plane, line, one_place, same_camera, one_point])
@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_points_without_a_baseline_are_refused(rng, make, noise):
    rays = make(rng)
    rays = rays + noise * rng.normal(size=rays.shape)
    with pytest.raises(ValueError, match="tell no baseline"):
        estimate_relative_pose(rays[:, 0], rays[:, 1], 3.0)


def test_unrelated_points_are_refused(rng):
    rays = rng.normal(size=(500, 2, 2))
    with pytest.raises(ValueError, match="only 2 % of the points agree"):
        estimate_relative_pose(rays[:, 0], rays[:, 1], 3.0)


def test_bad_pairs_are_refused(rng):
    first, second = see(people(rng, 20), RIG[:2]).swapaxes(0, 1)
    with pytest.raises(ValueError, match="7 points are fewer than 8"):
        estimate_relative_pose(first[:7], second[:7], 3.0)
    with pytest.raises(ValueError, match=r"\(20, 2\) and \(19, 2\)"):
        estimate_relative_pose(first, second[:19], 3.0)
    for baseline in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="baseline must be positive"):
            estimate_relative_pose(first, second, baseline)
    first = first.copy()
    first[3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        estimate_relative_pose(first, second, 3.0)


# ---------------------------------------------------------------- epipolar pieces


def essential(a, b):
    """X_2 = R (X_1 - t) = R X_1 + s with s = -R t, so E = [s]x R."""
    R, t = true_pose(a, b)
    s = -R @ t
    return np.array([[0, -s[2], s[1]], [s[2], 0, -s[0]], [-s[1], s[0], 0]]) @ R


def test_epipolar_distance_vanishes_at_the_truth_and_measures_pixels(rng):
    rays = see(people(rng), RIG[:2])
    E = essential(*RIG[:2])
    assert np.abs(epipolar_distance(E, rays[:, 0], rays[:, 1])).max() < 1e-12
    moved = rays[:, 1] + 0.001 * rng.normal(size=(1000, 2))
    distances = epipolar_distance(E, rays[:, 0], moved)
    # Noise of one view, seen across its line by both: smaller than along one axis, not tiny.
    assert 0.0003 < distances.std() < 0.001
    np.testing.assert_allclose(epipolar_distance(5 * E, rays[:, 0], moved), distances)


def test_nearest_essential_has_two_equal_singular_values(rng):
    E = nearest_essential(rng.normal(size=(3, 3)))
    np.testing.assert_allclose(np.linalg.svd(E)[1], [1, 1, 0], atol=1e-12)
    exact = essential(*RIG[:2])
    exact /= np.linalg.svd(exact)[1][0]
    np.testing.assert_allclose(nearest_essential(exact), exact, atol=1e-12)
