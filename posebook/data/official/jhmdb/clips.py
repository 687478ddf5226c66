"""A clip of sub-JHMDB from the official files: joints, and boxes from the puppet's mask."""

from pathlib import Path

import numpy as np

from posebook.data.formats.files import (
    numbered_pictures,
)
from posebook.data.formats.matlab import MatFile
from posebook.data.official.jhmdb.facts import FPS, HEIGHT, SOURCE, WIDTH, unpack
from posebook.data.official.jhmdb.folders import mat_of, part_of
from posebook.data.official.jhmdb.splits import Entry
from posebook.data.records import VideoClip
from posebook.geometry.skeleton import JHMDB


def read_clip(folder: Path, entry: Entry) -> VideoClip:
    """One clip; its joints counted from 0, its boxes from the puppet's mask."""
    inside = Path(entry.action) / entry.name
    joints = read_joints(mat_of(folder, "joint_positions", inside))
    box = read_boxes(mat_of(folder, "puppet_mask", inside))
    if len(joints) != len(box):
        raise ValueError(
            f"{part_of(folder, 'puppet_mask') / inside}: part_mask has {len(box)} frames and "
            f"pos_img {len(joints)}: files of different clips or releases; unpack both archives "
            "anew"
        )
    place = part_of(folder, "Rename_Images") / inside
    pictures = numbered_pictures(place, "{:05d}.png", len(joints), unpack("Rename_Images"))
    return VideoClip(
        pictures=pictures,
        joints=joints,
        visible=np.ones(joints.shape[:2], dtype=bool),
        box=box,
        joint_set=JHMDB.name,
        split=entry.part,
        name=entry.name,
        action=entry.action,
        fps=FPS,
        source=SOURCE,
    )


def read_joints(mat: MatFile) -> np.ndarray:
    """Joints (T, 15, 2) in pixels counted from 0; MATLAB counts from 1."""
    positions = mat.array("pos_img", 2, len(JHMDB), None)
    return (positions.transpose(2, 1, 0) - 1).astype(np.float32)


def read_boxes(mat: MatFile) -> np.ndarray:
    """Boxes (T, 4) round the puppet; ValueError for a frame without one."""
    mask = mat.array("part_mask", HEIGHT, WIDTH, None, dtype=bool)
    box, empty = mask_boxes(mask)
    if empty.any():
        frame = int(np.flatnonzero(empty)[0]) + 1
        raise mat.error("part_mask", f"shows no body in frame {frame}, or one without area")
    return box


def mask_boxes(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x1, y1, x2, y2 (T, 4) of the outermost pixels of a mask (H, W, T), and where it has no area.

    The widely copied way over linear indices, floor(position / height) + 1, is one pixel off
    where the body touches the last row or column.
    """
    columns, rows = mask.any(axis=0), mask.any(axis=1)
    H, W = len(rows), len(columns)
    x1, y1 = columns.argmax(axis=0), rows.argmax(axis=0)
    x2, y2 = W - 1 - columns[::-1].argmax(axis=0), H - 1 - rows[::-1].argmax(axis=0)
    empty = ~columns.any(axis=0) | (x1 == x2) | (y1 == y2)
    return np.stack([x1, y1, x2, y2], axis=-1).astype(np.float32), empty


def recovered_scale(mat: MatFile) -> tuple[np.ndarray, float]:
    """The puppet's scale in each frame (T,), and how far pos_img is from saying the same, pixels.

    pos_world is pos_img in heights of the picture from its middle, divided by the scale. So one
    number a frame must explain 30, which shows files that do not belong together, and gives the
    scale to the release of 2013, which lacks the field.
    """
    image = mat.array("pos_img", 2, len(JHMDB), None)
    world = mat.array("pos_world", 2, len(JHMDB), None)
    if image.shape != world.shape:
        raise mat.error("pos_world", f"has {world.shape[2]} frames, pos_img {image.shape[2]}")
    size = np.array([WIDTH, HEIGHT])[:, None, None]
    centred = (image / size - 0.5) * size / HEIGHT
    power = (world * world).sum(axis=(0, 1))
    scale = (centred * world).sum(axis=(0, 1)) / np.where(power > 0, power, 1)
    return scale, float(HEIGHT * np.abs(centred - scale * world).max())
