"""Whether views fit their own cameras: a sample of them is triangulated and projected back.

A wrong rig trains like a right one, to a network that is wrong. What betrays it lies in the data
itself: rays that do not cross, people of 1,700 metres, joints behind a camera. Each doubt has a
name; whoever knows better trusts it by that name.
"""

import warnings
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from posebook.data.records import ViewSequence
from posebook.data.sampled import Fit, Sample, fit
from posebook.data.suspects import lateness, level, likely
from posebook.geometry.camera import Z_MIN
from posebook.geometry.skeleton import H36M

DOUBTS = ("order", "picture", "blind", "residual", "late", "size", "near", "up", "truth")
PICTURES = 4096  # looked at in all, whatever the size of the data
_FEW = 48  # instants on which each suspicion is tried
# Of a body's height, 1.7 m here: what its limbs measure. Both sides of each are looked at.
_LIMBS = {
    ("LHip", "LKnee"): 0.45, ("LKnee", "LFoot"): 0.43, ("LShoulder", "LElbow"): 0.28,
    ("LElbow", "LWrist"): 0.25, ("LHip", "LShoulder"): 0.48, ("LShoulder", "RShoulder"): 0.33,
    ("LHip", "RHip"): 0.24,
}  # fmt: skip
_PLACES = {name: place for place, name in enumerate(H36M.names)}
_COCO = dict(zip(
    "LShoulder RShoulder LElbow RElbow LWrist RWrist LHip RHip LKnee RKnee LFoot RFoot".split(),
    range(5, 17),
))  # fmt: skip
_TRUTH_UNITS = {"metres": 1, "millimetres": 1e-3, "centimetres": 1e-2}
_UNITS = {
    "millimetres": 1000, "centimetres": 100, "inches": 39.37, "feet": 3.28, "kilometres": 1e-3,
}  # fmt: skip


class Finding(NamedTuple):
    """Something doubtful: its name in `DOUBTS`, whether it is gross, and the sentence."""

    doubt: str
    gross: bool
    text: str


def check(sequences: Sequence[ViewSequence], trust: Collection[str] = ()) -> None:
    """Hold views against their cameras: an error where these are wrong, a warning in doubt.

    Args:
        trust: which of `DOUBTS` are known to be right here, and are passed over.

    Raises:
        ValueError: that names the camera, the number and the likely cause.
    """
    unknown = sorted(set(trust) - set(DOUBTS))
    if unknown:
        raise ValueError(f"trust has {unknown[0]!r}; what can be trusted is {', '.join(DOUBTS)}")
    said = set(trust)
    for doubt, gross, text in findings(sequences):
        if doubt in said:
            continue
        said.add(doubt)
        text = f"{text}. If that is right, collect the views with trust=({doubt!r},)"
        if gross:
            raise ValueError(text)
        warnings.warn(text, stacklevel=3)


def findings(sequences: Sequence[ViewSequence]) -> Iterator[Finding]:
    """What is doubtful about each rig, in the order in which it can be judged."""
    rigs: dict[tuple, list[ViewSequence]] = {}
    for s in sequences:
        rigs.setdefault(s.cameras, []).append(s)
    for cameras, takes in rigs.items():
        most = max(8, PICTURES // (len(rigs) * len(cameras)))
        for doubt, gross, text in _of_rig(takes, most):
            yield Finding(doubt, gross, f"{takes[0].source}: {takes[0].subject}: {text}")


def _of_rig(takes: list[ViewSequence], most: int) -> Iterator[Finding]:
    sample = Sample.of(takes, most)
    yield from _order(sample)
    yield from _picture(sample)
    yield from _blind(takes)
    if len(sample.cameras) < 2:
        return
    found = fit(sample)
    bad = list(_residual(sample, found))
    yield from bad
    if any(finding.gross for finding in bad):
        return  # what follows would only be its consequences
    for k in _odd_takes(sample, found):
        alone = Sample.of([takes[k]], _FEW)
        for doubt, gross, text in _residual(alone, fit(alone)):
            yield Finding(doubt, gross, f"{takes[k].action}, unlike other takes: {text}")
    yield from _late(takes, most)
    yield from _size(sample, found)
    yield from _near(sample, found)
    yield from _up(sample, found)
    yield from _truth(sample, takes)


# ---------------------------------------------------------------- each view by itself


def _order(sample: Sample) -> Iterator[Finding]:
    """Limbs have a body's proportions only where each joint stands in its own place."""
    off = _disproportion(sample, _PLACES)
    if off < 0.5:
        return
    known = sample.seen[:, :, [0, 1, 4]].all(-1)
    middle = sample.pixels[:, :, [1, 4]].mean(2)
    root = np.linalg.norm(sample.pixels[:, :, 0] - middle, axis=-1) / sample.extent
    text = (
        f"joint 0 lies {np.nanmedian(root[known]):.0%} of the person's size from the middle of "
        f"joints 1 and 4, limbs are off by a factor of {np.exp(off):.1f}"
    )
    if _disproportion(sample, _COCO) < off / 2:
        yield Finding("order", True, f"{text}; the joints are in COCO's order, not in h36m17's")
    elif off > 0.8:
        yield Finding("order", False, f"{text}; the joints may be in another order than h36m17's")


def _disproportion(sample: Sample, places: dict[str, int]) -> float:
    """By how much limbs differ from a body's, as a mean logarithm; 0 where too few are seen."""
    logs = []
    for names, length in _LIMBS.items():
        for pair in {names, tuple(_other(name) for name in names)}:
            a, b = (places[name] for name in pair)
            apart = np.linalg.norm(sample.pixels[:, :, a] - sample.pixels[:, :, b], axis=-1)
            share = (apart / sample.extent)[sample.seen[:, :, a] & sample.seen[:, :, b]]
            if np.isfinite(share).any():
                logs.append(np.log(max(np.nanmedian(share), 1e-3) / length))
    return float(np.abs(logs - np.median(logs)).mean()) if len(logs) > 5 else 0.0


def _other(name: str) -> str:
    return H36M.names[H36M.flip[_PLACES[name]]]


def _picture(sample: Sample) -> Iterator[Finding]:
    for v, camera in enumerate(sample.cameras):
        joints, size = sample.pixels[:, v][sample.seen[:, v]], np.array(camera.resolution)
        if len(joints) == 0:
            continue
        if np.nanmedian(sample.extent[:, v]) < 4:
            text = f"people span {np.nanmedian(sample.extent[:, v]):.2g} px"
            text += "; joints_2d may be shares of the picture in the place of pixels"
            yield Finding("picture", True, f"{_name(sample, v)}: {text}")
        outside = ((joints < -0.05 * size) | (joints > 1.05 * size)).any(-1).mean()
        if outside > 0.2:
            text = f"{outside:.0%} of its joints lie outside the {size[0]} x {size[1]} picture"
            yield Finding("picture", False, f"{_name(sample, v)}: {text}")


def _blind(takes: list[ViewSequence]) -> Iterator[Finding]:
    sees = np.stack([s.confidence.any(axis=(0, 2)) for s in takes])
    lost = (sees.any(axis=1, keepdims=True) & ~sees).sum(axis=0)
    for v in np.flatnonzero(lost):
        text = f"sees nobody in {lost[v]} of {len(takes)} takes that other cameras see"
        yield Finding("blind", False, f"camera {v} ({takes[0].cameras[v].name!r}) {text}")


# ---------------------------------------------------------------- views against each other


def _residual(sample: Sample, found: Fit) -> Iterator[Finding]:
    """Rays that do not cross, the camera whose they are, and what would let them cross."""
    now, extent = found.levels.max(), np.nanmedian(sample.extent)
    share, (blame, others) = now / extent, _blame(sample)
    lone = others < now / 2
    if share < 0.06 and found.behind < 0.1 and not lone:
        return
    few = sample.rows(slice(None, None, -(-len(sample.take) // _FEW)))
    suspect = likely(few)
    if suspect.left < min(level(fit(few)) / 2, 0.25 * extent):
        text = f"{_numbers(sample, found, suspect.views)}; without this cause {suspect.left:.0f}"
        gross = suspect.left < level(fit(few)) / 3
        yield Finding("residual", gross, f"{text}: {suspect.text}")
    elif lone and others < now / 5 and share > 0.08:
        text = f"{_numbers(sample, found, (blame,))}; its calibration or its pictures may be wrong"
        yield Finding("residual", bool(share > 0.35), text)
    elif share > 0.2 or found.behind > 0.5:
        text = f"{_numbers(sample, found, None)}; calibration and pictures may not belong together"
        yield Finding("residual", bool(share > 0.35), text)


def _blame(sample: Sample) -> tuple[int, float]:
    """The camera without which the others agree best, and the pixels by which they do not."""
    if len(sample.cameras) < 3:
        return 0, np.inf
    few = sample.rows(slice(None, None, -(-len(sample.take) // (2 * _FEW))))
    left = [level(fit(few.without(v))) for v in range(len(sample.cameras))]
    return int(np.argmin(left)), min(left)


def _numbers(sample: Sample, found: Fit, views: tuple[int, ...] | None) -> str:
    if found.behind > 0.5:
        return f"{found.behind:.0%} of the triangulated joints lie behind their cameras"
    if views is None or len(sample.cameras) - len(views) < 2:
        return f"detections lie {found.levels.max():.0f} px from their own triangulation"
    names = " and ".join(_name(sample, v) for v in views)
    rest = sample
    for v in sorted(views, reverse=True):
        rest = rest.without(v)
    return f"{names}: {found.levels[list(views)].max():.0f} px where the others have " + (
        f"{fit(rest).levels.max():.0f} among themselves"
    )


def _name(sample: Sample, view: int) -> str:
    return f"camera {view} ({sample.cameras[view].name!r})"


def _odd_takes(sample: Sample, found: Fit) -> list[int]:
    """The worst take, where it is off by far more than all together."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # nothing seen
        each = np.nanmax(np.nanmedian(found.missed, axis=2), axis=1)
    each = np.nan_to_num(each)
    if each.max() > max(4 * found.levels.max(), 0.1 * np.nanmedian(sample.extent)):
        return [int(sample.take[each.argmax()])]
    return []


def _late(takes: list[ViewSequence], most: int) -> Iterator[Finding]:
    late = lateness(takes, min(most, 128))
    if late is not None:
        text = (
            f"camera {late.view} ({takes[0].cameras[late.view].name!r}): its moving joints fit the "
            f"other views to {late.then:.0f} px where its frames are taken {late.frames:+d} on, "
            f"to {late.now:.0f} px as they are; it may be out of step"
        )
        yield Finding("late", False, text)


# ---------------------------------------------------------------- bodies in space


def _size(sample: Sample, found: Fit) -> Iterator[Finding]:
    depth = np.where(np.isfinite(found.missed), found.depth, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        focal = np.array([c.focal.mean() for c in sample.cameras])
        size = np.nanmedian(sample.extent * np.nanmedian(depth, axis=2) / focal, axis=0)
        size = float(np.nanmax(size)) if np.isfinite(size).any() else 1.7
    if size <= 0 or 0.3 < size < 4:
        return
    unit = min(_UNITS, key=lambda name: abs(np.log(size / 1.6 / _UNITS[name])))
    text = f"people measure {size:.3g} m; the cameras' centres seem to be in {unit}, not in metres"
    yield Finding("size", not 0.1 < size < 12, text)


def _near(sample: Sample, found: Fit) -> Iterator[Finding]:
    for v in range(len(sample.cameras)):
        depth = found.depth[:, v][np.isfinite(found.missed[:, v])]
        near = (depth < Z_MIN).mean() if len(depth) else 0
        if near > 0.2:
            text = f"{near:.0%} of its joints are nearer than {Z_MIN:g} m, where losses cannot see"
            yield Finding("near", False, f"{_name(sample, v)}: {text}")


def _up(sample: Sample, found: Fit) -> Iterator[Finding]:
    """People and pictures that both stand along another axis than z."""
    trunk = found.world[:, _PLACES["Thorax"]] - found.world[:, _PLACES["Hip"]]
    trunk = trunk[np.isfinite(trunk).all(-1)]
    if len(trunk) == 0:
        return
    people = np.median(trunk / np.linalg.norm(trunk, axis=-1, keepdims=True), axis=0)
    pictures = -np.mean([c.R[1] for c in sample.cameras], axis=0)
    axis = int(np.abs(people).argmax())
    up = float(np.sign(people[axis]))
    if min(up * people[axis], up * pictures[axis]) > 0.7 and (axis, up) != (2, 1):
        text = (
            f"{'-' if up < 0 else '+'}{'xyz'[axis]}, not along +z, about which virtual views turn"
        )
        yield Finding("up", False, f"people and pictures stand along {text}")


def _truth(sample: Sample, takes: list[ViewSequence]) -> Iterator[Finding]:
    """Whether the true joints lie where they are seen."""
    if any(s.joints_3d is None for s in takes):
        return
    world = np.stack([takes[k].joints_3d[t] for k, t in zip(sample.take, sample.frame)])
    off, unit = min((_missed(sample, world * f), name) for name, f in _TRUTH_UNITS.items())
    now, extent = _missed(sample, world), np.nanmedian(sample.extent)
    if now > 0.2 * extent:
        why = f"; they seem to be in {unit}" if off < now / 3 else ""
        text = f"joints_3d lie {now:.0f} px from joints_2d when projected{why}"
        yield Finding("truth", bool(now > 0.5 * extent), text)


def _missed(sample: Sample, world: np.ndarray) -> float:
    """Median pixels between joints (N, J, 3) as the cameras should show them and as they do."""
    with np.errstate(all="ignore"):
        there = np.stack([c.project(world.astype(float)) for c in sample.cameras], axis=1)
    off = np.linalg.norm(there - sample.pixels, axis=-1)[sample.seen]
    return float(np.nanmedian(np.nan_to_num(off, nan=np.inf, posinf=np.inf))) if len(off) else 0.0
