"""Who is trained on and tested on: the split files of sub-JHMDB."""

import re
from dataclasses import dataclass
from pathlib import Path

from posebook.data.formats.files import (
    names_in,
    read_bytes,
)
from posebook.data.official.jhmdb.facts import ACTIONS, DEAD_LINK, plain_name, unpack
from posebook.data.official.jhmdb.folders import part_of

PARTS = {"1": "train", "2": "test"}
SPLIT_FILE = re.compile(r"(?P<action>.+)_test_split_(?P<split>[123])\.txt")


@dataclass(frozen=True)
class Entry:
    """One line of a split."""

    action: str
    name: str
    part: str


def read_split(folder: Path, split: int) -> list[Entry]:
    """Which clips one split trains on and tests on; ValueError for the splits of the full JHMDB."""
    place = part_of(folder, "sub_splits")
    files: dict[str, dict[str, Path]] = {}  # of each action, by split
    for name in names_in(place):
        if re.fullmatch(r".+_test_split[123]\.txt", name):
            raise _full_jhmdb(place / name)
        match = SPLIT_FILE.fullmatch(name)
        if match:
            files.setdefault(match["action"], {})[match["split"]] = place / name
    if len(files) > ACTIONS:
        raise _full_jhmdb(place)
    missing = [action for action in files if str(split) not in files[action]]
    if missing or len(files) < ACTIONS:
        what = f"lacks {missing[0]}_test_split_{split}.txt" if missing else "is not complete"
        raise FileNotFoundError(
            f"{place} {what}: it should hold a file of split {split} for each of {ACTIONS} "
            f"actions and has {len(files) - len(missing)}; {unpack('sub_splits')}; {DEAD_LINK}"
        )
    return [entry for action in files for entry in _read_split_file(files[action][str(split)])]


def _full_jhmdb(place: Path) -> ValueError:
    return ValueError(
        f"{place} belongs to the splits of the full JHMDB (21 actions), whose bodies are cut off "
        "by the picture; unpack sub_splits.zip in place of splits.zip"
    )


def _read_split_file(path: Path) -> list[Entry]:
    action, remedy = SPLIT_FILE.fullmatch(path.name)["action"], unpack("sub_splits")
    try:
        lines = read_bytes(path, remedy).decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text; {remedy}") from None
    entries: dict[str, Entry] = {}
    for number, line in enumerate(lines, start=1):
        words = line.strip().rsplit(maxsplit=1)
        if not words:
            continue
        name = words[0].removesuffix(".avi")
        if len(words) != 2 or words[1] not in PARTS or words[0] == name:
            raise ValueError(
                f"{path}: line {number} must be <clip>.avi and 1 (train) or 2 (test), got "
                f"{line.strip()[:60]!r}; {remedy}"
            )
        if not plain_name(name):
            raise ValueError(f"{path}: line {number} {name[:60]!r} is no clip's name; {remedy}")
        if name in entries:
            raise ValueError(f"{path}: line {number} names {name} a second time; {remedy}")
        entries[name] = Entry(action, name, PARTS[words[1]])
    if not entries:
        raise ValueError(f"{path} names no clip; {remedy}")
    return list(entries.values())
