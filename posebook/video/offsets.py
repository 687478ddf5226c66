"""Figure 2.8: predicted offset fields beside the true motion of the picture."""

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from posebook.data.rendered.clips import flow as flow_of
from posebook.video import crops
from posebook.video.frames import Frames, crop
from posebook.video.network import VideoNetwork
from posebook.video.rows import Profile, Variant
from posebook.video.strips import as_text, small
from posebook.video.tce import windows


@torch.inference_mode()
def offset_field(encoder: nn.Module, model: VideoNetwork, pictures: Tensor, N: int) -> Tensor:
    """The offsets (2, h, w), in cells, by which the last step moves the state to the target.

    Args:
        pictures: (T, S, S, 3) crops, the target last. Of several scales, those of the first.
    """
    maps, gates = model.prepare(encoder(crops.normalised(pictures)))
    target, first = torch.tensor([len(maps) - 1]), torch.tensor([0])
    rows, _ = windows(target, first, target, N)
    H = model.tce(maps, gates, rows[:, :-1])
    return model.tce.offset_field(H, maps[rows[:, -1]])[0, 0]


def motion_in_cells(
    flow: np.ndarray, M: Tensor, M_next: Tensor, size: int, cells: int
) -> np.ndarray:
    """From where each cell's content has come, (2, cells, cells) in cells: what a warp should say.

    Args:
        flow: (H, W, 2) true motion of the picture to the next frame, in pixels.
        M, M_next: (2, 3) from either picture to its crop. A pixel that was at u in the crop is at v
            in the next one's; a cell has the mean of u - v over the pixels whose v lies in it, and
            0 without any.
    """
    H, W = flow.shape[:2]
    y, x = np.mgrid[:H, :W]
    here = torch.from_numpy(np.stack([x, y], axis=-1).reshape(1, -1, 2).astype(float))
    there = here + torch.from_numpy(flow.reshape(1, -1, 2).astype(float))
    u = crops.apply_affine(M[None].double(), here)[0]
    v = crops.apply_affine(M_next[None].double(), there)[0]
    cell = ((v + 0.5) * cells / size).floor().long()
    inside = ((cell >= 0) & (cell < cells)).all(-1).numpy()
    place = (cell[:, 1] * cells + cell[:, 0]).numpy()[inside]
    came = ((u - v) * cells / size).numpy()[inside]
    number = np.bincount(place, minlength=cells**2)
    total = np.stack([np.bincount(place, part, cells**2) for part in came.T])
    return (total / np.maximum(number, 1)).reshape(2, cells, cells)


def correlation(fields: np.ndarray, motions: np.ndarray, draws: int = 1000) -> list[float]:
    """Correlation of two stacks (C, 2, h, w), x and y pooled, with its 95 % interval over clips.

    0 where one of them does not vary.
    """

    def of(a, b):
        a, b = a - a.mean((0, 2, 3), keepdims=True), b - b.mean((0, 2, 3), keepdims=True)
        norm = np.sqrt((a**2).sum() * (b**2).sum())
        return float((a * b).sum() / norm) if norm > 0 else 0.0

    random = np.random.default_rng(0)
    drawn = []
    for _ in range(draws):
        these = random.integers(len(fields), size=len(fields))
        drawn.append(of(fields[these], motions[these]))
    return [of(fields, motions), *np.percentile(drawn, [2.5, 97.5]).tolist()]


def middle(length: int) -> int:
    """The frame of a clip whose offsets are looked at; it has two before it."""
    return max(2, length // 2)


def offsets(
    encoder: nn.Module, model: VideoNetwork, profile: Profile, variant: Variant, frames: Frames
) -> tuple[list[dict], dict[str, float]]:
    """The fields of two clips to draw, and how fields and motions go together over all clips."""
    encoder.eval(), model.eval()
    fields, to_target, to_state, pairs = [], [], [], []
    clips = [k for k, record in enumerate(frames.records) if len(record) > 2]
    for number in tqdm(clips, desc="offset fields", delay=5):
        start, at = frames.of_clip(number).start, middle(len(frames.records[number]))
        rows = torch.arange(start + max(0, at - variant.N), start + at + 1)
        cut = crop(frames, rows, profile.base.crop)
        field = offset_field(encoder, model, cut.pictures, variant.N)
        fields.append(field.double().numpy())
        for frame, motions in ((at - 1, to_target), (at - 2, to_state)):
            flow = flow_of(frames.records[number], frame)
            M, M_next = cut.M[frame - at - 1], cut.M[frame - at]
            motions.append(motion_in_cells(flow, M, M_next, profile.base.crop, field.shape[-1]))
        pairs.append(cut.pictures[-2:])
    fields, to_target, to_state = (np.stack(part) for part in (fields, to_target, to_state))
    speed = np.linalg.norm(to_target, axis=1).mean((1, 2))
    order = np.argsort(speed, kind="stable")
    chosen = {"median motion": order[len(order) // 2], "most motion": order[-1]}
    poses = [
        {
            "kind": kind, "clip": frames.records[clips[k]].name,
            "action": frames.records[clips[k]].action,
            "before": as_text(small(pairs[k][0])), "target": as_text(small(pairs[k][1])),
            "offsets": np.round(fields[k], 4), "motion": np.round(to_target[k], 4),
        }
        for kind, k in chosen.items()
    ]  # fmt: skip
    metrics = {
        "offset_cells": float(np.linalg.norm(fields, axis=1).mean()),
        "motion_cells": float(np.linalg.norm(to_target, axis=1).mean()),
        "clips": len(clips),
    }
    for name, motions in (("to_target", to_target), ("to_state", to_state)):
        values = correlation(fields, motions)
        for suffix, value in zip(("", "_low", "_high"), values, strict=True):
            metrics[f"correlation_{name}{suffix}"] = value
    return poses, metrics
