"""What a row of chapter 2 starts from: clips, the frozen base network and its features."""

from dataclasses import dataclass, replace
from pathlib import Path

from posebook.data.sources import EMBEDDED_VIDEO, load_clips, load_stills
from posebook.video.backbone import BaseNetwork
from posebook.video.base_network import base_network
from posebook.video.features import Features, features
from posebook.video.frames import Frames, collect_frames
from posebook.video.heads import head_of
from posebook.video.network import VideoNetwork
from posebook.video.rows import BASE_SEED, BaseSettings, Profile, Variant, length_of


@dataclass(frozen=True, eq=False)
class Setting:
    """What a row starts from: frames of clips, the frozen encoder, and the features of both."""

    base: BaseNetwork
    base_record: dict
    train: Frames
    test: Frames
    train_features: Features | None
    test_features: Features


def clips(
    profile: Profile, variant: Variant, dataset: str = EMBEDDED_VIDEO
) -> tuple[Frames, Frames]:
    """Training and test frames of a variant's clips."""
    train, test = load_clips(dataset, profile.size, variant.joints, variant.split)
    return collect_frames(train), collect_frames(test)


def quarter(base: BaseSettings) -> BaseSettings:
    """The settings with a quarter of the training, whichever way it is counted."""
    epochs = max(1, base.epochs // 4) if base.epochs else 0
    return replace(base, steps=max(1, base.steps // 4), epochs=epochs)


def prepare_base(
    profile: Profile,
    variant: Variant,
    dataset: str = EMBEDDED_VIDEO,
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
        train, test = (collect_frames(part) for part in load_stills(dataset, profile.size))
    else:
        # The embedded clips are the same pictures in both joint sets, and share an encoder.
        same = replace(variant, joints="jhmdb15") if dataset == EMBEDDED_VIDEO else variant
        train, test = clips(profile, same, dataset)
    first = quarter(profile.base) if variant.pretrained == "clips" else profile.base
    common = dict(device=device, folder=folder)
    base, record = base_network(first, train, test, BASE_SEED, **common)
    if variant.loss != "heatmap":
        further = replace(quarter(profile.base), imagenet=False)
        start = base.state_dict()
        base, record = base_network(
            further, train, test, BASE_SEED, loss=variant.loss, start=start, **common
        )
    return base, record


def data_key(profile: Profile, variant: Variant) -> tuple:
    """What `prepare` depends on, beside the seed: rows with the same key share their setting."""
    return (
        profile.size, variant.pretrained, variant.loss, variant.split, variant.joints,
        copies_of(profile, variant), variant.erasing,
    )  # fmt: skip


def copies_of(profile: Profile, variant: Variant) -> int:
    """Augmented copies in a row's cache; 0 where it needs none."""
    return length_of(profile, variant)[1] if variant.trained and variant.cached else 0


def prepare(
    profile: Profile,
    variant: Variant,
    seed: int,
    dataset: str = EMBEDDED_VIDEO,
    device: str = "cpu",
    folder: Path | None = None,
) -> Setting:
    """Data, base network and cached features of a row."""
    train, test = clips(profile, variant, dataset)
    base, record = prepare_base(profile, variant, dataset, device, folder)

    def cached(frames: Frames, copies: int, erasing: bool) -> Features:
        return features(
            frames, base.encoder, profile.base.crop, copies=copies, erasing=erasing, seed=seed,
            folder=folder,
        )  # fmt: skip

    copies = copies_of(profile, variant)
    learned = cached(train, copies, variant.erasing) if copies else None
    return Setting(base, record, train, test, learned, cached(test, 0, False))


def build(profile: Profile, variant: Variant, base: BaseNetwork, joints: int) -> VideoNetwork:
    """A variant's network behind the encoder, with the base network's weights where they fit."""
    model = VideoNetwork(
        base.encoder.channels, joints, profile.base.decoder_width, variant.front,
        variant.directions, profile.base.dilations, variant.reduce, head_of(variant.loss),
        variant.separate, variant.residual, variant.added, aggregation=variant.aggregation,
        start=variant.start, offsets=variant.offsets,
    )  # fmt: skip
    model.load_base_weights(base)
    return model
