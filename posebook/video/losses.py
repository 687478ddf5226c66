"""The three losses of chapter 2: equation 2.12, and the two that Table 2.4 sets beside it.

weights: (B, J), 0 for a joint that does not count: one that nobody annotated, or whose whole peak
lies outside the crop. Coordinates are in crops from -1/2 to 1/2.
"""

import torch
from torch import Tensor

from posebook.video.heatmaps import soft_argmax

LOSSES = ("heatmap", "integral", "regression")


def heatmap(maps: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Mean over joints, cells and batch of the squared difference of maps (B, J, h, w).

    Equation 2.12 is the sum over joints and cells; Adam does not see the constant between both.
    """
    error = (maps - truth).square().mean((-1, -2))
    return _mean(error, weights)


def integral(maps: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """L1 distance of the soft-argmax of maps (B, J, h, w) to coordinates (B, J, 2)."""
    return regression(in_crop(soft_argmax(maps), maps.shape[-1]), truth, weights)


def regression(coordinates: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """L1 distance of coordinates (B, J, 2), summed over x and y."""
    return _mean((coordinates - truth).abs().sum(-1), weights)


def in_crop(cells: Tensor, size: int) -> Tensor:
    """Cells of a map of `size` (or pixels of a crop of `size`) as coordinates in -1/2 to 1/2."""
    return (cells + 0.5) / size - 0.5


def from_crop(coordinates: Tensor, size: int) -> Tensor:
    """The inverse of `in_crop`."""
    return (coordinates + 0.5) * size - 0.5


def _mean(error: Tensor, weights: Tensor) -> Tensor:
    """Mean of (B, J) over what counts; 0 where nothing does."""
    return (error * weights).sum() / torch.clamp(weights.sum(), min=1)
