"""The second step of training (section 2.8.2): what a row adds learns on clips."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from posebook.results.provenance import data_digest
from posebook.training import card, processes
from posebook.training.checkpoint import Clock, Curves
from posebook.training.draws import EpochOrder, draw, send
from posebook.training.loop import Checkpoint, Schedule, fit
from posebook.video import crops
from posebook.video.backbone import Encoder
from posebook.video.frames import Frames, crop, fingerprint, labels
from posebook.video.heads import loss_of
from posebook.video.network import VideoNetwork
from posebook.video.prepare import Setting, check_prepared
from posebook.video.rows import Profile, Variant, length_of
from posebook.video.tce import windows


def block_starts(frames: Frames, length: int) -> Tensor:
    """Rows at which stretches of `length` frames begin, so that together they cover every clip.

    The last stretch of a clip is moved back to its end; in a clip shorter than `length` it begins
    at the first frame.
    """
    starts = []
    for first, last in torch.stack([frames.first, frames.last], 1).unique(dim=0).tolist():
        latest = max(first, last + 1 - length)
        starts += [min(start, latest) for start in range(first, last + 1, length)]
    return torch.tensor(starts)


@dataclass(frozen=True, eq=False)
class Batch:
    """Features X of the frames that a batch needs, windows as rows of X, and labels of targets.

    All on the encoder's device.

    Attributes:
        mine: of the targets, those of this process; X and windows have no others.
    """

    X: Tensor
    before: Tensor
    after: Tensor
    joints: Tensor
    counted: Tensor
    mine: slice


def draw_batch(
    setting: Setting, profile: Profile, variant: Variant, starts: Tensor, random: torch.Generator
) -> Batch:
    """The batch of stretches that begin at rows `starts` (G,), each with one augmentation."""
    frames, F = setting.train, len(setting.train)
    device = next(setting.base.encoder.parameters()).device
    target = starts[:, None] + torch.arange(profile.length)
    target = torch.minimum(target, frames.last[starts][:, None]).flatten()
    group = torch.arange(len(starts)).repeat_interleave(profile.length)
    part = processes.share(len(starts))
    mine = slice(part.start * profile.length, part.stop * profile.length)
    N = variant.N if variant.temporal and not variant.flow else 0  # flow is for the test
    both = windows(target, frames.first[target], frames.last[target], N, variant.stride)
    cached = setting.train_features
    if cached is not None:
        copy = torch.randint(cached.copies, (len(starts),), generator=random)[group]
        rows = torch.stack([rows + F * copy[:, None] for rows in both])
        used, (before, after) = rows.unique(return_inverse=True)
        X, at = cached.take(used, device), send(target + F * copy, cached.joints.device)
        labels_ = (send(part[at], device) for part in (cached.joints, cached.counted))
        return Batch(X, send(before, device), send(after, device), *labels_, mine)
    drawn = crops.draw_augmentation(len(starts), random)
    rows = torch.stack([rows + F * group[:, None] for rows in both])
    used, (before, after) = rows[:, mine].unique(return_inverse=True)
    size = profile.base.crop
    pictures = crop(frames, used % F, size, drawn[used // F]).pictures
    if variant.erasing:  # drawn for all processes' frames, in the same order in each
        everyone = rows.unique()
        rectangles = crops.draw_rectangles(len(everyone), size, random)
        pictures = crops.erase(pictures, rectangles[torch.isin(everyone, used)])
    # The targets' labels under the same draws; no picture is cut for them again.
    joints, counted, _ = labels(frames, target, size, drawn[group])
    X = encode_frozen(setting.base.encoder, pictures)
    return Batch(X, *(send(part, device) for part in (before, after, joints, counted)), mine)


@torch.no_grad()
def encode_frozen(encoder: Encoder, pictures: Tensor) -> Tensor:
    """Features (B, C, h, w) of crops (B, S, S, 3) by an encoder that does not learn."""
    encoder.eval()  # its batch statistics are frozen with its weights
    return encoder(crops.normalised(send(pictures, next(encoder.parameters()).device)))


def train(
    model: VideoNetwork,
    setting: Setting,
    profile: Profile,
    variant: Variant,
    seed: int,
    folder: Path | None = None,
    validate: Callable[[], Mapping[str, float]] | None = None,
    clock: Clock | None = None,
) -> Curves:
    """The second step: pyramid, TCE module and decoder on clips, behind the frozen encoder.

    Args:
        folder: for checkpoints, and from where a killed run goes on; None for none.
        validate: numbers to log now and then in evaluation mode.
        clock: counts the seconds of training.

    Raises:
        ValueError: for a setting that was made for a row with other options.
    """
    check_prepared(setting, variant)
    starts = block_starts(setting.train, profile.length)
    order = EpochOrder(len(starts), profile.segments, seed)

    def loss(step: int):
        b = draw_batch(setting, profile, variant, starts[order.batch(step)], draw(seed, step))
        output = network(b.X, b.before, b.after, truncate=variant.ends == "truncate")
        output, base = processes.whole_batch(output, len(b.joints), b.mine), profile.base
        return loss_of(variant.loss, output, b.joints, b.counted, base.crop, base.sigma), {}

    steps, _ = length_of(profile, variant)
    schedule = Schedule(steps, profile.learning_rate, profile.schedule, 1.0)
    learned = setting.train_features
    kept = folder and Checkpoint(folder / "training.pt", card.signature(
        model, variant, profile, seed, data=fingerprint(setting.train),
        encoder=data_digest(setting.base.encoder.state_dict()), features=learned and learned.key,
    ))  # fmt: skip
    network = processes.parallel(model)
    networks, exact = (
        [part for part in parts if part is not None]
        for parts in ((model.front, model.added, model.decoder), (model.tce, model.tce_after))
    )
    with card.applied(model, networks, exact):
        return fit(
            model, loss, schedule,
            evaluate=validate, evaluations=profile.evaluations, points=100, checkpoint=kept,
            clock=clock, description="clips",
        )  # fmt: skip


def check_processes(profile: Profile, variant: Variant) -> None:
    """Raise a ValueError where several processes would not see the same samples as one."""
    count = processes.count()
    if count > profile.segments:
        raise ValueError(
            f"a batch has {profile.segments} stretches of frames, and {count} processes cannot "
            f"share it: give torchrun an --nproc-per-node of at most {profile.segments}"
        )
    if count > 1 and variant.trained and length_of(profile, variant)[1] and variant.cached:
        # Frames that two stretches share count once in one process' batch statistics.
        raise ValueError(
            f"{count} processes would count frames twice that come from one cached copy of a clip; "
            "take --profile gpu or paper, which draw copies afresh, or one process"
        )
