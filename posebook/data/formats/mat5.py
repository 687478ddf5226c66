"""The MATLAB 5 format in Python alone: bytes to dicts, lists, text and arrays.

SciPy reads these files too, but a few flipped bits in an uncompressed one bring its compiled reader
down, and Python with it (19 of 500 damaged files, SciPy 1.17). Here every length is checked before
it is used, so that the worst file raises `Unreadable`. SciPy writes the files of the tests.

The format, in short: a header of 128 bytes, then elements. An element is a tag, its type and length
in bytes, and data, padded to 8 bytes. A matrix is an element whose data are elements: flags,
dimensions, name, then numbers, text, or matrices again.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from tqdm.auto import tqdm

LARGEST = 2**31  # bytes of one file when unpacked; the largest official file takes a fifth of it
HEADER = 128
MATRIX, COMPRESSED = 14, 15
NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip

CELL, STRUCT, TEXT = 1, 2, 4
# A matrix's class says its type in MATLAB; its numbers may be stored as a smaller one.
CLASSES = {
    6: np.float64, 7: np.float32, 8: np.int8, 9: np.uint8, 10: np.int16, 11: np.uint16,
    12: np.int32, 13: np.uint32, 14: np.int64, 15: np.uint64,
}  # fmt: skip

OTHER = {3: "an object", 5: "a sparse matrix", 16: "a function", 17: "an object"}
COMPLEX, LOGICAL = 0x800, 0x200


class Unreadable(Exception):
    """Why a file cannot be read, in words that follow its name."""


def parse(content: bytes, title: str) -> dict[str, Any]:
    """Name -> value of every matrix in a file.

    Structs are dicts; cells and arrays of structs are lists, column by column as MATLAB counts; one
    line of text is a str, several are a list; numbers are arrays of at least two axes.

    Args:
        title: of the progress bar.

    Raises:
        Unreadable: it is damaged, of another format or too large.
    """
    order = _byte_order(content)
    fields, total = {}, 0
    for part in _parts(content, order):
        total += len(part)
        if total > LARGEST:
            raise Unreadable("is larger than any official one")
        name, value = _Matrices(part, order, title).read_all()
        fields[name] = value
    if not fields:
        raise Unreadable("holds nothing")
    return fields


def _byte_order(content: bytes) -> str:
    if content[:8] == b"\x89HDF\r\n\x1a\n" or content[:10] == b"MATLAB 7.3":
        raise Unreadable(
            "is a MATLAB 7.3 (HDF5) file and the data set comes in MATLAB 5: somebody has saved it "
            "again, in MATLAB save it with -v7"
        )
    order = {b"IM": "<", b"MI": ">"}.get(content[126:HEADER])
    if order is None:
        raise Unreadable("is no MATLAB 5 file" if content else "is empty")
    return order


def _parts(content: bytes, order: str) -> Iterator[bytes]:
    """Each matrix of a file with its tag, unpacked where it was compressed."""
    at = HEADER
    while at < len(content):
        if at + 8 > len(content):
            raise Unreadable("is cut short")
        kind, length = struct.unpack_from(order + "II", content, at)
        part = content[at : at + 8 + length]
        if len(part) < 8 + length:
            raise Unreadable("is cut short")
        if kind not in (MATRIX, COMPRESSED):
            raise Unreadable("is damaged (unknown part)")
        yield part if kind == MATRIX else _inflated(part[8:], order)
        at += 8 + length


def _inflated(compressed: bytes, order: str) -> bytes:
    """A matrix with its tag, unpacked from `compressed`.

    Its own tag says how many bytes it has, and those must be there. A final block with zlib's sum
    need not be: where a matrix is exactly one buffer of 16,384 bytes, MATLAB leaves it out.
    """
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(compressed, LARGEST)
    except zlib.error as problem:
        raise Unreadable(f"is damaged ({problem})") from None
    if len(plain) >= LARGEST:
        raise Unreadable("is larger than any official one")
    announced = 8 + struct.unpack_from(order + "II", plain)[1] if len(plain) >= 8 else 8
    if len(plain) < announced or not (stream.eof or len(plain) == announced):
        raise Unreadable(f"is damaged (a part has {len(plain):,} of {announced:,} bytes)")
    return plain


class _Matrices:
    """Reads one matrix and all that it holds from `data`."""

    def __init__(self, data: bytes, order: str, title: str) -> None:
        self.data, self.order, self.left = data, order, 2 * LARGEST
        self.tag = struct.Struct(order + "II").unpack_from
        self.types = {kind: np.dtype(order + code) for kind, code in NUMBERS.items()}
        small = len(data) < 2**24  # read in a moment; to make a bar would take longer
        self.bar = tqdm(
            total=len(data), desc=title, unit="B", unit_scale=True, delay=5, disable=small
        )
        self.count = 0

    def read_all(self) -> tuple[str, Any]:
        with self.bar:
            name, value, _ = self.matrix(0, len(self.data))
        return name, value

    def element(self, at: int, end: int) -> tuple[int, int, int, int]:
        """Type, start and stop of the data of the element at `at`, and where the next one is."""
        if at + 8 > end:
            raise Unreadable("is damaged (a part ends too early)")
        kind, length = self.tag(self.data, at)
        if kind >> 16:  # up to 4 bytes of data stand in the tag itself
            kind, length = kind & 0xFFFF, kind >> 16
            if length > 4:
                raise Unreadable("is damaged (a wrong length)")
            return kind, at + 4, at + 4 + length, at + 8
        stop = at + 8 + length
        if stop > end:
            raise Unreadable("is damaged (a part reaches too far)")
        return kind, at + 8, stop, stop + -length % 8

    def matrix(self, at: int, end: int) -> tuple[str, Any, int]:
        """Name and value of the matrix at `at`, and where the next one is."""
        self.count += 1
        if not self.count & 0xFFF:
            self.bar.update(at - self.bar.n)
        kind, at, end, after = self.element(at, end)
        if kind != MATRIX:
            raise Unreadable("is damaged (a matrix is missing)")
        if at == end:
            return "", np.zeros((0, 0)), after
        _, start, stop, at = self.element(at, end)
        if stop - start != 8:
            raise Unreadable("is damaged (wrong flags)")
        flags, _ = self.tag(self.data, start)
        _, start, stop, at = self.element(at, end)
        shape = struct.unpack_from(f"{self.order}{(stop - start) // 4}i", self.data, start)
        if not 2 <= len(shape) <= 8 or min(shape) < 0:
            raise Unreadable("is damaged (wrong dimensions)")
        _, start, stop, at = self.element(at, end)
        name = self.data[start:stop].decode("latin-1")
        return name, self.value(flags, shape, at, end), after

    def value(self, flags: int, shape: tuple[int, ...], at: int, end: int) -> Any:
        """What stands behind flags, dimensions and name."""
        kind = flags & 0xFF
        if kind in CLASSES:
            return self.numbers(flags, shape, at, end)
        if kind == TEXT:
            return self.text(shape, at, end)
        if kind == CELL:
            return [value for (value,) in self.items(math.prod(shape), 1, at, end)]
        if kind == STRUCT:
            return self.structs(math.prod(shape), at, end)
        raise Unreadable(f"holds {OTHER.get(kind, 'something unknown')}, which no data set does")

    def numbers(self, flags: int, shape: tuple[int, ...], at: int, end: int) -> np.ndarray:
        wanted = np.dtype(bool if flags & LOGICAL else CLASSES[flags & 0xFF])
        # Small whole numbers are stored in a byte each, whatever they become.
        self.left -= math.prod(shape) * (16 if flags & COMPLEX else wanted.itemsize)
        if self.left < 0:
            raise Unreadable("is larger than any official one")
        real, at = self.column(math.prod(shape), at, end)
        if flags & COMPLEX:
            both = real.astype(complex)
            both.imag = self.column(math.prod(shape), at, end)[0]
            return both.reshape(shape, order="F")
        with np.errstate(invalid="ignore", over="ignore"):
            return real.astype(wanted).reshape(shape, order="F")

    def column(self, count: int, at: int, end: int) -> tuple[np.ndarray, int]:
        """`count` numbers in the order of the file."""
        kind, start, stop, after = self.element(at, end)
        dtype = self.types.get(kind)
        if dtype is None or stop - start != count * dtype.itemsize:
            raise Unreadable("is damaged (numbers and dimensions do not fit)")
        return np.frombuffer(self.data, dtype, count, start), after

    def text(self, shape: tuple[int, ...], at: int, end: int) -> str | list[str]:
        if math.prod(shape) == 0:
            return ""
        kind, start, stop, _ = self.element(at, end)
        big = "be" if self.order == ">" else "le"
        coding = {1: "latin-1", 2: "latin-1", 4: f"utf-16-{big}", 16: "utf-8"}
        coding |= {17: f"utf-16-{big}", 18: f"utf-32-{big}"}
        if kind not in coding:
            raise Unreadable("is damaged (text of an unknown kind)")
        letters = self.data[start:stop].decode(coding[kind])
        if shape[0] == 1:
            return letters
        if len(letters) != math.prod(shape):
            raise Unreadable("is damaged (text and dimensions do not fit)")
        return [letters[line :: shape[0]] for line in range(shape[0])]

    def structs(self, count: int, at: int, end: int) -> dict[str, Any] | list[dict[str, Any]]:
        _, start, stop, at = self.element(at, end)
        if stop - start != 4:
            raise Unreadable("is damaged (wrong length of field names)")
        (width,) = struct.unpack_from(self.order + "i", self.data, start)
        _, start, stop, at = self.element(at, end)
        if width <= 0 or (stop - start) % width:
            raise Unreadable("is damaged (wrong field names)")
        words = [self.data[k : k + width] for k in range(start, stop, width)]
        names = [word.split(b"\0")[0].decode("latin-1") for word in words]
        structs = [dict(zip(names, values)) for values in self.items(count, len(names), at, end)]
        return structs[0] if count == 1 else structs

    def items(self, count: int, width: int, at: int, end: int) -> list[list[Any]]:
        """`count` rows of `width` matrices."""
        if count * max(width, 1) * 8 > end - at + 8 * (width == 0):
            raise Unreadable("is damaged (more cells than the file can hold)")
        rows = []
        for _ in range(count):
            row = []
            for _ in range(width):
                _, value, at = self.matrix(at, end)
                row.append(value)
            rows.append(row)
        return rows
