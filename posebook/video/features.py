"""Features of a frozen encoder, computed once for all rows of chapter 2's tables.

Since the encoder is frozen in the second step of training, a crop always has the same features.
The cache holds those of a fixed number of augmented copies of every clip (one draw for a whole
clip and copy, as section 2.8.2 asks for; random erasing differs from frame to frame).
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from posebook.paths import cache_folder
from posebook.results.provenance import code_digest, data_digest
from posebook.storage import key_of, made_once, whole
from posebook.training.draws import draw, send
from posebook.video.backbone import Encoder
from posebook.video.crops import Augmentation, draw_augmentation, normalised
from posebook.video.frames import Frames, crop, fingerprint, labels

# What the pictures go through on their way to a feature.
MODULES = tuple(
    f"posebook.{name}"
    for name in (
        "data.formats.pictures", "training.draws", "video.backbone", "video.crops",
        "video.features", "video.frames",
    )
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Features:
    """Features of F frames in A copies, one copy behind the other: row a F + f.

    Attributes:
        X: (A F, C, h, w), half precision; on the encoder's device if there is room, else on disk.
        joints: (A F, J, 2) pixels of the crop.
        counted: (A F, J). Both lie where X lies.
        M: (A F, 2, 3) from picture to crop, on the processor.
        key: digest of everything that they depend on.
    """

    X: Tensor
    joints: Tensor
    counted: Tensor
    M: Tensor
    frames: Frames
    key: str

    @property
    def copies(self) -> int:
        return len(self.X) // len(self.frames)

    def take(self, rows: Tensor, device: torch.device) -> Tensor:
        """Features (B, C, h, w) of rows (B,), in single precision on the device."""
        return send(self.X[send(rows, self.X.device)], device).float()


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
    folder: Path | None = None,
    batch: int = 64,
) -> Features:
    """Features of all frames, from the cache or computed now.

    Args:
        copies: augmented copies; 0 for one plain copy, as a test wants it.
    """
    key = key_of(
        encoder=data_digest(encoder.state_dict()), device=str(next(encoder.parameters()).device),
        data=_shown(frames), size=size, copies=copies, erasing=erasing and copies > 0,
        seed=seed if copies else 0,  # without augmentation all seeds see the same
        code=code_digest(MODULES),
    )  # fmt: skip
    path = (folder or cache_folder()) / "features" / f"{key}.npy"
    draws = [augmentation_of(frames, copy, seed) for copy in range(copies)] or [None]
    with made_once(path) as missing:
        if missing:
            _compute(path, frames, encoder, size, draws, erasing, seed, batch)
    rows = torch.arange(len(frames))
    parts = [labels(frames, rows, size, augmentation) for augmentation in draws]
    joints, counted, M = (torch.cat(part) for part in zip(*parts, strict=True))
    # Left on the disk: those of Penn Action are 20 GB, and a step reads some hundred rows.
    try:
        X = torch.from_numpy(np.load(path, mmap_mode="c"))
    except (ValueError, EOFError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); delete it and run again") from error
    device = next(encoder.parameters()).device
    if device.type != "cpu" and _fits(X, device):
        X, joints, counted = (part.to(device) for part in (X, joints, counted))
    return Features(X, joints, counted, M, frames, key)


def _shown(frames: Frames) -> str:
    """Digest of what a crop of these frames shows, whichever joints are labelled in it."""
    return fingerprint(replace(frames, joints=torch.zeros(0), annotated=torch.zeros(0)))


def _fits(X: Tensor, device: torch.device) -> bool:
    """Whether the features take less than half of what a card has free."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else float("inf")
    return 2 * X.nbytes < free


def _compute(path, frames, encoder, size, draws, erasing, seed, batch) -> None:
    """Written in order and not through a map: a full disk is then an error and no bus error."""
    encoder.eval()
    total = len(draws) * len(frames)
    bar = tqdm(total=total, desc="features", delay=5, mininterval=10)
    with bar, whole(path) as file:
        for copy, augmentation in enumerate(draws):
            random = draw(seed + 3, copy) if erasing else None
            for rows in torch.arange(len(frames)).split(batch):
                mine = augmentation and augmentation[rows]
                X = encode(encoder, crop(frames, rows, size, mine, random).pictures).numpy()
                if file.tell() == 0:
                    shape = {"descr": X.dtype.str, "fortran_order": False}
                    shape["shape"] = (total, *X.shape[1:])
                    np.lib.format.write_array_header_2_0(file, shape)
                file.write(X.tobytes())
                bar.update(len(rows))
