"""Errors of 3D poses: batched, per pose, no files.

Poses are tensors (..., J, 3) in any unit, metres throughout this book; what is a length comes back
in the same unit. Every function gives one value a pose and leaves the mean to its caller, because
the mean is half of a protocol: see `action_mean`. The thesis evaluates root-relative poses, so
call `root_relative` on both sides first.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from posebook.geometry.places import bones
from posebook.geometry.skeleton import H36M, PCK3D_JOINTS
from posebook.metrics.procrustes import fit, missed

_CHUNK = 4096  # poses; small enough to stay in a processor's cache
_CHUNK_ON_DEVICE = 65536


def root_relative(joints: Tensor, root: int = H36M.root) -> Tensor:
    """Joints (..., J, 3) relative to the joint `root`."""
    return joints - joints[..., root : root + 1, :]


def per_joint_error(predicted: Tensor, target: Tensor) -> Tensor:
    """Euclidean distance of each joint, (..., J)."""
    _check_pair(predicted, target)
    return torch.linalg.vector_norm(predicted - target, dim=-1)


def mpjpe(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean per-joint position error of each pose (Protocol 1), (...).

    The root counts: after `root_relative` its error is 0 and the mean still divides by J.
    """
    return per_joint_error(predicted, target).mean(-1)


def scaled(predicted: Tensor, target: Tensor) -> Tensor:
    """Poses times the factor that brings each nearest to its target; 0 for a collapsed one."""
    match = (predicted * target).sum((-1, -2))
    return predicted * _ratio(match, predicted.square().sum((-1, -2)))[..., None, None]


def n_mpjpe(predicted: Tensor, target: Tensor) -> Tensor:
    """MPJPE after the least-squares scale of each pose, s = sum <g, p> / sum <p, p>, (...).

    Rhodin et al. 2018 and VideoPose3D. Some papers call N-MPJPE what they get from the Procrustes
    scale or from a ratio of norms; those are other numbers. A pose collapsed to 0 keeps scale 0.
    """
    _check_pair(predicted, target)
    return mpjpe(scaled(predicted, target), target)


def p_mpjpe(predicted: Tensor, target: Tensor) -> Tensor:
    """MPJPE after the best similarity of each pose (Protocol 2), (...).

    The thesis says "rigid"; like all its peers it also fits the scale. See `procrustes_align`.
    """
    _check_pair(predicted, target)
    shape = predicted.shape
    predicted, target = predicted.reshape(-1, *shape[-2:]), target.reshape(-1, *shape[-2:])
    on_cpu = predicted.device.type == "cpu"
    size = _CHUNK if on_cpu else _CHUNK_ON_DEVICE
    parts, threads = (predicted.split(size), target.split(size)), torch.get_num_threads()
    if on_cpu and threads > 1:
        # A thread a chunk: PyTorch's own threads spend their time waiting on such small arrays.
        with ThreadPoolExecutor(threads) as pool:
            errors = list(pool.map(_aligned_error, *parts))
    else:
        errors = [_aligned_error(*pair) for pair in zip(*parts, strict=True)]
    return torch.cat(errors).to(predicted.dtype).reshape(shape[:-2])


def procrustes_align(predicted: Tensor, target: Tensor) -> Tensor:
    """Each predicted pose moved onto its target by the best similarity, (..., J, 3).

    Rotation (never a reflection), scale and translation that minimise the squared distance. A
    prediction whose joints all coincide goes to the target's centroid.
    """
    _check_pair(predicted, target)
    shape = predicted.shape
    found = fit(*(poses.reshape(-1, *shape[-2:]) for poses in (predicted, target)))
    moved = (found.A.unsqueeze(2) * found.p).sum(1)
    return (moved + found.center).permute(2, 1, 0).to(predicted.dtype).reshape(shape)


def pck3d(predicted: Tensor, target: Tensor, threshold: float = 0.150) -> Tensor:
    """Percentage of joints nearer than `threshold` (strictly), in the poses' unit, (...).

    MPI-INF-3DHP's official rule: 150 mm, 14 of 17 joints, both sides root-relative, not scaled.
    """
    near = per_joint_error(predicted, target)[..., PCK3D_JOINTS] < threshold
    return 100 * near.to(predicted.dtype).mean(-1)


def auc3d(predicted: Tensor, target: Tensor, highest: float = 0.150) -> Tensor:
    """Mean of PCK3D over 31 equally spaced thresholds from 0 to `highest`, (...).

    The official rule counts the threshold 0, below which nothing lies: a perfect pose has 96.77.
    """
    return area_under_pck(per_joint_error(predicted, target)[..., PCK3D_JOINTS], highest)


def area_under_pck(error: Tensor, highest: float) -> Tensor:
    """Percentage of errors (..., J) strictly below a threshold, the mean over 31 of these, (...).

    Args:
        highest: the last threshold, in the errors' unit; the first one is 0.
    """
    thresholds = torch.linspace(0, highest, 31, dtype=error.dtype, device=error.device)
    near = error[..., None] < thresholds
    return 100 * near.to(error.dtype).mean((-1, -2))


def mean_bone_length(joints: Tensor) -> Tensor:
    """Mean length of the bones of each pose, (...)."""
    return torch.linalg.vector_norm(bones(joints), dim=-1).mean(-1)


def action_means(errors: Tensor, actions: Iterable[str]) -> dict[str, float]:
    """Frame mean of `errors` (N,) inside each action, by the action's exact name.

    Raises:
        ValueError: there is not one action a pose.
    """
    actions = list(actions)
    if errors.ndim != 1 or len(actions) != len(errors) or not actions:
        raise ValueError(
            f"action_means: errors of shape {tuple(errors.shape)} need as many actions, "
            f"got {len(actions)}"
        )
    names = sorted(set(actions))
    index = {name: place for place, name in enumerate(names)}
    owner = torch.tensor([index[action] for action in actions], device=errors.device)
    sums = torch.zeros(len(names), dtype=torch.float64, device=errors.device)
    sums.index_add_(0, owner, errors.double())
    counts = torch.bincount(owner, minlength=len(names))
    return dict(zip(names, (sums / counts).tolist()))


def action_mean(errors: Tensor, actions: Iterable[str]) -> float:
    """Human3.6M's average: the frame mean inside each action, then the plain mean of actions.

    Every "Avg" of Tables 3.1 and 4.1 is this; the mean over frames is another number, because
    actions differ in length.
    """
    means = action_means(errors, actions)
    return sum(means.values()) / len(means)


def _aligned_error(predicted: Tensor, target: Tensor) -> Tensor:
    return missed(fit(predicted, target)).square_().sum(0).sqrt_().mean(0)


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """above / below, and 0 where below is 0: a collapsed pose has no scale to find."""
    return torch.where(below > 0, above / below.clamp(min=torch.finfo(below.dtype).tiny), 0)


def _check_pair(predicted: Tensor, target: Tensor) -> None:
    if predicted.shape != target.shape or predicted.ndim < 2 or predicted.shape[-2] == 0:
        raise ValueError(
            "poses must both be (..., J, 3), got predicted "
            f"{tuple(predicted.shape)} and target {tuple(target.shape)}"
        )
    for name, joints in (("predicted", predicted), ("target", target)):
        if not joints.is_floating_point():
            raise ValueError(f"{name} poses must be floating-point numbers, got {joints.dtype}")
        # NaN and infinity survive a sum, which is far faster than a look at each number.
        if not torch.isfinite(joints.sum()) and not torch.isfinite(joints).all():
            raise ValueError(f"{name} poses hold NaN or infinite coordinates")
