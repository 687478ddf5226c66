"""The person in the mirror: x the other way, left and right exchanged."""

import torch
from torch import Tensor

from posebook.geometry.places import once
from posebook.geometry.skeleton import H36M

OTHER_SIDE = torch.as_tensor(H36M.flip)


def reflected(points: Tensor) -> Tensor:
    """Points (..., J, D) of a mirror image, J joints of Human3.6M.

    D is 2 or more: rays or pictures, rays with confidences, or space. Of the coordinates only the
    first, x, changes.
    """
    points = points[..., once(OTHER_SIDE, points.device), :]
    return torch.cat([-points[..., :1], points[..., 1:]], dim=-1)
