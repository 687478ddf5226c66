"""Chapter 2's temporal module on poses: section 5.2's "extend to 3D", beside `TemporalDilated`.

A frame is a vector here and no map, so nothing has to be shifted, and the ConvLSTM of equation 2.8
is an LSTM. All else is as in `posebook.video.tce`: it starts with the features of the outermost
frame (equation 2.3) and goes to the target from either side with the same weights; equation 2.10
adds the two states, and the target's own features are added to them (+ X of section 2.6).
"""

import torch
from torch import Tensor, nn

from posebook.networks.residual import Block, dense, small_head


class TemporalConsistency(nn.Module):
    """One residual block for each frame of a window, an LSTM over them, and the rest of the blocks.

    Args:
        frames: 2 N + 1, the target in the middle.
        blocks: residual blocks on the way, the first one before the LSTM as every frame needs it.
    """

    def __init__(
        self, inputs: int, outputs: int, frames: int, width: int, blocks: int, dropout: float
    ) -> None:
        super().__init__()
        if frames < 3 or frames % 2 == 0:
            raise ValueError(f"a window has its target in the middle of 3, 5, ..., not {frames}")
        self.frames = frames
        self.body = nn.Sequential(*dense(inputs, width, dropout), Block(width, dropout))
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.decoder = nn.Sequential(*[Block(width, dropout) for _ in range(blocks - 1)])
        self.head = small_head(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (B, frames, C) to the outputs (B, outputs) of their middle frames."""
        if x.shape[1] != self.frames:
            raise ValueError(f"windows must hold {self.frames} frames, got {x.shape[1]}")
        X = self.body(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        N = self.frames // 2
        # Both directions in one batch, oldest and latest frame first, the target last.
        both = torch.cat([X[:, : N + 1], X[:, N:].flip(1)])
        start = both[:, 0].unsqueeze(0).contiguous()
        _, (H, _) = self.lstm(both[:, 1:], (start, torch.zeros_like(start)))
        before, after = H[0].chunk(2)
        return self.head(self.decoder(X[:, N] + before + after))
