"""What chapter 4 measures beyond the errors of poses: scale, viewpoint, and what is canonical.

Poses are row vectors (..., P, 3); rotations act from the right, as in equation 4.1.
"""

import torch
from torch import Tensor

from posebook.factorization.mirror import mirror_shape
from posebook.factorization.pictures import Pictures, body_size
from posebook.geometry.rotations import angle, best_rotation, nearest_to
from posebook.metrics import pose3d as metrics


def picture_scale(Y: Tensor, target: Tensor) -> Tensor:
    """Y at the size at which the true body was normalised: C3DPO's scale (Novotny et al. 2019)."""
    return Y * body_size(target)[..., None, None]


def pose_errors(Y: Tensor, target: Tensor, turn: Tensor) -> dict[str, Tensor]:
    """Errors (n,) of predicted poses (n, P, 3) in the unit of the target, by metric name.

    `mpjpe_mm` is after the least-squares scale of each pose, `mpjpe_c3dpo_mm` after C3DPO's, and
    `mpjpe_best_flip_mm` is what C3DPO reports: that of the pose or of its mirror image, whichever
    is smaller, chosen with the truth. Two more take a part of the error away:
    `mpjpe_best_rotation_mm` gives each pose the viewpoint that suits the truth best,
    `mpjpe_turned_mm` turns it by the known angle at which the camera sees the pelvis.
    """
    restored, flipped = picture_scale(Y, target), picture_scale(mirror_shape(Y), target)
    c3dpo = metrics.mpjpe(restored, target)
    return {
        "mpjpe_mm": metrics.n_mpjpe(Y, target),
        "p_mpjpe_mm": metrics.p_mpjpe(Y, target),
        "mpjpe_c3dpo_mm": c3dpo,
        "mpjpe_best_flip_mm": torch.minimum(c3dpo, metrics.mpjpe(flipped, target)),
        "mpjpe_best_rotation_mm": metrics.n_mpjpe(Y @ best_rotation(Y, target), target),
        "mpjpe_turned_mm": metrics.n_mpjpe(Y @ turn, target),
    }


def canonical_spread(Y_hat: Tensor) -> dict[str, float]:
    """How much canonical bodies (I, V, P, 3) differ over views of one instant, and over instants.

    Root-mean-square distances of whole bodies, each of size one: 0 is no spread; about 1 is as far
    from the mean as from nothing. Views should not matter, instants should: the ratio of the two
    is small where shape and viewpoint are apart.
    """
    bodies = Y_hat / torch.linalg.vector_norm(Y_hat, dim=(-2, -1), keepdim=True).clamp(min=1e-9)
    of_instant = bodies.mean(1, keepdim=True)
    spread = lambda difference: float(difference.square().sum((-2, -1)).mean().sqrt())  # noqa: E731
    views, instants = spread(bodies - of_instant), spread(of_instant - of_instant.mean(0))
    return {
        "canonical_spread_views": views,
        "canonical_spread_instants": instants,
        "canonical_spread_ratio": views / max(instants, 1e-9),
    }


def viewpoint_errors(R: Tensor, pictures: Pictures) -> dict[str, float]:
    """Errors of predicted viewpoints (I, V, 3, 3) in degrees.

    `viewpoint_error_deg`: against the axes of the true pelvis, after the one rotation of all
    predictions that suits them best, because the canonical frame is the network's own choice.
    `relative_viewpoint_error_deg`: the rotation from the first view of an instant into the others
    against the true one, which needs no such choice; left out where an instant has one view.
    """
    common = nearest_to((R @ pictures.heading.mT).mean((0, 1)))
    absolute = angle(R, common @ pictures.heading)
    found = {"viewpoint_error_deg": float(absolute.mean())}
    if pictures.views > 1:
        relative = lambda A: A[:, :1].mT @ A[:, 1:]  # noqa: E731
        # Both axes are the same body's, so that the true turn is the cameras' own.
        between = angle(relative(R), relative(pictures.heading))
        found["relative_viewpoint_error_deg"] = float(between.mean())
    return found
