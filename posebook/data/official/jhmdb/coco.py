"""mmpose's annotations of sub-JHMDB, in COCO's layout."""

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from posebook.data.formats.files import (
    numbered_pictures,
    read_json,
)
from posebook.data.formats.matlab import MOST
from posebook.data.official.folders import find
from posebook.data.official.jhmdb.facts import FPS, SOURCE, plain_name, unpack
from posebook.data.records import VideoClip
from posebook.geometry.skeleton import JHMDB


def is_coco(folder: Path) -> bool:
    """Whether a folder holds mmpose's annotations in place of the official ones."""
    return (folder / "annotations").is_dir() and not (folder / "joint_positions").is_dir()


def read_coco(folder: Path, split: int, part: str) -> list[VideoClip]:
    """Clips of Sub<split>_<part>.json; boxes are x, y, width, height, everything counts from 1."""
    remedy = "take the file from mmpose's archive anew"
    try:
        path = find(find(folder, "annotations"), f"Sub{split}_{part}.json")
    except FileNotFoundError as problem:
        raise FileNotFoundError(f"{problem}; {remedy}") from None
    content = read_json(path, remedy)

    def error(problem: str) -> ValueError:
        return ValueError(f"{path}: {problem}; {remedy}")

    try:
        images = {image["id"]: image for image in content["images"]}
        if len(images) != len(content["images"]):
            raise error("two images have the same id")
        labels = {label["image_id"]: label for label in content["annotations"]}
        if len(labels) != len(content["annotations"]) or labels.keys() != images.keys():
            raise error("annotations must be one for each of images")
        clips: dict[str, list] = {}
        for key, image in images.items():
            name = PurePosixPath(image["file_name"])
            clips.setdefault(str(name.parent), []).append((name.name, image, labels[key]))
        if not clips:
            raise error("images is empty")
        return [
            _coco_clip(folder, name, sorted(frames, key=lambda frame: frame[0]), part, error)
            for name, frames in sorted(clips.items())
        ]
    except (KeyError, TypeError, AttributeError) as problem:
        what = f"the field {problem}" if isinstance(problem, KeyError) else f"a field ({problem})"
        raise error(f"{what} is missing or of another kind") from None


def _coco_clip(folder: Path, name: str, frames: list[tuple], part: str, error) -> VideoClip:
    parts = PurePosixPath(name).parts
    if not parts or not all(plain_name(piece) for piece in parts):
        raise error(f"file_name of {name[:60]!r} does not lead into the data folder")
    T = len(frames)
    wanted = [f"{number:05d}.png" for number in range(1, T + 1)]
    told = {image["nframes"] for _, image, _ in frames}
    if [frame[0] for frame in frames] != wanted or told != {T}:
        raise error(f"{name} has {T} frames that are not 1 to nframes ({told}) without a gap")
    keypoints = _table([label["keypoints"] for *_, label in frames], 3 * len(JHMDB), name, error)
    keypoints = keypoints.reshape(T, len(JHMDB), 3)
    bbox = _table([label["bbox"] for *_, label in frames], 4, name, error)
    if (bbox[:, 2:] < 2).any():
        raise error(f"{name}: bbox has no area, it must be x, y, width, height")
    place = folder / name
    if parts[0] != "Rename_Images" and not place.is_dir():
        place = folder / "Rename_Images" / name
    known = keypoints[..., 2] > 0
    return VideoClip(
        pictures=numbered_pictures(place, "{:05d}.png", T, unpack("Rename_Images")),
        joints=(keypoints[..., :2] - 1).astype(np.float32),
        visible=keypoints[..., 2] > 1,
        box=np.concatenate([bbox[:, :2] - 1, bbox[:, :2] + bbox[:, 2:] - 2], 1).astype(np.float32),
        joint_set=JHMDB.name,
        split=part,
        name=parts[-1],
        action=parts[-2] if len(parts) > 1 and parts[-2] != "Rename_Images" else "",
        fps=FPS,
        source=SOURCE,
        annotated=None if known.all() else known,
    )


def _table(rows: list[Any], width: int, name: str, error) -> np.ndarray:
    """Lists of `width` finite numbers each as an array."""
    for row in rows:
        numbers = isinstance(row, list) and all(type(x) in (int, float) for x in row)
        if not numbers or len(row) != width:
            raise error(f"{name}: keypoints must be 45 numbers and bbox 4")
        if not all(abs(x) < MOST for x in row):
            raise error(f"{name}: keypoints or bbox is not finite")
    return np.array(rows, dtype=float)


def refuse_overlap(train: list[VideoClip], test: list[VideoClip], folder: Path) -> None:
    """Raise a ValueError if a clip is in both parts of a split."""
    both = {clip.name for clip in train} & {clip.name for clip in test}
    if both:
        raise ValueError(
            f"{folder}/annotations: {min(both)} is in training and test of one split; take the "
            "files from mmpose's archive anew"
        )
