"""MATLAB files of official data sets, whose fields must be as the data set has them.

Whatever is wrong with a file is one sentence that names the file, the field and the remedy.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from posebook.data.formats.files import read_bytes
from posebook.data.formats.mat5 import Unreadable, parse

MOST = 1e9  # above any pixel, millimetre or count: a damaged file
UNPACK_ANEW = "unpack the official archive anew"


@dataclass(frozen=True, eq=False)
class MatFile:
    """The fields of one file. `remedy` ends each sentence about what is wrong with it."""

    path: Path
    fields: Mapping[str, Any]
    remedy: str = UNPACK_ANEW

    def __contains__(self, field: str) -> bool:
        return field in self.fields

    def __getitem__(self, field: str) -> Any:
        """The plain value of a field; ValueError if the file has none."""
        if field not in self.fields:
            known = ", ".join(sorted(self.fields)) or "none at all"
            raise self.error(field, f"is missing (its fields: {known})")
        return self.fields[field]

    def array(self, field: str, *shape: int | None, dtype=np.float64) -> np.ndarray:
        """A numeric field as `dtype` of this shape, None standing for any length.

        MATLAB keeps no last axis of length one; it is put back.

        Raises:
            ValueError: for another shape or type and for what is not finite.
        """
        return numeric(self[field], shape, lambda problem: self.error(field, problem), dtype)

    def number(self, field: str) -> float:
        """A field that holds one number, of whatever numeric type."""
        return one_number(self[field], lambda problem: self.error(field, problem))

    def text(self, field: str) -> str:
        """A field that holds a word."""
        value = self[field]
        if not isinstance(value, str):
            raise self.error(field, f"must be text, got {described(value)}")
        return value

    def error(self, field: str, problem: str) -> ValueError:
        return ValueError(f"{self.path}: {field} {problem}; {self.remedy}")


def read_mat(path: Path, remedy: str = UNPACK_ANEW) -> MatFile:
    """Read a MATLAB 5 file whole.

    Raises:
        ValueError: naming the file and the remedy, for a file of another format, cut short,
            damaged, too large, or with MATLAB objects in it.
        OSError: if it cannot be opened.
    """
    content = read_bytes(path, remedy)
    try:
        fields = parse(content, f"reading {path.name}")
    except Unreadable as problem:
        raise ValueError(f"{path} {problem}; {remedy}") from None
    except (ValueError, RecursionError, MemoryError, struct.error) as problem:
        reason = str(problem).splitlines()[0][:80] or type(problem).__name__
        raise ValueError(f"{path} is damaged ({reason}); {remedy}") from None
    return MatFile(path, fields, remedy)


def numeric(
    value: Any,
    shape: tuple[int | None, ...],
    error: Callable[[str], ValueError],
    dtype=np.float64,
) -> np.ndarray:
    """`value` as finite numbers of `shape`; `error` makes the exception from the problem.

    They are cast before any arithmetic: labels come as uint8, where 200 + 100 is 44.
    """
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "uifb":
        raise error(f"must be numbers, got {described(value)}")
    if value.ndim == len(shape) - 1:
        value = value[..., None]
    if not _fits(value.shape, shape):
        wanted = " x ".join("any" if n is None else str(n) for n in shape)
        raise error(f"must be {wanted}, got {described(value)}{_swapped(value.shape, shape)}")
    if value.dtype.itemsize > 2 and not (np.abs(value) < MOST).all():
        index = tuple(int(i) for i in np.argwhere(~(np.abs(value) < MOST))[0])
        what = "no number that can be meant" if np.isfinite(value[index]) else "not finite"
        raise error(f"is {what} at index {index}")
    return value.astype(dtype, copy=False)


def one_number(value: Any, error: Callable[[str], ValueError]) -> float:
    """`value`, which must be one finite number; `error` as for `numeric`."""
    if not isinstance(value, np.ndarray) or value.size != 1:
        raise error(f"must be one number, got {described(value)}")
    return float(numeric(value.reshape(1), (1,), error)[0])


def described(value: Any) -> str:
    """What a value is, in a few words for an error message."""
    if isinstance(value, np.ndarray):
        return f"{' x '.join(map(str, value.shape))} of {value.dtype}"
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    if isinstance(value, dict):
        return "a struct"
    return f"{len(value)} cells or structs" if isinstance(value, list) else type(value).__name__


def _fits(found: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    return len(found) == len(shape) and all(
        wanted in (None, n) for n, wanted in zip(found, shape, strict=True)
    )


def _swapped(found: tuple[int, ...], shape: tuple[int | None, ...]) -> str:
    fixed = sorted(n for n in shape if n is not None)
    rest = list(found)
    if len(found) != len(shape) or any(n not in rest or rest.remove(n) for n in fixed):
        return ""
    return " (its axes are in another order)"
