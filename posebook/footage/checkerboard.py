"""Cameras from photographs of a checkerboard (OpenCV).

`boards/CAMERA/` holds photographs of a board held in many places: intrinsics. `floor/CAMERA.jpg`,
where there is one for each camera, shows the board lying still before all of them: extrinsics, in
a world whose origin is the board's first corner and whose +z points out of it.
"""

from pathlib import Path

import cv2
import numpy as np

from posebook.footage.calibration import Calibration
from posebook.geometry.camera import Camera

FEWEST = 4  # photographs in which the board is found
CELLS = 4  # by so many the picture is cut, each way
COVERED = 0.5  # of them should have seen a corner
LEAST_TILT = 15  # degrees between two boards: good sets have 30 and more, copies none
PICTURES = (".jpg", ".jpeg", ".png")
_FINE = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 1e-3)
_QUICK = cv2.CALIB_CB_ADAPTIVE_THRESH + cv2.CALIB_CB_NORMALIZE_IMAGE + cv2.CALIB_CB_FAST_CHECK


def parse_board(text: str) -> tuple[int, int, float]:
    """From "9x6x60": inner corners across and down, and the side of a square in metres."""
    try:
        across, down, square = text.lower().split("x")
        board = int(across), int(down), float(square) / 1000
    except ValueError:
        board = (0, 0, 0.0)
    if min(board[:2]) < 3 or not board[2] > 0:
        raise ValueError(f"a board is inner corners across x down x mm of a square, such as "
                         f"9x6x60, not {text!r}")  # fmt: skip
    return board


def calibrate(folder: Path, board: tuple[int, int, float]) -> Calibration:
    """The cameras of the photographs in a folder, in metres.

    Raises:
        ValueError: naming the camera, for a board that is seen too seldom or not at all; for one
            on the floor that looks the same from two sides.
    """
    places = sorted(place for place in (folder / "boards").iterdir() if place.is_dir())
    if len(places) < 2:
        raise ValueError(f"{folder}/boards: {len(places)} camera where depth needs two; put a "
                         "folder of photographs a camera there")  # fmt: skip
    floors = {path.stem: path for path in _pictures(folder / "floor")}
    posed, notes, cameras = all(place.name in floors for place in places), [], []
    if posed and board[0] % 2 == board[1] % 2:
        raise ValueError(f"a board of {board[0]} x {board[1]} inner corners looks the same after "
                         "half a turn, so on the floor it does not tell on which side of it a "
                         "camera stands; take an odd and an even number, such as 9x6")  # fmt: skip
    for place in places:
        K, lens, size = _intrinsics(place, board, notes)
        R, T = np.eye(3), np.zeros(3)
        if posed:
            R, T = _pose(floors[place.name], place.name, board, K, lens)
        cameras.append(Camera.from_world_to_camera(
            place.name, R, T, K[[0, 1], [0, 1]], K[:2, 2], size, distortion=lens))  # fmt: skip
    if floors and not posed:
        notes.append(f"{folder}/floor: not every camera has a photograph, so none gives extrinsics")
    return Calibration(tuple(cameras), "m", tuple(notes), posed)


def _intrinsics(place: Path, board, notes: list[str]) -> tuple[np.ndarray, np.ndarray, tuple]:
    paths = _pictures(place)
    found = [corners for path in paths if (corners := _corners(path, board))]
    if len(found) < FEWEST:
        raise ValueError(f"camera {place.name}: the board is found in {len(found)} of {len(paths)} "
                         f"photographs, {FEWEST} are needed; check the number of its inner "
                         "corners, and hold it nearer and flatter to the camera")  # fmt: skip
    sizes = {size for _, size in found}
    if len(sizes) > 1:
        raise ValueError(f"camera {place.name}: photographs of {len(sizes)} sizes {sorted(sizes)}; "
                         "keep those of the video's size, none turned")  # fmt: skip
    [size] = sizes
    points = [corners for corners, _ in found]
    off, K, lens, turns, _ = cv2.calibrateCamera(
        [_flat(board)] * len(points), points, size, None, None
    )
    if (tilt := _largest_angle(turns)) < LEAST_TILT:
        raise ValueError(f"camera {place.name}: no two boards differ by more than {tilt:.0f} "
                         "degrees, which says nothing of the focal length; tilt the board each "
                         "way, up to 45 degrees")  # fmt: skip
    cells = np.concatenate(points)[:, 0] * CELLS / size
    covered = len(np.unique(cells.astype(int), axis=0)) / CELLS**2
    said = f"{len(points)} boards, {off:.2f} px off, in {covered:.0%} of the picture"
    more = "" if covered >= COVERED else "; hold the board into its corners too"
    notes.append(f"camera {place.name}: {said}{more}")
    return K, lens.ravel(), size


def _largest_angle(turns) -> float:
    """Degrees between the two boards that face most differently."""
    normals = np.stack([cv2.Rodrigues(turn)[0][:, 2] for turn in turns])
    return float(np.degrees(np.arccos(np.clip(normals @ normals.T, -1, 1)).max()))


def _pose(path: Path, name: str, board, K, lens) -> tuple[np.ndarray, np.ndarray]:
    found = _corners(path, board)
    if not found:
        raise ValueError(f"camera {name}: no board in {path}; lay it where all cameras see it")
    _, turn, T = cv2.solvePnP(_flat(board), found[0], K, lens)
    # OpenCV's board has y down, so its z points into the floor.
    half = np.diag([1.0, -1.0, -1.0])
    return cv2.Rodrigues(turn)[0] @ half, T.ravel()


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.suffix.lower() in PICTURES)


def _flat(board: tuple[int, int, float]) -> np.ndarray:
    across, down, square = board
    grid = np.mgrid[:across, :down].T.reshape(-1, 2) * square
    return np.column_stack([grid, np.zeros(len(grid))]).astype(np.float32)


def _corners(path: Path, board: tuple[int, int, float]) -> tuple[np.ndarray, tuple] | None:
    """The board's inner corners and the picture's size, or None without a board."""
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise ValueError(f"{path}: OpenCV cannot read this picture; save it as JPEG or PNG")
    there, corners = cv2.findChessboardCorners(grey, board[:2], flags=_QUICK)
    if not there:
        return None
    return cv2.cornerSubPix(grey, corners, (5, 5), (-1, -1), _FINE), grey.shape[::-1]
