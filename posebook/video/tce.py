"""Section 2.5: the temporal consistency exploration module.

It goes through the feature maps of a window, oldest first: shift the state along a predicted
offset field, merge it with the next frame's map, until the target frame is reached. The frames
after the target are taken the same way, backwards in time and with the same weights.

M scales (section 2.6) are M modules that know nothing of each other. Here they are one: their
maps lie behind each other in the channels, and every convolution has M groups.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

AGGREGATIONS = ("sum", "lstm")
STARTS = ("features", "zeros")
OFFSETS = ("state", "both", "none")


def deform(H: Tensor, offset: Tensor) -> Tensor:
    """Equations 2.5 and 2.6: the value at p is that of H (B, C, h, w) at p + offset, bilinear.

    Args:
        offset: (B, 2, h, w) in cells, x before y. Outside the map everything is 0, as in the sum of
            equation 2.5, which only has cells of the map in it.

    Where torch is told to be deterministic, cells are gathered: a card adds up the gradient of
    `grid_sample` in any order.
    """
    h, w = H.shape[-2:]
    x = torch.arange(w, device=H.device, dtype=H.dtype) + offset[:, 0]
    y = torch.arange(h, device=H.device, dtype=H.dtype)[:, None] + offset[:, 1]
    if torch.are_deterministic_algorithms_enabled():
        return _gathered(H, x, y)
    # grid_sample measures in half widths from the middle, borders at -1 and 1.
    grid = torch.stack([(2 * x + 1) / w - 1, (2 * y + 1) / h - 1], dim=-1)
    return F.grid_sample(H, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _gathered(H: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Values of H (B, C, h, w) at cells x and y (B, h, w), from the four cells round each."""
    h, w = H.shape[-2:]
    left, top = x.floor(), y.floor()
    out = torch.zeros_like(H)
    for at_x, weight_x in ((left, 1 - (x - left)), (left + 1, x - left)):
        for at_y, weight_y in ((top, 1 - (y - top)), (top + 1, y - top)):
            inside = (at_x >= 0) & (at_x < w) & (at_y >= 0) & (at_y < h)
            at = (at_y.clamp(0, h - 1) * w + at_x.clamp(0, w - 1)).nan_to_num().long()
            cells = H.flatten(2).gather(2, at.flatten(1)[:, None].expand(-1, H.shape[1], -1))
            out = out + cells.view_as(H) * (weight_x * weight_y * inside)[:, None]
    return out


class TCE(nn.Module):
    """One direction of time, equations 2.3 to 2.8, for M scales of C channels each.

    Args:
        aggregation: "sum" (2.7) or "lstm" (2.8).
        start: H of the oldest frame, its "features" as printed, or "zeros" with one step more.
        offsets: predicted from the "state" as printed, from "both" state and next frame, or "none":
            nothing is shifted.
    """

    def __init__(
        self,
        channels: int,
        scales: int = 1,
        aggregation: str = "lstm",
        start: str = "features",
        offsets: str = "state",
    ) -> None:
        super().__init__()
        for name, value, known in (
            ("aggregation", aggregation, AGGREGATIONS), ("start", start, STARTS),
            ("offsets", offsets, OFFSETS),
        ):  # fmt: skip
            if value not in known:
                raise ValueError(f"unknown {name} {value!r}; known: {', '.join(known)}")
        self.channels, self.scales = channels, scales
        self.aggregation, self.start, self.offsets = aggregation, start, offsets
        all_ = scales * channels
        if offsets != "none":
            seen = all_ * (2 if offsets == "both" else 1)
            self.W_of = nn.Conv2d(seen, 2 * scales, 3, padding=1, groups=scales)
            # Offsets of zero: the module begins without moving anything.
            nn.init.zeros_(self.W_of.weight)
            nn.init.zeros_(self.W_of.bias)
        if aggregation == "lstm":
            self.W_X = nn.Conv2d(all_, 4 * all_, 3, padding=1, groups=scales)
            self.W_H = nn.Conv2d(all_, 4 * all_, 3, padding=1, groups=scales, bias=False)
            nn.init.zeros_(self.W_X.bias)
            with torch.no_grad():  # remember by default, as is usual in an LSTM
                self.W_X.bias.view(scales, 4, channels)[:, 1] = 1

    def input_gates(self, X: Tensor) -> Tensor | None:
        """All W^X * X of equation 2.8, (B, 4 M C, h, w): once a frame, for all its windows."""
        return self.W_X(X) if self.aggregation == "lstm" else None

    def offset_field(self, H: Tensor, X: Tensor) -> Tensor:
        """Equation 2.4: offsets (B, M, 2, h, w) in cells, for state H and next map X."""
        seen = self._interleave(H, X) if self.offsets == "both" else H
        return self.W_of(seen).unflatten(1, (self.scales, 2))

    def shift(self, H: Tensor, X: Tensor) -> Tensor:
        """The deform operation A: state H (B, M C, h, w), moved towards the next map X."""
        if self.offsets == "none":
            return H
        offset = self.offset_field(H, X).flatten(0, 1)
        each = H.unflatten(1, (self.scales, self.channels)).flatten(0, 1)
        return deform(each, offset).view(H.shape)

    def step(
        self, X: Tensor, gates: Tensor | None, H: Tensor, c: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """The state after one frame more: H and cell c, (B, M C, h, w)."""
        H = self.shift(H, X)
        if self.aggregation == "sum":
            return X + H, None
        z = (gates + self.W_H(H)).unflatten(1, (self.scales, 4, self.channels))
        i, f, o = z[:, :, :3].sigmoid().unbind(2)
        i, f, o, g = (part.flatten(1, 2) for part in (i, f, o, z[:, :, 3].tanh()))
        c = f * c + i * g
        return o * c.tanh(), c

    def begin(self, X: Tensor) -> tuple[Tensor, Tensor | None]:
        """State and cell before the first step, for the oldest map X (B, M C, h, w)."""
        H = X if self.start == "features" else torch.zeros_like(X)
        return H, torch.zeros_like(X) if self.aggregation == "lstm" else None

    def forward(
        self, maps: Tensor, gates: Tensor | None, rows: Tensor, truncate: bool = False
    ) -> Tensor:
        """Enhanced maps (B, M C, h, w) of the last frame of each of B windows.

        Args:
            maps: (F, M C, h, w) of F frames, gates: their `input_gates`.
            rows: (B, N + 1) which frames a window has, the target last.
            truncate: a frame that repeats the one before, as beyond the end of a clip, is no step.
        """
        oldest = maps[rows[:, 0]]
        H, c = self.begin(oldest)
        steps = rows.unbind(1)[1:] if self.start == "features" else rows.unbind(1)
        for at, row in enumerate(steps):
            X, W = maps[row], None if gates is None else gates[row]
            after, cell = self.step(X, W, H, c)
            if truncate and self.start == "features":
                still = (row == rows[:, at])[:, None, None, None]
                after = torch.where(still, H, after)
                cell = None if cell is None else torch.where(still, c, cell)
            H, c = after, cell
        return H

    def _interleave(self, H: Tensor, X: Tensor) -> Tensor:
        """State and map of each scale side by side, as grouped convolutions want them."""
        parts = [t.unflatten(1, (self.scales, self.channels)) for t in (H, X)]
        return torch.cat(parts, dim=2).flatten(1, 2)


def windows(
    target: Tensor, first: Tensor, last: Tensor, N: int, stride: int = 1
) -> tuple[Tensor, Tensor]:
    """Frames (B, N + 1) before and after each target, oldest and latest first, the target last.

    Args:
        first, last: (B,) the ends of the target's clip; what lies beyond is the end frame again.
    """
    steps = stride * torch.arange(N, -1, -1, device=target.device)
    low, high = first[:, None], last[:, None]
    before = torch.minimum(torch.maximum(target[:, None] - steps, low), high)
    after = torch.minimum(torch.maximum(target[:, None] + steps, low), high)
    return before, after
