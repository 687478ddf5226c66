"""The mirror image that no orthographic loss can tell from the body, and how to settle it.

With S = diag(1, 1, -1), the body Y_hat S seen from S R S has the same picture as Y_hat from R, and
S R S is a rotation as well. Losses 4.3, 4.4, 4.7 and 4.8 are therefore the same for a network and
for its mirror image, and chance decides which of them training ends with. What breaks the tie
here is anatomy: knees bend one way only.
"""

import torch
from torch import Tensor

from posebook.geometry.skeleton import H36M

_LEGS = tuple(H36M.index(f"{s}Hip", f"{s}Knee", f"{s}Foot") for s in "LR")
_LEFT_HIP, _RIGHT_HIP = H36M.index("LHip", "RHip")


def mirror_shape(Y: Tensor, sign: Tensor | float = -1.0) -> Tensor:
    """Poses (..., P, 3) mirrored in depth: Y S for sign -1, Y itself for +1."""
    return torch.cat([Y[..., :2], Y[..., 2:] * sign], dim=-1)


def mirror_viewpoint(R: Tensor, sign: Tensor | float = -1.0) -> Tensor:
    """S R S of rotations (..., 3, 3): what changes sign has one index, not both, in depth."""
    s = torch.ones(3, dtype=R.dtype, device=R.device)
    s = torch.cat([s[:2], s[2:] * sign])
    return R * s[:, None] * s


def knee_flexion(Y: Tensor) -> Tensor:
    """How far the two knees of poses (..., P, 3) are bent, and which way, (...).

    Mean over both legs of ((foot - knee) x (hip - knee)) . (left hip - right hip): positive where
    knees bend as knees do, negative in the mirror image, 0 for straight legs. Turning the pose
    does not change it, so that it needs no viewpoint.
    """
    left = Y[..., _LEFT_HIP, :] - Y[..., _RIGHT_HIP, :]
    bends = []
    for hip, knee, foot in _LEGS:
        lower, upper = Y[..., foot, :] - Y[..., knee, :], Y[..., hip, :] - Y[..., knee, :]
        bends.append((torch.linalg.cross(lower, upper) * left).sum(-1))
    return torch.stack(bends).mean(0)


def knee_sign(Y: Tensor) -> float:
    """+1 if poses (..., P, 3) bend their knees as people do, on average; -1 if they are mirrored.

    Needs no label: the poses are a model's own predictions. The average weighs a pose by how far
    its knees are bent, since straight ones say nothing.
    """
    return 1.0 if float(knee_flexion(Y).mean()) >= 0 else -1.0
