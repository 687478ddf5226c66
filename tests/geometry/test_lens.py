"""Lenses against OpenCV, a root finder, and the way there and back."""

import cv2
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.optimize import fsolve

from posebook.data.recorded.rig import human36m_rig
from posebook.geometry.camera import Camera, distort, stack
from posebook.geometry.lens import Lens
from posebook.geometry.multiview import triangulate

WIDTH, HEIGHT = 1920, 1080
GRID = np.stack(np.meshgrid(np.linspace(0, WIDTH, 33), np.linspace(0, HEIGHT, 19)), axis=-1)
MANY_STEPS = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 5000, 1e-15)
# By name: focal length and coefficients, of which none folds back inside the picture.
OPENCV = {
    "pincushion": (800, [0.35, 0, 0, 0]),
    "tangential": (800, [0.35, 0, 0.01, -0.02]),
    "barrel": (800, [-0.30, 0.10, 0.001, 0.002, -0.01]),
    "rational": (800, [1.2, 0.3, 0.001, -0.001, 0.02, 1.5, 0.6, 0.05]),
    "as OpenCV returns it": (800, [[0.35, 0, 0.01, -0.02, 0, 0, 0, 0, 0, 0, 0, 0]]),
}
FISHEYE = {
    "mild": (900, [0.02, -0.01, 0.003, -0.001]),
    "strong": (750, [-0.05, 0.02, -0.01, 0.003]),
}


def camera(focal: float = 800.0, **lens) -> Camera:
    principal = [WIDTH / 2, HEIGHT / 2]
    return Camera("wide", np.eye(3), np.zeros(3), focal, principal, (WIDTH, HEIGHT), **lens)


@pytest.mark.parametrize("name", OPENCV)
def test_opencv_s_lens_there_and_back(name):
    focal, k = OPENCV[name]
    c = camera(focal, distortion=k)
    points = np.random.default_rng(0).uniform([-1, -0.6, 2], [1, 0.6, 3], (200, 3))
    seen, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), c.K, np.float64(k))
    np.testing.assert_allclose(c.project(points), seen[:, 0], atol=1e-9)
    pixels = GRID.reshape(-1, 1, 2)
    expected = cv2.undistortPointsIter(pixels, c.K, np.float64(k), None, None, MANY_STEPS)
    np.testing.assert_allclose(c.rays(pixels), expected, atol=1e-9)


@pytest.mark.parametrize("name", FISHEYE)
def test_opencv_s_fisheye_there_and_back(name):
    focal, k = FISHEYE[name]
    c = camera(focal, fisheye=k)
    points = np.random.default_rng(0).uniform([-4, -3, 1], [4, 3, 3], (200, 3))
    seen, _ = cv2.fisheye.projectPoints(
        points[:, None], np.zeros(3), np.zeros(3), c.K, np.float64(k)
    )
    np.testing.assert_allclose(c.project(points), seen[:, 0], atol=1e-9)
    expected = cv2.fisheye.undistortPoints(seen, c.K, np.float64(k), criteria=MANY_STEPS)
    np.testing.assert_allclose(c.rays(seen), expected, atol=1e-6)
    np.testing.assert_allclose(c.rays(c.project(points)), points[:, :2] / points[:, 2:], atol=1e-9)
    np.testing.assert_array_equal(c.project(np.array([0, 0, 2.0])), c.principal)


def test_a_strong_lens_of_human36m_s_model_against_a_root_finder():
    """Eight steps of a fixed-point iteration are 54 px off here."""
    c = camera(radial=[0.35, 0, 0], tangential=[0.01, -0.02])
    pixel = np.array([1765.0, 1002.0])
    seen = (pixel - c.principal) / c.focal
    expected = fsolve(lambda r: distort(r, c.radial, c.tangential) - seen, seen * 0.7, xtol=1e-13)
    np.testing.assert_allclose(c.rays(pixel), expected, atol=1e-10)
    np.testing.assert_allclose(c.pixels(c.rays(pixel)), pixel, atol=1e-6)


@pytest.mark.parametrize("point", [(0.3, 0.2, 3.0), (0.6, 0.5, 3.0), (0.7, 1.2, 3.0)])
def test_strong_lenses_triangulate(point):
    a = camera(radial=[0.35, 0, 0])
    b = Camera("b", a.R, [-2, 0, 0], a.focal, a.principal, a.resolution, radial=a.radial)
    X = np.array([point])
    rays = np.stack([c.rays(c.project(X)) for c in (a, b)], axis=1)
    np.testing.assert_allclose(triangulate(rays, *stack([a, b])), X, atol=1e-9)


def test_mild_lenses_keep_the_eight_steps_bits():
    """Published rays were made so."""
    for c in human36m_rig("S1"):
        seen = (GRID * [1000 / WIDTH, 1000 / HEIGHT] - c.principal) / c.focal
        rays = seen
        for _ in range(8):
            rays = rays - (_as_published(rays, c.radial, c.tangential) - seen)
        np.testing.assert_array_equal(c.lens.undistort(seen), rays)


def test_a_lens_reaches_as_far_as_on_its_nearest_side():
    """Tangential terms fold one side back before the others."""
    lens = camera(radial=[-0.1, 0, 0], tangential=[-0.03, 0.05]).lens

    def determinant(length, angle, h=1e-6):
        ray = length * np.array([np.cos(angle), np.sin(angle)])
        columns = [(lens.distort(ray + h * e) - lens.distort(ray - h * e)) / (2 * h)
                   for e in np.eye(2)]  # fmt: skip
        return np.linalg.det(np.stack(columns, axis=-1))

    angles = np.linspace(0, 2 * np.pi, 64)
    within, beyond = (
        min(determinant(share * lens.reach, angle) for angle in angles) for share in (0.97, 1.03)
    )
    assert within > 0 > beyond
    assert determinant(1.03 * lens.reach, 0.0) > 0


def _as_published(rays, radial, tangential):
    r2 = (rays**2).sum(-1, keepdims=True)
    gain = 1 + r2 * (radial[0] + r2 * (radial[1] + r2 * radial[2]))
    gain = gain + tangential[0] * rays[..., 1:] + tangential[1] * rays[..., :1]
    return rays * gain + r2 * tangential[::-1]


# ---------------------------------------------------------------- where a lens ends


def test_beyond_its_fold_a_lens_has_no_ray_and_no_pixel():
    """x (1 - 0.3 x^2) is greatest at x = 1 / sqrt(0.9), where it is 562.2 px."""
    c = camera(radial=[-0.3, 0, 0])
    assert c.lens.reach == pytest.approx(0.9**-0.5, abs=0.004)
    with pytest.raises(ValueError, match=r"'wide': no ray leads to pixel \(1525.0, 540.0\).* 562 "):
        c.rays(np.array([[960.0, 540.0], [1525.0, 540.0]]))
    assert np.isnan(c.pixels(np.array([1.06, 0.0]))).all()
    assert c.project(np.array([[0.5, 0, 1.0], [5, 0, 1.0]]))[:, 0] == pytest.approx(
        [1330, np.nan], nan_ok=True
    )


def test_a_ray_behind_the_fold_is_none_where_it_fits_the_picture_too():
    """Of length 1, it is seen at 1 (1 - 3 + 3): but the lens folds back before 0.4."""
    lens, ray = Lens((-3.0, 3.0, 0.0)), np.array([[1.0, 0.0]])
    assert (lens.distort(ray) == ray).all() and lens.reach < 0.4
    assert np.isnan(lens.undistort(ray)).all()


def test_a_fisheye_has_no_ray_at_a_right_angle():
    c = camera(400, fisheye=[0, 0, 0, 0])
    assert c.rays(np.array([960 + 400 * np.pi / 4, 540])) == pytest.approx([1, 0])
    with pytest.raises(ValueError, match="no ray leads to pixel"):
        c.rays(np.array([960 + 400 * 1.58, 540]))


@pytest.mark.parametrize("lens", [{}, dict(radial=[0.35, 0, 0]), dict(fisheye=[0.1, 0, 0, 0])])
def test_pixels_that_are_no_numbers_stay_none(lens):
    c = camera(**lens)
    rays = c.rays(np.array([[np.nan, 5], [np.inf, 5], [-np.inf, np.nan], [960, 540]]))
    assert np.isnan(rays[:3]).all() and (rays[3] == 0).all()
    assert np.isnan(c.rays(np.array([np.nan, 5]))).all()
    assert c.rays(np.zeros((0, 2))).shape == (0, 2)


coefficient = st.floats(-0.5, 0.5)
small = st.floats(-0.02, 0.02)
lenses = st.one_of(
    st.builds(lambda *k: Lens(k[:3], k[3:]), *[coefficient] * 3, small, small),
    st.builds(
        lambda *k: Lens.from_opencv(np.array(k)),
        *[coefficient] * 2, small, small, *[coefficient] * 4,
    ),
    st.builds(lambda *k: Lens(fisheye=np.array(k)), *[st.floats(-0.1, 0.1)] * 4),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(lenses)
@example(Lens((-0.5, 0.5, -0.2)))  # rises, nearly folds, rises, folds
@example(Lens((0.5, 0.5, 0.5)))
@example(Lens((0.13, 0, -0.36), divisor=(0.16, 0.16, -0.48)))  # a zero and a pole side by side
def test_any_lens_leads_back_within_its_reach(lens):
    """To 1e-9 wherever it does not compress tenfold; otherwise to NaN, never to another ray."""
    angle = np.linspace(0, 2 * np.pi, 7, endpoint=False)
    sides = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    length = np.linspace(0.01, 0.98 * min(lens.reach, 1.5), 12)
    rays = (length[:, None, None] * sides).reshape(-1, 2)
    stretch = np.linalg.svd(_numeric_jacobian(lens, rays), compute_uv=False)[:, -1]
    safe = stretch > 0.1
    assume(safe.any())
    np.testing.assert_allclose(lens.undistort(lens.distort(rays))[safe], rays[safe], atol=1e-9)
    beyond = lens.distort(rays * 3)
    back = lens.undistort(beyond)
    there = np.isfinite(back).all(-1)
    np.testing.assert_allclose(lens.distort(back[there]), beyond[there], atol=1e-9)
    assert (np.linalg.norm(back[there], axis=-1) < lens.reach).all()


def _numeric_jacobian(lens, rays, step=1e-6):
    sides = [lens.distort(rays + h) - lens.distort(rays - h) for h in step * np.eye(2)]
    return np.stack(sides, axis=-1) / (2 * step)
