"""Joints of a rig's own videos, where its folder holds no detections.

Frames of the same number must be of the same instant, so videos of different rates or lengths, or
of a rate that varies, are refused before or while they are looked at.
"""

from pathlib import Path

import numpy as np

from posebook.footage import detector
from posebook.footage.detections import View, refuse_lengths
from posebook.footage.film import Footage, open_footage, refuse_size
from posebook.geometry.camera import Camera
from posebook.storage import whole

SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".m4v", ".mpg", ".webm")
SAME = 0.002  # of a rate: 60 and 59.94 are the same for a while


def open_videos(
    paths: list[Path], cameras: tuple[Camera, ...], fps: float = 0.0, cut: bool = False
) -> list[Footage]:
    """The video of each camera, if they are those of one take by these cameras.

    Args:
        fps: where headers are wrong. cut: whether videos may have different lengths.

    Raises:
        ValueError, OSError, ModuleNotFoundError: naming video and remedy.
    """
    detector.require()
    films = [open_footage(path, fps) for path in paths]
    for film, camera in zip(films, cameras):
        refuse_size(film, camera, film.path)
    rates = [film.fps for film in films]
    if max(rates) > (1 + SAME) * min(rates):
        said = ", ".join(f"{film.path.name} has {film.fps:.5g}" for film in films)
        raise ValueError(f"cameras of different rate in frames a second: {said}; convert them to "
                         "one, or give --fps if their headers are wrong")  # fmt: skip
    if not cut:
        refuse_lengths({film.path.name: film.frames for film in films if film.frames})
    return films


def look(film: Footage, camera: Camera, out: Path, people: int = 1) -> View:
    """Joints of so many people at most in a camera's video; they are kept as an npz of `out`.

    Raises:
        ValueError: where the rate varies, or nobody is found.
    """
    found = list(detector.detect(film.pictures(camera.name, _refuse), people=people))
    joints, confidence = (np.stack(part) for part in zip(*found))
    if not confidence.any():
        raise ValueError(f"{film.path}: nobody is found in any of {len(joints)} frames; look at "
                         "the video, or leave this camera out")  # fmt: skip
    path = out / f"{camera.name}.npz"
    with whole(path) as file:
        np.savez(file, joints_2d=joints, confidence=confidence, joint_set="mediapipe33")
    notes = [f"joints by {detector.NAME}, {sought(people)}, kept as {path}"]
    if film.turned:
        notes.append(f"frames are turned by {film.turned} degrees, as the video's header says")
    if film.resolution != camera.resolution:
        (w, h), (cw, ch) = film.resolution, camera.resolution
        notes.append(f"the video has {w} x {h} pixels and the calibration {cw} x {ch}; the corner "
                     "at the upper left is taken to be the same")  # fmt: skip
    return View(camera.name, joints, confidence, "mediapipe33", tuple(notes))


def sought(people: int) -> str:
    """How many people were looked for, in words."""
    return "one person (more with --people)" if people == 1 else f"{people} people at most"


def _refuse(doubt: str) -> None:
    raise ValueError(doubt)
