"""Floors: what is reached by answering every picture with the same body.

Both are means over the training people's true bodies, so neither can be had without 3D labels. A
row above its floor has learned less than nothing about pictures.
"""

from torch import Tensor

from posebook.data.views import Views
from posebook.factorization.pictures import pelvis_axes
from posebook.lifting.evaluate import errors
from posebook.metrics import pose3d as metrics


def mean_pose(views: Views) -> Tensor:
    """The mean pose (N, 3), metres, in the frames of the cameras: of all constants the one with the
    least squared error."""
    return metrics.root_relative(views.Y).flatten(0, 1).mean(0)


def mean_body(views: Views) -> Tensor:
    """The mean body (N, 3), metres, with every person turned to the same side before."""
    poses = metrics.root_relative(views.Y).flatten(0, 1)
    return (poses @ pelvis_axes(poses).mT).mean(0)


def measure(constant: Tensor, views: Views) -> dict[str, float]:
    """Errors of a constant answer (N, 3) in mm, means over actions."""
    actions = [views.actions[a] for a in views.action.repeat_interleave(views.views).tolist()]
    found = errors(constant.expand_as(views.Y), views)
    return {name: metrics.action_mean(error, actions) for name, error in found.items()}


FLOORS = {"mean-pose": mean_pose, "mean-body": mean_body}
