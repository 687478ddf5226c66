"""Arrays out of .npz and .npy files without running anything that stands in them.

VideoPose3D's files are pickles inside .npz; `posebook.data.formats.plain_pickle` reads those.
"""

import io
import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy
from tqdm import tqdm

from posebook.data.formats.files import lfs_pointer
from posebook.data.formats.plain_pickle import (
    DAMAGE,
    Refused,
    first_line,
    from_bytes,
    run,
    shape_of,
)

LIMIT = 4 << 30  # bytes that one array or pickle may take once decompressed
MOST_RATIO = 200  # of compression; poses reach 5, a bomb a thousand
_DAMAGE = (*DAMAGE, zlib.error, zipfile.BadZipFile, tokenize.TokenError, SyntaxError)


def read_npz(path: Path, fields: Iterable[str]) -> dict[str, object]:
    """The named fields of an .npz file; a 0-d object array comes as the object in it.

    A field that the file lacks is left out. Arrays are read-only.

    Raises:
        FileNotFoundError, ValueError: that names the file and what is wrong: no archive, cut off,
            larger than `LIMIT` or packed beyond belief, or a pickle with more than arrays and plain
            containers in it.
    """
    path = _existing(path)
    with _explained(path), zipfile.ZipFile(path) as archive:
        members = archive.namelist()
        if len(set(members)) != len(members):
            raise Refused("two of its fields have the same name")
        wanted = [field for field in fields if f"{field}.npy" in members]
        return {field: _member(archive, f"{field}.npy") for field in wanted}


def fields_of(path: Path) -> list[str]:
    """Names of the fields of an .npz file. Raises as `read_npz` does."""
    path = _existing(path)
    with _explained(path), zipfile.ZipFile(path) as archive:
        return sorted(name.removesuffix(".npy") for name in archive.namelist())


def read_npy(path: Path) -> object:
    """The array of an .npy file. Raises as `read_npz` does."""
    path = _existing(path)
    with _explained(path), open(path, "rb") as file:
        return _array(_whole(file, path.name, path.stat().st_size))


class _Stream(io.BytesIO):
    """Bytes of which nobody gets more than there are."""

    def read(self, size: int = -1) -> bytes:
        if size > len(self.getbuffer()) - self.tell():
            raise Refused("it announces more bytes than are there")
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
    except Refused as problem:
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
        f"{path} cannot be read ({first_line(problem)}, {path.stat().st_size:,} bytes, {look}); "
        "copy or make it again"
    )


def _member(archive: zipfile.ZipFile, name: str) -> object:
    info = archive.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # Of other kinds zipfile unpacks as much as comes, whatever the archive has announced.
        raise Refused(f"{name} is packed in another way than NumPy's; save it with np.savez")
    if info.file_size > MOST_RATIO * max(info.compress_size, 1 << 16):
        raise Refused(f"{name} is packed {MOST_RATIO} times or more: a bomb, and not poses")
    with archive.open(info) as file:  # at the end of the member its checksum is compared
        title = f"{Path(archive.filename).name}/{name}"
        return _array(_whole(file, title, info.file_size))


def _whole(file: BinaryIO, title: str, size: int) -> _Stream:
    """All of a file of `size` bytes, with a progress bar once it takes long."""
    if size > LIMIT:
        raise Refused(f"{title.split('/')[-1]} would take {size:,} bytes, more than {LIMIT:,}")
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
        raise Refused(
            f"its array is of version {version} of the .npy format, which poses never need"
        )
    header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = header(stream)
    if not dtype.hasobject:
        size = math.prod(shape_of(shape)) * dtype.itemsize
        return from_bytes(stream.read(size), dtype, shape, fortran)
    array = run(stream)
    if not isinstance(array, np.ndarray) or array.shape != shape:
        raise Refused(f"the array that its header announces, of shape {shape}, is not there")
    return array.item() if shape == () else array
