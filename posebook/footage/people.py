"""Who is who: people of several views matched by how well their rays cross, and followed in time.

Within a frame, two people of two views belong together where the median distance to their common
triangulation is small against the person's size in the picture. Groups grow from the best pair on;
a person joins where they fit every member. Groups are then followed: from frame to frame each goes
to the body nearest to where it would be if it walked on (linear assignment). Whoever only one
camera sees cannot be placed.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.optimize import linear_sum_assignment

from posebook.data.records import ViewSequence
from posebook.data.sampled import Sample, fit
from posebook.footage.detections import View
from posebook.geometry.camera import Camera

SURE = 0.3  # detections below take no part
FITS = 0.12  # of the person's size in the picture: further off, they are two people
STRIDE = 0.5  # metres between two frames, at most; and for each frame in which nobody was seen
GOES_ON = 5  # frames for which somebody unseen is thought to walk on
FEWEST = 5  # joints that both views must show


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody whom at least two cameras saw: `places` (T, V) among the people of each view, -1
    where they are not, and the middle of the body (T, 3), NaN where not known."""

    places: np.ndarray
    middle: np.ndarray

    @property
    def frames(self) -> int:
        """In how many frames they were placed."""
        return int((self.places >= 0).any(1).sum())


def find_people(cameras: tuple[Camera, ...], views: list[View]) -> list[Person]:
    """Everybody, whoever was seen most first.

    Args:
        views: of the same frames and joints.
    """
    T = len(views[0])
    costs, middles = _costs(cameras, views)
    tracks: list[Person] = []
    for t in range(T):
        groups = _groups(costs, views, t)
        spots = np.array([_middle(group, middles, t) for group in groups]).reshape(-1, 3)
        for group, spot, track in zip(groups, spots, _follow(tracks, spots, t)):
            if track is None:
                track = Person(np.full((T, len(views)), -1), np.full((T, 3), np.nan))
                tracks.append(track)
            for v, place in group:
                track.places[t, v] = place
            track.middle[t] = spot
    return sorted(tracks, key=lambda track: -int((track.places >= 0).sum()))


def surest(views: list[View]) -> Person:
    """In each picture whoever is detected best: the person, where poses are unknown or wrong."""
    places = np.stack([view.confidence.sum(-1).argmax(1) for view in views], axis=1)
    there = np.stack([view.people.any(1) for view in views], axis=1)
    return Person(np.where(there, places, -1), np.full((len(views[0]), 3), np.nan))


def unconfirmed(person: Person, views: list[View]) -> bool:
    """Whether no picture shows more than one person, and yet a view is mostly not confirmed: then
    it is the cameras that do not fit, and nobody is to be left out for it."""
    if any(view.people.sum(1).max() > 1 for view in views):
        return False
    return any((person.places[view.people.any(1), v] < 0).mean() > 0.5
               for v, view in enumerate(views) if view.people.any())  # fmt: skip


def take_of(
    person: Person, cameras: tuple[Camera, ...], views: list[View], fps: float, source: str
) -> ViewSequence:
    """The views of one person: confidence 0 where a view does not show them."""
    joints, confidence = [], []
    for v, view in enumerate(views):
        at = np.arange(len(view)), np.maximum(person.places[:, v], 0)
        there = person.places[:, v] >= 0
        joints.append(view.joints[at])
        confidence.append(np.where(there[:, None], view.confidence[at], 0.0))
    return ViewSequence(
        np.stack(joints, axis=1).astype(np.float32), np.stack(confidence, axis=1), cameras,
        "person", "take", fps, "train", joint_set=views[0].joint_set, source=source,
    )  # fmt: skip


def left_out(chosen: Person, people: list[Person], views: list[View]) -> list[str]:
    """A sentence about everybody else whom the views show."""
    said = []
    for number, person in enumerate(people, 1):
        if person is not chosen:
            seen = [view.name for v, view in enumerate(views) if (person.places[:, v] >= 0).any()]
            said.append(f"person {number} is left out: {person.frames} frames, in "
                        f"{' and '.join(seen)}")  # fmt: skip
    for v, view in enumerate(views):
        placed = sum((person.places[:, v] >= 0).astype(int) for person in people)
        alone = int((view.people.sum(1) > placed).sum())
        if alone:
            said.append(f"camera {view.name}: somebody whom no other camera confirms is left out "
                        f"in {alone} frames")  # fmt: skip
    return said


def _costs(cameras, views) -> tuple[dict, dict]:
    """For each pair of views and of places in them: how badly they fit (T,), and their middle."""
    costs, middles = {}, {}
    for a, b in combinations(range(len(views)), 2):
        for i in range(views[a].joints.shape[1]):
            for j in range(views[b].joints.shape[1]):
                key = (a, i), (b, j)
                costs[key], middles[key] = _cost(
                    (cameras[a], cameras[b]), views[a], views[b], i, j
                )  # fmt: skip
    return costs, middles


def _cost(cameras, one: View, two: View, i: int, j: int) -> tuple[np.ndarray, np.ndarray]:
    weights = np.stack([one.confidence[:, i], two.confidence[:, j]], axis=1)
    weights = np.where((weights > SURE).all(1, keepdims=True), weights, 0.0)
    pixels = np.stack([one.joints[:, i], two.joints[:, j]], axis=1)
    frames = np.arange(len(one))
    sample = Sample(cameras, pixels, weights, 0 * frames, frames)
    found = fit(sample)
    common = np.isfinite(found.missed).all(1)
    with np.errstate(all="ignore"):
        off = np.where(common[:, None], found.missed, np.nan) / sample.extent[..., None]
        behind = (np.where(common[:, None], found.depth, np.inf) <= 0).any((1, 2))
    cost, middle = np.full(len(one), np.inf), np.full((len(one), 3), np.nan)
    usable = (common.sum(-1) >= FEWEST) & ~behind & np.isfinite(sample.extent).all(-1)
    cost[usable] = np.nanmedian(off[usable], axis=(1, 2))
    middle[usable] = np.nanmedian(found.world[usable], axis=1)
    return cost, middle


def _groups(costs: dict, views: list[View], t: int) -> list[list[tuple[int, int]]]:
    """Groups of (view, place) that fit each other in a frame: from the best pair on."""
    group_of = {(v, p): [(v, p)] for v, view in enumerate(views)
                for p in np.flatnonzero(view.people[t])}  # fmt: skip
    pairs = sorted((cost[t], pair) for pair, cost in costs.items() if cost[t] < FITS)
    for _, (a, b) in pairs:
        one, two = group_of[a], group_of[b]
        if one is two or {v for v, _ in one} & {v for v, _ in two}:
            continue
        if all(costs[min(x, y), max(x, y)][t] < 2 * FITS or np.isinf(costs[min(x, y), max(x, y)][t])
               for x in one for y in two):  # fmt: skip
            one.extend(two)
            group_of.update(dict.fromkeys(two, one))
    groups = {id(group): group for group in group_of.values() if len(group) > 1}
    return list(groups.values())


def _middle(group, middles: dict, t: int) -> np.ndarray:
    spots = [middles[pair][t] for pair in combinations(sorted(group), 2)]
    return np.nanmedian(spots, axis=0)


def _follow(tracks: list[Person], spots: np.ndarray, t: int) -> list[Person | None]:
    """Whose each body of frame t is: None for somebody new."""
    found: list[Person | None] = [None] * len(spots)
    if not (tracks and len(spots)):
        return found
    last = [int(np.flatnonzero((track.places >= 0).any(1))[-1]) for track in tracks]
    there = np.stack([track.middle[k] for track, k in zip(tracks, last)])
    ahead = np.stack([_predicted(track, k, t) for track, k in zip(tracks, last)])
    reach = STRIDE * (t - np.array(last))
    apart = np.linalg.norm(there[:, None] - spots, axis=-1)
    allowed = apart <= np.minimum(reach, 10 * STRIDE)[:, None]
    off = np.linalg.norm(ahead[:, None] - spots, axis=-1)
    for k, spot in zip(*linear_sum_assignment(np.where(allowed, off, 1e6))):
        if allowed[k, spot]:
            found[spot] = tracks[k]
    return found


def _predicted(track: Person, last: int, t: int) -> np.ndarray:
    """(3,) where somebody who was seen in frame `last` is in frame t, if they go on as before."""
    before = last - 1
    if before < 0 or not np.isfinite(track.middle[before]).all():
        return track.middle[last]
    return track.middle[last] + (track.middle[last] - track.middle[before]) * min(t - last, GOES_ON)
