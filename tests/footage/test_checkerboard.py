"""A drawn board gives the cameras that it was drawn with; one seen too seldom is named."""

import cv2
import numpy as np
import pytest

from posebook.footage.checkerboard import calibrate, parse_board

BOARD = (7, 4, 0.1)
K = np.array([[800.0, 0, 330], [0, 800, 250], [0, 0, 1]])
SIZE, CELL = (640, 480), 40
LOOKS = [(0.0, 0.0, 0.0), (0.4, 0.0, 0.1), (-0.4, 0.1, 0.0), (0.0, 0.4, 0.2), (0.1, -0.4, 0.0)]


def draw(path, turn, T):
    """The board as a camera without distortion shows it; its first inner corner is the origin."""
    across, down = BOARD[0] + 1, BOARD[1] + 1
    squares = (np.indices((down, across)).sum(0) % 2) * 255
    flat = np.kron(squares, np.ones((CELL, CELL))).astype(np.uint8)
    flat = cv2.copyMakeBorder(flat, CELL, CELL, CELL, CELL, cv2.BORDER_CONSTANT, value=255)
    metres = BOARD[2] / CELL  # of a pixel of the flat picture
    start = 2 * CELL - 0.5  # its pixel on the first inner corner: past the margin and one square
    to_board = np.array([[metres, 0, -metres * start], [0, metres, -metres * start], [0, 0, 1]])
    R = cv2.Rodrigues(np.array(turn))[0]
    H = K @ np.column_stack([R[:, :2], T]) @ to_board
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.warpPerspective(flat, H, SIZE, borderValue=255))


def photograph(folder, names=("a", "b"), boards=5):
    for name in names:
        for k, turn in enumerate(LOOKS[:boards]):
            draw(folder / "boards" / name / f"{k}.png", turn, [-0.3, -0.2, 1.3 + 0.1 * k])


def test_drawn_boards_give_the_camera_that_drew_them(tmp_path):
    photograph(tmp_path)
    poses = {"a": ((0.5, 0.1, 0), [-0.3, -0.2, 1.5]), "b": ((0.4, -0.3, 0.1), [-0.2, -0.2, 1.6])}
    for name, (turn, T) in poses.items():
        draw(tmp_path / "floor" / f"{name}.png", turn, T)
    found = calibrate(tmp_path, BOARD)
    assert found.posed and "5 boards" in found.notes[0]
    for camera, (turn, T) in zip(found.cameras, poses.values()):
        np.testing.assert_allclose(camera.focal, 800, rtol=0.02)
        np.testing.assert_allclose(camera.principal, [330, 250], atol=10)
        true = -cv2.Rodrigues(np.array(turn))[0].T @ T
        np.testing.assert_allclose(camera.center, true * [1, -1, -1], atol=0.05)
        assert camera.center[2] > 1  # above the floor


def test_a_board_that_looks_the_same_from_two_sides_gives_no_extrinsics(tmp_path):
    """OpenCV counts its corners from the side of the camera: half a ring came to stand opposite."""
    photograph(tmp_path)
    for name in ("a", "b"):
        draw(tmp_path / "floor" / f"{name}.png", (0.5, 0.1, 0), [-0.3, -0.2, 1.5])
    for board in ((7, 5, 0.1), (8, 6, 0.1)):
        with pytest.raises(ValueError, match="looks the same after half a turn.* such as 9x6"):
            calibrate(tmp_path, board)


def test_without_a_floor_there_are_no_extrinsics(tmp_path):
    photograph(tmp_path)
    assert not calibrate(tmp_path, BOARD).posed


def test_a_board_that_is_seen_too_seldom_is_named(tmp_path):
    photograph(tmp_path, boards=3)
    with pytest.raises(ValueError, match="camera a: the board is found in 3 of 3 photographs, 4"):
        calibrate(tmp_path, BOARD)


def test_boards_that_all_face_one_way_are_refused(tmp_path):
    for k, name in enumerate(["a", "b"] * 5):
        path = tmp_path / "boards" / name / f"{k}.png"
        draw(path, (0.4, 0.0, 0.1), [-0.3, -0.2, 1.3 + 0.05 * k])
    with pytest.raises(ValueError, match=r"a: no two boards differ by more than \d degrees"):
        calibrate(tmp_path, BOARD)


@pytest.mark.parametrize("text", ["9x6", "axbxc", "9x6x0", "2x6x60"])
def test_what_is_no_board_is_named(text):
    with pytest.raises(ValueError, match="such as 9x6x60"):
        parse_board(text)
