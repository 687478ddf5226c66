"""Using and measuring a trained row of chapter 3, on the test people and on real detections."""

import warnings

import numpy as np
import torch
from torch import Tensor

from posebook.data.recorded.pose2sim import load_pose2sim
from posebook.data.views import Views, collect, refuse_takes
from posebook.data.virtual import triangulated
from posebook.geometry.places import bones
from posebook.geometry.skeleton import PCK3D_JOINTS
from posebook.lifting.network import LiftingNetwork
from posebook.lifting.prepare import inputs
from posebook.lifting.student import Student
from posebook.metrics import pose3d as metrics


def predict(model: LiftingNetwork | Student, views: Views, chunk: int = 4096) -> Tensor:
    """Root-relative poses (I, V, N, 3), metres, of every instant and view, in evaluation mode.

    Where a view has found no joint, what it has is filled in, and the pose is NaN.

    Raises:
        TypeError: for takes that are no views yet.
    """
    refuse_takes(views)
    model.eval()
    n, V = views.X.shape[:2]
    instant = torch.arange(n, device=views.device).repeat_interleave(V)
    view = torch.arange(V, device=views.device).repeat(n)
    with torch.inference_mode():
        parts = [
            model.lift(inputs(views, i, v, model.frames, model.confidences))
            for i, v in zip(instant.split(chunk), view.split(chunk), strict=True)
        ]
    poses = torch.cat(parts).unflatten(0, (n, V))
    return poses.masked_fill(~(views.w > 0).any(-1)[..., None, None], torch.nan)


def errors(predicted: Tensor, views: Views) -> dict[str, Tensor]:
    """Per-pose errors (I * V,) in millimetres under the three protocols.

    NaN where a pose has no prediction or not all of its joints have a truth.

    Raises:
        ValueError: for views without 3D poses.
    """
    known = _known(predicted, views).flatten()
    target = metrics.root_relative(views.Y).flatten(0, 1)[known]
    predicted = predicted.flatten(0, 1)[known]
    nothing = torch.full(known.shape, torch.nan, device=known.device, dtype=target.dtype)
    measures = {"mpjpe_mm": metrics.mpjpe, "p_mpjpe_mm": metrics.p_mpjpe}
    measures["n_mpjpe_mm"] = metrics.n_mpjpe
    return {
        name: nothing.masked_scatter(known, 1000 * measure(predicted, target))
        for name, measure in measures.items()
    }


def _known(predicted: Tensor, views: Views) -> Tensor:
    """Which poses (I, V) have a prediction and a truth."""
    if views.Y is None:
        raise ValueError(
            "these views have no 3D poses to measure against; `predict` gives poses without, and "
            "posebook.data.virtual.triangulate_labels a reference from the detections"
        )
    return (predicted.isfinite() & views.Y.isfinite()).flatten(2).all(-1)


def evaluate(
    model: LiftingNetwork | Student, views: Views
) -> tuple[dict[str, float], dict[str, dict]]:
    """Test metrics (means over actions, as the protocols ask) and the same for each action.

    Poses of which the view has seen nobody, or whose truth is not known, are left out and counted.

    Raises:
        ValueError: for views without 3D poses, or if no pose is left.
    """
    predicted = predict(model, views)
    known = _known(predicted, views)
    left_out = int((~known).sum())
    if left_out == known.numel():
        raise ValueError("no pose can be measured: none is both seen and known in space")
    if left_out:
        warnings.warn(
            f"{left_out} of {known.numel()} poses are not measured: their view has seen nobody, or "
            "their joints are not all known in space",
            stacklevel=2,
        )
    names = [views.actions[a] for a in views.action.repeat_interleave(views.views).tolist()]
    actions = [name for name, counts in zip(names, known.flatten().tolist(), strict=True) if counts]
    per_action: dict[str, dict[str, float]] = {}
    overall = {}
    for name, error in errors(predicted, views).items():
        means = metrics.action_means(error[known.flatten()], actions)
        overall[name] = float(np.mean(list(means.values())))
        for action, mean in means.items():
            per_action.setdefault(action, {})[name] = mean
    predicted, target = predicted[known], metrics.root_relative(views.Y)[known]
    overall["pck3d_150"] = float(metrics.pck3d(predicted, target).mean())
    overall["auc3d"] = float(metrics.auc3d(predicted, target).mean())
    overall["bone_length_error_mm"] = 1000 * float(_bone_spread(predicted, views.Y[known]))
    return overall, per_action


def _bone_spread(predicted: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute error of the bones' lengths, metres: does the skeleton fit the person?"""
    return (bones(predicted).norm(dim=-1) - bones(truth).norm(dim=-1)).abs().mean()


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
