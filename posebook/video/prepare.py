"""What a row of chapter 2 starts from: clips, the frozen base network and its features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from posebook.data.done import check_done
from posebook.data.records import ImageSet, VideoClip
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
    """What a row starts from: frames of clips, the frozen encoder, and the features of both.

    Attributes:
        done: the options of the row that it was made for, by their names.
    """

    base: BaseNetwork
    base_record: dict
    train: Frames
    test: Frames
    train_features: Features | None
    test_features: Features
    done: Mapping[str, object]


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
        parts = [collect_frames(part) for part in load_stills(dataset, profile.size)]
    else:
        # The embedded clips are the same pictures in both joint sets, and share an encoder.
        same = replace(variant, joints="jhmdb15") if dataset == EMBEDDED_VIDEO else variant
        parts = clips(profile, same, dataset)
    return _base(parts, profile, variant, device, folder)


def _base(
    parts: Sequence[Frames], profile: Profile, variant: Variant, device: str, folder: Path | None
) -> tuple[BaseNetwork, dict]:
    """The base network of a row, learned on training and test frames."""
    train, test = parts
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
        copies_of(profile, variant), variant.erasing, variant.trained and variant.cached,
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
    made = prepare_base(profile, variant, dataset, device, folder)
    return _setting(train, test, *made, profile, variant, seed, folder)


def prepare_clips(
    train: Sequence[VideoClip],
    test: Sequence[VideoClip],
    profile: Profile,
    variant: Variant,
    seed: int,
    stills: tuple[Sequence[ImageSet], Sequence[ImageSet]] | None = None,
    device: str = "cpu",
    folder: Path | None = None,
) -> Setting:
    """The same for clips of your own: `posebook.video.run.run_row` takes it as `data`.

    Args:
        stills: training and test pictures of single people, for the base network of a row that
            learns it on "stills"; their joints may be others.

    Raises:
        ValueError: for a row of other joints than the clips', of another split than the one that
            was given, or that lacks its stills.
    """
    frames = collect_frames(train), collect_frames(test)
    for part in frames:
        _check_own(part, variant)
    if variant.pretrained == "stills":
        if stills is None:
            raise ValueError(
                "pretrained='stills': the base network of this row learns on single pictures; "
                "give stills=(train, test), or choose a row with pretrained='clips'"
            )
        made = _base([collect_frames(part) for part in stills], profile, variant, device, folder)
    else:
        made = _base(frames, profile, variant, device, folder)
    return _setting(*frames, *made, profile, variant, seed, folder)


def _check_own(frames: Frames, variant: Variant) -> None:
    if variant.split != Variant.split:
        raise ValueError(
            f"split={variant.split} is one of a data set's own and cannot be given to other clips; "
            f"choose a row with split={Variant.split} and divide your clips as you wish"
        )
    joints = frames.joint_set.name
    if joints != variant.joints:
        raise ValueError(
            f"the row has joints={variant.joints!r} and {frames.records[0].source}: "
            f"{frames.records[0].name} has those of {joints}; choose a row with "
            f"joints={joints!r}, or map the clip's joints"
        )


def check_prepared(setting: Setting, variant: Variant) -> None:
    """Raise a ValueError if a setting was made for a row with other options: they have no effect.
    """
    check_done(
        setting.done, variant, setting.done,
        "make it with posebook.video.prepare.prepare, of clips of your own with prepare_clips",
    )  # fmt: skip


def _setting(
    train: Frames, test: Frames, base: BaseNetwork, record: dict, profile: Profile,
    variant: Variant, seed: int, folder: Path | None,
) -> Setting:  # fmt: skip
    def cached(frames: Frames, copies: int, erasing: bool) -> Features:
        return features(
            frames, base.encoder, profile.base.crop, copies=copies, erasing=erasing, seed=seed,
            folder=folder,
        )  # fmt: skip

    copies = copies_of(profile, variant)
    learned = cached(train, copies, variant.erasing) if copies else None
    names = ["pretrained", "loss", "split", "joints"] + ["cached"] * variant.trained
    names += ["erasing"] * bool(copies)
    done = {name: getattr(variant, name) for name in names}
    return Setting(base, record, train, test, learned, cached(test, 0, False), done)


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
