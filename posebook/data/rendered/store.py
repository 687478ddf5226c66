"""The embedded video on the disk: generated once, clip by clip, by as many processes as there are.

Each file is locked while it is made, written whole and renamed. The folder's name tells code and
size apart.
"""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from filelock import FileLock, Timeout
from tqdm import tqdm

from posebook.data.rendered import render
from posebook.data.rendered.take import MIDDLE, Take
from posebook.data.rendered.takes import GROUPS, clip_take, still_take
from posebook.data.rendered.truth import (
    Truth,
    blur_lengths,
    box_of,
    joint_paths,
    speeds,
    visibility,
)
from posebook.paths import cache_folder
from posebook.results.provenance import code_digest
from posebook.storage import whole

SOURCE = "embedded-video"
STILLS_PER_FILE = 200
# What can change a picture, beside its size.
_MODULES = (
    "posebook.data.recorded.body",
    "posebook.data.recorded.motion",
    *(
        f"posebook.data.rendered.{name}"
        for name in (
            "mesh", "people", "rasterize", "render", "scene", "store", "surfaces", "take", "takes",
            "truth",
        )
    ),
)  # fmt: skip


@dataclass(frozen=True)
class VideoSize:
    """How much is generated.

    Attributes:
        people: in each of the three groups.
        clips: of each person.
        frames: shortest and longest clip.
        stills: single pictures for training.
        test_stills: those for the test.
    """

    people: int
    clips: int
    frames: tuple[int, int] = (15, 40)
    stills: int = 0
    test_stills: int = 0

    def __post_init__(self) -> None:
        low, high = self.frames
        if min(self.people, self.clips) < 1 or not 1 <= low <= high or self.stills < 0:
            raise ValueError(
                "VideoSize: people and clips must be at least 1, frames a shortest and a longest "
                f"length of at least 1, stills not negative; got {self}"
            )


SIZES = {
    "smoke": VideoSize(people=1, clips=2, frames=(6, 7), stills=12, test_stills=6),
    "laptop": VideoSize(people=6, clips=16, stills=6000, test_stills=600),
    "full": VideoSize(people=16, clips=45, stills=22000, test_stills=3000),
}


def folder_of_size(size: VideoSize) -> Path:
    """Where pictures of this size and of this code lie: under `runs/cache` of the clone.

    The environment variable `POSEBOOK_CACHE` names another folder than `runs/cache`.
    """
    made_by = (
        f"{code_digest(_MODULES)} {json.dumps(asdict(size), sort_keys=True)} {cv2.__version__}"
    )
    return cache_folder() / SOURCE / hashlib.sha256(made_by.encode()).hexdigest()[:16]


def clip_names(size: VideoSize) -> list[str]:
    """Group, person and number of every clip, such as "B03-07"."""
    return [
        f"{group}{person:02d}-{number:02d}"
        for group in GROUPS
        for person in range(size.people)
        for number in range(size.clips)
    ]


def _still_units(size: VideoSize, part: str) -> list[str]:
    count = size.stills if part == "train" else size.test_stills
    return [
        f"{part}-{first:05d}-{min(first + STILLS_PER_FILE, count):05d}"
        for first in range(0, count, STILLS_PER_FILE)
    ]


def generate(size: VideoSize, what: str, helpers: int | None = None) -> Path:
    """Make all "clips" or "stills" that the cache lacks; returns the folder that holds them.

    Each file is locked while it is made, written beside and renamed: an interrupted run goes on
    where it stopped, and processes that start together share the work.

    Args:
        helpers: further processes to start for it; default: one for each other core if there is
            much to do.
    """
    folder = folder_of_size(size) / what
    if what == "clips":
        units = {name: lambda name=name: _make_clip(name, size.frames) for name in clip_names(size)}
    else:
        names = [u for part in ("train", "test") for u in _still_units(size, part)]
        units = {name: lambda name=name: _make_stills(name) for name in names}
    missing = [name for name in units if not (folder / f"{name}.npz").exists()]
    if not missing:
        return folder
    (folder / "locks").mkdir(parents=True, exist_ok=True)
    if helpers is None:
        helpers = min(_cores() - 1, len(missing) // 12)
    started = [_start_helper(size, what) for _ in range(helpers)]
    try:
        _work(folder, units, missing, what)
    finally:
        for process in started:
            process.terminate()
            process.wait()
    return folder


def _cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _work(folder: Path, units: dict[str, Callable[[], dict]], missing: list[str], what: str):
    """Make what nobody else is making; then wait for the others, or do theirs if they gave up."""
    with tqdm(total=len(missing), desc=f"rendering {what}", delay=5, mininterval=2) as bar:
        for wait in (0, -1):
            for name in missing:
                path = folder / f"{name}.npz"
                if not path.exists():
                    try:
                        with FileLock(folder / "locks" / f"{name}.lock", timeout=wait):
                            if not path.exists():
                                _save(path, units[name]())
                    except Timeout:
                        continue
                bar.update(sum((folder / f"{n}.npz").exists() for n in missing) - bar.n)


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with whole(path, "make room, or name another folder in POSEBOOK_CACHE") as file:
        np.savez(file, **arrays)


@contextmanager
def opened(path: Path):
    """One file of the cache; a ValueError with the remedy if it is not what we wrote."""
    try:
        with np.load(path, allow_pickle=False) as file:
            yield file
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise ValueError(
            f"{path} is damaged ({error}); delete it, the next call makes it again"
        ) from error


def _start_helper(size: VideoSize, what: str) -> subprocess.Popen:
    """Another process that works on the same folder; it does nothing that we could not do."""
    request = json.dumps({"size": asdict(size), "what": what})
    command = [sys.executable, "-m", "posebook.data.rendered.store", request]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _help(request: str) -> None:
    wanted = json.loads(request)
    size = wanted["size"] | {"frames": tuple(wanted["size"]["frames"])}
    generate(VideoSize(**size), wanted["what"], helpers=0)


def _make_clip(name: str, frames: tuple[int, int]) -> dict[str, np.ndarray]:
    take, action, shutter = clip_take(name, frames)
    content, ends, known = _film(take)
    about = {"action": np.array(action), "shutter": np.array(shutter), "frames": np.array(frames)}
    return {"content": content, "ends": ends, **_arrays(known), **about}


def _make_stills(name: str) -> dict[str, np.ndarray]:
    part, first, last = name.split("-")
    films = [_film(still_take(part, number)) for number in range(int(first), int(last))]
    known = [_arrays(known) for _, _, known in films]
    return {
        "content": np.concatenate([content for content, _, _ in films]),
        "ends": np.cumsum([len(content) for content, _, _ in films]),
        **{key: np.concatenate([k[key] for k in known]) for key in known[0]},
    }


def _arrays(known: Truth) -> dict[str, np.ndarray]:
    arrays = {k: getattr(known, k) for k in ("visible", "covered", "inside")}
    floats = {k: getattr(known, k).astype(np.float32) for k in ("joints", "blur", "speed", "box")}
    return arrays | floats


def _film(take: Take) -> tuple[np.ndarray, np.ndarray, Truth]:
    """All frames as JPEG files, one after the other; where each ends; and the truth."""
    pixels, depth = joint_paths(take)
    files, marks, boxes = [], [], []
    for frame in range(len(take)):
        picture, seen = render.expose(take, frame)
        files.append(render.encode(picture, take.film.quality))
        middle = MIDDLE
        marks.append(
            visibility(
                take,
                pixels[frame, middle],
                depth[frame, middle],
                seen.body[middle],
                seen.all[middle],
            )
        )
        boxes.append(box_of(seen.body[middle]))
    visible, covered, inside = (np.stack(m) for m in zip(*marks, strict=True))
    joints = pixels[:, MIDDLE]
    known = Truth(
        joints, depth[:, MIDDLE], visible, covered, inside,
        blur_lengths(pixels), speeds(joints), _complete(np.stack(boxes), joints),
    )  # fmt: skip
    return np.frombuffer(b"".join(files), np.uint8), np.cumsum([len(f) for f in files]), known


def _complete(boxes: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Boxes (T, 4), with that of the joints where the person is out of the picture."""
    around = np.concatenate([joints.min(1) - 5, joints.max(1) + 5], axis=1)
    return np.where(np.isfinite(boxes), boxes, around)


if __name__ == "__main__":
    _help(sys.argv[1])
