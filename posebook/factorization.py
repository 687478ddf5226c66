"""Chapter 4's experiments: what is trained, on what, for how long, and how it is measured.

Built as `posebook.lifting` is: a variant says what makes a row, a profile how large everything
is, and `run` turns both and a seed into one result record. Rows share a stage, the dictionary
learned by structure from motion, which is trained once for a seed and kept.
"""

import copy
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from posebook import disentangle, lifting, metrics, mirror, results
from posebook import factorization_losses as losses
from posebook.data.orthographic import Pictures, body_size, prepare
from posebook.data.pairs import collect, draw_views
from posebook.data.pose2sim import load_pose2sim
from posebook.data.views import SOURCE, ViewsSize
from posebook.data.virtual import triangulated
from posebook.losses import gradient_penalty
from posebook.models.critic import Critic
from posebook.models.dictionary import (
    Dictionary,
    EncoderDecoder,
    level_sizes,
    load_dictionary,
    principal_components,
    remember_typical_code,
    rotation,
    save_dictionary,
)  # fmt: skip
from posebook.models.factorization import FactorizationNetwork
from posebook.models.lifting import ResLinear
from posebook.skeleton import H36M, PCK3D_JOINTS
from posebook.training import Curves, EpochOrder, draw, fit, only_run_in, seeded

DATASETS = lifting.DATASETS
DICTIONARIES = ("none", "hierarchy", "single", "components")


@dataclass(frozen=True)
class Variant:
    """What makes a row.

    dictionary: what turns a code into a body: "none" (the pose is the output), a "hierarchy" of
    levels, a "single" level, or the principal "components" of true poses.
    code: numbers in the code phi_n, the atoms of the last level. levels: 0 for the profile's.
    pretrained: the dictionary is first learned by equation 4.7, with `camera` as its head, from the
    best of so many random `starts`.
    imitation: the network then begins by imitating the encoder that learned it.
    viewpoint: what the network's second head gives, "omega" or two "columns" of the rotation.
    consistency: "none", "literal" (eq. 4.4) or "scale-free"; lam: lambda of equation 4.8.
    adversarial: a critic that has seen unpaired true poses. canonical: C3DPO's second network.
    views: as in `posebook.lifting`. recentre, projection: as in `posebook.data.orthographic`.
    """

    dictionary: str = "hierarchy"
    code: int = 10
    levels: int = 0
    pretrained: bool = True
    starts: int = 4
    camera: str = "svd"
    imitation: bool = True
    viewpoint: str = "columns"
    consistency: str = "literal"
    lam: float = 1.0
    adversarial: bool = False
    canonical: bool = False
    views: str = "real"
    recentre: str = "shift"
    projection: str = "perspective"
    noise: str = "full"


_OURS = Variant()
_UNTRAINED = Variant(pretrained=False, imitation=False)
_DIRECT = replace(_UNTRAINED, dictionary="none")
_SINGLE = Variant(dictionary="single")
_LITERAL = Variant(camera="linear", imitation=False, viewpoint="omega")
VARIANTS: dict[str, Variant] = {
    # Table 4.1
    "baseline": replace(_DIRECT, consistency="none"),
    "baseline-hd": Variant(consistency="none"),
    "baseline-adv": Variant(consistency="none", adversarial=True),
    "baseline-cf": _OURS,
    # Table 4.2
    "pca-dictionary": replace(
        _UNTRAINED, dictionary="components", consistency="none", adversarial=True
    ),
    "c3dpo": replace(_UNTRAINED, dictionary="single", consistency="none", canonical=True),
    "ours-sd": _SINGLE,
    # Table 4.3
    "ours-da": Variant(views="virtual"),
    # The letter of the thesis, all at once and one by one
    "literal-cf": _LITERAL,
    "literal-hd": replace(_LITERAL, consistency="none"),
    "camera-linear": Variant(camera="linear"),
    "camera-two-layer": Variant(camera="two-layer"),
    "hd-alone": Variant(consistency="none", imitation=False),
    "cf-alone": Variant(imitation=False),
    "omega": Variant(viewpoint="omega"),
    # A dictionary from the first start, good or bad
    "cf-one-start": Variant(starts=1),
    "hd-one-start": Variant(consistency="none", starts=1),
    # What else we add
    "cf-direct": _DIRECT,
    "cf-untrained": _UNTRAINED,
    "cf-scale-free": Variant(consistency="scale-free"),
    "ray-centred": Variant(recentre="ray"),
    "scale-free-ray-centred": Variant(consistency="scale-free", recentre="ray"),
    "orthographic": Variant(projection="orthographic"),
    "exact-joints": Variant(noise="none"),
    "lambda-0.3": Variant(lam=0.3),
    "lambda-3": Variant(lam=3.0),
    "code-25": Variant(code=25),
    "levels-6": Variant(levels=6),
    "levels-12": Variant(levels=12),
}  # fmt: skip

# What is run, in this order. The row `baseline-cf` of table-4.1 is also "ours" of Tables 4.2 to
# 4.4, and the row with the default of everything in the two experiments that we add.
EXPERIMENTS: dict[str, tuple[str, ...]] = {
    "table-4.1": ("baseline-cf", "baseline", "baseline-hd", "baseline-adv"),
    "table-4.2": ("ours-sd", "c3dpo", "pca-dictionary"),
    "table-4.3": ("ours-da",),
    "starts-4.5": ("cf-one-start", "hd-one-start"),
    "literal-4.7": (
        "literal-cf", "literal-hd", "camera-linear", "camera-two-layer", "hd-alone", "cf-alone",
        "omega",
    ),
    "ablation-4.7": (
        "cf-direct", "cf-scale-free", "orthographic", "ray-centred", "scale-free-ray-centred",
        "exact-joints", "levels-6", "levels-12", "code-25", "cf-untrained", "lambda-0.3",
        "lambda-3",
    ),
}  # fmt: skip
ONE_SEED = ("literal-4.7", "ablation-4.7")  # no claim of the thesis rests on these


@dataclass(frozen=True)
class Profile:
    """How large an experiment is: `dictionary_steps` of eq. 4.7, then `steps` of eq. 4.8.

    levels: of the dictionary, from 125 atoms to the code. dictionary_batch counts single pictures,
    batch pairs. epochs, dictionary_epochs: where above 0 they set the steps, by the data's size.
    """

    size: ViewsSize
    width: int
    blocks: int
    dropout: float
    levels: int
    dictionary_batch: int
    dictionary_steps: int
    dictionary_rate: float
    dictionary_schedule: str
    batch: int
    steps: int
    learning_rate: float
    schedule: str | tuple[float, ...]
    critic_width: int
    evaluations: int = 20
    epochs: int = 0
    dictionary_epochs: int = 0


_THESIS = Profile(
    ViewsSize(48, 64), 1024, 4, 0.25, 12, 1024, 36000, 1e-3, "constant",
    1024, 15750, 1e-3, (50 / 70,), 1000,
)  # fmt: skip
# On a laptop three levels: of 3, 6 and 12 the number with the smallest error on a training person
# that was left out. Twelve need more steps than there is time for (the rows levels-6, levels-12).
PROFILES: dict[str, Profile] = {
    "smoke": Profile(
        ViewsSize(1, 12, 1), 32, 2, 0.0, 3, 64, 20, 2e-3, "one-cycle",
        64, 40, 4e-3, "one-cycle", 32, 2,
    ),
    "laptop": Profile(
        ViewsSize(32, 27), 128, 4, 0.0, 3, 256, 1500, 2e-3, "one-cycle",
        256, 3000, 4e-3, "one-cycle", 128,
    ),
    # The thesis' sizes: 40 epochs of 900 batches of 1024 pictures, 70 of 225 batches of pairs.
    "gpu": _THESIS,
    # The same on data of any size, such as the official sets.
    "paper": replace(_THESIS, epochs=70, dictionary_epochs=40),
}  # fmt: skip

# Of the critic's score beside L_re-proj; of 0.03 and 0.2 the one with the smaller error on a
# training person that was left out, after 800 steps.
ADVERSARIAL_WEIGHT = 0.2
IMITATION = 0.1  # of the training steps
TRIAL = 300  # steps of equation 4.7 after which the starts of a dictionary are compared
PENALTY = 10.0  # WGAN-GP's
CRITIC_UNIT = 0.45  # metres; about one unit of normalised poses, since the critic reads metres


def settings(profile: str, variant: str, dataset: str = SOURCE) -> tuple[Profile, Variant]:
    """The profile and variant called so, or a ValueError that lists the known ones."""
    for kind, name, known in (
        ("profile", profile, PROFILES), ("variant", variant, VARIANTS),
        ("dataset", dataset, DATASETS),
    ):  # fmt: skip
        if name not in known:
            raise ValueError(f"unknown {kind} {name!r}; known: {', '.join(known)}")
    return PROFILES[profile], VARIANTS[variant]


def load(
    profile: Profile, variant: Variant, device="cpu", dataset: str = SOURCE
) -> tuple[Pictures, Pictures, tuple[str, ...]]:
    """Training and test pictures of a variant, and the action of each test instant.

    The data is the same for every seed of training.
    """
    source = lifting.Variant(views=variant.views, noise=variant.noise)
    train, test = lifting.load(profile, source, device, dataset)
    if train.views < 2 and variant.consistency != "none":
        raise ValueError(
            "the consistent factorization loss (eq. 4.4) needs two views of an instant, the data "
            f"has {train.views}"
        )
    actions = tuple(test.actions[a] for a in test.action.tolist())
    return *(prepare(v, variant.recentre, variant.projection) for v in (train, test)), actions


# ---------------------------------------------------------------- the dictionary


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
    checkpoint: Path | None = None, signature: str = "",
) -> Curves:  # fmt: skip
    """Train a dictionary and its encoder by equation 4.7 on single pictures; returns the curves."""
    X, found = pictures.X.flatten(0, 1), pictures.found.flatten(0, 1)
    order = EpochOrder(len(X), profile.dictionary_batch, seed + 13, X.device)

    def loss(step: int):
        at = order.batch(step)
        return losses.structure_from_motion(*model(X[at]), X[at], found[at]), {}

    curves = fit(
        model, loss, steps=profile.dictionary_steps, learning_rate=profile.dictionary_rate,
        schedule=profile.dictionary_schedule, max_norm=1.0, description="dictionary",
        log_every=max(1, profile.dictionary_steps // 100), checkpoint=checkpoint,
        signature=signature,
    )  # fmt: skip
    remember_typical_code(model, X[:: max(1, len(X) // 20000)])
    return curves


def teacher_from(
    start: int, pictures: Pictures, profile: Profile, variant: Variant
) -> EncoderDecoder:
    """The untrained dictionary of a random start, with the encoder that will learn it."""
    seeded(start)
    return EncoderDecoder(new_dictionary(profile, variant, pictures), variant.camera).to(
        pictures.device
    )


def best_start(
    pictures: Pictures, profile: Profile, variant: Variant, seed: int
) -> tuple[int, list[float]]:
    """The start of a seed with the smallest loss after a short trial, and the losses of all.

    Some dictionaries end in a bad minimum of equation 4.7, and every row of their seed with them.
    The loss says so early, and without a label. No two seeds share a start.
    """
    starts = [seed + 100 * k for k in range(variant.starts)]
    if len(starts) == 1:
        return seed, []
    short = replace(profile, dictionary_steps=min(TRIAL, profile.dictionary_steps))
    trials = []
    for start in starts:
        model = teacher_from(start, pictures, profile, variant)
        curve = learn_dictionary(model, pictures, short, start)["loss"]
        trials.append(float(np.mean([loss for _, loss in curve[-max(1, len(curve) // 10) :]])))
    return starts[int(np.argmin(trials))], trials


def shared_dictionary(
    pictures: Pictures, profile: Profile, variant: Variant, seed: int, cache: Path | None,
    code: str,
) -> tuple[EncoderDecoder, dict]:  # fmt: skip
    """A learned dictionary with its encoder, made once for all rows that agree in everything.

    The second value has its `curves` and `seconds`, the chosen `start`, and the losses of `trials`.
    cache: folder of learned dictionaries, named by the digest of what they depend on.
    """
    model = teacher_from(seed, pictures, profile, variant)
    depends = [
        code, results.data_digest({"X": pictures.X, "found": pictures.found}), model.head, seed,
        variant.starts, model.dictionary.sizes, profile.dictionary_batch,
        profile.dictionary_steps, profile.dictionary_rate, profile.dictionary_schedule,
        results.device_name(pictures.device),
    ]  # fmt: skip
    name = hashlib.sha256(repr(depends).encode()).hexdigest()[:16]

    def learn(checkpoint: Path | None = None) -> tuple[EncoderDecoder, dict]:
        began = time.perf_counter()
        start, trials = best_start(pictures, profile, variant, seed)
        model = teacher_from(start, pictures, profile, variant)
        curves = learn_dictionary(model, pictures, profile, start, checkpoint, name)
        seconds = time.perf_counter() - began
        return model, {"curves": curves, "seconds": seconds, "start": start, "trials": trials}

    if cache is None:
        return learn()
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"{name}.pt"
    with FileLock(cache / f"{name}.lock"):  # another row that needs it waits for it
        if not path.exists():
            learned, record = learn(cache / f"{name}.training.pt")
            save_dictionary(path, learned, **record)
        return model, load_dictionary(path, model)


# ---------------------------------------------------------------- the factorization network


def build(
    profile: Profile, variant: Variant, dictionary: Dictionary | None
) -> FactorizationNetwork:
    """The untrained network round a dictionary."""
    return FactorizationNetwork(
        dictionary, profile.width, profile.blocks, profile.dropout, variant.viewpoint
    )


@dataclass(frozen=True, eq=False)
class Pair:
    """B pairs of pictures of one instant: X1, X2 (B, P, 2), found1, found2 (B, P)."""

    X1: Tensor
    X2: Tensor
    found1: Tensor
    found2: Tensor


def gather(pictures: Pictures, instant: Tensor, v1: Tensor, v2: Tensor) -> Pair:
    """The pairs (instant, v1, v2), each (B,)."""
    row1, row2 = instant * pictures.views + v1, instant * pictures.views + v2
    X, found = pictures.X.flatten(0, 1), pictures.found.flatten(0, 1)
    return Pair(*(table.index_select(0, row) for table in (X, found) for row in (row1, row2)))


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
    cf = losses.consistency(Y1, Y2, variant.consistency == "scale-free")
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


class Canonicalizer(torch.nn.Module):
    """C3DPO's second network (Novotny et al. 2019): the canonical body of a body turned at random.

    If it can undo any rotation, then no two canonical bodies are turned copies of each other.
    """

    def __init__(self, profile: Profile, dictionary: Dictionary) -> None:
        super().__init__()
        self.network = ResLinear(
            3 * len(H36M), dictionary.sizes[-1], profile.width, profile.blocks, profile.dropout
        )

    def loss(self, Y_hat: Tensor, dictionary: Dictionary, generator: torch.Generator) -> Tensor:
        """Distance between Y_hat (B, P, 3) and what is made of it after a random rotation."""
        turned = Y_hat @ random_rotations(len(Y_hat), generator).to(Y_hat)
        return losses.canonicalization(Y_hat, dictionary(self.network(turned.flatten(1))))


def random_rotations(n: int, generator: torch.Generator) -> Tensor:
    """Rotations (n, 3, 3), all equally likely: normalised Gaussian quaternions."""
    w, *v = torch.randn(n, 4, generator=generator).unbind(1)
    axis = torch.stack(v, 1)
    length = axis.norm(dim=1, keepdim=True).clamp(min=1e-9)
    return rotation(2 * torch.atan2(length, w[:, None]) * axis / length)


class Adversary:
    """A critic, its optimiser, and the unpaired true poses (n, P, 3) that it learns from."""

    def __init__(self, pictures: Pictures, profile: Profile) -> None:
        if pictures.Y is None:
            raise ValueError("the adversarial loss learns from true 3D poses, the data has none")
        size = body_size(pictures.Y)[..., None, None]
        self.real = (CRITIC_UNIT * pictures.Y / size).flatten(0, 1)
        self.model = Critic(chain_width=profile.critic_width).to(pictures.X.device)
        self.optimiser = torch.optim.Adam(
            self.model.parameters(), lr=1e-3, betas=(0.5, 0.9), fused=True
        )

    def score(self, Y_hat: Tensor, R: Tensor) -> Tensor:
        """How human the poses Y = Y_hat R look, the batch mean."""
        return self.model(CRITIC_UNIT * (Y_hat @ R)).mean()

    def update(self, Y: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """One step of WGAN-GP on predicted poses Y (B, P, 3); real ones are drawn apart."""
        at = torch.randint(len(self.real), (len(Y),), generator=generator).to(Y.device)
        real, fake = self.real[at], CRITIC_UNIT * Y.detach()
        gap = self.model(fake).mean() - self.model(real).mean()
        mix = torch.rand(len(Y), generator=generator).to(Y.device)
        value = gap + PENALTY * gradient_penalty(self.model, real, fake, mix)
        self.optimiser.zero_grad(set_to_none=True)
        value.backward()
        self.optimiser.step()
        return {"critic_gap": -gap.detach()}


def train(
    model: FactorizationNetwork,
    pictures: Pictures,
    profile: Profile,
    variant: Variant,
    seed: int,
    teacher: EncoderDecoder | None = None,
    folder: Path | None = None,
    watch: Callable[[], Mapping[str, float]] | None = None,
    signature: str = "",
) -> Curves:
    """Train `model` by equation 4.8; a dictionary that was learned before, at a tenth of the rate.

    teacher: the encoder-decoder that learned the dictionary. The network imitates it for the first
    `IMITATION` of the steps. folder: where checkpoints go, and from where a killed run is resumed;
    None for none.
    watch: numbers to log now and then in evaluation mode.
    """
    order = EpochOrder(len(pictures), profile.batch, seed, pictures.X.device)
    adversary = Adversary(pictures, profile) if variant.adversarial else None
    canonicalizer = Canonicalizer(profile, model.dictionary) if variant.canonical else None

    def batch(step: int) -> Pair:
        instant = order.batch(step)
        return gather(pictures, instant, *draw_views(pictures, len(instant), draw(seed, step)))

    def criticise(step: int) -> dict[str, Tensor]:
        with torch.no_grad():
            Y_hat, R = model(batch(step).X1)
        return adversary.update(Y_hat @ R, draw(seed + 7, step))

    def loss(step: int):
        if teacher and step < IMITATION * profile.steps:
            return imitation(model, teacher, batch(step)), {}
        value, logs, (Y_hat, R) = pair_loss(model, batch(step), variant)
        if adversary:
            value = value - ADVERSARIAL_WEIGHT * adversary.score(Y_hat, R)
        if canonicalizer:
            again = whole.canonicalizer.loss(Y_hat, model.dictionary, draw(seed + 11, step))
            return value + again, logs | {"canonicalization": again}
        return value, logs

    whole = _with(model, canonicalizer).to(pictures.X.device)
    return fit(
        whole, loss, steps=profile.steps, learning_rate=profile.learning_rate,
        schedule=profile.schedule, max_norm=1.0, description="training",
        slow=list(model.dictionary.parameters()) if variant.pretrained else (),
        before_step=adversary and criticise,
        companions=adversary
        and {"critic": adversary.model, "critic_optimiser": adversary.optimiser},
        evaluate=watch, evaluate_every=max(1, profile.steps // profile.evaluations),
        log_every=max(1, profile.steps // 200), signature=signature,
        checkpoint=folder and folder / "training.pt",
    )  # fmt: skip


def _with(model: FactorizationNetwork, canonicalizer: Canonicalizer | None) -> torch.nn.Module:
    """What is optimised: the network, and the second one if there is one."""
    if canonicalizer is None:
        return model
    return torch.nn.ModuleDict({"model": model, "canonicalizer": canonicalizer})


def settle_mirror(model: FactorizationNetwork, pictures: Pictures, most: int = 4096) -> None:
    """Choose the model's mirror image by its predicted knees on pictures; no label is read."""
    model.sign.fill_(1.0)
    Y_hat, _ = predict(model, pictures, thin=max(1, len(pictures) // most))
    model.sign.fill_(mirror.knee_sign(Y_hat))


def predict(
    model: FactorizationNetwork, pictures: Pictures, chunk: int = 4096, thin: int = 1
) -> tuple[Tensor, Tensor]:
    """Bodies (I, V, P, 3) and viewpoints (I, V, 3, 3) of every `thin`-th instant's views."""
    model.eval()
    X = pictures.X[::thin]
    with torch.inference_mode():
        parts = [model(part) for part in X.flatten(0, 1).split(chunk)]
    Y_hat, R = (torch.cat(part) for part in zip(*parts, strict=True))
    return Y_hat.unflatten(0, X.shape[:2]), R.unflatten(0, X.shape[:2])


# ---------------------------------------------------------------- measuring


def evaluate(
    model: FactorizationNetwork, pictures: Pictures, actions: tuple[str, ...]
) -> tuple[dict[str, float], dict[str, dict]]:
    """Test metrics (means over actions, as the protocols ask) and the same for each action.

    actions: one an instant. See `posebook.disentangle` for what is measured.
    """
    Y_hat, R = predict(model, pictures)
    Y, target = (Y_hat @ R).flatten(0, 1), pictures.Y.flatten(0, 1)
    named = [action for action in actions for _ in range(pictures.views)]
    per_action: dict[str, dict[str, float]] = {}
    overall = {}
    for name, error in disentangle.pose_errors(Y, target, pictures.turn.flatten(0, 1)).items():
        means = metrics.action_means(1000 * error, named)
        overall[name] = float(np.mean(list(means.values())))
        for action, mean in means.items():
            per_action.setdefault(action, {})[name] = mean
    # Chapter 3's name for what this chapter calls MPJPE: the scale restored by least squares.
    overall["n_mpjpe_mm"] = overall["mpjpe_mm"]
    scaled = disentangle.least_squares_scale(Y, target)
    overall["pck3d_150"] = float(metrics.pck3d(scaled, target).mean())
    overall["auc3d"] = float(metrics.auc3d(scaled, target).mean())
    overall |= disentangle.canonical_spread(Y_hat)
    overall |= disentangle.viewpoint_errors(R, pictures)
    wrong = disentangle.best_rotation(Y, target)
    overall["rotation_error_deg"] = float(disentangle.angle(wrong, torch.eye(3).to(wrong)).mean())
    turned = disentangle.angle(wrong, pictures.turn.flatten(0, 1))
    overall["rotation_error_turned_deg"] = float(turned.mean())
    return overall | _mirror(model, Y_hat, Y, target, named), per_action


def _mirror(model, Y_hat: Tensor, Y: Tensor, target: Tensor, actions) -> dict[str, float]:
    """Which mirror image was chosen, by how clear a vote, and the error of the other one."""
    other = metrics.p_mpjpe(mirror.mirror_shape(Y), target)
    bent = mirror.knee_flexion(Y_hat)
    return {
        "sign": float(model.sign),
        "knees_right_share": 100 * float((bent > 0).double().mean()),
        "p_mpjpe_mirrored_mm": 1000 * metrics.action_mean(other, actions),
    }


def evaluate_real(model: FactorizationNetwork, recentre: str = "shift") -> dict[str, float]:
    """Distance to triangulation on real detections, as `posebook.lifting.evaluate_real`.

    The scale of each pose is restored by least squares over the joints that have a reference.
    """
    device = next(model.parameters()).device
    pictures = real_pictures(recentre, device)
    Y_hat, R = predict(model, pictures)
    known = pictures.Y.isfinite().all(-1, keepdim=True)
    target = torch.where(known, pictures.Y, 0)
    Y = disentangle.least_squares_scale(torch.where(known, Y_hat @ R, 0), target)
    used = known[..., PCK3D_JOINTS, 0]
    error = 1000 * (Y - target).norm(dim=-1)[..., PCK3D_JOINTS][used]
    thresholds = torch.arange(0, 151, 5, device=device)
    return {
        "real_distance_mm": float(error.mean()),
        "real_pck3d_150": 100 * float((error < 150).float().mean()),
        "real_auc3d": 100 * float((error[:, None] < thresholds).float().mean()),
    }


@cache
def real_pictures(recentre: str, device) -> Pictures:
    """The real detections, normalised, with their triangulation in place of the truth (or NaN)."""
    sequence = load_pose2sim()
    world = triangulated(sequence, weighted=True, least_confidence=0.3)
    truth = np.stack([c.to_camera(world) for c in sequence.cameras], axis=1)
    views = collect([sequence], device)
    target = torch.as_tensor(truth, dtype=torch.float32, device=device)
    return prepare(replace(views, Y=target), recentre)


def in_steps(profile: Profile, pictures: Pictures) -> Profile:
    """A profile whose epochs, if it counts in them, are steps over these pictures."""
    if not profile.epochs:
        return profile
    epoch = max(1, len(pictures) // profile.batch)
    single = max(1, len(pictures) * pictures.views // profile.dictionary_batch)
    return replace(
        profile, steps=profile.epochs * epoch,
        dictionary_steps=profile.dictionary_epochs * single,
    )  # fmt: skip


def run(
    profile: str,
    variant: str,
    seed: int,
    *,
    dataset: str = SOURCE,
    experiment: str = "table-4.1",
    folder: Path | None = None,
    dictionaries: Path | None = None,
    device: str = "cpu",
) -> tuple[FactorizationNetwork, dict]:
    """Train and measure one variant; returns the model and the record for `write_result`.

    folder: the run's own folder for checkpoints; a second process in it is refused.
    dictionaries: folder where learned dictionaries are kept for other rows; None for nowhere.
    """
    size, row = settings(profile, variant, dataset)
    with only_run_in(folder):
        return _run(
            size, row, profile, variant, seed, dataset, experiment, folder, dictionaries, device
        )


def _run(size, row, profile, variant, seed, dataset, experiment, folder, dictionaries, device):
    pictures, test, actions = load(size, row, device, dataset)
    size = in_steps(size, pictures)
    modules = results.imported_modules()
    digest = results.code_digest(modules)
    seeded(seed)
    teacher, steps = None, size.steps
    learned = {"curves": {}, "seconds": 0.0, "start": seed, "trials": []}
    if row.pretrained:
        teacher, learned = shared_dictionary(pictures, size, row, seed, dictionaries, digest)
        steps += size.dictionary_steps
        # The teacher keeps a dictionary of its own, and the network goes on with a copy.
        dictionary = copy.deepcopy(teacher.dictionary)
        teacher.requires_grad_(False).eval()
    else:
        dictionary = new_dictionary(size, row, pictures)
    # Again, so that a run is the same whether it learned the dictionary or found it.
    seeded(seed + 1)
    model = build(size, row, dictionary).to(device)

    def watch() -> dict[str, float]:
        Y_hat, R = predict(model, test, thin=4)
        error = metrics.p_mpjpe(Y_hat @ R, test.Y[::4])
        return {"p_mpjpe_mm": 1000 * float(error.mean())}

    started = time.perf_counter()
    signature = f"{profile}/{variant}/{dataset}/seed{seed}/{digest}"
    taught_by = teacher if row.imitation else None
    curves = train(model, pictures, size, row, seed, taught_by, folder, watch, signature)
    wall = time.perf_counter() - started
    settle_mirror(model, pictures)
    overall, per_action = evaluate(model, test, actions)
    record = {
        "experiment": experiment,
        "variant": variant,
        "dataset": dataset,
        "profile": profile,
        "seed": seed,
        "metrics": overall | evaluate_real(model, row.recentre),
        "per_action": per_action,
        "curves": {f"dictionary_{name}": points for name, points in learned["curves"].items()}
        | curves,
        "parameters": {
            **asdict(row), **asdict(size), "dictionary_seconds": learned["seconds"],
            "start": learned["start"], "trials": learned["trials"],
            "atoms": list(dictionary.sizes) if dictionary else [],
        },
        "data_digest": results.data_digest(
            {"train_X": pictures.X, "test_X": test.X, "test_Y": test.Y}
        ),
        "modules": modules,
        "code_digest": digest,
        "device": results.device_name(device),
        "steps": steps,
        "samples_per_second": size.steps * size.batch / wall,
        "wall_seconds": wall + learned["seconds"],
    }  # fmt: skip
    if seed == 0:
        record["poses"] = examples(model, test, actions)
    return model, record


def examples(model: FactorizationNetwork, pictures: Pictures, actions: tuple[str, ...]) -> list:
    """Three instants from two sides, the same for every row: for Figure 4.3."""
    found = []
    for share in (1 / 6, 1 / 2, 5 / 6):
        instant = int(share * len(pictures))
        X, truth = pictures.X[instant, :2], pictures.Y[instant, :2]
        model.eval()
        with torch.inference_mode():
            Y_hat, R = model(X)
        pose = disentangle.least_squares_scale(Y_hat @ R, truth)
        found.append({
            "action": actions[instant], "instant": instant, "X": X, "canonical": Y_hat,
            "pose": pose, "truth": truth,
        })  # fmt: skip
    return found
