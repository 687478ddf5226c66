"""Joints that nobody saw: filled in, because a network cannot read a gap."""

import numpy as np

from posebook.geometry.skeleton import H36M


def along_time(points: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Points (T, J, D) whose unknown ones are interpolated along time; before and after, held.

    Args:
        known: (T, J) which points are known. A joint that is never known is left as it is.
    """
    points, time = points.copy(), np.arange(len(points))
    for j in np.flatnonzero(known.any(0) & ~known.all(0)):
        there = known[:, j]
        for axis in range(points.shape[-1]):
            points[:, j, axis] = np.interp(time, time[there], points[there, j, axis])
    return points


def fill_missing(rays: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Rays (T, J, 2) of one view with missing joints filled in, those of `confidence` 0.

    A network cannot read a gap: a joint is interpolated between the frames that show it, and one
    that no frame shows takes the place of its nearest found ancestor. Its confidence stays 0, so
    no loss counts it.
    """
    found = confidence > 0
    if found.all():
        return rays
    rays, seen = along_time(rays, found), found.any(axis=0)
    middle = rays[:, seen].mean(axis=1) if seen.any() else np.zeros_like(rays[:, 0])
    for joint in np.flatnonzero(~seen):  # a parent comes before its children
        parent = H36M.parents[joint]
        rays[:, joint] = rays[:, parent] if parent >= 0 else middle
    return rays
