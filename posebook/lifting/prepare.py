"""What a row of chapter 3 starts from: views of its data, an untrained network, its input."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from posebook.data.done import check_takes, generated, refuse_generated
from posebook.data.records import ViewSequence
from posebook.data.sources import EMBEDDED_VIEWS, GENERATED_VIEWS, load_views
from posebook.data.views import Views, collect
from posebook.data.virtual import recover_rigs, triangulate_labels, with_views
from posebook.geometry.skeleton import H36M
from posebook.lifting.consensus import consensus_labels
from posebook.lifting.network import LiftingNetwork
from posebook.lifting.rows import Profile, Variant
from posebook.lifting.student import Student


def load(
    profile: Profile, variant: Variant, device="cpu", dataset: str = EMBEDDED_VIEWS
) -> tuple[Views, Views]:
    """Training and test views of a variant. The data is the same for every seed of training."""
    size = profile.size
    if variant.long_takes:
        size = replace(size, takes=max(1, size.takes // 3), frames=3 * size.frames)
    if dataset not in GENERATED_VIEWS:
        refuse_generated(variant, dataset)
    train, test = load_views(dataset, size, variant.split, variant.noise)
    views = _prepare(train, variant, device)
    done = {**views.done, **generated(variant)}
    return replace(views, done=done), collect(test, device)


def prepare_takes(
    takes: Sequence[ViewSequence], variant: Variant, device="cpu", trust: Sequence[str] = ()
) -> Views:
    """Takes of your own as a row trains on them: with its virtual views, labels and cameras.

    Args:
        trust: doubts (`posebook.data.plausible.DOUBTS`) that are none.

    Raises:
        ValueError: for a row that wants what only embedded takes can have (noise, split, long
            takes), and for takes that lack what it is made from.
    """
    refuse_generated(variant, "takes of your own")
    return _prepare(takes, variant, device, trust)


def _prepare(takes: Sequence[ViewSequence], variant: Variant, device, trust=()) -> Views:
    takes = with_views(takes, variant.views)
    views = collect(takes, device, trust)
    if variant.loss == "triangulated":
        views = triangulate_labels(views, takes, weighted=variant.label_weights)
    if variant.teacher:
        views = consensus_labels(views, variant.teacher)
    if variant.cameras == "recovered":
        views = recover_rigs(views)
    return views


def check_prepared(views: Views, variant: Variant) -> None:
    """Raise a ValueError if views are not as a row wants them: its options would have no effect."""
    labels = ("labels",) if variant.reads_poses else ()  # otherwise nobody reads them
    check_takes(views.done, variant, ("views", "cameras", *labels), __name__)


def data_key(profile: Profile, variant: Variant) -> tuple:
    """What `load` depends on: rows with the same key share their data."""
    return (
        profile.size, variant.long_takes, variant.split, variant.noise, variant.views,
        variant.loss == "triangulated", variant.label_weights, variant.cameras, variant.teacher,
    )  # fmt: skip


def build(profile: Profile, variant: Variant) -> LiftingNetwork | Student:
    """The untrained network of a variant."""
    if variant.student:
        return Student(len(H36M), profile.width, variant.blocks, profile.dropout, variant.student)
    return LiftingNetwork(
        width=profile.width,
        blocks=variant.blocks,
        dropout=profile.dropout,
        root=variant.root,
        root_bias=variant.root_bias,
        frames=_window(profile, variant),
        lstm=variant.backbone == "consistency",
    )


def _window(profile: Profile, variant: Variant) -> int:
    """Frames that a network sees at a time; chapter 2's module takes N = 6 at either side."""
    if variant.backbone == "consistency":
        return 2 * min(6, profile.frames // 2) + 1
    return profile.frames if variant.backbone == "temporal" else 1


def inputs(
    views: Views, instant: Tensor, view: Tensor, frames: int, confidences: bool = False
) -> Tensor:
    """Network input: rays (B, N, 2) of instants and views, or windows (B, frames, N, 2); with
    confidences (B, N, 3)."""
    if confidences:
        return with_confidences(views.X[instant, view], views.w[instant, view])
    if frames == 1:
        return views.X.flatten(0, 1).index_select(0, instant * views.views + view)
    return views.windows(frames).take(instant, view)


def with_confidences(X: Tensor, w: Tensor) -> Tensor:
    """Rays (B, N, 2) and confidences (B, N) as a student's input (B, N, 3)."""
    return torch.cat([X, w[..., None]], dim=-1)
