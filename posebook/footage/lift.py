"""One video of one camera: people followed in it, lifted to space, written and drawn.

Who is who: see `posebook.footage.tracks`. Frames that do not show a person are NaN in npz, blank
in TRC and CSV, invalid in C3D, marked in the film and a dot in the player; BVH knows no gaps, so
the report lists them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain, repeat
from pathlib import Path

import numpy as np

from posebook.footage import detector, export
from posebook.footage.calibration import read_calibration
from posebook.footage.detections import View, read_detections, spread
from posebook.footage.film import Footage, open_footage, refuse_size, write_film
from posebook.footage.lifter import (
    LEVEL,
    NETWORK,
    SMOOTH,
    jitter,
    level_camera,
    lift,
    smoothed,
)
from posebook.footage.names import matching
from posebook.footage.temporal import FORMS, limbs
from posebook.footage.tracks import FEWEST, Track, crossings, exchanges, follow, runs
from posebook.footage.videos import sought
from posebook.geometry.camera import Camera
from posebook.geometry.skeleton import H36M
from posebook.storage import refuse_unwritable, whole

FOCAL = 1.0  # of the longer side of the picture, where nobody knows
BRIEF = 0.5  # seconds: who is seen for less is left out
SHARES = 2  # pixels: within them lie no people, but joints as shares of the picture
OUTSIDE = 0.05  # of joints outside the picture: more, and they are of another video


@dataclass(frozen=True)
class Wishes:
    """What the command line says: see `python -m posebook lift --help`."""

    detections: Path | None = None
    boxes: Path | None = None
    person: int = 0
    people: int = 1
    out: Path | None = None
    calibration: Path | None = None
    focal: float = 0.0
    fps: float = 0.0
    joints: str = ""
    temporal: str = ""
    network: str = NETWORK
    smooth: float = 1000 * SMOOTH
    background: str = "blurred"


@dataclass(frozen=True, eq=False)
class Lifted:
    """A person of a video: 2D joints (T, 17, 2) with confidences (T, 17), and bodies (T, 17, 3) in
    the camera's frame, metres, NaN in frames that do not show them."""

    number: int
    joints: np.ndarray
    confidence: np.ndarray
    bodies: np.ndarray

    @property
    def missing(self) -> np.ndarray:
        """Frames that do not show them."""
        return np.flatnonzero(~np.isfinite(self.bodies).all((1, 2)))


def lift_video(
    video: Path, wishes: Wishes, say: Callable[[str], None] = print
) -> tuple[list[Lifted], Footage, Path]:
    """Everything but the player; returns the people, the video and the folder.

    Raises:
        ValueError, OSError, ModuleNotFoundError: in one sentence, for what cannot be read, does not
            fit together or is not installed.
    """
    notes: list[str] = []

    def note(text: str) -> None:
        if text not in notes:  # a film is read more than once
            notes.append(text)
            say(text)

    footage = open_footage(video, wishes.fps)
    _check(wishes)
    out = wishes.out or video.parent / f"{video.stem}_posebook"
    refuse_unwritable(out, "choose another with --out")
    if footage.turned:
        note(f"{video}: its frames are turned by {footage.turned} degrees, as its header says")
    camera = _camera(footage, wishes, note)
    view = _seen(footage, wishes, note)
    tracks = _chosen(follow(view, footage.fps), footage, wishes, note)
    people = [_lifted(number, track, view, camera, footage, wishes, note)
              for number, track in tracks]  # fmt: skip
    heads = [] if wishes.background != "blurred" else list(view.joints.swapaxes(0, 1))
    write_film(footage, out / "film.mp4", [p.joints for p in people], heads, note,
               wishes.background != "white")  # fmt: skip
    for file in out.glob("person*"):  # of an earlier lift, which may have seen more people
        if re.fullmatch(r"person\d+(_2d)?", file.stem) and file.suffix in (*export.WRITERS, ".npz"):
            file.unlink()
    for person in people:  # behind the film, which reads the video to its end: it may be cut short
        _write(person, camera, footage, out, note)
    with whole(out / "report.txt") as file:
        file.write("\n".join([f"{video}, {len(view)} frames", *notes, ""]).encode())
    return people, footage, out


def _check(wishes: Wishes) -> None:
    if wishes.detections and wishes.people != 1:
        raise ValueError("--people is for the detector, and --detections take its place; leave out "
                         "one of them")  # fmt: skip
    if wishes.boxes and wishes.detections:
        raise ValueError("--boxes say where the detector is to look, and --detections take its "
                         "place; give one of them")  # fmt: skip
    if wishes.calibration and wishes.focal:
        raise ValueError("a calibration knows the focal length; give --calibration or --focal")
    if wishes.person < 0 or wishes.focal < 0 or wishes.smooth < 0:
        raise ValueError("person, focal and smooth must not be negative, got "
                         f"{wishes.person}, {wishes.focal:g} and {wishes.smooth:g}")  # fmt: skip
    if wishes.people < 1:
        raise ValueError(f"people must be at least 1, got {wishes.people}")
    if wishes.temporal and wishes.temporal not in FORMS:
        raise ValueError(f"no temporal form {wishes.temporal!r}; there are {', '.join(FORMS)}")
    if not wishes.detections:
        detector.require()


# ---------------------------------------------------------------- camera


def _camera(footage: Footage, wishes: Wishes, note: Callable[[str], None]) -> Camera:
    """The calibrated camera of the video, or a level one with a focal length given or guessed."""
    name, size = footage.path.stem, footage.resolution
    if not wishes.calibration:
        focal = wishes.focal or FOCAL * max(size)
        if not wishes.focal:
            note(f"{footage.path}: nobody has said the focal length; {focal:g} px are taken, the "
                 "longer side of the picture (a lens of 53 degrees): what is 20 % longer stands 20 "
                 "% further away; give --focal or --calibration")  # fmt: skip
        note("the camera is taken for level and lies in the origin: +z up, +y away from it")
        return level_camera(name, size, focal)
    found = read_calibration(wishes.calibration, fewest=1)
    called = matching(name, [c.name for c in found.cameras])
    cameras = [c for c in found.cameras if c.name in called or len(found.cameras) == 1]
    if len(cameras) != 1:
        raise ValueError(f"{wishes.calibration}: which of its cameras ("
                         f"{', '.join(c.name for c in found.cameras)}) filmed {footage.path.name}? "
                         "Name the video as the camera is named")  # fmt: skip
    [camera] = cameras
    refuse_size(footage, camera, wishes.calibration)
    for text in found.notes:
        note(text)
    if not found.posed:
        note(f"{wishes.calibration} does not say where camera {camera.name} stands: it is taken "
             "for level and lies in the origin: +z up, +y away from it")  # fmt: skip
        return replace(camera, R=LEVEL.T)
    note(f"camera {camera.name} of {wishes.calibration}; its world is taken to have +z up")
    return camera


# ---------------------------------------------------------------- detections


def _seen(footage: Footage, wishes: Wishes, note: Callable[[str], None]) -> View:
    """Who is seen in each frame of the video, joints of Human3.6M."""
    if wishes.detections:
        view = read_detections(wishes.detections, wishes.joints)
        for text in view.notes:
            note(f"{wishes.detections}: {text}")
        view = _to_video(view.mapped(H36M.name), footage, wishes.detections, note)
    else:
        view = _detected(footage, wishes, note).mapped(H36M.name)
    if not ((view.confidence > 0).sum(-1) >= FEWEST).any():
        raise ValueError(f"{footage.path}: nobody is found in any of {len(view)} frames; look at "
                         "the video, or give --boxes or --detections")  # fmt: skip
    _refuse_outside(view, footage)
    return view


def _detected(footage: Footage, wishes: Wishes, note: Callable[[str], None]) -> View:
    boxes = read_boxes(wishes.boxes) if wishes.boxes else None
    known = len(boxes or ())
    if boxes:  # in the frames behind the last one there is nobody
        boxes = chain(boxes, repeat(np.full_like(boxes[0], np.nan)))
    found = list(detector.detect(footage.pictures("detector", note), boxes, wishes.people))
    if known > len(found):
        raise ValueError(f"{wishes.boxes}: boxes for {known} frames, and {footage.path} has "
                         f"{len(found)}; they are of another video")  # fmt: skip
    joints, confidence = (np.stack(part) for part in zip(*found))
    note(f"joints by {detector.NAME}" + (f", {sought(wishes.people)}" if boxes is None else ""))
    return View(footage.path.stem, joints, confidence, "mediapipe33")


def read_boxes(path: Path) -> list[np.ndarray]:
    """For each frame the boxes (P, 4) of a CSV file with the columns frame, person, x1, y1, x2, y2:
    frames from 0, persons from 1, pixels.

    Raises:
        ValueError, OSError: naming the file.
    """
    try:
        rows = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
        frame, person, boxes = rows[:, 0].astype(int), rows[:, 1].astype(int), rows[:, 2:]
        if boxes.shape[1] != 4 or not len(rows) or frame.min() < 0 or person.min() < 1:
            raise ValueError("frames count from 0, persons from 1")
    except (ValueError, IndexError) as problem:
        raise ValueError(f"{path}: not boxes ({problem}); write a line of names, then frame, person"
                         ", x1, y1, x2, y2 with commas") from None  # fmt: skip
    found = np.full((frame.max() + 1, person.max(), 4), np.nan)
    found[frame, person - 1] = boxes
    return list(found)


def _to_video(view: View, footage: Footage, path: Path, note: Callable[[str], None]) -> View:
    """The view with a frame for each of the video's; those before and behind have nobody."""
    T, start = footage.frames, view.start
    if T is None:
        return view
    if len(view) > T:
        raise ValueError(f"{path}: {len(view)} frames, and {footage.path} has {T}; they are of "
                         "another video, or of one that was cut")  # fmt: skip
    if start + len(view) > T:
        note(f"{path}: begins with frame {start}, taken for the first of the video")
        start = 0
    if len(view) < T:
        note(f"{path}: {len(view)} of the video's {T} frames have detections, from {start} on")
    return spread(view, start, T)


def _refuse_outside(view: View, footage: Footage) -> None:
    found = view.joints[view.confidence > 0]
    size = np.array(footage.resolution)
    if len(found) and 0 <= found.min() and found.max() <= SHARES:
        raise ValueError(f"{footage.path}: all joints lie within {SHARES} pixels of the corner; "
                         "they are shares of the picture: multiply them by its size")  # fmt: skip
    outside = ((found < -1) | (found > size)).any(-1)
    if outside.mean() <= OUTSIDE:
        return
    swapped = ((found < size[::-1]).all(-1)).mean() > 1 - OUTSIDE and footage.turned % 180
    why = ("they were found in its frames before these were turned: detect on upright frames"
           if swapped else "they are of another video, or of another size of it")  # fmt: skip
    raise ValueError(f"{footage.path}: {100 * outside.mean():.0f} % of the joints lie outside its "
                     f"{size[0]} x {size[1]} pixels; {why}")  # fmt: skip


# ---------------------------------------------------------------- people


def _chosen(
    tracks: list[Track], footage: Footage, wishes: Wishes, note: Callable[[str], None]
) -> list[tuple[int, Track]]:
    """Who is lifted, with their numbers: 1 is whoever is seen most."""
    for text in crossings(tracks):
        note(text)
    long = [t for t in tracks if t.frames >= min(BRIEF * footage.fps, len(t.places) / 2)]
    if len(long) < len(tracks):
        note(f"{len(tracks) - len(long)} people are seen for less than {BRIEF} s, and left out")
    if wishes.person > len(long) or not long:
        raise ValueError(f"{footage.path}: {len(long)} people are seen for {BRIEF} s or longer, so "
                         f"there is no person {max(1, wishes.person)}")  # fmt: skip
    numbered = list(enumerate(long, 1))
    if wishes.person:
        note(f"person {wishes.person} of {len(long)}; the others are left out")
    return [numbered[wishes.person - 1]] if wishes.person else numbered


def _lifted(
    number: int, track: Track, view: View, camera: Camera, footage: Footage, wishes: Wishes,
    note: Callable[[str], None],
) -> Lifted:  # fmt: skip
    there, at = track.places >= 0, (np.arange(len(view)), np.maximum(track.places, 0))
    joints = np.where(there[:, None, None], view.joints[at], np.nan)
    confidence = np.where(there[:, None], view.confidence[at], 0.0)
    if wishes.temporal:
        joints, confidence = limbs(footage, joints, confidence, wishes.temporal,
                                   lambda text: note(f"person {number}: {text}"))  # fmt: skip
    bodies = lift(joints, confidence, camera, wishes.network)
    steady = smoothed(bodies, footage.fps, wishes.smooth / 1000)
    person = Lifted(number, joints, confidence, steady)
    gone = person.missing
    note(f"person {number}: seen in {len(view) - len(gone)} of {len(view)} frames"
         + (f"; not in {runs(gone)}" if len(gone) else ""))  # fmt: skip
    if len(swapped := exchanges(joints)):
        note(f"person {number}: left and right change places in {runs(swapped)}; on one side of "
             "each the detector has mistaken them")  # fmt: skip
    if wishes.smooth:
        note(f"person {number}: smoothed over {wishes.smooth:g} ms; the joints' jitter falls from "
             f"{jitter(bodies):.1f} to {jitter(steady):.1f} mm a frame squared")  # fmt: skip
    return person


def _write(
    person: Lifted, camera: Camera, footage: Footage, out: Path, note: Callable[[str], None]
) -> None:
    stem = out / f"person{person.number}"
    for text in export.write_all(stem, camera.to_world(person.bodies), footage.fps):
        note(text)
    if len(person.missing):
        note(f"{stem.name}.bvh: {runs(person.missing)} are filled along time, for BVH has no gaps")
    with whole(stem.with_name(f"{stem.name}_2d.npz")) as file:
        np.savez(file, joints_2d=person.joints, confidence=person.confidence,
                 joint_set=H36M.name)  # fmt: skip
