"""MATLAB 5 files as plain Python: structs are dicts, cells and struct arrays are lists.

SciPy does the reading. What is added here: compressed parts are checked and bounded before anything
is built from them, MATLAB objects are refused, and whatever is wrong is one sentence that names the
file and the field.
"""

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatlabFunction, MatlabOpaque

LARGEST = 2**31  # bytes of one file when unpacked; the largest official file takes a fifth of it
HEADER = 128
MATRIX, COMPRESSED = 14, 15  # the two kinds of element that a file may hold at its top

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

        MATLAB keeps no last axis of length one; it is put back. Raises ValueError for another shape
        or type and for what is not finite.
        """
        return numeric(self[field], shape, lambda problem: self.error(field, problem), dtype)

    def number(self, field: str) -> float:
        """A field that holds one number, of whatever numeric type."""
        value = self[field]
        if not isinstance(value, np.ndarray) or value.size != 1:
            raise self.error(field, f"must be one number, got {described(value)}")
        return float(numeric(value.reshape(1), (1,), lambda p: self.error(field, p))[0])

    def text(self, field: str) -> str:
        """A field that holds a word."""
        value = self[field]
        if not isinstance(value, str):
            raise self.error(field, f"must be text, got {described(value)}")
        return value

    def error(self, field: str, problem: str) -> ValueError:
        return ValueError(f"{self.path}: {field} {problem}; {self.remedy}")


def read_mat(path: Path, remedy: str = UNPACK_ANEW, largest: int = LARGEST) -> MatFile:
    """Read a MATLAB 5 file whole.

    largest: bytes that the file may take when its compressed parts are unpacked.

    Raises ValueError, naming the file and the remedy, for a file of another format, cut short,
    damaged, too large, or with MATLAB objects in it.
    """
    content = path.read_bytes()
    try:
        unpacked = _unpacked(content, largest)
        fields = loadmat(BytesIO(unpacked), chars_as_strings=True, struct_as_record=True)
        plain = {name: _plain(value) for name, value in fields.items() if name[:2] != "__"}
    except _Unreadable as problem:
        raise ValueError(f"{path} {problem}; {remedy}") from None
    except Exception as problem:  # SciPy raises a dozen types on bytes that are no such file
        raise ValueError(f"{path} is damaged ({_first_line(problem)}); {remedy}") from problem
    return MatFile(path, plain, remedy)


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
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
        raise error(f"is not finite at index {index}")
    return value.astype(dtype, copy=False)


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


class _Unreadable(Exception):
    """Why a file cannot be read, in words that follow its name."""


def _unpacked(content: bytes, largest: int) -> bytes:
    """The same file without compression, every part of it checked for length and sum."""
    if content[:8] == b"\x89HDF\r\n\x1a\n" or content[:10] == b"MATLAB 7.3":
        raise _Unreadable(
            "is a MATLAB 7.3 (HDF5) file and the data set comes in MATLAB 5; somebody has saved it "
            "again, in MATLAB save it with -v7"
        )
    order = {b"IM": "<", b"MI": ">"}.get(content[126:HEADER])
    if order is None:
        raise _Unreadable("is no MATLAB 5 file" if content else "is empty")
    parts, at, total = [content[:HEADER]], HEADER, 0
    while at < len(content):
        if at + 8 > len(content):
            raise _Unreadable("is cut short")
        kind, length = struct.unpack(order + "II", content[at : at + 8])
        if at + 8 + length > len(content):
            raise _Unreadable("is cut short")
        if kind not in (MATRIX, COMPRESSED):
            raise _Unreadable("is damaged (unknown part)")
        part = content[at : at + 8 + length]
        parts.append(part if kind == MATRIX else _inflated(part[8:], largest - total))
        total += len(parts[-1])
        at += 8 + length
    if len(parts) == 1:
        raise _Unreadable("holds nothing")
    return b"".join(parts)


def _inflated(compressed: bytes, most: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(compressed, max(most, 1))
    except zlib.error as problem:
        raise _Unreadable(f"is damaged ({problem})") from None
    if not stream.eof:
        raise _Unreadable("is larger than any official one" if len(plain) >= most else "is damaged")
    return plain


def _plain(value: Any) -> Any:
    """MATLAB's values as dicts, lists, text and numeric arrays."""
    if isinstance(value, MatlabOpaque | MatlabFunction):
        raise _Unreadable("holds a MATLAB object or function, which no data set does")
    if isinstance(value, np.void):
        return {name: _plain(value[name]) for name in value.dtype.names}
    if not isinstance(value, np.ndarray):
        raise _Unreadable(f"holds a {type(value).__name__}, which no data set does")
    if value.dtype.names or value.dtype.kind == "O":
        items = [_plain(item) for item in value.ravel(order="F")]
        return items[0] if value.dtype.names and len(items) == 1 else items
    if value.dtype.kind == "U":
        words = value.ravel().tolist()
        return "".join(words) if len(words) < 2 else words
    return value


def _first_line(problem: Exception) -> str:
    return (str(problem).splitlines() or [""])[0][:120] or type(problem).__name__
