"""Files that are whole or not there, folders that one process holds, names for settings."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from filelock import FileLock, Timeout

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None

_OWN_RUNS = "set POSEBOOK_RUNS to a folder of your own"
_OWN_CACHE = "set POSEBOOK_CACHE to a folder of your own"
_NO_ROOM = "make room on the disk and run again"


@contextmanager
def whole(path: Path, remedy: str = _NO_ROOM, keep: Path | None = None) -> Iterator[BinaryIO]:
    """A file to write, with `with`: it appears at `path` complete, or what was there stays.

    It is written beside, forced to the disk and renamed, so that neither a killed process nor lost
    power leaves half a file. Another process that writes the same file is waited for.

    Args:
        keep: the name by which what was there before stays; None if it need not.

    Raises:
        OSError: if it cannot be written, in one sentence that ends with the remedy.
    """
    # One name for all processes: what a killed one left is written over by the next.
    beside = path.with_name(f".{path.name}.writing")
    if path.is_dir():
        raise IsADirectoryError(f"could not write {path}: it is a folder; choose another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(beside) as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                if not fcntl:  # where no open file can be renamed
                    file.close()
                if keep and path.exists():
                    os.replace(path, keep)
                os.replace(beside, path)
            except BaseException:
                with suppress(OSError):
                    beside.unlink()
                raise
        _force_names(path.parent)
    except (OSError, RuntimeError) as error:
        if not _is_about(error, path.parent, beside):
            raise
        if isinstance(error, PermissionError) or error.args[:1] == (errno.EROFS,):
            remedy = "take a folder of your own"
        raise OSError(
            f"could not write {path} ({error}); what was there before is intact: {remedy}"
        ) from error


def _alone(path: Path) -> BinaryIO:
    """An empty file to write that no other process writes: one that does is waited for."""
    while True:
        file = open(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "wb")
        if fcntl:
            with suppress(OSError):  # some network drives know no locks
                fcntl.flock(file, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                file.truncate()  # what a killed one left
                return file
        file.close()  # the one before has given it its own name


def _force_names(folder: Path) -> None:
    """Force to the disk what the files of a folder are called, where a system can."""
    with suppress(OSError):  # Windows opens no folders, and some network drives force none
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _is_about(error: OSError | RuntimeError, *paths: Path) -> bool:
    """Whether an error of a block that writes a file is about the writing.

    A picture that is missing is not. Torch's writer says that the disk is full in a RuntimeError
    that names itself or, where even the end of its archive did not fit, its source file alone.
    """
    if isinstance(error, OSError):
        about = error.filename
        return error.errno is not None and (about is None or Path(about) in paths)
    return "StreamWriter" in str(error) or "inline_container" in str(error)


@contextmanager
def writing_to(place: Path, remedy: str) -> Iterator[None]:
    """What the system refuses, with `with`, becomes one sentence with the place and the remedy.

    Raises:
        OSError: this.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:  # it is such a sentence already
            raise
        raise OSError(f"{place} cannot be written ({error.strerror}); {remedy}") from error


def refuse_unwritable(folder: Path, remedy: str) -> None:
    """Make a folder if there is none; OSError before the work, not after it, if it will not do."""
    with writing_to(folder, remedy):
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass


@contextmanager
def exclusive(folder: Path | None) -> Iterator[None]:
    """Hold a folder of runs, with `with`: two runs must not share checkpoints. None: no folder.

    Raises:
        RuntimeError: at once if another run holds it.
        OSError: naming the variable that helps, if it or its lock is somebody else's.
    """
    if folder is None:
        yield
        return
    refuse_unwritable(folder, _OWN_RUNS)
    lock = FileLock(folder / ".lock")
    try:
        with writing_to(folder / ".lock", _OWN_RUNS):
            lock.acquire(timeout=0)
    except Timeout as error:
        raise RuntimeError(
            f"another process is running in {folder}; wait for it, or set POSEBOOK_RUNS to "
            "another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def made_once(path: Path) -> Iterator[bool]:
    """Hold the making of `path`, with `with`: True if it is still to be made. Others wait.

    What is made can be read where nobody may write.

    Raises:
        OSError: before anything is made, naming the variable that helps, if it could not be kept.
    """
    if path.exists():
        yield False
        return
    refuse_unwritable(path.parent, _OWN_CACHE)
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    with writing_to(Path(lock.lock_file), _OWN_CACHE):
        lock.acquire()
    try:
        yield not path.exists()
    finally:
        lock.release()


def key_of(**settings) -> str:
    """A short name for settings, in which equal settings and only these are the same."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
