"""A student of one view: confidences beside the points, a camera that looks at the body, a skip.

A body that is seen aside of the optical axis looks turned. So the camera is turned until it looks
at the body's middle; what the network then says is turned back. The ray to the root, as it was,
stays beside the points: it tells which way is down.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from posebook.geometry.reflection import reflected
from posebook.lifting.network import ROOT, condition, root_position, root_start
from posebook.networks.residual import ResLinear


@dataclass(frozen=True)
class Reading:
    """How a student reads a view; each field can be left out.

    Attributes:
        confidences: beside the points.
        centred: the camera turned to the body.
        skip: a linear way from the input to the output, beside the residual network.
        flip: at test, the mean of the answers to a view and to its mirror image.
    """

    confidences: bool = True
    centred: bool = True
    skip: bool = True
    flip: bool = True


class Student(nn.Module):
    """`posebook.lifting.network.LiftingNetwork` that reads (B, N, 3): rays and confidences."""

    frames = 1
    confidences = True

    def __init__(
        self, joints: int, width: int, blocks: int, dropout: float, reading: Reading
    ) -> None:
        super().__init__()
        self.joints, self.reading = joints, reading
        inputs = (3 if reading.confidences else 2) * joints + 3
        self.lifting = ResLinear(inputs, 3 * joints, width, blocks, dropout)
        self.rooting = ResLinear(inputs, 1, width, blocks, dropout)
        root_start(self.rooting.head, "center-ray")
        if reading.skip:
            self.skip = nn.Linear(inputs, 3 * joints, bias=False)
            nn.init.normal_(self.skip.weight, std=0.001)  # as the head: poses start near the root

    def lift(self, x: Tensor) -> Tensor:
        """Root-relative poses (B, N, 3), metres, of rays and confidences (B, N, 3)."""
        if self.training or not self.reading.flip:
            return self._lift(x)
        return (self._lift(x) + reflected(self._lift(reflected(x)))) / 2

    def _lift(self, x: Tensor) -> Tensor:
        features, turn, _, _ = self._read(x)
        return self._relative(features) @ turn

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Root-relative poses Y (B, N, 3) and roots r (B, 3), by the body's centre."""
        features, turn, X, size = self._read(x)
        Y = self._relative(features)
        r = root_position(self.rooting(features), X, size, Y, "center-ray")
        return Y @ turn, (r[:, None] @ turn)[:, 0]

    def _read(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features; the turn (B, 3, 3) of the camera, rays and apparent size as seen from there."""
        X, w = x[..., :2], x[..., 2]
        turn = to_middle(X) if self.reading.centred else _no_turn(X)
        turned = F.pad(X, (0, 1), value=1.0) @ turn.mT
        turned = turned[..., :2] / turned[..., 2:]
        features, size = condition(turned)
        root = 5 * X[:, ROOT]  # as in `condition`, but where it was before the turn
        parts = [features[:, :-3], root, features[:, -1:], *[w] * self.reading.confidences]
        return torch.cat(parts, dim=1), turn, turned, size

    def _relative(self, features: Tensor) -> Tensor:
        Y = self.lifting(features)
        if self.reading.skip:
            Y = Y + self.skip(features)
        Y = Y.unflatten(1, (self.joints, 3))
        return Y - Y[:, ROOT : ROOT + 1]


def _no_turn(X: Tensor) -> Tensor:
    return torch.eye(3, dtype=X.dtype, device=X.device).expand(len(X), 3, 3)


def to_middle(X: Tensor) -> Tensor:
    """Rotations (B, 3, 3) that turn a camera to the middle of what it sees, rays (B, N, 2).

    The smallest turn that carries the mean d of the joints' directions to (0, 0, 1). Its last row
    is d.
    """
    d = F.normalize(F.normalize(F.pad(X, (0, 1), value=1.0), dim=-1).mean(1), dim=-1)
    x, y, z = d.unbind(-1)
    a = 1 / (1 + z)
    rows = [1 - x * x * a, -x * y * a, -x, -x * y * a, 1 - y * y * a, -y, x, y, z]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))
