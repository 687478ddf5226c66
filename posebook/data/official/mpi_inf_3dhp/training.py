"""The training sequences of MPI-INF-3DHP: `annot.mat`, five cameras at the height of the chest."""

from pathlib import Path

import numpy as np

from posebook.data.formats.matlab import read_mat
from posebook.data.official.folders import find
from posebook.data.official.mpi_inf_3dhp.archive import (
    CHEST,
    OFFICIAL_FRAMES,
    REMEDY,
    check_projection,
    part_of,
    universal_factor,
)
from posebook.data.official.mpi_inf_3dhp.calibration import CAMERAS, read_calibration, upright
from posebook.data.records import ViewSequence, stack_views

# Of the 28 joints of the files those of `skeleton.H36M`, in its order.
OF_28 = (4, 23, 24, 25, 18, 19, 20, 3, 5, 6, 7, 9, 10, 11, 14, 15, 16)
MOST_DISAGREEMENT = 0.05  # metres between the worlds that two cameras give


def read_training(folder: Path, subject: int, number: int, scale: str = "metric") -> ViewSequence:
    """Sequence `Seq<number>` of `S<subject>`, seen by the five chest cameras."""
    place = find(find(part_of(folder, "train", f"S{subject}"), f"S{subject}"), f"Seq{number}")
    path = find(place, "annot.mat")
    cameras = read_calibration(find(place, "camera.calibration"))
    file = read_mat(path, REMEDY)
    most = OFFICIAL_FRAMES[subject, number]
    pixels = _views(file, "annot2", 2, most)
    metric = _views(file, "annot3", 3, most)
    factor = 1.0
    if scale == "universal":
        factor = universal_factor(path, metric[0], _views(file, "univ_annot3", 3, most)[0])
    rig = tuple(upright(cameras[c], factor) for c in CHEST)
    joints_2d = stack_views(f"{path}: annot2", [view.astype(np.float32) for view in pixels])
    if any(len(view) != len(joints_2d) for view in metric):
        raise ValueError(f"{path}: annot3 has not as many frames as annot2; {REMEDY}")
    worlds = [c.to_world(factor * view / 1000) for c, view in zip(rig, metric)]
    for camera, seen, view in zip(CHEST, pixels, metric):
        check_projection(f"{path}: camera {camera}", cameras[camera], seen, view / 1000)
    _check_agreement(path, worlds)
    return ViewSequence(
        joints_2d=joints_2d,
        confidence=np.broadcast_to(np.float32(1), joints_2d.shape[:-1]),
        cameras=rig,
        subject=f"S{subject}",
        action=f"Seq{number}",
        fps=50.0 if most > 12000 else 25.0,
        split="train",
        joints_3d=worlds[0].astype(np.float32),
        source=f"{path.name} ({scale})",
    )


def _views(file, field: str, width: int, most: int) -> list[np.ndarray]:
    """One (T, 17, width) of numbers for each chest camera, cut to the official frames."""
    cells = file[field]
    if type(cells) is not list or len(cells) != CAMERAS:
        raise file.error(field, f"must hold {CAMERAS} cells, one a camera")
    views = []
    for camera in CHEST:
        cell = cells[camera]
        name = f"{field} of camera {camera}"
        if not isinstance(cell, np.ndarray) or cell.dtype.kind != "f":
            raise file.error(name, "must be floating-point numbers")
        if cell.ndim != 2 or cell.shape[1] != 28 * width or len(cell) == 0:
            raise file.error(name, f"must be (F, {28 * width}), got {cell.shape}")
        joints = cell[:most].reshape(-1, 28, width)[:, OF_28].astype(np.float64)
        if not np.isfinite(joints).all():
            raise file.error(name, f"is not finite in row {_first_bad(joints)}")
        views.append(joints)
    return views


def _first_bad(joints: np.ndarray) -> int:
    return int(np.argwhere(~np.isfinite(joints))[0][0])


def _check_agreement(path: Path, worlds: list[np.ndarray]) -> None:
    apart = [float(np.median(np.abs(world - worlds[0]))) for world in worlds[1:]]
    if max(apart) > MOST_DISAGREEMENT:
        camera = CHEST[1 + int(np.argmax(apart))]
        raise ValueError(
            f"{path}: annot3 of cameras {CHEST[0]} and {camera} differ by {max(apart):.2f} m in "
            f"the world; annot.mat and camera.calibration are not of one sequence; {REMEDY}"
        )
