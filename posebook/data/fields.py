"""Fields of records: converted where it is clear what is meant, refused otherwise."""

from collections.abc import Callable, Sequence
from numbers import Real

import numpy as np

from posebook.geometry.camera import Camera


def convert(record, where: str, to: Callable, *fields: str) -> None:
    """Replace fields that are not None by `to` of them; its ValueError gets record and field."""
    for field in fields:
        given = getattr(record, field)
        if given is None and field in ("joints_3d", "occluded", "annotated"):
            continue
        try:
            object.__setattr__(record, field, to(given))
        except ValueError as error:
            raise ValueError(f"{where}: {field} {error}") from None


def fill_unknown(record, field: str, unknown: np.ndarray) -> None:
    """Points of a field that are NaN or infinite become 0 where they are known to be unknown."""
    points = getattr(record, field)
    if unknown.shape == points.shape[:-1]:
        bad = unknown[..., None] & ~np.isfinite(points)
        if bad.any():
            object.__setattr__(record, field, np.where(bad, 0, points))


def cameras(given) -> tuple[Camera, ...]:
    if isinstance(given, Camera) or not isinstance(given, Sequence):
        raise ValueError(f"must be a sequence of cameras, got a {type(given).__name__}")
    for number, camera in enumerate(given):
        if not isinstance(camera, Camera):
            raise ValueError(f"must be Cameras, number {number} is a {type(camera).__name__}")
    return tuple(given)


def text(given) -> str:
    if not isinstance(given, str):
        raise ValueError(f"must be a text, got {given!r}")
    return given


def rate(given) -> float:
    if not isinstance(given, Real) or not 0 < given < np.inf:
        raise ValueError(f"must be a positive number of frames a second, got {given!r}")
    return float(given)
