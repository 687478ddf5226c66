"""Geometry of several views: triangulation, and the relative pose of two cameras from 2D joints.

Points are *rays*: undistorted image points in units of the focal length, as `Camera.rays` gives
them. Cameras follow `posebook.geometry.camera`: X_cam = R (X_world - center). Computed in float64.
"""

from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

FEWEST_POINTS = 8
# RANSAC in OpenCV is written for pixels, so rays are shown to it through this focal length.
_FOCAL = 1000.0
# People in motion fill a volume: one homography, even at three times the tolerance, carries at
# most three quarters of their joints over. Unrelated points agree in some three of a hundred.
_FLAT_SHARE = 0.9
_AGREE_SHARE = 0.15
# A triangulation is none where rays are parallel (sine of 0.1 degrees; a pixel moves the crossing
# by half its distance) or where it lies this far from a ray.
_PARALLEL = np.sin(np.deg2rad(0.1))
_FAR_BESIDE = 1.0
_NO_DEPTH = 1e-6  # rays from one place cross in it


def triangulate(
    points: np.ndarray,
    R: np.ndarray,
    center: np.ndarray,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """World points (..., 3) from rays (..., V, 2) of V cameras, by linear least squares.

    A camera that sees X at (x, y) gives two equations that are linear in X, with r1, r2, r3 the
    rows of its R: (r1 - x r3)(X - center) = 0 and (r2 - y r3)(X - center) = 0 (the direct linear
    transformation of Hartley and Zisserman, section 12.2, solved for a finite point).

    Args:
        R: (V, 3, 3) world-to-camera rotations.
        center: (V, 3) camera centres, in the unit of the result.
        weights: (..., V), not negative, such as a detector's confidences; they multiply the
            squared residuals. A view of weight 0 is ignored, whatever its point is.

    Returns:
        NaN marks a point that fewer than two views see, or whose rays do not cross (views from
        one place): `np.isnan(result).any(-1)` is its mask.

    Raises:
        ValueError: shapes disagree, a weight is negative or NaN, or a point that counts is NaN.
    """
    points, weights = _checked_views(points, R, center, weights)
    normal = np.zeros((*points.shape[:-2], 3, 3))
    right = np.zeros((*points.shape[:-2], 3))
    for v in range(points.shape[-2]):
        rows = R[v, :2] - points[..., v, :, None] * R[v, 2]  # (..., 2, 3)
        part = weights[..., v, None, None] * (rows.swapaxes(-1, -2) @ rows)
        normal += part
        right += part @ center[v]
    unsolved = (np.count_nonzero(weights, axis=-1) < 2) | _is_singular(normal)
    normal[unsolved], right[unsolved] = np.eye(3), np.nan
    return np.linalg.solve(normal, right[..., None])[..., 0]


def collapsed(
    points: np.ndarray, world: np.ndarray, R: np.ndarray, center: np.ndarray, used: np.ndarray
) -> np.ndarray:
    """Which triangulated points (...,) are none: their rays do not tell where the joint is.

    The rays are parallel to a tenth of a degree, the point lies in or behind a camera that saw it,
    or is seen by one more than 45 degrees beside its ray.

    Args:
        points: (..., V, 2) rays. world: (..., 3) what `triangulate` made of them.
        used: (..., V) bool, the views that it was made from.
    """
    local = np.einsum("vij,...vj->...vi", R, world[..., None, :] - center)
    depth = local[..., 2]
    with np.errstate(all="ignore"):
        missed = np.linalg.norm(local[..., :2] / depth[..., None] - points, axis=-1)
    bad = (used & ~((depth > _NO_DEPTH) & (missed < _FAR_BESIDE))).any(-1)
    towards = np.concatenate([points, np.ones_like(points[..., :1])], axis=-1)
    towards = np.einsum("vji,...vj->...vi", R, towards)
    towards /= np.linalg.norm(towards, axis=-1, keepdims=True)
    apart = np.zeros(bad.shape)
    for a, b in combinations(range(len(R)), 2):
        sine = np.linalg.norm(np.cross(towards[..., a, :], towards[..., b, :]), axis=-1)
        apart = np.maximum(apart, np.where(used[..., a] & used[..., b], sine, 0))
    return bad | (apart < _PARALLEL)


def estimate_relative_pose(
    rays1: np.ndarray,
    rays2: np.ndarray,
    baseline: float,
    threshold: float = 0.003,
    refine: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """(R_1to2, t_1to2) of equation 3.4 from joints that two cameras saw, without extrinsics.

    The thesis' recipe (section 3.4.2): a fundamental matrix F with x2^T F x1 = 0 by RANSAC, the
    essential matrix E = K2^T F K1, its four decompositions, and the one that puts the points in
    front of both cameras. One frame's 17 joints are too few and nearly degenerate: give the
    joints of many frames. The scale cannot be seen and comes from `baseline`. Deterministic.

    Args:
        rays1, rays2: (N, 2) corresponding rays.
        baseline: distance of the two camera centres.
        threshold: largest distance to an epipolar line that counts as agreement, in rays: pixels
            divided by the focal length.
        refine: afterwards minimise the distances to the epipolar lines over all points, robustly.
            Not in the thesis; on the noisy joints of the embedded views it lowers most errors
            severalfold (page "How good are recovered cameras?").

    Returns:
        R (3, 3) and t (3,), in the baseline's unit, with X_2 = R (X_1 - t).

    Raises:
        ValueError: fewer than 8 points, no baseline, points that do not correspond, or points
            from which no baseline can be told: all in one plane, or seen from one place. Or the
            refinement does not settle.
    """
    rays1, rays2 = _checked_pairs(rays1, rays2, baseline, threshold)
    pixels1, pixels2 = rays1 * _FOCAL, rays2 * _FOCAL
    F, agree = _fundamental(pixels1, pixels2, threshold * _FOCAL)
    _refuse_flat(pixels1[agree], pixels2[agree], threshold * _FOCAL)
    K = np.diag([_FOCAL, _FOCAL, 1.0])
    E = nearest_essential(K.T @ F @ K)
    in_front, R, s, _ = cv2.recoverPose(E, rays1[agree], rays2[agree], np.eye(3))
    if in_front < len(rays1[agree]) / 2:
        raise ValueError(
            "estimate_relative_pose: no decomposition puts most points in front of both cameras; "
            "check that both sets list the same joints"
        )
    s = s[:, 0]
    if refine:
        R, s = _refined(R, s, rays1, rays2, threshold)
    # OpenCV's X_2 = R X_1 + s, |s| = 1, is ours with t = -R^T s.
    return R, -R.T @ s * baseline


def epipolar_distance(E: np.ndarray, rays1: np.ndarray, rays2: np.ndarray) -> np.ndarray:
    """Signed distance (..., N) of ray pairs (..., N, 2) from agreement with x2^T E x1 = 0.

    First order (Sampson; Hartley and Zisserman, section 11.4.3), in rays.
    """
    x1, x2 = (np.concatenate([rays, np.ones_like(rays[..., :1])], -1) for rays in (rays1, rays2))
    line2, line1 = x1 @ E.swapaxes(-1, -2), x2 @ E
    slope = np.sqrt((line1[..., :2] ** 2).sum(-1) + (line2[..., :2] ** 2).sum(-1))
    return (x2 * line2).sum(-1) / np.maximum(slope, np.finfo(slope.dtype).tiny)


def nearest_essential(E: np.ndarray) -> np.ndarray:
    """The matrix (3, 3) nearest to `E` whose singular values are 1, 1, 0, as an essential one's."""
    U, _, Vt = np.linalg.svd(E)
    return U @ np.diag([1.0, 1.0, 0.0]) @ Vt


def _fundamental(pixels1, pixels2, threshold) -> tuple[np.ndarray, np.ndarray]:
    """F from all points that agree with RANSAC's best sample, and which these are, (N,) bool."""
    F, agree = cv2.findFundamentalMat(pixels1, pixels2, cv2.FM_RANSAC, threshold, 0.999, 10_000)
    if F is None or F.shape != (3, 3) or agree.sum() < FEWEST_POINTS:
        raise _no_baseline()
    agree = agree[:, 0].astype(bool)
    if agree.mean() < _AGREE_SHARE:
        raise ValueError(
            f"estimate_relative_pose: only {100 * agree.mean():.0f} % of the points agree on any "
            "pair of cameras; check that both sets list the same joints, or raise the threshold"
        )
    F, _ = cv2.findFundamentalMat(pixels1[agree], pixels2[agree], cv2.FM_8POINT)
    if F is None:
        raise _no_baseline()
    return F, agree


def _refuse_flat(pixels1, pixels2, threshold) -> None:
    """Refuse points that one homography carries over: a plane, or cameras in one place."""
    H, flat = cv2.findHomography(pixels1, pixels2, cv2.RANSAC, 3 * threshold)
    if H is None or flat.mean() > _FLAT_SHARE:
        raise _no_baseline()


def _refined(R, s, rays1, rays2, threshold) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and unit translation of least robust epipolar distance, starting from (R, s)."""
    from scipy.optimize import least_squares  # a quarter of a second, so only where it is used

    def pose(step):
        moved = s + step[3:]
        # The same lines belong to s and -s, but only s has the points in front of the cameras.
        moved *= np.sign(moved @ s) / np.linalg.norm(moved)
        return Rotation.from_rotvec(step[:3]).as_matrix() @ R, moved

    def distances(step):
        turned, moved = pose(step)
        return epipolar_distance(np.cross(moved, turned, axisb=0, axisc=0), rays1, rays2)

    # Cauchy's loss, because a wrongly detected joint should hardly pull at all.
    found = least_squares(distances, np.zeros(6), loss="cauchy", f_scale=threshold)
    if not found.success:
        raise ValueError(
            f"estimate_relative_pose: the refinement has not settled after {found.nfev} steps "
            f"(slope {found.optimality:.1g}); check that both sets list the same joints, or take "
            "refine=False"
        )
    return pose(found.x)


def _no_baseline() -> ValueError:
    return ValueError(
        "estimate_relative_pose: the points tell no baseline: they lie in one plane, or both "
        "cameras stand in one place; give joints of many frames, seen from two places"
    )


def _is_singular(normal: np.ndarray) -> np.ndarray:
    eigenvalues = np.linalg.eigvalsh(normal)
    return eigenvalues[..., 0] <= 1e-12 * eigenvalues[..., 2]


def _checked_views(points, R, center, weights) -> tuple[np.ndarray, np.ndarray]:
    points = np.asarray(points, dtype=np.float64)
    views = len(R)
    if R.shape != (views, 3, 3) or center.shape != (views, 3):
        raise ValueError(
            f"triangulate: R must be (V, 3, 3) and center (V, 3), got {R.shape}, {center.shape}"
        )
    if points.ndim < 2 or points.shape[-2:] != (views, 2) or views < 2:
        raise ValueError(
            f"triangulate: points must be (..., V, 2) with V = {views} >= 2 views, "
            f"got {points.shape}"
        )
    weights = np.ones(points.shape[:-1]) if weights is None else np.asarray(weights, np.float64)
    if weights.shape != points.shape[:-1]:
        raise ValueError(
            f"triangulate: weights must be {points.shape[:-1]}, as the points, got {weights.shape}"
        )
    if not (weights >= 0).all() or np.isinf(weights).any():
        raise ValueError("triangulate: weights must be finite and not negative")
    points = np.where(weights[..., None] > 0, points, 0.0)
    if not np.isfinite(points).all():
        raise ValueError("triangulate: a point is NaN or infinite; give its view the weight 0")
    return points, weights


def _checked_pairs(rays1, rays2, baseline, threshold) -> tuple[np.ndarray, np.ndarray]:
    rays1, rays2 = np.asarray(rays1, np.float64), np.asarray(rays2, np.float64)
    if rays1.shape != rays2.shape or rays1.ndim != 2 or rays1.shape[1] != 2:
        raise ValueError(
            "estimate_relative_pose: rays1 and rays2 must both be (N, 2), "
            f"got {rays1.shape} and {rays2.shape}"
        )
    if len(rays1) < FEWEST_POINTS:
        raise ValueError(
            f"estimate_relative_pose: {len(rays1)} points are fewer than {FEWEST_POINTS}; "
            "give the joints of several frames"
        )
    if not (np.isfinite(rays1).all() and np.isfinite(rays2).all()):
        raise ValueError("estimate_relative_pose: a ray is NaN or infinite; leave such pairs out")
    for name, value in (("baseline", baseline), ("threshold", threshold)):
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"estimate_relative_pose: {name} must be positive, got {value}")
    return rays1, rays2
