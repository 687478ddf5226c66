"""The stage that rows share: a dictionary learned by structure from motion (eq. 4.7), and kept."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from posebook.data.pairs import draw_views
from posebook.factorization import losses
from posebook.factorization.dictionary import (
    Dictionary,
    EncoderDecoder,
    level_sizes,
    load_dictionary,
    principal_components,
    remember_typical_code,
    save_dictionary,
)
from posebook.factorization.pairs import Pair, gather, reflect_half
from posebook.factorization.pictures import Pictures, body_size
from posebook.factorization.rows import Profile, Variant
from posebook.factorization.starts import TRIAL, best_of, score_of
from posebook.results.provenance import code_digest, data_digest, device_name
from posebook.storage import key_of, made_once
from posebook.training import card
from posebook.training.checkpoint import Clock, Curves, remove
from posebook.training.draws import EpochOrder, draw, seed_everything
from posebook.training.loop import Checkpoint, Schedule, fit

# Of equation 4.4 beside 4.7. Of 1, 0.3 and 0.1, tried on left-out clips of other motion (performed
# by the bodies of S9 and S11, which a stricter choice would not have taken), the first made one
# rigid body of all (a distance that is not squared pulls at zero as hard as anywhere), and with the
# last the sign of depth still changed from picture to picture.
CONSISTENCY = 0.3
SINGLE_PICTURES = Variant()


def new_dictionary(profile: Profile, variant: Variant, pictures: Pictures) -> Dictionary | None:
    """The dictionary with which a variant begins, before any training."""
    if variant.dictionary == "none":
        return None
    if variant.dictionary == "components":
        return principal_components(aligned(pictures))
    if variant.dictionary == "single":
        return Dictionary((variant.code,))
    return Dictionary(level_sizes(last=variant.code, levels=variant.levels or profile.levels))


def aligned(pictures: Pictures) -> Tensor:
    """True poses of the first view (I, P, 3), turned to face one way and of the pictures' size."""
    Y = pictures.Y[:, 0] @ pictures.heading[:, 0].mT
    return Y / body_size(pictures.Y).mean(1)[:, None, None]


def learn_dictionary(
    model: EncoderDecoder, pictures: Pictures, profile: Profile, seed: int,
    checkpoint: Checkpoint | None = None, variant: Variant = SINGLE_PICTURES,
    clock: Clock | None = None,
) -> Curves:  # fmt: skip
    """Train a dictionary and its encoder by equation 4.7; returns the curves.

    Args:
        clock: as in `posebook.training.loop.fit`.
    """
    X = pictures.X.flatten(0, 1)
    loss = (_loss_of_pairs if variant.consistent_dictionary else _loss_of_pictures)(
        model, pictures, profile, variant, seed
    )
    schedule = Schedule(
        profile.dictionary_steps, profile.dictionary_rate, profile.dictionary_schedule, 1.0
    )
    with card.applied(model):  # all of it is exact: a dictionary is made once for many rows
        curves = fit(
            model, loss, schedule, points=100, description="dictionary", checkpoint=checkpoint,
            clock=clock,
        )  # fmt: skip
    remember_typical_code(model, X[:: max(1, len(X) // 20000)])
    return curves


def _loss_of_pictures(model, pictures: Pictures, profile: Profile, _, seed: int):
    """Equation 4.7 on single pictures, as printed."""
    X, found = pictures.X.flatten(0, 1), pictures.found.flatten(0, 1)
    order = EpochOrder(len(X), profile.dictionary_batch, seed + 13, X.device)

    def loss(step: int):
        at = order.batch(step)
        return losses.structure_from_motion(*model(X[at]), X[at], found[at]), {}

    return loss


def _loss_of_pairs(model, pictures: Pictures, profile: Profile, variant: Variant, seed: int):
    """Equation 4.7 and 4.4 on as many pictures, two of each instant."""
    order = EpochOrder(
        len(pictures), profile.dictionary_batch // 2, seed + 13, pictures.X.device
    )

    def loss(step: int):
        instant = order.batch(step)
        pair = gather(pictures, instant, *draw_views(pictures, len(instant), draw(seed, step)))
        if variant.reflected:
            pair = reflect_half(pair, draw(seed + 17, step))
        return dictionary_loss(model, pair)

    return loss


def dictionary_loss(model: EncoderDecoder, b: Pair) -> tuple[Tensor, dict[str, Tensor]]:
    """Equation 4.7 of pairs of pictures with the loss of consistency, and what to log.

    Alone, equation 4.7 is smallest where each picture has the sign of depth that suits it best. Two
    views of one instant have one body only if they agree about the sign.
    """
    X, found = torch.cat([b.X1, b.X2]), torch.cat([b.found1, b.found2])
    Y_hat, R = model(X)
    Y1, Y2 = Y_hat.chunk(2)
    sfm = losses.structure_from_motion(Y_hat, R, X, found)
    # In the unit of equation 4.7, which divides by the size of pictures.
    size = torch.linalg.vector_norm(X, dim=(-2, -1)).mean()
    cf = losses.consistency(Y1, b.same_body(Y2)) / size
    return losses.total(sfm, cf, CONSISTENCY), {"reprojection": sfm, "consistency": cf}


def teacher_from(
    start: int, pictures: Pictures, profile: Profile, variant: Variant
) -> EncoderDecoder:
    """The untrained dictionary of a random start, with the encoder that will learn it."""
    seed_everything(start)
    return EncoderDecoder(new_dictionary(profile, variant, pictures), variant.camera).to(
        pictures.device
    )


def best_start(
    pictures: Pictures, profile: Profile, variant: Variant, seed: int
) -> tuple[int, list[float]]:
    """The best start of a seed after a short trial, and what each scored (see `best_of`).

    Some dictionaries end in a bad minimum of equation 4.7, and every row of their seed with them.
    """
    short = replace(profile, dictionary_steps=min(TRIAL, profile.dictionary_steps))

    def trial(start: int) -> float:
        model = teacher_from(start, pictures, profile, variant)
        curves = learn_dictionary(model, pictures, short, start, variant=variant)
        return score_of(model, curves, pictures, variant)

    return best_of(variant.starts, seed, trial)


def _learned_on(variant: Variant) -> str:
    """What of a variant changes the loss that its dictionary is learned by."""
    if not variant.consistent_dictionary:
        return "pictures"
    return "reflected pairs" if variant.reflected else "pairs"


def shared_dictionary(
    pictures: Pictures, profile: Profile, variant: Variant, seed: int, cache: Path | None
) -> tuple[EncoderDecoder, dict]:
    """A learned dictionary with its encoder, made once for all rows that agree in everything.

    The second value has its `curves` and `seconds`, the chosen `start`, and the losses of `trials`.

    Args:
        cache: folder of learned dictionaries, named by the digest of what they depend on.
    """

    def learn(checkpoint: Checkpoint | None = None) -> tuple[EncoderDecoder, dict]:
        trying = Clock()
        start, trials = best_start(pictures, profile, variant, seed)
        model = teacher_from(start, pictures, profile, variant)
        seconds, clock = trying.seconds, Clock()
        curves = learn_dictionary(model, pictures, profile, start, checkpoint, variant, clock)
        seconds += clock.seconds
        return model, {"curves": curves, "seconds": seconds, "start": start, "trials": trials}

    model = teacher_from(seed, pictures, profile, variant)
    if cache is None:
        return learn()
    name = key_of(
        data=data_digest({"X": pictures.X, "found": pictures.found}), head=model.head, seed=seed,
        start=data_digest(model.state_dict()), starts=variant.starts,
        learned_on=_learned_on(variant),
        sizes=model.dictionary.sizes, batch=profile.dictionary_batch,
        steps=profile.dictionary_steps, rate=profile.dictionary_rate,
        schedule=profile.dictionary_schedule, device=device_name(pictures.device),
        code=code_digest(), **card.signed(),
    )  # fmt: skip
    path = cache / f"{name}.pt"
    with made_once(path) as missing:  # another row that needs it waits for it
        if missing:
            learned, record = learn(Checkpoint(cache / f"{name}.training.pt", name))
            save_dictionary(path, learned, **record)
            remove(cache / f"{name}.training.pt")
        return model, load_dictionary(path, model)
