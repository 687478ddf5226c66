"""Section 2.8.2: from a person's box to the square crop that a network sees, and back.

Pixels are counted from 0 at the centre of the first one, in pictures and in crops. A crop is an
affine map `M` (..., 2, 3) from picture to crop; joints go through it forwards, predictions back.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import torch
from torch import Tensor

from posebook.data.formats.pictures import picture

ENLARGED = 1.25  # the box of a person by this factor, to include context
LARGEST_ROTATION = 40.0  # degrees
LARGEST_SCALING = 0.25
ERASING_PROBABILITY = 0.5
ERASED_AREA = (0.02, 0.4)  # of the crop
ERASED_ASPECT = (0.3, 1 / 0.3)
# Red, green and blue of the mean picture of ImageNet: what lies outside the picture, and what is
# erased. After `normalised` it is zero.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, eq=False)
class Augmentation:
    """One draw for each of B windows (or pictures): the same for all frames of a window.

    Attributes:
        rotation: (B,) degrees, clockwise as seen.
        scale: (B,) factor of the box's side.
        flip: (B,).
    """

    rotation: Tensor
    scale: Tensor
    flip: Tensor

    def __getitem__(self, rows: Tensor) -> "Augmentation":
        """The draws of some rows; a row may be asked for several times."""
        return Augmentation(self.rotation[rows], self.scale[rows], self.flip[rows])


def draw_augmentation(n: int, generator: torch.Generator) -> Augmentation:
    """n draws: rotation within 40 degrees, scale within 25 %, flip with probability 0.5.

    "Randomly" is read as uniformly.
    """
    u = torch.rand(3, n, generator=generator, dtype=torch.float64)
    return Augmentation(
        LARGEST_ROTATION * (2 * u[0] - 1), 1 + LARGEST_SCALING * (2 * u[1] - 1), u[2] < 0.5
    )


def square(box: Tensor, enlarged: float = ENLARGED) -> tuple[Tensor, Tensor]:
    """Centres (..., 2) and sides (...) of boxes (..., 4), made square and enlarged.

    The shorter side of the box is extended to the longer one.

    Raises:
        ValueError: for a box without area.
    """
    extent = box[..., 2:] - box[..., :2]
    if not bool((extent > 0).all()):
        raise ValueError(
            f"a box must be x1, y1, x2, y2 with x2 > x1 and y2 > y1, got {_first_bad(box, extent)}"
        )
    return (box[..., :2] + box[..., 2:]) / 2, enlarged * extent.amax(-1)


def _first_bad(box: Tensor, extent: Tensor) -> list[float]:
    bad = ~(extent > 0).all(-1)
    return box[bad][0].tolist()


def crop_matrix(box: Tensor, size: int, augmentation: Augmentation | None = None) -> Tensor:
    """Maps (B, 2, 3) from picture to crops of size x size pixels, for boxes (B, 4), float64."""
    center, side = square(box.double())
    rotation = torch.zeros(len(box), dtype=torch.float64)
    mirror = torch.ones(len(box), dtype=torch.float64)
    if augmentation is not None:
        rotation = torch.deg2rad(augmentation.rotation.double())
        side = side * augmentation.scale
        mirror = 1 - 2 * augmentation.flip.double()
    c, s, k = rotation.cos(), rotation.sin(), size / side
    linear = torch.stack([mirror * k * c, -mirror * k * s, k * s, k * c], dim=-1)
    linear = linear.unflatten(-1, (2, 2))
    shift = (size - 1) / 2 - (linear @ center[..., None])
    return torch.cat([linear, shift], dim=-1)


def inverse(M: Tensor) -> Tensor:
    """The maps (..., 2, 3) back from crop to picture."""
    linear = torch.linalg.inv(M[..., :2])
    return torch.cat([linear, -linear @ M[..., 2:]], dim=-1)


def apply_affine(M: Tensor, joints: Tensor) -> Tensor:
    """Joints (B, J, 2), carried through the maps (B, 2, 3)."""
    return joints @ M[..., :2].mT.to(joints) + M[..., 2].unsqueeze(-2).to(joints)


def relabel(values: Tensor, flip: Tensor, partners: Sequence[int]) -> Tensor:
    """Per-joint values (B, J, ...) with left and right exchanged where `flip` (B,) is set.

    A mirrored left hand looks like a right hand, and must be labelled so.

    Args:
        partners: (J,) the joint's mirror partner, `JointSet.flip`.
    """
    partners = torch.as_tensor(partners, device=values.device)
    chosen = flip.to(values.device).view(-1, *[1] * (values.ndim - 1))
    return torch.where(chosen, values[:, partners], values)


def cut(pictures: Sequence[np.ndarray], M: Tensor, size: int) -> Tensor:
    """Crops (B, size, size, 3), uint8, of B pictures; outside them is the mean colour.

    OpenCV, a picture at a time in PyTorch's number of threads: on one core nine times as fast as
    one batched `grid_sample`, whose indices of all pictures do not fit in the cache.

    Args:
        pictures: as `posebook.data.formats.pictures.picture` takes them.
    """
    out = np.empty((len(pictures), size, size, 3), dtype=np.uint8)
    fill = [255 * channel for channel in MEAN]

    def one(at: int) -> None:
        cv2.warpAffine(
            np.ascontiguousarray(picture(pictures[at])), M[at].numpy(), (size, size), dst=out[at],
            flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=fill,
        )  # fmt: skip

    threads = torch.get_num_threads()
    if threads == 1:
        for at in range(len(pictures)):
            one(at)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(one, range(len(pictures))))
    return torch.from_numpy(out)


def draw_rectangles(
    n: int, size: int, generator: torch.Generator, probability: float = ERASING_PROBABILITY
) -> Tensor:
    """n rectangles (n, 4), x1, y1, x2, y2 in whole pixels of a crop, to erase (Zhong et al. 2020).

    Area and aspect ratio are uniform in their ranges; a rectangle that does not fit is drawn again.
    Empty where nothing is erased.
    """
    rectangles = torch.zeros(n, 4, dtype=torch.long)
    open_ = torch.rand(n, generator=generator) < probability
    low, high = ERASED_ASPECT
    for _ in range(100):
        u = torch.rand(4, n, generator=generator, dtype=torch.float64)
        area = (ERASED_AREA[0] + (ERASED_AREA[1] - ERASED_AREA[0]) * u[0]) * size**2
        aspect = low + (high - low) * u[1]
        h, w = (area * aspect).sqrt().round().long(), (area / aspect).sqrt().round().long()
        fits = open_ & (h < size) & (w < size)
        x, y = ((size - w) * u[2]).long(), ((size - h) * u[3]).long()
        rectangles[fits] = torch.stack([x, y, x + w, y + h], dim=1)[fits]
        open_ = open_ & ~fits
        if not open_.any():
            break
    return rectangles


def erase(crops: Tensor, rectangles: Tensor) -> Tensor:
    """Crops (B, S, S, 3) of uint8 with the mean colour in rectangles (B, 4); a copy."""
    size = crops.shape[1]
    at = torch.arange(size, device=crops.device)
    x1, y1, x2, y2 = (edge[:, None] for edge in rectangles.to(crops.device).unbind(1))
    inside = ((at >= y1) & (at < y2))[:, :, None] & ((at >= x1) & (at < x2))[:, None, :]
    mean = torch.tensor([round(255 * channel) for channel in MEAN], dtype=torch.uint8)
    return torch.where(inside[..., None], mean.to(crops.device), crops)


def normalised(crops: Tensor) -> Tensor:
    """Network input (B, 3, S, S) of crops (B, S, S, 3): the mean colour becomes 0."""
    scale, shift = _colours(crops.device)
    return (crops * scale - shift).permute(0, 3, 1, 2)


@cache
def _colours(device: torch.device) -> tuple[Tensor, Tensor]:
    """Scale and shift (3,) of the colours, made once for a device."""
    with torch.inference_mode(False):
        mean, std = torch.tensor(MEAN, device=device), torch.tensor(STD, device=device)
        return 1 / (255 * std), mean / std
