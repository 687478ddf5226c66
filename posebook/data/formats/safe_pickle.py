"""Reading pickled arrays without running anything: VideoPose3D's files are pickles inside .npz.

A pickle is a program for a small stack machine, and one of its instructions calls any function by
name. This is that machine without the call: it builds arrays, numbers, text, lists, tuples and
dictionaries, and refuses every other name before it is even looked up. It never imports, never
calls what a file names, and never lets NumPy or `pickle` read one.
"""

import math
import os
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

LIMIT = 4 << 30  # bytes that one array or pickle may take once decompressed
MOST_INSTRUCTIONS = 5_000_000  # the largest real file has some ten thousand
MOST_RATIO = 200  # of compression; poses reach 5, a bomb a thousand
_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")  # NumPy 1 and NumPy 2
_NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")
_ADMITTED = {
    **{(module, name): name for module in _MULTIARRAY for name in ("_reconstruct", "scalar")},
    **{(module, "_frombuffer"): "_frombuffer" for module in _NUMERIC},
    **{("numpy", name): name for name in ("ndarray", "dtype")},
    **{(module, "bytes"): "bytes" for module in ("builtins", "__builtin__")},  # Python 2's b""
    ("_codecs", "encode"): "encode",
    ("collections", "OrderedDict"): "dict",
}

_SIMPLE = re.compile(r"[fiub](1|2|4|8)|[US]\d{1,5}|O8?")
# What zipfile, zlib, pickletools and NumPy's header parser raise on damaged bytes. RuntimeError is
# also the parent of what they raise for bottomless nesting and for an unknown compression.
_DAMAGE = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, EOFError,
    MemoryError, RuntimeError, struct.error, zlib.error, zipfile.BadZipFile, tokenize.TokenError,
)  # fmt: skip


def read_npz(path: Path, fields: Iterable[str], limit: int = LIMIT) -> dict[str, object]:
    """The named fields of an .npz file; a 0-d object array comes as the object in it.

    A field that the file lacks is left out. Arrays are read-only. Raises FileNotFoundError, or
    ValueError that names the file and what is wrong: no archive, cut off, larger than `limit` or
    packed beyond belief, or a pickle with more than arrays and plain containers in it.
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
    with _explained(path), open(path, "rb") as file, _Bounded(file, limit, path.name) as stream:
        return _array(stream)


def read_pickle(path: Path, limit: int = LIMIT) -> object:
    """What a .pkl file holds. Raises as `read_npz` does."""
    path = _existing(path)
    with _explained(path), open(path, "rb") as file, _Bounded(file, limit, path.name) as stream:
        return run(stream)


def run(stream: BinaryIO) -> object:
    """Run the pickle at the stream's place on the machine that calls nothing; returns its result.

    Raises ValueError for a name or an instruction that is not admitted.
    """
    machine = _Machine()
    for count, (instruction, argument, _) in enumerate(pickletools.genops(stream)):
        if count > MOST_INSTRUCTIONS:
            raise _Refused(f"its pickle has more than {MOST_INSTRUCTIONS:,} instructions")
        if instruction.name == "STOP":
            break
        step = _STEPS.get(instruction.name)
        if step is None:
            raise _Refused(
                f"its pickle uses the instruction {instruction.name}, which plain data never "
                "needs; the file may be hostile and is not opened"
            )
        step(machine, argument)
    [result] = machine.stack
    return result


class _Refused(ValueError):
    """What the file wants is understood, and refused."""


class _Bounded:
    """A stream that gives out at most `limit` bytes, with a progress bar once it takes long."""

    def __init__(self, stream: BinaryIO, limit: int, title: str, total: int | None = None) -> None:
        self.stream, self.left, self.limit = stream, limit, limit
        self.progress = tqdm(
            total=total, desc=f"reading {title}", unit="B", unit_scale=True, delay=3, leave=False
        )

    def __enter__(self) -> "_Bounded":
        return self

    def __exit__(self, *_) -> None:
        self.progress.close()

    def read(self, size: int) -> bytes:
        if size > self.left:
            raise _Refused(
                f"it announces more than the {self.limit:,} bytes that are there or allowed"
            )
        return self._given(self.stream.read(size))

    def readline(self) -> bytes:
        return self._given(self.stream.readline(min(self.left, 1 << 16)))

    def _given(self, data: bytes) -> bytes:
        self.left -= len(data)
        self.progress.update(len(data))
        return data


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
        start = file.read(12)
    look = "an archive cut off or damaged" if start[:2] == b"PK" else f"beginning with {start!r}"
    return (
        f"{path} cannot be read ({_first_line(problem)}; {path.stat().st_size:,} bytes, {look}); "
        "copy or make it again"
    )


def _first_line(problem: Exception) -> str:
    lines = str(problem).strip().splitlines()
    return lines[0][:120] if lines else type(problem).__name__


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> object:
    info = archive.getinfo(name)
    if info.file_size > limit:
        raise _Refused(f"{name} would take {info.file_size:,} bytes, more than {limit:,}")
    if info.file_size > MOST_RATIO * max(info.compress_size, 1 << 16):
        raise _Refused(f"{name} is packed {MOST_RATIO} times or more: a bomb, and not poses")
    title = f"{Path(archive.filename).name}/{name}"
    with (
        archive.open(info) as file,
        _Bounded(file, info.file_size, title, info.file_size) as stream,
    ):
        array = _array(stream)
        file.read(1)  # at the end of the member its checksum is compared
        return array


def _array(stream: _Bounded) -> object:
    """One array in the .npy format; a 0-d object array as the object in it."""
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise _Refused(
            f"its array is of version {version} of the .npy format, which poses never need"
        )
    header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = header(stream)
    if min(shape, default=0) < 0:
        raise _Refused(f"an array has the shape {shape}")
    if not dtype.hasobject:
        _check_dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        return _from_bytes(stream.read(size), dtype, shape, fortran)
    array = run(stream)
    if not isinstance(array, np.ndarray) or array.shape != shape:
        raise _Refused(f"the array that its header announces, of shape {shape}, is not there")
    return array.item() if shape == () else array


def _from_bytes(data: bytes, dtype: np.dtype, shape: tuple, fortran: bool) -> np.ndarray:
    size = math.prod(shape) * dtype.itemsize
    if len(data) != size:
        raise _Refused(f"an array of shape {shape} needs {size:,} bytes and has {len(data):,}")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _check_dtype(dtype: np.dtype) -> np.dtype:
    if dtype.kind not in "fiubSU":
        raise _Refused(f"an array is of type {dtype}; numbers and text are read")
    return dtype


class _Mark:
    """Where on the stack the items of a container begin."""


class _Name(str):
    """A function or class that the file names. It is only ever compared, never looked up."""


class _Unbuilt:
    """An array, or an array's type, of which the file has told only half."""

    def __init__(self, kind: str, dtype: str = "") -> None:
        self.kind, self.dtype, self.places = kind, dtype, []


class _Machine:
    """Stack and memory of a pickle that is being run."""

    def __init__(self) -> None:
        self.stack: list = []
        self.memo: dict[int, object] = {}

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self) -> object:
        if not self.stack or isinstance(self.stack[-1], _Mark):
            raise _Refused("its pickle takes from an empty stack: it is damaged")
        return self.stack.pop()

    def top(self, kind: type) -> object:
        if not self.stack or type(self.stack[-1]) is not kind:
            raise _Refused(f"its pickle fills a {kind.__name__} that is not there: it is damaged")
        return self.stack[-1]

    def items(self) -> list:
        """What was pushed since the last mark."""
        last = range(len(self.stack) - 1, -1, -1)
        mark = next((at for at in last if type(self.stack[at]) is _Mark), None)
        if mark is None:
            raise _Refused("its pickle lacks the mark where a container begins: it is damaged")
        items = self.stack[mark + 1 :]
        del self.stack[mark:]
        return items

    def remember(self, place: int) -> None:
        if not self.stack:
            raise _Refused("its pickle remembers what is not there: it is damaged")
        value = self.memo[place] = self.stack[-1]
        if isinstance(value, _Unbuilt):
            value.places.append(place)

    def recall(self, place: int) -> None:
        if place not in self.memo:
            raise _Refused("its pickle recalls what it never had: it is damaged")
        self.push(self.memo[place])

    def put_into(self, items: list) -> None:
        """Keys and values, in turn, into the dictionary on top of the stack."""
        target = self.top(dict)
        if len(items) % 2:
            raise _Refused("its pickle has a key without a value: it is damaged")
        for key, value in zip(items[::2], items[1::2]):
            target[_key(key)] = value


def _key(key: object) -> object:
    """A key is a text, a number, or a short tuple of those; anything else could take for ever."""
    parts = key if type(key) is tuple and len(key) <= 4 else (key,)
    if all(type(part) in (str, int, bytes) for part in parts):
        return key
    raise _Refused(f"it has a key of type {type(key).__name__}; keys are text or numbers")


def _admit(module: str, name: str) -> _Name:
    """The short name of a function or class that arrays need; all others are refused."""
    if (module, name) not in _ADMITTED:
        raise _Refused(
            f"its pickle asks for {module[:60]}.{name[:60]}, but arrays and plain "
            "containers need no such thing; the file may be hostile and is not opened"
        )
    return _Name(_ADMITTED[module, name])


def _call(machine: _Machine) -> None:
    """REDUCE: only what builds arrays, and done here, not by what the file names."""
    arguments, name = machine.pop(), machine.pop()
    if type(name) is not _Name or type(arguments) is not tuple:
        raise _Refused("its pickle calls what is no function: it is damaged")
    if name == "_reconstruct" and arguments[:2] == ("ndarray", (0,)):
        return machine.push(_Unbuilt("array"))
    if name == "dtype" and type(arguments[0]) is str and _SIMPLE.fullmatch(arguments[0]):
        return machine.push(_Unbuilt("dtype", arguments[0]))
    if name == "scalar" and len(arguments) == 2:
        dtype, data = arguments
        return machine.push(_from_bytes(_raw(data), _ready(dtype), (), False)[()])
    if name == "_frombuffer" and len(arguments) == 4:
        data, dtype, shape, order = arguments
        return machine.push(_from_bytes(_raw(data), _ready(dtype), _shape(shape), order == "F"))
    if name == "encode" and arguments[1:] in (("latin1",), ("latin-1",)):
        return machine.push(arguments[0].encode("latin1"))
    if name in ("dict", "bytes") and arguments == ():
        return machine.push({} if name == "dict" else b"")
    raise _Refused(f"its pickle builds {name} in a way that is not known here")


def _build(machine: _Machine) -> None:
    """BUILD: the second half of an array or of its type."""
    state, half = machine.pop(), machine.pop()
    if not isinstance(half, _Unbuilt) or type(state) is not tuple:
        raise _Refused("its pickle sets the inside of something that is no array")
    whole = _build_dtype(half, state) if half.kind == "dtype" else _build_array(state)
    for place in half.places:
        machine.memo[place] = whole
    machine.push(whole)


def _build_dtype(half: _Unbuilt, state: tuple) -> np.dtype:
    order, inner = state[1], state[2:5]
    if order not in ("<", ">", "|", "=") or any(part is not None for part in inner):
        raise _Refused(f"its pickle has an array type {half.dtype} with parts of its own")
    return np.dtype(half.dtype).newbyteorder(order)


def _build_array(state: tuple) -> np.ndarray:
    _, shape, dtype, fortran, data = state
    shape = _shape(shape)
    if isinstance(dtype, np.dtype) and dtype.hasobject and type(data) is list:
        if len(data) != math.prod(shape):
            raise _Refused(f"an array of shape {shape} holds {len(data)} objects")
        array = np.empty(len(data), object)
        for place, item in enumerate(data):  # at once, NumPy would look into lists and arrays
            array[place] = item
        return array.reshape(shape, order="F" if fortran else "C")
    return _from_bytes(_raw(data), _ready(dtype), shape, bool(fortran))


def _shape(shape: object) -> tuple:
    if type(shape) is not tuple or any(type(side) is not int or side < 0 for side in shape):
        raise _Refused("an array has no shape of whole numbers")
    return shape


def _ready(dtype: object) -> np.dtype:
    if not isinstance(dtype, np.dtype) or dtype.hasobject:
        raise _Refused("an array has no type that is known here")
    return _check_dtype(dtype)


def _raw(data: object) -> bytes:
    if type(data) is str:  # Python 2 wrote bytes as text
        return data.encode("latin1")
    if type(data) not in (bytes, bytearray):
        raise _Refused(f"an array's content is a {type(data).__name__} and not bytes")
    return bytes(data)


def _stack_global(machine: _Machine) -> None:
    name, module = machine.pop(), machine.pop()
    if type(name) is not str or type(module) is not str:
        raise _Refused("its pickle names a function by something that is no text")
    machine.push(_admit(module, name))


def _put_one(machine: _Machine) -> None:
    value, key = machine.pop(), machine.pop()
    machine.put_into([key, value])


def _append_one(machine: _Machine) -> None:
    value = machine.pop()
    machine.top(list).append(value)


def _dict_of(machine: _Machine) -> None:
    items = machine.items()
    machine.push({})
    machine.put_into(items)


def _extend(machine: _Machine) -> None:
    items = machine.items()
    machine.top(list).extend(items)


def _tuple_of(n: int) -> Callable:
    return lambda m, _: m.push(tuple([m.pop() for _ in range(n)][::-1]))


_PUSH = lambda machine, argument: machine.push(argument)  # noqa: E731
_STEPS: dict[str, Callable[[_Machine, object], None]] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda m, a: None),
    **dict.fromkeys(
        (
            "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
            "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "BINUNICODE8",
            "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
        ),
        _PUSH,
    ),
    "NONE": lambda m, a: m.push(None),
    "NEWTRUE": lambda m, a: m.push(True),
    "NEWFALSE": lambda m, a: m.push(False),
    "MARK": lambda m, a: m.push(_Mark()),
    "POP": lambda m, a: m.pop(),
    "POP_MARK": lambda m, a: m.items(),
    "EMPTY_LIST": lambda m, a: m.push([]),
    "LIST": lambda m, a: m.push(m.items()),
    "APPEND": lambda m, a: _append_one(m),
    "APPENDS": lambda m, a: _extend(m),
    "EMPTY_TUPLE": lambda m, a: m.push(()),
    "TUPLE": lambda m, a: m.push(tuple(m.items())),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "EMPTY_DICT": lambda m, a: m.push({}),
    "DICT": lambda m, a: _dict_of(m),
    "SETITEM": lambda m, a: _put_one(m),
    "SETITEMS": lambda m, a: m.put_into(m.items()),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), lambda m, a: m.remember(a)),
    "MEMOIZE": lambda m, a: m.remember(len(m.memo)),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda m, a: m.recall(a)),
    "GLOBAL": lambda m, a: m.push(_admit(*a.split(" ", 1))),
    "STACK_GLOBAL": lambda m, a: _stack_global(m),
    "REDUCE": lambda m, a: _call(m),
    "BUILD": lambda m, a: _build(m),
}  # fmt: skip
