"""Extrinsics refined by bundle adjustment: cameras and joints move until pictures agree best.

Intrinsics stay. Pictures do not see where the world is, how it is turned and how large it is: the
first camera is held, and the distances of the others to it keep their sum. Half of the instants
are fitted, the other half judge: what does not make them better is not taken.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares
from scipy.sparse import coo_matrix
from scipy.spatial.transform import Rotation

from posebook.data.records import ViewSequence
from posebook.data.sampled import Sample, fit
from posebook.geometry.camera import Camera

MOST = 80  # instants, of which every other is fitted
SURE = 0.3  # detections below take no part
FAR = 5.0  # pixels; residuals beyond weigh less and less (soft L1)


@dataclass(frozen=True, eq=False)
class Refined:
    """Cameras, and the pixels (V,) that each was and is off on instants that were not fitted."""

    cameras: tuple[Camera, ...]
    before: np.ndarray
    after: np.ndarray

    @property
    def better(self) -> bool:
        """Whether the refinement is to be taken."""
        return bool(self.after.mean() < self.before.mean())

    def text(self) -> str:
        """What was found, in words."""
        was, now = self.before.mean(), self.after.mean()
        said = (f"{was:.1f} px before and {now:.1f} px after, on instants that were not fitted; "
                f"camera {self.cameras[0].name} and the rig's size are held")  # fmt: skip
        if self.better:
            return f"extrinsics refined: residual {said}"
        return f"the refinement is not taken, for it makes nothing better: residual {said}"


def refine(take: ViewSequence) -> Refined:
    """Refined cameras of a take of one person, or the given ones where they are no better.

    Raises:
        ValueError: where two cameras see too few joints.
    """
    sample = Sample.of([take], MOST)
    sample = replace(sample, weights=np.where(sample.weights > SURE, sample.weights, 0.0))
    fitted, judge = sample.rows(slice(0, None, 2)), sample.rows(slice(1, None, 2))
    cameras = adjusted(fitted)
    before, after = (fit(replace(judge, cameras=c)).levels for c in (take.cameras, cameras))
    found = Refined(cameras, before, after)
    return found if found.better else replace(found, cameras=take.cameras)


def adjusted(sample: Sample) -> tuple[Camera, ...]:
    """The cameras that, with joints of their own, project best onto a sample's pixels.

    Raises:
        ValueError: where two cameras see too few joints.
    """
    cameras, start = sample.cameras, fit(sample)
    in_front = np.isfinite(start.missed) & (start.depth > 0)  # (N, V, J)
    usable = in_front.sum(1) > 1
    instant, view, joint = np.nonzero(in_front & usable[:, None])
    place = np.cumsum(usable.ravel()).reshape(usable.shape) - 1
    point = place[instant, joint]
    if usable.sum() < 3 * len(cameras) or set(view) != set(range(len(cameras))):
        raise ValueError(f"two cameras are sure of {usable.sum()} joints, too few to refine a rig; "
                         "give a longer take, or leave out --refine")  # fmt: skip
    pixels, focal = sample.pixels[instant, view, joint], np.array([c.focal for c in cameras])[view]
    rays = np.empty_like(pixels)
    for v, c in enumerate(cameras):
        rays[view == v] = c.rays(pixels[view == v])
    split = 6 * (len(cameras) - 1)

    def residuals(x):
        R, center = _poses(cameras, x[:split])
        X = x[split:].reshape(-1, 3)[point]
        local = np.einsum("nij,nj->ni", R[view], X - center[view])
        return ((local[:, :2] / local[:, 2:] - rays) * focal).ravel()

    found = least_squares(
        residuals, np.concatenate([np.zeros(split), start.world[usable].ravel()]),
        jac_sparsity=_sparsity(view, point, split), loss="soft_l1", f_scale=FAR,
        x_scale="jac", ftol=1e-6, max_nfev=100,
    )  # fmt: skip
    R, center = _poses(cameras, found.x[:split])
    center = center[0] + (center - center[0]) * _size(cameras) / _size(moved(cameras, R, center))
    return moved(cameras, R, center)


def moved(cameras: tuple[Camera, ...], R: np.ndarray, center: np.ndarray) -> tuple[Camera, ...]:
    """The cameras with rotations (V, 3, 3) and centres (V, 3)."""
    return tuple(replace(c, R=r, center=at) for c, r, at in zip(cameras, R, center))


def _size(cameras: tuple[Camera, ...]) -> float:
    return sum(np.linalg.norm(c.center - cameras[0].center) for c in cameras)


def _poses(cameras: tuple[Camera, ...], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotations and centres of cameras that are turned by rotation vectors and moved by metres,
    six numbers for each but the first."""
    change = np.vstack([np.zeros(6), x.reshape(-1, 6)])
    R = Rotation.from_rotvec(change[:, :3]).as_matrix() @ np.stack([c.R for c in cameras])
    return R, np.stack([c.center for c in cameras]) + change[:, 3:]


def _sparsity(view: np.ndarray, point: np.ndarray, split: int):
    """Which residual depends on which parameter: a pixel on its camera and its joint."""
    camera = 6 * (view[:, None] - 1) + np.arange(6)
    joint = split + 3 * point[:, None] + np.arange(3)
    columns = np.repeat(np.hstack([camera, joint]), 2, axis=0)
    rows = np.repeat(np.arange(len(columns)), columns.shape[1])
    columns = columns.ravel()
    there = columns >= 0  # the first camera is held
    shape = 2 * len(view), split + 3 * (point.max() + 1)
    return coo_matrix((np.ones(there.sum(), int), (rows[there], columns[there])), shape).tocsr()
