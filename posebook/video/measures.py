"""Everything that chapter 2's tables and figures read of one run's predictions."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from torch import Tensor

from posebook.metrics import pose2d as pck
from posebook.video.frames import Frames

ALPHAS = (0.2, 0.1, 0.05)
CURVE_ALPHAS = (0.05, 0.1, 0.15, 0.2)
# The benchmarks' own protocols: sub-JHMDB has a label for every joint and counts all of them,
# Penn Action counts the visible ones.
PROTOCOL = {"jhmdb15": "annotated", "penn13": "visible", "mpii16": "annotated"}


class Predictions(NamedTuple):
    """Joints (F, J, 2) in pixels of the picture, and their scores (F, J)."""

    joints: np.ndarray
    scores: np.ndarray


def masks(frames: Frames) -> dict[str, np.ndarray]:
    """Which joints (F, J) count: by the benchmark's protocol (""), and visible and hidden ones."""
    visible = pck.marks("visible", frames.visible)
    annotated = pck.marks("annotated", frames.annotated)
    protocol = PROTOCOL.get(frames.joint_set.name, "annotated")
    return {
        "": pck.mask(protocol, visible, annotated),
        "_visible": visible & annotated,
        "_hidden": ~visible & annotated,
    }


def accuracy(
    predicted: np.ndarray, frames: Frames, suffix: str = "", rows: Tensor | slice = slice(None)
) -> dict[str, float]:
    """PCK at all thresholds, all means and groups: `pck_0.2_mean13`, `pck_0.1_wrist`, ...

    Args:
        rows: which frames the predictions are of; default: all.
    """
    truth, box = frames.joints[rows].numpy(), frames.box[rows].numpy()
    found = {}
    for kind, mask in masks(frames).items():
        looked_for = mask[rows]
        if not looked_for.any():
            continue
        for alpha in ALPHAS:
            counts = pck.count(predicted, truth, box, alpha, looked_for)
            for name, value in pck.averages(counts, frames.joint_set).items():
                found[f"pck_{alpha}_{name}{kind}{suffix}"] = value
        error = pck.distances(predicted, truth)[looked_for]
        found[f"mean_error_px{kind}{suffix}"] = float(error.mean())
    # A group that the test set never shows in such a state has no rate.
    return {name: value for name, value in found.items() if np.isfinite(value)}


def watched(predicted: Predictions, frames: Frames, rows: Tensor) -> dict[str, float]:
    """PCK at 0.2 and 0.1 of some rows, for the curves of training."""
    found = accuracy(predicted.joints, frames, rows=rows)
    return {name: found[name] for name in ("pck_0.2_mean13", "pck_0.1_mean13") if name in found}


def evaluate(predicted: Predictions, frames: Frames) -> tuple[dict[str, float], dict[str, dict]]:
    """Metrics of all test frames, and the main ones for each action."""
    truth, box = frames.joints.numpy(), frames.box.numpy()
    looked_for = masks(frames)[""]
    overall = accuracy(predicted.joints, frames)
    overall["accel_error_px"] = _acceleration_error(predicted.joints, frames)
    per_action: dict[str, dict[str, float]] = {}
    actions = np.array([getattr(record, "action", "still") for record in frames.records])
    for action in sorted(set(actions)):
        mine = (actions == action)[frames.clip.numpy()]
        if not looked_for[mine].any():  # no joint of it is judged, so it has no mean
            continue
        part = [array[mine] for array in (predicted.joints, truth, box)]
        per_action[action] = {
            f"pck_{alpha}_mean13": pck.averages(
                pck.count(*part, alpha, looked_for[mine]), frames.joint_set
            )["mean13"]
            for alpha in ALPHAS
        } | {"mean_error_px": float(pck.distances(*part[:2])[looked_for[mine]].mean())}
    return overall, per_action


def _acceleration_error(predicted: np.ndarray, frames: Frames) -> float:
    truth, looked_for = frames.joints.numpy(), masks(frames)[""]
    parts = [
        pck.acceleration_error(predicted[rows], truth[rows], looked_for[rows])
        for rows in map(frames.of_clip, range(len(frames.records)))
    ]
    return sum(total for total, _ in parts) / max(1, sum(number for _, number in parts))


def curves(predicted: Predictions, frames: Frames) -> Mapping[str, list[list[float]]]:
    """Figure 2.5 and 2.7: `precision_recall_0.2` as [recall, precision] over score thresholds, and
    `error_over_time_<action>` as [frame, mean error in pixels]."""
    truth, box, looked_for = frames.joints.numpy(), frames.box.numpy(), masks(frames)[""]
    thresholds = np.linspace(0, 1, 41)
    found = {
        f"precision_recall_{alpha}": pck.precision_recall(
            *predicted, truth, box, alpha, looked_for, thresholds
        ).tolist()
        for alpha in CURVE_ALPHAS
    }
    error = pck.distances(predicted.joints, truth)
    clips: dict[str, list[slice]] = {}
    for number, record in enumerate(frames.records):
        clips.setdefault(record.action, []).append(frames.of_clip(number))
    for action, rows in clips.items():
        mean, _ = pck.error_over_time([error[r] for r in rows], [looked_for[r] for r in rows])
        points = [[t, value] for t, value in enumerate(mean.tolist()) if np.isfinite(value)]
        found[f"error_over_time_{action}"] = points
    return found
