"""Measuring a row of chapter 2 on the test split, also on damaged videos."""

import numpy as np
import torch
from torch import Tensor

from posebook.training.checkpoint import Curves
from posebook.video import conditions, measures
from posebook.video.features import Features
from posebook.video.frames import Frames
from posebook.video.measures import Predictions
from posebook.video.network import VideoNetwork
from posebook.video.predict import by_flow, by_stream, predict
from posebook.video.rows import STRIDES, Profile, Variant


def repeated(frames: Frames, seed: int = 0, share: float = 0.25) -> Tensor:
    """(F,) which frame a damaged video shows in the place of each: a quarter show the one before.
    """
    shown = torch.arange(len(frames))
    for rows, hit in _damaged(frames, seed, share):
        at = np.arange(rows.start, rows.stop)
        shown[rows] = torch.from_numpy(np.maximum.accumulate(np.where(hit, 0, at)))
    return shown


def kept(frames: Frames, seed: int = 0, share: float = 0.25) -> Tensor:
    """(K,) the frames that are left of a video that has lost a quarter of them, at random."""
    parts = [np.arange(rows.start, rows.stop)[~hit] for rows, hit in _damaged(frames, seed, share)]
    return torch.from_numpy(np.concatenate(parts))


def _damaged(frames: Frames, seed: int, share: float):
    """Rows of each clip, and which of its frames are hit; never the first."""
    random = np.random.default_rng(seed)
    for clip in range(len(frames.records)):
        rows = frames.of_clip(clip)
        hit = random.random(rows.stop - rows.start) < share
        hit[0] = False
        yield rows, hit


def evaluate(
    model: VideoNetwork, feats: Features, profile: Profile, variant: Variant
) -> tuple[Predictions, dict[str, float], dict[str, dict], Curves]:
    """Predictions, metrics, metrics by action, and curves of the test split."""
    args = model, feats, profile, variant
    predicted = by_flow(*args) if variant.flow else predict(*args)
    overall, per_action = measures.evaluate(predicted, feats.frames)
    drawn: Curves = {}
    if "curves" in variant.also:
        drawn |= measures.curves(predicted, feats.frames)
    if "near" in variant.also:
        overall |= conditions.error_near(predicted.joints, feats.frames)
    if "strides" in variant.also:
        for stride in STRIDES[1:]:
            other = predict(*args, stride=stride)
            overall |= _headline(other, feats.frames, f"_stride{stride}")
    if "stream" in variant.also:
        overall |= _headline(by_stream(*args), feats.frames, "_stream")
    if "broken" in variant.also:
        other = predict(*args, shown=repeated(feats.frames))
        overall |= _headline(other, feats.frames, "_repeated")
        left = kept(feats.frames)
        overall |= _headline(predict(*args, left=left), feats.frames, "_lost", left)
    return predicted, overall, per_action, drawn


def _headline(
    predicted: Predictions, frames: Frames, suffix: str, rows: Tensor | slice = slice(None)
) -> dict[str, float]:
    found = measures.accuracy(predicted.joints, frames, suffix, rows)
    kept = ("pck_0.2_mean13", "pck_0.1_mean13", "mean_error_px")
    return {name: found[name] for name in (f"{k}{suffix}" for k in kept) if name in found}
