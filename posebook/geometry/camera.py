"""Cameras: projection (eq. 3.1), view changes (eqs. 3.3, 3.4), lens distortion, virtual views.

One convention throughout, that of Human3.6M and of the thesis: `X_cam = R (X_world - center)`
with R the world-to-camera rotation and `center` the camera's centre in the world, in metres. The
camera looks along +z, x points right, y down. A *ray* is a point of the undistorted picture in
units of the focal length, `((u - c_x) / f_x, (v - c_y) / f_y)`: what eq. 3.1 calls pixels, freed
of the intrinsics.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from posebook.geometry.rotations import from_quaternion

Z_MIN = 1.0  # metres; eq. 3.1 has a pole at z = 0, and no rig films people from nearer than this
LEAST_ANGLE = 3.0  # degrees between optical axes, for a place that they look at


@dataclass(frozen=True, eq=False)
class Camera:
    """A calibrated camera.

    Attributes:
        R: (3, 3) world-to-camera rotation.
        center: (3,) camera centre in the world, metres.
        focal, principal: (2,) pixels.
        resolution: (width, height) pixels. radial (k1, k2, k3), tangential (p1, p2): Human3.6M's
            lens model, see `distort`.
    """

    name: str
    R: np.ndarray
    center: np.ndarray
    focal: np.ndarray
    principal: np.ndarray
    resolution: tuple[int, int]
    radial: np.ndarray = (0.0, 0.0, 0.0)
    tangential: np.ndarray = (0.0, 0.0)

    def __post_init__(self) -> None:
        shapes = {
            "R": (3, 3), "center": (3,), "focal": (2,), "principal": (2,), "radial": (3,),
            "tangential": (2,),
        }  # fmt: skip
        for field, shape in shapes.items():
            value = np.asarray(getattr(self, field), dtype=np.float64)
            if value.shape != shape or not np.isfinite(value).all():
                raise ValueError(
                    f"camera {self.name!r}: {field} must be {shape} finite numbers, "
                    f"got shape {value.shape}"
                )
            object.__setattr__(self, field, value)
        if np.abs(self.R @ self.R.T - np.eye(3)).max() > 1e-4 or np.linalg.det(self.R) < 0:
            raise ValueError(f"camera {self.name!r}: R is not a rotation matrix")

    @classmethod
    def from_center(cls, name: str, R, center, focal, principal, resolution, **lens) -> "Camera":
        """From `X_cam = R (X_world - center)` (Human3.6M, the thesis)."""
        return cls(name, R, center, focal, principal, tuple(resolution), **lens)

    @classmethod
    def from_world_to_camera(cls, name: str, R, T, focal, principal, resolution, **lens):
        """From `X_cam = R X_world + T` (OpenCV, MPI-INF-3DHP)."""
        R = np.asarray(R, dtype=np.float64)
        return cls(name, R, -R.T @ np.asarray(T), focal, principal, tuple(resolution), **lens)

    @classmethod
    def from_quaternion_c2w(
        cls, name: str, quaternion, center, focal, principal, resolution, **lens
    ):
        """From a (w, x, y, z) quaternion that turns camera axes into world axes (VideoPose3D)."""
        q = torch.as_tensor(np.asarray(quaternion, dtype=np.float64))
        R = from_quaternion(q / q.norm()).numpy().T
        return cls(name, R, center, focal, principal, tuple(resolution), **lens)

    @property
    def T(self) -> np.ndarray:
        """(3,) translation of the other convention, `X_cam = R X_world + T`."""
        return -self.R @ self.center

    @property
    def K(self) -> np.ndarray:
        """(3, 3) intrinsic matrix."""
        return np.array(
            [
                [self.focal[0], 0, self.principal[0]],
                [0, self.focal[1], self.principal[1]],
                [0, 0, 1],
            ]
        )

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """World points (..., 3) in this camera's frame."""
        return (points - self.center) @ self.R.T

    def to_world(self, points: np.ndarray) -> np.ndarray:
        """Camera points (..., 3) in the world frame."""
        return points @ self.R + self.center

    def project(self, points: np.ndarray) -> np.ndarray:
        """World points (..., 3) to pixels (..., 2), lens distortion included.

        What lies behind the camera has no pixel: NaN.
        """
        points = self.to_camera(points)
        z = points[..., 2:]
        rays = points[..., :2] / np.where(z > 0, z, np.nan)
        return distort(rays, self.radial, self.tangential) * self.focal + self.principal

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) to undistorted rays (..., 2)."""
        return undistort((pixels - self.principal) / self.focal, self.radial, self.tangential)

    def pixels(self, rays: np.ndarray) -> np.ndarray:
        """Rays (..., 2) to pixels (..., 2), lens distortion included."""
        return distort(rays, self.radial, self.tangential) * self.focal + self.principal


def distort(rays: np.ndarray, radial: np.ndarray, tangential: np.ndarray) -> np.ndarray:
    """Human3.6M's lens model: ideal rays (..., 2) to the rays that the picture shows.

    With r2 = x^2 + y^2 the point is scaled by 1 + k1 r2 + k2 r2^2 + k3 r2^3 + p1 y + p2 x and
    shifted by r2 (p2, p1). OpenCV has a factor 2 in the tangential term; Human3.6M has not.
    """
    r2 = (rays**2).sum(-1, keepdims=True)
    gain = 1 + r2 * (radial[0] + r2 * (radial[1] + r2 * radial[2]))
    gain = gain + tangential[0] * rays[..., 1:] + tangential[1] * rays[..., :1]
    return rays * gain + r2 * np.asarray(tangential)[::-1]


def undistort(seen: np.ndarray, radial, tangential, iterations: int = 8) -> np.ndarray:
    """Inverse of `distort` by fixed-point iteration; exact to far below a pixel in Human3.6M."""
    if not (np.any(radial) or np.any(tangential)):
        return seen
    rays = seen
    for _ in range(iterations):
        rays = rays - (distort(rays, radial, tangential) - seen)
    return rays


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
    )


def virtual_rig(cameras, degrees=(-60.0, 60.0)) -> tuple[Camera, ...]:
    """Virtual views that extend a rig: each camera turned by each angle (4 cameras give 8)."""
    pivot = meeting_point(cameras)
    return tuple(orbit(camera, angle, pivot) for camera in cameras for angle in degrees)


def to_tensor(array: np.ndarray, device="cpu") -> Tensor:
    """A float32 tensor of `array` on `device`."""
    return torch.as_tensor(np.ascontiguousarray(array), dtype=torch.float32, device=device)
