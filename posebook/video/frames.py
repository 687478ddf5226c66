"""Pictures of stills and clips as rows: a batch of crops is a choice of rows.

The pictures themselves stay where they are, memory-mapped arrays or files; only what is asked for
is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from posebook.data.formats.pictures import picture
from posebook.data.records import ImageSet, VideoClip
from posebook.geometry.skeleton import JointSet, joint_set
from posebook.results.provenance import data_digest
from posebook.video import crops
from posebook.video.crops import Augmentation


@dataclass(frozen=True, eq=False)
class Frames:
    """F frames of C records, one record after the other.

    Attributes:
        joints: (F, J, 2) pixels of the picture.
        visible: (F, J).
        annotated: (F, J).
        box: (F, 4).
        clip: (F,) the record of each row.
        first: (F,) row where its clip begins; a still is a clip of its own.
        last: (F,) row where it ends.
    """

    records: tuple[ImageSet | VideoClip, ...]
    offsets: Tensor
    joints: Tensor
    visible: Tensor
    annotated: Tensor
    box: Tensor
    clip: Tensor
    first: Tensor
    last: Tensor
    joint_set: JointSet

    def __len__(self) -> int:
        return len(self.box)

    def picture(self, row: int) -> np.ndarray:
        """The picture of a row, (H, W, 3) of uint8."""
        clip = int(self.clip[row])
        return picture(self.records[clip].pictures[row - int(self.offsets[clip])])

    def of_clip(self, clip: int) -> slice:
        """The rows of one record."""
        start = int(self.offsets[clip])
        return slice(start, start + len(self.records[clip]))


def collect_frames(records: Sequence[ImageSet | VideoClip]) -> Frames:
    """Records of one joint set as rows. Raises ValueError for none, or for mixed joint sets."""
    if not records:
        raise ValueError("there are no clips; choose a larger profile or check the data folder")
    sets = {record.joint_set for record in records}
    if len(sets) != 1:
        raise ValueError(f"clips of different joint sets do not mix: {', '.join(sorted(sets))}")
    lengths = torch.tensor([len(record) for record in records])
    offsets = lengths.cumsum(0) - lengths
    clip = torch.arange(len(records)).repeat_interleave(lengths)
    first, last = offsets[clip], (offsets + lengths - 1)[clip]
    rows = torch.arange(len(clip))
    still = torch.tensor([isinstance(record, ImageSet) for record in records])[clip]
    annotated = [
        np.ones_like(r.visible, dtype=bool) if r.annotated is None else r.annotated for r in records
    ]
    return Frames(
        records=tuple(records),
        offsets=offsets,
        joints=_stacked([r.joints for r in records], np.float32),
        visible=_stacked([r.visible for r in records], bool),
        annotated=_stacked(annotated, bool),
        box=_stacked([r.box for r in records], np.float64),
        clip=clip,
        first=torch.where(still, rows, first),
        last=torch.where(still, rows, last),
        joint_set=joint_set(records[0].joint_set),
    )


def fingerprint(frames: Frames, pictures: int = 8) -> str:
    """Digest of all labels and of some pictures: tells data apart without reading all of it."""
    rows = torch.linspace(0, len(frames) - 1, pictures).long().unique().tolist()
    labels_ = {"joints": frames.joints, "annotated": frames.annotated, "box": frames.box}
    shown = {f"picture {row}": frames.picture(row) for row in rows}
    return data_digest({**labels_, "last": frames.last, **shown})


def _stacked(parts: Sequence[np.ndarray], kind: type) -> Tensor:
    return torch.from_numpy(np.concatenate([np.asarray(part, dtype=kind) for part in parts]))


@dataclass(frozen=True, eq=False)
class Crops:
    """B crops. pictures: (B, S, S, 3) of uint8. joints: (B, J, 2) pixels of the crop.

    Attributes:
        counted: (B, J) joints with a label.
        M: (B, 2, 3) from picture to crop.
    """

    pictures: Tensor
    joints: Tensor
    counted: Tensor
    M: Tensor


def labels(
    frames: Frames, rows: Tensor, size: int, augmentation: Augmentation | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Joints (B, J, 2) of rows in pixels of their crops, which have a label (B, J), and M."""
    M = crops.crop_matrix(frames.box[rows], size, augmentation)
    joints, counted = crops.apply_affine(M, frames.joints[rows]), frames.annotated[rows]
    if augmentation is not None:
        partners = frames.joint_set.flip
        joints = crops.relabel(joints, augmentation.flip, partners)
        counted = crops.relabel(counted, augmentation.flip, partners)
    return joints, counted, M


def crop(
    frames: Frames,
    rows: Tensor,
    size: int,
    augmentation: Augmentation | None = None,
    erasing: torch.Generator | None = None,
) -> Crops:
    """The crops of rows (B,), each about its own box; erasing: draws the random rectangles."""
    joints, counted, M = labels(frames, rows, size, augmentation)
    pictures = crops.cut([frames.picture(row) for row in rows.tolist()], M, size)
    if erasing is not None:
        pictures = crops.erase(pictures, crops.draw_rectangles(len(rows), size, erasing))
    return Crops(pictures, joints, counted, M)
