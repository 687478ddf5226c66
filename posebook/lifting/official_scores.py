"""The numbers as the benchmarks' own programs compute them: 3DHP's PCK3D and AUC, H36M's average.

MPI-INF-3DHP's MATLAB: both poses relative to the pelvis, no scale, no rotation; MPJPE over 17
joints; PCK3D and AUC over 14 of them, strictly below each of the 31 thresholds 0, 5, ..., 150 mm.
Nothing lies strictly below 0, so that a perfect pose has an AUC of 96.77. "All" pools the frames;
it is not the mean over sequences.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from posebook import lifting
from posebook.data.official import human36m, mpi_inf_3dhp
from posebook.data.official.mpi_inf_3dhp import Recording
from posebook.data.views import collect
from posebook.geometry.camera import to_tensor
from posebook.lifting.network import LiftingNetwork
from posebook.metrics import pose3d as metrics

THRESHOLD = 150.0  # mm
THRESHOLDS = tuple(range(0, 151, 5))
BEST_AUC = 100 * (len(THRESHOLDS) - 1) / len(THRESHOLDS)


def pose_scores(predicted: Tensor, target: Tensor) -> dict[str, Tensor]:
    """PCK3D and AUC in percent and MPJPE in mm of each pose, from (N, 17, 3) in metres.

    Joints are in the order of `skeleton.H36M`; both sides are taken relative to the pelvis here.
    """
    root_relative = [metrics.root_relative(1000 * pose.double()) for pose in (predicted, target)]
    return {
        "pck3d_150": metrics.pck3d(*root_relative, threshold=THRESHOLD),
        "auc3d": metrics.auc3d(*root_relative, highest=THRESHOLD),
        "mpjpe_mm": metrics.mpjpe(*root_relative),
    }


def table_3dhp(
    predicted: Tensor, target: Tensor, sequences: Sequence[str], activities: Sequence[str]
) -> pd.DataFrame:
    """PCK3D, AUC and MPJPE of all valid frames together, of each sequence and each activity.

    Args:
        predicted, target: (N, 17, 3) metres.
        sequences, activities: one name a frame. Every frame weighs the same, and every frame has
            the same 14 joints, so means of frames are pooled means.

    Raises:
        ValueError: where the lengths differ.
    """
    if not len(predicted) == len(target) == len(sequences) == len(activities) or not len(target):
        raise ValueError(
            f"{len(predicted)} predictions, {len(target)} true poses, {len(sequences)} sequence "
            f"names and {len(activities)} activities must be as many, and at least one"
        )
    scores = {name: value.cpu().numpy() for name, value in pose_scores(predicted, target).items()}
    frame = pd.DataFrame({**scores, "sequence": list(sequences), "activity": list(activities)})
    columns = list(scores)
    rows = {"All": frame[columns].mean()}
    for group in ("sequence", "activity"):
        rows |= {name: part[columns].mean() for name, part in frame.groupby(group, sort=False)}
    table = pd.DataFrame(rows).T
    counts = {"All": len(frame), **frame["sequence"].value_counts(),
              **frame["activity"].value_counts()}  # fmt: skip
    return table.assign(frames=[counts[name] for name in table.index])


def evaluate_3dhp(model: LiftingNetwork, folder: Path) -> dict[str, pd.DataFrame]:
    """`table_3dhp` of a trained network against both truths: "universal" and "metric".

    The official truth is a skeleton of universal height. A network that has learned from metric
    cameras predicts metric people, which costs it some points there; "metric" compares with
    `annot3`, the people as they were. Windows of a temporal network pass over all frames of a
    sequence; only valid ones count.
    """
    recordings = [mpi_inf_3dhp.read_test(folder, number) for number in mpi_inf_3dhp.OFFICIAL_VALID]
    predicted = torch.cat([_predict(model, r)[torch.as_tensor(r.valid)] for r in recordings])
    names = [r.name for r in recordings for _ in range(int(r.valid.sum()))]
    activities = [mpi_inf_3dhp.ACTIVITIES[a] for r in recordings for a in r.activity[r.valid]]
    return {
        scale: table_3dhp(
            predicted,
            torch.cat([to_tensor(getattr(r, scale)[r.valid]) for r in recordings]),
            names,
            activities,
        )
        for scale in ("universal", "metric")
    }


def _predict(model: LiftingNetwork, recording: Recording, chunk: int = 4096) -> Tensor:
    """Poses (F, 17, 3) of all frames of a recording, on the CPU."""
    device = next(model.parameters()).device
    rays = to_tensor(recording.camera.rays(recording.pixels), device)
    frame = torch.arange(len(rays), device=device)
    if model.frames > 1:
        window = torch.arange(model.frames, device=device) - model.frames // 2
        frame = (frame[:, None] + window).clamp(0, len(rays) - 1)
    model.eval()
    with torch.inference_mode():
        return torch.cat([model.lift(rays[part]).cpu() for part in frame.split(chunk)])


@dataclass(frozen=True)
class ActionTable:
    """Frame means of each of the 15 actions, and their plain mean, rounded as papers print them."""

    actions: dict[str, float]
    average: float

    def __str__(self) -> str:
        cells = [f"{name} {self.actions[name]:.1f}" for name in human36m.ACTIONS]
        return " | ".join([*cells, f"Avg {self.average:.1f}"])


def table_human36m(errors: Tensor, actions: Sequence[str]) -> ActionTable:
    """Human3.6M's row: `errors` (N,) in mm with the action of each frame, such as "Sitting".

    The takes, views and people of an action are pooled; actions weigh the same. Names are compared
    whole: "SittingDown" is not of "Sitting".

    Raises:
        ValueError: unless all 15 are there.
    """
    means = metrics.action_means(errors, actions)
    if set(means) != set(human36m.ACTIONS):
        odd = sorted(set(means) ^ set(human36m.ACTIONS))
        raise ValueError(f"the average is over 15 actions; missing or unknown: {', '.join(odd)}")
    return ActionTable(means, float(np.mean(list(means.values()))))


def evaluate_human36m(model: LiftingNetwork, folder: Path, detections: str, damaged: bool = True):
    """`table_human36m` of a trained network under each protocol: {"mpjpe_mm": ActionTable, ...}.

    Args:
        damaged: with the three takes of S9 whose markers slipped, as most papers have it.
    """
    device = next(model.parameters()).device
    _, test = human36m.load_views(folder, detections, damaged)
    views = collect(test, device)
    actions = [views.actions[a] for a in views.action.repeat_interleave(views.views).tolist()]
    errors = lifting.evaluate.errors(lifting.evaluate.predict(model, views), views)
    known = errors["mpjpe_mm"].isfinite()  # else a view has seen nobody
    actions = [action for action, there in zip(actions, known.tolist(), strict=True) if there]
    return {name: table_human36m(error[known], actions) for name, error in errors.items()}
