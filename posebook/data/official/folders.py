"""Where the reader's own data sets lie, and what stands under which name there.

Nothing here writes: a data set may lie on a read-only disk or behind symbolic links.
"""

import importlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

from posebook.paths import CLONE

VARIABLE = "POSEBOOK_DATA"
# The data sets' names are also the names of their folders.
DATASETS = ("human36m", "mpi-inf-3dhp", "jhmdb", "penn-action", "mpii")


def data_folder(name: str) -> Path:
    """Folder of the data set `name`: `$POSEBOOK_DATA/<name>`, else `data/<name>` in the clone.

    Raises:
        ValueError: for an unknown name.
        FileNotFoundError: with the remedy where it is missing.
    """
    if name not in DATASETS:
        raise ValueError(f"unknown data set {name!r}; known: {', '.join(DATASETS)}")
    home = Path(os.environ.get(VARIABLE) or CLONE / "data").expanduser()
    folder = home / name
    if not folder.is_dir():
        raise FileNotFoundError(
            f"there is no folder {folder}: put {name} there, link it there, or set {VARIABLE} to "
            "the folder that holds it"
        )
    return folder


def module_of(name: str) -> ModuleType:
    """The module of a data set, imported only where it is wanted: most readers have none."""
    return importlib.import_module(f"posebook.data.official.{name.replace('-', '_')}")


def listed(names: Sequence[str]) -> str:
    """Names with commas between them, the first eight of many; "nothing" for none."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return (", ".join(name[:40] for name in names[:8]) or "nothing") + more


def other_form(folder: Path, forms: Mapping[str, str]) -> str:
    """A sentence about the first file in `folder` that is of another form than is read, or "".

    Args:
        forms: name, with * for any text, or folder/name -> what such a file is and what to do.
    """
    for pattern, sentence in forms.items():
        for path in sorted(folder.glob(pattern)):
            return f"{path.relative_to(folder)} {sentence}"
    return ""


def find(folder: Path, name: str) -> Path:
    """The file or folder called `name` in `folder`, in whatever case it is written.

    Raises:
        FileNotFoundError: if there is none or a link that leads nowhere.
        ValueError: if two names differ in case only: archives of different age, unpacked over each
            other.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    same = sorted(entry for entry in os.listdir(folder) if entry.lower() == name.lower())
    if len(same) > 1:
        raise ValueError(
            f"{folder} holds {' and '.join(same)}, which differ in case only; keep the one that "
            "belongs to the rest"
        )
    path = folder / (same[0] if same else name)
    if path.is_symlink() and not path.exists():
        raise FileNotFoundError(
            f"{path} is a link to {os.readlink(path)}, which is not there; mount it or link anew"
        )
    if not same:
        raise FileNotFoundError(f"{folder} has no {name}")
    return path


def has(folder: Path, name: str) -> bool:
    """Whether `find` finds a name in a folder."""
    try:
        find(folder, name)
    except FileNotFoundError:
        return False
    return True
