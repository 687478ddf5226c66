"""Training a row of chapter 4: equation 4.8 on pairs of pictures, and its critic or its second net.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from posebook.data.pairs import draw_views
from posebook.factorization import losses
from posebook.factorization.canonicalizer import Canonicalizer
from posebook.factorization.dictionary import EncoderDecoder
from posebook.factorization.network import FactorizationNetwork
from posebook.factorization.pairs import Pair, gather, reflect_half, sequences
from posebook.factorization.pictures import Pictures, body_size
from posebook.factorization.prepare import check_prepared
from posebook.factorization.rows import Profile, Variant
from posebook.results.provenance import data_digest
from posebook.training import card
from posebook.training.adversary import Adversary
from posebook.training.checkpoint import Clock, Curves
from posebook.training.draws import EpochOrder, draw, send
from posebook.training.loop import Checkpoint, Schedule, fit

# Of the critic's score beside L_re-proj; of 0.03 and 0.2 the one with the smaller error on a
# training person that was left out, after 800 steps.
ADVERSARIAL_WEIGHT = 0.2
IMITATION = 0.1  # of the training steps
SEQUENCE = 8  # instants of a take that two views must explain by one turn
CRITIC_UNIT = 0.45  # metres; about one unit of normalised poses, since the critic reads metres


def pair_loss(
    model: FactorizationNetwork, b: Pair, variant: Variant
) -> tuple[Tensor, dict[str, Tensor], tuple[Tensor, Tensor]]:
    """Equation 4.8 of a batch of pairs, what to log, and the bodies and viewpoints of both views.

    Both views go through the network in one batch, so that batch normalisation sees both.
    """
    Y_hat, R = model(torch.cat([b.X1, b.X2]))
    (Y1, Y2), (R1, R2) = Y_hat.chunk(2), R.chunk(2)
    reproj = losses.reprojection(Y1, Y2, R1, R2, b.X1, b.X2, b.found1, b.found2)
    if variant.consistency == "none":
        return reproj, {}, (Y_hat, R)
    if variant.consistency == "sequence":
        cf = losses.sequence_consistency(Y1 @ R1, Y2 @ R2, SEQUENCE)
    else:
        cf = losses.consistency(Y1, b.same_body(Y2), variant.consistency == "scale-free")
    logs = {"reprojection": reproj, "consistency": cf}
    return losses.total(reproj, cf, variant.lam), logs, (Y_hat, R)


def imitation(model: FactorizationNetwork, teacher: EncoderDecoder, b: Pair) -> Tensor:
    """Distance of the network's bodies and viewpoints from those of the encoder-decoder.

    The thesis hands on the dictionary only. Without the viewpoints that were found with it, a new
    network has to find them again, and without a second view it does not.
    """
    X = torch.cat([b.X1, b.X2])
    with torch.no_grad():
        Y_taught, R_taught = teacher(X)
    Y_hat, R = model(X)
    return losses.frobenius(Y_hat, Y_taught).mean() + losses.frobenius(R, R_taught).mean()


def train(
    model: FactorizationNetwork,
    pictures: Pictures,
    profile: Profile,
    variant: Variant,
    seed: int,
    teacher: EncoderDecoder | None = None,
    folder: Path | None = None,
    validate: Callable[[], Mapping[str, float]] | None = None,
    clock: Clock | None = None,
) -> Curves:
    """Train `model` by equation 4.8; a dictionary that was learned before, at a tenth of the rate.

    Args:
        teacher: the encoder-decoder that learned the dictionary. The network imitates it for the
            first `IMITATION` of the steps.
        folder: where checkpoints go, and from where a killed run is resumed; None for none.
        validate: numbers to log now and then in evaluation mode.
        clock: counts seconds.

    Raises:
        ValueError: for pictures that were not prepared as the variant says.
    """
    check_prepared(pictures, variant)
    long = SEQUENCE if variant.consistency == "sequence" else 1
    order = EpochOrder(len(pictures), profile.batch // long, seed, pictures.X.device)
    adversary = _adversary(pictures, profile) if variant.adversarial else None
    canonicalizer = Canonicalizer(profile, model.dictionary) if variant.canonical else None

    def batch(step: int) -> Pair:
        instant = order.batch(step)
        views = draw_views(pictures, len(instant), draw(seed, step))
        if long > 1:  # the two cameras stay the same throughout a sequence
            instant = sequences(pictures, instant, long, draw(seed + 19, step))
            views = tuple(view.repeat_interleave(long) for view in views)
        pair = gather(pictures, instant, *views)
        return reflect_half(pair, draw(seed + 17, step)) if variant.reflected else pair

    def criticise(step: int) -> dict[str, Tensor]:
        with torch.no_grad():
            Y_hat, R = model(batch(step).X1)
        return adversary.update(CRITIC_UNIT * (Y_hat @ R), draw(seed + 7, step))

    def loss(step: int):
        if teacher and step < IMITATION * profile.steps:
            return imitation(model, teacher, batch(step)), {}
        value, logs, (Y_hat, R) = pair_loss(model, batch(step), variant)
        if adversary:
            value = value - ADVERSARIAL_WEIGHT * adversary.score(CRITIC_UNIT * (Y_hat @ R))
        if canonicalizer:
            again = whole.canonicalizer.loss(Y_hat, model.dictionary, draw(seed + 11, step))
            return value + again, logs | {"canonicalization": again}
        return value, logs

    whole = model
    if canonicalizer:  # is optimised as well
        whole = torch.nn.ModuleDict({"model": model, "canonicalizer": canonicalizer})
    whole.to(pictures.X.device)
    kept = folder and Checkpoint(folder / "training.pt", card.signature(
        whole, variant, profile, seed, data=data_digest(pictures.arrays()),
        teacher=teacher and data_digest(teacher.state_dict()),
    ))  # fmt: skip
    networks = [model.backbone, model.shape_head, model.view_head]
    networks += [canonicalizer.network] if canonicalizer else []
    # Its bodies are compared with each other to the millimetre.
    exact = [model.dictionary] if model.dictionary else []
    with card.applied(whole, networks, exact):
        return fit(
            whole, loss, Schedule(profile.steps, profile.learning_rate, profile.schedule, 1.0),
            pretrained_parameters=list(model.dictionary.parameters()) if variant.pretrained else (),
            before_step=adversary and criticise, extra_state=adversary and adversary.state,
            evaluate=validate, evaluations=profile.evaluations, checkpoint=kept, clock=clock,
        )  # fmt: skip


def _adversary(pictures: Pictures, profile: Profile) -> Adversary:
    if pictures.Y is None:
        raise ValueError("the adversarial loss learns from true 3D poses, the data has none")
    poses = (CRITIC_UNIT * pictures.Y / body_size(pictures.Y)[..., None, None]).flatten(0, 1)

    def real(n: int, generator: torch.Generator) -> Tensor:
        return poses[send(torch.randint(len(poses), (n,), generator=generator), poses.device)]

    return Adversary(real, profile.critic_width, pictures.X.device)
