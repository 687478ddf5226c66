"""The converted forms of MPII: JSON lists of people."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from posebook.data.formats.files import read_json
from posebook.data.formats.matlab import MOST
from posebook.data.official.mpii.people import REMEDY, Person, as_person
from posebook.geometry.skeleton import MPII


def read_converted(path: Path) -> list[Person]:
    """People of a converted file, in its order.

    joints_vis says whether a joint is *labelled*; whether it can be seen was lost on the way, so
    all labelled ones count as visible.
    """
    fields = ("image", "center", "scale", "joints", "joints_vis")
    return [_converted(entry, error) for entry, error in _entries(path, fields)]


def read_pytorch_pose(path: Path) -> tuple[list[Person], list[Person]]:
    """People for training and for validation of pytorch-pose's `mpii_annotations.json`.

    joint_self has x, y and 1 for a joint that is seen, 0 for one that is hidden; a row of zeros is
    a joint that nobody labelled. objpos and scale_provided are as in the original; the other people
    of the picture, who are in every entry, are entries of their own too.

    Raises:
        ValueError: with the person, the field and the remedy.
    """
    parts: tuple[list[Person], list[Person]] = [], []
    fields = ("isValidation", "img_paths", "objpos", "scale_provided", "joint_self")
    for entry, error in _entries(path, fields):
        part = _numbers(entry["isValidation"], (), "isValidation", error)
        if part not in (0, 1):
            raise error(f"isValidation must be 0 or 1, got {part:g}")
        table = _numbers(entry["joint_self"], (len(MPII), 3), "joint_self", error)
        joints, seen = table[:, :2], table[:, 2]
        if not np.isin(seen, (0, 1)).all():
            raise error("joint_self must have 0 or 1 in its third column")
        center = _numbers(entry["objpos"], (2,), "objpos", error)
        scale = _numbers(entry["scale_provided"], (), "scale_provided", error)
        labelled = table.any(axis=1)
        person = as_person(entry["img_paths"], joints, labelled, seen == 1, center, scale, error)
        parts[int(part)].append(person)
    return parts


def _entries(path: Path, fields: tuple[str, ...]) -> Iterator[tuple[dict, Callable]]:
    """The people of a list, each with these fields and with what makes an error about it."""
    entries = read_json(path, REMEDY)
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{path} must be a list of people; {REMEDY}")
    for k, entry in enumerate(tqdm(entries, desc=path.name, unit="person", delay=5)):

        def error(problem: str, k: int = k) -> ValueError:
            return ValueError(f"{path}: person {k}: {problem}; {REMEDY}")

        if not isinstance(entry, dict):
            raise error("must be an object")
        missing = [field for field in fields if field not in entry]
        if missing:
            raise error(f"{missing[0]} is missing")
        yield entry, error


def _converted(entry: dict, error) -> Person:
    joints = _numbers(entry["joints"], (len(MPII), 2), "joints", error)
    labelled = _numbers(entry["joints_vis"], (len(MPII),), "joints_vis", error)
    if not np.isin(labelled, (0, 1)).all():
        raise error("joints_vis must be 0 or 1")
    center = _numbers(entry["center"], (2,), "center", error)
    scale = _numbers(entry["scale"], (), "scale", error)
    return as_person(entry["image"], joints, labelled == 1, labelled == 1, center, scale, error)


def _numbers(value: Any, shape: tuple[int, ...], field: str, error) -> np.ndarray:
    try:
        array = np.array(value)
    except ValueError:
        array = np.array(None)
    if array.dtype.kind not in "iuf" or array.shape != shape:
        wanted = " x ".join(map(str, shape)) + " numbers" if shape else "a number"
        raise error(f"{field} must be {wanted}")
    if not (np.abs(array) < MOST).all():
        raise error(f"{field} is not finite")
    return array.astype(float)
