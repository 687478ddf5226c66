"""What a pickle says, without running anything: arrays, numbers, text and plain containers.

A pickle is a program, and one of its instructions calls any function by name. `pickle.Unpickler`
asks `find_class` for each of these names; here it knows a short list of what arrays and plain
containers need, and gives out stand-ins that check what they are given. NumPy's own functions do
not: with them on the list, NumPy 2 reads an array of objects that is announced longer than its list
past the list's end, and one whose type has other flags takes eight bytes of the file for the
address of an object. Nothing else is ever looked up, imported or called.

`pickle` itself believes the lengths that a program names, so `_check` reads through it first.
"""

import math
import pickle
import pickletools
import re
import struct
from collections.abc import Callable, Iterable
from typing import BinaryIO

import numpy as np

LARGEST = 4 << 30  # of an array's sides
MOST_INSTRUCTIONS = 5_000_000  # the largest real file has some ten thousand
_SIMPLE = re.compile(r"[fiub](1|2|4|8)|[US]\d{1,5}|O8?")
_INSTRUCTIONS = frozenset(
    "PROTO FRAME STOP NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT "
    "BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE BINUNICODE8 SHORT_BINUNICODE "
    "BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 MARK POP POP_MARK EMPTY_LIST LIST APPEND "
    "APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT DICT SETITEM SETITEMS PUT BINPUT "
    "LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET GLOBAL STACK_GLOBAL REDUCE BUILD".split()
)
# What pickle, pickletools and NumPy raise on damaged bytes. RuntimeError is also the parent of what
# they raise for bottomless nesting.
DAMAGE = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, EOFError,
    MemoryError, RuntimeError, struct.error, pickle.UnpicklingError,
)  # fmt: skip


class Refused(ValueError):
    """What the file wants is understood, and refused."""


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
    except Refused:
        raise
    except DAMAGE as problem:
        raise Refused(f"its pickle is damaged ({first_line(problem)})") from None


def first_line(problem: Exception) -> str:
    """The first words of an error, or its name where it has none."""
    lines = str(problem).strip().splitlines()
    return lines[0][:120] if lines else type(problem).__name__


def from_bytes(data: object, dtype: object, shape: tuple, fortran: bool) -> np.ndarray:
    """Numbers or text of `shape` in the bytes `data`, which must be exactly as many."""
    if not isinstance(dtype, np.dtype) or dtype.kind not in "fiubSU":
        raise Refused(f"an array is of type {str(dtype)[:40]}; numbers and text are read")
    size = math.prod(shape_of(shape)) * dtype.itemsize
    if type(data) not in (bytes, bytearray) or len(data) != size:
        there = f"{len(data):,}" if type(data) in (bytes, bytearray) else "none"
        raise Refused(f"an array of shape {shape} needs {size:,} bytes and has {there}")
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    array.flags.writeable = False
    return array


def shape_of(shape: object) -> tuple:
    sides = shape if type(shape) is tuple and len(shape) <= 32 else (None,)
    if any(type(side) is not int or not 0 <= side <= LARGEST for side in sides):
        raise Refused("an array has no shape of whole numbers")
    return shape


def _check(stream: BinaryIO) -> None:
    """Refuse a pickle that uses an instruction beyond plain data, or would exhaust the machine.

    `pickletools` reads every length that is announced. What stands on the pickle's stack is told
    here by its weight alone, the number of values in it: a tuple of one tuple twice, and so on,
    weighs 2^60 in some hundred bytes, and as a dictionary's key it is walked to its leaves.
    """
    stack, memo, total = [], {}, 0
    for count, (code, argument, _) in enumerate(pickletools.genops(stream)):
        if code.name not in _INSTRUCTIONS:
            raise Refused(
                f"its pickle uses the instruction {code.name}, which plain data never needs; the "
                "file may be hostile and is not opened"
            )
        if type(argument) is int and argument.bit_length() > 64:
            raise Refused("it holds a whole number of more than 64 bits, which poses never need")
        if count > MOST_INSTRUCTIONS:
            raise Refused(f"its pickle has more than {MOST_INSTRUCTIONS:,} instructions")
        if "PUT" in code.name or code.name == "MEMOIZE":
            place = len(memo) if argument is None else argument
            if place > count:  # `pickle` makes room for as many
                raise Refused(f"its pickle remembers value {place:,} of {count:,}: it is damaged")
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
            raise Refused("its tuples hold each other so often that a key of them takes for ever")
    if stack:
        raise Refused("its pickle has more than one result: it is damaged")


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
            raise Refused(
                "it holds a collections.defaultdict, which calls a function for a missing key and "
                "is not read; turn it into a plain one with dict(...) and save the file again"
            )
        raise Refused(
            f"its pickle asks for {module[:60]}.{name[:60]}, but arrays and plain containers need "
            "no such thing; the file may be hostile and is not opened"
        )

    def spend(self, count: int) -> None:
        """Count bytes that a stand-in takes: one list may fill thousands of arrays."""
        self.left -= count
        if self.left < 0:
            raise Refused(f"its pickle of {self.size:,} bytes would take many times as many")


class _Function:
    """What the file may call; it cannot change it."""

    def __init__(self, function: Callable, spend: Callable[[int], None]) -> None:
        self.function, self.spend = function, spend

    def __call__(self, *arguments: object) -> object:
        return self.function(self.spend, *arguments)

    def __setstate__(self, state: object) -> None:
        raise Refused("its pickle changes the inside of something that is no array")


class _Type:
    """An array's type. The file tells it in two halves, the second one being byte order."""

    def __init__(self, spend: Callable, code: str, *_: object) -> None:
        if type(code) is not str or not _SIMPLE.fullmatch(code):
            raise Refused(f"an array is of type {str(code)[:40]!r}; numbers and text are read")
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
            if len(data) != math.prod(shape_of(shape)):
                raise Refused(f"an array of shape {shape} holds {len(data)} objects")
            self.spend(8 * len(data))
            self.whole = np.empty(len(data), object)
            for place, item in enumerate(data):  # at once, NumPy would look into lists and arrays
                self.whole[place] = item
            self.whole = self.whole.reshape(shape, order="F" if fortran else "C")
        else:
            data = _latin1(self.spend, data) if type(data) is str else data  # Python 2's bytes
            self.whole = from_bytes(data, dtype.whole, shape, bool(fortran))


def _scalar(spend: Callable, dtype: _Type, data: object) -> np.generic:
    data = _latin1(spend, data) if type(data) is str else data
    return from_bytes(data, dtype.whole, (), False)[()]


def _from_buffer(_: Callable, data: object, dtype: _Type, shape: tuple, order: str) -> np.ndarray:
    return from_bytes(data, dtype.whole, shape, order == "F")


def _latin1(spend: Callable, text: str, coding: str = "latin1") -> bytes:
    if coding not in ("latin1", "latin-1"):
        raise Refused(f"its pickle has bytes as {str(coding)[:20]!r}, which is not known here")
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
            raise Refused("its pickle has an array without content: it is damaged")
    if isinstance(value, _Function):
        raise Refused("its pickle has a function where data should be")
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
            raise Refused(f"it has a key of type {type(key).__name__}; keys are text or numbers")
    return container
