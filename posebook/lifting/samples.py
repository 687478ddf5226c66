"""New samples at every step: a known body, changed, seen again with the detection's own error.

A body in the frame of its camera is turned about the vertical, its bones are made longer or
shorter, left and right alike, and it is shifted. What the camera would detect of it is its
projection and the residual of the real detection (its noise, its exchanged limbs and all), with
the real confidences.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from posebook.data.pairs import PairBatch
from posebook.data.views import Views
from posebook.geometry.camera import project, transform
from posebook.geometry.places import once
from posebook.geometry.reflection import OTHER_SIDE, reflected
from posebook.geometry.skeleton import H36M
from posebook.training.draws import send

_SIDE = torch.as_tensor(np.minimum(np.arange(len(H36M)), H36M.flip))  # one of left and right
_PARENTS = torch.tensor([max(p, 0) for p in H36M.parents])  # the root is its own
_IN_MIRROR = torch.tensor([-1.0, 1.0, 1.0])


def _chains() -> Tensor:
    """(J, J) ones where bone j lies between the root and joint i: joints = chains @ bones."""
    chains = torch.zeros(len(H36M), len(H36M))
    for joint in range(len(H36M)):
        at = joint
        while at >= 0:
            chains[joint, at] = 1.0
            at = H36M.parents[at]
    return chains


_CHAINS = _chains()


@dataclass(frozen=True)
class Changes:
    """How far a sample is from what was seen.

    Attributes:
        turn: about the vertical by up to so many degrees.
        body: log-normal spread of all bones' lengths.
        bone: that of each pair of bones'.
        aside: standard deviation of the shift, each way on the ground, metres.
        height: that of the shift upwards.
        mirror: half of the samples are mirrored, left and right exchanged.
    """

    turn: float = 20.0
    body: float = 0.05
    bone: float = 0.05
    aside: float = 0.3
    height: float = 0.12
    mirror: bool = True


def renewed(b: PairBatch, views: Views, changes: Changes, together: bool, generator) -> PairBatch:
    """The pairs with new samples in both views.

    Args:
        together: one change for both views, which then see one body; otherwise each has its own.
        generator: of random numbers, on the processor.
    """
    rig = views.rig[b.instant]
    Y1 = changed(b.Y1, views.up[rig, b.v1], changes, generator)
    if together:
        Y2 = transform(Y1, b.R12, b.t12)
    else:
        Y2 = changed(b.Y2, views.up[rig, b.v2], changes, generator)
    new = replace(b, Y1=Y1, Y2=Y2, X1=seen(Y1, b.X1, b.Y1), X2=seen(Y2, b.X2, b.Y2))
    if not changes.mirror:
        return new
    return mirrored_pairs(new, send(torch.rand(len(rig), generator=generator) < 0.5, rig.device))


def seen(Y: Tensor, X: Tensor, before: Tensor) -> Tensor:
    """Rays (B, J, 2) of bodies Y, with the residual that X has to the body `before` it."""
    return project(Y) + (X - project(before))


def changed(Y: Tensor, up: Tensor, changes: Changes, generator) -> Tensor:
    """Bodies (B, J, 3) turned, scaled and shifted at random; up (B, 3) is their vertical."""
    B, J = Y.shape[:2]
    turn = (2 * torch.rand(B, generator=generator) - 1) * math.radians(changes.turn)
    body, bone, shift = (send(torch.randn(B, n, generator=generator), Y.device) for n in (1, J, 3))
    factors = (changes.body * body + changes.bone * bone[:, once(_SIDE, Y.device)]).exp()
    along = (shift * up).sum(-1, keepdim=True) * up
    shift = changes.aside * (shift - along) + changes.height * along
    return moved(Y, up, send(turn, Y.device), factors, shift)


def moved(Y: Tensor, up: Tensor, turn: Tensor, factors: Tensor, shift: Tensor) -> Tensor:
    """Bodies (B, J, 3) turned by `turn` (B,) radians about `up` (B, 3) through their root, each
    bone `factors` (B, J, that of the joint at its end) times as long, shifted by `shift` (B, 3)."""
    device = Y.device
    bones = (Y - Y[:, once(_PARENTS, device)]) * factors[..., None]
    joints = once(_CHAINS, device) @ bones  # (B, J, 3), from the root
    k, c, s = up[:, None], turn.cos()[:, None, None], turn.sin()[:, None, None]
    along = (joints * k).sum(-1, keepdim=True) * k
    turned = along + c * (joints - along) + s * torch.linalg.cross(k.expand_as(joints), joints)
    return turned + (Y[:, H36M.root] + shift)[:, None]


def mirrored_pairs(b: PairBatch, chosen: Tensor) -> PairBatch:
    """The pairs with those that are `chosen` (B,) mirrored, both views and the way between them."""

    def either(values: Tensor, other: Tensor) -> Tensor:
        return torch.where(chosen.view(-1, *[1] * (values.dim() - 1)), other, values)

    flip = once(OTHER_SIDE, b.X1.device)
    sign = once(_IN_MIRROR, b.X1.device)
    points = {n: either(v := getattr(b, n), reflected(v)) for n in ("X1", "X2", "Y1", "Y2")}
    w = {n: either(v := getattr(b, n), v[:, flip]) for n in ("w1", "w2")}
    R = {n: either(v := getattr(b, n), sign[:, None] * v * sign) for n in ("R12", "R21")}
    t = {n: either(v := getattr(b, n), sign * v) for n in ("t12", "t21")}
    return replace(b, **points, **w, **R, **t)
