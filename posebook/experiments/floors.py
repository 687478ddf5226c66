"""Floors: what is reached by answering every picture with the same body.

Both are means over the training people's true bodies, so neither can be had without 3D labels. A
row above its floor has learned less than nothing about pictures.
"""

import torch
from torch import Tensor

from posebook.data.pairs import Views
from posebook.factorization.pictures import pelvis_axes
from posebook.metrics import pose3d as metrics


def mean_pose(views: Views) -> Tensor:
    """The mean pose (N, 3), metres, in the frames of the cameras: the least squared MPJPE of any
    constant."""
    return metrics.root_relative(views.Y).flatten(0, 1).mean(0)


def mean_body(views: Views) -> Tensor:
    """The mean body (N, 3), metres, with every person turned to the same side before."""
    poses = metrics.root_relative(views.Y).flatten(0, 1)
    return (poses @ pelvis_axes(poses).mT).mean(0)


def measure(constant: Tensor, views: Views) -> dict[str, float]:
    """Errors of a constant answer (N, 3) in mm, means over actions."""
    target = metrics.root_relative(views.Y).flatten(0, 1)
    actions = [views.actions[a] for a in views.action.tolist() for _ in range(views.X.shape[1])]
    errors = {
        "mpjpe_mm": metrics.mpjpe, "p_mpjpe_mm": metrics.p_mpjpe, "n_mpjpe_mm": metrics.n_mpjpe,
    }  # fmt: skip
    with torch.inference_mode():
        answers = constant.expand_as(target)
        return {n: 1000 * metrics.action_mean(f(answers, target), actions)
                for n, f in errors.items()}  # fmt: skip


FLOORS = {"mean-pose": mean_pose, "mean-body": mean_body}
