"""Synchronised views as tensors: all of a data set lies on the device once.

One row an instant and view. Rays are undistorted at load, relative cameras are a table, so that a
batch of pairs (`posebook.data.pairs`) or of windows (`posebook.data.windows`) is a gather.
"""

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from posebook.data.gaps import fill_missing
from posebook.data.plausible import check
from posebook.data.records import ViewSequence
from posebook.data.windows import Windows
from posebook.geometry.camera import Camera, relative, rig_key, stack, to_tensor


class Instants:
    """What has a row an instant, and in it its views: X is (I, V, ...)."""

    X: Tensor

    def __len__(self) -> int:
        return len(self.X)

    @property
    def views(self) -> int:
        return self.X.shape[1]

    @property
    def device(self) -> torch.device:
        return self.X.device


@dataclass(frozen=True, eq=False)
class Views(Instants):
    """I instants of V views, with J joints in each; G rigs of cameras.

    Attributes:
        X: (I, V, J, 2) rays.
        w: (I, V, J) confidences.
        Y: (I, V, J, 3) true camera-frame joints in metres, or None.
        R: (G, V, V, 3, 3) rotations: `R[g, a, b]` and `t[g, a, b]` carry view a of rig g into its
            view b (eq. 3.4).
        t: (G, V, V, 3) the shifts that go with them.
        up: (G, V, 3) the vertical of the calibration (world z) in each view's frame.
        rig: (I,) whose rig.
        first: (I,) row where the instant's sequence begins.
        last: (I,) row where it ends.
        action: (I,) index into `actions`.
        actions: names of the actions.
        subject: (I,) index into `subjects`.
        subjects: names of the people.
        focal: mean focal length of all cameras, pixels.
        rigs: the V cameras of each of the G rigs.
        done: what was done to the takes, by the names of `posebook.data.done.PLAIN`.
    """

    X: Tensor
    w: Tensor
    Y: Tensor | None
    R: Tensor
    t: Tensor
    up: Tensor
    rig: Tensor
    first: Tensor
    last: Tensor
    action: Tensor
    actions: tuple[str, ...]
    subject: Tensor
    subjects: tuple[str, ...]
    focal: float
    rigs: tuple[tuple[Camera, ...], ...]
    done: Mapping[str, object]
    _windows: dict[int, Windows] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def tables(self) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor, Tensor]:
        """What `gather` reads: X, w and Y by view (I V, ...), R and t by pair of cameras
        (G V V, ...), and the first of these rows of each instant's rig, (I,)."""
        Y = None if self.Y is None else self.Y.flatten(0, 1)
        cameras = self.R.flatten(0, 2), self.t.flatten(0, 2)
        return self.X.flatten(0, 1), self.w.flatten(0, 1), Y, *cameras, self.rig * self.views**2

    def windows(self, frames: int) -> Windows:
        """The windows of so many frames, laid out when they are first asked for."""
        if frames not in self._windows:
            self._windows[frames] = Windows(self.X, self.first, self.last, frames)
        return self._windows[frames]

    def labelled(self) -> Tensor:
        """Rows (I',) of the instants whose joints are all known in space."""
        return self.Y.isfinite().flatten(1).all(1).nonzero()[:, 0]

    def arrays(self) -> dict[str, Tensor]:
        """Everything that training reads of them, by name."""
        names = ("X", "w", "Y", "R", "t", "up", "rig", "first")
        named = {name: getattr(self, name) for name in names}
        return {name: value for name, value in named.items() if value is not None}


def refuse_takes(views: object) -> None:
    """Raise a TypeError, with the remedy, for what is no `Views`."""
    if not isinstance(views, Views):
        raise TypeError(
            f"Views are wanted, not {type(views).__name__}: posebook.lifting.prepare.prepare_takes"
            "(takes, variant) makes them of a list of takes"
        )


def collect(
    sequences: Sequence[ViewSequence],
    device: str | torch.device = "cpu",
    trust: Collection[str] = (),
) -> Views:
    """Records as one `Views`. Sequences must have the same number of views.

    Args:
        trust: what `posebook.data.plausible.check` is not to doubt.

    Raises:
        ValueError: there are no sequences; or, naming the sequence, the numbers or kinds of views
            differ, its joints are not those of Human3.6M, two cameras of one rig stand in the same
            place (no depth can come from those), or the views cannot be those of their cameras.
    """
    if not sequences:
        raise ValueError("no sequences to collect: the split is empty")
    for s in sequences:
        _check_alike(s, sequences[0])
    rigs, rig_of = _rigs(sequences)
    check(sequences, trust)
    lengths = np.array([len(s) for s in sequences])
    starts = np.concatenate([[0], lengths.cumsum()[:-1]])
    actions = tuple(sorted({s.action for s in sequences}))
    subjects = tuple(sorted({s.subject for s in sequences}))
    R, t = _relative_tables(rigs)
    index = lambda values: torch.as_tensor(np.repeat(values, lengths), device=device)  # noqa: E731
    return Views(
        X=to_tensor(_table(sequences, (2,), _rays), device),
        w=to_tensor(np.concatenate([s.confidence for s in sequences]), device),
        Y=_camera_frame(sequences, device),
        R=to_tensor(R, device),
        t=to_tensor(t, device),
        up=to_tensor(np.stack([stack(rig)[0][..., 2] for rig in rigs]), device),
        rig=index(rig_of),
        first=index(starts),
        last=index(starts + lengths - 1),
        action=index([actions.index(s.action) for s in sequences]),
        actions=actions,
        subject=index([subjects.index(s.subject) for s in sequences]),
        subjects=subjects,
        focal=float(np.mean([c.focal for rig in rigs for c in rig])),
        rigs=tuple(rigs),
        done={"views": sequences[0].views},
    )


def _check_alike(s: ViewSequence, first: ViewSequence) -> None:
    where, V = f"{s.source}: {s.subject}/{s.action}", len(first.cameras)
    if len(s.cameras) != V:
        raise ValueError(f"{where} has {len(s.cameras)} views, others have {V}")
    if s.views != first.views:
        raise ValueError(f"{where} has {s.views} views, others have {first.views} ones")
    if s.joint_set != "h36m17":
        raise ValueError(
            f"{where} has the joints of {s.joint_set}; views hold the 17 of h36m17, in its order: "
            "map them first"
        )


def _rigs(sequences):
    """Cameras that are set up alike are one rig, whatever the take or person is called."""
    rigs, rig_of = {}, []
    for s in sequences:
        key = rig_key(s.cameras)
        if key not in rigs:
            _check_baselines(s)
            rigs[key] = s.cameras
        rig_of.append(list(rigs).index(key))
    return list(rigs.values()), np.array(rig_of)


def _check_baselines(sequence: ViewSequence) -> None:
    _, centers = stack(sequence.cameras)
    gaps = np.linalg.norm(centers[:, None] - centers, axis=-1) + np.eye(len(centers)) * 1e9
    a, b = np.unravel_index(int(gaps.argmin()), gaps.shape)
    if gaps[a, b] < 1e-3:
        names = sequence.cameras[a].name, sequence.cameras[b].name
        raise ValueError(
            f"{sequence.source}: cameras {names[0]!r} and {names[1]!r} of {sequence.subject} stand "
            "in the same place; two views need a baseline"
        )


def _rays(sequence: ViewSequence) -> list[np.ndarray]:
    return [
        fill_missing(c.rays(sequence.pixels(v)), sequence.confidence[:, v])
        for v, c in enumerate(sequence.cameras)
    ]


def _camera_frame(sequences, device) -> Tensor | None:
    without = [s for s in sequences if s.joints_3d is None]
    if without:
        if len(without) < len(sequences):
            warnings.warn(
                f"{without[0].source}: {len(without)} of {len(sequences)} takes have no 3D poses "
                f"({without[0].action} of {without[0].subject} is the first), so those of the "
                "others are not used; collect the takes apart to learn from them or to measure",
                stacklevel=3,
            )
        return None

    def points(s: ViewSequence) -> list[np.ndarray]:
        return [c.to_camera(s.joints_3d.astype(np.float64)) for c in s.cameras]

    return to_tensor(_table(sequences, (3,), points), device)


def _table(sequences, point: tuple[int], views_of) -> np.ndarray:
    """(I, V, J, *point) in single precision, filled in place: a million and a half poses must fit.

    Args:
        views_of: what each view of a sequence has, (T, J, *point), computed in double precision.
    """
    first, total = sequences[0], sum(map(len, sequences))
    table = np.empty((total, len(first.cameras), first.joints_2d.shape[2], *point), np.float32)
    at = 0
    for s in sequences:
        for v, values in enumerate(views_of(s)):
            table[at : at + len(s), v] = values
        at += len(s)
    return table


def _relative_tables(rigs) -> tuple[np.ndarray, np.ndarray]:
    R, center = (np.stack(part) for part in zip(*[stack(rig) for rig in rigs], strict=True))
    return relative(R[:, :, None], center[:, :, None], R[:, None], center[:, None])
