"""Whether 2D joints and recorded poses of Human3.6M are of the same instants, cameras and lens."""

from dataclasses import replace
from functools import cache

import numpy as np

from posebook.data.official.human36m.takes import CAMERAS, DAMAGED
from posebook.data.recorded.rig import human36m_rig
from posebook.data.records import ViewSequence
from posebook.geometry.camera import Camera

# Median distance between detections and projected truth above which they cannot be of one take.
# A detector is some 5 px away, a slipped marker some 50, another camera's view some 200.
MOST_DISTANCE = 100.0
EXACT = 0.02  # pixels: a projection in single precision


def lens_order(sequences: list[ViewSequence]) -> str:
    """In which order the tangential distortion was used for true 2D joints.

    "metadata": as the data set has it; "swapped": VideoPose3D's formula was given the numbers in
    the data set's own order, which moves points by up to 1.1 px; "unknown": neither fits.
    """
    for order, change in (("metadata", lambda s: s), ("swapped", swap_lens)):
        if all(distances(change(s)).max() < EXACT for s in sequences):
            return order
    return "unknown"


def distances(sequence: ViewSequence, frames: int = 8) -> np.ndarray:
    """Median distance (V,) in pixels between 2D joints and projected 3D joints, a few frames."""
    return np.diagonal(_distances(sequence, frames))


def _distances(sequence: ViewSequence, frames: int) -> np.ndarray:
    """Median distance (V, V) of each view's 2D joints from the projection into each camera."""
    at = np.unique(np.linspace(0, len(sequence) - 1, frames).astype(int))
    world = sequence.joints_3d[at].astype(np.float64)
    projected = np.stack([camera.project(world) for camera in sequence.cameras], axis=1)
    apart = np.linalg.norm(sequence.joints_2d[at, :, None] - projected[:, None], axis=-1)
    return np.median(np.nan_to_num(apart, nan=np.inf), axis=(0, 3))  # behind a camera: no pixel


def swap_lens(sequence: ViewSequence) -> ViewSequence:
    source = f"{sequence.source}, tangential distortion swapped"
    return replace(sequence, cameras=_swapped_rig(sequence.subject), source=source)


@cache
def _swapped_rig(subject: str) -> tuple[Camera, ...]:
    """Made once: how far a lens reaches takes longer to find than a take to project."""
    return tuple(replace(c, tangential=c.tangential[::-1]) for c in human36m_rig(subject))


def check_fit(sequence: ViewSequence) -> bool:
    """True where detections and recorded joints are of the same instants, cameras and units."""
    if (sequence.subject, sequence.action) in DAMAGED:
        return True
    apart = _distances(sequence, frames=8)
    far, nearest = np.diagonal(apart), apart.argmin(axis=1)
    if (nearest != np.arange(len(nearest))).any():
        view = int(np.flatnonzero(nearest != np.arange(len(nearest)))[0])
        problem = f"of camera {CAMERAS[view]} fit camera {CAMERAS[nearest[view]]} better"
    elif far.max() > MOST_DISTANCE:
        view = int(far.argmax())
        problem = f"lie {far[view]:.0f} px (median) from the 3D joints in camera {CAMERAS[view]}"
    else:
        return True
    raise ValueError(
        f"{sequence.source}: joints_2d of {sequence.subject}/{sequence.action} {problem}; 2D and "
        "3D are not of one preparation, or views, axes or units are changed"
    )
