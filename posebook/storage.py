"""Files that are whole or not there, folders that one process holds, names for settings."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout


@contextmanager
def whole(path: Path, remedy: str = "make room on the disk and run again") -> Iterator[BinaryIO]:
    """A file to write, with `with`: it appears at `path` complete, or what was there stays.

    It is written beside, forced to the disk and renamed, so that neither a killed process nor lost
    power leaves half a file.

    Raises:
        OSError: in one sentence that ends with the remedy; a.
        RuntimeError: is how torch's writer says that the disk is full, and becomes one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # One name for all processes: what a killed one left is written over by the next.
    beside = path.with_name(f".{path.name}.writing")
    try:
        with open(beside, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "StreamWriter" not in str(error):
            raise
        raise OSError(
            f"could not write {path} ({error}); what was there before is intact: {remedy}"
        ) from error
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def exclusive(folder: Path | None) -> Iterator[None]:
    """Hold a run's folder, with `with`: two runs must not share checkpoints. None: no folder.

    Raises:
        RuntimeError: at once if another run holds it.
        PermissionError: naming the variable that helps, if the folder may not be written.
    """
    if folder is None:
        yield
        return
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RuntimeError(
            f"another process is running in {folder}; wait for it, or choose another folder"
        ) from error
    except PermissionError as error:
        raise PermissionError(
            f"{folder} may not be written by you; set POSEBOOK_RUNS to a folder of your own"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def made_once(path: Path) -> Iterator[bool]:
    """Hold the making of `path`, with `with`: True if it is still to be made. Others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f"{path.name}.lock")):
        yield not path.exists()


def key_of(**settings) -> str:
    """A short name for settings, in which equal settings and only these are the same."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
