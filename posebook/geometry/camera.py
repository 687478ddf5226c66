"""Cameras: projection (eq. 3.1), view changes (eqs. 3.3, 3.4), lens distortion, virtual views.

One convention throughout, that of Human3.6M and of the thesis: `X_cam = R (X_world - center)`
with R the world-to-camera rotation and `center` the camera's centre in the world, in metres. The
camera looks along +z, x points right, y down. A *ray* is a point of the undistorted picture in
units of the focal length, `((u - c_x) / f_x, (v - c_y) / f_y)`: what eq. 3.1 calls pixels, freed
of the intrinsics.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from posebook.geometry.arrays import calibration, numbers
from posebook.geometry.lens import Lens
from posebook.geometry.rotations import from_quaternion

Z_MIN = 1.0  # metres; eq. 3.1 has a pole at z = 0, and no rig films people from nearer than this
LEAST_ANGLE = 3.0  # degrees between optical axes, for a place that they look at


@dataclass(frozen=True, eq=False)
class Camera:
    """A calibrated camera: `X_cam = R (X_world - center)`.

    Attributes:
        R: (3, 3) world-to-camera rotation.
        center: (3,) camera centre in the world, metres.
        focal: (2,) pixels; one focal length stands for both.
        principal: (2,) pixels.
        resolution: (width, height) pixels.
        radial: (k1, k2, k3) of Human3.6M's lens model.
        tangential: (p1, p2) of it.
        distortion: or OpenCV's k1, k2, p1, p2[, k3[, k4, k5, k6]].
        fisheye: or k1, k2, k3, k4 of OpenCV's fisheye. All of them in `posebook.geometry.lens`.
    """

    name: str
    R: np.ndarray
    center: np.ndarray
    focal: np.ndarray
    principal: np.ndarray
    resolution: tuple[int, int]
    radial: np.ndarray = (0.0, 0.0, 0.0)
    tangential: np.ndarray = (0.0, 0.0)
    distortion: np.ndarray | None = None
    fisheye: np.ndarray | None = None

    def __post_init__(self) -> None:
        for field in ("R", "center", "focal", "principal", "radial", "tangential"):
            object.__setattr__(self, field, calibration(self.name, field, getattr(self, field)))
        for field in ("distortion", "fisheye"):
            if (given := getattr(self, field)) is not None:
                object.__setattr__(self, field, calibration(self.name, field, given))
        object.__setattr__(self, "resolution", self._whole_resolution())
        if (self.focal <= 0).any():
            raise self._error("focal", f"must be positive pixels, got {self.focal.tolist()}")
        self._check_rotation()
        self.lens  # noqa: B018 - refuses coefficients that no model has

    def _whole_resolution(self) -> tuple[int, int]:
        sides = np.asarray(self.resolution).ravel().tolist()
        if len(sides) != 2 or not all(isinstance(n, int | float) and n >= 1 for n in sides):
            raise self._error("resolution", f"must be (width, height), got {self.resolution!r}")
        if any(n != int(n) for n in sides):
            raise self._error("resolution", f"must be whole pixels, got {self.resolution!r}")
        return int(sides[0]), int(sides[1])

    def _check_rotation(self) -> None:
        off = np.abs(self.R @ self.R.T - np.eye(3)).max()
        if off > 1e-4:
            raise ValueError(
                f"camera {self.name!r}: R is not a rotation matrix: R R^T is {off:.1e} off the "
                "identity, at most 1e-4 is rounding; give more decimals, or check what R is"
            )
        if np.linalg.det(self.R) < 0:
            raise ValueError(
                f"camera {self.name!r}: R is not a rotation matrix: its determinant is -1, it "
                "mirrors; change the sign of the axis that points the other way"
            )

    def _error(self, field: str, problem: str) -> ValueError:
        return ValueError(f"camera {self.name!r}: {field} {problem}")

    @cached_property
    def lens(self) -> Lens:
        """Its lens. Raises ValueError for two models at once and for a wrong number of terms."""
        ours = bool(self.radial.any() or self.tangential.any())
        if ours + (self.distortion is not None) + (self.fisheye is not None) > 1:
            raise self._error(
                "lens", "has two models; give radial and tangential, or distortion, or fisheye"
            )
        try:
            if self.distortion is not None:
                return Lens.from_opencv(self.distortion)
        except ValueError as error:
            raise ValueError(f"camera {self.name!r}: {error}") from None
        return Lens(self.radial, self.tangential, fisheye=self.fisheye)

    @classmethod
    def from_world_to_camera(cls, name: str, R, T, focal, principal, resolution, **lens):
        """From `X_cam = R X_world + T` (OpenCV, MPI-INF-3DHP)."""
        R, T = calibration(name, "R", R), calibration(name, "T", T)
        return cls(name, R, -R.T @ T, focal, principal, resolution, **lens)

    @classmethod
    def from_quaternion_c2w(
        cls, name: str, quaternion, center, focal, principal, resolution, **lens
    ):
        """From a (w, x, y, z) quaternion that turns camera axes into world axes (VideoPose3D)."""
        q = torch.as_tensor(calibration(name, "quaternion", quaternion))
        if q.norm() == 0:
            raise ValueError(f"camera {name!r}: quaternion is zero, which is no rotation")
        R = from_quaternion(q / q.norm()).numpy().T
        return cls(name, R, center, focal, principal, resolution, **lens)

    @property
    def T(self) -> np.ndarray:
        """(3,) translation of the other convention, `X_cam = R X_world + T`."""
        return -self.R @ self.center

    @property
    def K(self) -> np.ndarray:
        """(3, 3) intrinsic matrix."""
        (fx, fy), (cx, cy) = self.focal, self.principal
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """World points (..., 3) in this camera's frame."""
        return (points - self.center) @ self.R.T

    def to_world(self, points: np.ndarray) -> np.ndarray:
        """Camera points (..., 3) in the world frame."""
        return points @ self.R + self.center

    def project(self, points: np.ndarray) -> np.ndarray:
        """World points (..., 3) to pixels (..., 2), as `pixels`.

        What lies behind the camera has no pixel: NaN.
        """
        points = self.to_camera(points)
        depth = points[..., 2:]
        return self.pixels(points[..., :2] / np.where(depth > 0, depth, np.nan))

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) to undistorted rays (..., 2); NaN where a pixel is not finite.

        Raises:
            ValueError: where the lens model leads no ray to a pixel.
        """
        pixels = numbers(pixels)
        seen = (pixels - self.principal) / self.focal
        finite = np.isfinite(seen).all(-1)
        rays = self.lens.undistort(seen)
        if not finite.all():
            rays[~finite] = np.nan
        lost = np.isnan(rays).any(-1) & finite
        if lost.any():
            raise self._no_ray(pixels, lost)
        return rays

    def pixels(self, rays: np.ndarray) -> np.ndarray:
        """Rays (..., 2) to pixels (..., 2), distorted; NaN beyond the reach of the lens model."""
        pixels = self.lens.distort(rays) * self.focal + self.principal
        inside = self.lens.reaches(rays)
        return pixels if inside.all() else np.where(inside[..., None], pixels, np.nan)

    def _no_ray(self, pixels: np.ndarray, lost: np.ndarray) -> ValueError:
        u, v = np.atleast_2d(pixels[lost])[0]
        end = self.lens.distort(np.array([min(self.lens.reach, 500.0), 0.0]))[0] * self.focal[0]
        return ValueError(
            f"camera {self.name!r}: no ray leads to pixel ({u:.1f}, {v:.1f}): its lens model "
            f"ends about {end:.0f} px from the principal point ({lost.sum()} of {lost.size} "
            "pixels lie beyond); check the distortion coefficients, or mark the joint as missing"
        )


def distort(rays: np.ndarray, radial: np.ndarray, tangential: np.ndarray) -> np.ndarray:
    """Human3.6M's `Lens`: ideal rays (..., 2) to the rays that the picture shows."""
    return Lens(radial, tangential).distort(rays)


def project(Y: Tensor, z_min: float = Z_MIN) -> Tensor:
    """Equation 3.1 in rays: camera-frame points (..., 3) to (..., 2), with no pole.

    Points nearer than `z_min` metres, or behind the camera, are projected as if they lay at
    `z_min`. The gradient passes through that clamp (straight-through), so that a loss still
    pushes such a point forward; a plain clamp would leave it behind the camera for ever.
    """
    z = Y[..., 2:]
    z_safe = z + (z.clamp(min=z_min) - z).detach()
    return Y[..., :2] / z_safe


def transform(Y: Tensor, R: Tensor, t: Tensor) -> Tensor:
    """Equation 3.3, tau: points (..., J, 3) of one view in the frame of another.

    R (..., 3, 3) and t (..., 3) are `R_1to2` and `t_1to2` of `relative`: tau(Y) = R (Y - t).
    """
    return (Y - t.unsqueeze(-2)) @ R.transpose(-1, -2)


def relative(R1, t1, R2, t2) -> tuple:
    """Equation 3.4: (R_1to2, t_1to2) of two cameras given by rotation and *centre*.

    Arrays or tensors; leading dimensions broadcast. True only where X_k = R_k (X_w - t_k). From
    X_k = R_k X_w + T_k take the centre t_k = -R_k^T T_k first (`Camera.from_world_to_camera`).
    """
    R1_T = R1.swapaxes(-1, -2)
    t_1to2 = (R1 @ (t2 - t1)[..., None])[..., 0]
    return R2 @ R1_T, t_1to2


def rig_key(cameras: Iterable[Camera]) -> tuple:
    """What makes a rig: the same for cameras that are set up alike, whoever has made them."""
    fields = (
        "R", "center", "focal", "principal", "radial", "tangential", "distortion", "fisheye",
    )  # fmt: skip
    values = (getattr(camera, field) for camera in cameras for field in fields)
    return tuple(None if value is None else value.tobytes() for value in values)


def stack(cameras) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (V, 3, 3) and centres (V, 3) of a sequence of cameras."""
    return np.stack([c.R for c in cameras]), np.stack([c.center for c in cameras])


def meeting_point(cameras) -> np.ndarray:
    """World point (3,) nearest to all optical axes in the least-squares sense.

    Raises:
        ValueError: the axes are parallel, as of a stereo pair or of two cameras face to face, or
            meet behind a camera: there is no place that all of them look at.
    """
    axes = np.stack([c.R[2] for c in cameras])
    P = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    centers = np.stack([c.center for c in cameras])
    if np.linalg.eigvalsh(P.sum(0))[0] < 1 - np.cos(np.deg2rad(LEAST_ANGLE)):
        names = ", ".join(repr(c.name) for c in cameras)
        raise ValueError(
            f"the optical axes of cameras {names} are parallel to {LEAST_ANGLE:g} degrees and meet "
            "nowhere; give cameras that look at one place from different sides"
        )
    meeting = np.linalg.solve(P.sum(0), (P @ centers[:, :, None]).sum(0))[:, 0]
    for c in cameras:
        if c.to_camera(meeting)[2] <= 0:
            raise ValueError(
                f"the optical axes meet behind camera {c.name!r}, at {meeting.round(2).tolist()} "
                "in the world; check its extrinsics, or leave it out"
            )
    return meeting


def orbit(camera: Camera, degrees: float, pivot: np.ndarray) -> Camera:
    """The camera turned about the vertical (world z) axis through `pivot`, without distortion.

    Height, distance and intrinsics stay: a virtual camera of the same rig (section 3.6.1).
    """
    a = np.deg2rad(degrees)
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    return replace(
        camera,
        name=f"{camera.name}{degrees:+g}",
        R=camera.R @ turn.T,
        center=turn @ (camera.center - pivot) + pivot,
        radial=np.zeros(3),
        tangential=np.zeros(2),
        distortion=None,
        fisheye=None,
    )


def virtual_rig(cameras, degrees=(-60.0, 60.0)) -> tuple[Camera, ...]:
    """Virtual views that extend a rig: each camera turned by each angle (4 cameras give 8)."""
    pivot = meeting_point(cameras)
    return tuple(orbit(camera, angle, pivot) for camera in cameras for angle in degrees)


def to_tensor(array: np.ndarray, device="cpu") -> Tensor:
    """A float32 tensor of `array` on `device`."""
    return torch.as_tensor(np.ascontiguousarray(array), dtype=torch.float32, device=device)
