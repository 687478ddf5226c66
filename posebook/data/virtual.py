"""What several views give beyond themselves: virtual views, triangulated labels, their own rig."""

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from posebook.data.records import ViewSequence
from posebook.data.views import Views
from posebook.geometry.camera import rig_key, stack, to_tensor, virtual_rig
from posebook.geometry.multiview import collapsed, estimate_relative_pose, triangulate

BORDER = 0.5  # of a picture's size: a virtual one shows what lies so far beside it


def triangulated(
    sequence: ViewSequence, weighted: bool, least_confidence: float = 0.0
) -> np.ndarray:
    """World joints (T, J, 3) from a sequence's own detections.

    Detections of at most `least_confidence` are left out; what fewer than two views saw is NaN,
    and so is what they cannot tell the place of (`posebook.geometry.multiview.collapsed`).

    Args:
        weighted: confidences weigh the squared residuals, otherwise all views count alike.
    """
    rays = [c.rays(sequence.pixels(v)) for v, c in enumerate(sequence.cameras)]
    confidence = np.moveaxis(sequence.confidence, 1, -1).astype(float)
    used = confidence > least_confidence
    weights = np.where(used, confidence if weighted else 1.0, 0.0)
    rays, rig = np.stack(rays, axis=-2), stack(sequence.cameras)
    world = triangulate(rays, *rig, weights)
    world[collapsed(rays, world, *rig, weights > 0)] = np.nan
    return world


def add_virtual_views(sequence: ViewSequence, from_truth: bool) -> ViewSequence:
    """Section 3.6.1: a sequence of V views with two virtual views beside each real one.

    Args:
        from_truth: project the true 3D joints, as the thesis does (which takes 3D labels);
            otherwise project the triangulated detections, which takes none. Virtual points are free
            of further noise; one that nobody could triangulate, or that lies behind the virtual
            camera or far outside its picture, is missing (confidence 0).

    Raises:
        ValueError: no truth to project, or cameras that look at no common place.
    """
    if from_truth and sequence.joints_3d is None:
        raise ValueError(
            f"{sequence.source}: {sequence.subject}/{sequence.action} has no joints_3d to project; "
            "use the triangulated form"
        )
    world = sequence.joints_3d if from_truth else triangulated(sequence, weighted=True)
    rig = virtual_rig(sequence.cameras)
    points = np.stack([camera.project(world) for camera in rig], axis=1)
    size = np.array([camera.resolution for camera in rig])[:, None]
    with np.errstate(invalid="ignore"):
        seen = ((points > -BORDER * size) & (points < (1 + BORDER) * size)).all(-1)
    points = np.where(seen[..., None], points, 0).astype(np.float32)
    return replace(
        sequence,
        joints_2d=np.concatenate([sequence.joints_2d, points], axis=1),
        confidence=np.concatenate([sequence.confidence, seen.astype(np.float32)], axis=1),
        cameras=(*sequence.cameras, *rig),
        occluded=None,
        views="virtual" if from_truth else "triangulated",
    )


def with_views(sequences: Sequence[ViewSequence], views: str) -> Sequence[ViewSequence]:
    """The sequences as they are ("real"), or with "virtual" or "triangulated" views behind them."""
    if views == "real":
        return sequences
    return [add_virtual_views(s, from_truth=views == "virtual") for s in sequences]


def triangulate_labels(views: Views, sequences: Sequence[ViewSequence], weighted: bool) -> Views:
    """`views` with triangulated detections in place of the true joints (Kocabas et al. 2019).

    Args:
        sequences: the records `views` was collected from. A joint that fewer than two views see
            takes the middle of the others; where that holds for all joints, the instant is NaN.

    Raises:
        ValueError: if they are others.
    """
    _check_same(views, sequences)
    points = []
    for s in sequences:
        world = without_gaps(triangulated(s, weighted))
        points.append(np.stack([c.to_camera(world) for c in s.cameras], axis=1))
    done = {**views.done, "labels": "weighted" if weighted else "triangulated"}
    return replace(views, Y=to_tensor(np.concatenate(points), views.device), done=done)


def without_gaps(world: np.ndarray) -> np.ndarray:
    """Bodies (T, J, 3) whose unknown (NaN) joints lie in the middle of the known ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing
        middle = np.nanmean(world, axis=1, keepdims=True)
    return np.where(np.isfinite(world), world, middle)


def _check_same(views: Views, sequences: Sequence[ViewSequence]) -> None:
    starts = np.cumsum([0, *map(len, sequences)])
    first = views.first.unique().tolist()
    mine = [rig_key(views.rigs[g]) for g in views.rig[first].tolist()]
    theirs = [rig_key(s.cameras) for s in sequences]
    if [*first, len(views)] != starts.tolist() or mine != theirs:
        raise ValueError(
            f"these {len(sequences)} sequences are not those that the views were collected from "
            f"({len(first)} of {len(views)} instants); give the same ones, in the same order"
        )


def recover_rigs(views: Views, least_confidence: float = 0.7, most: int = 20000) -> Views:
    """`views` with relative cameras that are estimated from the detections (section 3.4.2).

    Only the distances between cameras are taken from the calibration. Joints that both views saw
    with at least `least_confidence` serve as calibration targets, evenly thinned to
    fewer than twice `most`.
    """
    R, t = views.R.clone(), views.t.clone()
    rig_of = views.rig.cpu().numpy()
    X, w = views.X.cpu().numpy(), views.w.cpu().numpy()
    for g, cameras in enumerate(views.rigs):
        mine = rig_of == g
        for a in range(views.views):
            for b in range(a + 1, views.views):
                sure = np.minimum(w[mine, a], w[mine, b]) > least_confidence
                thin = max(1, int(sure.sum()) // most)
                rays = [X[mine, v][sure][::thin].astype(float) for v in (a, b)]
                baseline = float(np.linalg.norm(cameras[a].center - cameras[b].center))
                R12, t12 = estimate_relative_pose(*rays, baseline)
                R[g, a, b], t[g, a, b] = to_tensor(R12), to_tensor(t12)
                R[g, b, a], t[g, b, a] = to_tensor(R12.T), to_tensor(-R12 @ t12)
    return replace(views, R=R, t=t, done={**views.done, "cameras": "recovered"})
