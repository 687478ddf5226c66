"""TemporalDilated, the temporal backbone of Table 3.2 (Pavllo et al. 2019).

One set of weights, two forms. `forward` reads whole windows and strides, so that it computes only
what the middle frame needs: the form for training, where windows come from anywhere. `dense`
dilates instead and reads a sequence once, sharing the work of overlapping windows: the form for
whole clips. Both give the same numbers (a test).
"""

from torch import Tensor, nn
from torch.nn import functional as F

from posebook.networks.residual import Dropout, small_head


class TemporalDilated(nn.Module):
    """Temporal convolutions of kernel 3 whose receptive field of 3^k frames is `frames`."""

    def __init__(self, inputs: int, outputs: int, frames: int, width: int, dropout: float) -> None:
        super().__init__()
        levels = _levels(frames)
        self.frames = frames
        self.expand = nn.ModuleList([_conv(inputs, width, 3)])
        self.wide = nn.ModuleList([_conv(width, width, 3) for _ in range(levels - 1)])
        self.narrow = nn.ModuleList([_conv(width, width, 1) for _ in range(levels - 1)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(width) for _ in range(2 * levels - 1)])
        self.dropout = Dropout(dropout)
        self.head = small_head(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (B, frames, C) to the outputs (B, outputs) of their middle frames."""
        if x.shape[1] != self.frames:
            raise ValueError(f"windows must hold {self.frames} frames, got {x.shape[1]}")
        return self._run(x, strided=True)[:, 0]

    def dense(self, x: Tensor) -> Tensor:
        """Sequences (B, T, C) to outputs (B, T - frames + 1, outputs), one each full window."""
        if x.shape[1] < self.frames:
            raise ValueError(
                f"a sequence of {x.shape[1]} frames is shorter than the receptive field of "
                f"{self.frames}; repeat its end frames, or take a network with a shorter one"
            )
        return self._run(x, strided=False)

    def _run(self, x: Tensor, strided: bool) -> Tensor:
        x = x.transpose(1, 2)
        x = self._step(self.expand[0], 0, x, 3 if strided else 1, 1)
        dilation = 3
        for level, (wide, narrow) in enumerate(zip(self.wide, self.narrow, strict=True)):
            middle = x[..., 1::3] if strided else x[..., dilation : x.shape[-1] - dilation]
            x = self._step(wide, 2 * level + 1, x, 3 if strided else 1, 1 if strided else dilation)
            x = middle + self._step(narrow, 2 * level + 2, x, 1, 1)
            dilation *= 3
        return self.head(x.transpose(1, 2))

    def _step(self, conv: nn.Conv1d, norm: int, x: Tensor, stride: int, dilation: int) -> Tensor:
        x = F.conv1d(x, conv.weight, stride=stride, dilation=dilation)
        return self.dropout(self.norms[norm](x).relu_())


def _levels(frames: int) -> int:
    levels, field = 0, 1
    while field < frames:
        levels, field = levels + 1, field * 3
    if field != frames or levels == 0:
        raise ValueError(f"the receptive field must be 3, 9, 27, 81 or 243 frames, not {frames}")
    return levels


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Conv1d:
    conv = nn.Conv1d(inputs, outputs, kernel, bias=False)
    nn.init.kaiming_normal_(conv.weight)
    return conv
