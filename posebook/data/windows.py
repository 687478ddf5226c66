"""Windows of neighbouring frames: a batch of them is one copy a window, and none a frame."""

import torch
from torch import Tensor


class Windows:
    """All windows of so many frames of all views, centred on an instant.

    The clips of a view lie one behind the other, each with its end frames repeated at either end,
    so that any window is a piece of contiguous memory.

    Args:
        X: (I, V, J, 2).
        first, last: (I,) rows where the instant's clip begins and ends.
        frames: of a window, an odd number.
    """

    def __init__(self, X: Tensor, first: Tensor, last: Tensor, frames: int) -> None:
        if frames % 2 == 0:
            raise ValueError(
                f"a window is centred on its instant, so its length is odd, not {frames}"
            )
        half, instants = frames // 2, torch.arange(len(X), device=X.device)
        clips = torch.stack([first, last], 1).unique_consecutive(dim=0).tolist()
        rows = [torch.arange(a - half, b + half + 1).clamp(a, b) for a, b in clips]
        table = X.transpose(0, 1)[:, torch.cat(rows).to(X.device)].contiguous()
        # Each clip before an instant's own takes frames - 1 rows more than it has instants.
        self._begin = instants + (frames - 1) * ((instants == first).cumsum(0) - 1)
        self._length, self._shape = table.shape[1], (frames, *X.shape[2:])
        size = X[0, 0].numel()
        self._all = table.flatten().unfold(0, frames * size, size)

    def take(self, instant: Tensor, view: Tensor) -> Tensor:
        """The windows (B, frames, J, 2) round instants (B,) in views (B,)."""
        at = view * self._length + self._begin.index_select(0, instant)
        return self._all.index_select(0, at).unflatten(1, self._shape)
