"""Reading pictures and videos of any kind as RGB, and saying clearly where that fails."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np


def read_picture(path: str | Path) -> np.ndarray:
    """A picture file as (H, W, 3) of uint8, RGB; grey and palette pictures become coloured.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is empty, cut off or no picture.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such picture")
    content = np.fromfile(path, dtype=np.uint8)
    if _cut_off(content):
        raise ValueError(f"{path}: the picture is cut off; fetch or unpack the file again")
    picture = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    if picture is None:
        raise ValueError(
            f"{path}: this is no picture that can be read (JPEG, PNG, BMP, TIFF and WebP can); "
            "fetch or unpack the file again"
        )
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _cut_off(content: np.ndarray) -> bool:
    """Whether a JPEG or PNG file lacks its end: OpenCV would fill the rest with grey."""
    data = content.tobytes()
    if data.startswith(b"\xff\xd8\xff"):
        return b"\xff\xd9" not in data[-64:]  # some cameras add a few bytes behind the end
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"IEND" not in data[-64:]
    return False


def picture(item: np.ndarray | str | Path) -> np.ndarray:
    """A record's picture as (H, W, 3) of uint8: an array as it is (grey ones in three), or a file.

    Raises:
        ValueError: for an array of another type or shape, and as `read_picture`.
    """
    if isinstance(item, str | Path):
        return read_picture(item)
    array = np.asarray(item)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(
            f"a picture must be (H, W, 3) or (H, W) of uint8, got {array.shape} of {array.dtype}"
        )
    if array.ndim == 2 or array.shape[2] == 1:
        return np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    return array[..., :3]


def read_video(path: str | Path, resize: bool = False) -> Iterator[np.ndarray]:
    """The frames of a video file, (H, W, 3) of uint8, RGB, one at a time.

    A frame whose size differs from the first one's is refused, or resized to it.

    Raises:
        FileNotFoundError, ValueError: with the file's name if no frame can be read or a size
            changes.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such video")
    video = cv2.VideoCapture(str(path))
    try:
        shape, number = None, 0
        while True:
            read, frame = video.read()
            if not read:
                break
            shape = shape or frame.shape
            if frame.shape != shape and not resize:
                raise ValueError(
                    f"{path}: frame {number} has {frame.shape[1]} x {frame.shape[0]} pixels, the "
                    f"first one {shape[1]} x {shape[0]}; convert the video to one size, or ask "
                    "for resizing"
                )
            if frame.shape != shape:
                frame = cv2.resize(frame, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            number += 1
    finally:
        video.release()
    if number == 0:
        raise ValueError(f"{path}: no frame of this video can be read; is it complete?")
