"""What a row of chapter 4 starts from: normalised pictures of its data, an untrained network."""

from posebook.data.pairs import collect
from posebook.data.sources import EMBEDDED_VIEWS, load_views
from posebook.factorization.dictionary import Dictionary
from posebook.factorization.network import FactorizationNetwork
from posebook.factorization.pictures import Pictures, prepare
from posebook.factorization.rows import Profile, Variant


def load(
    profile: Profile, variant: Variant, device="cpu", dataset: str = EMBEDDED_VIEWS
) -> tuple[Pictures, Pictures, tuple[str, ...]]:
    """Training and test pictures of a variant, and the action of each test instant.

    The data is the same for every seed of training.

    Raises:
        ValueError: where the variant needs two views of an instant and the data has one.
    """
    parts = load_views(dataset, profile.size, noise=variant.noise, views=variant.views)
    train, test = (collect(part, device) for part in parts)
    if train.views < 2 and variant.consistency != "none":
        raise ValueError(
            "the consistent factorization loss (eq. 4.4) needs two views of an instant, the data "
            f"has {train.views}"
        )
    actions = tuple(test.actions[a] for a in test.action.tolist())
    return *(prepare(v, variant.recentre, variant.projection) for v in (train, test)), actions


def data_key(profile: Profile, variant: Variant) -> tuple:
    """What `load` depends on: rows with the same key share their data."""
    return profile.size, variant.noise, variant.views, variant.recentre, variant.projection


def build(
    profile: Profile, variant: Variant, dictionary: Dictionary | None
) -> FactorizationNetwork:
    """The untrained network round a dictionary."""
    return FactorizationNetwork(
        dictionary, profile.width, profile.blocks, profile.dropout, variant.viewpoint
    )
