"""Using and measuring a trained row of chapter 4, on the test people and on real detections."""

from dataclasses import replace
from functools import cache

import numpy as np
import torch
from torch import Tensor

from posebook.data.recorded.pose2sim import load_pose2sim
from posebook.data.views import collect
from posebook.data.virtual import triangulated
from posebook.factorization import measures as disentangle
from posebook.factorization import mirror
from posebook.factorization.network import FactorizationNetwork
from posebook.factorization.pictures import Pictures, prepare
from posebook.geometry.rotations import angle, best_rotation
from posebook.geometry.skeleton import PCK3D_JOINTS
from posebook.metrics import pose3d as metrics


def settle_mirror(model: FactorizationNetwork, pictures: Pictures, most: int = 4096) -> None:
    """Choose the model's mirror image by its predicted knees on pictures; no label is read."""
    model.sign.fill_(1.0)
    Y_hat, _ = predict(model, pictures, thin=max(1, len(pictures) // most))
    model.sign.fill_(mirror.knee_sign(Y_hat))


def predict(
    model: FactorizationNetwork, pictures: Pictures, chunk: int = 4096, thin: int = 1
) -> tuple[Tensor, Tensor]:
    """Bodies (I, V, P, 3) and viewpoints (I, V, 3, 3) of every `thin`-th instant's views."""
    model.eval()
    X = pictures.X[::thin]
    with torch.inference_mode():
        parts = [model(part) for part in X.flatten(0, 1).split(chunk)]
    Y_hat, R = (torch.cat(part) for part in zip(*parts, strict=True))
    return Y_hat.unflatten(0, X.shape[:2]), R.unflatten(0, X.shape[:2])


def evaluate(
    model: FactorizationNetwork, pictures: Pictures, actions: tuple[str, ...]
) -> tuple[dict[str, float], dict[str, dict]]:
    """Test metrics (means over actions, as the protocols ask) and the same for each action.

    Args:
        actions: one an instant. See `posebook.factorization.measures` for what is measured.

    Raises:
        ValueError: for pictures without 3D poses, or where not all of them are known.
    """
    _check_truth(pictures)
    Y_hat, R = predict(model, pictures)
    Y, target = (Y_hat @ R).flatten(0, 1), pictures.Y.flatten(0, 1)
    named = [action for action in actions for _ in range(pictures.views)]
    per_action: dict[str, dict[str, float]] = {}
    overall = {}
    for name, error in disentangle.pose_errors(Y, target, pictures.turn.flatten(0, 1)).items():
        means = metrics.action_means(1000 * error, named)
        overall[name] = float(np.mean(list(means.values())))
        for action, mean in means.items():
            per_action.setdefault(action, {})[name] = mean
    # Chapter 3's name for what this chapter calls MPJPE: the scale restored by least squares.
    overall["n_mpjpe_mm"] = overall["mpjpe_mm"]
    scaled = metrics.scaled(Y, target)
    overall["pck3d_150"] = float(metrics.pck3d(scaled, target).mean())
    overall["auc3d"] = float(metrics.auc3d(scaled, target).mean())
    overall |= disentangle.canonical_spread(Y_hat)
    overall |= disentangle.viewpoint_errors(R, pictures)
    wrong = best_rotation(Y, target)
    overall["rotation_error_deg"] = float(angle(wrong, torch.eye(3).to(wrong)).mean())
    turned = angle(wrong, pictures.turn.flatten(0, 1))
    overall["rotation_error_turned_deg"] = float(turned.mean())
    return overall | _mirror(model, Y_hat, Y, target, named), per_action


def _check_truth(pictures: Pictures) -> None:
    if pictures.Y is None:
        raise ValueError(
            "these pictures have no 3D poses to measure against; `predict` gives bodies and "
            "viewpoints without, and posebook.data.virtual.triangulate_labels gives their views a "
            "reference from the detections, before `prepare`"
        )
    unknown = int((~pictures.Y.isfinite().flatten(1).all(1)).sum())
    if unknown:
        raise ValueError(
            f"the 3D poses of {unknown} of {len(pictures)} instants are not known (NaN); leave "
            "these instants out"
        )


def _mirror(model, Y_hat: Tensor, Y: Tensor, target: Tensor, actions) -> dict[str, float]:
    """Which mirror image was chosen, by how clear a vote, and the error of the other one."""
    other = metrics.p_mpjpe(mirror.mirror_shape(Y), target)
    bent = mirror.knee_flexion(Y_hat)
    return {
        "sign": float(model.sign),
        "knees_right_share": 100 * float((bent > 0).double().mean()),
        "p_mpjpe_mirrored_mm": 1000 * metrics.action_mean(other, actions),
    }


def evaluate_real(model: FactorizationNetwork, recentre: str = "shift") -> dict[str, float]:
    """Distance to triangulation on real detections, as `posebook.lifting.evaluate.evaluate_real`.

    The scale of each pose is restored by least squares over the joints that have a reference.
    """
    device = next(model.parameters()).device
    pictures = real_pictures(recentre, device)
    Y_hat, R = predict(model, pictures)
    known = pictures.Y.isfinite().all(-1, keepdim=True)
    target = torch.where(known, pictures.Y, 0)
    Y = metrics.scaled(torch.where(known, Y_hat @ R, 0), target)
    used = known[..., PCK3D_JOINTS, 0]
    error = 1000 * (Y - target).norm(dim=-1)[..., PCK3D_JOINTS][used]
    return {
        "real_distance_mm": float(error.mean()),
        "real_pck3d_150": 100 * float((error < 150).float().mean()),
        "real_auc3d": float(metrics.area_under_pck(error, 150)),
    }


@cache
def real_pictures(recentre: str, device) -> Pictures:
    """The real detections, normalised, with their triangulation in place of the truth (or NaN)."""
    sequence = load_pose2sim()
    world = triangulated(sequence, weighted=True, least_confidence=0.3)
    truth = np.stack([c.to_camera(world) for c in sequence.cameras], axis=1)
    views = collect([sequence], device)
    target = torch.as_tensor(truth, dtype=torch.float32, device=device)
    return prepare(replace(views, Y=target), recentre)
