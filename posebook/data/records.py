"""The records that all data modules return, so that no chapter knows where its data came from."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posebook.data.fields import cameras, convert, fill_unknown, rate, text
from posebook.geometry.arrays import flags, numbers
from posebook.geometry.camera import Camera
from posebook.geometry.skeleton import joint_set


@dataclass(frozen=True, eq=False)
class ViewSequence:
    """One person, one take, V synchronised and calibrated views of T instants.

    Lists and tensors become arrays. A joint that is NaN with confidence 0 is one that is missing.

    Attributes:
        joints_2d: (T, V, J, 2) detected joints in pixels, float32.
        confidence: (T, V, J) detection confidences in [0, 1]; 0 marks a missing joint.
        cameras: V cameras, in the order of the views.
        fps: instants a second.
        joints_3d: (T, J, 3) true joints in the world, metres, or None where nobody measured them.
        occluded: (T, V, J) whether the body hides the joint from the view, or None if unknown.
        views: "real", or what the virtual ones behind them are projections of: "virtual" (the true
            3D) or "triangulated" (the detections).
    """

    joints_2d: np.ndarray
    confidence: np.ndarray
    cameras: tuple[Camera, ...]
    subject: str
    action: str
    fps: float
    split: str
    joints_3d: np.ndarray | None = None
    occluded: np.ndarray | None = None
    joint_set: str = "h36m17"
    source: str = "unnamed"
    views: str = "real"

    def __post_init__(self) -> None:
        J = len(joint_set(self.joint_set))
        where = f"{self.source}: {self.subject}/{self.action}"
        convert(self, where, numbers, "joints_2d", "confidence", "joints_3d")
        convert(self, where, flags, "occluded")
        convert(self, where, cameras, "cameras")
        convert(self, where, text, "subject", "action", "split", "source")
        convert(self, where, rate, "fps")
        if self.joints_2d.ndim != 4 or self.joints_2d.shape[2:] != (J, 2):
            raise self._error("joints_2d", f"must be (T, V, {J}, 2), got {self.joints_2d.shape}")
        T, V = self.joints_2d.shape[:2]
        if V != len(self.cameras):
            raise self._error("cameras", f"there are {V} views but {len(self.cameras)} cameras")
        if T == 0:
            raise self._error("joints_2d", "the sequence has no frames")
        fill_unknown(self, "joints_2d", self.confidence == 0)
        remedy = "a missing detection is (0, 0) with confidence 0"
        self._check_array("joints_2d", self.joints_2d, (T, V, J, 2), remedy)
        remedy = "a missing joint has confidence 0"
        self._check_array("confidence", self.confidence, (T, V, J), remedy)
        low, high = float(self.confidence.min()), float(self.confidence.max())
        if low < 0 or high > 1:
            raise self._error(
                "confidence",
                f"must lie between 0 and 1, and goes from {low:.3g} to {high:.3g}; clip scores "
                "that exceed 1 by a little (SimCC's do), divide percentages by 100",
            )
        if self.joints_3d is not None:
            remedy = "leave out instants without a true pose, or joints_3d"
            self._check_array("joints_3d", self.joints_3d, (T, J, 3), remedy)
        if self.occluded is not None and self.occluded.shape != (T, V, J):
            raise self._error("occluded", f"must be {(T, V, J)}, got {self.occluded.shape}")

    def __len__(self) -> int:
        return len(self.joints_2d)

    def pixels(self, view: int) -> np.ndarray:
        """Joints (T, J, 2) of a view in double precision, NaN where missing, for `Camera.rays`."""
        found = self.confidence[:, view, :, None] > 0
        return np.where(found, self.joints_2d[:, view].astype(np.float64), np.nan)

    def _check_array(self, field: str, array, shape: tuple[int, ...], remedy: str) -> None:
        if array.shape != shape:
            raise self._error(field, f"must be {shape}, got {array.shape}")
        bad = np.argwhere(~np.isfinite(array))
        if len(bad):
            index = tuple(int(i) for i in bad[0])
            raise self._error(field, f"is not finite at index {index}; {remedy}")

    def _error(self, field: str, problem: str) -> ValueError:
        where = f"{self.source}: {self.subject}/{self.action}"
        return ValueError(f"{where}: {field} {problem}")


def stack_views(source: str, views: list[np.ndarray]) -> np.ndarray:
    """Per-view arrays (T, J, ...) as one (T, V, J, ...); views of different length are refused."""
    lengths = [len(view) for view in views]
    if len(set(lengths)) != 1:
        raise ValueError(
            f"{source}: the views of one sequence must have the same frames, got {lengths} frames; "
            "cut them to the frames that all cameras share"
        )
    return np.stack(views, axis=1)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """N pictures of one person each.

    Lists and tensors become arrays, masks of 1 and 0 become bools; COCO's 0, 1, 2 are refused. A
    warning tells of boxes that hold less than half of the joints.

    Attributes:
        pictures: N files, or N arrays (H, W, 3) of uint8, RGB.
        joints: (N, J, 2) pixels, 0 the centre of the first.
        visible: (N, J) whether the joint can be seen.
        annotated: (N, J) whether its place is known at all; None: everywhere.
        box: (N, 4) the person as x1, y1, x2, y2, pixels.
    """

    pictures: Sequence[np.ndarray | Path]
    joints: np.ndarray
    visible: np.ndarray
    box: np.ndarray
    joint_set: str
    split: str
    source: str = "unnamed"
    annotated: np.ndarray | None = None

    def __post_init__(self) -> None:
        _check_pictures(self, self.source)

    def __len__(self) -> int:
        return len(self.pictures)


@dataclass(frozen=True, eq=False)
class VideoClip:
    """One person in T consecutive frames; the fields of `ImageSet` with time in place of N.

    Attributes:
        name: of the clip in its data set.
        action: as far as the data set tells, as the next two.
        subject: who it is.
        fps: frames a second.
    """

    pictures: Sequence[np.ndarray | Path]
    joints: np.ndarray
    visible: np.ndarray
    box: np.ndarray
    joint_set: str
    split: str
    name: str
    action: str
    subject: str = ""
    fps: float = 25.0
    source: str = "unnamed"
    annotated: np.ndarray | None = None

    def __post_init__(self) -> None:
        _check_pictures(self, f"{self.source}: {self.name}")

    def __len__(self) -> int:
        return len(self.pictures)


def _check_pictures(record: ImageSet | VideoClip, where: str) -> None:
    """Raise a ValueError that names the record and the field if the fields do not fit."""
    N, J = len(record.pictures), len(joint_set(record.joint_set))
    if N == 0:
        raise ValueError(f"{where}: pictures must be at least one, there is none")
    convert(record, where, numbers, "joints", "box")
    convert(record, where, flags, "visible", "annotated")
    convert(record, where, text, "split", "source")
    if isinstance(record, VideoClip):
        convert(record, where, text, "name", "action", "subject")
        convert(record, where, rate, "fps")
    shapes = {"joints": (N, J, 2), "visible": (N, J), "annotated": (N, J), "box": (N, 4)}
    for field, shape in shapes.items():
        array = getattr(record, field)
        if array is not None and array.shape != shape:
            raise ValueError(f"{where}: {field} must be {shape}, got {array.shape}")
    if record.annotated is not None:
        fill_unknown(record, "joints", ~record.annotated)
    for field in ("joints", "box"):
        bad = np.argwhere(~np.isfinite(getattr(record, field)))
        if len(bad):
            index = tuple(int(i) for i in bad[0])
            remedy = "; where it is unknown, annotated is False" if field == "joints" else ""
            raise ValueError(f"{where}: {field} is not finite at index {index}{remedy}")
    _check_boxes(record, where)


def _check_boxes(record: ImageSet | VideoClip, where: str) -> None:
    """Refuse boxes without area or outside their picture; warn of those that hold no person."""
    corner, end = record.box[:, :2], record.box[:, 2:]
    empty = np.flatnonzero((end < corner + 1).any(axis=1))
    if len(empty):
        raise ValueError(
            f"{where}: box {record.box[empty[0]].tolist()} of frame {int(empty[0])} has no area "
            "(a side is below one pixel); it must be x1, y1, x2, y2 with x2 > x1 and y2 > y1, in "
            "pixels: from x, y, width, height take x, y, x + width, y + height"
        )
    outside = np.flatnonzero(((end <= 0) | (corner >= _sizes(record.pictures))).any(axis=1))
    if len(outside):
        raise ValueError(
            f"{where}: box {record.box[outside[0]].tolist()} of frame {int(outside[0])} lies "
            "wholly outside its picture; check the order x1, y1, x2, y2 and the unit, pixels"
        )
    held, as_width = _held(record, end), _held(record, corner + end)
    if held < 0.5:
        likely = (
            f"; as x, y, width, height they would hold {as_width:.0%}" if as_width > 0.9 else ""
        )
        warnings.warn(
            f"{where}: the boxes hold {held:.0%} of the annotated joints{likely}; a box must be "
            "the person's x1, y1, x2, y2 in pixels of the picture",
            stacklevel=2,
        )


def _held(record: ImageSet | VideoClip, end: np.ndarray) -> float:
    """Share of the annotated joints between the boxes' first corners and `end` (N, 2)."""
    inside = (record.joints >= record.box[:, None, :2]) & (record.joints <= end[:, None])
    known = np.ones_like(record.visible) if record.annotated is None else record.annotated
    return float(inside.all(-1)[known].mean()) if known.any() else 1.0


def _sizes(pictures: Sequence) -> np.ndarray:
    """(width, height) of pictures (N, 2); infinite for files, which are not opened here."""
    if not isinstance(pictures, list | tuple | np.ndarray):
        return np.array([np.inf, np.inf])
    known = [isinstance(p, np.ndarray) and p.ndim == 3 for p in pictures]
    return np.array([p.shape[1::-1] if k else (np.inf, np.inf) for p, k in zip(pictures, known)])
