"""All of MPII, from the form that a folder holds."""

from pathlib import Path

from posebook.data.official.folders import find
from posebook.data.official.mpii.converted import read_converted, read_pytorch_pose
from posebook.data.official.mpii.original import read_original
from posebook.data.official.mpii.people import REMEDY
from posebook.data.official.mpii.records import as_records
from posebook.data.records import ImageSet

PEOPLE = (22246, 2958)  # of the converted forms, for training and validation
PICTURES = 24987  # in the original's annolist, those of the test set among them
ORIGINAL = "mpii_human_pose_v1_u12_1.mat"
PYTORCH_POSE = "mpii_annotations.json"


def load_stills(folder: Path) -> tuple[ImageSet, ImageSet]:
    """People for training and for validation, one a picture of the record, pictures as paths.

    Raises:
        ValueError, FileNotFoundError: with file, field and remedy.
    """
    train, valid, _ = people_of(*annotations(folder))
    return as_records(folder, train, valid)


def people_of(form: str, places: list[Path]) -> tuple[list, list, list[tuple[str, int, int]]]:
    """People for training and validation, and (what, found, official) where a number is known."""
    if form == "mat":
        train, valid, pictures = read_original(*places)
        counts = [("pictures in annolist", pictures, PICTURES)]
        if len(places) == 2:  # only the list of people held out has a known length
            counts.append(("people, valid", len(valid), PEOPLE[1]))
        return train, valid, counts
    if form == "json":
        train, valid = (read_converted(path) for path in places)
    else:
        train, valid = read_pytorch_pose(*places)
    counts = [("people, train", len(train), PEOPLE[0]), ("people, valid", len(valid), PEOPLE[1])]
    return train, valid, counts


def annotations(folder: Path) -> tuple[str, list[Path]]:
    """Which form a folder holds, "json", "pytorch-pose" or "mat", and its files."""
    for place, names in (
        ("annot", ("train.json", "valid.json")),
        ("annotations", ("mpii_train.json", "mpii_val.json")),
    ):
        if (folder / place).is_dir() and any((folder / place / name).exists() for name in names):
            try:
                return "json", [find(folder / place, name) for name in names]
            except FileNotFoundError as problem:
                raise FileNotFoundError(f"{problem}; {REMEDY}") from None
    for place in (folder / "annot", folder / "annotations", folder):
        if (place / PYTORCH_POSE).is_file():
            return "pytorch-pose", [place / PYTORCH_POSE]
    for place in (folder, folder / "annot", folder / "mpii_human_pose_v1_u12_2"):
        if (place / ORIGINAL).is_file():
            lists = [p / "detections.mat" for p in (place, folder)]
            return "mat", [place / ORIGINAL, *[path for path in lists if path.is_file()][:1]]
    raise FileNotFoundError(
        f"{folder} has neither annot/train.json and valid.json nor {ORIGINAL}; {REMEDY}"
    )
