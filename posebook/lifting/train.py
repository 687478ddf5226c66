"""Training a row of chapter 3: the loss of a batch of pairs of views, and what watches over it."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from posebook.data.pairs import PairBatch, draw_views, gather
from posebook.data.views import Views, refuse_takes
from posebook.geometry.camera import Z_MIN, transform
from posebook.lifting import losses
from posebook.lifting.network import LiftingNetwork, global_pose
from posebook.lifting.prepare import check_prepared, inputs, with_confidences
from posebook.lifting.rows import Profile, Variant, steps_of
from posebook.lifting.samples import renewed
from posebook.lifting.student import Student
from posebook.metrics import pose3d as metrics
from posebook.results.provenance import data_digest
from posebook.training import card
from posebook.training.adversary import Adversary
from posebook.training.checkpoint import Clock, Curves
from posebook.training.draws import EpochOrder, draw, send
from posebook.training.loop import Checkpoint, Schedule, fit

# Of the critic's score beside L_reproj in squared focal lengths; of 1e-3, 3e-3 and 3e-2 the one
# with the smallest error on training people after 1,200 steps.
ADVERSARIAL_WEIGHT = 3e-3


def pair_loss(
    model: LiftingNetwork | Student,
    views: Views,
    b: PairBatch,
    variant: Variant,
    pretraining: bool = False,
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Loss of a batch of pairs, what to log, and the relative poses (2B, N, 3) behind it.

    Both views go through the network in one batch, so that batch normalisation sees both.
    """
    if variant.student:
        X = with_confidences(torch.cat([b.X1, b.X2]), torch.cat([b.w1, b.w2]))
    elif model.frames == 1:
        X = torch.cat([b.X1, b.X2])
    else:
        both = torch.cat([b.instant, b.instant]), torch.cat([b.v1, b.v2])
        X = inputs(views, *both, model.frames)
    error = losses.ERRORS[variant.error]
    if variant.relative:
        Y = model.lift(X)
        truth = [metrics.root_relative(target) for target in (b.Y1, b.Y2)]
        return losses.supervised(*Y.chunk(2), *truth, error), {}, Y
    Y, r = model(X)
    if variant.root_from_labels:
        r = torch.cat([b.Y1[:, 0], b.Y2[:, 0]])
    G1, G2 = global_pose(Y, r).chunk(2)
    if pretraining:
        return losses.pretraining(G1, G2, b.R12, b.t12, b.R21, b.t21), {}, Y
    if variant.compare_in == "space":
        return losses.supervised(G1, G2, b.Y1, b.Y2, error), {}, Y
    rho = losses.PROJECTIONS[variant.projection]
    reproj = losses.reprojection(G1, G2, b.X1, b.X2, b.w1, b.w2, rho, error)
    if variant.loss == "reproj":
        return reproj, {}, Y
    there, back = (b.R12, b.t12), (b.R21, b.t21)
    t_reproj = losses.transform_reprojection(
        G1, G2, b.X1, b.X2, b.w1, b.w2, *there, *back, variant.weight, rho, error
    )
    with torch.no_grad():
        near = (transform(G1, *there)[..., 2] < Z_MIN).float().mean()
    return losses.total(reproj, t_reproj, variant.lam), {"clamped_share": near}, Y


def train(
    model: LiftingNetwork | Student,
    views: Views,
    profile: Profile,
    variant: Variant,
    seed: int,
    folder: Path | None = None,
    validate: Callable[[], Mapping[str, float]] | None = None,
    clock: Clock | None = None,
) -> Curves:
    """Train `model`; pre-training (eq. 3.6) first where the variant asks for it.

    Args:
        folder: where checkpoints go, and from where a killed run is resumed; None for none.
        validate: numbers to log now and then in evaluation mode.
        clock: counts the seconds of training.

    Raises:
        ValueError: for less than two views, where the variant learns from 3D poses and there are
            none, and for views that were not prepared as it says.
    """
    refuse_takes(views)
    if views.views < 2:
        raise ValueError(
            "training draws pairs of views of an instant, and these takes have one; a network that "
            "is trained lifts a single view (`posebook.lifting.evaluate.predict`)"
        )
    if views.Y is None and (variant.reads_poses or variant.adversarial):
        raise ValueError(
            "these views have no 3D poses, and the row learns from them; choose a loss without "
            "3D labels (reproj, trans-reproj), or one with `triangulated` labels, which "
            "posebook.lifting.prepare.prepare_takes makes"
        )
    check_prepared(views, variant)
    usable = _usable(views, variant)
    order = EpochOrder(len(usable), profile.batch, seed, views.device)
    adversary = _adversary(views, profile) if variant.adversarial else None

    def batch(step: int) -> PairBatch:
        instant = usable[order.batch(step)]
        random = draw(seed, step)
        b = gather(views, instant, *draw_views(views, len(instant), random))
        if not variant.changes:
            return b
        return renewed(b, views, variant.changes, not variant.labelled, random)

    def criticise(step: int) -> dict[str, Tensor]:
        b = batch(step)
        with torch.no_grad():
            fake = model.lift(inputs(views, b.instant, b.v1, model.frames))
        return adversary.update(fake, draw(seed + 7, step))

    def loss(step: int):
        value, logs, Y = pair_loss(model, views, batch(step), variant)
        if adversary:
            return value - ADVERSARIAL_WEIGHT * adversary.score(Y), logs
        return value, logs

    def pretraining_loss(step: int):
        value, _, Y = pair_loss(model, views, batch(step), variant, pretraining=True)
        return value, {"bone_length": metrics.mean_bone_length(Y.detach()).mean()}

    mine = folder and card.signature(
        model, variant, profile, seed, data=data_digest(views.arrays())
    )

    def kept(name: str) -> Checkpoint | None:
        return folder and Checkpoint(folder / f"{name}.pt", mine)

    clock, rate = clock or Clock(), profile.learning_rate
    curves: Curves = {}
    with card.applied(model, networks=[*model.children()]):
        if variant.pretrained:
            schedule = Schedule(profile.pretraining_steps, rate, "constant", variant.max_norm)
            stage = fit(
                model, pretraining_loss, schedule, description="pre-training", evaluate=validate,
                points=20, checkpoint=kept("pretraining"), clock=clock,
            )  # fmt: skip
            curves |= {f"pretraining_{name}": points for name, points in stage.items()}
        schedule = Schedule(steps_of(profile, variant), rate, profile.schedule, variant.max_norm)
        curves |= fit(
            model, loss, schedule, before_step=adversary and criticise,
            extra_state=adversary and adversary.state, evaluate=validate,
            evaluations=profile.evaluations, checkpoint=kept("training"), clock=clock,
        )  # fmt: skip
    return curves


def _usable(views: Views, variant: Variant) -> Tensor:
    """Rows of the instants that training draws from; those without a label are left out."""
    if not variant.reads_poses:
        return torch.arange(len(views), device=views.device)
    usable = views.labelled()
    left_out = len(views) - len(usable)
    if left_out:
        warnings.warn(
            f"{left_out} of {len(views)} frames are left out of training: fewer than two views see "
            "any joint of theirs, so they have no triangulated label",
            stacklevel=3,
        )
    if not len(usable):
        raise ValueError("no frame has a label: no joint is seen by two views at one time")
    return usable


def _adversary(views: Views, profile: Profile) -> Adversary:
    known = views.labelled()

    def real(n: int, generator: torch.Generator) -> Tensor:
        random = torch.randint(len(known), (n,), generator=generator)
        at = known[send(random, views.device)]
        view = send(torch.randint(views.views, (n,), generator=generator), views.device)
        return metrics.root_relative(views.Y[at, view])

    return Adversary(real, profile.critic_width, views.device)
