"""Chapter 2's experiments: what is trained, on what, for how long, and how it is measured.

Training has two steps (section 2.8.2). The base network learns on stills (`posebook.pretraining`);
then its encoder is frozen, and what a variant adds is trained on clips, with every frame a target.
A variant says what makes a row of a table; a profile says how large everything is. `run` turns
both and a seed into one result record.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from posebook import crops, flow, results, video_metrics
from posebook.data import embedded_video
from posebook.features import Features, features
from posebook.frames import Frames, collect_frames, crop, fingerprint, labels
from posebook.heads import head_of, joints_of, loss_of
from posebook.models.base import BaseNetwork, Encoder
from posebook.models.multiscale import VideoNetwork
from posebook.models.tce import windows
from posebook.pretraining import BaseSettings, base_network, key_of
from posebook.training import Curves, EpochOrder, draw, fit, only_run_in, seeded
from posebook.video_inference import multiplications, whole_clip
from posebook.video_metrics import Predictions

SOURCE = "embedded-video"
# The official ones are read by posebook.data.official_video from files that the reader holds.
DATASETS = (SOURCE, "sub-jhmdb", "penn-action")
STRIDES = (1, 3, 5, 7, 9)  # Figure 2.9 (b)
BASE_SEED = 0  # of the base network, whatever the seed of a row


@dataclass(frozen=True)
class Variant:
    """What makes a row.

    front, aggregation, directions, start, offsets, separate, residual, reduce: see `VideoNetwork`
    and `TCE`. flow: average heatmaps along the optical flow. loss: "heatmap", "integral" or
    "regression". erasing: random erasing in the second step. N neighbours at either side, `stride`
    frames apart. ends: beyond the ends of a clip, "repeat" the end frame or "truncate" the window.
    pretrained: base network from "stills", or without any from the "clips" alone. trained: False
    to measure the base network as it is. cached: False to encode fresh augmentations at each step.
    also: what else is measured: "curves", "stream", "strides", "broken" (repeated and lost frames).
    """

    front: str = "single"
    aggregation: str = "lstm"
    directions: int = 2
    flow: bool = False
    loss: str = "heatmap"
    erasing: bool = True
    N: int = 6
    stride: int = 1
    start: str = "features"
    offsets: str = "state"
    separate: bool = False
    residual: bool = False
    reduce: int = 4
    ends: str = "repeat"
    pretrained: str = "stills"
    joints: str = "jhmdb15"
    split: int = 1
    trained: bool = True
    cached: bool = True
    also: tuple[str, ...] = ()

    @property
    def temporal(self) -> bool:
        """Whether other frames than the target have a say."""
        return self.flow or (self.front not in ("none", "pyramid") and self.N > 0)


_BC = Variant()
# With the pyramid's + X, which equation 2.11 leaves out; `ms-literal` is to the letter.
_MS = Variant(front="multi", residual=True)
_FRAME = Variant(front="none")
VARIANTS: dict[str, Variant] = {
    # The base network after its first step, before it has seen a clip
    "base": replace(_FRAME, front="pyramid", trained=False),
    "base-clips": replace(_FRAME, front="pyramid", trained=False, pretrained="clips"),
    # Table 2.3, all with random erasing
    "res50": replace(_FRAME, also=("curves",)),
    "res50-sp": replace(_FRAME, front="pyramid"),
    "res50-of": replace(_FRAME, flow=True, also=("curves",)),
    "res50-tce-s": replace(_BC, aggregation="sum", directions=1),
    "res50-tce-c": replace(_BC, directions=1),
    "res50-tce-bc": replace(_BC, also=("curves", "stream", "strides", "broken")),
    # Table 2.5; the rows with erasing carry -re, and res50-tce-bc-re is Table 2.3's res50-tce-bc
    "res50-ms-tce-bc-re": replace(_MS, also=("curves", "stream", "broken")),
    "res50-ss-tce-bc-re": replace(_MS, front="same"),
    "res50-tce-bc-no-re": replace(_BC, erasing=False),
    "res50-ms-tce-bc": replace(_MS, erasing=False),
    "res50-ss-tce-bc": replace(_MS, front="same", erasing=False),
    # Table 2.4; the heatmap rows are Table 2.3's
    "res50-regression": replace(_FRAME, loss="regression"),
    "res50-integral": replace(_FRAME, loss="integral"),
    "res50-tce-bc-regression": replace(_BC, loss="regression"),
    "res50-tce-bc-integral": replace(_BC, loss="integral"),
    # Equation 2.11 as printed
    "ms-literal": replace(_MS, residual=False),
    # Tables 2.1 and 2.2
    "ours": replace(_MS, pretrained="clips"),
    "ours-split2": replace(_MS, split=2),
    "ours-split3": replace(_MS, split=3),
    "ours-penn13": replace(_MS, joints="penn13", also=("curves",)),
    "ours-penn13-clips": replace(_MS, joints="penn13", pretrained="clips"),
    # Figure 2.9 (a) and (b); N = 0 is res50, N = 6 is res50-tce-c and res50-tce-bc
    **{
        f"{name}-n{N}": replace(_BC, directions=directions, N=N)
        for N in (2, 4, 8)
        for name, directions in (("one-direction", 1), ("both-directions", 2))
    },
    **{f"stride{stride}": replace(_BC, stride=stride) for stride in STRIDES[1:]},
    # Where the thesis is silent, or something is left away
    "no-deformation": replace(_BC, offsets="none"),
    "offsets-of-both": replace(_BC, offsets="both"),
    "start-at-zero": replace(_BC, start="zeros"),
    "truncated-ends": replace(_BC, ends="truncate"),
    "separate-directions": replace(_BC, separate=True),
    "half-width": replace(_BC, reduce=8),
    "double-width": replace(_BC, reduce=2),
    "fresh-augmentation": replace(_BC, cached=False),
}  # fmt: skip

# What is run, in this order.
EXPERIMENTS: dict[str, tuple[str, ...]] = {
    "base-network": ("base", "base-clips"),
    "table-2.3": ("res50", "res50-sp", "res50-of", "res50-tce-s", "res50-tce-c", "res50-tce-bc"),
    "table-2.5": (
        "res50-ms-tce-bc-re", "res50-ss-tce-bc-re", "res50-tce-bc-no-re", "res50-ms-tce-bc",
        "res50-ss-tce-bc",
    ),
    "literal-2.5": ("ms-literal",),
    "table-2.4": (
        "res50-regression", "res50-integral", "res50-tce-bc-regression", "res50-tce-bc-integral",
    ),
    "figure-2.9": (
        *(f"{name}-n{N}" for N in (2, 4, 8) for name in ("one-direction", "both-directions")),
        "stride9",
    ),
    "figure-2.9-between": ("stride3", "stride5", "stride7"),
    "table-2.1": ("ours", "ours-split2", "ours-split3"),
    "table-2.2": ("ours-penn13", "ours-penn13-clips"),
    "tce-choices": (
        "no-deformation", "offsets-of-both", "start-at-zero", "truncated-ends",
        "separate-directions", "half-width", "double-width", "fresh-augmentation",
    ),
}  # fmt: skip
# Tables 2.1 and 2.2 compare data, not methods, and no sentence of section 2.8.4 rests on the rest.
ONE_SEED = ("base-network", "table-2.1", "table-2.2", "figure-2.9-between", "tce-choices")


@dataclass(frozen=True)
class Profile:
    """How large an experiment is.

    A batch is `segments` stretches of `length` neighbouring targets, each from one clip with one
    augmentation: neighbours share most frames of their windows. copies: augmented copies of each
    clip in the feature cache; 0 for none, encoding fresh ones at each step. evaluations: how often
    the test split is looked at in training. epochs: where above 0 they set the steps.
    """

    size: str
    base: BaseSettings
    steps: int
    segments: int
    length: int
    learning_rate: float
    schedule: str | tuple[float, ...]
    copies: int
    evaluations: int = 4
    epochs: int = 0


_LAPTOP = BaseSettings(32, 1, 128, 48, (None, 1, 2, 3), 2.0, 21000, 16, 3e-3, "one-cycle")
_SMOKE = replace(_LAPTOP, width=8, crop=64, decoder_width=16, steps=100, batch=8)
# Section 2.8.2: a tenth of the rate after each of the drops; `paper` also has its epochs, 140 on
# stills and 50 on clips.
_THESIS = BaseSettings(
    64, 2, 256, 256, (None, 1, 2, 4), 2.0, 26000, 32, 1e-3, (90 / 140, 120 / 140)
)  # fmt: skip
PROFILES: dict[str, Profile] = {
    "smoke": Profile("smoke", _SMOKE, 40, 2, 4, 2e-3, "one-cycle", 2, 2),
    "laptop": Profile("laptop", _LAPTOP, 500, 4, 4, 2e-3, "one-cycle", 6),
    "gpu": Profile("full", _THESIS, 10000, 3, 8, 1e-3, (20 / 50, 40 / 50), 0),
    "paper": Profile(
        "full", replace(_THESIS, epochs=140), 10000, 3, 8, 1e-3, (20 / 50, 40 / 50), 0, epochs=50
    ),
}


def settings(profile: str, variant: str, dataset: str = SOURCE) -> tuple[Profile, Variant]:
    """The profile and variant called so, or a ValueError that lists the known ones."""
    for kind, name, known in (
        ("profile", profile, PROFILES), ("variant", variant, VARIANTS),
        ("dataset", dataset, DATASETS),
    ):  # fmt: skip
        if name not in known:
            raise ValueError(f"unknown {kind} {name!r}; known: {', '.join(known)}")
    return PROFILES[profile], VARIANTS[variant]


# ---------------------------------------------------------------- data and networks


@dataclass(frozen=True, eq=False)
class Setting:
    """What a row starts from: frames of clips, the frozen encoder, and the features of both."""

    base: BaseNetwork
    base_record: dict
    train: Frames
    test: Frames
    train_features: Features | None
    test_features: Features


def clips(profile: Profile, variant: Variant, dataset: str) -> tuple[Frames, Frames]:
    """Training and test frames of a variant's clips."""
    train, test = _records(profile, variant, dataset, "clips")
    return collect_frames(train), collect_frames(test)


def _records(profile: Profile, variant: Variant, dataset: str, kind: str):
    if dataset == SOURCE:
        size = embedded_video.SIZES[profile.size]
        if kind == "stills":
            return tuple([part] for part in embedded_video.make_stills(size, "jhmdb15"))
        return embedded_video.make_clips(size, variant.joints, variant.split)
    # Imported only here: a change of the official readers must not outdate the embedded results.
    from posebook.data import official_video

    return official_video.load(dataset, kind, variant.split)


def prepare_base(
    profile: Profile,
    variant: Variant,
    dataset: str = SOURCE,
    device: str = "cpu",
    folder: Path | None = None,
) -> tuple[BaseNetwork, dict]:
    """The base network that a row starts from, trained or from the cache.

    It is trained once, as in the thesis: rows of all seeds start from the same one.
    Without stills it is trained on the frames of the clips, for a quarter of the steps: there are
    fewer pictures, and they resemble each other. For another loss than that of heatmaps it is
    trained on with that loss, for a quarter as well: a frozen encoder must know what its features
    are for.
    """
    if variant.pretrained == "stills":
        train, test = (
            collect_frames(part) for part in _records(profile, variant, dataset, "stills")
        )
    else:
        # The embedded clips are the same pictures in both joint sets, and share an encoder.
        same = replace(variant, joints="jhmdb15") if dataset == SOURCE else variant
        train, test = clips(profile, same, dataset)
    first = profile.base
    if variant.pretrained == "clips":
        first = replace(first, steps=max(1, first.steps // 4))
    common = dict(device=device, folder=folder)
    base, record = base_network(first, train, test, BASE_SEED, **common)
    if variant.loss != "heatmap":
        further = replace(profile.base, steps=max(1, profile.base.steps // 4), imagenet=False)
        start = base.state_dict()
        base, record = base_network(
            further, train, test, BASE_SEED, loss=variant.loss, start=start, **common
        )
    return base, record


def pictures_of(frames: Frames) -> str:
    """Digest of what a crop of these frames shows, whichever joints are labelled in it."""
    return fingerprint(replace(frames, joints=torch.zeros(0), annotated=torch.zeros(0)))


def prepare(
    profile: Profile,
    variant: Variant,
    seed: int,
    dataset: str = SOURCE,
    device: str = "cpu",
    folder: Path | None = None,
) -> Setting:
    """Data, base network and cached features of a row."""
    train, test = clips(profile, variant, dataset)
    base, record = prepare_base(profile, variant, dataset, device, folder)

    def cached(frames: Frames, copies: int, erasing: bool) -> Features:
        code = results.code_digest(["posebook.features", "posebook.crops"])
        key = key_of(
            base=record["key"],
            data=pictures_of(frames),
            copies=copies,
            erasing=erasing,
            seed=seed,
            code=code,
        )
        return features(
            frames, base.encoder, profile.base.crop, copies=copies, erasing=erasing, seed=seed,
            key=key, folder=folder,
        )  # fmt: skip

    keep = variant.trained and variant.cached and profile.copies > 0
    learned = cached(train, profile.copies, variant.erasing) if keep else None
    return Setting(base, record, train, test, learned, cached(test, 0, False))


def build(profile: Profile, variant: Variant, base: BaseNetwork, joints: int) -> VideoNetwork:
    """A variant's network behind the encoder, with the base network's weights where they fit."""
    model = VideoNetwork(
        base.encoder.channels, joints, profile.base.decoder_width, variant.front,
        variant.directions, profile.base.dilations, variant.reduce, head_of(variant.loss),
        variant.separate, variant.residual, aggregation=variant.aggregation, start=variant.start,
        offsets=variant.offsets,
    )  # fmt: skip
    model.start_from(base)
    return model


# ---------------------------------------------------------------- training


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
    """Features X of the frames that a batch needs, windows as rows of X, and labels of targets."""

    X: Tensor
    before: Tensor
    after: Tensor
    joints: Tensor
    counted: Tensor


def draw_batch(
    setting: Setting, profile: Profile, variant: Variant, starts: Tensor, random: torch.Generator
) -> Batch:
    """The batch of stretches that begin at rows `starts` (G,), each with one augmentation."""
    frames, F = setting.train, len(setting.train)
    target = starts[:, None] + torch.arange(profile.length)
    target = torch.minimum(target, frames.last[starts][:, None]).flatten()
    group = torch.arange(len(starts)).repeat_interleave(profile.length)
    N = variant.N if variant.temporal else 0
    both = windows(target, frames.first[target], frames.last[target], N, variant.stride)
    cached = setting.train_features
    if cached is not None:
        copy = torch.randint(cached.copies, (len(starts),), generator=random)[group]
        rows = torch.stack([rows + F * copy[:, None] for rows in both])
        used, (before, after) = rows.unique(return_inverse=True)
        at = target + F * copy
        return Batch(cached.X[used].float(), before, after, cached.joints[at], cached.counted[at])
    drawn = crops.draw_augmentation(len(starts), random)
    rows = torch.stack([rows + F * group[:, None] for rows in both])
    used, (before, after) = rows.unique(return_inverse=True)
    size = profile.base.crop
    pictures = crop(
        frames, used % F, size, drawn[used // F], random if variant.erasing else None
    ).pictures
    # The targets' labels under the same draws; no picture is cut for them again.
    joints, counted, _ = labels(frames, target, size, drawn[group])
    return Batch(encode_frozen(setting.base.encoder, pictures), before, after, joints, counted)


@torch.no_grad()
def encode_frozen(encoder: Encoder, pictures: Tensor) -> Tensor:
    """Features (B, C, h, w) of crops (B, S, S, 3) by an encoder that does not learn."""
    encoder.eval()  # its batch statistics are frozen with its weights
    return encoder(crops.normalised(pictures.to(next(encoder.parameters()).device)))


def train(
    model: VideoNetwork,
    setting: Setting,
    profile: Profile,
    variant: Variant,
    seed: int,
    folder: Path | None = None,
    watch: Callable[[], Mapping[str, float]] | None = None,
    signature: str = "",
) -> Curves:
    """The second step: pyramid, TCE module and decoder on clips, behind the frozen encoder."""
    device = next(model.parameters()).device
    starts = block_starts(setting.train, profile.length)
    order = EpochOrder(len(starts), profile.segments, seed)

    def loss(step: int):
        b = draw_batch(setting, profile, variant, starts[order.batch(step)], draw(seed, step))
        X, before, after = b.X.to(device), b.before.to(device), b.after.to(device)
        output = model(X, before, after, truncate=variant.ends == "truncate")
        joints, counted = b.joints.to(device), b.counted.to(device)
        base = profile.base
        return loss_of(variant.loss, output, joints, counted, base.crop, base.sigma), {}

    return fit(
        model, loss, steps=profile.steps, learning_rate=profile.learning_rate,
        schedule=profile.schedule, max_norm=1.0, evaluate=watch,
        evaluate_every=max(1, profile.steps // profile.evaluations),
        log_every=max(1, profile.steps // 100), signature=signature,
        checkpoint=folder and folder / "training.pt", description="clips",
    )  # fmt: skip


# ---------------------------------------------------------------- use and measure


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
    batch: int = 64,
) -> Predictions:
    """Joints of `targets` (default: every frame) in pixels of their pictures.

    stride: another one than the variant's. shown: (F,) which frame is shown in the place of each
    when it is a neighbour: for videos with repeated or lost frames.
    """
    model.eval()
    frames = feats.frames
    targets = torch.arange(len(frames)) if targets is None else targets
    N = variant.N if variant.temporal and not variant.flow else 0
    found, scores = [], []
    for part in targets.split(batch):
        both = windows(part, frames.first[part], frames.last[part], N, stride or variant.stride)
        if shown is not None:
            both = [torch.cat([shown[rows[:, :-1]], rows[:, -1:]], 1) for rows in both]
        used, (before, after) = torch.stack(tuple(both)).unique(return_inverse=True)
        device = next(model.parameters()).device
        X = feats.X[used].to(device).float()
        output = model(X, before.to(device), after.to(device), variant.ends == "truncate")
        joints, score = joints_of(variant.loss, output, profile.base.crop)
        found.append(crops.move(crops.inverse(feats.M[part]), joints.cpu()))
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
        output = heatmaps_of(feats.X[rows].to(device).float(), rows)
        joints, score = joints_of(variant.loss, output, profile.base.crop)
        found.append(crops.move(crops.inverse(feats.M[rows]), joints.cpu()))
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
        before, after = windows(at, *ends, variant.N)
        return flow.averaged(maps, pictures, torch.cat([before, after[:, :-1].flip(1)], dim=1))

    return predict_clips(model, feats, profile, variant, heatmaps_of)


def by_stream(model: VideoNetwork, feats: Features, profile: Profile, variant: Variant):
    """One recursion through each clip and direction, instead of one for each target."""
    return predict_clips(model, feats, profile, variant, lambda X, _: whole_clip(model, X))


def broken(frames: Frames, kind: str, seed: int = 0, share: float = 0.25) -> Tensor:
    """(F,) which frame a damaged video shows in the place of each.

    "repeated": a quarter of the frames, at random, show the one before. "lost": a quarter of them
    are missing, and what comes later moves up to their places.
    """
    random = np.random.default_rng(seed)
    shown = torch.arange(len(frames))
    for clip in range(len(frames.records)):
        rows = frames.of_clip(clip)
        at = np.arange(rows.start, rows.stop)
        hit = random.random(len(at)) < share
        hit[0] = False
        if kind == "repeated":
            at = np.maximum.accumulate(np.where(hit, 0, at))
        elif kind == "lost":
            at = at[np.minimum(np.arange(len(at)) + np.cumsum(hit), len(at) - 1)]
        else:
            raise ValueError(f"unknown damage {kind!r}; known: repeated, lost")
        shown[rows] = torch.from_numpy(at)
    return shown


def evaluate(
    model: VideoNetwork, feats: Features, profile: Profile, variant: Variant
) -> tuple[Predictions, dict[str, float], dict[str, dict], Curves]:
    """Predictions, metrics, metrics by action, and curves of the test split."""
    args = model, feats, profile, variant
    predicted = by_flow(*args) if variant.flow else predict(*args)
    overall, per_action = video_metrics.evaluate(predicted, feats.frames)
    drawn: Curves = {}
    if "curves" in variant.also:
        drawn |= video_metrics.curves(predicted, feats.frames)
    if "strides" in variant.also:
        for stride in STRIDES[1:]:
            other = predict(*args, stride=stride)
            overall |= _headline(other, feats.frames, f"_stride{stride}")
    if "stream" in variant.also:
        overall |= _headline(by_stream(*args), feats.frames, "_stream")
    if "broken" in variant.also:
        for kind in ("repeated", "lost"):
            other = predict(*args, shown=broken(feats.frames, kind))
            overall |= _headline(other, feats.frames, f"_{kind}")
    return predicted, overall, per_action, drawn


def _headline(predicted: Predictions, frames: Frames, suffix: str) -> dict[str, float]:
    found = video_metrics.accuracy(predicted.joints, frames, suffix)
    kept = ("pck_0.2_mean13", "pck_0.1_mean13", "mean_error_px")
    return {name: found[name] for name in (f"{k}{suffix}" for k in kept) if name in found}


# ---------------------------------------------------------------- one run


def run(
    profile: str,
    variant: str,
    seed: int,
    *,
    dataset: str = SOURCE,
    experiment: str = "table-2.3",
    folder: Path | None = None,
    device: str = "cpu",
    cache: Path | None = None,
) -> tuple[nn.Module, VideoNetwork, dict]:
    """Train and measure one variant; returns encoder, model and the record for `write_result`.

    folder: the run's own folder for checkpoint, trained network and predictions; a second process
    in it is refused. cache: where base networks and features are kept; default `cache_folder()`.
    """
    size, row = settings(profile, variant, dataset)
    with only_run_in(folder):
        return _run(size, row, profile, variant, seed, dataset, experiment, folder, device, cache)


def in_steps(profile: Profile, frames: int) -> Profile:
    """A profile whose epochs, if it counts in them, are steps over so many training frames."""
    if not profile.epochs:
        return profile
    return replace(
        profile, steps=profile.epochs * max(1, frames // (profile.segments * profile.length))
    )


def costs(
    encoder: Encoder, model: VideoNetwork, profile: Profile, variant: Variant
) -> dict[str, float]:
    """Weights behind the encoder, and multiplications a frame with all frames encoded once."""
    N = variant.N if variant.temporal and not variant.flow else 0
    forms = ("cached", "stream") if "stream" in variant.also else ("cached",)
    counts = {
        form: sum(multiplications(encoder, model, profile.base.crop, N, form).values())
        for form in forms
    }
    return {
        "weights": sum(part.numel() for part in model.parameters()),
        **{f"gmac_per_frame_{form}": count / 1e9 for form, count in counts.items()},
    }


def _keep(folder: Path, model: VideoNetwork, encoder: Encoder, predicted: Predictions) -> None:
    """Trained weights and test predictions, for whoever wants to look closer later."""
    state = {"encoder": encoder.state_dict(), "model": model.state_dict()}
    torch.save(state, folder / "network.writing")
    os.replace(folder / "network.writing", folder / "network.pt")
    np.savez_compressed(folder / "predictions.npz", **predicted._asdict())


def _run(size, row, profile, variant, seed, dataset, experiment, folder, device, cache):
    setting = prepare(size, row, seed, dataset, device, cache)
    size = in_steps(size, len(setting.train))
    seeded(seed)
    model = build(size, row, setting.base, len(setting.train.joint_set)).to(device)
    modules = results.imported_modules()
    digest = results.code_digest(modules)
    feats, watched = setting.test_features, torch.arange(0, len(setting.test), 5)

    def watch() -> dict[str, float]:
        row_of = replace(row, flow=False)
        predicted = predict(model, feats, size, row_of, targets=watched)
        return video_metrics.watched(predicted, setting.test, watched)

    curves, started = {}, time.perf_counter()
    if row.trained:
        signature = f"{profile}/{variant}/{dataset}/seed{seed}/{digest}"
        curves = train(model, setting, size, row, seed, folder, watch, signature)
    wall = time.perf_counter() - started
    predicted, overall, per_action, drawn = evaluate(model, feats, size, row)
    overall |= costs(setting.base.encoder, model, size, row)
    if not row.trained:
        wall, curves = setting.base_record["wall_seconds"], setting.base_record["curves"]
    if folder:
        _keep(folder, model, setting.base.encoder, predicted)
    steps, batch = (
        (size.steps, size.segments * size.length)
        if row.trained
        else (size.base.steps, size.base.batch)
    )
    parts = {"train": setting.train, "test": setting.test}
    record = {
        "experiment": experiment,
        "variant": variant,
        "dataset": dataset,
        "profile": profile,
        "seed": seed,
        "metrics": overall,
        "per_action": per_action,
        "curves": curves | drawn,
        "parameters": {**asdict(row), **asdict(size), "base_key": setting.base_record["key"]},
        "data_digest": results.data_digest(
            {name: np.array(fingerprint(part)) for name, part in parts.items()}
        ),
        "modules": modules,
        "code_digest": digest,
        "device": results.device_name(device),
        "steps": steps,
        "samples_per_second": steps * batch / max(wall, 1e-9),
        "wall_seconds": wall,
    }
    return setting.base.encoder, model, record
