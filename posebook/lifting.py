"""Chapter 3's experiments: what is trained, on what, for how long, and how it is measured.

A variant says what makes a row of a table; a profile says how large everything is. `run` turns
both and a seed into one result record.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from posebook import losses, metrics, results
from posebook.camera import transform
from posebook.data.pairs import PairBatch, Views, collect, draw_views, gather, windows
from posebook.data.pose2sim import load_pose2sim
from posebook.data.views import SOURCE, ViewsSize, make_views
from posebook.data.virtual import add_virtual_views, recover_rigs, triangulate_labels, triangulated
from posebook.models.critic import Critic
from posebook.models.lifting import LiftingNetwork, global_pose
from posebook.skeleton import H36M, PCK3D_JOINTS
from posebook.training import Curves, EpochOrder, draw, fit, only_run_in, seeded

# The official ones are read by posebook.data.official from files that the reader holds: Human3.6M
# with detected or with true 2D joints, MPI-INF-3DHP.
DATASETS = (SOURCE, "human36m", "human36m-gt", "mpi-inf-3dhp")
LAMBDA = {"mpi-inf-3dhp": 1.5}  # of equation 3.7; 1 elsewhere (section 3.5)


@dataclass(frozen=True)
class Variant:
    """What makes a row.

    loss: "reproj" (3.2), "trans-reproj" (3.7), "supervised", or "triangulated" (supervised on
    triangulated detections). views: "real", or 8 virtual cameras more whose 2D poses are the
    "virtual" projections of the true 3D, or of "triangulated" detections. cameras: "known" or
    "recovered" from the detections. label_weights: confidences in the triangulation of labels.
    lam: lambda of equation 3.7. long_takes: the same number of frames in a third of the takes.
    """

    loss: str = "trans-reproj"
    adversarial: bool = False
    backbone: str = "linear"
    blocks: int = 4
    root: str = "center-ray"
    root_bias: tuple[float, float, float] = (0.0, 0.0, 0.0)
    pretrained: bool = False
    weight: str = "source"
    views: str = "real"
    cameras: str = "known"
    noise: str = "full"
    split: str = "subjects"
    label_weights: bool = False
    lam: float = 1.0
    long_takes: bool = False


_TRANS = Variant()
VARIANTS: dict[str, Variant] = {
    # Table 3.1
    "reproj": Variant(loss="reproj"),
    "reproj-adv": Variant(loss="reproj", adversarial=True),
    "trans-reproj": _TRANS,
    "trans-reproj-da": Variant(views="virtual"),
    "trans-reproj-da-triangulated": Variant(views="triangulated"),
    "supervised": Variant(loss="supervised"),
    # Table 3.2
    "reslinear": Variant(blocks=2),
    "temporal-dilated": Variant(backbone="temporal"),
    "trans-reproj-long-takes": Variant(long_takes=True),
    "temporal-dilated-long-takes": Variant(backbone="temporal", long_takes=True),
    "temporal-dilated-target-strong-occlusion": Variant(
        backbone="temporal", noise="strong-occlusion", weight="target"
    ),
    # Figure 3.6: what the root branch predicts, and how it starts
    "root-vector": Variant(root="vector"),
    "root-vector-pretrained": Variant(root="vector", pretrained=True),
    "root-vector-constant": Variant(root="vector", root_bias=(0.0, 0.0, 5.0)),
    "root-ray": Variant(root="root-ray"),
    # Confidence weights of equation 3.5
    "weight-target": Variant(weight="target"),
    "weight-product": Variant(weight="product"),
    "weight-none": Variant(weight="none"),
    # Tables 3.3 and 3.4: triangulated labels, at three kinds of noise
    "triangulated-labels": Variant(loss="triangulated"),
    "triangulated-labels-weighted": Variant(loss="triangulated", label_weights=True),
    "trans-reproj-uniform-noise": Variant(noise="uniform"),
    "triangulated-labels-uniform-noise": Variant(loss="triangulated", noise="uniform"),
    "trans-reproj-strong-occlusion": Variant(noise="strong-occlusion"),
    "trans-reproj-target-strong-occlusion": Variant(noise="strong-occlusion", weight="target"),
    "triangulated-labels-strong-occlusion": Variant(loss="triangulated", noise="strong-occlusion"),
    # No extrinsics
    "recovered-cameras": Variant(cameras="recovered"),
    # Generalisation to unseen actions
    "trans-reproj-unseen-actions": Variant(split="actions"),
    "supervised-unseen-actions": Variant(loss="supervised", split="actions"),
}  # fmt: skip

# What is run, in this order. The row `trans-reproj` of table-3.1 is also "ours" of Table 3.2, and
# the row with source weights, known cameras and the default root in the other experiments.
EXPERIMENTS: dict[str, tuple[str, ...]] = {
    "table-3.1": (
        "supervised", "trans-reproj", "reproj", "reproj-adv", "trans-reproj-da",
        "trans-reproj-da-triangulated",
    ),
    "figure-3.6": ("root-vector", "root-vector-pretrained", "root-vector-constant", "root-ray"),
    "table-3.2": (
        "reslinear", "temporal-dilated", "trans-reproj-long-takes", "temporal-dilated-long-takes",
        "temporal-dilated-target-strong-occlusion",
    ),
    "table-3.3": (
        "triangulated-labels", "triangulated-labels-weighted",
        "trans-reproj-strong-occlusion", "trans-reproj-target-strong-occlusion",
        "triangulated-labels-strong-occlusion", "trans-reproj-uniform-noise",
        "triangulated-labels-uniform-noise",
    ),
    "confidence-weights": ("weight-target", "weight-product", "weight-none"),
    "no-extrinsics": ("recovered-cameras",),
    "unseen-actions": ("trans-reproj-unseen-actions", "supervised-unseen-actions"),
}  # fmt: skip


@dataclass(frozen=True)
class Profile:
    """How large an experiment is. `steps` of training, after `pretraining_steps` of eq. 3.6.

    epochs, pretraining_epochs: where above 0 they set the steps, by the size of the data.
    """

    size: ViewsSize
    width: int
    dropout: float
    batch: int
    steps: int
    pretraining_steps: int
    learning_rate: float
    schedule: str
    frames: int
    critic_width: int
    evaluations: int = 20
    epochs: int = 0
    pretraining_epochs: int = 0


PROFILES: dict[str, Profile] = {
    "smoke": Profile(ViewsSize(1, 12, 1), 32, 0.0, 64, 40, 10, 4e-3, "one-cycle", 9, 32, 2),
    "laptop": Profile(ViewsSize(32, 27), 128, 0.0, 256, 3500, 300, 4e-3, "one-cycle", 27, 128),
    # The thesis' sizes: 300 epochs of 225 batches of 1024 instants after 20 epochs of pre-training.
    "gpu": Profile(ViewsSize(48, 64), 1024, 0.25, 1024, 67500, 4500, 1e-3, "thirds", 243, 1000),
    # The same on data of any size, such as the official sets.
    "paper": Profile(
        ViewsSize(48, 64), 1024, 0.25, 1024, 67500, 4500, 1e-3, "thirds", 243, 1000,
        epochs=300, pretraining_epochs=20,
    ),
}  # fmt: skip

# Of the critic's score beside L_reproj in squared focal lengths; of 1e-3, 3e-3 and 3e-2 the one
# with the smallest error on training people after 1,200 steps.
ADVERSARIAL_WEIGHT = 3e-3
PENALTY = 10.0  # WGAN-GP's


def settings(profile: str, variant: str, dataset: str = SOURCE) -> tuple[Profile, Variant]:
    """The profile and variant called so, or a ValueError that lists the known ones."""
    for kind, name, known in (
        ("profile", profile, PROFILES), ("variant", variant, VARIANTS),
        ("dataset", dataset, DATASETS),
    ):  # fmt: skip
        if name not in known:
            raise ValueError(f"unknown {kind} {name!r}; known: {', '.join(known)}")
    return PROFILES[profile], replace(VARIANTS[variant], lam=LAMBDA.get(dataset, 1.0))


def load(
    profile: Profile, variant: Variant, device="cpu", dataset: str = SOURCE
) -> tuple[Views, Views]:
    """Training and test views of a variant. The data is the same for every seed of training."""
    train, test = _sequences(profile, variant, dataset)
    if variant.views != "real":
        train = [add_virtual_views(s, from_truth=variant.views == "virtual") for s in train]
    views = collect(train, device)
    if variant.loss == "triangulated":
        views = triangulate_labels(views, train, weighted=variant.label_weights)
    if variant.cameras == "recovered":
        views = recover_rigs(views, train)
    return views, collect(test, device)


def _sequences(profile: Profile, variant: Variant, dataset: str):
    if dataset == SOURCE:
        size = profile.size
        if variant.long_takes:
            size = replace(size, takes=max(1, size.takes // 3), frames=3 * size.frames)
        return make_views(size, variant.split, variant.noise)
    # Imported only here: a change of the official readers must not outdate the embedded results.
    from posebook.data import official

    return official.load_views(dataset)


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
        return views.X[instant, view]
    return views.X[windows(views, instant, frames), view[:, None]]


def pair_loss(
    model: LiftingNetwork, views: Views, b: PairBatch, variant: Variant, pretraining: bool = False
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Loss of a batch of pairs, what to log, and the relative poses (2B, N, 3) behind it.

    Both views go through the network in one batch, so that batch normalisation sees both.
    """
    both = torch.cat([b.instant, b.instant]), torch.cat([b.v1, b.v2])
    X = inputs(views, *both, model.frames)
    if variant.loss in ("supervised", "triangulated"):
        Y = model.lift(X)
        Y1, Y2 = Y.chunk(2)
        truth = [metrics.root_relative(target) for target in (b.Y1, b.Y2)]
        return losses.supervised(Y1, Y2, *truth), {}, Y
    Y, r = model(X)
    G1, G2 = global_pose(Y, r).chunk(2)
    if pretraining:
        return losses.pretraining(G1, G2, b.R12, b.t12, b.R21, b.t21), {}, Y
    reproj = losses.reprojection(G1, G2, b.X1, b.X2, b.w1, b.w2)
    if variant.loss == "reproj":
        return reproj, {}, Y
    there, back = (b.R12, b.t12), (b.R21, b.t21)
    t_reproj = losses.transform_reprojection(
        G1, G2, b.X1, b.X2, b.w1, b.w2, *there, *back, variant.weight
    )
    with torch.no_grad():
        near = (transform(G1, *there)[..., 2] < losses.Z_MIN).float().mean()
    return losses.total(reproj, t_reproj, variant.lam), {"clamped_share": near}, Y


def predict(model: LiftingNetwork, views: Views, chunk: int = 4096) -> Tensor:
    """Root-relative poses (I, V, N, 3) of every instant and view, in evaluation mode."""
    model.eval()
    n, V = views.X.shape[:2]
    instant = torch.arange(n, device=views.device).repeat_interleave(V)
    view = torch.arange(V, device=views.device).repeat(n)
    with torch.inference_mode():
        parts = [
            model.lift(inputs(views, i, v, model.frames))
            for i, v in zip(instant.split(chunk), view.split(chunk), strict=True)
        ]
    return torch.cat(parts).unflatten(0, (n, V))


def errors(predicted: Tensor, views: Views) -> dict[str, Tensor]:
    """Per-pose errors (I * V,) in millimetres under the three protocols."""
    target = metrics.root_relative(views.Y).flatten(0, 1)
    predicted = predicted.flatten(0, 1)
    return {
        "mpjpe_mm": 1000 * metrics.mpjpe(predicted, target),
        "p_mpjpe_mm": 1000 * metrics.p_mpjpe(predicted, target),
        "n_mpjpe_mm": 1000 * metrics.n_mpjpe(predicted, target),
    }


def evaluate(model: LiftingNetwork, views: Views) -> tuple[dict[str, float], dict[str, dict]]:
    """Test metrics (means over actions, as the protocols ask) and the same for each action."""
    actions = [views.actions[a] for a in views.action.repeat_interleave(views.views).tolist()]
    per_action: dict[str, dict[str, float]] = {}
    overall = {}
    predicted = predict(model, views)
    for name, error in errors(predicted, views).items():
        means = metrics.action_means(error, actions)
        overall[name] = float(np.mean(list(means.values())))
        for action, mean in means.items():
            per_action.setdefault(action, {})[name] = mean
    target = metrics.root_relative(views.Y)
    overall["pck3d_150"] = float(metrics.pck3d(predicted, target).mean())
    overall["auc3d"] = float(metrics.auc3d(predicted, target).mean())
    overall["bone_length_error_mm"] = 1000 * float(_bone_spread(predicted, views))
    return overall, per_action


def _bone_spread(predicted: Tensor, views: Views) -> Tensor:
    """Mean absolute error of the bones' lengths, metres: does the skeleton fit the person?"""
    parents, children = (list(part) for part in zip(*H36M.bones, strict=True))
    length = lambda Y: (Y[..., children, :] - Y[..., parents, :]).norm(dim=-1)  # noqa: E731
    return (length(predicted) - length(views.Y)).abs().mean()


def evaluate_real(model: LiftingNetwork) -> dict[str, float]:
    """Distance to triangulation on the real detections of `posebook.data.pose2sim`.

    The reference is made from the same detections (10 to 16 mm of uncertainty of its own), over
    the 14 joints of MPI-INF-3DHP's protocol: a ranking, not a benchmark's MPJPE.
    """
    sequence = load_pose2sim()
    device = next(model.parameters()).device
    views = collect([sequence], device)
    world = triangulated(sequence, weighted=True, least_confidence=0.3)
    truth = np.stack([c.to_camera(world) for c in sequence.cameras], axis=1)
    target = metrics.root_relative(torch.as_tensor(truth, dtype=torch.float32, device=device))
    error = (predict(model, views) - target).norm(dim=-1)[..., PCK3D_JOINTS] * 1000
    known = error[error.isfinite()]  # a joint that fewer than two views see has no reference
    thresholds = torch.arange(0, 151, 5, device=device)
    return {
        "real_distance_mm": float(known.mean()),
        "real_pck3d_150": 100 * float((known < 150).float().mean()),
        "real_auc3d": 100 * float((known[:, None] < thresholds).float().mean()),
    }


def train(
    model: LiftingNetwork,
    views: Views,
    profile: Profile,
    variant: Variant,
    seed: int,
    folder: Path | None = None,
    watch: Callable[[], Mapping[str, float]] | None = None,
    signature: str = "",
) -> Curves:
    """Train `model`; pre-training (eq. 3.6) first where the variant asks for it.

    folder: where checkpoints go, and from where a killed run is resumed; None for none.
    watch: numbers to log now and then in evaluation mode.
    """
    order = EpochOrder(len(views), profile.batch, seed, views.device)
    critic = _critic(views, profile) if variant.adversarial else None

    def batch(step: int) -> PairBatch:
        instant = order.batch(step)
        return gather(views, instant, *draw_views(views, len(instant), draw(seed, step)))

    def loss(step: int):
        value, logs, Y = pair_loss(model, views, batch(step), variant)
        if critic:
            score = critic.model(Y).mean()
            return value - ADVERSARIAL_WEIGHT * score, logs
        return value, logs

    def pre_loss(step: int):
        value, _, Y = pair_loss(model, views, batch(step), variant, pretraining=True)
        return value, {"bone_length": metrics.mean_bone_length(Y.detach()).mean()}

    common = dict(
        learning_rate=profile.learning_rate, max_norm=1.0, signature=signature,
        evaluate=watch, log_every=max(1, profile.steps // 200),
    )  # fmt: skip
    curves: Curves = {}
    if variant.pretrained:
        stage = fit(
            model, pre_loss, steps=profile.pretraining_steps, description="pre-training",
            schedule="constant", checkpoint=folder and folder / "pretraining.pt", **common,
        )  # fmt: skip
        curves |= {f"pretraining_{name}": points for name, points in stage.items()}
    curves |= fit(
        model, loss, steps=profile.steps, description="training",
        schedule=profile.schedule, evaluate_every=max(1, profile.steps // profile.evaluations),
        before_step=critic and (lambda step: critic.update(model, batch(step), step, seed)),
        companions=critic and {"critic": critic.model, "critic_optimiser": critic.optimiser},
        checkpoint=folder and folder / "training.pt", **common,
    )  # fmt: skip
    return curves


@dataclass(frozen=True, eq=False)
class _Adversary:
    """The critic, its optimiser, and the unpaired true poses (I, V, N, 3) it learns from."""

    model: Critic
    optimiser: torch.optim.Optimizer
    views: Views

    def update(self, lifter: LiftingNetwork, b: PairBatch, step: int, seed: int) -> dict:
        """One step of WGAN-GP; real poses are drawn apart from the batch: unpaired."""
        generator = draw(seed + 7, step)
        n = len(b.instant)
        at = torch.randint(len(self.views), (n,), generator=generator).to(self.views.device)
        view = torch.randint(self.views.views, (n,), generator=generator).to(self.views.device)
        real = metrics.root_relative(self.views.Y[at, view])
        with torch.no_grad():
            fake = lifter.lift(inputs(self.views, b.instant, b.v1, lifter.frames))
        gap = self.model(fake).mean() - self.model(real).mean()
        mix = torch.rand(n, generator=generator).to(real.device)
        value = gap + PENALTY * losses.gradient_penalty(self.model, real, fake, mix)
        self.optimiser.zero_grad(set_to_none=True)
        value.backward()
        self.optimiser.step()
        return {"critic_gap": -gap}


def _critic(views: Views, profile: Profile) -> _Adversary:
    model = Critic(chain_width=profile.critic_width).to(views.device)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.5, 0.9), fused=True)
    return _Adversary(model, optimiser, views)


def run(
    profile: str,
    variant: str,
    seed: int,
    *,
    dataset: str = SOURCE,
    experiment: str = "table-3.1",
    folder: Path | None = None,
    device: str = "cpu",
) -> tuple[LiftingNetwork, dict]:
    """Train and measure one variant; returns the model and the record for `write_result`.

    folder: the run's own folder for checkpoints; a second process in it is refused.
    """
    size, row = settings(profile, variant, dataset)
    with only_run_in(folder):
        return _run(size, row, profile, variant, seed, dataset, experiment, folder, device)


def in_steps(profile: Profile, instants: int) -> Profile:
    """A profile whose epochs, if it counts in them, are steps over data of so many instants."""
    if not profile.epochs:
        return profile
    epoch = max(1, instants // profile.batch)
    return replace(
        profile, steps=profile.epochs * epoch,
        pretraining_steps=profile.pretraining_epochs * epoch,
    )  # fmt: skip


def _run(size, row, profile, variant, seed, dataset, experiment, folder, device):
    seeded(seed)
    model = build(size, row).to(device)
    views, test = load(size, row, device, dataset)
    size = in_steps(size, len(views))
    modules = results.imported_modules()
    digest = results.code_digest(modules)

    def watch() -> dict[str, float]:
        predicted = predict(model, test)
        return {
            "mpjpe_mm": float(errors(predicted, test)["mpjpe_mm"].mean()),
            "bone_length_mm": 1000 * float(metrics.mean_bone_length(predicted).mean()),
        }

    started = time.perf_counter()
    signature = f"{profile}/{variant}/{dataset}/seed{seed}/{digest}"
    curves = train(model, views, size, row, seed, folder, watch, signature)
    wall = time.perf_counter() - started
    overall, per_action = evaluate(model, test)
    steps = size.steps + size.pretraining_steps * row.pretrained
    record = {
        "experiment": experiment,
        "variant": variant,
        "dataset": dataset,
        "profile": profile,
        "seed": seed,
        "metrics": overall | evaluate_real(model),
        "per_action": per_action,
        "curves": curves,
        "parameters": {**asdict(row), **asdict(size)},
        "data_digest": results.data_digest(
            {"train_X": views.X, "train_w": views.w, "test_X": test.X, "test_Y": test.Y}
        ),
        "modules": modules,
        "code_digest": digest,
        "device": results.device_name(device),
        "steps": steps,
        "samples_per_second": steps * size.batch / wall,
        "wall_seconds": wall,
    }
    return model, record
