"""Penn Action: 2,326 clips of 15 actions, 13 joints with a word on visibility, one split.

    frames/0001/000001.jpg ...
    labels/0001.mat        x, y, visibility (T, 13), bbox (T, 4), train 1 or -1, action, pose, ...

The second joint of the published list is called a left shoulder; in the pictures it is the
person's right one, and so are all odd ones. `posebook.geometry.skeleton.PENN` names them as they
are.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from posebook.data.formats.files import names_in, numbered_pictures, picture_size
from posebook.data.formats.matlab import MatFile, read_mat
from posebook.data.official.folders import find
from posebook.data.official.overlays import sample_of
from posebook.data.official.report import Report
from posebook.data.records import VideoClip
from posebook.geometry.skeleton import PENN

SOURCE = "penn-action"
CLIPS = (1258, 1068)  # official clips for training and test
FRAMES = (87543, 76298)
ACTIONS = 15
SMALLEST_BOX = 5.0  # pixels of the longer side; some boxes of the official labels are void
REMEDY = "unpack Penn_Action.tar.gz anew"


@dataclass(frozen=True, eq=False)
class Label:
    """One label file, mended where the official files need it.

    Attributes:
        joints: (T, 13, 2) pixels counted from 0.
        visible: (T, 13).
        annotated: (T, 13) False where the file has a placeholder near (1, 1) in place of a joint.
        box: (T, 4) x1, y1, x2, y2.
        mended: (T,) the box was void or missing and is that of the nearest frame that has one.
        size: height and width as the file has them, which is not always the size of the pictures.
    """

    joints: np.ndarray
    visible: np.ndarray
    annotated: np.ndarray
    box: np.ndarray
    mended: np.ndarray
    action: str
    split: str
    size: tuple[int, int]


def load_clips(folder: Path, split: int = 1) -> tuple[list[VideoClip], list[VideoClip]]:
    """Training and test clips, by number, pictures as paths. There is only split 1.

    Raises:
        ValueError, FileNotFoundError: with file, field and remedy.
    """
    if split != 1:
        raise ValueError(f"Penn Action has one split, 1, not {split!r}")
    names = label_names(folder)
    bar = tqdm(names, desc="Penn Action", unit="clip", delay=5)
    clips = [read_clip(folder, name) for name in bar]
    return tuple([clip for clip in clips if clip.split == part] for part in ("train", "test"))


def label_names(folder: Path) -> list[str]:
    """The clips' names, "0001" and so on; FileNotFoundError where there is no label file."""
    place = _part(folder, "labels")
    names = [name.removesuffix(".mat") for name in names_in(place) if name.endswith(".mat")]
    if not names:
        raise FileNotFoundError(f"{place} holds no label such as 0001.mat; {REMEDY}")
    return names


def read_clip(folder: Path, name: str) -> VideoClip:
    """One clip with its label."""
    return _clip(folder, name, read_label(_part(folder, "labels") / f"{name}.mat"))


def _clip(folder: Path, name: str, label: Label) -> VideoClip:
    place = _part(folder, "frames") / name
    return VideoClip(
        pictures=numbered_pictures(place, "{:06d}.jpg", len(label.joints), REMEDY),
        joints=label.joints,
        visible=label.visible,
        box=label.box,
        joint_set=PENN.name,
        split=label.split,
        name=name,
        action=label.action,
        source=SOURCE,
        annotated=label.annotated,
    )


def read_label(path: Path) -> Label:
    """One label file, of whatever mixture of number types it is.

    The pictures were scaled after somebody had clicked in them, counting from 1; taking 1 off is
    right to 0.2 px.
    """
    mat = read_mat(path, REMEDY)
    x = mat.array("x", None, len(PENN))
    T = len(x)
    joints = np.stack([x, mat.array("y", T, len(PENN))], axis=-1)
    seen = mat.array("visibility", T, len(PENN))
    if not np.isin(seen, (0, 1)).all():
        raise mat.error("visibility", "must be 0 or 1 everywhere")
    visible = seen == 1
    height, width, _ = mat.array("dimensions", 1, 3)[0]
    if mat.number("nframes") != T:
        raise mat.error("nframes", f"must be the {T} frames of x, got {mat.number('nframes'):g}")
    annotated = visible | (joints > 1).any(axis=-1)
    box, mended = _mended_boxes(mat, joints, visible, (height, width))
    return Label(
        joints=(joints - 1).astype(np.float32),
        visible=visible,
        annotated=annotated,
        box=(box - 1).astype(np.float32),
        mended=mended,
        action=mat.text("action"),
        split=_split(mat),
        size=(int(height), int(width)),
    )


def _split(mat: MatFile) -> str:
    train = mat.number("train")
    if train not in (1, -1):
        raise mat.error("train", f"must be 1 (training) or -1 (test), got {train:g}")
    return "train" if train == 1 else "test"


def _mended_boxes(
    mat: MatFile, joints: np.ndarray, visible: np.ndarray, size: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (T, 4) as counted in the file, void ones replaced, and which these are (T,).

    Void is a box without area, or whose longer side, the unit of the scores, is no body's. Two
    official clips have one box less than frames; the last one then stands for two. Where no frame
    has a box, it is the extent of the visible joints times 1.2, as the official boxes are, or the
    whole picture where none is visible.
    """
    T = len(joints)
    box = mat.array("bbox", None, 4)
    if len(box) not in (T, T - 1):
        raise mat.error("bbox", f"must be {T} x 4, one row a frame, got {len(box)} x 4")
    mended = np.zeros(T, dtype=bool)
    mended[len(box) :] = True
    box = np.concatenate([box, box[-1:]])[:T] if len(box) else np.zeros((T, 4))
    side = box[:, 2:] - box[:, :2]
    void = (side <= 0).any(axis=1) | (side.max(axis=1) <= SMALLEST_BOX)
    good = np.flatnonzero(~void)
    if len(good):
        nearest = good[np.abs(np.arange(T)[:, None] - good).argmin(axis=1)]
        return box[nearest], mended | void
    whole = [1.0, 1.0, size[1], size[0]]
    return np.array([_extent(p[seen], whole) for p, seen in zip(joints, visible)]), ~mended | void


def _extent(points: np.ndarray, otherwise: list[float]) -> np.ndarray:
    """Box round points (N, 2), a fifth larger than they reach; `otherwise` for too few of them."""
    if len(points) < 2 or (np.ptp(points, axis=0) <= SMALLEST_BOX).any():
        return np.array(otherwise)
    low, high = points.min(axis=0), points.max(axis=0)
    return np.concatenate([low - 0.1 * (high - low), high + 0.1 * (high - low)])


def _part(folder: Path, name: str) -> Path:
    """`frames` or `labels`, in the folder itself or in the Penn_Action that the archive unpacks."""
    inner = folder / "Penn_Action"
    try:
        return find(inner if inner.is_dir() else folder, name)
    except FileNotFoundError as problem:
        other = [part for part in ("train", "test") if (folder / part).is_dir()]
        wrong = f" ({other[0]} holds somebody's conversion, not the labels)" if other else ""
        raise FileNotFoundError(f"{problem}{wrong}; {REMEDY}") from None


def check(folder: Path) -> Report:
    """What is in `folder`, against the official counts; every label is read, one picture a clip."""
    report = Report(SOURCE, folder)
    errors: list[Exception] = []
    labels: dict[str, Label] = {}
    clips: list[VideoClip] = []
    sizes = 0
    try:
        names = label_names(folder)
        _part(folder, "frames")
    except (ValueError, OSError) as problem:
        report.add_errors([problem])
        return report
    for name in tqdm(names, desc="labels", unit="clip", delay=5):
        try:
            label = labels[name] = read_label(_part(folder, "labels") / f"{name}.mat")
            clips.append(_clip(folder, name, label))
            width, height = picture_size(clips[-1].pictures[0])
            sizes += (height, width) != label.size
        except (ValueError, OSError) as problem:
            errors.append(problem)
    report.found.append(f"{len(names)} labels, of which {len(clips)} could be read with pictures")
    report.add_errors(errors)
    for part, wanted, frames in zip(("train", "test"), CLIPS, FRAMES):
        mine = [label for label in labels.values() if label.split == part]
        report.counts.append((f"clips, {part}", len(mine), wanted))
        report.counts.append((f"frames, {part}", sum(len(m.joints) for m in mine), frames))
    report.counts.append(("actions", len({label.action for label in labels.values()}), ACTIONS))
    report.notes += _notes(labels, sizes)
    for clip in clips[:: max(1, len(clips) // 8)][:8]:
        report.samples += sample_of(clip, len(clip) // 2, f"{clip.name} {clip.action}", report)
    return report


def _notes(labels: dict[str, Label], sizes: int) -> list[str]:
    mended = {name: int(label.mended.sum()) for name, label in labels.items() if label.mended.any()}
    absent = sum(int((~label.annotated).sum()) for label in labels.values())
    joints = sum(label.annotated.size for label in labels.values())
    notes = [f"{absent:,} of {joints:,} joints are placeholders and have annotated False"]
    if mended:
        clips = ", ".join(f"{name} ({count})" for name, count in mended.items())
        notes.append(f"boxes void or missing, taken from the nearest frame: clips {clips}")
    if sizes:
        notes.append(
            f"dimensions of {sizes} clips are not those of their pictures; the pictures count"
        )
    return notes
