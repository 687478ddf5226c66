"""Numbers and flags as people hand them over: arrays, nested lists, tensors."""

import numpy as np
from torch import Tensor

_SHAPES = {
    "R": (3, 3), "center": (3,), "T": (3,), "quaternion": (4,), "focal": (2,), "principal": (2,),
    "radial": (3,), "tangential": (2,), "distortion": (-1,), "fisheye": (4,),
}  # fmt: skip
_REMEDIES = {
    "R": "; of a rotation vector take cv2.Rodrigues(rvec)[0]",
    "focal": "; of a matrix K take (K[0, 0], K[1, 1]), and K[:2, 2] as principal",
    "radial": "; OpenCV's k1, k2, p1, p2[, k3[, k4, k5, k6]] goes into distortion",
}


def numbers(given) -> np.ndarray:
    """An array of floats: as it is, or from whole numbers, flags, lists or a tensor.

    Raises:
        ValueError: that says what it is instead; it reads on from the name of a field.
    """
    if isinstance(given, Tensor):
        given = given.detach().cpu().numpy()
    try:
        array = np.asarray(given)
    except ValueError:
        raise ValueError("must be one array of numbers, got lists of unequal length") from None
    if array.dtype.kind in "iub":
        return array.astype(np.float64)
    if array.dtype.kind != "f":
        what = f"array of {array.dtype}" if isinstance(given, np.ndarray) else repr(given)
        raise ValueError(f"must be numbers, got {what[:60]}")
    return array


def calibration(camera: str, field: str, given) -> np.ndarray:
    """A camera's field in double precision; a column or a row is as good as a vector.

    Raises:
        ValueError: with camera, field and what was given, for another shape or what is not finite.
    """
    shape = _SHAPES[field]
    try:
        value = numbers(given).astype(np.float64)
    except ValueError as error:
        raise ValueError(f"camera {camera!r}: {field} {error}") from None
    if len(shape) == 1 and value.ndim == 2 and 1 in value.shape:
        value = value.ravel()
    if field == "focal" and value.ndim == 0:
        value = np.tile(value, 2)
    if value.ndim != len(shape) or -1 not in shape and value.shape != shape:
        raise ValueError(
            f"camera {camera!r}: {field} must be {shape} finite numbers, got shape "
            f"{value.shape}{_REMEDIES.get(field, '')}"
        )
    if not np.isfinite(value).all():
        raise ValueError(
            f"camera {camera!r}: {field} must be {shape} finite numbers, got {value.tolist()}"
        )
    return value


def flags(given) -> np.ndarray:
    """An array of bools: as it is, or from numbers that are all 0 or 1. Raises as `numbers`."""
    if isinstance(given, np.ndarray) and given.dtype == bool:
        return given
    array = numbers(given)
    other = array[(array != 0) & (array != 1)]
    if other.size:
        raise ValueError(
            f"must be True or False (or 1 and 0), it holds {other[0]:g}; of COCO's visibility "
            "0, 1, 2 take flags == 2 as visible and flags > 0 as annotated"
        )
    return array.astype(bool)
