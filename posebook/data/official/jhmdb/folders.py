"""The folders of the official archives of sub-JHMDB."""

from pathlib import Path

from posebook.data.formats.files import (
    names_in,
)
from posebook.data.formats.matlab import MatFile, read_mat
from posebook.data.official.folders import find, other_form
from posebook.data.official.jhmdb.facts import DEAD_LINK, unpack

OTHER_FORMS = {
    "JHMDB-GT.pkl": "has the boxes of actions that ACT-detector and YOWO use, and no joints",
}


def part_of(folder: Path, name: str) -> Path:
    """One of the four folders, which some archives unpack twice: sub_splits/sub_splits."""
    try:
        place = find(folder, name)
    except FileNotFoundError as problem:
        splits = name == "sub_splits" and (folder / "splits").is_dir()
        wrong = " (splits belongs to the full JHMDB, which is another experiment)" if splits else ""
        other = other_form(folder, OTHER_FORMS)
        wrong = f" ({other})" if other else wrong
        raise FileNotFoundError(f"{problem}{wrong}; {unpack(name)}; {DEAD_LINK}") from None
    place = place / name if (place / name).is_dir() else place
    names_in(place)  # refuses an action that is there twice, as catch and as Catch
    return place


def mat_of(folder: Path, name: str, inside: Path) -> MatFile:
    """The file of a clip in one of the folders, by its own name in the folder of the clip."""
    path = part_of(folder, name) / inside / f"{name}.mat"
    names_in(path.parent.parent, unpack(name))
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; {unpack(name)}")
    return read_mat(path, unpack(name))
