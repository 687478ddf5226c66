"""A folder of one's own cameras, from its files to bodies in space, without a label.

The folder holds a calibration, and for each camera a folder or a file of detections, or a video,
whose name has the camera's. First comes the health of the rig; then the lifter of equation 3.7
learns from the first three quarters of the frames and is measured on the rest; then bodies are
written.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from posebook.data.plausible import DOUBTS
from posebook.data.recorded.pose2sim import load_pose2sim
from posebook.data.records import ViewSequence
from posebook.footage import export, videos
from posebook.footage.calibration import SUFFIXES, Calibration, read_calibration
from posebook.footage.checkerboard import calibrate, parse_board
from posebook.footage.detections import View, aligned, read_detections
from posebook.footage.health import Health, draw, examine, upright
from posebook.footage.learning import (
    BEGIN,
    Learned,
    learn,
    merged,
    reference,
    refuse_absent,
)
from posebook.footage.names import matching
from posebook.footage.people import find_people, left_out, surest, take_of, unconfirmed
from posebook.footage.refinement import refine
from posebook.footage.sides import with_sides
from posebook.footage.walking import HEIGHT, cameras_of
from posebook.geometry.camera import Camera
from posebook.geometry.skeleton import H36M
from posebook.storage import refuse_unwritable, whole

STEPS = 2000
RATE = 30.0  # frames a second, where nobody says it
EXAMPLE_RATE = 60.0  # of the embedded recording
POSES = (
    "no extrinsics are given; they come from the joints of the person, surest in each picture, who "
    "is taken to be {:g} m tall (--height); up is known to a few degrees"
)
WRITTEN = (
    "What is written is metres (C3D: mm, BVH: cm), +z up (TRC and BVH: +y up), joints in the order "
    "of h36m17."
)


@dataclass(frozen=True)
class Wishes:
    """What the command line says: see `python -m posebook rig --help`."""

    steps: int = STEPS
    out: Path | None = None
    fps: float = 0.0
    unit: str = ""
    joints: str = ""
    person: int = 1
    people: int = 1
    cut: bool = False
    trust: tuple[str, ...] = ()
    weights: str = BEGIN
    refine: bool = False
    height: float = HEIGHT
    board: str = ""

    def target(self, folder: Path) -> Path:
        """Where all is written; of another person than the first in a folder of their own."""
        out = self.out or folder / "posebook"
        return out if self.person == 1 else out / f"person{self.person}"


def run_rig(
    folder: Path, wishes: Wishes, say: Callable[[str], None] = print
) -> tuple[ViewSequence, dict[str, np.ndarray], Learned]:
    """Everything; returns the take, the bodies that were written, and what came of training.

    Raises:
        ValueError, OSError: in one sentence, for what cannot be read or does not fit together.
    """
    out = wishes.target(folder)
    for name in ("steps", "people", "person"):
        value = getattr(wishes, name)
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if not wishes.fps >= 0:
        raise ValueError(f"fps must be positive, got {wishes.fps:g}")
    if unknown := ", ".join(sorted(set(wishes.trust) - set(DOUBTS))):
        raise ValueError(f"there is no doubt {unknown} to trust; there are {', '.join(DOUBTS)}")
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}; give one with a calibration and what each "
                         "camera saw, or add --example")  # fmt: skip
    weights = "" if wishes.weights == "none" else wishes.weights
    refuse_absent(weights)
    refuse_unwritable(out, "choose another with --out")
    take, health, notes = read_rig(folder, wishes)
    report = "\n".join([*notes, "", health.text()])
    say(report)
    draw(take, out / "rig.png")
    for doubt, gross, text in health.findings:
        if gross and doubt not in wishes.trust:
            raise ValueError(f"{text}. If that is right, give --trust {doubt}")
    learned = learn(take, wishes.steps, weights, say=say)
    bodies = write(take, learned, out, say, report)
    say(f"written to {out}")
    return take, bodies, learned


def read_rig(folder: Path, wishes: Wishes) -> tuple[ViewSequence, Health, list[str]]:
    """One person's take in a world with +z up, how healthy it is, and what was assumed."""
    calibration, views, notes, fps = _read_files(folder, wishes)
    notes += [f"camera {view.name}: {note}" for view in views for note in view.notes]
    views = [view.mapped(H36M.name) for view in views]
    cameras = calibration.cameras
    if not calibration.posed:
        alone = take_of(surest(views), cameras, views, fps, str(folder))
        cameras = cameras_of(alone, wishes.height)
        notes.append(POSES.format(wishes.height))
    people = find_people(cameras, views)
    if len(people) < wishes.person or wishes.person < 1:
        raise ValueError(f"{folder}: {len(people)} people are seen by two cameras at once, so "
                         f"there is no person {wishes.person}; check calibration, joints and "
                         "synchronisation")  # fmt: skip
    person = people[wishes.person - 1]
    if apart := unconfirmed(person, views):
        person = surest(views)
        notes.append("no picture shows more than one person, so whoever is surest in each is "
                     "taken, although the cameras do not confirm it")  # fmt: skip
    else:
        notes += left_out(person, people, views)
    take = take_of(person, cameras, views, fps, str(folder))
    empty = int((~take.confidence.any((1, 2))).sum())
    notes.append(f"person {wishes.person}: {person.frames} of {len(take)} frames; {empty} are "
                 "without, and marked")  # fmt: skip
    take, said = with_sides(take)
    notes += said
    if wishes.refine:
        refined = refine(take)
        take = replace(take, cameras=refined.cameras)
        notes.append(refined.text())
    health = examine(take, calibration.unit or "m")
    if apart:
        found = [f._replace(gross=f.gross or f.doubt == "residual") for f in health.findings]
        health = replace(health, findings=tuple(found))
    return replace(take, cameras=upright(take.cameras, health.up)), health, notes


def _read_files(
    folder: Path, wishes: Wishes
) -> tuple[Calibration, list[View], list[str], float]:
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}; give one that holds a calibration "
                                "and detections or a video of each camera")  # fmt: skip
    entries = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    files = [p for p in entries if p.is_file() and p.name.endswith(SUFFIXES)]
    if wishes.board:
        if not (boards := folder / "boards").is_dir():
            raise FileNotFoundError(
                f"there is no folder {boards}, where --board looks for photographs: a folder a "
                "camera; put them there, or leave --board out"
            )
        calibration = calibrate(folder, parse_board(wishes.board))
    elif files:
        calibration = read_calibration(*files, unit=wishes.unit)
    else:
        deeper = _below(entries, lambda p: p.name.endswith(SUFFIXES))
        remedy = (f"{deeper} holds one: give the folder that holds it and what the cameras saw"
                  if deeper else f"put one of {', '.join(SUFFIXES)} there, or photographs of a "
                  "board into boards/ with --board")  # fmt: skip
        raise FileNotFoundError(f"{folder}: no calibration; {remedy}")
    places = [p for p in entries if _holds_joints(p)]
    films = [] if places else [p for p in entries if _is_film(p)]
    if not places and not films and (deeper := _below(entries, _holds_joints, _is_film)):
        raise FileNotFoundError(f"{folder}: no detections and no videos, but {deeper} holds some; "
                                "put them beside the calibration")  # fmt: skip
    places, notes = _matched(folder, calibration.cameras, places or films)
    if films:
        out = replace(wishes, person=1).target(folder)  # the detector saw everybody
        views, fps = _seen(places, calibration.cameras, wishes, out)
    else:
        views, fps = [read_detections(place, wishes.joints) for place in places], RATE
        if not wishes.fps:
            notes.append(f"nobody has said the rate, so it is {RATE:g} frames a second: give --fps")
    named = [replace(view, name=c.name) for view, c in zip(views, calibration.cameras)]
    notes = [*calibration.notes, *notes]
    return calibration, aligned(named, wishes.cut), notes, wishes.fps or fps


def _holds_joints(path: Path) -> bool:
    return path.suffix in (".json", ".npz") or (path.is_dir() and any(path.glob("*.json")))


def _is_film(path: Path) -> bool:
    return path.suffix.lower() in videos.SUFFIXES


def _below(entries: list[Path], *wanted: Callable[[Path], bool]) -> Path | None:
    """The first folder of these, but for what was written here, that holds something wanted."""
    folders = (p for p in entries if p.is_dir() and p.name != "posebook")
    return next((p for p in folders if any(is_one(q) for q in p.iterdir() for is_one in wanted)),
                None)  # fmt: skip


def _seen(
    paths: list[Path], cameras: tuple[Camera, ...], wishes: Wishes, out: Path
) -> tuple[list[View], float]:
    films = videos.open_videos(paths, cameras, wishes.fps, wishes.cut)
    views = [videos.look(film, camera, out / "detections", wishes.people)
             for film, camera in zip(films, cameras)]  # fmt: skip
    return views, films[0].fps


def _matched(
    folder: Path, cameras: tuple[Camera, ...], places: list[Path]
) -> tuple[list[Path], list[str]]:
    """The detections of each camera: by name; those that no name fits in order of names."""
    if len(places) != len(cameras):
        raise ValueError(f"{folder}: {len(cameras)} cameras ({', '.join(c.name for c in cameras)}) "
                         f"and {len(places)} with detections ({', '.join(p.name for p in places)});"
                         " put one folder, file or video a camera there")  # fmt: skip
    by_name = {place.name.split(".")[0]: place for place in places}
    fits = {camera.name: matching(camera.name, by_name) for camera in cameras}
    found = {name: by_name[fit[0]] for name, fit in fits.items() if len(fit) == 1}
    if len(set(found.values())) < len(found):
        found = {}
    rest = [place for place in places if place not in found.values()]
    left = dict(zip([camera.name for camera in cameras if camera.name not in found], rest))
    said = ", ".join(f"{name} = {place.name}" for name, place in left.items())
    note = f"names of cameras and detections do not agree; taken in order: {said}; else rename them"
    return [(found | left)[camera.name] for camera in cameras], [note] * bool(left)


# ---------------------------------------------------------------- what is written


def write(
    take: ViewSequence, learned: Learned, out: Path, say: Callable[[str], None], report: str
) -> dict[str, np.ndarray]:
    """Bodies as files, and the report; returns the bodies (T, 17, 3) in the world by their name."""
    bodies = {"lifted": merged(take, learned.world), "triangulated": reference(take)}
    said = [WRITTEN]
    for name, world in bodies.items():
        said += export.write_all(out / name, world, take.fps)
    for note in said:
        say(note)
    with whole(out / "report.txt") as file:
        file.write("\n".join([report, "", learned.text(), *said, ""]).encode())
    return bodies


# ---------------------------------------------------------------- a folder to begin with


def write_example(folder: Path) -> Path:
    """The embedded recording with four cameras as such a folder: Calib.toml and an npz a camera."""
    take = load_pose2sim()
    tables = [_toml(camera) for camera in take.cameras]
    files = [folder / f"{camera.name}.npz" for camera in take.cameras]
    if there := next((p for p in [*folder.glob("*.toml"), *files] if p.exists()), None):
        raise ValueError(f"{there} is there already, and the example would replace it: leave "
                         "--example away, or name a new folder")  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Calib.toml").write_text("\n".join(tables), encoding="utf-8")
    for v, file in enumerate(files):
        np.savez(file, joints_2d=take.joints_2d[:, v],
                 confidence=take.confidence[:, v], joint_set=take.joint_set)  # fmt: skip
    return folder


def _toml(camera: Camera) -> str:
    """A table as Pose2Sim writes it. OpenCV's lens differs from Human3.6M's by a tangential factor
    that is below 0.01 px here."""
    k1, k2, k3 = camera.radial.tolist()
    fields = {
        "size": list(camera.resolution), "matrix": camera.K.tolist(),
        "distortions": [k1, k2, *camera.tangential.tolist(), k3],
        "rotation": cv2.Rodrigues(camera.R)[0].ravel().tolist(), "translation": camera.T.tolist(),
    }  # fmt: skip
    lines = [f"{key} = {value}" for key, value in fields.items()]
    return "\n".join([f"[{camera.name}]", f'name = "{camera.name}"', *lines, "fisheye = false", ""])
