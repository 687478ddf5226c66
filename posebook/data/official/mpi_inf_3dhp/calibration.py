"""`camera.calibration` of MPI-INF-3DHP: fourteen cameras, in a world with y up."""

from pathlib import Path

import numpy as np

from posebook.data.formats.pointers import refuse_pointer
from posebook.data.official.mpi_inf_3dhp.archive import REMEDY
from posebook.geometry.camera import Camera

CAMERAS = 14
PICTURE = (2048, 2048)
# From a world with y up to one with z up: (x, y, z) becomes (x, -z, y).
UPRIGHT = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


def read_calibration(path: Path) -> dict[int, Camera]:
    """Cameras 0 to 13 of a `camera.calibration`, world in metres as in the file (y up).

    Lines are found by their first word, not by their place. The file's extrinsics are `X_cam = R
    X_world + T` in millimetres.

    Raises:
        ValueError: with the camera and the field.
    """
    blocks: list[dict[str, list[str]]] = []
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text; {REMEDY}") from None
    refuse_pointer(path)
    if not lines or not lines[0].startswith("Skeletool Camera Calibration File"):
        raise ValueError(f"{path} has not the header of a Skeletool calibration; {REMEDY}")
    for line in lines[1:]:
        word, *values = line.split() or [""]
        if word == "name":
            blocks.append({})
        if blocks and word:
            blocks[-1][word] = values
    cameras = {}
    for block in blocks:
        camera = _calibrated(path, block)
        if int(camera.name) in cameras:
            raise ValueError(f"{path}: camera {camera.name} occurs twice; {REMEDY}")
        cameras[int(camera.name)] = camera
    if sorted(cameras) != list(range(CAMERAS)):
        raise ValueError(f"{path}: has cameras {sorted(cameras)} and not 0 to 13; {REMEDY}")
    return cameras


def _calibrated(path: Path, block: dict[str, list[str]]) -> Camera:
    def numbers(field: str, count: int) -> np.ndarray:
        try:
            values = np.array([float(text) for text in block.get(field, ())])
        except ValueError:
            values = np.empty(0)
        if len(values) != count or not np.isfinite(values).all():
            raise ValueError(f"{path}: camera {name} has no {count} numbers {field}; {REMEDY}")
        return values

    name = " ".join(block["name"])[:20]
    if not (name.isascii() and name.isdigit()):
        raise ValueError(f"{path}: a camera is called {name!r} and not by a number; {REMEDY}")
    size = numbers("size", 2)
    if tuple(size) != PICTURE:
        raise ValueError(
            f"{path}: camera {name} has the size {size[0]:g} x {size[1]:g} and not 2048 x 2048; "
            f"some copies lost a digit where lines were cut at fixed columns; {REMEDY}"
        )
    K = numbers("intrinsic", 16).reshape(4, 4)
    pose = numbers("extrinsic", 16).reshape(4, 4)
    try:
        return Camera.from_world_to_camera(
            name, pose[:3, :3], pose[:3, 3] / 1000, K[[0, 1], [0, 1]], K[:2, 2], PICTURE
        )
    except ValueError as problem:
        raise ValueError(f"{path}: {problem}; {REMEDY}") from None


def upright(camera: Camera, factor: float) -> Camera:
    """The camera in a world with z up, scaled by `factor`."""
    return Camera(
        camera.name,
        camera.R @ UPRIGHT.T,
        factor * (UPRIGHT @ camera.center),
        camera.focal,
        camera.principal,
        camera.resolution,
    )
