"""Cameras against closed forms, OpenCV, and the way through the world."""

from itertools import permutations

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch.autograd import gradcheck

from posebook.data.recorded.rig import human36m_rig
from posebook.geometry import camera
from posebook.geometry.camera import Z_MIN, Camera, project, relative, transform
from posebook.geometry.lens import Lens

SUBJECTS = ("S1", "S5", "S6", "S7", "S8", "S9", "S11")
RIGS = [human36m_rig(subject) for subject in SUBJECTS]
CAMERAS = [c for rig in RIGS for c in rig]
INTRINSICS = [1100.0, 1150.0], [510.0, 490.0], (1000, 1002)


def downward() -> Camera:
    """4 m above the floor, looking straight down; the picture's right is the world's x."""
    R = np.diag([1.0, -1.0, -1.0])
    return Camera("down", R, [1.0, 2.0, 4.0], *INTRINSICS)


def some_rotation(seed: int) -> np.ndarray:
    return Rotation.random(rng=np.random.default_rng(seed)).as_matrix()


def some_points(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (*shape, 3))


# ---------------------------------------------------------------- one camera


def test_the_picture_of_a_camera_that_looks_down():
    c = downward()
    np.testing.assert_allclose(c.project(np.array([1.0, 2.0, 0.0])), [510, 490])
    np.testing.assert_allclose(c.project(np.array([1.4, 2.0, 0.0])), [510 + 110, 490])
    np.testing.assert_allclose(c.project(np.array([1.0, 2.4, 0.0])), [510, 490 - 115])


def test_camera_axes_and_back():
    c = downward()
    np.testing.assert_allclose(c.to_camera(c.center), 0)
    np.testing.assert_allclose(c.to_camera(np.array([2.0, 5.0, 3.0])), [1, -3, 1])
    points = some_points(2, 5)
    np.testing.assert_allclose(c.to_world(c.to_camera(points)), points)


def test_the_three_constructors_agree():
    R, center = some_rotation(0), np.array([1.0, -2.0, 3.0])
    x, y, z, w = Rotation.from_matrix(R.T).as_quat()
    made = (
        Camera("a", R, center, *INTRINSICS),
        Camera.from_world_to_camera("b", R, -R @ center, *INTRINSICS),
        Camera.from_quaternion_c2w("c", [w, x, y, z], center, *INTRINSICS),
        Camera.from_quaternion_c2w("d", [-3 * w, -3 * x, -3 * y, -3 * z], center, *INTRINSICS),
    )
    for c in made:
        np.testing.assert_allclose(c.R, R, atol=1e-12)
        np.testing.assert_allclose(c.center, center, atol=1e-12)
        np.testing.assert_allclose(c.T, -R @ center, atol=1e-12)


@pytest.mark.parametrize("c", RIGS[0], ids=lambda c: c.name)
def test_radial_distortion_is_that_of_opencv(c):
    """Only the tangential terms differ, see the next test."""
    bare = Camera(c.name, c.R, c.center, c.focal, c.principal, c.resolution, radial=c.radial)
    points = some_points(50) + camera.meeting_point(RIGS[0])
    k1, k2, k3 = c.radial
    coefficients = np.array([k1, k2, 0, 0, k3])
    seen, _ = cv2.projectPoints(points, cv2.Rodrigues(c.R)[0], c.T, c.K, coefficients)
    np.testing.assert_allclose(bare.project(points), seen[:, 0], atol=1e-6)


def test_tangential_distortion_has_no_factor_of_two():
    """Human3.6M: x (p1 y + p2 x) + p2 r2, y (p1 y + p2 x) + p1 r2."""
    x, y, p1, p2 = 0.3, -0.2, 0.01, -0.02
    r2 = x * x + y * y
    expected = [x + x * (p1 * y + p2 * x) + p2 * r2, y + y * (p1 * y + p2 * x) + p1 * r2]
    found = camera.distort(np.array([x, y]), np.zeros(3), np.array([p1, p2]))
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("c", RIGS[0], ids=lambda c: c.name)
def test_undistortion_is_exact_in_the_whole_picture(c):
    w, h = c.resolution
    grid = np.stack(np.meshgrid(np.linspace(0, w, 60), np.linspace(0, h, 60)), axis=-1)
    assert np.abs(c.pixels(c.rays(grid)) - grid).max() < 1e-6


def test_rays_invert_projection():
    for c in CAMERAS:
        points = some_points(20) * 0.8 + camera.meeting_point(RIGS[0])
        local = c.to_camera(points)
        np.testing.assert_allclose(
            c.rays(c.project(points)), local[:, :2] / local[:, 2:], atol=1e-9
        )


def test_a_lens_without_distortion_changes_nothing():
    rays = some_points(4)[:, :2]
    assert Lens().undistort(rays) is rays
    np.testing.assert_array_equal(camera.distort(rays, np.zeros(3), np.zeros(2)), rays)


# ---------------------------------------------------------------- bad calibrations


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("R", np.eye(4), r"R must be \(3, 3\)"),
        ("center", [0.0, 0.0], r"center must be \(3,\)"),
        ("center", [0.0, np.nan, 0.0], "center must be .* finite"),
        ("center", [[0.0, 1.0], [2.0, 3.0]], r"center must be \(3,\)"),
        ("center", ["a", "b", "c"], r"center must be numbers, got \['a', 'b', 'c'\]"),
        ("center", [[0.0], [1.0, 2.0]], "center must be one array of numbers, got lists of uneq"),
        ("R", [0.1, 0.2, 0.3], r"R must be \(3, 3\) .* rotation vector take cv2.Rodrigues"),
        ("focal", np.eye(3), r"focal must be \(2,\) .* of a matrix K take \(K\[0, 0\], K\[1, 1\]"),
        ("focal", [0.0, 1.0], r"focal must be positive pixels, got \[0.0, 1.0\]"),
        ("focal", -1100.0, "focal must be positive pixels"),
        ("resolution", (1000,), r"resolution must be \(width, height\), got \(1000,\)"),
        ("resolution", 1000, r"resolution must be \(width, height\), got 1000"),
        ("resolution", (1000, 0), r"resolution must be \(width, height\)"),
        ("resolution", (1000, 999.5), "resolution must be whole pixels"),
        ("resolution", ("1000", "1000"), r"resolution must be \(width, height\)"),
        ("radial", [0.1, 0, 0, 0, 0.2], r"radial must be \(3,\) .* k3.* goes into distortion"),
        ("distortion", [0.1, 0, 0], "distortion must be OpenCV's 4, 5 or 8 .* got 3"),
        ("distortion", [0.1] * 12, "distortion must be OpenCV's 4, 5 or 8 .* got 12"),
        ("fisheye", [0.1] * 5, r"fisheye must be \(4,\)"),
        ("principal", [np.inf, 500.0], "principal must be .* finite"),
        ("radial", [0.1, 0.2], r"radial must be \(3,\)"),
        ("tangential", [0.1, 0.2, 0.3], r"tangential must be \(2,\)"),
        ("R", 1.01 * np.eye(3), "R is not a rotation"),
        ("R", np.diag([1.0, 1.0, -1.0]), "R is not a rotation matrix: its determinant is -1"),
        ("R", Rotation.random(rng=0).as_matrix().round(2), r"R is not .* off the identity"),
    ],
)
def test_a_bad_calibration_is_named(field, value, message):
    good = dict(
        name="left", R=np.eye(3), center=np.zeros(3), focal=[1.0, 1.0], principal=[0.0, 0.0],
        resolution=(10, 10), radial=np.zeros(3), tangential=np.zeros(2),
    )  # fmt: skip
    Camera(**good)
    with pytest.raises(ValueError, match=f"camera 'left': {message}"):
        Camera(**good | {field: value})


@pytest.mark.parametrize("shape", [(3, 1), (1, 3)])
def test_a_column_or_a_row_is_a_vector(shape):
    R, T = some_rotation(0), np.array([1.0, -2.0, 3.0])
    c = Camera.from_world_to_camera("a", R, T.reshape(shape), *INTRINSICS)
    np.testing.assert_allclose(c.center, -R.T @ T)


def test_what_is_clear_is_converted():
    R, T = some_rotation(0), np.array([1.0, -2.0, 3.0])
    given = torch.tensor(R, requires_grad=True), T.tolist(), 1100, [500, 490], np.float32([64, 48])
    c = Camera.from_world_to_camera("a", *given)
    np.testing.assert_array_equal(c.focal, [1100.0, 1100.0])
    np.testing.assert_array_equal(c.R, R)
    assert c.resolution == (64, 48) and c.principal.dtype == np.float64


def test_constructors_speak_of_what_they_were_given():
    with pytest.raises(ValueError, match=r"camera 'a': T must be \(3,\) .* got shape \(4,\)"):
        Camera.from_world_to_camera("a", np.eye(3), np.zeros(4), *INTRINSICS)
    with pytest.raises(ValueError, match="camera 'a': quaternion is zero"):
        Camera.from_quaternion_c2w("a", np.zeros(4), np.zeros(3), *INTRINSICS)
    with pytest.raises(ValueError, match=r"camera 'a': quaternion must be \(4,\)"):
        Camera.from_quaternion_c2w("a", np.zeros(3), np.zeros(3), *INTRINSICS)


def test_two_lenses_are_refused():
    lens = dict(radial=[0.1, 0, 0], distortion=[0.1, 0, 0, 0])
    with pytest.raises(ValueError, match="camera 'a': lens has two models"):
        Camera("a", np.eye(3), np.zeros(3), *INTRINSICS, **lens)


# ---------------------------------------------------------------- equation 3.1


def test_projection_is_division_by_depth():
    Y = torch.tensor([[0.5, -1.0, 2.0], [3.0, 0.0, 6.0]])
    torch.testing.assert_close(project(Y), torch.tensor([[0.25, -0.5], [0.5, 0.0]]))


def test_projection_agrees_with_the_camera():
    c = downward()
    points = some_points(30)
    pixels = project(torch.tensor(c.to_camera(points))).numpy() * c.focal + c.principal
    np.testing.assert_allclose(pixels, c.project(points))


def test_gradient_of_the_projection():
    Y = torch.tensor(some_points(6) + [0, 0, 3.0], requires_grad=True)
    assert gradcheck(project, Y)


@pytest.mark.parametrize("z", [0.999, 0.5, 0.0, -0.5, -20.0])
def test_below_z_min_the_value_is_clamped_and_the_gradient_passes(z):
    x, y = 0.3, -0.2
    Y = torch.tensor([x, y, z], dtype=torch.float64, requires_grad=True)
    expected = torch.tensor([x, y], dtype=torch.float64) / Z_MIN
    torch.testing.assert_close(project(Y).detach(), expected)
    jacobian = torch.autograd.functional.jacobian(project, Y)
    expected = torch.tensor([[1.0, 0, -x / Z_MIN], [0, 1.0, -y / Z_MIN]], dtype=torch.float64)
    torch.testing.assert_close(jacobian, expected / Z_MIN)


def test_projection_is_continuous_at_z_min():
    Y = torch.tensor([[0.4, 0.1, Z_MIN - 1e-6], [0.4, 0.1, Z_MIN + 1e-6]], dtype=torch.float64)
    below, above = project(Y)
    torch.testing.assert_close(below, above, atol=1e-5, rtol=0)


# ---------------------------------------------------------------- equations 3.3 and 3.4


def in_frame(points, R, T):
    """The other convention, X_cam = R X_world + T."""
    return points @ R.T + T


def test_view_change_is_the_way_through_the_world():
    world = some_points(17) + [0, 0, 1]
    for rig in RIGS:
        for a, b in permutations(rig, 2):
            R, t = relative(a.R, a.center, b.R, b.center)
            moved = transform(*map(torch.tensor, (a.to_camera(world), R, t)))
            np.testing.assert_allclose(moved, b.to_camera(world), atol=1e-9)


def test_view_change_from_the_other_convention():
    world = some_points(17)
    (R1, T1), (R2, T2) = ((some_rotation(s), some_points(1, seed=s)[0] * 5) for s in (1, 2))
    a = Camera.from_world_to_camera("a", R1, T1, *INTRINSICS)
    b = Camera.from_world_to_camera("b", R2, T2, *INTRINSICS)
    R, t = relative(a.R, a.center, b.R, b.center)
    moved = transform(*map(torch.tensor, (in_frame(world, R1, T1), R, t)))
    np.testing.assert_allclose(moved, in_frame(world, R2, T2), atol=1e-9)
    np.testing.assert_allclose(t, T1 - R1 @ R2.T @ T2, atol=1e-9)


def test_the_wrong_convention_is_off_by_metres():
    world = some_points(17) + [0, 0, 1]
    for a, b in permutations(RIGS[0], 2):
        R, t = relative(a.R, a.T, b.R, b.T)
        moved = transform(*map(torch.tensor, (a.to_camera(world), R, t)))
        off = np.linalg.norm(moved.numpy() - b.to_camera(world), axis=-1)
        assert off.min() > 3


def test_there_and_back_is_the_identity():
    (R1, R2), (t1, t2) = (some_rotation(0), some_rotation(1)), some_points(2) * 4
    there, back = (relative(R1, t1, R2, t2), relative(R2, t2, R1, t1))
    Y = torch.tensor(some_points(3, 17, seed=3))
    moved = transform(Y, *map(torch.tensor, there))
    torch.testing.assert_close(transform(moved, *map(torch.tensor, back)), Y)
    np.testing.assert_allclose(back[1], -there[0] @ there[1], atol=1e-12)


def test_t_1to2_is_the_second_centre_seen_by_the_first():
    a, b = RIGS[0][:2]
    _, t = relative(a.R, a.center, b.R, b.center)
    np.testing.assert_allclose(t, a.to_camera(b.center))


def test_view_changes_broadcast():
    R, center = camera.stack(RIGS[0])
    table_R, table_t = relative(R[:, None], center[:, None], R[None], center[None])
    for i, j in ((0, 1), (3, 2), (1, 1)):
        one_R, one_t = relative(R[i], center[i], R[j], center[j])
        np.testing.assert_allclose(table_R[i, j], one_R)
        np.testing.assert_allclose(table_t[i, j], one_t)
    batch = transform(*map(torch.tensor, (some_points(4, 17), table_R[0], table_t[0])))
    alone = transform(*map(torch.tensor, (some_points(4, 17)[2], table_R[0, 2], table_t[0, 2])))
    torch.testing.assert_close(batch[2], alone)


def test_gradient_of_the_view_change():
    Y = torch.tensor(some_points(2, 3), requires_grad=True)
    R = torch.tensor(np.stack([some_rotation(0), some_rotation(1)]), requires_grad=True)
    t = torch.tensor(some_points(2), requires_grad=True)
    assert gradcheck(transform, (Y, R, t))


# ---------------------------------------------------------------- virtual views


def test_axes_that_meet_are_found_to_meet():
    target = np.array([0.3, -0.2, 1.1])
    centers = some_points(5) * 3
    rig = []
    for center in centers:
        z = (target - center) / np.linalg.norm(target - center)
        x = np.cross(z, [0, 0, 1.0])
        x /= np.linalg.norm(x)
        rig.append(Camera("c", np.stack([x, np.cross(z, x), z]), center, *INTRINSICS))
    np.testing.assert_allclose(camera.meeting_point(rig), target, atol=1e-9)


def test_the_published_axes_nearly_meet_over_the_stage():
    for rig in RIGS:
        point = camera.meeting_point(rig)
        assert 0 < point[2] < 1.5
        for c in rig:
            x, y, depth = c.to_camera(point)
            assert np.hypot(x, y) < 0.6 and 3.5 < depth < 7


def test_a_turned_camera_sees_the_turned_world():
    c, pivot, degrees = RIGS[0][0], np.array([0.2, -0.3, 0.5]), 40.0
    bare = Camera(c.name, c.R, c.center, c.focal, c.principal, c.resolution)
    turn = Rotation.from_rotvec([0, 0, np.deg2rad(degrees)]).as_matrix()
    world = some_points(20)
    turned = (world - pivot) @ turn.T + pivot
    orbiting = camera.orbit(c, degrees, pivot)
    np.testing.assert_allclose(orbiting.project(turned), bare.project(world), atol=1e-8)
    assert orbiting.center[2] == pytest.approx(c.center[2])
    assert orbiting.lens.is_ideal


@pytest.mark.parametrize("lens", [dict(distortion=[0.1, 0, 0, 0]), dict(fisheye=[0.1, 0, 0, 0])])
def test_a_virtual_camera_has_no_lens_of_any_model(lens):
    c = Camera("a", np.eye(3), np.zeros(3), *INTRINSICS, **lens)
    assert not c.lens.is_ideal and camera.orbit(c, 30.0, np.zeros(3)).lens.is_ideal


@pytest.mark.parametrize("rig", RIGS, ids=SUBJECTS)
def test_virtual_views_fill_the_gaps_of_the_rig(rig):
    virtual = camera.virtual_rig(rig)
    assert len({c.name for c in (*rig, *virtual)}) == 12
    pivot = camera.meeting_point(rig)
    away = np.array([c.center - pivot for c in (*rig, *virtual)])
    azimuth = np.sort(np.degrees(np.arctan2(away[:, 1], away[:, 0])))
    gaps = np.diff(np.append(azimuth, azimuth[0] + 360))
    assert gaps.min() > 10 and gaps.max() < 50


def test_published_rigs():
    for subject, rig in zip(SUBJECTS, RIGS, strict=True):
        assert [c.name for c in rig] == ["54138969", "55011271", "58860488", "60457274"]
        assert all(1.2 < c.center[2] < 1.9 for c in rig)
        assert human36m_rig(subject) is rig, "one rig a subject: tables are shared by identity"


def test_a_subject_without_cameras_is_named():
    with pytest.raises(ValueError, match="no published cameras for subject 'S2'; known: S1, S5"):
        human36m_rig("S2")
