"""Write the trained weights that travel with the package, with a card for each: `make weights`.

    python tools/weights.py [NAME ...]

Seed 0 of each published row of `posebook.trained.networks.ROWS`, whose record stands in
book/results. Where the run's folder still has the checkpoint that made the record, by the same
code, it is taken; otherwise the row is trained again (seconds to a quarter of an hour; the base
network of chapter 2 an hour). The weights are measured, and the card has both: the published
scores and their own.
"""

import argparse
import hashlib
import sys

import torch

from posebook import lifting
from posebook.data.sources import load_views
from posebook.data.views import collect
from posebook.experiments.drawn import left_by
from posebook.experiments.run import run
from posebook.paths import CLONE, results_folder
from posebook.results.provenance import code_digest
from posebook.results.records import read_result
from posebook.trained.networks import ROWS, keep, untrained
from posebook.training.checkpoint import load

PROFILE, SEED = "laptop", 0
LIFTED = (
    "one person, 17 joints of Human3.6M, a lens whose focal length is known to some ten percent",
    "trained on detections of 15 motion clips seen from Human3.6M's cameras about 1.5 m high and 3 "
    "to 7 m away; bodies upside down, lying, cut off or of children were not among them",
)
LIMITS = {
    "consensus-augmented-flip": (
        *LIFTED, "reads confidences as the training's simulated detector gave them; another "
        "detector's mean something else: then take consensus-augmented-flip-points",
    ),
    "consensus-augmented-flip-points": LIFTED,
    "trans-reproj": LIFTED,
    "baseline-cf": (*LIFTED, "a body of no size, seen from far away (weak perspective)"),
    "res50-tce-bc": (
        "trained on pictures of rendered people, 128 pixels wide crops about a box that must be "
        "given; on photographs it shows the method, and no detector should be replaced by it",
    ),
}  # fmt: skip
INPUTS = {
    "lifting": "rays (B, 17, 2), undistorted, in focal lengths; students that read confidences "
    "(B, 17, 3)",
    "factorization": "points (B, 17, 2), normalised by posebook.factorization.pictures.normalize",
    "video": "crops of 128 x 128 pixels, 6 frames before and behind each target",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ROWS)}")
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    for name in wanted.names or ROWS:
        write(name)
    return 0


def write(name: str) -> None:
    """The files of one row."""
    experiment, chapter = ROWS[name]
    path = results_folder() / PROFILE / experiment / f"{name}--seed{SEED}.json"
    record = read_result(path)
    networks, measured, code = trained(name, record)
    published = record["metrics"]
    main_score = "mean_error_px" if chapter == "video" else "p_mpjpe_mm"
    print(f"{name}: {main_score} {measured[main_score]:.6g}, published "
          f"{published[main_score]:.6g}")  # fmt: skip
    keep(name, networks, {
        "row": f"{experiment}/{name}", "seed": SEED, "profile": PROFILE,
        "record": path.relative_to(CLONE).as_posix() if path.is_relative_to(CLONE) else path.name,
        "record_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "record_code_digest": record["code_digest"], "code_digest": code,
        "dataset": record["dataset"], "data_digest": record["data_digest"],
        "published": published, "measured": {k: float(v) for k, v in measured.items()},
        "weights": sum(p.numel() for network in networks for p in network.parameters()),
        "parameters": record["parameters"], "reads": INPUTS[chapter],
        "limits": list(LIMITS[name]), "license": "MIT, as the package",
    })  # fmt: skip


def trained(name: str, record: dict) -> tuple[tuple, dict, str]:
    """Networks of a record, their own scores, and the code that made them."""
    experiment, chapter = ROWS[name]
    if chapter == "lifting" and (state := _left(f"{experiment}/{name}", record["steps"])):
        [model] = untrained(name, PROFILE, record["parameters"])
        model.load_state_dict(state["parts"]["model"])
        _, test = load_views(record["dataset"], lifting.rows.PROFILES[PROFILE].size)
        scores, _ = lifting.evaluate.evaluate(model, collect(test))
        return (model,), scores | lifting.evaluate.evaluate_real(model), record["code_digest"]
    networks, made = run(f"{experiment}/{name}", PROFILE, SEED, keep=True)
    return networks, made["metrics"], code_digest()


def _left(row: str, steps: int) -> dict | None:
    """The checkpoint of the last step that the published run left, if it is still there."""
    try:
        state = load(left_by(row, PROFILE, SEED, "training.pt"))
    except FileNotFoundError:
        return None
    return state if state["step"] == steps else None


if __name__ == "__main__":
    sys.exit(main())
