"""What a row of chapter 3 starts from: views of its data, an untrained network, its input."""

from dataclasses import replace

from torch import Tensor

from posebook.data.pairs import Views, collect
from posebook.data.sources import EMBEDDED_VIEWS, load_views
from posebook.data.virtual import recover_rigs, triangulate_labels
from posebook.lifting.network import LiftingNetwork
from posebook.lifting.rows import Profile, Variant


def load(
    profile: Profile, variant: Variant, device="cpu", dataset: str = EMBEDDED_VIEWS
) -> tuple[Views, Views]:
    """Training and test views of a variant. The data is the same for every seed of training."""
    size = profile.size
    if variant.long_takes:
        size = replace(size, takes=max(1, size.takes // 3), frames=3 * size.frames)
    train, test = load_views(dataset, size, variant.split, variant.noise, variant.views)
    views = collect(train, device)
    if variant.loss == "triangulated":
        views = triangulate_labels(views, train, weighted=variant.label_weights)
    if variant.cameras == "recovered":
        views = recover_rigs(views, train)
    return views, collect(test, device)


def data_key(profile: Profile, variant: Variant) -> tuple:
    """What `load` depends on: rows with the same key share their data."""
    return (
        profile.size, variant.long_takes, variant.split, variant.noise, variant.views,
        variant.loss == "triangulated", variant.label_weights, variant.cameras,
    )  # fmt: skip


def build(profile: Profile, variant: Variant) -> LiftingNetwork:
    """The untrained network of a variant."""
    return LiftingNetwork(
        width=profile.width,
        blocks=variant.blocks,
        dropout=profile.dropout,
        root=variant.root,
        root_bias=variant.root_bias,
        frames=profile.frames if variant.backbone == "temporal" else 1,
    )


def inputs(views: Views, instant: Tensor, view: Tensor, frames: int) -> Tensor:
    """Network input: rays (B, N, 2) of instants and views, or windows (B, frames, N, 2)."""
    if frames == 1:
        return views.X.flatten(0, 1).index_select(0, instant * views.views + view)
    return views.windows(frames).take(instant, view)
