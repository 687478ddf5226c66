"""Cameras whose frames are of other instants than the others': late ones, and other frame rates.

Where the other cameras put a joint is compared with where a camera shows it in other frames than
its own. Joints that move tell most, so the faster half is compared.
"""

from fractions import Fraction
from itertools import permutations

import numpy as np

from posebook.data.records import ViewSequence
from posebook.data.sampled import Sample, fit, median

MOST = 400  # instants that are looked at
REACH = 150  # frames to either side in which a shift is looked for, and at most a third of the take
FEWEST = 45  # frames of a take in which one is looked for
SPAN = 15  # frames to either side in which a joint moves, or does not
TOGETHER = 30  # frames within which cameras of different rates must have been started
TELLING = 50  # moving joints, at least, by which a shift is judged
CLEAR = 0.8  # a shift counts where it leaves less than this of the residual
ALIKE = 1.15  # of the least: where steps repeat, a shift of a whole step more leaves as little
CLEARER = 0.6  # and another rate where it leaves less than this of what the best shift leaves
_USUAL = (24, 25, 30, 50, 60)  # frames a second
RATES = sorted({Fraction(*pair) for pair in permutations(_USUAL, 2)})


def reach_of(take: ViewSequence) -> int:
    """How many frames to either side a shift is looked for; 0: with two cameras, which cannot tell
    a late one from a misplaced one, and in a take that is too short."""
    T, V = take.confidence.shape[:2]
    return 0 if V < 3 or T < FEWEST else min(REACH, T // 3)


def shifts(take: ViewSequence) -> np.ndarray:
    """(V,) frames by which each camera is late against the others; 0 where that is not clear.

    The camera for which a shift gains most is put right first, because it spoils the others'
    answers. Where `reach_of` is 0, nothing is said.
    """
    reach, V = reach_of(take), len(take.cameras)
    late = np.zeros(V, dtype=int)
    for _ in range(V if reach else 0):
        left = np.array([_left(take, late, v, reach) for v in range(V)])
        v = int(left.min(1).argmin())
        if left[v].min() > CLEAR:
            break
        late[v] += _nearest(left[v]) - reach
    return late - int(np.median(late))


def _nearest(left: np.ndarray) -> int:
    """Of the shifts that leave about as little as the best, the one nearest to the middle."""
    around = np.minimum(np.append(left[1:], np.inf), np.append(np.inf, left[:-1]))
    lowest = np.flatnonzero((left <= around) & (left <= ALIKE * left.min()))
    return int(lowest[np.abs(lowest - len(left) // 2).argmin()])


def other_rate(take: ViewSequence, v: int) -> Fraction | None:
    """How many frames camera v shows in the time of one of the others', of the usual rates; None
    where it is theirs, or not clear."""
    if not (reach := reach_of(take)):
        return None
    still = np.zeros(len(take.cameras), dtype=int)
    near = min(reach, TOGETHER)
    left = {rate: _left(take, still, v, near, float(rate)).min() for rate in RATES}
    best = min(left, key=left.get)
    return best if left[best] < CLEARER * _left(take, still, v, reach).min() else None


def _left(
    take: ViewSequence, late: np.ndarray, v: int, reach: int, rate: float = 1.0
) -> np.ndarray:
    """(2 reach + 1,) share of camera v's residual that is left if it is so many frames later than
    thought; each on the instants that are in the take in both cases."""
    T = len(take)
    at = np.unique(np.linspace(0, T - 1, min(T, MOST)).astype(int))
    frames = at[:, None] + late
    within = (frames >= 0) & (frames < T)
    index = np.clip(frames, 0, T - 1), np.arange(len(late))
    confidence = np.where(within[..., None], take.confidence[index], 0.0)
    sample = Sample(
        take.cameras, take.joints_2d[index].astype(float), confidence, 0 * at, at
    )  # fmt: skip
    with np.errstate(all="ignore"):
        there = take.cameras[v].project(fit(sample.without(v)).world)
    there[~_moving(there, at)] = np.nan
    mine = np.where(take.confidence[:, v, :, None] > 0, take.joints_2d[:, v], np.nan)
    outside = np.full((1, *mine.shape[1:]), np.nan)
    mine = np.concatenate([mine, outside])

    def off(frames: np.ndarray) -> np.ndarray:
        return np.linalg.norm(mine[np.where((frames < 0) | (frames >= T), T, frames)] - there,
                              axis=-1)  # fmt: skip

    now, base = off(frames[:, v]), np.round(rate * at).astype(int) + late[v]
    return np.array([_share(off(base + n), now) for n in range(-reach, reach + 1)])


def _share(then: np.ndarray, now: np.ndarray) -> float:
    both = np.isfinite(then) & np.isfinite(now)
    return median(then[both]) / max(median(now[both]), 1e-9) if both.sum() >= TELLING else 1.0


def _moving(there: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(N, J) whether a joint is among the faster half."""
    ahead = np.minimum(np.searchsorted(at, at + SPAN), len(at) - 1)
    behind = np.searchsorted(at, at - SPAN)
    moved = np.linalg.norm(there[ahead] - there[behind], axis=-1)
    return moved >= median(moved)
