"""Figure 4.4: predictions on real detections, which training never saw, filed as a result.

    python -m posebook.factorization_examples --profile laptop

reads the checkpoint that `make results` left under runs/, so that the page that draws the poses
needs none.
"""

import argparse
from pathlib import Path

import torch

from posebook import disentangle, factorization, metrics, results
from posebook.data.orthographic import Pictures

EXPERIMENT = "figure-4.4"
VARIANT = "baseline-cf"
INSTANTS = 4


def choose(pictures: Pictures, count: int = INSTANTS) -> list[tuple[int, int]]:
    """(instant, view) of the examples: evenly over the take, each from the next camera.

    Where the reference of a joint is missing, the next instant that has all is taken.
    """
    whole = pictures.Y.isfinite().flatten(2).all(-1)  # (I, V)
    places = []
    for k in range(count):
        view = k % pictures.views
        first = (2 * k + 1) * len(pictures) // (2 * count)
        later = [i for i in range(first, len(pictures)) if whole[i, view]]
        if later:
            places.append((later[0], view))
    return places


def predictions(profile: str, checkpoint: Path) -> dict:
    """The result record of the method's bodies and poses at the chosen places."""
    size, row = factorization.settings(profile, VARIANT)
    training, *_ = factorization.load(size, row)
    model = factorization.build(size, row, factorization.new_dictionary(size, row, training))
    state = torch.load(checkpoint, weights_only=True, map_location="cpu")
    model.load_state_dict(state["parts"]["model"])
    factorization.settle_mirror(model, training)  # by its knees on the training pictures
    pictures = factorization.real_pictures(row.recentre, "cpu")
    Y_hat, R = factorization.predict(model, pictures)
    poses, errors = [], []
    for instant, view in choose(pictures):
        truth = pictures.Y[instant, view]
        pose = disentangle.least_squares_scale((Y_hat @ R)[instant, view], truth)
        errors.append(1000 * float(metrics.mpjpe(pose, truth)))
        poses.append({
            "instant": instant, "view": view, "X": pictures.X[instant, view],
            "canonical": Y_hat[instant, view], "pose": pose, "truth": truth,
            "distance_mm": errors[-1],
        })  # fmt: skip
    return {
        "experiment": EXPERIMENT,
        "variant": VARIANT,
        "dataset": "pose2sim",
        "profile": profile,
        "seed": 0,
        "metrics": {"real_distance_mm": sum(errors) / len(errors)},
        "poses": poses,
        "parameters": {"checkpoint": state["signature"]},
        "data_digest": results.data_digest({"X": pictures.X, "found": pictures.found}),
        "device": results.device_name("cpu"),
        "modules": sorted({*results.imported_modules(), "posebook.factorization_examples"}),
        "steps": state["step"],
        "wall_seconds": 0.0,
    }


def main() -> None:
    """Write one record into book/results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", choices=factorization.PROFILES, default="laptop")
    profile = parser.parse_args().profile
    record = predictions(profile, results.newest_checkpoint(f"table-4.1/{VARIANT}", profile))
    print("written:", results.write_result(results.results_folder(), record))


if __name__ == "__main__":
    main()
