"""One row of chapter 4, from its data to its numbers."""

import copy
from dataclasses import asdict, replace
from pathlib import Path

from posebook.data.sources import EMBEDDED_VIEWS
from posebook.factorization.dictionary import Dictionary
from posebook.factorization.evaluate import evaluate, evaluate_real, predict, settle_mirror
from posebook.factorization.examples import example_poses
from posebook.factorization.learn_dictionary import new_dictionary, shared_dictionary
from posebook.factorization.network import FactorizationNetwork
from posebook.factorization.pictures import Pictures
from posebook.factorization.prepare import build, load
from posebook.factorization.rows import Profile, Variant, in_steps
from posebook.factorization.starts import TRIAL, best_of, score_of
from posebook.factorization.train import train
from posebook.metrics.pose3d import p_mpjpe
from posebook.results.outcome import Outcome
from posebook.training.checkpoint import Clock
from posebook.training.draws import seed_everything


def run_row(
    profile: Profile,
    variant: Variant,
    seed: int,
    *,
    dataset: str = EMBEDDED_VIEWS,
    device: str = "cpu",
    folder: Path | None = None,
    cache: Path | None = None,
    data: tuple[Pictures, Pictures, tuple[str, ...]] | None = None,
) -> Outcome:
    """Train and measure a variant.

    Args:
        folder: for checkpoints, and from where a killed run goes on; None for none.
        cache: where learned dictionaries are kept for other rows; None for nowhere.
        data: what `posebook.factorization.prepare.load` gives, where rows share it.
    """
    pictures, test, actions = data or load(profile, variant, device, dataset)
    profile = in_steps(profile, pictures)
    steps = profile.steps
    if variant.pretrained or variant.as_long:
        steps += profile.dictionary_steps
    if variant.pretrained:
        teacher, learned = shared_dictionary(pictures, profile, variant, seed, cache)
        # The teacher keeps a dictionary of its own, and the network goes on with a copy.
        model = _untrained(profile, variant, seed, copy.deepcopy(teacher.dictionary)).to(device)
        teacher.requires_grad_(False).eval()
    else:
        teacher, profile = None, replace(profile, steps=steps)
        model, learned = _best_untrained(profile, variant, pictures, seed)

    def validate() -> dict[str, float]:
        Y_hat, R = predict(model, test, thin=4)
        return {"p_mpjpe_mm": 1000 * float(p_mpjpe(Y_hat @ R, test.Y[::4]).mean())}

    clock, taught_by = Clock(), teacher if variant.imitation else None
    curves = train(model, pictures, profile, variant, seed, taught_by, folder, validate, clock)
    seconds = clock.seconds
    settle_mirror(model, pictures)
    overall, per_action = evaluate(model, test, actions)
    return Outcome(
        networks=(model,),
        metrics=overall | evaluate_real(model, variant.recentre),
        per_action=per_action,
        curves={f"dictionary_{name}": points for name, points in learned["curves"].items()}
        | curves,
        data={"train_X": pictures.X, "test_X": test.X, "test_Y": test.Y},
        parameters={
            **asdict(variant), **asdict(profile), "dictionary_seconds": learned["seconds"],
            "start": learned["start"], "trials": learned["trials"],
            "atoms": list(model.dictionary.sizes) if model.dictionary else [],
        },
        steps=steps,
        samples=profile.steps * profile.batch,
        seconds=seconds + learned["seconds"],
        training_seconds=seconds,
        poses=example_poses(model, test, actions) if seed == 0 else (),
    )  # fmt: skip


def _untrained(profile: Profile, variant: Variant, seed: int, dictionary: Dictionary | None):
    # Seeded here, so that a run is the same whether it learned the dictionary or found it.
    seed_everything(seed + 1)
    return build(profile, variant, dictionary)


def _best_untrained(
    profile: Profile, variant: Variant, pictures: Pictures, seed: int
) -> tuple[FactorizationNetwork, dict]:
    """A network without a dictionary that was learned first, from the best of its starts."""
    clock = Clock()
    short = replace(profile, steps=min(TRIAL, profile.steps))

    def begin(start: int) -> FactorizationNetwork:
        seed_everything(start)
        dictionary = new_dictionary(profile, variant, pictures)
        return _untrained(profile, variant, start, dictionary).to(pictures.device)

    def trial(start: int) -> float:
        model = begin(start)
        curves = train(model, pictures, short, variant, start)
        return score_of(model, curves, pictures, variant)

    start, trials = best_of(variant.restarts, seed, trial)
    seconds = clock.seconds if trials else 0.0
    return begin(start), {"curves": {}, "seconds": seconds, "start": start, "trials": trials}
