"""The residual network of linear layers that chapters 3 and 4 are built from (Martinez et al.
2017).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Dropout(nn.Module):
    """`torch.nn.Dropout`; on a processor a byte of chance for each number, a third of the time.

    p is rounded to a 256th there.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.p)
        chance = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        lost = round(256 * self.p)
        kept = chance.view(torch.uint8)[: x.numel()].view(x.shape) >= lost
        return x * kept.to(x.dtype).mul_(256 / (256 - lost))


class Block(nn.Module):
    """Fully connected layers with batch normalisation, ReLU and dropout, and a skip connection."""

    def __init__(self, width: int, dropout: float, layers: int = 2) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *[part for _ in range(layers) for part in dense(width, width, dropout)]
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def dense(inputs: int, outputs: int, dropout: float) -> list[nn.Module]:
    """FC, batch normalisation, ReLU, dropout; He initialisation (He et al. 2015)."""
    linear = nn.Linear(inputs, outputs)
    nn.init.kaiming_normal_(linear.weight)
    nn.init.zeros_(linear.bias)
    # In place: half the time of a small layer is spent on memory.
    return [linear, nn.BatchNorm1d(outputs), nn.ReLU(inplace=True), Dropout(dropout)]


def small_head(width: int, outputs: int) -> nn.Linear:
    """An output layer whose first outputs are small: poses start near the root and depths near
    their prior, so that no joint begins behind the camera."""
    head = nn.Linear(width, outputs)
    nn.init.normal_(head.weight, std=0.001)
    nn.init.zeros_(head.bias)
    return head


class ResLinear(nn.Module):
    """An input layer, residual blocks and an output layer (Martinez et al. 2017; section 3.3)."""

    def __init__(self, inputs: int, outputs: int, width: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *dense(inputs, width, dropout), *[Block(width, dropout) for _ in range(blocks)]
        )
        self.head = small_head(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))
