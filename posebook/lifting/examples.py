"""Example poses for Figures 3.1c and 3.5, chosen by a rule that knows no network."""

import numpy as np
import torch

from posebook.data.records import ViewSequence
from posebook.data.views import collect
from posebook.geometry.camera import project
from posebook.lifting.network import LiftingNetwork, global_pose
from posebook.metrics.pose3d import mpjpe, root_relative

Place = tuple[int, int, int]  # sequence, frame, view


def choose(sequences: list[ViewSequence], hidden: int = 4, far: int = 2) -> dict[str, list[Place]]:
    """Where the examples are, by a rule that knows no network; of each kind no two of one action.

    "ordinary": first frame and view of the first walk. "hidden": the instants and views with most
    self-occluded joints. "far": those in which the root is furthest from the camera.

    Raises:
        ValueError: that names a sequence without `joints_3d` or `occluded`, or if there is no walk.
    """
    for s in sequences:
        if s.joints_3d is None or s.occluded is None:
            field = "joints_3d" if s.joints_3d is None else "occluded"
            raise ValueError(f"{s.source}: {s.subject}/{s.action} has no {field} to choose by")
    if all(s.action != "walk" for s in sequences):
        raise ValueError("none of the sequences is of the action 'walk', whose start is an example")
    walk = next(i for i, s in enumerate(sequences) if s.action == "walk")
    depth = lambda s: np.stack([c.to_camera(s.joints_3d[:, 0])[:, 2] for c in s.cameras], 1)  # noqa: E731
    return {
        "ordinary": [(walk, 0, 0)],
        "hidden": _highest(sequences, [s.occluded.sum(-1) for s in sequences], hidden),
        "far": _highest(sequences, [depth(s) for s in sequences], far),
    }


def _highest(sequences, scores: list[np.ndarray], count: int) -> list[Place]:
    """The places (T, V) with the highest scores, one an action, in falling order."""
    best: dict[str, tuple[float, Place]] = {}
    for i, (sequence, score) in enumerate(zip(sequences, scores, strict=True)):
        frame, view = np.unravel_index(int(score.argmax()), score.shape)
        found = (float(score[frame, view]), (i, int(frame), int(view)))
        if sequence.action not in best or found[0] > best[sequence.action][0]:
            best[sequence.action] = found
    ranked = sorted(best.values(), key=lambda item: (-item[0], item[1]))
    return [place for _, place in ranked[:count]]


def predictions(
    model: LiftingNetwork, sequences: list[ViewSequence]
) -> tuple[list[dict], dict[str, float]]:
    """What a network makes of the chosen places of some sequences, and its mean error there."""
    views = collect(sequences)
    truth = root_relative(views.Y)
    model.eval()
    starts = np.cumsum([0, *map(len, sequences)])
    poses, errors = [], []
    for kind, places in choose(sequences).items():
        for number, frame, view in places:
            sequence = sequences[number]
            at = int(starts[number]) + frame, view
            with torch.inference_mode():
                Y, r = model(views.X[at][None])
            seen = project(global_pose(Y, r))[0].double().numpy()
            errors.append(float(mpjpe(Y[0], truth[at])) * 1000)
            poses.append({
                "kind": kind, "subject": sequence.subject, "action": sequence.action,
                "frame": frame, "view": view,
                "hidden_joints": int(sequence.occluded[frame, view].sum()),
                "joints_2d": np.round(sequence.joints_2d[frame, view], 1),
                "confidence": np.round(sequence.confidence[frame, view], 2),
                "projected_2d": np.round(sequence.cameras[view].pixels(seen), 1),
                "predicted_mm": torch.round(Y[0] * 1000).int(),
                "truth_mm": torch.round(truth[at] * 1000).int(), "mpjpe_mm": errors[-1],
            })  # fmt: skip
    return poses, {"mpjpe_mm": float(np.mean(errors))}


def as_large_as(pose: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, float]:
    """A pose (J, 3) in a camera's frame, scaled until its picture is as large as that of `truth`.

    Seen from far away, so that the picture of a joint is its x and y. A body that is too large
    stands too far off in the camera's picture, where it looks right; this takes the difference
    out, and with it what a viewer without perspective could not show.

    Returns:
        The scaled pose, and how many times too large it was.
    """
    mine, theirs = pose[:, :2].ravel(), truth[:, :2].ravel()
    factor = float((mine @ mine) / (mine @ theirs))
    return pose / factor, factor
