"""Joints as heatmaps and back: `encode` and its inverses `decode` and `soft_argmax`.

Cells are counted from 0 at their centre. A crop of S pixels and a map of s cells cover the same
area, so that crop pixel u lies at cell (u + 1/2) s / S - 1/2: see `to_cells` and `to_pixels`.
"""

import torch
from torch import Tensor

SIGMA = 2.0  # cells, at 64 x 64


def to_cells(joints: Tensor, crop: int, size: int) -> Tensor:
    """Joints in pixels of a crop as cells of a map of size x size."""
    return (joints + 0.5) * (size / crop) - 0.5


def to_pixels(cells: Tensor, crop: int, size: int) -> Tensor:
    """The inverse of `to_cells`."""
    return (cells + 0.5) * (crop / size) - 0.5


def encode(
    cells: Tensor, size: int, sigma: float = SIGMA, rounded: bool = False
) -> tuple[Tensor, Tensor]:
    """Gaussian peaks of height 1, cut off at 3 sigma, and whether any of each lies on its map.

    Args:
        cells: (..., J, 2); a joint that is NaN has an empty map. Returns maps (..., J, size, size)
            and (..., J).
        rounded: put the peak on the nearest whole cell, as most public code does; the thesis says
            "at the joint".
    """
    center = (cells + 0.5).floor() if rounded else cells
    at = torch.arange(size, device=cells.device, dtype=cells.dtype)
    away = at - center[..., None]  # (..., J, 2, size)
    bell = torch.where(away.abs() <= 3 * sigma, torch.exp(-away.square() / (2 * sigma**2)), 0)
    maps = bell[..., 1, :, None] * bell[..., 0, None, :]
    return maps, bell.amax(-1).amin(-1) > 0


def decode(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Cells (..., 2) and scores (...) of the highest point of each map (..., h, w).

    The highest cell, and from there a quarter of a cell to the higher neighbour in x and in y; at
    the border there is none to compare with. A map without a positive value gives its middle, one
    that is not a number anywhere gives NaN and score 0.
    """
    h, w = maps.shape[-2:]
    flat = maps.reshape(-1, h, w)
    score, best = flat.flatten(1).max(1)
    x, y = best % w, best // w
    row, each = torch.arange(len(flat), device=maps.device), flat
    dx = each[row, y, (x + 1).clamp(max=w - 1)] - each[row, y, (x - 1).clamp(min=0)]
    dy = each[row, (y + 1).clamp(max=h - 1), x] - each[row, (y - 1).clamp(min=0), x]
    dx = torch.where((x > 0) & (x < w - 1), dx.sign(), 0)
    dy = torch.where((y > 0) & (y < h - 1), dy.sign(), 0)
    cells = torch.stack([x + 0.25 * dx, y + 0.25 * dy], dim=-1).to(maps.dtype)
    middle = torch.tensor([(w - 1) / 2, (h - 1) / 2], dtype=maps.dtype, device=maps.device)
    cells = torch.where((score > 0)[:, None], cells, middle)
    cells = torch.where(score.isnan()[:, None], torch.nan, cells)
    score = torch.where(score.isnan(), 0, score)
    return cells.view(*maps.shape[:-2], 2), score.view(maps.shape[:-2])


def soft_argmax(maps: Tensor, beta: float = 1.0) -> Tensor:
    """Expected cells (..., 2) under the softmax of maps (..., h, w): differentiable (Sun 2018)."""
    h, w = maps.shape[-2:]
    share = (beta * maps).flatten(-2).softmax(-1).view(maps.shape)
    x = (share.sum(-2) * torch.arange(w, device=maps.device, dtype=maps.dtype)).sum(-1)
    y = (share.sum(-1) * torch.arange(h, device=maps.device, dtype=maps.dtype)).sum(-1)
    return torch.stack([x, y], dim=-1)
