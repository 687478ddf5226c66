"""BVH, the format of 100STYLE, LAFAN1 and of CMU's takes as converted: a skeleton, then its angles.

Joints are named as in the file, without a prefix such as "mixamorig:"; the end of a chain is called
after its joint, "Head_end".
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from posebook.data.captured.capture import Capture


@dataclass
class Bone:
    """A joint of a skeleton: where it sits on its parent, and which channels move it.

    Attributes:
        parent: index of the parent, -1 for the root.
        offset: (3,) in the parent's frame.
        moves: columns of the motion for X, Y, Z translations.
        turns: (axis, column) of its rotations, in degrees, the first one applied last.
    """

    name: str
    parent: int
    offset: np.ndarray
    moves: dict[str, int]
    turns: list[tuple[str, int]]


def read_bvh(path: str | Path) -> Capture:
    """A BVH file's joints over time.

    Raises:
        ValueError: naming file, line and remedy, for what is no whole BVH file.
        OSError: where there is none.
    """
    path = Path(path)
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = [line.split() for line in text.split("\n")]
    if not lines or lines[0][:1] != ["HIERARCHY"]:
        raise ValueError(f"{path}: does not begin with HIERARCHY, so it is no BVH file")
    bones, columns, at = _skeleton(path, lines)
    fps, motion = _motion(path, lines, at, columns)
    return Capture(path, tuple(b.name for b in bones), forward_kinematics(bones, motion), fps)


def _skeleton(path: Path, lines: list[list[str]]) -> tuple[list[Bone], int, int]:
    """Bones, parents first, the number of channels, and the line after MOTION."""
    bones: list[Bone] = []
    open_, columns = [-1], 0
    for at, words in enumerate(lines):
        try:
            match words:
                case [("ROOT" | "JOINT"), *name]:
                    bones.append(_bone("_".join(name).split(":")[-1], open_[-1]))
                case ["End", *_]:
                    bones.append(_bone(f"{bones[open_[-1]].name}_end", open_[-1]))
                case ["{"]:
                    open_.append(len(bones) - 1)
                case ["}"]:
                    open_.pop()
                case ["OFFSET", x, y, z]:
                    bones[-1].offset = np.array([float(x), float(y), float(z)])
                case ["CHANNELS", count, *channels] if int(count) == len(channels):
                    for column, channel in enumerate(channels, columns):
                        _add_channel(bones[-1], channel, column)
                    columns += len(channels)
                case ["MOTION"] if open_ == [-1] and bones:
                    return bones, columns, at + 1
                case [] | ["HIERARCHY"]:
                    pass
                case _:
                    raise ValueError("not understood")
        except (ValueError, IndexError):
            raise ValueError(
                f"{path}: line {at + 1}, {' '.join(words)[:60]!r}, has no place in the skeleton of "
                "a BVH file; export the take again"
            ) from None
    raise ValueError(f"{path}: no MOTION follows the skeleton; the file is cut short")


def _bone(name: str, parent: int) -> Bone:
    return Bone(name, parent, np.zeros(3), {}, [])


def _add_channel(bone: Bone, channel: str, column: int) -> None:
    axis, kind = channel[0].upper(), channel[1:].lower()
    if axis not in "XYZ" or kind not in ("position", "rotation"):
        raise ValueError(channel)
    if kind == "position":
        bone.moves[axis] = column
    else:
        bone.turns.append((axis, column))


def _motion(path: Path, lines, at: int, columns: int) -> tuple[float, np.ndarray]:
    rows = [words for words in lines[at:] if words]
    try:
        count, step = int(rows[0][-1]), float(rows[1][-1])
    except (IndexError, ValueError):
        raise ValueError(f"{path}: MOTION has no `Frames:` and `Frame Time:`; export it again"
                         ) from None  # fmt: skip
    if not 0.001 <= step <= 0.1:
        raise ValueError(f"{path}: a frame lasts {step:g} s, where 0.001 to 0.1 are thought of; "
                         "mend `Frame Time:`")  # fmt: skip
    frames = rows[2:]
    if len(frames) != count:
        raise ValueError(f"{path}: {len(frames)} frames, `Frames:` says {count}; it is cut short")
    for number, frame in enumerate(frames, 1):
        if len(frame) != columns:
            raise ValueError(f"{path}: frame {number} has {len(frame)} numbers, the skeleton "
                             f"{columns} channels")  # fmt: skip
    try:
        return 1 / step, np.array(frames, dtype=float).reshape(count, columns)
    except ValueError as error:
        raise ValueError(f"{path}: the motion holds what is no number ({error})") from None


def forward_kinematics(bones: list[Bone], motion: np.ndarray) -> np.ndarray:
    """Positions (T, J, 3) of bones, parents first, by their channels (T, C)."""
    T = len(motion)
    points, frames = np.zeros((T, len(bones), 3)), []
    for j, bone in enumerate(bones):
        offset = np.tile(bone.offset, (T, 1))
        for axis, column in bone.moves.items():
            # A root's translation stands in the place of its offset, as most writers mean it.
            offset[:, "XYZ".index(axis)] = motion[:, column]
        turn = Rotation.identity(T)
        if bone.turns:
            axes = "".join(axis for axis, _ in bone.turns)  # capital letters: moving axes
            turn = Rotation.from_euler(axes, motion[:, [c for _, c in bone.turns]], degrees=True)
        if bone.parent >= 0:
            points[:, j] = points[:, bone.parent] + frames[bone.parent].apply(offset)
            turn = frames[bone.parent] * turn
        else:
            points[:, j] = offset
        frames.append(turn)
    return points
