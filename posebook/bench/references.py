"""Plain forms, written the way that public code does it: what the fast forms are measured beside.

They give the same numbers (tests), so that only the time differs.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from posebook.data.rendered import rasterize


def generator(
    clips: Sequence[np.ndarray],
    poses: Sequence[np.ndarray],
    cameras: np.ndarray,
    order: np.ndarray,
    frames: int,
    batch: int,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Batches as VideoPose3D's generator makes them, a sample at a time.

    Args:
        clips: (T, J, 2) each, poses: (T, J, 3) each, cameras: (clips, 9) numbers of each.
        order: (n, 2) clip and instant of each sample.
        frames: of a window; where it leaves its clip the end frame is repeated.

    Yields:
        Windows (batch, frames, J, 2), poses (batch, J, 3) of their middle and cameras (batch, 9).
    """
    half = frames // 2
    out = np.empty((batch, frames, *clips[0].shape[1:]))  # double precision, as there
    middle, camera = np.empty((batch, *poses[0].shape[1:])), np.empty((batch, cameras.shape[1]))
    for start in range(0, len(order) - batch + 1, batch):
        for row, (clip, instant) in enumerate(order[start : start + batch]):
            joints, first, last = clips[clip], instant - half, instant + half + 1
            low, high = max(first, 0), min(last, len(joints))
            if first != low or last != high:
                around = ((low - first, last - high), (0, 0), (0, 0))
                out[row] = np.pad(joints[low:high], around, "edge")
            else:
                out[row] = joints[low:high]
            middle[row], camera[row] = poses[clip][instant], cameras[clip]
        yield tuple(torch.from_numpy(part.astype("float32")) for part in (out, middle, camera))


def p_mpjpe_one_by_one(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """P-MPJPE (n,) of poses (n, J, 3), a pose at a time."""
    errors = []
    for p, g in zip(predicted, target, strict=True):
        p, g = p - p.mean(0), g - g.mean(0)
        U, S, Vt = np.linalg.svd(p.T @ g)
        sign = np.array([1, 1, np.sign(np.linalg.det(U @ Vt))])
        moved = (S * sign).sum() / (p**2).sum() * p @ (U * sign) @ Vt
        errors.append(np.linalg.norm(moved - g, axis=1).mean())
    return np.array(errors)


def p_mpjpe_by_svd(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """P-MPJPE (n,) of poses (n, J, 3) by NumPy's batched decomposition, as in VideoPose3D."""
    p = predicted - predicted.mean(1, keepdims=True)
    g = target - target.mean(1, keepdims=True)
    U, S, Vt = np.linalg.svd(p.transpose(0, 2, 1) @ g)
    sign = np.ones_like(S)
    sign[:, 2] = np.sign(np.linalg.det(U @ Vt))
    scale = (S * sign).sum(1) / (p**2).sum((1, 2))
    moved = scale[:, None, None] * (p @ (U * sign[:, None]) @ Vt)
    return np.linalg.norm(moved - g, axis=-1).mean(-1)


def mpjpe_one_by_one(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """MPJPE (n,) of poses (n, J, 3), a pose at a time."""
    pairs = zip(predicted, target, strict=True)
    return np.array([np.linalg.norm(p - g, axis=1).mean() for p, g in pairs])


def pairs_one_by_one(tables: Sequence[np.ndarray], order: np.ndarray, batch: int):
    """Batches of pairs of views, a sample at a time.

    Args:
        tables: X (I, V, J, 2), w (I, V, J), rig (I,), R (G, V, V, 3, 3) and t (G, V, V, 3) of
            `posebook.data.views.Views`.
        order: (n, 3) instant and both views of each sample.

    Yields:
        X1, X2, w1, w2, R12, t12, R21 and t21, as `posebook.data.pairs.PairBatch` names them.
    """
    X, w, rig, R, t = tables
    shapes = 2 * [X.shape[2:]] + 2 * [w.shape[2:]] + 2 * [R.shape[3:], t.shape[3:]]
    out = [np.empty((batch, *shape)) for shape in shapes]
    for start in range(0, len(order) - batch + 1, batch):
        for row, (i, a, b) in enumerate(order[start : start + batch]):
            g = rig[i]
            sample = X[i, a], X[i, b], w[i, a], w[i, b], R[g, a, b], t[g, a, b], R[g, b, a]
            for part, value in zip(out, (*sample, t[g, b, a]), strict=True):
                part[row] = value
        yield [torch.from_numpy(part.astype("float32")) for part in out]


def draw_one_by_one(
    buffer: np.ndarray, pixels: np.ndarray, depth: np.ndarray, faces: np.ndarray, first: int
) -> None:
    """`posebook.data.rendered.rasterize.draw`, a triangle at a time: of each pixel of its box it is
    asked on which side of three edges it lies."""
    size = np.array(buffer.shape[:0:-1]) - 1
    for image, points, far in zip(buffer, pixels, depth, strict=True):
        for number, corners in enumerate(faces[:, [0, 2, 1]], first + 1):
            a, b, c = points[corners]
            near = far[corners]
            area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
            low = np.maximum(np.ceil(np.minimum(np.minimum(a, b), c)), 0).astype(int)
            high = np.minimum(np.floor(np.maximum(np.maximum(a, b), c)), size).astype(int)
            if area <= 1e-9 or near.min() <= rasterize.NEAR or (high < low).any():
                continue
            y, x = np.ogrid[low[1] : high[1] + 1, low[0] : high[0] + 1]
            sides = [
                (q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0])
                for p, q in ((b, c), (c, a), (a, b))
            ]
            inside = (sides[0] >= 0) & (sides[1] >= 0) & (sides[2] >= 0)
            value = sum(side / z for side, z in zip(sides, near)) / area
            key = (value * rasterize._DEPTH_UNITS).astype(np.int64) << rasterize._ID_BITS
            here = image[low[1] : high[1] + 1, low[0] : high[0] + 1]
            np.maximum(here, key | number, out=here, where=inside)
