"""A lifter that learns from a rig's own detections, without a label, and how good it is.

The transform re-projection loss (equation 3.7) on the first three quarters of the frames; from the
start, or from weights that were trained elsewhere. What is measured lies in the last quarter: how
far bodies that one camera lifted are from what the other cameras saw, and from triangulation.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_of

from posebook.data.plausible import DOUBTS
from posebook.data.records import ViewSequence
from posebook.data.views import Views, collect
from posebook.data.virtual import triangulated
from posebook.footage.lifter import LIFTERS, in_space
from posebook.footage.lifter import NETWORK as BEGIN
from posebook.geometry.skeleton import PCK3D_JOINTS
from posebook.lifting.consensus import Teacher
from posebook.lifting.network import LiftingNetwork
from posebook.lifting.prepare import build, inputs, prepare_takes
from posebook.lifting.rows import PROFILES, VARIANTS, Variant
from posebook.lifting.student import Student
from posebook.lifting.train import train
from posebook.trained.networks import load
from posebook.training.draws import seed_everything

TRAINED = 0.75  # of the frames, from the start
SURE = 0.3  # detections below are not measured against
ROW = "trans-reproj"  # whose network and loss it is
# Some seconds of one person are little: samples are made new at every step, without labels.
AUGMENTED = replace(VARIANTS["trans-reproj-augmented-flip"], longer=False)


@dataclass(frozen=True, eq=False)
class Learned:
    """What came of a training.

    Attributes:
        world: (T, V, 17, 3) bodies as each camera alone lifts them, metres; NaN where it sees none.
        first: frames that were learned from.
        rest: those that were measured.
        numbers: of `measure`.
        before: those of the weights that it began with, if any.
    """

    world: np.ndarray
    first: np.ndarray
    rest: np.ndarray
    numbers: dict[str, float]
    before: dict[str, float] | None

    def text(self) -> str:
        """The evaluation in words."""
        now = self.numbers
        said = (
            f"Learned from {len(self.first)} frames, measured on {len(self.rest)} later ones. "
            f"Bodies that one camera lifted lie {now['left_out_px']:.1f} px (median "
            f"{now['left_out_median_px']:.1f}) from the joints in the pictures of cameras that "
            f"were left out, and, root on root, {now['distance_mm']:.0f} mm from triangulation "
            "(14 joints)."
        )
        if self.before:
            gain = 1 - now["left_out_px"] / self.before["left_out_px"]
            said += (
                f" Before, with the weights that it began with, {self.before['left_out_px']:.1f} "
                f"px and {self.before['distance_mm']:.0f} mm: "
            )
            said += (
                f"{gain:.0%} of the pixels are gone." if gain > 0 else
                f"training has made it {-gain:.1%} worse by pixels; give a longer take, or more or "
                "fewer --steps."
            )
        return said


def learn(
    take: ViewSequence, steps: int, weights: str = BEGIN, seed: int = 0,
    say: Callable[[str], None] = print,
) -> Learned:  # fmt: skip
    """Train on the first frames of a take, measure on the rest.

    Args:
        weights: to begin with: one of `LIFTERS`, or a safetensors file of the network of
            `trans-reproj`; "" to begin from nothing.

    Raises:
        ValueError: for a take in which two cameras see too little, or weights of another network.
    """
    seen = np.flatnonzero((take.confidence.any(2).sum(1)) > 1)
    first, rest = np.split(seen, [int(TRAINED * len(seen))])
    if len(first) < 2 or not len(rest):
        raise ValueError(f"{take.source}: two cameras see the person in {len(seen)} frames, too "
                         "few to learn from; give a longer take")  # fmt: skip
    seed_everything(seed)
    model, variant = begin(weights)
    if (take.confidence > 0).sum(1).max() < 3:
        variant = replace(variant, teacher=Teacher(weighted=False, exchanges=False))
        say("no joint is seen by three cameras, so nothing tells how the detector errs: its joints "
            "count alike; a third camera would make training better")  # fmt: skip
    before = measure(take, lifted(model, take), rest) if weights else None
    views = prepare_takes([_frames(take, first)], variant, trust=DOUBTS)  # the report says them
    profile = replace(PROFILES["laptop"], steps=steps, batch=min(256, len(first)))
    train(model, views, profile, variant, seed=seed)
    world = lifted(model, take)
    learned = Learned(world, first, rest, measure(take, world, rest), before)
    say(learned.text())
    return learned


def begin(weights: str = "") -> tuple[LiftingNetwork | Student, Variant]:
    """A network with the weights it begins with, and how it is trained: always by equation 3.7."""
    if weights in LIFTERS:
        (model,), _ = load(weights)
        variant = replace(AUGMENTED, student=VARIANTS[weights].student)
        return model.requires_grad_(True), variant
    variant = replace(AUGMENTED, student=None)
    model = build(PROFILES["laptop"], VARIANTS[ROW])
    if weights:
        _fill(model, Path(weights))
    return model, variant


def refuse_absent(weights: str) -> None:
    """Raise a ValueError for weights that are neither a lifter's name nor a file, nor ""."""
    if weights not in ("", *LIFTERS) and not Path(weights).is_file():
        raise ValueError(f"no weights {weights!r}: neither a file nor one of "
                         f"{', '.join(LIFTERS)}; give one of them")  # fmt: skip


def _fill(model: LiftingNetwork, path: Path) -> None:
    refuse_absent(str(path))
    try:
        model.load_state_dict(tensors_of(path.read_bytes()))
    except (SafetensorError, RuntimeError) as problem:
        said = str(problem).splitlines()[-1].strip()
        raise ValueError(
            f"{path}: not weights of the network of {ROW}, profile laptop ({said}); give such a "
            f"safetensors file, or one of {', '.join(LIFTERS)}"
        ) from None


def _frames(take: ViewSequence, at: np.ndarray) -> ViewSequence:
    return replace(take, joints_2d=take.joints_2d[at], confidence=take.confidence[at])


def lifted(model: LiftingNetwork | Student, take: ViewSequence) -> np.ndarray:
    """(T, V, 17, 3) bodies in the world as each camera alone lifts them; NaN where it sees none."""
    views: Views = collect([take], trust=DOUBTS)
    model.eval()
    instant, found = torch.arange(len(take)), []
    with torch.inference_mode():
        for v, camera in enumerate(take.cameras):
            view = torch.full_like(instant, v)
            x = inputs(views, instant, view, model.frames, model.confidences)
            world = camera.to_world(in_space(model, x).double().numpy())
            found.append(np.where(take.confidence[:, v].any(-1)[:, None, None], world, np.nan))
    return np.stack(found, axis=1)


def merged(take: ViewSequence, world: np.ndarray) -> np.ndarray:
    """(T, 17, 3) the middle of what the cameras say; NaN in frames that none of them sees."""
    bodies = np.full(world[:, 0].shape, np.nan)
    seen = take.confidence.any((1, 2))
    bodies[seen] = np.nanmedian(world[seen], axis=1)
    return bodies


def reference(take: ViewSequence) -> np.ndarray:
    """(T, 17, 3) triangulated bodies; NaN where two cameras are not sure of a joint."""
    return triangulated(take, weighted=True, least_confidence=SURE)


def measure(take: ViewSequence, world: np.ndarray, frames: np.ndarray) -> dict[str, float]:
    """How far bodies that one camera lifted lie from what the other cameras saw, and from space."""
    off, distance = [], []
    truth = reference(take)
    for v in range(len(take.cameras)):
        Y = world[frames, v]
        d = (Y - Y[:, :1]) - (truth[frames] - truth[frames, :1])
        distance.append(np.linalg.norm(d, axis=-1)[:, PCK3D_JOINTS].ravel())
        for u, camera in enumerate(take.cameras):
            if u != v:
                pixels, sure = take.joints_2d[frames, u], take.confidence[frames, u] > SURE
                apart = np.linalg.norm(camera.project(Y) - pixels, axis=-1)
                off.append(apart[sure])
    mean = lambda values: float(np.nanmean(np.concatenate(values)))  # noqa: E731
    return {
        "left_out_px": mean(off),
        "left_out_median_px": float(np.nanmedian(np.concatenate(off))),
        "distance_mm": 1000 * mean(distance),
    }
