"""Whether views fit their own cameras: a sample of them is triangulated and projected back.

A wrong rig trains like a right one, to a network that is wrong. What betrays it lies in the data
itself: rays that do not cross, people of 1,700 metres, joints behind a camera. Each doubt has a
name; whoever knows better trusts it by that name.
"""

import warnings
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from posebook.data.bodies import near, order, size, truth, up
from posebook.data.records import ViewSequence
from posebook.data.sampled import Finding, Fit, Sample, fit, median
from posebook.data.suspects import REACH, lateness, level, likely
from posebook.geometry.camera import rig_key
from posebook.geometry.skeleton import H36M

DOUBTS = ("order", "picture", "blind", "residual", "late", "size", "near", "up", "truth")
PICTURES = 4096  # looked at in all, whatever the size of the data
RIGS = 128  # looked at, likewise
FEW = 48  # instants on which each suspicion is tried


def check(sequences: Sequence[ViewSequence], trust: Collection[str] = ()) -> None:
    """Hold views against their cameras: an error where these are wrong, a warning in doubt.

    Args:
        trust: which of `DOUBTS` are known to be right here, and are passed over.

    Raises:
        ValueError: that names the camera, the number and the likely cause.
    """
    trust = (trust,) if isinstance(trust, str) else trust
    unknown = sorted(set(trust) - set(DOUBTS))
    if unknown:
        raise ValueError(f"trust has {unknown[0]!r}; what can be trusted is {', '.join(DOUBTS)}")
    said = set(trust)
    if said >= set(DOUBTS):
        return  # somebody has looked already
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
        rigs.setdefault(rig_key(s.cameras), []).append(s)
    groups = list(rigs.values())
    if len(groups) > RIGS:
        groups = [groups[k * len(groups) // RIGS] for k in range(RIGS)]
    for takes in groups:
        most = max(8, PICTURES // (len(groups) * len(takes[0].cameras)))
        for doubt, gross, text in _of_rig(takes, most):
            yield Finding(doubt, gross, f"{takes[0].source}: {takes[0].subject}: {text}")


def _of_rig(takes: list[ViewSequence], most: int) -> Iterator[Finding]:
    sample = Sample.of(takes, most)
    if takes[0].joint_set == H36M.name:
        yield from order(sample, takes)
    yield from _picture(sample)
    yield from _blind(takes)
    if len(sample.cameras) > 1:
        yield from _of_views(sample, takes, most)
    yield from truth(sample, takes)


def _of_views(sample: Sample, takes: list[ViewSequence], most: int) -> Iterator[Finding]:
    found = fit(sample)
    bad = list(_residual(sample, found))
    late = list(_late(takes, most)) if most > 16 and not bad else []
    yield from bad + late
    if any(finding.gross for finding in bad):
        return  # what follows would only be its consequences
    if not late:
        yield from _odd_take(sample, found, takes)
    yield from size(sample, found)
    yield from near(sample, found)
    if takes[0].joint_set == H36M.name:
        yield from up(sample, found)


# ---------------------------------------------------------------- each view by itself


def _picture(sample: Sample) -> Iterator[Finding]:
    for v, camera in enumerate(sample.cameras):
        joints, size = sample.pixels[:, v][sample.seen[:, v]], np.array(camera.resolution)
        if len(joints) == 0:
            continue
        if 0 < median(sample.extent[:, v]) < 4:
            text = f"people span {median(sample.extent[:, v]):.2g} px"
            text += "; joints_2d may be shares of the picture in the place of pixels"
            yield Finding("picture", True, f"{sample.name(v)}: {text}")
        outside = ((joints < -0.05 * size) | (joints > 1.05 * size)).any(-1).mean()
        if outside > 0.2:
            text = f"{outside:.0%} of its joints lie outside the {size[0]} x {size[1]} picture"
            yield Finding("picture", False, f"{sample.name(v)}: {text}")


def _blind(takes: list[ViewSequence]) -> Iterator[Finding]:
    sees = np.stack([s.confidence.any(axis=(0, 2)) for s in takes])
    lost = (sees.any(axis=1, keepdims=True) & ~sees).sum(axis=0)
    for v in np.flatnonzero(lost):
        text = f"sees nobody in {lost[v]} of {len(takes)} takes that other cameras see"
        yield Finding("blind", False, f"camera {v} ({takes[0].cameras[v].name!r}) {text}")


# ---------------------------------------------------------------- views against each other


def _residual(sample: Sample, found: Fit) -> Iterator[Finding]:
    """Rays that do not cross, the camera whose they are, and what would let them cross."""
    few = sample.rows(slice(None, None, -(-len(sample.take) // FEW)))
    blame, others = _blame(few)
    now, extents = found.levels.max(), sample.extents
    off = (found.levels / extents).max()  # of the person's size there
    lone = others < now / 2
    if off < 0.06 and found.behind < 0.1 and not lone:
        return
    suspect, before = likely(few), level(fit(few))
    if suspect.left < min(before / 2, 0.25 * median(sample.extent)):
        text = f"{_numbers(sample, found, suspect.views)}; likely cause: {suspect.text} "
        text += f"(undone, {suspect.left:.0f} px are left)"
        yield Finding("residual", suspect.left < before / 3, text)
    elif lone and others < now / 5 and off > 0.08:
        text = f"{_numbers(sample, found, (blame,))}; its calibration or its pictures may be wrong"
        yield Finding("residual", bool(off > 0.25), text)
    elif off > 0.2 or found.behind > 0.5:
        text = f"{_numbers(sample, found, None)}; cameras and pictures may not belong together"
        yield Finding("residual", bool(off > 0.35), text)


def _blame(sample: Sample) -> tuple[int, float]:
    """The camera without which the others agree best, and the pixels by which they do not."""
    if len(sample.cameras) < 3:
        return 0, np.inf
    left = [level(fit(sample.without(v))) for v in range(len(sample.cameras))]
    return int(np.argmin(left)), min(left)


def _numbers(sample: Sample, found: Fit, views: tuple[int, ...] | None) -> str:
    if found.behind > 0.5:
        return f"{found.behind:.0%} of the triangulated joints lie behind their cameras"
    if views is None or len(sample.cameras) - len(views) < 2:
        return f"detections lie {found.levels.max():.0f} px from their own triangulation"
    names = " and ".join(sample.name(v) for v in views)
    rest = sample
    for v in sorted(views, reverse=True):
        rest = rest.without(v)
    return f"{names}: {found.levels[list(views)].max():.0f} px where the others have " + (
        f"{fit(rest).levels.max():.0f} among themselves"
    )


def _odd_take(sample: Sample, found: Fit, takes: list[ViewSequence]) -> Iterator[Finding]:
    """The worst take, where it is off by far more than all together."""
    each = np.array([[median(view) for view in instant] for instant in found.missed])
    each = np.nan_to_num(each).max(axis=1)
    if each.max() > max(4 * found.levels.max(), 0.1 * median(sample.extent)):
        take = takes[sample.take[each.argmax()]]
        alone = Sample.of([take], FEW)
        for doubt, gross, text in _residual(alone, fit(alone)):
            yield Finding(doubt, gross, f"{take.action}, unlike other takes: {text}")


def _late(takes: list[ViewSequence], most: int) -> Iterator[Finding]:
    late = lateness(takes, min(most, 128))
    if late is not None:
        tried = " (no further was tried)" if abs(late.frames) == REACH else ""
        text = (
            f"camera {late.view} ({takes[0].cameras[late.view].name!r}): its moving joints fit the "
            f"other views to {late.then:.0f} px where its frames are taken {late.frames:+d} on"
            f"{tried}, to {late.now:.0f} px as they are; it may be out of step"
        )
        yield Finding("late", late.then < late.now / 3, text)
