"""A person of MPII, whatever file he or she comes from."""

from pathlib import Path
from typing import Any

import numpy as np

PIXELS_PER_SCALE = 200
SHIFT_DOWN = 15
REMEDY = "take the annotations from the official page anew"
Person = tuple[str, np.ndarray, np.ndarray, np.ndarray, np.ndarray]
# name of the picture, joints (16, 2), annotated (16,), visible (16,), box (4,)


def as_person(
    name: Any,
    joints: np.ndarray,
    labelled: np.ndarray,
    visible: np.ndarray,
    center: np.ndarray,
    scale: float,
    error,
) -> Person:
    """A person from what every form says of one, joints and middle counted from 1.

    Raises:
        ValueError: as `error` makes it, for what is no picture's name and for an absurd scale.
    """
    if not isinstance(name, str) or Path(name).name != name or not name or "\\" in name:
        raise error(f"{str(name)[:60]!r} is no picture's name")
    if not 0 < scale < 1000:
        raise error(f"scale must be a person's height in 200 px, got {scale:g}")
    joints = np.where(labelled[:, None], joints - 1, 0).astype(np.float32)
    return name, joints, labelled, visible, person_box(center - 1, float(scale))


def person_box(center: np.ndarray, scale: float) -> np.ndarray:
    """x1, y1, x2, y2 (4,) of a person from the annotated middle and scale."""
    middle = center + np.array([0, SHIFT_DOWN * scale])
    half = PIXELS_PER_SCALE * scale / 2
    return np.concatenate([middle - half, middle + half]).astype(np.float32)
