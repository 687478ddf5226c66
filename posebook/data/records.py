"""The records that all data modules return, so that no chapter knows where its data came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posebook.geometry.camera import Camera
from posebook.geometry.skeleton import joint_set


@dataclass(frozen=True, eq=False)
class ViewSequence:
    """One person, one take, V synchronised and calibrated views of T instants.

    Attributes:
        joints_2d: (T, V, J, 2) detected joints in pixels, float32.
        confidence: (T, V, J) detection confidences in [0, 1]; 0 marks a missing joint.
        cameras: V cameras, in the order of the views.
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
        if self.joints_2d.ndim != 4 or self.joints_2d.shape[2:] != (J, 2):
            raise self._error("joints_2d", f"must be (T, V, {J}, 2), got {self.joints_2d.shape}")
        T, V = self.joints_2d.shape[:2]
        if V != len(self.cameras):
            raise self._error("cameras", f"there are {V} views but {len(self.cameras)} cameras")
        if T == 0:
            raise self._error("joints_2d", "the sequence has no frames")
        self._check_array("joints_2d", self.joints_2d, (T, V, J, 2))
        self._check_array("confidence", self.confidence, (T, V, J))
        if self.confidence.min() < 0 or self.confidence.max() > 1:
            raise self._error("confidence", "must lie between 0 and 1")
        if self.joints_3d is not None:
            self._check_array("joints_3d", self.joints_3d, (T, J, 3))
        if self.occluded is not None and self.occluded.shape != (T, V, J):
            raise self._error("occluded", f"must be {(T, V, J)}, got {self.occluded.shape}")

    def __len__(self) -> int:
        return len(self.joints_2d)

    def _check_array(self, field: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
        if array.shape != shape:
            raise self._error(field, f"must be {shape}, got {array.shape}")
        bad = np.argwhere(~np.isfinite(array))
        if len(bad):
            raise self._error(
                field,
                f"is not finite at index {tuple(int(i) for i in bad[0])}; "
                "a missing detection is (0, 0) with confidence 0",
            )

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
        action, subject, fps: as far as the data set tells.
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
    shapes = {"joints": (N, J, 2), "visible": (N, J), "box": (N, 4)}
    if record.annotated is not None:
        shapes["annotated"] = (N, J)
    for field, shape in shapes.items():
        array = getattr(record, field)
        if array.shape != shape:
            raise ValueError(f"{where}: {field} must be {shape}, got {array.shape}")
        bad = np.argwhere(~np.isfinite(array))
        if len(bad):
            index = tuple(int(i) for i in bad[0])
            raise ValueError(f"{where}: {field} is not finite at index {index}")
    empty = np.flatnonzero((record.box[:, 2:] <= record.box[:, :2]).any(axis=1))
    if len(empty):
        raise ValueError(
            f"{where}: box {record.box[empty[0]].tolist()} of frame {int(empty[0])} has no area; "
            "it must be x1, y1, x2, y2 with x2 > x1 and y2 > y1"
        )
