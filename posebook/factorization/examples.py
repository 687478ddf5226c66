"""Poses that pages draw: three instants of the test for Figure 4.3, real detections for Figure 4.4.
"""

import torch

from posebook.factorization.evaluate import predict, real_pictures
from posebook.factorization.network import FactorizationNetwork
from posebook.factorization.pictures import Pictures
from posebook.metrics.pose3d import mpjpe, scaled

INSTANTS = 4  # of Figure 4.4


def example_poses(
    model: FactorizationNetwork, pictures: Pictures, actions: tuple[str, ...]
) -> list[dict]:
    """Three instants from two sides, the same for every row: for Figure 4.3."""
    found = []
    for share in (1 / 6, 1 / 2, 5 / 6):
        instant = int(share * len(pictures))
        X, truth = pictures.X[instant, :2], pictures.Y[instant, :2]
        model.eval()
        with torch.inference_mode():
            Y_hat, R = model(X)
        pose = scaled(Y_hat @ R, truth)
        found.append({
            "action": actions[instant], "instant": instant, "X": X, "canonical": Y_hat,
            "pose": pose, "truth": truth,
        })  # fmt: skip
    return found


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


def real_poses(model: FactorizationNetwork, recentre: str) -> tuple[list[dict], float]:
    """Bodies and poses at the chosen places of the real detections, and their mean distance, mm."""
    pictures = real_pictures(recentre, next(model.parameters()).device)
    Y_hat, R = predict(model, pictures)
    poses, errors = [], []
    for instant, view in choose(pictures):
        truth = pictures.Y[instant, view]
        pose = scaled((Y_hat @ R)[instant, view], truth)
        errors.append(1000 * float(mpjpe(pose, truth)))
        poses.append({
            "instant": instant, "view": view, "X": pictures.X[instant, view],
            "canonical": Y_hat[instant, view], "pose": pose, "truth": truth,
            "distance_mm": errors[-1],
        })  # fmt: skip
    return poses, sum(errors) / len(errors)
