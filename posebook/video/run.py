"""One row of chapter 2, from its clips to its numbers."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from posebook.data.sources import EMBEDDED_VIDEO
from posebook.results.outcome import Outcome
from posebook.storage import whole
from posebook.training import processes
from posebook.training.checkpoint import Clock
from posebook.training.draws import seed_everything
from posebook.video import measures
from posebook.video.backbone import Encoder
from posebook.video.evaluate import evaluate
from posebook.video.frames import fingerprint
from posebook.video.inference import multiplications
from posebook.video.measures import Predictions
from posebook.video.network import VideoNetwork
from posebook.video.predict import predict
from posebook.video.prepare import Setting, build, prepare
from posebook.video.rows import Profile, Variant, in_steps, length_of
from posebook.video.train import check_processes, train


def run_row(
    profile: Profile,
    variant: Variant,
    seed: int,
    *,
    dataset: str = EMBEDDED_VIDEO,
    device: str = "cpu",
    folder: Path | None = None,
    cache: Path | None = None,
    data: Setting | None = None,
) -> Outcome:
    """Train and measure a variant; its networks are the encoder and the network behind it.

    Args:
        folder: for the checkpoint, the trained network and its predictions; None for none.
        cache: where base networks and features are kept; default `paths.cache_folder()`.
        data: what `posebook.video.prepare.prepare` gives, where rows share it.
    """
    check_processes(profile, variant)
    with processes.each_alone():  # one makes what caches lack, the others wait for it
        setting = data or prepare(profile, variant, seed, dataset, device, cache)
    profile = in_steps(profile, len(setting.train))
    seed_everything(seed)
    model = build(profile, variant, setting.base, len(setting.train.joint_set)).to(device)
    features, every_fifth = setting.test_features, torch.arange(0, len(setting.test), 5)

    def validate() -> dict[str, float]:
        predicted = predict(model, features, profile, variant, targets=every_fifth)
        return measures.watched(predicted, setting.test, every_fifth)

    base = setting.base_record
    curves, seconds = base["curves"], base["wall_seconds"]
    steps, samples = base["steps"], base["steps"] * profile.base.batch
    if variant.trained:
        clock = Clock()
        curves = train(model, setting, profile, variant, seed, folder, validate, clock)
        seconds, steps = clock.seconds, length_of(profile, variant)[0]
        samples = steps * profile.segments * profile.length
    predicted, overall, per_action, drawn = evaluate(model, features, profile, variant)
    overall |= costs(setting.base.encoder, model, profile, variant)
    if folder and processes.rank() == 0:
        _keep(folder, model, setting.base.encoder, predicted)
    parts = {"train": setting.train, "test": setting.test}
    return Outcome(
        networks=(setting.base.encoder, model),
        metrics=overall,
        per_action=per_action,
        curves=curves | drawn,
        data={name: np.array(fingerprint(part)) for name, part in parts.items()},
        parameters={**asdict(variant), **asdict(profile), "base_key": base["key"]},
        steps=steps,
        samples=samples,
        seconds=seconds,
        training_seconds=seconds,
    )


def costs(
    encoder: Encoder, model: VideoNetwork, profile: Profile, variant: Variant
) -> dict[str, float]:
    """Weights behind the encoder, and multiplications a frame with all frames encoded once."""
    N = variant.N if variant.temporal and not variant.flow else 0
    forms = ("cached", "stream") if "stream" in variant.also else ("cached",)
    counts = {
        form: sum(multiplications(encoder, model, profile.base.crop, N, form).values())
        for form in forms
    }
    return {
        "weights": sum(part.numel() for part in model.parameters()),
        **{f"gmac_per_frame_{form}": count / 1e9 for form, count in counts.items()},
    }


def _keep(folder: Path, model: VideoNetwork, encoder: Encoder, predicted: Predictions) -> None:
    """Trained weights and test predictions, for whoever wants to look closer later."""
    with whole(folder / "network.pt") as file:
        torch.save({"encoder": encoder.state_dict(), "model": model.state_dict()}, file)
    with whole(folder / "predictions.npz") as file:
        np.savez_compressed(file, **predicted._asdict())
