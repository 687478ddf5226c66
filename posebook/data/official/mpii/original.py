"""The original form of MPII: one MATLAB struct of all pictures."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from posebook.data.formats.matlab import described, numeric, read_mat
from posebook.data.official.mpii.people import REMEDY, Person, as_person
from posebook.geometry.skeleton import MPII

HELD_OUT = 10  # one picture in so many, where detections.mat is missing


def read_original(
    path: Path, detections: Path | None = None
) -> tuple[list[Person], list[Person], int]:
    """People for training and validation, in the file's order, and how many pictures it has.

    Args:
        detections: whom Tompson et al. held out. Their pictures hold others too, who are in neither
            part. Without it, every tenth picture by the sum of its name is held out: another split,
            so its numbers compare with nobody's.

    Raises:
        ValueError: with the file, the picture's number in annolist, the field and the remedy.
        OSError: if a file cannot be opened.
    """
    mat = read_mat(path, REMEDY)
    release = mat["RELEASE"]

    def error(problem: str) -> ValueError:
        return mat.error("RELEASE", problem)

    if not isinstance(release, dict) or not {"annolist", "img_train"} <= release.keys():
        raise error("must be a struct with annolist and img_train")
    pictures = _structs(release["annolist"])
    in_training = numeric(release["img_train"], (1, None), error)[0]
    if len(pictures) != len(in_training):
        raise error(f"has {len(pictures)} pictures in annolist and {len(in_training)} in img_train")
    held_out = _held_out(detections) if detections else None
    held_pictures = {i for i, _ in held_out} if held_out is not None else set()
    train, valid = [], []
    bar = tqdm(np.flatnonzero(in_training == 1), desc="MPII", unit="picture", delay=5)
    for i in bar:
        name, people = _people(pictures[i], i, error)
        for p, person in people:
            if person is None:
                continue
            if held_out is None:
                (valid if zlib.crc32(name.encode()) % HELD_OUT == 0 else train).append(person)
            elif (i, p) in held_out:
                valid.append(person)
            elif i not in held_pictures:
                train.append(person)
    return train, valid, len(pictures)


def _held_out(path: Path) -> set[tuple[int, int]]:
    """Picture and person, counted from 0, that are for validation."""
    mat = read_mat(path, REMEDY)
    index = [mat.array(f"RELEASE_{what}_index", 1, None)[0] for what in ("img", "person")]
    if len(index[0]) != len(index[1]):
        raise mat.error("RELEASE_person_index", "must be as long as RELEASE_img_index")
    return {(int(i) - 1, int(p) - 1) for i, p in zip(*index, strict=True)}


def _people(picture: Any, i: int, error) -> tuple[str, Iterator[tuple[int, Person | None]]]:
    """Name of a picture and its people with their numbers, None for one who cannot be used."""

    def here(problem: str) -> ValueError:
        return error(f"annolist({i + 1}): {problem}")

    name = picture.get("image", {})
    name = name.get("name") if isinstance(name, dict) else None
    if not isinstance(name, str):
        raise here("image.name is missing")
    rects = _structs(picture.get("annorect"))
    return name, ((p, _original(name, rect, here)) for p, rect in enumerate(rects))


def _original(name: str, rect: dict, error) -> Person | None:
    """One annorect; None where joints, middle or scale are absent, as for many people they are."""
    points = _structs(_field(rect, "annopoints"))
    points = _structs(_field(points[0], "point")) if points else []
    middle, scale = _structs(_field(rect, "objpos")), _field(rect, "scale")
    if not points or not middle or _absent(scale):
        return None
    joints, visible = np.zeros((len(MPII), 2)), np.zeros(len(MPII), dtype=bool)
    labelled = np.zeros(len(MPII), dtype=bool)
    for point in points:
        x, y, joint = (_number(point, field, error) for field in ("x", "y", "id"))
        if joint not in range(len(MPII)):
            raise error(f"point.id must be 0 to 15, got {joint:g}")
        joints[int(joint)], labelled[int(joint)] = (x, y), True
        visible[int(joint)] = _is_visible(_field(point, "is_visible"), error)
    center = np.array([_number(middle[0], field, error) for field in ("x", "y")])
    return as_person(name, joints, labelled, visible, center, _number(rect, "scale", error), error)


def _is_visible(value: Any, error) -> bool:
    """The five forms of is_visible: 1, 0, "1", "0", and nothing, which joints 8 and 9 have.

    Nothing counts as visible. So does an absent field, which some releases have.
    """
    if _absent(value):
        return True
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.ravel()[0]
    if str(value) not in ("0", "1", "0.0", "1.0", "True", "False"):
        raise error(f"point.is_visible must be 1, 0, '1', '0' or empty, got {described(value)}")
    return str(value) in ("1", "1.0", "True")


def _structs(value: Any) -> list[dict]:
    """A struct, an array of structs or nothing as a list."""
    if isinstance(value, dict):
        return [value]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _field(struct: Any, name: str) -> Any:
    return struct.get(name) if isinstance(struct, dict) else None


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, np.ndarray | list | str) and len(value) == 0)


def _number(struct: dict, field: str, error) -> float:
    value = _field(struct, field)
    if not isinstance(value, np.ndarray) or value.size != 1:
        raise error(f"{field} must be one number, got {described(value)}")
    return float(numeric(value.reshape(1), (1,), lambda p: error(f"{field} {p}"))[0])
