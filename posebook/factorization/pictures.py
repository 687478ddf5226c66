"""Views as chapter 4 sees them: pelvis in the origin, every picture at the same size.

Section 4.7.2 subtracts the pelvis and divides by the mean distance of the other joints from it.
Intrinsics enter through the rays only, that is by one factor a camera, which the scale removes.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from posebook.data.views import Instants, Views
from posebook.geometry.camera import project
from posebook.geometry.rotations import hat
from posebook.geometry.skeleton import H36M

RECENTRE = ("shift", "ray")
PROJECTIONS = ("perspective", "orthographic")
_OTHERS = [joint for joint in range(len(H36M)) if joint != H36M.root]


@dataclass(frozen=True, eq=False)
class Pictures(Instants):
    """I instants of V normalised views.

    Attributes:
        X: (I, V, P, 2).
        found: (I, V, P), which joints were detected.
        Y: (I, V, P, 3) true poses relative to the pelvis in metres, in the axes of X, or None.
        turn: (I, V, 3, 3) rotation of row vectors from the frame that looks straight at the pelvis
            into the axes of X.
        heading: (I, V, 3, 3) true axes of the pelvis (rows left, up, front) in the axes of X, or
            None.
        done: what was done to the takes, by the names of `posebook.data.done.PLAIN`.
        first: (I,) row where the instant's take begins.
        last: (I,) row where it ends.
    """

    X: Tensor
    found: Tensor
    Y: Tensor | None
    turn: Tensor
    heading: Tensor | None
    done: Mapping[str, object] = field(default_factory=dict)
    first: Tensor | None = None
    last: Tensor | None = None

    def arrays(self) -> dict[str, Tensor]:
        """Everything that training reads of them, by name."""
        named = {"X": self.X, "found": self.found, "Y": self.Y, "first": self.first}
        return {name: value for name, value in named.items() if value is not None}


def normalize(X: Tensor, found: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """2D poses (..., P, 2) relative to the pelvis over their size, and the size (...).

    The size is the mean distance of the 16 other joints (of those found) from the pelvis.

    Raises:
        ValueError: if a coordinate is missing (NaN), no joint was found, or all coincide.
    """
    if not torch.isfinite(X).all():
        *pose, joint, _ = (~torch.isfinite(X)).nonzero()[0].tolist()
        raise ValueError(
            f"2D pose {tuple(pose)}: joint {H36M.names[joint]} is missing (NaN or infinite); fill "
            "it in and mark it with confidence 0, as posebook.data.views.collect does"
        )
    centred = X - X[..., H36M.root : H36M.root + 1, :]
    distance = centred[..., _OTHERS, :].norm(dim=-1)
    if found is None:
        size = distance.mean(-1)
    else:
        counted = found[..., _OTHERS].to(X.dtype)
        size = (distance * counted).sum(-1) / counted.sum(-1).clamp(min=1)
    if not (size > 1e-9).all():
        pose = tuple((~(size > 1e-9)).nonzero()[0].tolist())
        nobody = found is not None and not found[pose].any()
        why = "no joint was found" if nobody else "all joints coincide"
        raise ValueError(f"2D pose {pose}: {why}, so that it has no size to divide by; drop it")
    return centred / size[..., None, None], size


def body_size(Y: Tensor) -> Tensor:
    """Mean distance (...) of the 16 joints from the pelvis in the picture plane of (..., P, 3)."""
    return (Y - Y[..., H36M.root : H36M.root + 1, :])[..., _OTHERS, :2].norm(dim=-1).mean(-1)


def seen_instants(views: Views) -> Views:
    """The instants at which every view has found somebody: a pose of nobody has no size.

    Warns:
        UserWarning: with the number of those left out.

    Raises:
        ValueError: if none is left.
    """
    keep = (views.w > 0).any(-1).all(-1)
    lost = int((~keep).sum())
    if not lost:
        return views
    if lost == len(views):
        raise ValueError("at every instant a view sees nobody; leave out the view that does not")
    warnings.warn(
        f"{lost} of {len(views)} instants are left out: one of their views has found nobody",
        stacklevel=2,
    )
    new = keep.cumsum(0)
    rows = {name: getattr(views, name)[keep] for name in ("X", "w", "rig", "action", "subject")}
    Y = None if views.Y is None else views.Y[keep]
    first, last = views.first[keep], views.last[keep]
    return replace(views, Y=Y, first=new[first] - keep[first].long(), last=new[last] - 1, **rows)


def prepare(views: Views, recentre: str = "shift", projection: str = "perspective") -> Pictures:
    """Normalise views.

    Args:
        recentre: "shift" subtracts the pelvis in the picture, as printed; "ray" first turns the
            camera towards it, which takes away the apparent rotation of whoever is off the optical
            axis.
        projection: "orthographic" replaces the true perspective projection by an orthographic one
            of the same bodies, with the same detector's errors: to measure what the model's camera
            costs.

    Raises:
        ValueError: for an unknown option, and for orthographic pictures without true poses.
    """
    _check(recentre, RECENTRE, "recentre")
    _check(projection, PROJECTIONS, "projection")
    X, Y = views.X, views.Y
    if projection == "orthographic":
        X = _orthographic(views)
    ray = F.pad(X[..., H36M.root, :], (0, 1), value=1.0)
    turn = _turn_to(ray)
    if recentre == "ray":
        straight = F.pad(X, (0, 1), value=1.0) @ turn.mT
        X = straight[..., :2] / straight[..., 2:]
        Y = None if Y is None else Y @ turn.mT
        turn = torch.eye(3, device=X.device).expand_as(turn)
    found = views.w > 0
    X, _ = normalize(X, found)
    if Y is not None:
        Y = Y - Y[..., H36M.root : H36M.root + 1, :]
    done = {**views.done, "recentre": recentre, "projection": projection}
    heading = None if Y is None else pelvis_axes(Y)
    return Pictures(X, found, Y, turn, heading, done, views.first, views.last)


def pelvis_axes(Y: Tensor) -> Tensor:
    """Axes (..., 3, 3) of the pelvis of poses (..., P, 3): rows left, up, front."""
    left_hip, right_hip, spine = H36M.index("LHip", "RHip", "Spine")
    left = F.normalize(Y[..., left_hip, :] - Y[..., right_hip, :], dim=-1)
    up = Y[..., spine, :] - Y[..., H36M.root, :]
    up = F.normalize(up - (up * left).sum(-1, keepdim=True) * left, dim=-1)
    return torch.stack([left, up, torch.linalg.cross(left, up)], dim=-2)


def _orthographic(views: Views) -> Tensor:
    if views.Y is None:
        raise ValueError(
            "orthographic pictures are made from true poses, and these views have none"
        )
    errors = views.X - project(views.Y)
    pelvis = views.Y[..., H36M.root : H36M.root + 1, :]
    flat = (views.Y[..., :2] - pelvis[..., :2]) / pelvis[..., 2:]
    # Round the optical axis, where a look along the ray and a look straight on are the same.
    return flat + errors


def _turn_to(ray: Tensor) -> Tensor:
    """Rotations (..., 3, 3) of row vectors: (0, 0, 1) @ turn is the direction of `ray` (..., 3).

    The smallest ones (no roll): R = I + [v]_x + [v]_x^2 / (1 + c), v = axis x ray, c = axis . ray.
    """
    direction = F.normalize(ray, dim=-1)
    x, y, c = direction.unbind(-1)
    cross = hat(torch.stack([-y, x, torch.zeros_like(x)], dim=-1))
    column = torch.eye(3, device=ray.device) + cross + cross @ cross / (1 + c)[..., None, None]
    return column.mT


def _check(value: str, known: tuple[str, ...], name: str) -> None:
    if value not in known:
        raise ValueError(f"unknown {name} {value!r}; known: {', '.join(known)}")
