"""PCK and its relatives: how 2D joints are counted right or wrong (section 2.8.2).

A joint is found if it lies within alpha times the longer side of the person's box, in pixels of
the picture. The box is the data set's own, not the enlarged crop. Joints are counted first,
`count`, and averaged later, `averages`: one array of counts gives every mean that is in use.

Arrays are NumPy: predicted and truth (F, J, 2), box (F, 4) as x1, y1, x2, y2, masks (F, J).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from posebook.geometry.arrays import flags
from posebook.geometry.skeleton import JointSet

MASKS = ("visible", "annotated", "all")
# The seven columns of the thesis' tables; what else a joint set has (neck, belly) is in none.
GROUPS = {
    "head": ("Head", "Face"),
    "shoulder": ("RShoulder", "LShoulder"),
    "elbow": ("RElbow", "LElbow"),
    "wrist": ("RWrist", "LWrist"),
    "hip": ("RHip", "LHip"),
    "knee": ("RKnee", "LKnee"),
    "ankle": ("RAnkle", "LAnkle"),
}


class Counts(NamedTuple):
    """Joints found and joints looked for, (J,) each. Counts of several clips may be added."""

    found: np.ndarray
    counted: np.ndarray

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.found + other.found, self.counted + other.counted)


def longer_side(box: np.ndarray) -> np.ndarray:
    """The normaliser of PCK, (F,) pixels, for boxes (F, 4). Raises ValueError without a length."""
    side = np.maximum(box[..., 2] - box[..., 0], box[..., 3] - box[..., 1])
    bad = np.flatnonzero(~(side > 0) | np.isinf(side))
    if len(bad):
        raise ValueError(
            f"box {np.asarray(box)[bad[0]].tolist()} of row {bad[0]} has no longer side; it must "
            "be x1, y1, x2, y2 with x2 > x1 and y2 > y1"
        )
    return side


def distances(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Distance of each joint, (F, J) pixels. Raises ValueError if the shapes do not fit."""
    if predicted.shape != truth.shape or predicted.ndim != 3 or predicted.shape[-1] != 2:
        raise ValueError(
            f"joints must both be (F, J, 2), got predicted {predicted.shape} and {truth.shape}"
        )
    return np.linalg.norm(np.asarray(predicted, float) - np.asarray(truth, float), axis=-1)


def mask(kind: str, visible: np.ndarray, annotated: np.ndarray | None = None) -> np.ndarray:
    """Which joints (F, J) a protocol looks for.

    "visible" ones, as the thesis says; all "annotated" ones, hidden or not; or "all", in which a
    joint that nobody annotated is never found. Raises ValueError for another kind, and for marks
    that are not True or False, or 1 and 0: COCO's 0, 1, 2 do not say which is meant.
    """
    visible = marks("visible", visible)
    annotated = None if annotated is None else marks("annotated", annotated)
    if kind == "visible":
        return visible if annotated is None else visible & annotated
    if kind == "annotated":
        return np.ones_like(visible) if annotated is None else annotated
    if kind == "all":
        return np.ones_like(visible)
    raise ValueError(f"unknown mask {kind!r}; known: {', '.join(MASKS)}")


def marks(name: str, given: np.ndarray) -> np.ndarray:
    """A mask as bools; a ValueError with its name if it is none."""
    try:
        return flags(given)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


def count(
    predicted: np.ndarray,
    truth: np.ndarray,
    box: np.ndarray,
    alpha: float,
    looked_for: np.ndarray,
    annotated: np.ndarray | None = None,
) -> Counts:
    """Joints found within alpha of the box's longer side (the limit itself counts as found)."""
    looked_for = marks("looked_for", looked_for)
    near = distances(predicted, truth) <= alpha * longer_side(box)[:, None]
    if annotated is not None:
        near = near & marks("annotated", annotated)
    return Counts((near & looked_for).sum(0), looked_for.sum(0))


def rates(counts: Counts) -> np.ndarray:
    """Percentage found of each joint, (J,); NaN where none was looked for."""
    with np.errstate(invalid="ignore"):
        return 100 * counts.found / counts.counted


def averages(counts: Counts, joint_set: JointSet) -> dict[str, float]:
    """The seven groups' rates and the three means that tables call "Mean", in percent.

    mean13: of the 13 joints of the groups, the thesis' own means; mean7: of the seven groups;
    micro: all found over all looked for, over every joint of the set.
    """
    by_joint = dict(zip(joint_set.names, rates(counts), strict=True))
    groups = {
        group: [by_joint[name] for name in names if name in by_joint]
        for group, names in GROUPS.items()
    }
    means = {group: _mean(values) for group, values in groups.items()}
    means["mean13"] = _mean([value for values in groups.values() for value in values])
    means["mean7"] = _mean([means[group] for group in groups])
    with np.errstate(invalid="ignore"):
        means["micro"] = float(100 * counts.found.sum() / counts.counted.sum())
    return means


def _mean(values: Sequence[float]) -> float:
    """Mean of those that are numbers, NaN without any."""
    values = np.asarray(values, float)
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")


def precision_recall(
    predicted: np.ndarray,
    scores: np.ndarray,
    truth: np.ndarray,
    box: np.ndarray,
    alpha: float,
    looked_for: np.ndarray,
    thresholds: np.ndarray,
) -> np.ndarray:
    """(recall, precision) in percent, (len(thresholds), 2): Figure 2.5, which defines neither.

    A joint is reported if its score (F, J), the heatmap's maximum, reaches the threshold. Recall
    is found over looked for, so that at threshold 0 it is the pooled PCK; precision is found over
    reported, and 100 where nothing is.
    """
    looked_for = marks("looked_for", looked_for)
    near = (distances(predicted, truth) <= alpha * longer_side(box)[:, None])[looked_for]
    score = scores[looked_for]
    reported = score[None, :] >= np.asarray(thresholds)[:, None]
    found = (reported & near).sum(1)
    recall = 100 * found / max(1, len(near))
    precision = np.where(reported.any(1), 100 * found / np.maximum(1, reported.sum(1)), 100.0)
    return np.stack([recall, precision], axis=1)


def error_over_time(
    errors: Sequence[np.ndarray], looked_for: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean error (T,) in pixels at each frame number of several clips, and how many clips have it.

    Args:
        errors, looked_for: (T_k, J) a clip. Figure 2.7; clips differ in length, so that late frames
            stand on few clips.
    """
    longest = max(len(error) for error in errors)
    total, joints, clips = np.zeros(longest), np.zeros(longest), np.zeros(longest, dtype=int)
    for error, given in zip(errors, looked_for, strict=True):
        these = marks("looked_for", given)
        total[: len(error)] += np.where(these, error, 0).sum(1)
        joints[: len(error)] += these.sum(1)
        clips[: len(error)] += 1
    with np.errstate(invalid="ignore"):
        return total / joints, clips


def acceleration_error(
    predicted: np.ndarray, truth: np.ndarray, looked_for: np.ndarray
) -> tuple[float, int]:
    """Summed distance of accelerations of one clip, pixels per frame squared, and their number.

    Only where a joint is looked for in three frames running; a clip of fewer has none.
    """
    if len(predicted) < 3:
        return 0.0, 0
    looked_for = marks("looked_for", looked_for)
    difference = np.diff(np.asarray(predicted, float) - truth, n=2, axis=0)
    three = looked_for[:-2] & looked_for[1:-1] & looked_for[2:]
    return float(np.linalg.norm(difference, axis=-1)[three].sum()), int(three.sum())
