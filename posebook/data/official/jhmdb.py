"""Sub-JHMDB: 316 clips of 12 actions in which the whole body is in the picture, three splits.

    Rename_Images/<action>/<clip>/00001.png ...                 320 x 240
    joint_positions/<action>/<clip>/joint_positions.mat         pos_img (2, 15, T), counted from 1
    puppet_mask/<action>/<clip>/puppet_mask.mat                 part_mask (240, 320, T), 0 or 1
    sub_splits/<action>_test_split_<1, 2 or 3>.txt              <clip>.avi <1 train, 2 test>

or, in place of the last three, the annotations that mmpose gives out:

    annotations/Sub<1, 2 or 3>_<train or test>.json             COCO's layout

The file has no word on visibility. All 15 joints are those of a puppet that was fitted by hand; a
hidden one is where the puppet has it, so here all count as visible.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from posebook.data.formats.files import (
    names_in,
    numbered_pictures,
    read_bytes,
    read_json,
    report_errors,
)
from posebook.data.formats.matlab import MOST, MatFile, read_mat
from posebook.data.official.folders import find, other_form
from posebook.data.official.report import Report
from posebook.data.official.samples import sample_of
from posebook.data.records import VideoClip
from posebook.geometry.skeleton import JHMDB

SOURCE = "jhmdb"
HEIGHT, WIDTH = 240, 320
FPS = 30.0  # of HMDB51, from which the clips were cut; the files do not say
ACTIONS = 12
CLIPS = {1: (227, 89), 2: (236, 80), 3: (224, 92)}  # official clips for training and test
FRAMES = 11200
PARTS = {"1": "train", "2": "test"}
SPLIT_FILE = re.compile(r"(?P<action>.+)_test_split_(?P<split>[123])\.txt")

# Folder -> archive. The addresses on the data set's page were reported dead; archives are known by
# name, and whoever holds the data holds them.
ARCHIVES = {
    "Rename_Images": "Rename_Images.tar.gz",
    "joint_positions": "joint_positions.zip",
    "puppet_mask": "puppet_mask.zip",
    "sub_splits": "sub_splits.zip",
}
DEAD_LINK = (
    "if its address no longer answers, ask the authors or someone who holds the data set; the "
    "archive that mmpose gives out, with annotations/Sub1_train.json, will do as well"
)


OTHER_FORMS = {
    "JHMDB-GT.pkl": "has the boxes of actions that ACT-detector and YOWO use, and no joints",
}


def load_clips(folder: Path, split: int = 1) -> tuple[list[VideoClip], list[VideoClip]]:
    """Training and test clips of one split, in alphabetical order, pictures as paths.

    The three splits are three experiments: one's training clips are another's test, so they are
    never pooled.

    Raises:
        ValueError, FileNotFoundError: with file, field and remedy.
    """
    if split not in CLIPS:
        raise ValueError(f"sub-JHMDB has splits 1, 2 and 3, not {split!r}")
    if _is_coco(folder):
        parts = [_read_coco(folder, split, part) for part in ("train", "test")]
        _refuse_overlap(*parts, folder)
        return parts[0], parts[1]
    entries = read_split(folder, split)
    bar = tqdm(entries, desc=f"sub-JHMDB split {split}", unit="clip", delay=5)
    clips = [read_clip(folder, entry) for entry in bar]
    return tuple([clip for clip in clips if clip.split == part] for part in ("train", "test"))


# ---------------------------------------------------------------- the official files


@dataclass(frozen=True)
class Entry:
    """One line of a split."""

    action: str
    name: str
    part: str


def read_split(folder: Path, split: int) -> list[Entry]:
    """Which clips one split trains on and tests on; ValueError for the splits of the full JHMDB."""
    place = _part(folder, "sub_splits")
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
            f"actions and has {len(files) - len(missing)}; {_unpack('sub_splits')}; {DEAD_LINK}"
        )
    return [entry for action in files for entry in _read_split_file(files[action][str(split)])]


def _full_jhmdb(place: Path) -> ValueError:
    return ValueError(
        f"{place} belongs to the splits of the full JHMDB (21 actions), whose bodies are cut off "
        "by the picture; unpack sub_splits.zip in place of splits.zip"
    )


def _read_split_file(path: Path) -> list[Entry]:
    action, remedy = SPLIT_FILE.fullmatch(path.name)["action"], _unpack("sub_splits")
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
        if not _plain_name(name):
            raise ValueError(f"{path}: line {number} {name[:60]!r} is no clip's name; {remedy}")
        if name in entries:
            raise ValueError(f"{path}: line {number} names {name} a second time; {remedy}")
        entries[name] = Entry(action, name, PARTS[words[1]])
    if not entries:
        raise ValueError(f"{path} names no clip; {remedy}")
    return list(entries.values())


def read_clip(folder: Path, entry: Entry) -> VideoClip:
    """One clip; its joints counted from 0, its boxes from the puppet's mask."""
    inside = Path(entry.action) / entry.name
    joints = read_joints(_mat(folder, "joint_positions", inside))
    box = read_boxes(_mat(folder, "puppet_mask", inside))
    if len(joints) != len(box):
        raise ValueError(
            f"{_part(folder, 'puppet_mask') / inside}: part_mask has {len(box)} frames and pos_img "
            f"{len(joints)}: files of different clips or releases; unpack both archives anew"
        )
    pictures = numbered_pictures(
        _part(folder, "Rename_Images") / inside, "{:05d}.png", len(joints), _unpack("Rename_Images")
    )
    return VideoClip(
        pictures=pictures,
        joints=joints,
        visible=np.ones(joints.shape[:2], dtype=bool),
        box=box,
        joint_set=JHMDB.name,
        split=entry.part,
        name=entry.name,
        action=entry.action,
        fps=FPS,
        source=SOURCE,
    )


def read_joints(mat: MatFile) -> np.ndarray:
    """Joints (T, 15, 2) in pixels counted from 0; MATLAB counts from 1."""
    positions = mat.array("pos_img", 2, len(JHMDB), None)
    return (positions.transpose(2, 1, 0) - 1).astype(np.float32)


def read_boxes(mat: MatFile) -> np.ndarray:
    """Boxes (T, 4) round the puppet; ValueError for a frame without one."""
    mask = mat.array("part_mask", HEIGHT, WIDTH, None, dtype=bool)
    box, empty = mask_boxes(mask)
    if empty.any():
        frame = int(np.flatnonzero(empty)[0]) + 1
        raise mat.error("part_mask", f"shows no body in frame {frame}, or one without area")
    return box


def mask_boxes(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x1, y1, x2, y2 (T, 4) of the outermost pixels of a mask (H, W, T), and where it has no area.

    The widely copied way over linear indices, floor(position / height) + 1, is one pixel off
    where the body touches the last row or column.
    """
    columns, rows = mask.any(axis=0), mask.any(axis=1)
    H, W = len(rows), len(columns)
    x1, y1 = columns.argmax(axis=0), rows.argmax(axis=0)
    x2, y2 = W - 1 - columns[::-1].argmax(axis=0), H - 1 - rows[::-1].argmax(axis=0)
    empty = ~columns.any(axis=0) | (x1 == x2) | (y1 == y2)
    return np.stack([x1, y1, x2, y2], axis=-1).astype(np.float32), empty


def recovered_scale(mat: MatFile) -> tuple[np.ndarray, float]:
    """The puppet's scale in each frame (T,), and how far pos_img is from saying the same, pixels.

    pos_world is pos_img in heights of the picture from its middle, divided by the scale. So one
    number a frame must explain 30, which shows files that do not belong together, and gives the
    scale to the release of 2013, which lacks the field.
    """
    image = mat.array("pos_img", 2, len(JHMDB), None)
    world = mat.array("pos_world", 2, len(JHMDB), None)
    if image.shape != world.shape:
        raise mat.error("pos_world", f"has {world.shape[2]} frames, pos_img {image.shape[2]}")
    size = np.array([WIDTH, HEIGHT])[:, None, None]
    centred = (image / size - 0.5) * size / HEIGHT
    power = (world * world).sum(axis=(0, 1))
    scale = (centred * world).sum(axis=(0, 1)) / np.where(power > 0, power, 1)
    return scale, float(HEIGHT * np.abs(centred - scale * world).max())


def _part(folder: Path, name: str) -> Path:
    """One of the four folders, which some archives unpack twice: sub_splits/sub_splits."""
    try:
        place = find(folder, name)
    except FileNotFoundError as problem:
        splits = name == "sub_splits" and (folder / "splits").is_dir()
        wrong = " (splits belongs to the full JHMDB, which is another experiment)" if splits else ""
        other = other_form(folder, OTHER_FORMS)
        wrong = f" ({other})" if other else wrong
        raise FileNotFoundError(f"{problem}{wrong}; {_unpack(name)}; {DEAD_LINK}") from None
    place = place / name if (place / name).is_dir() else place
    names_in(place)  # refuses an action that is there twice, as catch and as Catch
    return place


def _mat(folder: Path, name: str, inside: Path) -> MatFile:
    path = _part(folder, name) / inside / f"{name}.mat"
    names_in(path.parent.parent, _unpack(name))
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; {_unpack(name)}")
    return read_mat(path, _unpack(name))


def _unpack(name: str) -> str:
    return f"unpack {ARCHIVES[name]} there anew"


def _plain_name(name: str) -> bool:
    """Whether a name from a file may become part of a path."""
    return bool(name) and name.isprintable() and name[0] != "." and not re.search(r"[/\\]", name)


# ---------------------------------------------------------------- mmpose's annotations


def _is_coco(folder: Path) -> bool:
    return (folder / "annotations").is_dir() and not (folder / "joint_positions").is_dir()


def _read_coco(folder: Path, split: int, part: str) -> list[VideoClip]:
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
    if not parts or not all(_plain_name(piece) for piece in parts):
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
        pictures=numbered_pictures(place, "{:05d}.png", T, _unpack("Rename_Images")),
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


def _refuse_overlap(train: list[VideoClip], test: list[VideoClip], folder: Path) -> None:
    both = {clip.name for clip in train} & {clip.name for clip in test}
    if both:
        raise ValueError(
            f"{folder}/annotations: {min(both)} is in training and test of one split; take the "
            "files from mmpose's archive anew"
        )


# ---------------------------------------------------------------- check


def check(folder: Path) -> Report:
    """What is in `folder`, against the official counts; the clips of all three splits are read."""
    report = Report(SOURCE, folder)
    clips: dict[str, VideoClip | None] = {}
    errors: list[Exception] = []
    for split, official in CLIPS.items():
        try:
            found = _check_split(folder, split, clips, report, errors)
        except (ValueError, OSError) as problem:
            errors.append(problem)
            continue
        for part, count, wanted in zip(("train", "test"), found, official, strict=True):
            report.counts.append((f"split {split}, clips for {part}", count, wanted))
    report_errors(report, errors)
    clips = {name: clip for name, clip in clips.items() if clip}
    report.counts.append(("clips", len(clips), sum(CLIPS[1])))
    report.counts.append(("frames", sum(map(len, clips.values())), FRAMES))
    if clips and not _is_coco(folder):
        _check_scale(folder, clips, report)
    some = [clips[name] for name in sorted(clips)]
    for clip in some[:: max(1, len(some) // 8)][:8]:
        report.samples += sample_of(clip, len(clip) // 2, clip.name, report)
    return report


def _check_split(
    folder: Path,
    split: int,
    clips: dict[str, VideoClip | None],
    report: Report,
    errors: list[Exception],
) -> tuple[int, int]:
    """Counts of training and test clips; new ones are added to `clips`, None if unreadable."""
    if _is_coco(folder):
        parts = load_clips(folder, split)
        clips.update({clip.name: clip for part in parts for clip in part})
        report.found.append(f"annotations of mmpose, split {split}")
        return len(parts[0]), len(parts[1])
    entries = read_split(folder, split)
    report.found.append(f"sub_splits of 12 actions, split {split}")
    new = [entry for entry in entries if entry.name not in clips]
    for entry in tqdm(new, desc=f"split {split}", unit="clip", delay=5):
        clips[entry.name] = None
        try:
            clips[entry.name] = read_clip(folder, entry)
        except (ValueError, OSError) as problem:
            errors.append(problem)
    train = sum(entry.part == "train" for entry in entries)
    return train, len(entries) - train


def _check_scale(folder: Path, clips: dict[str, VideoClip], report: Report) -> None:
    """Whether pos_world says the same as pos_img, over all clips that were read."""
    old, worst = 0, (0.0, "")
    for clip in clips.values():
        mat = _mat(folder, "joint_positions", Path(clip.action) / clip.name)
        old += "scale" not in mat
        if "pos_world" in mat:
            worst = max(worst, (recovered_scale(mat)[1], clip.name))
    if old:
        report.notes.append(
            f"{old} of {len(clips)} joint files are of the release of 2013, without scale and "
            "viewpoint; nothing here needs them"
        )
    if 0 < old < len(clips):
        report.problem(
            "joint files of two releases are mixed",
            "unpack one joint_positions.zip into an empty folder",
        )
    if worst[0] > 1:
        report.problem(
            f"pos_img and pos_world of {worst[1]} differ by {worst[0]:.1f} px",
            "their axes are swapped or they are of different clips: unpack joint_positions.zip "
            "into an empty folder",
        )
