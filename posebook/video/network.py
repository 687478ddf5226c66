"""Sections 2.6 and 2.7: TCE on one or several scales, between a frozen encoder and a decoder."""

import torch
from torch import Tensor, nn

from posebook.video.backbone import (
    BaseNetwork,
    Branches,
    Decoder,
    Pyramid,
    Regressor,
    convolution,
    load_matching,
)
from posebook.video.tce import TCE

FRONTS = ("none", "pyramid", "single", "same", "multi")
SAME = (1, 1, 1, 1)  # the kernel of the SS form: 3 x 3, dilation 1, four times


class VideoNetwork(nn.Module):
    """From the encoder's features X of many frames to the heatmaps of some of them.

    Args:
        front: what stands between encoder and TCE module. "none" and "pyramid" have no TCE module
            and are the base network without and with the pyramid of section 2.4, frame by frame.
            "single": point-wise reduction to 1 / reduce of the channels, one TCE module. "same" and
            "multi": four kernels behind the reduction, all alike (SS) or with growing dilations
            (MS), and four modules.
        directions: 1 for the past alone, 2 for past and future.
        separate: weights of their own for the future.
        residual: add the target's X to the enhanced map of the four-module forms.
        added: bring the enhanced map, of any form, to X's channels by a point-wise layer that
            begins at zero, and add it to the target's X: the network begins as that of single
            frames, and the decoder with every weight of the base network's.
        head: "heatmap" for a decoder, "regression" for one layer that gives coordinates.
    """

    def __init__(
        self,
        channels: int,
        joints: int,
        decoder_width: int = 256,
        front: str = "multi",
        directions: int = 2,
        dilations: tuple[int | None, ...] = (None, 1, 2, 4),
        reduce: int = 4,
        head: str = "heatmap",
        separate: bool = False,
        residual: bool = False,
        added: bool = False,
        **tce,
    ) -> None:
        super().__init__()
        if front not in FRONTS:
            raise ValueError(f"unknown front {front!r}; known: {', '.join(FRONTS)}")
        if directions not in (1, 2):
            raise ValueError(f"directions must be 1 or 2, got {directions}")
        self.directions, self.residual = directions, residual or added
        out = channels
        if front == "none":
            self.front = nn.Identity()
        elif front == "pyramid":
            self.front = Pyramid(channels, dilations)
        elif front == "single":
            out = channels // reduce
            self.front = convolution(channels, out, 1)
        else:
            self.front = Branches(channels, SAME if front == "same" else dilations)
        self.tce = self.tce_after = None
        if front in ("single", "same", "multi"):
            scales = 1 if front == "single" else 4
            self.tce = TCE(out // scales, scales, **tce)
            if directions == 2 and separate:
                self.tce_after = TCE(out // scales, scales, **tce)
        self.added = None
        if added:
            self.added, out = nn.Conv2d(out, channels, 1), channels
            nn.init.zeros_(self.added.weight)
            nn.init.zeros_(self.added.bias)
        if head == "heatmap":
            self.decoder = Decoder(out, decoder_width, joints)
        else:
            self.decoder = Regressor(out, joints)

    def load_base_weights(self, base: BaseNetwork) -> None:
        """Take every weight of the base network that fits: pyramid, branches and decoder."""
        load_matching(self.decoder, base.decoder.state_dict())
        branches = base.pyramid.branches
        same_part = {Pyramid: base.pyramid, Branches: branches, nn.Sequential: branches.reduce}
        if type(self.front) in same_part:
            load_matching(self.front, same_part[type(self.front)].state_dict())

    def prepare(self, X: Tensor) -> tuple[Tensor, Tensor | None]:
        """What is needed of each frame, whichever windows it is in: maps and input gates."""
        maps = self.front(X)
        return maps, None if self.tce is None else self.tce.input_gates(maps)

    def enhance(
        self,
        maps: Tensor,
        gates: Tensor | None,
        before: Tensor,
        after: Tensor,
        truncate: bool = False,
    ) -> Tensor:
        """Enhanced maps H (B, ., h, w) of B targets; see `posebook.video.tce.windows`."""
        if self.tce is None or before.shape[1] == 1:
            return maps[before[:, -1]]  # N = 0: equation 2.10 would give X twice
        if self.directions == 1:
            return self.tce(maps, gates, before, truncate)
        if self.tce_after is not None:
            theirs = self.tce_after.input_gates(maps)
            return self.tce(maps, gates, before, truncate) + self.tce_after(
                maps, theirs, after, truncate
            )
        # Both directions in one batch, since they share weights; equation 2.10 adds the halves.
        H = self.tce(maps, gates, torch.cat([before, after]), truncate)
        return H[: len(before)] + H[len(before) :]

    def decode(self, H: Tensor, X: Tensor | None) -> Tensor:
        """Output for enhanced maps H of targets with features X, added where `residual` says so."""
        if self.added is not None:
            H = self.added(H)
        return self.decoder(H + X if self.residual else H)

    def forward(self, X: Tensor, before: Tensor, after: Tensor, truncate: bool = False) -> Tensor:
        """Heatmaps (B, K, 8 h, 8 w), or coordinates (B, K, 2), of targets among frames X."""
        maps, gates = self.prepare(X)
        H = self.enhance(maps, gates, before, after, truncate)
        return self.decode(H, X[before[:, -1]] if self.residual else None)
