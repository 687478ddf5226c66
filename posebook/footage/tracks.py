"""Who is who in one view: each person goes on in the box nearest to where theirs should be.

The box of a person is that of their joints. It is predicted from frame to frame by its own smoothed
velocity, and people are assigned to the predicted boxes so that the boxes' corners move least
(linear assignment). Joints that a frame does not show go on with the others: whose legs are hidden
for a moment keeps their box. A box further off than half its diagonal is somebody else; whoever is
not seen for a second has left, and comes back as a new person. Where boxes cover each other, paths
alone tell who is who, and that is said.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from posebook.footage.detections import View
from posebook.geometry.skeleton import H36M

FURTHEST = 0.5  # of a box's diagonal, from the predicted corners
GONE = 1.0  # seconds without being seen
STEADY = 0.7  # share of the old velocity in the new one
COVERED = 0.5  # of the smaller box, by another one
FEWEST = 6  # joints that make a person


@dataclass(eq=False)
class Track:
    """Somebody in one view: `places` (T,) among its people, -1 where they are not seen."""

    places: np.ndarray
    boxes: np.ndarray  # (T, 4), NaN where they are not seen
    last: int = -1
    body: np.ndarray = field(default_factory=lambda: np.full((0, 2), np.nan))  # joints, (J, 2)
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))

    @property
    def frames(self) -> int:
        """In how many frames they are seen."""
        return int((self.places >= 0).sum())

    def predicted(self, t: int) -> np.ndarray:
        """The body (J, 2) where it should be in frame t."""
        return self.body + (t - self.last) * self.velocity

    def add(self, t: int, place: int, joints: np.ndarray) -> None:
        """They are in this place in frame t, with these joints (J, 2), NaN where missing."""
        if self.last >= 0:
            moved = joints - self.body
            moved = moved[np.isfinite(moved).all(-1)]
            shift = np.median(moved, axis=0) if len(moved) else (t - self.last) * self.velocity
            now = shift / (t - self.last)
            self.velocity = STEADY * self.velocity + (1 - STEADY) * now
            joints = np.where(np.isfinite(joints), joints, self.body + shift)
        self.places[t], self.body, self.last = place, joints, t
        self.boxes[t] = _box(joints)


def _box(joints: np.ndarray) -> np.ndarray:
    """x1, y1, x2, y2 round joints (..., J, 2) that are not NaN."""
    return np.concatenate([np.nanmin(joints, -2), np.nanmax(joints, -2)], axis=-1)


def bodies_of(view: View) -> np.ndarray:
    """(T, P, J, 2) joints, NaN where they are not found or nobody is."""
    found = view.confidence > 0
    found &= found.sum(-1, keepdims=True) >= FEWEST
    return np.where(found[..., None], view.joints, np.nan)


def follow(view: View, fps: float) -> list[Track]:
    """Everybody in a view, whoever is seen most first."""
    T, bodies = len(view), bodies_of(view)
    tracks: list[Track] = []
    for t in range(T):
        there = np.flatnonzero(np.isfinite(bodies[t]).any((-1, -2)))
        alive = [track for track in tracks if t - track.last <= GONE * fps]
        for place, track in zip(there, _assigned(alive, _box(bodies[t, there]), t)):
            if track is None:
                track = Track(np.full(T, -1), np.full((T, 4), np.nan))
                tracks.append(track)
            track.add(t, place, bodies[t, place])
    return sorted(tracks, key=lambda track: -track.frames)


def _assigned(tracks: list[Track], boxes: np.ndarray, t: int) -> list[Track | None]:
    """The track of each box (B, 4), or None for somebody new."""
    found: list[Track | None] = [None] * len(boxes)
    if not tracks or not len(boxes):
        return found
    expected = np.array([_box(track.predicted(t)) for track in tracks])
    diagonal = np.linalg.norm(expected[:, 2:] - expected[:, :2], axis=-1)
    corners = (boxes[:, None] - expected).reshape(len(boxes), len(tracks), 2, 2)
    off = np.linalg.norm(corners, axis=-1).mean(-1) / np.maximum(diagonal, 1.0)
    # Too far is as good as not at all: nobody gives way for a match that will not count.
    for b, i in zip(*linear_sum_assignment(np.minimum(off, 2 * FURTHEST))):
        if off[b, i] < FURTHEST:
            found[b] = tracks[i]
    return found


def crossings(tracks: list[Track]) -> list[str]:
    """A sentence for each two people whose boxes cover each other."""
    said = []
    for i, one in enumerate(tracks):
        for j, two in enumerate(tracks[:i]):
            frames = np.flatnonzero(_cover(one.boxes, two.boxes) > COVERED)
            if len(frames):
                said.append(f"people {j + 1} and {i + 1} cover each other in {runs(frames)}: their "
                            "paths alone say who is who behind it; look at the film")  # fmt: skip
    return said


def exchanges(joints: np.ndarray) -> np.ndarray:
    """Frames of a person's joints (T, 17, 2) to which they come nearer with left and right
    exchanged: a detector has changed its mind there."""
    before, now = joints[:-1], joints[1:]
    apart = [np.linalg.norm(other - before, axis=-1) for other in (now, now[:, H36M.flip])]
    same = np.isfinite(apart[0]) & np.isfinite(apart[1])
    stays, changes = (np.where(same, d, 0.0).sum(-1) for d in apart)
    return 1 + np.flatnonzero(changes < stays / 2)


def _cover(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(T,) how much of the smaller of two boxes lies in the other one; 0 where one is missing."""
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    common = np.clip(sides, 0, None).prod(-1)
    areas = np.minimum((a[:, 2:] - a[:, :2]).prod(-1), (b[:, 2:] - b[:, :2]).prod(-1))
    return np.nan_to_num(common / np.maximum(areas, 1.0))


def runs(frames: np.ndarray) -> str:
    """Frames in words: "frame 3", "frames 3 to 9 and 12"."""
    parts = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
    said = [f"{p[0]}" if len(p) == 1 else f"{p[0]} to {p[-1]}" for p in parts]
    if len(said) > 6:
        said = [*said[:5], f"{len(said) - 5} other stretches"]
    text = " and ".join([", ".join(said[:-1]), said[-1]]) if len(said) > 1 else said[0]
    return f"frame{'s' if len(frames) > 1 else ''} {text}"
