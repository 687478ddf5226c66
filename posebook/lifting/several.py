"""Several people in one picture (section 5.2): whose detection in one view is whose in another?

A lifting network that was trained with equation 3.5 predicts where a person is, so it can answer
from one view: carry the lifted body into the other view and take the detection that it meets. The
rule from geometry alone, without a network, is the distance of two detections' joints from each
other's epipolar lines.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from posebook.data.records import ViewSequence
from posebook.data.views import Views
from posebook.geometry.camera import project, rig_key, transform
from posebook.geometry.multiview import epipolar_distance
from posebook.geometry.rotations import hat
from posebook.lifting.network import LiftingNetwork, global_pose
from posebook.lifting.prepare import inputs

NEAR = 0.1  # of a body's extent in the picture: joints closer than this may be taken for each other


def companions(sequences: Sequence[ViewSequence]) -> tuple[list, list]:
    """Two people before the same cameras: each take beside the next one of its rig, cut alike."""
    rigs: dict[tuple, list[ViewSequence]] = {}
    for sequence in sequences:
        rigs.setdefault(rig_key(sequence.cameras), []).append(sequence)
    couples = [
        (take, takes[(k + 1) % len(takes)])
        for takes in rigs.values() if len(takes) > 1 for k, take in enumerate(takes)
    ]  # fmt: skip
    length = [min(len(one), len(two)) for one, two in couples]
    first = [_cut(one, T) for (one, _), T in zip(couples, length, strict=True)]
    return first, [_cut(two, T) for (_, two), T in zip(couples, length, strict=True)]


def _cut(sequence: ViewSequence, T: int) -> ViewSequence:
    names = ("joints_2d", "confidence", "joints_3d", "occluded")
    known = {name: getattr(sequence, name) for name in names}
    return replace(sequence, **{n: a[:T] for n, a in known.items() if a is not None})


def mix(
    first: Sequence[ViewSequence], second: Sequence[ViewSequence], seed: int = 0
) -> tuple[list, list, float]:
    """What a detector makes of two people: joints that nearly coincide are exchanged by chance.

    Returns both people's takes, and the share of joints that were exchanged.
    """
    rng, one, two, exchanged, joints = np.random.default_rng(seed), [], [], 0, 0
    for a, b in zip(first, second, strict=True):
        x, y = a.joints_2d, b.joints_2d
        extent = np.linalg.norm(np.ptp(x, axis=2), axis=-1)[..., None]
        chosen = (np.linalg.norm(x - y, axis=-1) < NEAR * extent) & (rng.random(x.shape[:3]) < 0.5)
        for mine, other, kept in ((a, b, one), (b, a, two)):
            kept.append(replace(
                mine, joints_2d=np.where(chosen[..., None], other.joints_2d, mine.joints_2d),
                confidence=np.where(chosen, other.confidence, mine.confidence),
            ))  # fmt: skip
        exchanged, joints = exchanged + int(chosen.sum()), joints + chosen.size
    return one, two, exchanged / joints


def same_person(
    model: LiftingNetwork, people: tuple[Views, Views]
) -> dict[str, Tensor]:
    """Where two people are told apart rightly, by rule: booleans (I, pairs of views).

    Args:
        people: the same instants and cameras, one person each.

    The cost of calling detection i of view a and j of view b one person is, by "lifting", the mean
    distance of the lifted i, seen from b, to j, and the other way round; by "lines" the mean
    distance of their joints from each other's epipolar lines. Distances are in rays and weighted by
    confidence. Of the two ways to pair two people the cheaper one is taken.
    """
    lifted = [_global(model, views) for views in people]
    V, rig = people[0].X.shape[1], people[0].rig
    right: dict[str, list[Tensor]] = {"lifting": [], "lines": []}
    for a in range(V):
        for b in range(a + 1, V):
            there, back = ((rig, v, w) for v, w in ((a, b), (b, a)))
            costs = {rule: torch.empty(len(rig), 2, 2) for rule in right}
            for i, one in enumerate(people):
                for j, two in enumerate(people):
                    x1, x2 = one.X[:, a], two.X[:, b]
                    w = one.w[:, a] * two.w[:, b]
                    R, t = people[0].R[there], people[0].t[there]
                    seen_there = project(transform(lifted[i][:, a], R, t))
                    R_back, t_back = people[0].R[back], people[0].t[back]
                    seen_here = project(transform(lifted[j][:, b], R_back, t_back))
                    off = (seen_there - x2).norm(dim=-1) + (seen_here - x1).norm(dim=-1)
                    costs["lifting"][:, i, j] = _mean(off, w)
                    costs["lines"][:, i, j] = _mean(line_distance(R, t, x1, x2), w)
            for rule, cost in costs.items():
                right[rule].append(cost[:, 0, 0] + cost[:, 1, 1] < cost[:, 0, 1] + cost[:, 1, 0])
    return {rule: torch.stack(parts, dim=1) for rule, parts in right.items()}


def line_distance(R: Tensor, t: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    """Sampson distance (B, N), rays, of points x1, x2 (B, N, 2) from each other's epipolar lines.

    Args:
        R, t: (B, 3, 3), (B, 3) of equation 3.4, as for `transform`.
    """
    E = -hat((R @ t.unsqueeze(-1)).squeeze(-1)) @ R  # x2^T E x1 = 0
    return torch.from_numpy(np.abs(epipolar_distance(E.numpy(), x1.numpy(), x2.numpy())))


def _global(model: LiftingNetwork, views: Views) -> Tensor:
    """Global poses (I, V, N, 3) of every view on its own."""
    instants, V = views.X.shape[:2]
    instant = torch.arange(instants).repeat_interleave(V)
    view = torch.arange(V).repeat(instants)
    model.eval()
    with torch.inference_mode():
        Y, r = model(inputs(views, instant, view, model.frames))
    return global_pose(Y, r).unflatten(0, (instants, V))


def _mean(distance: Tensor, w: Tensor) -> Tensor:
    return (distance * w).sum(-1) / w.sum(-1).clamp(min=1e-6)
