"""Where chapter 2's errors are: at joints that are hidden, blurred or fast, and by which protocol.

Only the renderer knows the truth that the conditions need, so they are about the embedded clips.
"""

from collections.abc import Sequence

import numpy as np

from posebook.data.rendered.clips import truth as truth_of
from posebook.metrics import pose2d
from posebook.video.frames import Frames

# Lower limits of the classes that joints are counted in. Frames away from where the joint is seen:
# 0 is a visible joint, and within 6 frames the module sees it. Cover: 0 is a visible joint, 1 one
# that the person's own body hides, 2 one behind a thing in front.
EDGES = {
    "cover": (0, 1, 2),
    "away": (0, 1, 2, 4, 7),
    "blur": (0, 0.5, 1, 2, 4, 8),
    "speed": (0, 1, 2, 4, 8, 16),
}


def frames_away(seen: np.ndarray) -> np.ndarray:
    """Frames (T, J) from each to the nearest one in which the joint is seen (T, J).

    T, more than there can be, for a joint that the clip never shows.
    """
    T = len(seen)
    at = np.arange(T)
    apart = np.abs(at[:, None] - at)[:, :, None]  # (T, T, 1)
    return np.where(seen[None], apart, T).min(axis=1)


def classes_of(values: np.ndarray, edges: Sequence[float]) -> np.ndarray:
    """The class of each value: the last edge that it reaches."""
    return np.digitize(values, edges) - 1


def conditions(frames: Frames) -> dict[str, np.ndarray]:
    """Class (F, J) of every joint of embedded clips in each of `EDGES`; -1: not counted.

    Blur and speed count visible joints only, so that they do not repeat what hiding does.
    """
    parts: dict[str, list[np.ndarray]] = {name: [] for name in EDGES}
    for clip in frames.records:
        truth = truth_of(clip)
        counted = np.ones_like(clip.visible) if clip.annotated is None else clip.annotated
        seen = clip.visible & counted
        cover = np.where(truth.covered, 2, np.where(seen, 0, 1))
        for name, values, these in (
            ("cover", cover, counted), ("away", frames_away(seen), counted),
            ("blur", truth.blur, seen), ("speed", truth.speed, seen),
        ):  # fmt: skip
            parts[name].append(np.where(these, classes_of(values, EDGES[name]), -1))
    return {name: np.concatenate(part) for name, part in parts.items()}


def by_class(error: np.ndarray, classes: np.ndarray, number: int, clip: np.ndarray) -> np.ndarray:
    """Sums of errors (F, J) and their numbers by clip and class, (C, number, 2)."""
    clips = int(clip.max()) + 1
    place = np.broadcast_to(clip[:, None], classes.shape) * number + classes
    these = classes >= 0
    return np.stack([
        np.bincount(place[these], weights, clips * number).reshape(clips, number)
        for weights in (error[these], None)
    ], axis=-1)  # fmt: skip


def mean_gain(
    single: np.ndarray, other: np.ndarray, draws: int = 2000, seed: int = 0
) -> np.ndarray:
    """Mean error of `single` less that of `other` by class, with its interval: (number, 3).

    Both (C, number, 2) as from `by_class`. The 95 % interval is over clips, drawn with replacement:
    frames of one clip are too alike to be counted as independent. NaN for an empty class.
    """
    random = np.random.default_rng(seed)
    C = len(single)
    counts = random.multinomial(C, np.full(C, 1 / C), size=draws)
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = single[..., 0] - other[..., 0]
        drawn = counts @ difference / (counts @ single[..., 1])
        mean = difference.sum(0) / single[..., 1].sum(0)
    low, high = np.nanpercentile(np.where(np.isfinite(drawn), drawn, np.nan), [2.5, 97.5], axis=0)
    return np.stack([mean, low, high], axis=-1)


def errors_by_condition(
    predicted: np.ndarray, single: np.ndarray, frames: Frames
) -> dict[str, float]:
    """Metrics by condition and class, such as `error_px_away_2`, for joints (F, J, 2) in pixels.

    error_px: mean error. pck_0.1: percent found. joints: how many. gain_px, with gain_low_px and
    gain_high_px: how far the mean error lies below that of `single`, the joints of single frames.
    """
    truth, box, clip = frames.joints.numpy(), frames.box.numpy(), frames.clip.numpy()
    error, theirs = (pose2d.distances(joints, truth) for joints in (predicted, single))
    found = 100.0 * (error <= 0.1 * pose2d.longer_side(box)[:, None])
    metrics = {}
    for name, classes in conditions(frames).items():
        number = len(EDGES[name])
        mine, other, hits = (
            by_class(values, classes, number, clip) for values in (error, theirs, found)
        )
        gain = mean_gain(other, mine)
        for k in range(number):
            joints = mine[:, k, 1].sum()
            if not joints:
                continue
            metrics |= {
                f"joints_{name}_{k}": joints,
                f"error_px_{name}_{k}": mine[:, k, 0].sum() / joints,
                f"pck_0.1_{name}_{k}": hits[:, k, 0].sum() / joints,
                f"gain_px_{name}_{k}": gain[k, 0],
                f"gain_low_px_{name}_{k}": gain[k, 1],
                f"gain_high_px_{name}_{k}": gain[k, 2],
            }
    return metrics


def error_near(predicted: np.ndarray, frames: Frames, N: int = 6) -> dict[str, float]:
    """`mean_error_px_near`: of hidden joints that are seen within N frames, for joints (F, J, 2).

    Nothing where there are no such joints.
    """
    near = np.zeros(frames.visible.shape, bool)
    for rows in map(frames.of_clip, range(len(frames.records))):
        counted = frames.annotated[rows].numpy()
        away = frames_away(frames.visible[rows].numpy() & counted)
        near[rows] = (away > 0) & (away <= N) & counted
    error = pose2d.distances(predicted, frames.joints.numpy())[near]
    return {"mean_error_px_near": float(error.mean())} if error.size else {}


def by_protocol(joints: np.ndarray, frames: Frames) -> dict[str, float]:
    """PCK@0.2 of joints (F, J, 2) by protocol and mean, such as `pck_0.2_mean13_visible`.

    "_annotated" counts hidden joints as well; "_all" also those that nobody annotated, which no
    answer can find.
    """
    truth, box = frames.joints.numpy(), frames.box.numpy()
    visible, annotated = frames.visible.numpy(), frames.annotated.numpy()
    metrics = {}
    for kind in pose2d.MASKS:
        looked_for = pose2d.mask(kind, visible, annotated)
        counts = pose2d.count(joints, truth, box, 0.2, looked_for, annotated)
        means = pose2d.averages(counts, frames.joint_set)
        metrics |= {f"pck_0.2_{mean}_{kind}": means[mean] for mean in ("mean13", "mean7", "micro")}
    return metrics
