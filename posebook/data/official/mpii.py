"""MPII Human Pose: pictures of people with 16 joints, which pre-train the base network::

    images/015601864.jpg ...
    annot/train.json, valid.json           the converted form (or annotations/mpii_train.json,
                                           mpii_val.json), with the split of Tompson et al.
    annot/mpii_annotations.json            pytorch-pose's form, both parts of that split in one
    mpii_human_pose_v1_u12_1.mat           the original; detections.mat beside it, from the same
                                           authors, says who is held out for validation

All forms count pixels from 1. A person's box is a square round the annotated middle, 200 px of the
annotated scale wide and shifted down by 15, as the code that the thesis builds on has it.
"""

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm.auto import tqdm

from posebook.data.formats.files import names_in, picture_size, read_json, report_errors
from posebook.data.formats.matlab import MOST, described, numeric, read_mat
from posebook.data.official.folders import find
from posebook.data.official.report import Report
from posebook.data.official.samples import sample_of
from posebook.data.records import ImageSet
from posebook.geometry.skeleton import MPII

SOURCE = "mpii"
PEOPLE = (22246, 2958)  # of the converted forms, for training and validation
PICTURES = 24987  # in the original's annolist, those of the test set among them
PIXELS_PER_SCALE = 200
SHIFT_DOWN = 15
ORIGINAL = "mpii_human_pose_v1_u12_1.mat"
PYTORCH_POSE = "mpii_annotations.json"
HELD_OUT = 10  # one picture in so many, where detections.mat is missing
REMEDY = "take the annotations from the official page anew"

Person = tuple[str, np.ndarray, np.ndarray, np.ndarray, np.ndarray]
# name of the picture, joints (16, 2), annotated (16,), visible (16,), box (4,)


def load_stills(folder: Path) -> tuple[ImageSet, ImageSet]:
    """People for training and for validation, one a picture of the record, pictures as paths.

    Raises:
        ValueError, FileNotFoundError: with file, field and remedy.
    """
    train, valid, _ = _people_of(*annotations(folder))
    return _records(folder, train, valid)


def _people_of(form: str, places: list[Path]) -> tuple[list, list, list[tuple[str, int, int]]]:
    """People for training and validation, and (what, found, official) where a number is known."""
    if form == "mat":
        train, valid, _, pictures = read_original(*places)
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


def _records(folder: Path, train: list, valid: list) -> tuple[ImageSet, ImageSet]:
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


# ---------------------------------------------------------------- the converted forms


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
        person = _person(entry["img_paths"], joints, labelled, seen == 1, center, scale, error)
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
    return _person(entry["image"], joints, labelled == 1, labelled == 1, center, scale, error)


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


# ---------------------------------------------------------------- the original form


class Original(NamedTuple):
    """People of the original file; left_out: how many lack a place or a scale; pictures: in it."""

    train: list[Person]
    valid: list[Person]
    left_out: int
    pictures: int


def read_original(path: Path, detections: Path | None = None) -> Original:
    """People of the original file, in its order.

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
    train, valid, left_out = [], [], 0
    bar = tqdm(np.flatnonzero(in_training == 1), desc="MPII", unit="picture", delay=5)
    for i in bar:
        name, people = _people(pictures[i], i, error)
        for p, person in people:
            if person is None:
                left_out += 1
            elif held_out is None:
                (valid if zlib.crc32(name.encode()) % HELD_OUT == 0 else train).append(person)
            elif (i, p) in held_out:
                valid.append(person)
            elif i not in held_pictures:
                train.append(person)
    return Original(train, valid, left_out, len(pictures))


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
    return _person(name, joints, labelled, visible, center, _number(rect, "scale", error), error)


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


# ---------------------------------------------------------------- what both forms share


def _person(
    name: Any,
    joints: np.ndarray,
    labelled: np.ndarray,
    visible: np.ndarray,
    center: np.ndarray,
    scale: float,
    error,
) -> Person:
    if not isinstance(name, str) or Path(name).name != name or not name or "\\" in name:
        raise error(f"{str(name)[:60]!r} is no picture's name")
    if not 0 < scale < 1000:
        raise error(f"scale must be a person's height in 200 px, got {scale:g}")
    joints = np.where(labelled[:, None], joints - 1, 0).astype(np.float32)
    return name, joints, labelled, visible, person_box(center - 1, float(scale))


def person_box(center: np.ndarray, scale: float) -> np.ndarray:
    """x1, y1, x2, y2 (4,) of a person from the annotated middle and scale."""
    middle = center + np.array([0, SHIFT_DOWN * scale])
    half = PIXELS_PER_SCALE * scale / 2
    return np.concatenate([middle - half, middle + half]).astype(np.float32)


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


# ---------------------------------------------------------------- check


def check(folder: Path) -> Report:
    """What is in `folder`, against the official counts."""
    report = Report(SOURCE, folder)
    try:
        form, places = annotations(folder)
        report.found += [str(path.relative_to(folder)) for path in places]
        train, valid, counts = _people_of(form, places)
        report.counts += counts
        stills = _records(folder, train, valid)
    except (ValueError, OSError) as problem:
        report_errors(report, [problem])
        return report
    if form == "mat" and len(places) == 1:
        report.notes.append(
            "no detections.mat: every tenth picture is held out, which is not the split of the "
            "published numbers"
        )
    if form == "json":
        report.notes.append("joints_vis says what is labelled; what can be seen is not known")
    errors: list[Exception] = []
    for record in stills:
        report.notes.append(
            f"{record.split}: {len(record):,} people in {len(set(record.pictures)):,} pictures, "
            f"{100 * (~record.annotated).mean():.1f} % of the joints unlabelled"
        )
        for at in range(0, len(record), max(1, len(record) // 4))[:4]:
            try:
                picture_size(record.pictures[at])
            except ValueError as problem:
                errors.append(problem)
                continue
            name = f"{record.split} {record.pictures[at].name}"
            report.samples += sample_of(record, at, name, report)
    report_errors(report, errors)
    return report
