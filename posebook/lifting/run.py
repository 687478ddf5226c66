"""One row of chapter 3, from its data to its numbers."""

from dataclasses import asdict
from pathlib import Path

from posebook.data.sources import EMBEDDED_VIEWS
from posebook.data.views import Views
from posebook.lifting.evaluate import errors, evaluate, evaluate_real, predict
from posebook.lifting.prepare import build, load
from posebook.lifting.rows import Profile, Variant, in_steps, steps_of
from posebook.lifting.train import train
from posebook.metrics.pose3d import mean_bone_length
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
    data: tuple[Views, Views] | None = None,
) -> Outcome:
    """Train and measure a variant.

    Args:
        folder: for checkpoints, and from where a killed run goes on; None for none.
        data: what `posebook.lifting.prepare.load` gives, where rows share it.
    """
    seed_everything(seed)
    model = build(profile, variant).to(device)
    views, test = data or load(profile, variant, device, dataset)
    profile = in_steps(profile, len(views))

    def validate() -> dict[str, float]:
        predicted = predict(model, test)
        error, length = errors(predicted, test)["mpjpe_mm"], mean_bone_length(predicted)
        # Of a view that has seen nobody there is no pose.
        error, length = (float(part[part.isfinite()].mean()) for part in (error, length))
        return {"mpjpe_mm": error, "bone_length_mm": 1000 * length}

    clock = Clock()
    curves = train(model, views, profile, variant, seed, folder, validate, clock)
    seconds = clock.seconds
    overall, per_action = evaluate(model, test)
    steps = steps_of(profile, variant) + profile.pretraining_steps * variant.pretrained
    return Outcome(
        networks=(model,),
        metrics=overall | evaluate_real(model),
        per_action=per_action,
        curves=curves,
        data={"train_X": views.X, "train_w": views.w, "test_X": test.X, "test_Y": test.Y},
        parameters={**asdict(variant), **asdict(profile)},
        steps=steps,
        samples=steps * profile.batch,
        seconds=seconds,
        training_seconds=seconds,
    )
