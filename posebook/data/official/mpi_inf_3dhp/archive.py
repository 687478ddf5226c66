"""The folders and official numbers of MPI-INF-3DHP, and whether what its files say fits together.
"""

from pathlib import Path

import numpy as np

from posebook.data.official.folders import find, listed, other_form
from posebook.geometry.camera import Camera

# Frames of each (subject, sequence) that the data set counts; the files hold a few more.
OFFICIAL_FRAMES = {
    (1, 1): 6416, (1, 2): 12430, (2, 1): 6502, (2, 2): 6081, (3, 1): 12488, (3, 2): 12283,
    (4, 1): 6171, (4, 2): 6675, (5, 1): 12820, (5, 2): 12312, (6, 1): 6188, (6, 2): 6145,
    (7, 1): 6239, (7, 2): 6320, (8, 1): 6468, (8, 2): 6054,
}  # fmt: skip
OFFICIAL_TEST_FRAMES = {1: 6151, 2: 6080, 3: 5838, 4: 6007, 5: 320, 6: 492}
OFFICIAL_VALID = {1: 603, 2: 540, 3: 505, 4: 553, 5: 276, 6: 452}
CHEST = (0, 2, 4, 7, 8)  # the five cameras at the height of the chest
ACTIVITIES = (
    "Standing/Walking", "Exercising", "Sitting", "Reaching/Crouching", "On The Floor", "Sports",
    "Miscellaneous",
)  # fmt: skip
SCALES = ("metric", "universal")
MOST_DISTANCE = 8.0  # pixels between annotated and projected joints; the files stay below 2
REMEDY = "take the file from the official archive anew"
_ASK = (
    "which does not say whether its joints are metric or universal, in metres or millimetres; ask "
    "whoever made it, and put S1 to S8 and TS1 to TS6 of the official archive here"
)
OTHER_FORMS = {
    "data_t*_3dhp.npz": f"is P-STMO's form, {_ASK}",
    "test_3dhp.npz": f"is PoseAug's form, {_ASK}",
    "mpi_inf_3dhp_*.npz": f"is MMPose's form, {_ASK}",
    "annotations/mpi_inf_3dhp_*.npz": f"is MMPose's form, {_ASK}",
}


def universal_factor(path: Path, metric: np.ndarray, universal: np.ndarray) -> float:
    """By how much a sequence's person is scaled to the universal skeleton: one number."""
    if len(metric) != len(universal):
        raise ValueError(f"{path}: univ_annot3 has not as many frames as annot3; {REMEDY}")
    factor = float(np.median(extent(universal) / np.maximum(extent(metric), 1e-6)))
    if not 0.5 < factor < 2:
        raise ValueError(f"{path}: univ_annot3 is {factor:.2f} times annot3; {REMEDY}")
    return factor


def extent(joints: np.ndarray) -> np.ndarray:
    """Distances (T, 16) of the joints from the root."""
    return np.linalg.norm(joints[:, 1:] - joints[:, :1], axis=-1)


def check_projection(where: str, camera: Camera, pixels: np.ndarray, joints: np.ndarray) -> None:
    """Camera-frame joints (T, 17, 3) in metres must lie on their pixels (T, 17, 2)."""
    at = np.unique(np.linspace(0, len(pixels) - 1, 32).astype(int))
    with np.errstate(divide="ignore", invalid="ignore"):
        projected = camera.pixels(joints[at, :, :2] / joints[at, :, 2:])
        far = np.median(np.linalg.norm(projected - pixels[at], axis=-1))
    if not far < MOST_DISTANCE:
        raise ValueError(
            f"{where}: 3D joints project {far:.0f} px (median) beside the 2D joints; units, axes "
            f"or calibration are changed; {REMEDY}"
        )


def part_of(folder: Path, part: str, first: str) -> Path:
    """The folder that holds `first`: the data set's own or its `train` or `test`."""
    for place in (folder, folder / part, folder / f"mpi_inf_3dhp_{part}_set"):
        try:
            find(place, first)
        except FileNotFoundError:
            continue
        return place
    raise FileNotFoundError(f"{folder} has no {first}, nor has {part} in it; unpack it there")


def nothing_of_it(folder: Path) -> str:
    """One sentence on what a folder holds in place of the data set; "" if any part is there."""
    parts = {f"S{subject}": "train" for subject, _ in OFFICIAL_FRAMES}
    for name, part in (parts | {f"TS{number}": "test" for number in OFFICIAL_VALID}).items():
        try:
            part_of(folder, part, name)
        except FileNotFoundError:
            continue
        except ValueError:  # it is there twice, which the reader says better
            return ""
        return ""
    other = other_form(folder, OTHER_FORMS)
    there = listed(sorted(entry.name for entry in folder.iterdir()))
    return f"{folder} has no S1 to S8 and no TS1 to TS6, but {there}; " + (
        other or "unpack the official archives there, or give the folder that holds S1"
    )
