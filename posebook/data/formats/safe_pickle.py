"""Reading pickled arrays without running anything: VideoPose3D's files are pickles inside .npz.

A pickle is a program, and one of its instructions calls any function by name. `pickle.Unpickler`
asks `find_class` for each of these names; here it knows a short list of what arrays and plain
containers need, and gives out stand-ins that check what they are given. NumPy's own functions do
not: with them on the list, NumPy 2 reads an array of objects that is announced longer than its list
past the list's end, and one whose type has other flags takes eight bytes of the file for the
address of an object. Nothing else is ever looked up, imported or called.

`pickle` itself believes the lengths that a program names, so `_check` reads through it first.
"""

import io
import math
import os
import pickle
import pickletools
import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy
from tqdm import tqdm

from posebook.data.official.folders import lfs_pointer

LIMIT = 4 << 30  # bytes that one array or pickle may take once decompressed
MOST_INSTRUCTIONS = 5_000_000  # the largest real file has some ten thousand
MOST_RATIO = 200  # of compression; poses reach 5, a bomb a thousand
_SIMPLE = re.compile(r"[fiub](1|2|4|8)|[US]\d{1,5}|O8?")
_INSTRUCTIONS = frozenset(
    "PROTO FRAME STOP NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT "
    "BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE BINUNICODE8 SHORT_BINUNICODE "
    "BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 MARK POP POP_MARK EMPTY_LIST LIST APPEND "
    "APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT DICT SETITEM SETITEMS PUT BINPUT "
    "LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET GLOBAL STACK_GLOBAL REDUCE BUILD".split()
)
# What zipfile, zlib, pickle, pickletools and NumPy's header parser raise on damaged bytes.
# RuntimeError is also the parent of what they raise for bottomless nesting.
_DAMAGE = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, EOFError,
    MemoryError, RuntimeError, struct.error, zlib.error, zipfile.BadZipFile, tokenize.TokenError,
    pickle.UnpicklingError,
)  # fmt: skip


def read_npz(path: Path, fields: Iterable[str], limit: int = LIMIT) -> dict[str, object]:
    """The named fields of an .npz file; a 0-d object array comes as the object in it.

    A field that the file lacks is left out. Arrays are read-only.

    Raises:
        FileNotFoundError, ValueError: that names the file and what is wrong: no archive, cut off,
            larger than `limit` or packed beyond belief, or a pickle with more than arrays and plain
            containers in it.
    """
    path = _existing(path)
    with _explained(path), zipfile.ZipFile(path) as archive:
        members = archive.namelist()
        if len(set(members)) != len(members):
            raise _Refused("two of its fields have the same name")
        wanted = [field for field in fields if f"{field}.npy" in members]
        return {field: _member(archive, f"{field}.npy", limit) for field in wanted}


def fields_of(path: Path) -> list[str]:
    """Names of the fields of an .npz file. Raises as `read_npz` does."""
    path = _existing(path)
    with _explained(path), zipfile.ZipFile(path) as archive:
        return sorted(name.removesuffix(".npy") for name in archive.namelist())


def read_npy(path: Path, limit: int = LIMIT) -> object:
    """The array of an .npy file. Raises as `read_npz` does."""
    path = _existing(path)
    with _explained(path), open(path, "rb") as file:
        return _array(_whole(file, path.name, path.stat().st_size, limit))


def run(stream: BinaryIO) -> object:
    """What the pickle at the stream's place builds. The stream must be able to go back.

    Raises:
        ValueError: for a name or an instruction that is not admitted, and for damage.
    """
    start = stream.tell()
    try:
        _check(stream)
        size = stream.tell() - start
        stream.seek(start)
        return _finished(_Unpickler(stream, size).load(), {})
    except _Refused:
        raise
    except _DAMAGE as problem:
        raise _Refused(f"its pickle is damaged ({_first_line(problem)})") from None


class _Refused(ValueError):
    """What the file wants is understood, and refused."""


class _Stream(io.BytesIO):
    """Bytes of which nobody gets more than there are."""

    def read(self, size: int = -1) -> bytes:
        if size > len(self.getbuffer()) - self.tell():
            raise _Refused("it announces more bytes than are there")
        return super().read(size)


def _existing(path: Path) -> Path:
    path = Path(path)
    if path.is_symlink() and not path.exists():
        raise FileNotFoundError(f"{path} is a link to {os.readlink(path)}, which is not there")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    return path


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Whatever goes wrong inside becomes one sentence that names the file."""
    try:
        yield
    except _Refused as problem:
        raise ValueError(f"{path}: {problem}") from None
    except _DAMAGE as problem:
        raise ValueError(_cannot_read(path, problem)) from None
    except OSError as problem:
        if problem.filename is not None:  # the system refuses the file, it is not damaged
            raise
        raise ValueError(_cannot_read(path, problem)) from None


def _cannot_read(path: Path, problem: Exception) -> str:
    with open(path, "rb") as file:
        start = file.read(64)
    if lfs_pointer(start):
        return f"{path} {lfs_pointer(start)}"
    look = "an archive cut off or damaged" if start[:2] == b"PK" else f"beginning with {start[:12]}"
    return (
        f"{path} cannot be read ({_first_line(problem)}, {path.stat().st_size:,} bytes, {look}); "
        "copy or make it again"
    )


def _first_line(problem: Exception) -> str:
    lines = str(problem).strip().splitlines()
    return lines[0][:120] if lines else type(problem).__name__


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> object:
    info = archive.getinfo(name)
    if info.file_size > MOST_RATIO * max(info.compress_size, 1 << 16):
        raise _Refused(f"{name} is packed {MOST_RATIO} times or more: a bomb, and not poses")
    with archive.open(info) as file:  # at the end of the member its checksum is compared
        title = f"{Path(archive.filename).name}/{name}"
        return _array(_whole(file, title, info.file_size, limit))


def _whole(file: BinaryIO, title: str, size: int, limit: int) -> _Stream:
    """All of a file of `size` bytes, with a progress bar once it takes long."""
    if size > limit:
        raise _Refused(f"{title.split('/')[-1]} would take {size:,} bytes, more than {limit:,}")
    bar = tqdm(total=size, desc=f"reading {title}", unit="B", unit_scale=True, delay=5, leave=False)
    with bar:
        parts = []
        while part := file.read(1 << 24):
            parts.append(part)
            bar.update(len(part))
    return _Stream(b"".join(parts))


def _array(stream: _Stream) -> object:
    """One array in the .npy format; a 0-d object array as the object in it."""
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise _Refused(
            f"its array is of version {version} of the .npy format, which poses never need"
        )
    header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = header(stream)
    if not dtype.hasobject:
        size = math.prod(_shape(shape)) * dtype.itemsize
        return _from_bytes(stream.read(size), dtype, shape, fortran)
    array = run(stream)
    if not isinstance(array, np.ndarray) or array.shape != shape:
        raise _Refused(f"the array that its header announces, of shape {shape}, is not there")
    return array.item() if shape == () else array


def _from_bytes(data: object, dtype: object, shape: tuple, fortran: bool) -> np.ndarray:
    """Numbers or text of `shape` in the bytes `data`, which must be exactly as many."""
    if not isinstance(dtype, np.dtype) or dtype.kind not in "fiubSU":
        raise _Refused(f"an array is of type {str(dtype)[:40]}; numbers and text are read")
    size = math.prod(_shape(shape)) * dtype.itemsize
    if type(data) not in (bytes, bytearray) or len(data) != size:
        there = f"{len(data):,}" if type(data) in (bytes, bytearray) else "none"
        raise _Refused(f"an array of shape {shape} needs {size:,} bytes and has {there}")
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    array.flags.writeable = False
    return array


def _shape(shape: object) -> tuple:
    sides = shape if type(shape) is tuple and len(shape) <= 32 else (None,)
    if any(type(side) is not int or not 0 <= side <= LIMIT for side in sides):
        raise _Refused("an array has no shape of whole numbers")
    return shape


# ---------------------------------------------------------------- the pickle


def _check(stream: BinaryIO) -> None:
    """Refuse a pickle that uses an instruction beyond plain data, or would exhaust the machine.

    `pickletools` reads every length that is announced. What stands on the pickle's stack is told
    here by its weight alone, the number of values in it: a tuple of one tuple twice, and so on,
    weighs 2^60 in some hundred bytes, and as a dictionary's key it is walked to its leaves.
    """
    stack, memo, total = [], {}, 0
    for count, (code, argument, _) in enumerate(pickletools.genops(stream)):
        if code.name not in _INSTRUCTIONS:
            raise _Refused(
                f"its pickle uses the instruction {code.name}, which plain data never needs; the "
                "file may be hostile and is not opened"
            )
        if count > MOST_INSTRUCTIONS:
            raise _Refused(f"its pickle has more than {MOST_INSTRUCTIONS:,} instructions")
        if "PUT" in code.name or code.name == "MEMOIZE":
            place = len(memo) if argument is None else argument
            if place > count:  # `pickle` makes room for as many
                raise _Refused(f"its pickle remembers value {place:,} of {count:,}: it is damaged")
            memo[place] = stack[-1]
            continue
        if "GET" in code.name:
            weight = memo[argument]
        else:
            taken = sum(_taken(stack, code.stack_before))
            weight = 1 + taken if "TUPLE" in code.name else 1  # nothing else can be a long key
        stack += [None if kind is pickletools.markobject else weight for kind in code.stack_after]
        total += weight
        if total > 10 * MOST_INSTRUCTIONS:
            raise _Refused("its tuples hold each other so often that a key of them takes for ever")
    if stack:
        raise _Refused("its pickle has more than one result: it is damaged")


def _taken(stack: list, kinds: list) -> list[int]:
    """Weights of what an instruction takes from the stack; `None` is a mark there."""
    taken = []
    if pickletools.markobject in kinds:
        while (weight := stack.pop()) is not None:
            taken.append(weight)
        kinds = kinds[: kinds.index(pickletools.markobject)]
    return taken + [stack.pop() for _ in kinds]


class _Unpickler(pickle.Unpickler):
    """Knows the names that arrays and plain containers need, and no others."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        super().__init__(stream, encoding="latin1")
        self.size, self.left = size, 8 * size + (1 << 20)

    def find_class(self, module: str, name: str) -> object:
        stand_in = _ADMITTED.get((module, name))
        if stand_in is not None:
            return _Function(stand_in, self.spend) if callable(stand_in) else stand_in
        if (module, name) == ("collections", "defaultdict"):
            raise _Refused(
                "it holds a collections.defaultdict, which calls a function for a missing key and "
                "is not read; turn it into a plain one with dict(...) and save the file again"
            )
        raise _Refused(
            f"its pickle asks for {module[:60]}.{name[:60]}, but arrays and plain containers need "
            "no such thing; the file may be hostile and is not opened"
        )

    def spend(self, count: int) -> None:
        """Count bytes that a stand-in takes: one list may fill thousands of arrays."""
        self.left -= count
        if self.left < 0:
            raise _Refused(f"its pickle of {self.size:,} bytes would take many times as many")


class _Function:
    """What the file may call; it cannot change it."""

    def __init__(self, function: Callable, spend: Callable[[int], None]) -> None:
        self.function, self.spend = function, spend

    def __call__(self, *arguments: object) -> object:
        return self.function(self.spend, *arguments)

    def __setstate__(self, state: object) -> None:
        raise _Refused("its pickle changes the inside of something that is no array")


class _Type:
    """An array's type. The file tells it in two halves, the second one being byte order."""

    def __init__(self, spend: Callable, code: str, *_: object) -> None:
        if type(code) is not str or not _SIMPLE.fullmatch(code):
            raise _Refused(f"an array is of type {str(code)[:40]!r}; numbers and text are read")
        self.whole = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        self.whole = self.whole.newbyteorder(state[1])  # the rest is for types that are not read


class _Array:
    """An array, which the file tells in two halves."""

    def __init__(self, spend: Callable, *_: object) -> None:
        self.whole: np.ndarray | None = None
        self.spend = spend

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, data = state
        if dtype.whole.hasobject and type(data) is list:
            if len(data) != math.prod(_shape(shape)):
                raise _Refused(f"an array of shape {shape} holds {len(data)} objects")
            self.spend(8 * len(data))
            self.whole = np.empty(len(data), object)
            for place, item in enumerate(data):  # at once, NumPy would look into lists and arrays
                self.whole[place] = item
            self.whole = self.whole.reshape(shape, order="F" if fortran else "C")
        else:
            data = _latin1(self.spend, data) if type(data) is str else data  # Python 2's bytes
            self.whole = _from_bytes(data, dtype.whole, shape, bool(fortran))


def _scalar(spend: Callable, dtype: _Type, data: object) -> np.generic:
    data = _latin1(spend, data) if type(data) is str else data
    return _from_bytes(data, dtype.whole, (), False)[()]


def _from_buffer(_: Callable, data: object, dtype: _Type, shape: tuple, order: str) -> np.ndarray:
    return _from_bytes(data, dtype.whole, shape, order == "F")


def _latin1(spend: Callable, text: str, coding: str = "latin1") -> bytes:
    if coding not in ("latin1", "latin-1"):
        raise _Refused(f"its pickle has bytes as {str(coding)[:20]!r}, which is not known here")
    spend(len(text))
    return text.encode("latin1")


_ADMITTED = {
    ("numpy", "ndarray"): "ndarray",  # is named, and never called
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _latin1,
    ("builtins", "bytes"): lambda _: b"",
    ("__builtin__", "bytes"): lambda _: b"",  # Python 2's
    ("collections", "OrderedDict"): lambda _: {},
}
for _core in ("numpy.core", "numpy._core"):  # NumPy 1 and NumPy 2
    _ADMITTED[f"{_core}.multiarray", "_reconstruct"] = _Array
    _ADMITTED[f"{_core}.multiarray", "scalar"] = _scalar
    _ADMITTED[f"{_core}.numeric", "_frombuffer"] = _from_buffer


def _finished(value: object, seen: dict[int, tuple[object, object]]) -> object:
    """`value` with whole arrays in place of those told in halves.

    Args:
        seen: by its id, each container and what it became; one that is in two places stays one.
    """
    if isinstance(value, _Array | _Type):
        value = value.whole
        if value is None:
            raise _Refused("its pickle has an array without content: it is damaged")
    if isinstance(value, _Function):
        raise _Refused("its pickle has a function where data should be")
    if id(value) in seen:
        return seen[id(value)][1]
    if isinstance(value, list | dict) or (isinstance(value, np.ndarray) and value.dtype.hasobject):
        seen[id(value)] = value, value
        for place in _places(value):
            value[place] = _finished(value[place], seen)
    elif isinstance(value, tuple):
        seen[id(value)] = value, tuple(_finished(item, seen) for item in value)
        return seen[id(value)][1]
    return value


def _places(container: list | dict | np.ndarray) -> Iterable:
    """Indices or keys of a container. Keys must be text, numbers, or short tuples of those."""
    if isinstance(container, list):
        return range(len(container))
    if isinstance(container, np.ndarray):
        return np.ndindex(container.shape)
    for key in container:
        parts = key if type(key) is tuple and len(key) <= 4 else (key,)
        if any(type(part) not in (str, int, bytes) for part in parts):
            raise _Refused(f"it has a key of type {type(key).__name__}; keys are text or numbers")
    return container
