"""People of MPII as the records of training and validation, with their pictures."""

from pathlib import Path

import numpy as np

from posebook.data.formats.files import names_in
from posebook.data.official.folders import find
from posebook.data.official.mpii.people import REMEDY, Person
from posebook.data.records import ImageSet
from posebook.geometry.skeleton import MPII

SOURCE = "mpii"


def as_records(folder: Path, train: list, valid: list) -> tuple[ImageSet, ImageSet]:
    """The records of both parts.

    Raises:
        ValueError: where both share a picture, or one has nobody.
        FileNotFoundError: where pictures are missing.
    """
    both = {person[0] for person in train} & {person[0] for person in valid}
    if both:
        raise ValueError(
            f"{folder}: training and validation share {len(both)} pictures, such as {min(both)}, "
            "and no picture of the official split is in both; take both lists from one conversion"
        )
    there = set(names_in(_images(folder)))
    return tuple(
        _record(folder, part, people, there)
        for part, people in (("train", train), ("valid", valid))
    )


def _images(folder: Path) -> Path:
    try:
        return find(folder, "images")
    except FileNotFoundError as problem:
        raise FileNotFoundError(
            f"{problem}; unpack mpii_human_pose_v1.tar.gz there, it holds images"
        ) from None


def _record(folder: Path, part: str, people: list[Person], there: set[str]) -> ImageSet:
    names = [person[0] for person in people]
    missing = sorted({name for name in names if name not in there})
    if missing:
        raise FileNotFoundError(
            f"{_images(folder)} lacks {missing[0]} and {len(missing) - 1} other pictures of the "
            "annotations; unpack mpii_human_pose_v1.tar.gz there anew"
        )
    if not people:
        raise ValueError(f"{folder}: the annotations leave nobody for {part!r}; {REMEDY}")
    joints, labelled, visible, box = (
        np.stack([person[k] for person in people]) for k in (1, 2, 3, 4)
    )
    place = _images(folder)
    return ImageSet(
        pictures=tuple(place / name for name in names),
        joints=joints,
        visible=visible & labelled,
        box=box,
        joint_set=MPII.name,
        split=part,
        source=SOURCE,
        annotated=labelled,
    )
