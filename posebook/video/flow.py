"""The row Res50-OF of Table 2.3: heatmaps of neighbours, carried along the optical flow.

After Pfister et al. 2015: warp the heatmaps of the frames around onto the target frame, and
average. The thesis takes FlowNet 2; this is OpenCV's DIS flow (Kroeger et al. 2016), a classical
method that needs no training.
"""

import cv2
import numpy as np
import torch
from torch import Tensor

from posebook.video.tce import deform


def image_flow(target: np.ndarray, other: np.ndarray, dis: cv2.DISOpticalFlow) -> np.ndarray:
    """Where each pixel of `target` (S, S), grey, has gone in `other`: (S, S, 2) pixels, x first."""
    return dis.calc(target, other, None)


def averaged(maps: Tensor, pictures: Tensor, rows: Tensor) -> Tensor:
    """Heatmaps (B, K, h, w) of B targets, averaged over their windows along the flow.

    Args:
        maps: (F, K, h, w) of the frames of a clip.
        pictures: their crops (F, S, S, 3) of uint8.
        rows: (B, W) frames of each window with the target in the middle.
    """
    grey = [cv2.cvtColor(picture.numpy(), cv2.COLOR_RGB2GRAY) for picture in pictures]
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    cells = maps.shape[-1]
    out = []
    for window in rows.tolist():
        target = window[len(window) // 2]
        flows = {
            row: _in_cells(image_flow(grey[target], grey[row], dis), cells)
            for row in set(window) - {target}
        }
        flows[target] = torch.zeros(2, cells, cells)
        offset = torch.stack([flows[row] for row in window]).to(maps.device)
        out.append(deform(maps[window], offset).mean(0))
    return torch.stack(out)


def _in_cells(flow: np.ndarray, cells: int) -> Tensor:
    """A flow (S, S, 2) in pixels as (2, cells, cells) in cells of the heatmap."""
    small = cv2.resize(flow, (cells, cells), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(small).permute(2, 0, 1) * (cells / flow.shape[0])
