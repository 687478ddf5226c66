"""What a row of chapter 4 starts from: normalised pictures of its data, an untrained network."""

from collections.abc import Sequence
from dataclasses import replace

from posebook.data.done import check_takes, generated, refuse_generated
from posebook.data.records import ViewSequence
from posebook.data.sources import EMBEDDED_VIEWS, GENERATED_VIEWS, load_views
from posebook.data.views import collect
from posebook.data.virtual import with_views
from posebook.factorization.dictionary import Dictionary
from posebook.factorization.network import FactorizationNetwork
from posebook.factorization.pictures import Pictures, prepare, seen_instants
from posebook.factorization.rows import Profile, Variant


def load(
    profile: Profile, variant: Variant, device="cpu", dataset: str = EMBEDDED_VIEWS
) -> tuple[Pictures, Pictures, tuple[str, ...]]:
    """Training and test pictures of a variant, and the action of each test instant.

    The data is the same for every seed of training.

    Raises:
        ValueError: where the variant needs two views of an instant and the data has one.
    """
    if dataset not in GENERATED_VIEWS:
        refuse_generated(variant, dataset)
    train, test = load_views(dataset, profile.size, noise=variant.noise, headings=variant.headings)
    pictures = _prepare(train, variant, device)
    pictures = replace(pictures, done={**pictures.done, **generated(variant)})
    test = seen_instants(collect(test, device))
    actions = tuple(test.actions[a] for a in test.action.tolist())
    return pictures, prepare(test, variant.recentre, variant.projection), actions


def prepare_takes(takes: Sequence[ViewSequence], variant: Variant, device="cpu") -> Pictures:
    """Takes of your own as a row trains on them: with its virtual views, centred its way.

    Raises:
        ValueError: for a row that wants what only embedded takes can have (their noise), and for
            takes that lack what it is made from.
    """
    refuse_generated(variant, "takes of your own")
    return _prepare(takes, variant, device)


def _prepare(takes: Sequence[ViewSequence], variant: Variant, device) -> Pictures:
    views = collect(with_views(takes, variant.views), device)
    if views.views < 2 and variant.consistency != "none":
        raise ValueError(
            "the consistent factorization loss (eq. 4.4) needs two views of an instant, the data "
            f"has {views.views}"
        )
    return prepare(seen_instants(views), variant.recentre, variant.projection)


def check_prepared(pictures: Pictures, variant: Variant) -> None:
    """Raise a ValueError if pictures are not as a row wants them: its options have no effect."""
    check_takes(pictures.done, variant, ("views", "recentre", "projection"), __name__)


def data_key(profile: Profile, variant: Variant) -> tuple:
    """What `load` depends on: rows with the same key share their data."""
    return (
        profile.size, variant.noise, variant.headings, variant.views, variant.recentre,
        variant.projection,
    )  # fmt: skip


def build(
    profile: Profile, variant: Variant, dictionary: Dictionary | None
) -> FactorizationNetwork:
    """The untrained network round a dictionary."""
    return FactorizationNetwork(
        dictionary, profile.width, profile.blocks, profile.dropout, variant.viewpoint
    )
