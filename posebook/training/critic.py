"""The adversarial baseline's critic: does a 3D pose look human? (Wandt and Rosenhahn 2019)

The thesis compares with an adversarial loss and gives no recipe; this is RepNet's, and ours in its
details. The critic sees a pose twice: as coordinates, and in kinematic chain space, the inner
products of all bones, which show bone lengths and joint angles whatever way the body is turned.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from posebook.geometry.places import bones
from posebook.geometry.skeleton import H36M


def kinematic_chain(Y: Tensor) -> Tensor:
    """B B^T (..., 16, 16) of the bone vectors B (..., 16, 3) of poses (..., 17, 3)."""
    B = bones(Y)
    return B @ B.transpose(-1, -2)


class _Path(nn.Module):
    """Two fully connected layers with a skip connection; no normalisation, as WGAN-GP asks."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.hidden = nn.ModuleList([nn.Linear(width, width) for _ in range(2)])

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.first(x))
        y = F.leaky_relu(self.hidden[0](x))
        return x + F.leaky_relu(self.hidden[1](y))


class Critic(nn.Module):
    """Scores (B,) of root-relative poses (B, 17, 3), metres: high for what looks real."""

    def __init__(self, pose_width: int = 100, chain_width: int = 1000) -> None:
        super().__init__()
        self.pose = _Path(3 * len(H36M), pose_width)
        self.chain = _Path(len(H36M.bones) ** 2, chain_width)
        self.head = nn.Sequential(
            nn.Linear(pose_width + chain_width, 100), nn.LeakyReLU(), nn.Linear(100, 1)
        )

    def forward(self, Y: Tensor) -> Tensor:
        # Bones are tenths of metres long; their products are brought to the scale of the rest.
        chain = 10 * kinematic_chain(Y).flatten(-2)
        return self.head(torch.cat([self.pose(Y.flatten(-2)), self.chain(chain)], dim=-1))[:, 0]
