"""Section 3.5 to the letter: does the two-branch network train without pre-training?

    python -m posebook.literal --profile laptop --variant root-vector-plain --seed 0

The other rows of Figure 3.6 share what makes our training robust: a projection that is clamped
near its pole, and clipped gradients. These two rows have neither. They take equation 3.1 as it is
printed, the root as three free numbers, and Adam; one of them is pre-trained with equation 3.6.
"""

import argparse
import time
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from posebook import lifting, losses, metrics, results
from posebook.camera import transform
from posebook.data.pairs import PairBatch, draw_views, gather
from posebook.models.lifting import global_pose
from posebook.training import EpochOrder, draw, fit, only_run_in, seeded

EXPERIMENT = "figure-3.6"
VARIANTS = {"root-vector-plain": False, "root-vector-plain-pretrained": True}  # pre-trained?


def plain_projection(Y: Tensor) -> Tensor:
    """Equation 3.1 in rays, (..., 3) to (..., 2), pole and all."""
    return Y[..., :2] / Y[..., 2:]


def plain_loss(G1: Tensor, G2: Tensor, b: PairBatch) -> Tensor:
    """Equation 3.7 with lambda = 1 of global poses (B, N, 3), by the plain projection."""
    rho = plain_projection
    reproj = losses.squared_error(b.X1, rho(G1), b.w1) + losses.squared_error(b.X2, rho(G2), b.w2)
    there, back = rho(transform(G1, b.R12, b.t12)), rho(transform(G2, b.R21, b.t21))
    t_reproj = losses.squared_error(b.X2, there, b.w1) + losses.squared_error(b.X1, back, b.w2)
    return losses.total(reproj, t_reproj)


def run(profile: str, variant: str, seed: int, folder: Path | None = None) -> dict:
    """Train and measure one of the two rows; returns the record for `write_result`."""
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}; known: {', '.join(VARIANTS)}")
    size, row = lifting.settings(profile, "root-vector")
    seeded(seed)
    model = lifting.build(size, row)
    views, test = lifting.load(size, row)
    modules = sorted({*results.imported_modules(), "posebook.literal"})
    digest = results.code_digest(modules)
    order = EpochOrder(len(views), size.batch, seed)

    def global_poses(step: int):
        instant = order.batch(step)
        b = gather(views, instant, *draw_views(views, len(instant), draw(seed, step)))
        Y, r = model(torch.cat([b.X1, b.X2]))
        return b, Y, global_pose(Y, r).chunk(2)

    def pretraining(step: int):
        b, Y, (G1, G2) = global_poses(step)
        value = losses.pretraining(G1, G2, b.R12, b.t12, b.R21, b.t21)
        return value, {"bone_length": metrics.mean_bone_length(Y.detach()).mean()}

    def training(step: int):
        b, _, (G1, G2) = global_poses(step)
        return plain_loss(G1, G2, b), {}

    def watch() -> dict[str, float]:
        predicted = lifting.predict(model, test)
        return {"mpjpe_mm": float(lifting.errors(predicted, test)["mpjpe_mm"].mean())}

    common = {
        "learning_rate": size.learning_rate,
        "log_every": max(1, size.steps // 200),
        "signature": f"{profile}/{variant}/seed{seed}/{digest}",
        "evaluate": watch,
    }
    started = time.perf_counter()
    curves = {}
    if VARIANTS[variant]:
        stage = fit(
            model, pretraining, steps=size.pretraining_steps, schedule="constant",
            checkpoint=folder and folder / "pretraining.pt", description="pre-training", **common,
        )  # fmt: skip
        curves |= {f"pretraining_{name}": points for name, points in stage.items()}
    curves |= fit(
        model, training, steps=size.steps, schedule=size.schedule,
        evaluate_every=max(1, size.steps // size.evaluations),
        checkpoint=folder and folder / "training.pt", **common,
    )  # fmt: skip
    wall = time.perf_counter() - started
    overall, per_action = lifting.evaluate(model, test)
    steps = size.steps + size.pretraining_steps * VARIANTS[variant]
    return {
        "experiment": EXPERIMENT,
        "variant": variant,
        "dataset": lifting.SOURCE,
        "profile": profile,
        "seed": seed,
        "metrics": overall,
        "per_action": per_action,
        "curves": curves,
        "parameters": {**asdict(row), **asdict(size), "projection": "plain", "max_norm": None},
        "data_digest": results.data_digest(
            {"train_X": views.X, "train_w": views.w, "test_X": test.X, "test_Y": test.Y}
        ),
        "modules": modules,
        "code_digest": digest,
        "device": results.device_name("cpu"),
        "steps": steps,
        "samples_per_second": steps * size.batch / wall,
        "wall_seconds": wall,
    }


def main() -> None:
    """Write one record into book/results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", choices=lifting.PROFILES, default="laptop")
    parser.add_argument("--variant", choices=VARIANTS, required=True)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    folder = Path(f"runs/{wanted.profile}/{EXPERIMENT}/{wanted.variant}--seed{wanted.seed}")
    with only_run_in(folder):
        record = run(wanted.profile, wanted.variant, wanted.seed, folder)
    print("written:", results.write_result(results.results_folder(), record))


if __name__ == "__main__":
    main()
