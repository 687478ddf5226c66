"""Using and measuring a trained row of chapter 3, on the test people and on real detections."""

import numpy as np
import torch
from torch import Tensor

from posebook.data.pairs import Views, collect
from posebook.data.recorded.pose2sim import load_pose2sim
from posebook.data.virtual import triangulated
from posebook.geometry.skeleton import H36M, PCK3D_JOINTS
from posebook.lifting.network import LiftingNetwork
from posebook.lifting.prepare import inputs
from posebook.lifting.student import Student
from posebook.metrics import pose3d as metrics


def predict(model: LiftingNetwork | Student, views: Views, chunk: int = 4096) -> Tensor:
    """Root-relative poses (I, V, N, 3) of every instant and view, in evaluation mode."""
    model.eval()
    n, V = views.X.shape[:2]
    instant = torch.arange(n, device=views.device).repeat_interleave(V)
    view = torch.arange(V, device=views.device).repeat(n)
    with torch.inference_mode():
        parts = [
            model.lift(inputs(views, i, v, model.frames, model.confidences))
            for i, v in zip(instant.split(chunk), view.split(chunk), strict=True)
        ]
    return torch.cat(parts).unflatten(0, (n, V))


def errors(predicted: Tensor, views: Views) -> dict[str, Tensor]:
    """Per-pose errors (I * V,) in millimetres under the three protocols."""
    target = metrics.root_relative(views.Y).flatten(0, 1)
    predicted = predicted.flatten(0, 1)
    return {
        "mpjpe_mm": 1000 * metrics.mpjpe(predicted, target),
        "p_mpjpe_mm": 1000 * metrics.p_mpjpe(predicted, target),
        "n_mpjpe_mm": 1000 * metrics.n_mpjpe(predicted, target),
    }


def evaluate(
    model: LiftingNetwork | Student, views: Views
) -> tuple[dict[str, float], dict[str, dict]]:
    """Test metrics (means over actions, as the protocols ask) and the same for each action."""
    actions = [views.actions[a] for a in views.action.repeat_interleave(views.views).tolist()]
    per_action: dict[str, dict[str, float]] = {}
    overall = {}
    predicted = predict(model, views)
    for name, error in errors(predicted, views).items():
        means = metrics.action_means(error, actions)
        overall[name] = float(np.mean(list(means.values())))
        for action, mean in means.items():
            per_action.setdefault(action, {})[name] = mean
    target = metrics.root_relative(views.Y)
    overall["pck3d_150"] = float(metrics.pck3d(predicted, target).mean())
    overall["auc3d"] = float(metrics.auc3d(predicted, target).mean())
    overall["bone_length_error_mm"] = 1000 * float(_bone_spread(predicted, views))
    return overall, per_action


def _bone_spread(predicted: Tensor, views: Views) -> Tensor:
    """Mean absolute error of the bones' lengths, metres: does the skeleton fit the person?"""
    parents, children = (list(part) for part in zip(*H36M.bones, strict=True))
    length = lambda Y: (Y[..., children, :] - Y[..., parents, :]).norm(dim=-1)  # noqa: E731
    return (length(predicted) - length(views.Y)).abs().mean()


def evaluate_real(model: LiftingNetwork | Student) -> dict[str, float]:
    """Distance to triangulation on the real detections of `posebook.data.recorded.pose2sim`.

    The reference is made from the same detections (10 to 16 mm of uncertainty of its own), over
    the 14 joints of MPI-INF-3DHP's protocol: a ranking, not a benchmark's MPJPE.
    """
    sequence = load_pose2sim()
    device = next(model.parameters()).device
    views = collect([sequence], device)
    world = triangulated(sequence, weighted=True, least_confidence=0.3)
    truth = np.stack([c.to_camera(world) for c in sequence.cameras], axis=1)
    target = metrics.root_relative(torch.as_tensor(truth, dtype=torch.float32, device=device))
    error = (predict(model, views) - target).norm(dim=-1)[..., PCK3D_JOINTS] * 1000
    known = error[error.isfinite()]  # a joint that fewer than two views see has no reference
    return {
        "real_distance_mm": float(known.mean()),
        "real_pck3d_150": 100 * float((known < 150).float().mean()),
        "real_auc3d": float(metrics.area_under_pck(known, 150)),
    }
