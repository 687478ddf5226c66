"""Table 3.3 taken apart: what a network is told of the other views, and who says where it is.

    python -m posebook.ablation --profile laptop --variant triangulated-root --seed 0

The transform re-projection loss and training on triangulated labels differ in two things at once.
One compares in pictures, the other in space; and only one needs the root branch, because labels
are compared relative to their root. The rows here change one of the two.
"""

import argparse
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from posebook import lifting, losses, results
from posebook.data.pairs import PairBatch, Views, draw_views, gather
from posebook.lifting import Variant
from posebook.models.lifting import LiftingNetwork, global_pose
from posebook.training import EpochOrder, draw, fit, only_run_in, seeded

EXPERIMENT = "ablation-3.3"


@dataclass(frozen=True)
class Row:
    """variant: data, noise and weights, as in `posebook.lifting`; loss "triangulated" makes the
    3D labels of the training data triangulated ones. told: compare in "pictures" (equation 3.7)
    or in "space" (distances to 3D labels). root: from the "branch", or from the "labels".
    lam: lambda of equation 3.7.
    """

    variant: Variant
    told: str
    root: str
    lam: float = 1.0


_LABELS = Variant(loss="triangulated")
_STRONG = "strong-occlusion"
ROWS = {
    "triangulated-root": Row(_LABELS, "pictures", "labels"),
    "global-labels": Row(_LABELS, "space", "branch"),
    "lambda-3": Row(Variant(), "pictures", "branch", lam=3.0),
    "triangulated-root-target-strong-occlusion": Row(
        Variant(loss="triangulated", weight="target", noise=_STRONG, label_weights=True),
        "pictures", "labels",
    ),
    "triangulated-labels-weighted-strong-occlusion": Row(
        Variant(loss="triangulated", noise=_STRONG, label_weights=True), "space", "labels"
    ),
    "supervised-strong-occlusion": Row(
        Variant(loss="supervised", noise=_STRONG), "space", "labels"
    ),
}  # fmt: skip


def pair_loss(model: LiftingNetwork, b: PairBatch, row: Row) -> Tensor:
    """The loss of a batch of pairs; see `Row`."""
    X = torch.cat([b.X1, b.X2])
    if (row.told, row.root) == ("space", "labels"):  # poses relative to the root on both sides
        relative = [Y - Y[:, :1] for Y in (b.Y1, b.Y2)]
        return losses.supervised(*model.lift(X).chunk(2), *relative)
    Y, r = model(X)
    if row.root == "labels":
        r = torch.cat([b.Y1[:, 0], b.Y2[:, 0]])
    G1, G2 = global_pose(Y, r).chunk(2)
    if row.told == "space":
        return losses.supervised(G1, G2, b.Y1, b.Y2)
    reproj = losses.reprojection(G1, G2, b.X1, b.X2, b.w1, b.w2)
    t_reproj = losses.transform_reprojection(
        G1, G2, b.X1, b.X2, b.w1, b.w2, b.R12, b.t12, b.R21, b.t21, row.variant.weight
    )
    return losses.total(reproj, t_reproj, row.lam)


def run(
    profile: str, name: str, seed: int, folder: Path | None = None, rows: dict[str, Row] = ROWS
) -> dict:
    """Train and measure one row as `posebook.lifting.run` does; the record for `write_result`."""
    if name not in rows:
        raise ValueError(f"unknown variant {name!r}; known: {', '.join(rows)}")
    row, size = rows[name], lifting.settings(profile, "trans-reproj")[0]
    seeded(seed)
    model = lifting.build(size, row.variant)
    views, test = lifting.load(size, row.variant)
    modules = sorted({*results.imported_modules(), "posebook.ablation"})
    digest = results.code_digest(modules)
    started = time.perf_counter()
    curves = _train(model, views, test, row, size, seed, folder, f"{profile}/{name}/{digest}")
    wall = time.perf_counter() - started
    overall, per_action = lifting.evaluate(model, test)
    return {
        "experiment": EXPERIMENT,
        "variant": name,
        "dataset": lifting.SOURCE,
        "profile": profile,
        "seed": seed,
        "metrics": overall | lifting.evaluate_real(model),
        "per_action": per_action,
        "curves": curves,
        "parameters": asdict(row.variant)
        | asdict(size)
        | {"told": row.told, "root_from": row.root, "lam": row.lam},
        "data_digest": results.data_digest(
            {"train_X": views.X, "train_w": views.w, "test_X": test.X, "test_Y": test.Y}
        ),
        "modules": modules,
        "code_digest": digest,
        "device": results.device_name("cpu"),
        "steps": size.steps,
        "samples_per_second": size.steps * size.batch / wall,
        "wall_seconds": wall,
    }


def _train(model, views: Views, test: Views, row: Row, size, seed, folder, signature):
    order = EpochOrder(len(views), size.batch, seed)

    def loss(step: int):
        instant = order.batch(step)
        b = gather(views, instant, *draw_views(views, len(instant), draw(seed, step)))
        return pair_loss(model, b, row), {}

    def watch() -> dict[str, float]:
        predicted = lifting.predict(model, test)
        return {"mpjpe_mm": float(lifting.errors(predicted, test)["mpjpe_mm"].mean())}

    return fit(
        model, loss, steps=size.steps, schedule=size.schedule, learning_rate=size.learning_rate,
        max_norm=1.0, evaluate=watch, evaluate_every=max(1, size.steps // size.evaluations),
        log_every=max(1, size.steps // 200), checkpoint=folder and folder / "training.pt",
        description="training", signature=f"{signature}/seed{seed}",
    )  # fmt: skip


def main() -> None:
    """Write one record into book/results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", choices=lifting.PROFILES, default="laptop")
    parser.add_argument("--variant", choices=ROWS, required=True)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    folder = Path(f"runs/{wanted.profile}/{EXPERIMENT}/{wanted.variant}--seed{wanted.seed}")
    with only_run_in(folder):
        record = run(wanted.profile, wanted.variant, wanted.seed, folder)
    print("written:", results.write_result(results.results_folder(), record))


if __name__ == "__main__":
    main()
