"""Section 3.3 and 3.4.1: the lifting network and the root position branch.

The network takes the rays of one view (see `posebook.geometry.camera`). `condition` splits them
into what the body does (centred, scaled points) and where it is (root ray, apparent size): the same
numbers, in a form that a network with unit-variance layers trains well on.
"""

import math
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from posebook.geometry.skeleton import H36M
from posebook.lifting.consistency import TemporalConsistency
from posebook.lifting.temporal import TemporalDilated
from posebook.networks.residual import ResLinear

ROOTS = ("center-ray", "root-ray", "vector")
ROOT = H36M.root
BODY_SIZE = 0.45  # metres; root-mean-square distance of a person's joints to the pelvis, as seen


def condition(X: Tensor) -> tuple[Tensor, Tensor]:
    """Network input and apparent size of 2D poses.

    Args:
        X: (..., N, 2) rays. Returns (..., 2N + 3) features: centred points over their apparent
            size, root ray, and the logarithm of the size (the two last scaled to about unit
            variance); and the size (..., 1), the root-mean-square distance of the joints to the
            root.
    """
    centred = X - X[..., ROOT : ROOT + 1, :]
    size = centred.square().sum(-1).mean(-1, keepdim=True).sqrt().clamp(min=1e-3)
    shape = (centred / size.unsqueeze(-1)).flatten(-2)
    return torch.cat([shape, 5 * X[..., ROOT, :], 4 * (12 * size).log()], dim=-1), size


class LiftingNetwork(nn.Module):
    """Two branches of the same architecture that share no weights (section 3.4.1).

    The lifting branch gives Y, the pose relative to its root; the root branch gives r, the root's
    position in the camera's frame. Their sum is the global pose of equations 3.1 to 3.6.

    Args:
        root: what the root branch predicts. "center-ray": the depth z of the body's centre along
            its ray (the mean of the joints' rays), z = softplus(output) / apparent size; the root
            is that centre less the mean of Y. "root-ray": the depth of the root along the root's
            own ray. "vector": three free numbers (literal reading). With a root that is predicted
            directly, moving all of Y against r costs next to nothing, because only the root joint
            itself then moves away from its label; predicted through the centre, pose and place are
            free of each other.
        root_bias: where a "vector" root starts, metres.
        frames: 1 for residual blocks on single poses; more for `TemporalDilated` branches on
            windows (B, frames, N, 2), whose pose and root belong to the middle frame.
        lstm: `TemporalConsistency` branches on those windows instead.
    """

    confidences = False  # it reads points alone

    def __init__(
        self,
        joints: int = len(H36M),
        width: int = 1024,
        blocks: int = 4,
        dropout: float = 0.25,
        root: str = "center-ray",
        root_bias: tuple[float, float, float] = (0.0, 0.0, 0.0),
        frames: int = 1,
        lstm: bool = False,
    ) -> None:
        super().__init__()
        if root not in ROOTS:
            raise ValueError(f"unknown root branch {root!r}; known: {', '.join(ROOTS)}")
        self.joints, self.root, self.frames = joints, root, frames
        inputs = 2 * joints + 3
        if frames == 1:
            branch = partial(ResLinear, inputs, width=width, blocks=blocks, dropout=dropout)
        elif lstm:
            branch = partial(
                TemporalConsistency, inputs, frames=frames, width=width, blocks=blocks,
                dropout=dropout,
            )  # fmt: skip
        else:
            branch = partial(TemporalDilated, inputs, frames=frames, width=width, dropout=dropout)
        self.lifting = branch(3 * joints)
        self.rooting = branch(3 if root == "vector" else 1)
        root_start(self.rooting.head, root, root_bias)

    def lift(self, X: Tensor) -> Tensor:
        """Root-relative poses (B, N, 3), metres, of rays (B, [frames,] N, 2): all a test needs."""
        features, _ = condition(X)
        return self._relative(features)

    def forward(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Root-relative poses Y (B, N, 3) and roots r (B, 3) of rays (B, [frames,] N, 2)."""
        features, size = condition(X)
        Y = self._relative(features)
        if self.frames > 1:
            X, size = X[:, self.frames // 2], size[:, self.frames // 2]
        return Y, root_position(self.rooting(features), X, size, Y, self.root)

    def _relative(self, features: Tensor) -> Tensor:
        Y = self.lifting(features).unflatten(1, (self.joints, 3))
        # Root and pose are only determined as a sum, so the pose's own root is taken away.
        return Y - Y[:, ROOT : ROOT + 1]


def root_start(
    head: nn.Linear, root: str, root_bias: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> None:
    """Let a root branch begin with a person of ordinary size, a "vector" one at `root_bias`."""
    start = root_bias if root == "vector" else (math.log(math.expm1(BODY_SIZE)),)
    with torch.no_grad():
        head.bias.copy_(torch.tensor(start))


def root_position(out: Tensor, X: Tensor, size: Tensor, Y: Tensor, root: str) -> Tensor:
    """Roots r (B, 3), metres, from the root branch's output (B, 1 or 3); see `LiftingNetwork`.

    Args:
        X: (B, N, 2) rays, size: (B, 1) their apparent size, Y: (B, N, 3) root-relative poses.
    """
    if root == "vector":
        return out
    z = F.softplus(out) / size
    if root == "root-ray":
        return torch.cat([X[:, ROOT] * z, z], dim=1)
    center = torch.cat([X.mean(1) * z, z], dim=1)
    return center - Y.mean(1)


def global_pose(Y: Tensor, r: Tensor) -> Tensor:
    """Global poses (B, N, 3): relative poses plus roots (B, 3)."""
    return Y + r.unsqueeze(1)
