"""A network's output on its two ways: to the loss in training, to joints in use.

The output is a stack of heatmaps ("heatmap" and "integral") or of coordinates ("regression").
"""

import torch
from torch import Tensor

from posebook.video import heatmaps
from posebook.video import losses as video_losses


def head_of(loss: str) -> str:
    """The head that a loss needs, of `posebook.video.backbone`."""
    return "regression" if loss == "regression" else "heatmap"


def loss_of(
    loss: str, output: Tensor, joints: Tensor, counted: Tensor, crop: int, sigma: float
) -> Tensor:
    """Loss of an output against joints (B, K, 2) in pixels of a crop.

    Args:
        counted: (B, K) joints that have a label.
        sigma: of the peaks, in cells of the heatmap.

    Raises:
        ValueError: for an unknown loss.
    """
    if loss == "heatmap":
        size = output.shape[-1]
        truth, inside = heatmaps.encode(heatmaps.to_cells(joints, crop, size), size, sigma)
        return video_losses.heatmap(output, truth, (inside & counted).float())
    inside = ((joints >= -0.5) & (joints <= crop - 0.5)).all(-1)
    weights, truth = (inside & counted).float(), video_losses.in_crop(joints, crop)
    if loss == "integral":
        return video_losses.integral(output, truth, weights)
    if loss == "regression":
        return video_losses.regression(output, truth, weights)
    raise ValueError(f"unknown loss {loss!r}; known: {', '.join(video_losses.LOSSES)}")


def joints_of(loss: str, output: Tensor, crop: int) -> tuple[Tensor, Tensor]:
    """Joints (B, K, 2) in pixels of the crop and their scores (B, K).

    Heatmaps are decoded by their maximum, which is also the score; trained with the integral loss,
    by their soft-argmax. Coordinates have no score: it is 1. Joints of an output that is not a
    number are NaN and have score 0.
    """
    if loss == "regression":
        joints, score = video_losses.from_crop(output, crop), torch.ones_like(output[..., 0])
    else:
        cells, score = heatmaps.decode(output)
        if loss == "integral":
            cells = heatmaps.soft_argmax(output)
            score = output.flatten(-2).softmax(-1).amax(-1)
        joints = heatmaps.to_pixels(cells, crop, output.shape[-1])
    return joints, torch.where(joints.isnan().any(-1), 0, score)
