"""Embedded video: clips and stills of rendered people, made the same on any machine, once.

Eighteen people (at laptop size) in three groups perform the embedded motion, each clip in clothes
and surroundings of its own. A split tests on one group and trains on the two others. Every group
has its own third of each recording, so that a test shows neither a body nor a stretch of motion
that training has seen. The stills show other people in recombined poses.

A clip depends only on the code, its name and the allowed lengths. All is generated once into a
folder, clip by clip; several processes that ask for the same share the work.
"""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from filelock import FileLock, Timeout
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from posebook.data import body, people, render, scene
from posebook.data.mesh import NAMES, REST_JOINTS, Mesh, Pose, pose_mesh
from posebook.data.motion import MotionClip, load_motion
from posebook.data.records import ImageSet, VideoClip
from posebook.data.render import SAMPLES, Film, Light, Take, Truth
from posebook.provenance import code_digest
from posebook.skeleton import joint_set as find_joint_set

SOURCE = "embedded-video"
FPS = 25.0
GROUPS = ("A", "B", "C")
SPLITS = (1, 2, 3)
# One cycle each, too short to cut in three: all groups walk and run the same steps.
CYCLES = ("run", "walk")
CAMERAS = ("tripod", "pan", "hand")
STILLS_PER_FILE = 200
STILL_PEOPLE = 48
_SEED = 2
_MODULES = tuple(
    f"posebook.data.{name}"
    for name in ("body", "embedded_video", "mesh", "motion", "people", "render", "scene")
)


@dataclass(frozen=True)
class VideoSize:
    """How much is generated.

    people: in each of the three groups. clips: of each person. frames: shortest and longest clip.
    stills, test_stills: single pictures for training and for the test.
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


# ---------------------------------------------------------------- what others call


def make_clips(
    size: VideoSize, joint_set: str = "jhmdb15", split: int = 1
) -> tuple[list[VideoClip], list[VideoClip]]:
    """Training and test clips of one of the three splits, in the joint set's order.

    joint_set: "jhmdb15", "penn13" or "mpii16". The first call makes the pictures. A joint outside
    the picture is not annotated. Raises ValueError for an unknown joint set or split.
    """
    if split not in SPLITS:
        raise ValueError(f"embedded video: unknown split {split!r}; known: 1, 2, 3")
    columns = _columns(joint_set)
    folder = generate(size, "clips")
    train, test = [], []
    for name in clip_names(size):
        tested = name[0] == GROUPS[split - 1]
        clip = _read_clip(folder / f"{name}.npz", name, joint_set, columns, tested)
        (test if tested else train).append(clip)
    return train, test


def make_stills(size: VideoSize, joint_set: str = "mpii16") -> tuple[ImageSet, ImageSet]:
    """Training and test stills. The people and the poses are none of the clips'.

    The poses recombine limbs of all recordings, so that no still shows a recorded pose as it is.
    Raises ValueError for an unknown joint set or a size without stills.
    """
    if min(size.stills, size.test_stills) < 1:
        raise ValueError(f"embedded video: there are no stills in {size}; give both at least 1")
    columns = _columns(joint_set)
    folder = generate(size, "stills")
    return tuple(
        _read_stills(
            [folder / f"{u}.npz" for u in _still_units(size, part)], joint_set, columns, part
        )
        for part in ("train", "test")
    )


@dataclass(frozen=True, eq=False)
class ClipTruth:
    """What the renderer knows of a clip's joints beyond their place, each (T, J).

    covered: behind a passing object. hidden: behind the person's own body. inside: within the
    picture. blur: pixels that the joint moves while the shutter is open. speed: pixels a frame.
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
    with _opened(_file_of(clip)) as file:
        columns = _columns(clip.joint_set)
        fields = ("covered", "inside", "blur", "speed", "visible")
        arrays = {name: file[name][:, columns] for name in fields}
        shutter = float(file["shutter"])
    hidden = arrays["inside"] & ~arrays["visible"] & ~arrays["covered"]
    del arrays["visible"]
    return ClipTruth(hidden=hidden, shutter=shutter, **arrays)


def flow(clip: VideoClip, frame: int) -> np.ndarray:
    """The true motion (240, 320, 2) of the picture from a frame to the next, pixels (x, y).

    Raises ValueError for a clip not from `make_clips`, IndexError if there is no next frame.
    """
    if not 0 <= frame < len(clip) - 1:
        raise IndexError(
            f"{clip.source}: {clip.name}: frame {frame} of {len(clip)} has no next one"
        )
    with _opened(_file_of(clip)) as file:
        frames = tuple(int(n) for n in file["frames"])
    return render.motion_between(clip_take(clip.name, frames)[0], frame)


class Frames(Sequence):
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
    if not isinstance(clip.pictures, Frames):
        raise ValueError(f"{clip.source}: {clip.name} is no embedded video, nobody knows its truth")
    return clip.pictures.file


# ---------------------------------------------------------------- reading


def _read_clip(path: Path, name: str, joint_set: str, columns, tested: bool) -> VideoClip:
    with _opened(path) as file:
        return VideoClip(
            Frames(file["content"], file["ends"], path),
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
        with _opened(path) as file:
            for name in ("content", "ends", "joints", "visible", "inside", "box"):
                array = file[name]
                arrays.setdefault(name, []).append(array + size if name == "ends" else array)
            size += len(file["content"])
    merged = {name: np.concatenate(parts) for name, parts in arrays.items()}
    return ImageSet(
        Frames(merged["content"], merged["ends"], paths[0]),
        merged["joints"][:, columns],
        merged["visible"][:, columns],
        merged["box"],
        joint_set,
        part,
        source=f"{SOURCE}-stills",
        annotated=merged["inside"][:, columns],
    )


# ---------------------------------------------------------------- generating into a folder


def cache_folder(size: VideoSize) -> Path:
    """Where pictures of this size and of this code lie: under `runs/cache` of the clone.

    The environment variable `POSEBOOK_CACHE` names another folder than `runs/cache`.
    """
    named = os.environ.get("POSEBOOK_CACHE")
    root = Path(named) if named else Path(__file__).resolve().parents[2] / "runs" / "cache"
    made_by = (
        f"{code_digest(_MODULES)} {json.dumps(asdict(size), sort_keys=True)} {cv2.__version__}"
    )
    return root / SOURCE / hashlib.sha256(made_by.encode()).hexdigest()[:16]


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
    where it stopped, and processes that start together share the work. helpers: further processes
    to start for it; default: one for each other core if there is much to do.
    """
    folder = cache_folder(size) / what
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
    beside = path.with_suffix(".writing")
    try:
        with open(beside, "wb") as file:
            np.savez(file, **arrays)
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise OSError(
            f"{path} cannot be written ({error}); make room, or name another folder in "
            "POSEBOOK_CACHE"
        ) from error


@contextmanager
def _opened(path: Path):
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
    command = [sys.executable, "-m", "posebook.data.embedded_video", request]
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
    pixels, depth = render.joint_paths(take)
    files, marks, boxes = [], [], []
    for frame in range(len(take)):
        picture, seen = render.expose(take, frame)
        files.append(render.encode(picture, take.film.quality))
        middle = render.MIDDLE
        marks.append(
            render.visibility(
                take,
                pixels[frame, middle],
                depth[frame, middle],
                seen.body[middle],
                seen.all[middle],
            )
        )
        boxes.append(render.box_of(seen.body[middle]))
    visible, covered, inside = (np.stack(m) for m in zip(*marks, strict=True))
    joints = pixels[:, render.MIDDLE]
    known = Truth(
        joints, depth[:, render.MIDDLE], visible, covered, inside,
        render.blur_lengths(pixels), render.speeds(joints), _complete(np.stack(boxes), joints),
    )  # fmt: skip
    return np.frombuffer(b"".join(files), np.uint8), np.cumsum([len(f) for f in files]), known


def _complete(boxes: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Boxes (T, 4), with that of the joints where the person is out of the picture."""
    around = np.concatenate([joints.min(1) - 5, joints.max(1) + 5], axis=1)
    return np.where(np.isfinite(boxes), boxes, around)


# ---------------------------------------------------------------- one clip


@lru_cache(maxsize=4)
def clip_take(name: str, frames: tuple[int, int]) -> tuple[Take, str, float]:
    """What is seen in a clip, its action, and the share of time that the shutter is open."""
    group, person, number = GROUPS.index(name[0]), int(name[1:3]), int(name[4:])
    rng = np.random.default_rng([_SEED, 1, group, person, number])
    mesh, about = _person((_SEED, 0, group, person))
    mesh, look = people.dress(mesh, about, rng)
    motions = load_motion()
    motion = motions[(number + 4 * person + 9 * group) % len(motions)]
    shutter = rng.uniform(0.35, 1.0)
    joints, time = _perform(motion, group, frames, shutter, rng)
    if rng.random() < 0.5:
        joints = body.mirror(joints)
    pose = _on_the_floor(mesh, _turn(pose_mesh(mesh, joints), rng.uniform(0, 2 * np.pi)))
    way = mesh.locate(pose)[:, REST_JOINTS.index("Hip")]
    camera = _camera(mesh, pose, time, CAMERAS[int(rng.integers(len(CAMERAS)))], rng)
    events = int(rng.choice(3, p=[0.3, 0.5, 0.2]))
    plates = scene.make_plates(way, time, camera.center, events, rng)
    backdrop = scene.make_backdrop(camera, way.mean(0), rng)
    seed = (_SEED, 2, group, person, number)
    take = Take(mesh, look, pose, camera, plates, backdrop, _light(rng), _film_of(rng), seed)
    return take, motion.name, shutter


@lru_cache(maxsize=64)
def _person(seed: tuple[int, ...]) -> tuple[Mesh, dict]:
    return people.make_person(np.random.default_rng(seed))


def _perform(motion: MotionClip, group: int, frames: tuple[int, int], shutter: float, rng):
    """Recorded joints (N, 17, 3) of a group's stretch of a motion at N = T * SAMPLES instants, and
    when these are (N,), in frames.

    The speed is drawn; a stretch that is too short for the shortest clip is slowed down to fit.
    """
    first, last = _stretch(motion, group)
    rows_a_frame = motion.fps / FPS * rng.uniform(0.55, 1.1)
    wanted = int(rng.integers(frames[0], frames[1] + 1))
    if motion.name in CYCLES:
        start, time = rng.uniform(0, len(motion)), _instants(wanted, shutter)
        return _at(motion, start + rows_a_frame * time, cyclic=True), time
    T = int(np.clip((last - first) / rows_a_frame, frames[0], wanted))
    rows_a_frame = min(rows_a_frame, (last - first) / T)
    start = first + rng.uniform(0, 1) * (last - first - rows_a_frame * T)
    time = _instants(T, shutter)
    rows = np.clip(start + rows_a_frame * (0.5 + time), first, last)
    return _at(motion, rows, cyclic=False), time


def _stretch(motion: MotionClip, group: int) -> tuple[float, float]:
    """First and last row of a group's third of a motion; between two thirds 0.08 s are left out."""
    third = len(motion) / len(GROUPS)
    return group * third + 2, (group + 1) * third - 2


def _instants(T: int, shutter: float) -> np.ndarray:
    """Times (T * SAMPLES,) of the instants, in frames; frame t is exposed about time t."""
    within = ((np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5) * shutter
    return (np.arange(T)[:, None] + within).reshape(-1)


def _at(motion: MotionClip, rows: np.ndarray, cyclic: bool) -> np.ndarray:
    """Joints at fractional rows, between the recorded neighbours; a cycle goes on and on."""
    joints = motion.joints.astype(float)
    last = len(joints) - 1
    way = np.zeros((len(rows), 1, 3))
    if cyclic:
        turns, rows = np.divmod(rows, last)
        way = turns[:, None, None] * (joints[-1, :1] - joints[0, :1]) * [1, 1, 0]
    low = np.minimum(rows.astype(int), last - 1)
    w = (rows - low)[:, None, None]
    return (1 - w) * joints[low] + w * joints[low + 1] + way


def _turn(pose: Pose, heading: float) -> Pose:
    """The pose turned about the world's z axis."""
    R = Rotation.from_euler("z", heading).as_matrix()
    return Pose(R @ pose.turn, pose.shift @ R.T)


def _on_the_floor(mesh: Mesh, pose: Pose) -> Pose:
    """The pose moved so that the lowest points of its frames lie on the floor, mostly.

    The recordings sink in by some centimetres here and there, and a longer arm by more.
    """
    lowest = mesh.place(pose)[..., 2].min(1)
    return Pose(pose.turn, pose.shift - [0, 0, float(np.quantile(lowest, 0.1))])


def _camera(mesh: Mesh, pose: Pose, time: np.ndarray, kind: str, rng) -> scene.CameraPath:
    """A camera that keeps the person in view: on a tripod, following, or held by hand.

    time: of the pose's instants (N,), in frames.
    """
    joints = mesh.locate(pose)
    way = joints[:, REST_JOINTS.index("Hip")]
    N = len(way)
    azimuth, distance = rng.uniform(0, 2 * np.pi), rng.uniform(3.2, 7)
    center = way.mean(0) + distance * np.array([np.cos(azimuth), np.sin(azimuth), 0])
    center[2] = rng.uniform(0.5, 2.4)
    target = np.broadcast_to((joints.min((0, 1)) + joints.max((0, 1))) / 2, way.shape)
    if kind != "tripod":
        target = _follow((joints.min(1) + joints.max(1)) / 2, time)
    shake = np.zeros((N, 3))
    zoom = np.ones(N)
    if kind == "hand":
        rate, phase = rng.uniform(0.03, 0.16, (4, 3)), rng.uniform(0, 2 * np.pi, (4, 3))
        swing = np.sin(2 * np.pi * rate[:, None] * time[:, None] + phase[:, None])
        shake = swing.mean(0) * rng.uniform(0.01, 0.035)
        zoom = np.exp((time - time.mean()) * rng.uniform(-0.018, 0.018))
    turn = scene.look_at(center, target, shake[:, 2])
    turn = Rotation.from_euler("xy", shake[:, :2]).as_matrix() @ turn
    aside = Rotation.from_euler("xy", rng.normal(0, 0.025, 2)).as_matrix()
    camera = scene.CameraPath(aside @ turn, center, zoom * 300.0)
    return _frame_up(camera, joints, rng.uniform(110, 200))


def _follow(points: np.ndarray, time: np.ndarray, width: int = 5) -> np.ndarray:
    """Points (N, 3) as a camera follows them: their mean over `width` frames about each instant."""
    middle = points[render.MIDDLE :: SAMPLES]
    padded = np.pad(middle, ((width // 2, width // 2), (0, 0)), mode="edge")
    mean = np.stack([padded[k : k + len(middle)] for k in range(width)]).mean(0)
    frames = np.arange(len(middle))
    return np.stack([np.interp(time, frames, axis) for axis in mean.T], axis=-1)


def _frame_up(camera: scene.CameraPath, joints: np.ndarray, extent: float) -> scene.CameraPath:
    """Zoom so that the person is `extent` pixels tall or wide, and less where limbs leave view."""
    pixels, _ = camera.project(joints)
    spans = (pixels.max(1) - pixels.min(1)).max(-1)
    focal = camera.focal * extent / np.median(spans)
    for _ in range(12):
        camera = scene.CameraPath(camera.turn, camera.center, focal)
        pixels, _ = camera.project(joints)
        outside = (pixels < 0) | (pixels > [scene.WIDTH - 1, scene.HEIGHT - 1])
        if outside.any(-1).mean() < 0.02:
            break
        focal = focal * 0.93
    return camera


def _light(rng) -> Light:
    height, side = rng.uniform(0.6, 1.35), rng.uniform(0, 2 * np.pi)
    direction = np.array(
        [np.cos(height) * np.cos(side), np.cos(height) * np.sin(side), np.sin(height)]
    )
    sun = rng.uniform(0.3, 0.85) * (1 + rng.uniform(-0.08, 0.08, 3))
    sky = rng.uniform(0.35, 0.6) * (1 + rng.uniform(-0.06, 0.06, 3))
    return Light(direction, sun, sky, shadow=float(np.mean(sun) / np.mean(sun + sky)) * 0.8)


def _film_of(rng) -> Film:
    return Film(
        softness=rng.uniform(0.2, 0.9),
        noise=rng.uniform(1, 8),
        gain=rng.uniform(0.85, 1.25),
        gamma=rng.uniform(0.75, 1.2),
        quality=int(rng.integers(55, 93)),
    )


# ---------------------------------------------------------------- one still


@lru_cache(maxsize=1)
def _table() -> body.Posture:
    return body.take_apart(np.concatenate([m.joints for m in load_motion()]).astype(float))


def still_take(part: str, number: int) -> Take:
    """What is seen in a still: a person in a pose put together from several recordings."""
    test = int(part == "test")
    rng = np.random.default_rng([_SEED, 3, test, number])
    person = int(rng.integers(STILL_PEOPLE)) + STILL_PEOPLE * test
    mesh, about = _person((_SEED, 4, person))
    mesh, look = people.dress(mesh, about, rng)
    joints = _recombined(rng)
    if rng.random() < 0.5:
        joints = body.mirror(joints)
    if rng.random() < 0.15:
        tilt = Rotation.from_rotvec(rng.normal(0, 0.5, 3) * [1, 1, 0]).as_matrix()
        joints = (joints - joints[:, :1]) @ tilt.T + joints[:, :1]
    pose = _turn(pose_mesh(mesh, joints), rng.uniform(0, 2 * np.pi))
    pose = Pose(*(np.repeat(part, SAMPLES, axis=0) for part in (pose.turn, pose.shift)))
    pose = _on_the_floor(mesh, pose)
    way = mesh.locate(pose)[:, REST_JOINTS.index("Hip")]
    time = _instants(1, rng.uniform(0.35, 1.0))
    camera = _camera(mesh, pose, time, CAMERAS[int(rng.integers(len(CAMERAS)))], rng)
    events = int(rng.choice(2, p=[0.6, 0.4]))
    plates = scene.make_plates(way, time, camera.center, events, rng, still=True)
    backdrop = scene.make_backdrop(camera, way.mean(0), rng)
    seed = (_SEED, 5, test, number)
    return Take(mesh, look, pose, camera, plates, backdrop, _light(rng), _film_of(rng), seed)


def _recombined(rng) -> np.ndarray:
    """One pose (1, 17, 3): the arms, mostly also legs, head and the bend of the trunk, are those of
    recordings chosen apart."""
    table = _table()
    pick = [table.take(rng.integers(len(table.root), size=1)) for _ in range(5)]
    groups = (("trunk",), ("right leg", "left leg"), ("left arm",), ("right arm",), ("head",))
    limbs = {
        limb: source
        for group, source in zip(groups, pick, strict=True)
        if rng.random() < 0.6 or "arm" in group[0]
        for limb in group
    }
    trunk = table.take(rng.integers(len(table.root), size=1))
    lengths = np.median(body.bone_lengths(load_motion()[0].joints), axis=0)
    return body.put_together(body.recombine(trunk, limbs), lengths)


if __name__ == "__main__":
    _help(sys.argv[1])
