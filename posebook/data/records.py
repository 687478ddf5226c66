"""The records that all data modules return, so that no chapter knows where its data came from."""

from dataclasses import dataclass

import numpy as np

from posebook.camera import Camera
from posebook.skeleton import joint_set


@dataclass(frozen=True, eq=False)
class ViewSequence:
    """One person, one take, V synchronised and calibrated views of T instants.

    joints_2d: (T, V, J, 2) detected joints in pixels, float32.
    confidence: (T, V, J) detection confidences in [0, 1]; 0 marks a missing joint.
    cameras: V cameras, in the order of the views.
    joints_3d: (T, J, 3) true joints in the world, metres, or None where nobody measured them.
    occluded: (T, V, J) whether the body hides the joint from the view, or None if unknown.
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
