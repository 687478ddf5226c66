"""Features of a frozen encoder, computed once for all rows of chapter 2's tables.

Since the encoder is frozen in the second step of training, a crop always has the same features.
The cache holds those of a fixed number of augmented copies of every clip (one draw for a whole
clip and copy, as section 2.8.2 asks for; random erasing differs from frame to frame).
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor
from tqdm.auto import tqdm

from posebook.crops import Augmentation, draw_augmentation, normalised
from posebook.frames import Frames, crop, labels
from posebook.models.base import Encoder
from posebook.pretraining import cache_folder
from posebook.training import draw


@dataclass(frozen=True, eq=False)
class Features:
    """Features of F frames in A copies, one copy behind the other: row a F + f.

    X: (A F, C, h, w), half precision. joints: (A F, J, 2) pixels of the crop. counted: (A F, J).
    M: (A F, 2, 3) from picture to crop.
    """

    X: Tensor
    joints: Tensor
    counted: Tensor
    M: Tensor
    frames: Frames

    @property
    def copies(self) -> int:
        return len(self.X) // len(self.frames)


def augmentation_of(frames: Frames, copy: int, seed: int) -> Augmentation:
    """The draw of one copy for each frame (F,): the same for all frames of a clip."""
    return draw_augmentation(len(frames.records), draw(seed + 2, copy))[frames.clip]


@torch.inference_mode()
def encode(encoder: Encoder, pictures: Tensor) -> Tensor:
    """Features (B, C, h, w) in half precision, on the CPU, of crops (B, S, S, 3)."""
    device = next(encoder.parameters()).device
    return encoder(normalised(pictures.to(device))).half().cpu().contiguous()


def features(
    frames: Frames,
    encoder: Encoder,
    size: int,
    *,
    copies: int = 0,
    erasing: bool = False,
    seed: int = 0,
    key: str,
    folder: Path | None = None,
    batch: int = 64,
) -> Features:
    """Features of all frames, from the cache or computed now.

    copies: augmented copies; 0 for one plain copy, as a test wants it. key: under which they are
    kept; it must tell encoders, data and these settings apart.
    """
    path = (folder or cache_folder()) / "features" / f"{key}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    draws = [augmentation_of(frames, copy, seed) for copy in range(copies)] or [None]
    rows = torch.arange(len(frames))
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            _compute(path, frames, encoder, size, draws, erasing, seed, batch)
    parts = [labels(frames, rows, size, augmentation) for augmentation in draws]
    joints, counted, M = (torch.cat(part) for part in zip(*parts, strict=True))
    return Features(torch.from_numpy(np.load(path)), joints, counted, M, frames)


def _compute(path, frames, encoder, size, draws, erasing, seed, batch) -> None:
    encoder.eval()
    beside, out = path.with_suffix(".writing"), None
    with tqdm(total=len(draws) * len(frames), desc="features", delay=5, mininterval=10) as bar:
        for copy, augmentation in enumerate(draws):
            random = draw(seed + 3, copy) if erasing else None
            for rows in torch.arange(len(frames)).split(batch):
                mine = augmentation and augmentation[rows]
                X = encode(encoder, crop(frames, rows, size, mine, random).pictures)
                if out is None:
                    shape = (len(draws) * len(frames), *X.shape[1:])
                    out = np.lib.format.open_memmap(beside, "w+", np.float16, shape)
                out[copy * len(frames) + rows.numpy()] = X.numpy()
                bar.update(len(rows))
    out.flush()
    os.replace(beside, path)
