"""Index lists and tables that never change, brought to a device once.

A list between square brackets is copied to the device each time it is used, and the device waits.
"""

from functools import cache

import torch
from torch import Tensor

from posebook.geometry.skeleton import H36M


@cache
def places(indices: tuple[int, ...], device: torch.device) -> Tensor:
    """The indices (n,) as a tensor on the device, the same one at every call."""
    with torch.inference_mode(False):  # so that one made in a test may serve in training as well
        return torch.tensor(indices, device=device)


def bones(joints: Tensor) -> Tensor:
    """Bones (..., 16, D) of joints (..., 17, D) of Human3.6M, each from its parent to its child."""
    parents, children = (places(ends, joints.device) for ends in zip(*H36M.bones))
    return joints[..., children, :] - joints[..., parents, :]


@cache
def once(table: Tensor, device: torch.device) -> Tensor:
    """A table that never changes, on the device, the same one at every call."""
    with torch.inference_mode(False):
        return table.to(device)
