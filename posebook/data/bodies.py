"""Whether what a rig sees looks like people: joint order, size, place, which way is up."""

from collections.abc import Iterator

import numpy as np

from posebook.data.records import ViewSequence
from posebook.data.sampled import Finding, Fit, Sample, median
from posebook.geometry.camera import Z_MIN
from posebook.geometry.skeleton import H36M

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


def order(sample: Sample, takes: list[ViewSequence]) -> Iterator[Finding]:
    """Limbs have a body's proportions only where each joint stands in its own place.

    They are measured in space where it is known, where no limb is foreshortened.
    """
    points, seen, extent = sample.pixels, sample.seen, sample.extent
    if all(s.joints_3d is not None for s in takes):
        points = _truth_of(sample, takes)[:, None]
        seen = np.ones(points.shape[:3], bool)
        extent = np.linalg.norm(np.ptp(points, axis=2), axis=-1)
    off = _disproportion(points, seen, extent, _PLACES)
    if off < 0.5:
        return
    known = seen[:, :, [0, 1, 4]].all(-1)
    middle = points[:, :, [1, 4]].mean(2)
    root = np.linalg.norm(points[:, :, 0] - middle, axis=-1) / extent
    text = (
        f"joint 0 lies {median(root[known]):.0%} of the person's size from the middle of "
        f"joints 1 and 4, limbs are off by a factor of {np.exp(off):.1f}"
    )
    if _disproportion(points, seen, extent, _COCO) < off / 2:
        yield Finding("order", True, f"{text}; the joints are in COCO's order, not in h36m17's")
    elif off > 0.8:
        yield Finding("order", False, f"{text}; the joints may be in another order than h36m17's")


def _disproportion(points, seen, extent, places: dict[str, int]) -> float:
    """By how much limbs differ from a body's, as a mean logarithm; 0 where too few are seen."""
    logs = []
    for names, length in _LIMBS.items():
        for pair in {names, tuple(_other(name) for name in names)}:
            a, b = (places[name] for name in pair)
            apart = np.linalg.norm(points[:, :, a] - points[:, :, b], axis=-1)
            share = (apart / extent)[seen[:, :, a] & seen[:, :, b]]
            if np.isfinite(share).any():
                logs.append(np.log(max(median(share), 1e-3) / length))
    return float(np.abs(logs - np.median(logs)).mean()) if len(logs) > 5 else 0.0


def _truth_of(sample: Sample, takes: list[ViewSequence]) -> np.ndarray:
    """The true joints (N, J, 3) of a sample."""
    return np.stack([takes[k].joints_3d[t] for k, t in zip(sample.take, sample.frame)])


def _other(name: str) -> str:
    return H36M.names[H36M.flip[_PLACES[name]]]


def size(sample: Sample, found: Fit) -> Iterator[Finding]:
    depth = np.where(np.isfinite(found.missed), found.depth, np.nan)
    sizes = [
        median(sample.extent[:, v]) * median(depth[:, v]) / c.focal.mean()
        for v, c in enumerate(sample.cameras)
    ]
    size = np.max(sizes)
    if size <= 0 or 0.3 < size < 4:
        return
    unit = min(_UNITS, key=lambda name: abs(np.log(size / 1.6 / _UNITS[name])))
    text = f"people measure {size:.3g} m; the cameras' centres seem to be in {unit}, not in metres"
    yield Finding("size", not 0.1 < size < 12, text)


def near(sample: Sample, found: Fit) -> Iterator[Finding]:
    for v in range(len(sample.cameras)):
        depth = found.depth[:, v][np.isfinite(found.missed[:, v])]
        near = (depth < Z_MIN).mean() if len(depth) else 0
        if near > 0.2:
            text = f"{near:.0%} of its joints are nearer than {Z_MIN:g} m, where losses cannot see"
            yield Finding("near", False, f"{sample.name(v)}: {text}")


def up(sample: Sample, found: Fit) -> Iterator[Finding]:
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
        along = f"{'-' if up < 0 else '+'}{'xyz'[axis]}"
        text = f"people and pictures stand along {along}; virtual views are turned about +z"
        yield Finding("up", False, text)


def truth(sample: Sample, takes: list[ViewSequence]) -> Iterator[Finding]:
    """Whether the true joints lie where they are seen."""
    if any(s.joints_3d is None for s in takes):
        return
    world = _truth_of(sample, takes)
    off, unit = min((_missed(sample, world * f), name) for name, f in _TRUTH_UNITS.items())
    now, extent = _missed(sample, world), median(sample.extent)
    if extent and now > 0.2 * extent:
        why = f"; they seem to be in {unit}" if off < now / 3 else ""
        text = f"joints_3d lie {now:.0f} px from joints_2d when projected{why}"
        yield Finding("truth", bool(now > 0.5 * extent), text)


def _missed(sample: Sample, world: np.ndarray) -> float:
    """Median pixels between joints (N, J, 3) as the cameras should show them and as they do."""
    with np.errstate(all="ignore"):  # wrong input leaves every range
        there = np.stack([c.project(world.astype(float)) for c in sample.cameras], axis=1)
    off = np.linalg.norm(there - sample.pixels, axis=-1)[sample.seen]
    return float(np.median(np.nan_to_num(off, nan=np.inf))) if len(off) else 0.0
