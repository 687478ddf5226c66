"""What may be wrong with a rig: suspicions are undone, and the one that lets rays cross is it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, permutations
from typing import NamedTuple

import numpy as np

from posebook.data.records import ViewSequence
from posebook.data.sampled import Fit, Sample, fit

_TURNED = np.diag([1.0, -1.0, -1.0])
_Y_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


class Suspect(NamedTuple):
    """A likely cause: whose it is (None: all cameras'), in words, and what is left without it."""

    views: tuple[int, ...] | None
    text: str
    left: float


# What undoes a wrong pose of a camera ...
_POSES = {
    "extrinsics are inverted (camera-to-world taken for world-to-camera)": lambda c: replace(
        c, R=c.R.T, center=c.T
    ),
    "the translation T was given as the centre": lambda c: replace(c, center=-c.R.T @ c.center),
    "the centre was given as the translation T": lambda c: replace(c, center=c.T),
    "the rotation is transposed": lambda c: replace(c, R=c.R.T),
    "the centre has the wrong sign": lambda c: replace(c, center=-c.center),
    "camera axes are those of OpenGL (y up, looking along -z)": lambda c: replace(
        c, R=_TURNED @ c.R
    ),
    "the centre is in a world with y up": lambda c: replace(c, center=_Y_UP @ c.center),
    "the centre is in a world with y down": lambda c: replace(c, center=_Y_UP.T @ c.center),
}
_UNITS = {"millimetres": 1e-3, "centimetres": 1e-2}
# ... and a wrong picture: functions of pixels (..., 2), width and height.
_PICTURES = {
    "pictures are mirrored": lambda p, w, h: np.stack([w - 1 - p[..., 0], p[..., 1]], -1),
    "pictures are upside down": lambda p, w, h: np.array([w - 1, h - 1]) - p,
    "pictures are turned by 90 degrees (portrait)": lambda p, w, h: np.stack(
        [p[..., 1], h - 1 - p[..., 0]], -1
    ),
    "pictures are turned by -90 degrees (portrait)": lambda p, w, h: np.stack(
        [w - 1 - p[..., 1], p[..., 0]], -1
    ),
    "x and y are exchanged": lambda p, w, h: p[..., ::-1],
}
_SCALES = {"1/4": 4, "1/3": 3, "1/2": 2, "2/3": 3 / 2, "3/2": 2 / 3, "2": 1 / 2, "3": 1 / 3}


def suspects(sample: Sample) -> Iterator[tuple[tuple[int, ...] | None, str, Sample]]:
    """All single causes: whose, in words, and the sample with the cause undone."""
    V = len(sample.cameras)
    for views in (None, *((v,) for v in range(V))):
        some = range(V) if views is None else views
        for text, undo in _POSES.items():
            yield views, text, _with_cameras(sample, some, undo)
        for text, undo in _PICTURES.items():
            yield views, text, _with_pixels(sample, some, undo)
        for name, factor in _SCALES.items():
            text = f"pictures have {name} of the calibrated resolution"
            yield views, text, _with_pixels(sample, some, lambda p, w, h, f=factor: p * f)
    for v in range(V if V > 2 else 0):
        for unit, factor in _UNITS.items():
            undo = lambda c, f=factor: replace(c, center=c.center * f)  # noqa: E731
            yield (v,), f"the centre is in {unit}", _with_cameras(sample, [v], undo)
    for views, order in _exchanges(V):
        text = "their pictures are exchanged"
        if len(views) > 2:
            names = [camera.name for camera in sample.cameras]
            whose = (
                f"camera {names[v]} has those of camera {names[order.index(v)]}" for v in views
            )
            text += f" ({', '.join(whose)})"
        pixels, weights = sample.pixels[:, order], sample.weights[:, order]
        yield views, text, replace(sample, pixels=pixels, weights=weights)


def likely(sample: Sample) -> Suspect:
    """The first cause that leaves about as little as the best one."""
    left = [Suspect(views, text, level(fit(made))) for views, text, made in suspects(sample)]
    least = min(suspect.left for suspect in left)
    return next(suspect for suspect in left if suspect.left <= 1.1 * least)


def level(found: Fit) -> float:
    """Pixels that the worst camera is off; infinite where crossings lie behind the cameras."""
    return float(found.levels.max()) if found.behind < 0.1 else np.inf


def _with_cameras(sample: Sample, views: Sequence[int], undo) -> Sample:
    cameras = tuple(undo(c) if v in views else c for v, c in enumerate(sample.cameras))
    return replace(sample, cameras=cameras)


def _with_pixels(sample: Sample, views: Sequence[int], undo) -> Sample:
    pixels = sample.pixels.copy()
    for v in views:
        pixels[:, v] = undo(pixels[:, v], *sample.cameras[v].resolution)
    return replace(sample, pixels=pixels)


def _exchanges(V: int) -> Iterator[tuple[tuple[int, ...], list[int]]]:
    """Views whose pictures change places, and whose pictures all views get: two, three, then four
    at once where there are no more."""
    for count in range(2, (V if V <= 4 else 3) + 1):
        for views in combinations(range(V), count):
            for others in permutations(views):
                if all(a != b for a, b in zip(views, others)):
                    place = dict(zip(views, others))
                    yield views, [place.get(v, v) for v in range(V)]


# ---------------------------------------------------------------- frames that are late


REACH, NEAREST = 10, 3  # frames around an instant: the most, and the fewest that can tell


class Late(NamedTuple):
    """View `view` fits the others when its frames are taken `frames` later; pixels now and then."""

    view: int
    frames: int
    now: float
    then: float


def lateness(takes: Sequence[ViewSequence], most: int) -> Late | None:
    """The view that others show to be out of step, or None.

    Joints are predicted from the other views and looked for in the frames around. Only what moves
    can tell: the faster half is compared. With two views, one is held against the other.

    Args:
        most: instants that are looked at, each with up to `REACH` frames to either side.
    """
    reach = min(REACH, (max(map(len, takes)) - 1) // 3)
    if reach < NEAREST:
        return None
    takes = [s for s in takes if len(s) > 2 * reach]
    shots = _shots(takes, most, reach)
    views = range(len(takes[0].cameras)) if len(takes[0].cameras) > 2 else [1]
    found = [late for v in views if (late := _late(shots, v, reach)) is not None]
    return max(found, key=lambda late: late.now / late.then, default=None)


def _shots(takes, most: int, reach: int) -> dict[int, Sample]:
    """The same instants with all views moved by -reach to reach frames."""
    chosen = np.unique(np.linspace(0, len(takes) - 1, min(most, len(takes))).astype(int))
    each = max(1, most // len(chosen))
    spots = [
        (k, t)
        for k in chosen.tolist()
        for t in np.unique(np.linspace(reach, len(takes[k]) - 1 - reach, each).astype(int))
    ]
    at = lambda field, n: np.stack([getattr(takes[k], field)[t + n] for k, t in spots])  # noqa: E731
    take, frame = np.array(spots).T
    cameras = takes[0].cameras
    return {
        n: Sample(cameras, at("joints_2d", n).astype(float), at("confidence", n), take, frame + n)
        for n in range(-reach, reach + 1)
    }


def _late(shots: dict[int, Sample], v: int, reach: int) -> Late | None:
    off = _crossing(shots) if len(shots[0].cameras) == 2 else _distances(shots, v)
    step = reach // 3
    speed = np.linalg.norm(shots[step].pixels[:, v] - shots[-step].pixels[:, v], axis=-1)
    usable = np.isfinite(off).all(0)
    if usable.sum() < 100:
        return None
    off = off[:, usable & (speed >= np.median(speed[usable]))]
    left = np.median(off, axis=1)
    best, still = int(left.argmin()), reach
    nearer = (off[best] < off[still]).mean()
    away = left[2 * still - best]
    if left[best] > 0.8 * left[still] or away < 1.1 * left[still]:
        return None
    if (2 * nearer - 1) * off.shape[1] ** 0.5 < 6:  # standard deviations from chance
        return None
    return Late(v, best - reach, float(left[still]), float(left[best]))


def _distances(shots: dict[int, Sample], v: int) -> np.ndarray:
    """(2 reach + 1, N, J) pixels from where the other views put a joint to where it is seen."""
    camera = shots[0].cameras[v]
    local = camera.to_camera(fit(shots[0].without(v)).world)
    with np.errstate(all="ignore"):
        there = camera.pixels(local[..., :2] / local[..., 2:])
    off = [np.linalg.norm(s.pixels[:, v] - there, axis=-1) for s in shots.values()]
    return np.stack([np.where(s.seen[:, v], d, np.nan) for s, d in zip(shots.values(), off)])


def _crossing(shots: dict[int, Sample]) -> np.ndarray:
    """The same for two views: by how many pixels their rays miss each other."""
    first, missed = shots[0], []
    for s in shots.values():
        pixels = np.stack([first.pixels[:, 0], s.pixels[:, 1]], axis=1)
        weights = np.stack([first.weights[:, 0], s.weights[:, 1]], axis=1)
        missed.append(fit(replace(first, pixels=pixels, weights=weights)).missed[:, 1])
    return np.stack(missed)
