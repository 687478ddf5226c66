"""What chapter 2's pages draw and count beyond means, filed as results.

    python -m posebook.video_examples --profile laptop

reads the networks and predictions that `make results` left under runs/, and writes

* `conditions`: for some rows and every seed, the error where joints are hidden, blurred and fast,
  and how far it lies below that of single frames;
* `protocols`: PCK of visible, of all annotated and of all joints, as Tables 2.1 and 2.2 ask;
* `figure-2.6`: strips of frames with the joints of three rows, chosen by rule;
* `figure-2.8`: predicted offset fields beside the true motion of the picture.

Only the renderer knows the truth that the first and the last need, so all are about the embedded
clips.
"""

import argparse
import base64
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from posebook import crops, pck, pretraining, results, video, video_metrics
from posebook.data import embedded_video, render
from posebook.frames import Frames, crop, fingerprint
from posebook.models.multiscale import VideoNetwork
from posebook.models.tce import windows

SINGLE = "table-2.3/res50"
# Rows whose errors are taken apart.
ROWS = (SINGLE, "table-2.3/res50-of", "table-2.3/res50-tce-bc", "table-2.5/res50-ms-tce-bc-re")
# Rows that the strips show, and the one by whose error they are chosen.
STRIPS = (SINGLE, "table-2.3/res50-of", "table-2.5/res50-ms-tce-bc-re")
CHOSEN_BY = STRIPS[-1]
OFFSETS_OF = "table-2.3/res50-tce-bc"
# Rows that are counted by all protocols.
COUNTED = (
    "table-2.1/ours", CHOSEN_BY, "table-2.1/ours-split2", "table-2.1/ours-split3",
    "table-2.2/ours-penn13-clips", "table-2.2/ours-penn13",
)  # fmt: skip
SHOWN = 5  # frames of a strip
PICTURE = 96  # pixels of a drawn crop

# Lower limits of the classes that joints are counted in. Frames away from where the joint is seen:
# 0 is a visible joint, and within 6 frames the module sees it. Cover: 0 is a visible joint, 1 one
# that the person's own body hides, 2 one behind a thing in front.
EDGES = {
    "cover": (0, 1, 2),
    "away": (0, 1, 2, 4, 7),
    "blur": (0, 0.5, 1, 2, 4, 8),
    "speed": (0, 1, 2, 4, 8, 16),
}


# ---------------------------------------------------------------- where the error is


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
        truth = embedded_video.truth(clip)
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
    error, theirs = (pck.distances(joints, truth) for joints in (predicted, single))
    found = 100.0 * (error <= 0.1 * pck.longer_side(box)[:, None])
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


# ---------------------------------------------------------------- who is counted (Tables 2.1, 2.2)


def by_protocol(joints: np.ndarray, frames: Frames) -> dict[str, float]:
    """PCK@0.2 of joints (F, J, 2) by protocol and mean, such as `pck_0.2_mean13_visible`.

    "_annotated" counts hidden joints as well; "_all" also those that nobody annotated, which no
    answer can find.
    """
    truth, box = frames.joints.numpy(), frames.box.numpy()
    visible, annotated = frames.visible.numpy(), frames.annotated.numpy()
    metrics = {}
    for kind in pck.MASKS:
        looked_for = pck.mask(kind, visible, annotated)
        counts = pck.count(joints, truth, box, 0.2, looked_for, annotated)
        means = pck.averages(counts, frames.joint_set)
        metrics |= {f"pck_0.2_{mean}_{kind}": means[mean] for mean in ("mean13", "mean7", "micro")}
    return metrics


# ---------------------------------------------------------------- strips (Figure 2.6)


def choose(error: np.ndarray, frames: Frames) -> dict[str, int]:
    """The clips that are drawn: worst, median and best by their mean error (F, J).

    The error of a clip is measured by its boxes, so that small people are not favoured. "hidden" is
    the clip with most hidden joints, which knows no network.
    """
    counted = video_metrics.masks(frames)[""]
    relative = np.where(counted, error / pck.longer_side(frames.box.numpy())[:, None], 0)
    hidden = counted & ~frames.visible.numpy()
    of = [frames.of_clip(clip) for clip in range(len(frames.records))]
    mean = np.array([relative[rows].sum() / max(1, counted[rows].sum()) for rows in of])
    order = np.argsort(mean, kind="stable")
    most = np.argmax([hidden[rows].mean() for rows in of])
    chosen = {"worst": order[-1], "median": order[len(order) // 2], "best": order[0]}
    return {name: int(clip) for name, clip in (chosen | {"hidden": most}).items()}


def strip(kind: str, clip: int, frames: Frames, joints: Mapping[str, np.ndarray]) -> list[dict]:
    """What is drawn of one clip: `SHOWN` frames spread over it, as crops of `PICTURE` pixels."""
    rows = frames.of_clip(clip)
    at = torch.linspace(rows.start, rows.stop - 1, min(SHOWN, rows.stop - rows.start)).long()
    cut = crop(frames, at, PICTURE)
    drawn = []
    for k, row in enumerate(at.tolist()):
        to_crop = cut.M[k : k + 1]
        in_crop = {
            name: crops.move(to_crop, torch.from_numpy(values[row : row + 1]))[0]
            for name, values in joints.items()
        }
        drawn.append({
            "kind": kind, "clip": frames.records[clip].name,
            "action": frames.records[clip].action, "frame": row - rows.start,
            "jpeg": as_text(cut.pictures[k]), "truth": _tenths(cut.joints[k]),
            "visible": frames.visible[row], "counted": frames.annotated[row],
            "joints": {name: _tenths(values) for name, values in in_crop.items()},
        })  # fmt: skip
    return drawn


def as_text(picture: Tensor | np.ndarray, quality: int = 80) -> str:
    """A picture (H, W, 3) of uint8 as a JPEG file in base64."""
    return base64.b64encode(render.encode(np.asarray(picture), quality)).decode()


def as_picture(text: str) -> np.ndarray:
    """The inverse of `as_text`."""
    return render.decode(base64.b64decode(text))


def _tenths(values: Tensor) -> np.ndarray:
    return np.round(np.asarray(values, dtype=float), 1)


# ---------------------------------------------------------------- offset fields (Figure 2.8)


@torch.inference_mode()
def offset_field(encoder: nn.Module, model: VideoNetwork, pictures: Tensor, N: int) -> Tensor:
    """The offsets (2, h, w), in cells, by which the last step moves the state to the target.

    pictures: (T, S, S, 3) crops, the target last. Of several scales, those of the first.
    """
    maps, gates = model.prepare(encoder(crops.normalised(pictures)))
    target, first = torch.tensor([len(maps) - 1]), torch.tensor([0])
    rows, _ = windows(target, first, target, N)
    H = model.tce(maps, gates, rows[:, :-1])
    return model.tce.offset_field(H, maps[rows[:, -1]])[0, 0]


def motion_in_cells(
    flow: np.ndarray, M: Tensor, M_next: Tensor, size: int, cells: int
) -> np.ndarray:
    """From where each cell's content has come, (2, cells, cells) in cells: what a warp should say.

    flow: (H, W, 2) true motion of the picture to the next frame, in pixels. M, M_next: (2, 3) from
    either picture to its crop. A pixel that was at u in the crop is at v in the next one's; a cell
    has the mean of u - v over the pixels whose v lies in it, and 0 without any.
    """
    H, W = flow.shape[:2]
    y, x = np.mgrid[:H, :W]
    here = torch.from_numpy(np.stack([x, y], axis=-1).reshape(1, -1, 2).astype(float))
    there = here + torch.from_numpy(flow.reshape(1, -1, 2).astype(float))
    u, v = crops.move(M[None].double(), here)[0], crops.move(M_next[None].double(), there)[0]
    cell = ((v + 0.5) * cells / size).floor().long()
    inside = ((cell >= 0) & (cell < cells)).all(-1).numpy()
    place = (cell[:, 1] * cells + cell[:, 0]).numpy()[inside]
    came = ((u - v) * cells / size).numpy()[inside]
    number = np.bincount(place, minlength=cells**2)
    total = np.stack([np.bincount(place, part, cells**2) for part in came.T])
    return (total / np.maximum(number, 1)).reshape(2, cells, cells)


def correlation(fields: np.ndarray, motions: np.ndarray, draws: int = 1000) -> list[float]:
    """Correlation of two stacks (C, 2, h, w), x and y pooled, with its 95 % interval over clips.

    0 where one of them does not vary.
    """

    def of(a, b):
        a, b = a - a.mean((0, 2, 3), keepdims=True), b - b.mean((0, 2, 3), keepdims=True)
        norm = np.sqrt((a**2).sum() * (b**2).sum())
        return float((a * b).sum() / norm) if norm > 0 else 0.0

    random = np.random.default_rng(0)
    drawn = []
    for _ in range(draws):
        these = random.integers(len(fields), size=len(fields))
        drawn.append(of(fields[these], motions[these]))
    return [of(fields, motions), *np.percentile(drawn, [2.5, 97.5]).tolist()]


def middle(length: int) -> int:
    """The frame of a clip whose offsets are looked at; it has two before it."""
    return max(2, length // 2)


# ---------------------------------------------------------------- records


def joints_of(row: str, profile: str, seed: int, frames: Frames) -> np.ndarray | None:
    """The joints (F, J, 2) that a run found in all test frames, or None if it left none.

    Raises ValueError if they belong to other clips.
    """
    path = results.newest_in_runs(row, profile, seed, "predictions.npz")
    if path is None:
        return None
    with np.load(path, allow_pickle=False) as file:
        joints = file["joints"]
    if joints.shape != tuple(frames.joints.shape):
        raise ValueError(
            f"{path}: joints are {joints.shape} and the test clips have "
            f"{tuple(frames.joints.shape)}; delete the run's folder and run it again"
        )
    return joints


def _record(experiment, variant, profile, seed, frames, metrics, poses=(), **more) -> dict:
    return {
        "experiment": experiment,
        "variant": variant,
        "dataset": video.SOURCE,
        "profile": profile,
        "seed": seed,
        "metrics": metrics,
        "poses": list(poses),
        "parameters": {"edges": {name: list(edges) for name, edges in EDGES.items()}, **more},
        "data_digest": results.data_digest({"test": np.array(fingerprint(frames))}),
        "device": results.device_name("cpu"),
        "modules": sorted({*results.imported_modules(), "posebook.video_examples"}),
        "steps": 0,
        "wall_seconds": 0.0,
    }


def condition_records(profile: str, frames: Frames, seeds: Sequence[int] = range(10)):
    """A record for every row and seed whose predictions, and those of single frames, exist."""
    for seed in seeds:
        single = joints_of(SINGLE, profile, seed, frames)
        for row in ROWS if single is not None else ():
            joints = joints_of(row, profile, seed, frames)
            if joints is not None:
                metrics = errors_by_condition(joints, single, frames)
                variant = row.split("/")[1]
                yield _record("conditions", variant, profile, seed, frames, metrics)


def protocol_records(profile: str, seeds: Sequence[int] = range(10)):
    """A record for every row of `COUNTED` and seed whose predictions exist."""
    for row in COUNTED:
        variant = row.split("/")[1]
        found = {s: results.newest_in_runs(row, profile, s, "predictions.npz") for s in seeds}
        there = [seed for seed, path in found.items() if path]
        if not there:
            continue
        _, frames = video.clips(*video.settings(profile, variant), video.SOURCE)
        for seed in there:
            metrics = by_protocol(joints_of(row, profile, seed, frames), frames)
            yield _record("protocols", variant, profile, seed, frames, metrics)


def strips_record(profile: str, frames: Frames, seed: int = 0) -> dict | None:
    """Figure 2.6, or None if a row that it shows has not been run."""
    joints = {row: joints_of(row, profile, seed, frames) for row in STRIPS}
    if any(values is None for values in joints.values()):
        return None
    truth = frames.joints.numpy()
    error = {row: pck.distances(values, truth) for row, values in joints.items()}
    counted = video_metrics.masks(frames)[""]
    poses, metrics = [], {}
    for kind, clip in choose(error[CHOSEN_BY], frames).items():
        poses += strip(kind, clip, frames, joints)
        rows = frames.of_clip(clip)
        for row, values in error.items():
            name = f"error_px_{kind}_{row.split('/')[1].replace('-', '_')}"
            metrics[name] = values[rows][counted[rows]].mean()
    return _record("figure-2.6", "strips", profile, seed, frames, metrics, poses)


def offsets_record(profile: str, frames: Frames, seed: int = 0) -> dict | None:
    """Figure 2.8, or None if the row whose offsets it shows has not been run."""
    path = results.newest_in_runs(OFFSETS_OF, profile, seed, "network.pt")
    if path is None:
        return None
    size, row = video.settings(profile, OFFSETS_OF.split("/")[1])
    state = torch.load(path, weights_only=True, map_location="cpu")
    base = pretraining.build(size.base, len(frames.joint_set))
    model = video.build(size, row, base, len(frames.joint_set))
    base.encoder.load_state_dict(state["encoder"])
    model.load_state_dict(state["model"])
    base.encoder.eval(), model.eval()
    fields, to_target, to_state, pairs = [], [], [], []
    clips = [k for k, record in enumerate(frames.records) if len(record) > 2]
    for number in tqdm(clips, desc="offset fields", delay=5):
        start, at = frames.of_clip(number).start, middle(len(frames.records[number]))
        rows = torch.arange(start + max(0, at - row.N), start + at + 1)
        cut = crop(frames, rows, size.base.crop)
        field = offset_field(base.encoder, model, cut.pictures, row.N)
        fields.append(field.double().numpy())
        for frame, motions in ((at - 1, to_target), (at - 2, to_state)):
            flow = embedded_video.flow(frames.records[number], frame)
            M, M_next = cut.M[frame - at - 1], cut.M[frame - at]
            motions.append(motion_in_cells(flow, M, M_next, size.base.crop, field.shape[-1]))
        pairs.append(cut.pictures[-2:])
    fields, to_target, to_state = (np.stack(part) for part in (fields, to_target, to_state))
    speed = np.linalg.norm(to_target, axis=1).mean((1, 2))
    order = np.argsort(speed, kind="stable")
    chosen = {"median motion": order[len(order) // 2], "most motion": order[-1]}
    poses = [
        {
            "kind": kind, "clip": frames.records[clips[k]].name,
            "action": frames.records[clips[k]].action,
            "before": as_text(_small(pairs[k][0])), "target": as_text(_small(pairs[k][1])),
            "offsets": np.round(fields[k], 4), "motion": np.round(to_target[k], 4),
        }
        for kind, k in chosen.items()
    ]  # fmt: skip
    metrics = {
        "offset_cells": float(np.linalg.norm(fields, axis=1).mean()),
        "motion_cells": float(np.linalg.norm(to_target, axis=1).mean()),
        "clips": len(clips),
    }
    for name, motions in (("to_target", to_target), ("to_state", to_state)):
        values = correlation(fields, motions)
        for suffix, value in zip(("", "_low", "_high"), values, strict=True):
            metrics[f"correlation_{name}{suffix}"] = value
    return _record("figure-2.8", OFFSETS_OF.split("/")[1], profile, seed, frames, metrics, poses)


def _small(picture: Tensor) -> np.ndarray:
    return cv2.resize(picture.numpy(), (PICTURE, PICTURE), interpolation=cv2.INTER_AREA)


def main() -> None:
    """Write what can be written into book/results, and say what lacks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", choices=video.PROFILES, default="laptop")
    profile = parser.parse_args().profile
    torch.set_num_threads(1)
    _, frames = video.clips(*video.settings(profile, "res50"), video.SOURCE)
    counted = [*condition_records(profile, frames), *protocol_records(profile)]
    found = [*counted, strips_record(profile, frames), offsets_record(profile, frames)]
    for record in filter(None, found):
        print("written:", results.write_result(results.results_folder(), record))
    if None in found or not counted:
        print(f"runs/{profile} lacks rows; run `make results PROFILE={profile}` first")


if __name__ == "__main__":
    main()
