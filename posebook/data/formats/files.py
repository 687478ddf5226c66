"""Folders, JSON and picture files of official data sets, read so that a fault is one sentence."""

import json
import os
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from posebook.data.formats.pointers import lfs_pointer, refuse_pointer


def names_in(folder: Path, remedy: str = "") -> list[str]:
    """Sorted names in a folder, hidden ones left out.

    Raises:
        FileNotFoundError: with the remedy, if there is none.
        PermissionError: if it may not be read.
        ValueError: if two names differ in case only: on another machine these are one file, and
            which is read would depend on luck.
    """
    ending = f"; {remedy}" if remedy else ""
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except PermissionError:
        raise PermissionError(
            f"{folder} may not be read by you; change its rights, or take a copy of your own"
        ) from None
    except OSError as problem:
        if folder.is_symlink():
            raise FileNotFoundError(
                f"{folder} is a link to {os.readlink(folder)}, which is not there; link it anew"
            ) from None
        raise FileNotFoundError(
            f"there is no folder {folder} ({problem.strerror}){ending}"
        ) from None
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise ValueError(
                f"{folder} holds {other} and {name}, which differ in case only; keep the one that "
                "the official archive has"
            )
    return names


def numbered_pictures(folder: Path, pattern: str, count: int, remedy: str) -> tuple[Path, ...]:
    """The pictures 1 to `count` in a folder, named by `pattern`, such as "{:06d}.jpg".

    Only names are looked at.

    Raises:
        FileNotFoundError: that says how many there are if one of them is missing.
        ValueError: if there are more than the labels know.
    """
    there = set(names_in(folder, remedy))
    wanted = [pattern.format(number) for number in range(1, count + 1)]
    missing = [name for name in wanted if name not in there]
    if missing:
        raise FileNotFoundError(
            f"{folder} lacks {missing[0]}: the labels know {count} pictures, {len(missing)} of "
            f"them are not there; {remedy}"
        )
    if pattern.format(count + 1) in there:
        raise ValueError(
            f"{folder} has a picture {pattern.format(count + 1)} and the labels end at {count}: "
            f"labels and pictures are of different clips; {remedy}"
        )
    return tuple(folder / name for name in wanted)


def read_bytes(path: Path, remedy: str) -> bytes:
    """The bytes of a file.

    Raises:
        OSError: with the remedy if there is none that may be read.
        ValueError: if a pointer of Git LFS stands in its place.
    """
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise OSError(f"{path} cannot be read ({problem.strerror}); {remedy}") from None
    if lfs_pointer(content[:64]):
        raise ValueError(f"{path} {lfs_pointer(content[:64])}")
    return content


def read_json(path: Path, remedy: str) -> Any:
    """The content of a JSON file; ValueError with the remedy if it is none."""
    content = read_bytes(path, remedy)
    try:
        return json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as problem:
        reason = str(problem).splitlines()[0][:120]
        raise ValueError(f"{path} is no JSON or cut short ({reason}); {remedy}") from None


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture as `read_picture` gives it, upright, from its first bytes.

    Raises:
        ValueError: if it is no picture.
    """
    try:
        with Image.open(path) as picture:
            exif = Image.Exif()  # `getexif` would look for it behind the pixels
            exif.load(picture.info.get("exif", b""))
            turned = exif.get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
            # Pillow turns the size of a TIFF file itself.
            return picture.size[::-1] if turned and picture.format != "TIFF" else picture.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as problem:
        reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        if path.is_file():
            refuse_pointer(path)
        raise ValueError(f"{path}: cannot be read as a picture ({reason})") from None
