"""A detector that works offline: MediaPipe's pose network, whose wheel carries its weights.

It finds one person in a picture. For more, whoever is found is painted over and the next is looked
for; or boxes are given, and each person is looked for in their own. It is no dependency, because a
plain installation brings a second OpenCV along.
"""

import warnings
from collections.abc import Iterable, Iterator
from itertools import repeat

import cv2
import numpy as np

from posebook.geometry.skeleton import MEDIAPIPE

NAME = "MediaPipe 0.10.14"
INSTALL = ('pip install --no-deps mediapipe==0.10.14 absl-py attrs flatbuffers "protobuf>=4.25,<5"')
ABSENT = (
    f"no detector is installed: {INSTALL}; or detect with RTMLib or torchvision's Keypoint R-CNN "
    "(both download their weights) and give --detections"
)
MARGIN = 0.25  # of a box's longer side, added all round before it is cut out
AROUND = 0.08  # of a person's longer side, painted over round the joints
GREY = (127, 127, 127)


def detect(
    pictures: Iterable[np.ndarray], boxes: Iterable[np.ndarray] | None = None, people: int = 1
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Joints (P, 33, 2) in pixels and confidences (P, 33) of each picture, MediaPipe's order.

    Missing joints are NaN with confidence 0: those outside the picture, and of whoever is not
    found.

    Args:
        pictures: (H, W, 3) of uint8, RGB. boxes: for each picture (P, 4), x1, y1, x2, y2, of each
            person, NaN where they are not; None for the whole picture. people: how many are looked
            for in it.

    Raises:
        ModuleNotFoundError: in a sentence with the command that installs it.
    """
    with _network(video=boxes is None and people == 1) as network:
        for picture, around in zip(pictures, repeat(None) if boxes is None else boxes):
            if around is None:
                found = _one_after_the_other(network, picture, people)
            else:
                found = [_in_box(network, picture, box) for box in around]
            yield np.stack([j for j, _ in found]), np.stack([c for _, c in found])


def require() -> None:
    """Raise ModuleNotFoundError, in a sentence, where the detector is not installed."""
    try:
        import mediapipe  # noqa: F401
    except ModuleNotFoundError:
        raise ModuleNotFoundError(ABSENT) from None


def _network(video: bool):
    require()
    from mediapipe.python.solutions.pose import Pose

    # What it says of its own protobuf, at every frame, helps nobody.
    warnings.filterwarnings("ignore", "SymbolDatabase.GetPrototype", UserWarning)
    # Its smoothing lags behind; bodies are smoothed, both ways in time, when they are lifted.
    return Pose(static_image_mode=not video, model_complexity=1, smooth_landmarks=False)


def _in_box(network, picture: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = box
    if np.isnan(box).any():
        return _nobody()
    more = MARGIN * max(x2 - x1, y2 - y1)
    left, top = max(0, int(x1 - more)), max(0, int(y1 - more))
    cut = picture[top : min(height, int(y2 + more) + 1), left : min(width, int(x2 + more) + 1)]
    if not cut.size:
        return _nobody()
    return _pose(network, np.ascontiguousarray(cut), np.array([left, top]))


def _one_after_the_other(network, picture: np.ndarray, people: int) -> list[tuple]:
    left, found = picture.copy(), []
    for _ in range(people):
        joints, confidence = _pose(network, left, np.zeros(2))
        if not confidence.any():
            break
        found.append((joints, confidence))
        known = joints[np.isfinite(joints).all(-1)].astype(np.int32)
        hull, size = cv2.convexHull(known), np.ptp(known, axis=0).max()
        cv2.fillConvexPoly(left, hull, GREY)
        cv2.polylines(left, [hull], True, GREY, max(1, int(2 * AROUND * size)))
    return found + [_nobody()] * (people - len(found))


def _pose(network, picture: np.ndarray, corner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found = network.process(picture).pose_landmarks
    if found is None:
        return _nobody()
    at = np.array([(mark.x, mark.y) for mark in found.landmark])
    confidence = np.array([mark.visibility for mark in found.landmark])
    outside = (at < 0).any(-1) | (at > 1).any(-1)
    # MediaPipe's coordinates go from edge to edge; pixels are counted at their middles here.
    joints = at * (picture.shape[1], picture.shape[0]) - 0.5 + corner
    joints[outside] = np.nan
    return joints, np.where(outside, 0.0, confidence)


def _nobody() -> tuple[np.ndarray, np.ndarray]:
    J = len(MEDIAPIPE)
    return np.full((J, 2), np.nan), np.zeros(J)
