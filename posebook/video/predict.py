"""Predictions of a trained row for all test frames: by windows, by clips, along the flow."""

from collections.abc import Callable

import torch
from torch import Tensor

from posebook.video import crops, flow
from posebook.video.features import Features
from posebook.video.frames import crop
from posebook.video.heads import joints_of
from posebook.video.inference import whole_clip
from posebook.video.measures import Predictions
from posebook.video.network import VideoNetwork
from posebook.video.rows import Profile, Variant
from posebook.video.tce import windows


@torch.inference_mode()
def predict(
    model: VideoNetwork,
    feats: Features,
    profile: Profile,
    variant: Variant,
    *,
    targets: Tensor | None = None,
    stride: int | None = None,
    shown: Tensor | None = None,
    left: Tensor | None = None,
    batch: int = 64,
) -> Predictions:
    """Joints of `targets` (default: every frame) in pixels of their pictures.

    Args:
        stride: another one than the variant's.
        shown: (F,) which frame is shown in the place of each when it is a neighbour: for videos
            with repeated frames.
        left: (K,) the frames that a video with lost ones still has, in order; windows then count
            among those, and they are the targets.
    """
    model.eval()
    frames = feats.frames
    first, last = frames.first, frames.last
    if left is not None:
        ends = [torch.searchsorted(left, end[left]) for end in (first, last + 1)]
        first, last, targets = ends[0], ends[1] - 1, torch.arange(len(left))
    targets = torch.arange(len(frames)) if targets is None else targets
    N = variant.N if variant.temporal and not variant.flow else 0
    found, scores = [], []
    for part in targets.split(batch):
        both = windows(part, first[part], last[part], N, stride or variant.stride)
        if left is not None:
            both, part = [left[rows] for rows in both], left[part]
        if shown is not None:
            both = [torch.cat([shown[rows[:, :-1]], rows[:, -1:]], 1) for rows in both]
        used, (before, after) = torch.stack(tuple(both)).unique(return_inverse=True)
        device = next(model.parameters()).device
        X = feats.take(used, device)
        output = model(X, before.to(device), after.to(device), variant.ends == "truncate")
        joints, score = joints_of(variant.loss, output, profile.base.crop)
        found.append(crops.apply_affine(crops.inverse(feats.M[part]), joints.cpu()))
        scores.append(score.cpu())
    return Predictions(torch.cat(found).numpy(), torch.cat(scores).numpy())


@torch.inference_mode()
def predict_clips(
    model: VideoNetwork,
    feats: Features,
    profile: Profile,
    variant: Variant,
    heatmaps_of: Callable[[Tensor, slice], Tensor],
) -> Predictions:
    """Joints of every frame by a rule for whole clips: `heatmaps_of(X, rows) -> (T, K, h, w)`."""
    model.eval()
    frames, device = feats.frames, next(model.parameters()).device
    found, scores = [], []
    for clip in range(len(frames.records)):
        rows = frames.of_clip(clip)
        output = heatmaps_of(feats.take(torch.arange(rows.start, rows.stop), device), rows)
        joints, score = joints_of(variant.loss, output, profile.base.crop)
        found.append(crops.apply_affine(crops.inverse(feats.M[rows]), joints.cpu()))
        scores.append(score.cpu())
    return Predictions(torch.cat(found).numpy(), torch.cat(scores).numpy())


def by_flow(model: VideoNetwork, feats: Features, profile: Profile, variant: Variant):
    """The frame-by-frame model's heatmaps, averaged along the optical flow (Res50-OF)."""
    frames = feats.frames

    def heatmaps_of(X: Tensor, rows: slice) -> Tensor:
        at = torch.arange(len(X))
        maps = model(X, at[:, None], at[:, None])
        pictures = crop(frames, torch.arange(rows.start, rows.stop), profile.base.crop).pictures
        ends = torch.zeros_like(at), torch.full_like(at, len(X) - 1)
        before, after = windows(at, *ends, variant.N, variant.stride)
        return flow.averaged(maps, pictures, torch.cat([before, after[:, :-1].flip(1)], dim=1))

    return predict_clips(model, feats, profile, variant, heatmaps_of)


def by_stream(model: VideoNetwork, feats: Features, profile: Profile, variant: Variant):
    """One recursion through each clip and direction, instead of one for each target."""
    return predict_clips(model, feats, profile, variant, lambda X, _: whole_clip(model, X))
