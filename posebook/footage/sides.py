"""Left and right, which detectors mistake for one another in pictures from behind.

One view alone shows a mistake only where it begins and ends. Where three cameras or more see the
person, the others say in each frame on which side a joint is.
"""

from dataclasses import replace

import numpy as np

from posebook.data.records import ViewSequence
from posebook.data.sampled import Sample, fit
from posebook.footage.tracks import runs
from posebook.geometry.skeleton import H36M

CLEAR = 0.5  # of the pixels are left when sides are exchanged
MOST = 0.5  # of the frames: more, and it is the order of joints, which is another doubt
ROUNDS = 4  # one camera of each frame in each
PAIRED = [j for j, other in enumerate(H36M.flip) if j != other]


def with_sides(take: ViewSequence) -> tuple[ViewSequence, list[str]]:
    """The take with left and right put right frame by frame, and a sentence for each camera."""
    V = len(take.cameras)
    exchanged = np.zeros((len(take), V), dtype=bool)
    if V < 3:
        return take, []
    for _ in range(ROUNDS):
        left = np.stack([_left(take, exchanged, v) for v in range(V)], axis=1)
        # In each frame the camera that gains most: it spoils what the others are judged by.
        wrong = (left < CLEAR) & (left == left.min(1, keepdims=True))
        exchanged ^= wrong
        if not wrong.any():
            break
    if exchanged.mean(0).max() > MOST:
        return take, []
    said = [f"camera {c.name}: left and right were exchanged in {runs(np.flatnonzero(wrong))}, as "
            "the other cameras show; put right" for c, wrong in zip(take.cameras, exchanged.T)
            if wrong.any()]  # fmt: skip
    joints, confidence = _exchanged(take, exchanged)
    return replace(take, joints_2d=joints, confidence=confidence), said


def _left(take: ViewSequence, exchanged: np.ndarray, v: int) -> np.ndarray:
    """(T,) which part of a camera's pixels to the other cameras is left if its sides, exchanged so
    far, are exchanged once more."""
    joints, confidence = _exchanged(take, exchanged)
    frames = np.arange(len(take))
    sample = Sample(take.cameras, joints.astype(float), confidence, 0 * frames, frames)
    at = take.cameras[v].project(fit(sample.without(v)).world)
    mine = np.where(confidence[:, v, :, None] > 0, joints[:, v], np.nan)
    now, other = (np.linalg.norm(given - at, axis=-1)[:, PAIRED]
                  for given in (mine, mine[:, H36M.flip]))  # fmt: skip
    both = np.isfinite(now) & np.isfinite(other)
    now, other = (np.where(both, off, 0.0).sum(-1) for off in (now, other))
    return np.where(now > 0, other / np.maximum(now, 1e-9), 1.0)


def _exchanged(take: ViewSequence, exchanged: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    joints, confidence = take.joints_2d.copy(), take.confidence.copy()
    for array in (joints, confidence):
        array[exchanged] = array[exchanged][:, H36M.flip]
    return joints, confidence
