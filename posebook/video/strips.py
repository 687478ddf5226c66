"""Figure 2.6: strips of frames with the joints that some rows find, chosen by rule."""

import base64
from collections.abc import Mapping

import cv2
import numpy as np
import torch
from torch import Tensor

from posebook.data.rendered import render
from posebook.metrics import pose2d
from posebook.video import crops, measures
from posebook.video.frames import Frames, crop

SHOWN = 5  # frames of a strip
PICTURE = 96  # pixels of a drawn crop


def choose(error: np.ndarray, frames: Frames) -> dict[str, int]:
    """The clips that are drawn: worst, median and best by their mean error (F, J).

    The error of a clip is measured by its boxes, so that small people are not favoured. "hidden" is
    the clip with most hidden joints, which knows no network.
    """
    counted = measures.masks(frames)[""]
    relative = np.where(counted, error / pose2d.longer_side(frames.box.numpy())[:, None], 0)
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
            name: crops.apply_affine(to_crop, torch.from_numpy(values[row : row + 1]))[0]
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


def strips(
    joints: Mapping[str, np.ndarray], chosen_by: str, frames: Frames
) -> tuple[list[dict], dict[str, float]]:
    """What is drawn of the chosen clips, and each row's mean error there in pixels.

    Args:
        joints: row -> (F, J, 2) pixels.
        chosen_by: the row by whose error the clips are chosen.
    """
    truth = frames.joints.numpy()
    error = {row: pose2d.distances(values, truth) for row, values in joints.items()}
    counted = measures.masks(frames)[""]
    poses, metrics = [], {}
    for kind, clip in choose(error[chosen_by], frames).items():
        poses += strip(kind, clip, frames, joints)
        rows = frames.of_clip(clip)
        for row, values in error.items():
            name = f"error_px_{kind}_{row.split('/')[1].replace('-', '_')}"
            metrics[name] = values[rows][counted[rows]].mean()
    return poses, metrics


def _tenths(values: Tensor) -> np.ndarray:
    return np.round(np.asarray(values, dtype=float), 1)


def small(picture: Tensor) -> np.ndarray:
    return cv2.resize(picture.numpy(), (PICTURE, PICTURE), interpolation=cv2.INTER_AREA)
