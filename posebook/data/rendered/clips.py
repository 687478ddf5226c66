"""Embedded video: clips and stills of rendered people, made the same on any machine, once.

Eighteen people (at laptop size) in three groups perform the embedded motion, each clip in clothes
and surroundings of its own. A split tests on one group and trains on the two others. Every group
has its own third of each recording, so that a test shows neither a body nor a stretch of motion
that training has seen; but walking and running, which repeat themselves, all of them do from end
to end. The stills show other people in recombined poses.

A clip depends only on the code, its name and the allowed lengths. All is generated once into a
folder, clip by clip; several processes that ask for the same share the work.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posebook.data.records import ImageSet, VideoClip
from posebook.data.rendered import render, scene
from posebook.data.rendered.mesh import NAMES, REST_JOINTS
from posebook.data.rendered.store import (
    SOURCE,
    VideoSize,
    _still_units,
    clip_names,
    generate,
    opened,
)
from posebook.data.rendered.takes import FPS, GROUPS, clip_take
from posebook.data.rendered.truth import motion_between
from posebook.geometry.skeleton import joint_set as find_joint_set
from posebook.paths import cache_folder
from posebook.storage import writing_to

SPLITS = (1, 2, 3)


def make_clips(
    size: VideoSize, joint_set: str = "jhmdb15", split: int = 1
) -> tuple[list[VideoClip], list[VideoClip]]:
    """Training and test clips of one of the three splits, in the joint set's order.

    Args:
        joint_set: "jhmdb15", "penn13" or "mpii16". The first call makes the pictures. A joint
            outside the picture is not annotated.

    Raises:
        ValueError: for an unknown joint set or split.
    """
    if split not in SPLITS:
        raise ValueError(f"embedded video: unknown split {split!r}; known: 1, 2, 3")
    columns = _columns(joint_set)
    folder = _generated(size, "clips")
    train, test = [], []
    for name in clip_names(size):
        tested = name[0] == GROUPS[split - 1]
        clip = _read_clip(folder / f"{name}.npz", name, joint_set, columns, tested)
        (test if tested else train).append(clip)
    return train, test


def _generated(size: VideoSize, what: str) -> Path:
    """As `generate`; where it may not write, that is said before anything is rendered."""
    with writing_to(cache_folder(), "set POSEBOOK_CACHE to a folder of your own"):
        return generate(size, what)


def make_stills(size: VideoSize, joint_set: str = "mpii16") -> tuple[ImageSet, ImageSet]:
    """Training and test stills. The people and the poses are none of the clips'.

    The poses recombine limbs of all recordings, so that no still shows a recorded pose as it is.

    Raises:
        ValueError: for an unknown joint set or a size without stills.
    """
    if min(size.stills, size.test_stills) < 1:
        raise ValueError(f"embedded video: there are no stills in {size}; give both at least 1")
    columns = _columns(joint_set)
    folder = _generated(size, "stills")
    return tuple(
        _read_stills(
            [folder / f"{u}.npz" for u in _still_units(size, part)], joint_set, columns, part
        )
        for part in ("train", "test")
    )


@dataclass(frozen=True, eq=False)
class ClipTruth:
    """What the renderer knows of a clip's joints beyond their place, each (T, J).

    Attributes:
        covered: behind a passing object.
        hidden: behind the person's own body.
        inside: within the picture.
        blur: pixels that the joint moves while the shutter is open.
        speed: pixels a frame.
        shutter: share of the time between two frames that it is open.
    """

    covered: np.ndarray
    hidden: np.ndarray
    inside: np.ndarray
    blur: np.ndarray
    speed: np.ndarray
    shutter: float


def truth(clip: VideoClip) -> ClipTruth:
    """The side record of a clip from `make_clips`; a ValueError for any other clip."""
    with opened(_file_of(clip)) as file:
        columns = _columns(clip.joint_set)
        fields = ("covered", "inside", "blur", "speed", "visible")
        arrays = {name: file[name][:, columns] for name in fields}
        shutter = float(file["shutter"])
    hidden = arrays["inside"] & ~arrays["visible"] & ~arrays["covered"]
    del arrays["visible"]
    return ClipTruth(hidden=hidden, shutter=shutter, **arrays)


def flow(clip: VideoClip, frame: int) -> np.ndarray:
    """The true motion (240, 320, 2) of the picture from a frame to the next, pixels (x, y).

    Raises:
        ValueError: for a clip not from `make_clips`.
        IndexError: if there is no next frame.
    """
    if not 0 <= frame < len(clip) - 1:
        raise IndexError(
            f"{clip.source}: {clip.name}: frame {frame} of {len(clip)} has no next one"
        )
    with opened(_file_of(clip)) as file:
        frames = tuple(int(n) for n in file["frames"])
    return motion_between(clip_take(clip.name, frames)[0], frame)


class JpegFrames(Sequence):
    """T pictures (240, 320, 3), uint8, RGB, that lie in memory as JPEG files.

    Behaves like the array (T, 240, 320, 3): an index gives a picture, a slice or a list of indices
    an array of them; `np.asarray` decodes all.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, content: np.ndarray, ends: np.ndarray, file: Path) -> None:
        self.file = file
        self._content, self._ends = content, ends

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return len(self), scene.HEIGHT, scene.WIDTH, 3

    def __getitem__(self, index):
        if isinstance(index, int | np.integer):
            return self._picture(range(len(self))[index])
        rows = np.arange(len(self))[index]
        return np.stack([self._picture(int(row)) for row in rows]) if len(rows) else self._none()

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)

    def _picture(self, row: int) -> np.ndarray:
        start = self._ends[row - 1] if row else 0
        return render.decode(self._content[start : self._ends[row]])

    def _none(self) -> np.ndarray:
        return np.zeros((0, *self.shape[1:]), self.dtype)


def _columns(name: str) -> list[int]:
    """Where the joints of a set stand among the mesh's."""
    if name not in NAMES:
        raise ValueError(f"embedded video: no joint set {name!r}; known: {', '.join(NAMES)}")
    names = [NAMES[name].get(joint, joint) for joint in find_joint_set(name).names]
    return [REST_JOINTS.index(joint) for joint in names]


def _file_of(clip: VideoClip) -> Path:
    if not isinstance(clip.pictures, JpegFrames):
        raise ValueError(f"{clip.source}: {clip.name} is no embedded video, nobody knows its truth")
    return clip.pictures.file


def _read_clip(path: Path, name: str, joint_set: str, columns, tested: bool) -> VideoClip:
    with opened(path) as file:
        return VideoClip(
            JpegFrames(file["content"], file["ends"], path),
            file["joints"][:, columns],
            file["visible"][:, columns],
            file["box"],
            joint_set,
            "test" if tested else "train",
            name,
            action=str(file["action"]),
            subject=name[:3],
            fps=FPS,
            source=SOURCE,
            annotated=file["inside"][:, columns],
        )


def _read_stills(paths: Sequence[Path], joint_set: str, columns, part: str) -> ImageSet:
    arrays: dict[str, list[np.ndarray]] = {}
    size = 0
    for path in paths:
        with opened(path) as file:
            for name in ("content", "ends", "joints", "visible", "inside", "box"):
                array = file[name]
                arrays.setdefault(name, []).append(array + size if name == "ends" else array)
            size += len(file["content"])
    merged = {name: np.concatenate(parts) for name, parts in arrays.items()}
    return ImageSet(
        JpegFrames(merged["content"], merged["ends"], paths[0]),
        merged["joints"][:, columns],
        merged["visible"][:, columns],
        merged["box"],
        joint_set,
        part,
        source=f"{SOURCE}-stills",
        annotated=merged["inside"][:, columns],
    )
