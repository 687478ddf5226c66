"""Reading pictures and videos of any kind as RGB, and saying clearly where that fails."""

import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

# A JPEG marker: no escaped byte of a scan, no restart of one.
MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
END, PROGRESSIVE = 0xD9, 0xC2
# To be read where a scan goes on: no byte of it is a marker.
MORE = bytes(range(1, 255)) * 4
MATROSKA = b"\x1aE\xdf\xa3"


def read_picture(path: str | Path) -> np.ndarray:
    """A picture file as (H, W, 3) of uint8, RGB, upright as its EXIF says.

    Grey and palette pictures become coloured, 16 bits 8, and alpha is left out.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is empty, cut off or no picture.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such picture")
    content = path.read_bytes()
    picture = _decode(content)
    if _cut_off(content, picture):
        raise ValueError(f"{path}: the picture is cut off; fetch or unpack the file again")
    if picture is None:
        raise ValueError(
            f"{path}: this is no picture that can be read (JPEG, PNG, BMP, TIFF and WebP can); "
            "fetch or unpack the file again"
        )
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _decode(content: bytes) -> np.ndarray | None:
    with suppress(cv2.error):  # a header of more pixels than OpenCV takes
        if content:
            return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    return None


def _cut_off(content: bytes, picture: np.ndarray | None) -> bool:
    """Whether a JPEG or PNG file lacks a part, of which OpenCV may make grey without a word."""
    if content.startswith(b"\xff\xd8\xff"):
        end, progressive = _jpeg_end(content)
        if end is None or picture is None:
            return end is None
        return (progressive or _flat_corner(picture)) and _reads_on(content[:end])
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return not _reaches_iend(content)
    return False


def _jpeg_end(content: bytes) -> tuple[int | None, bool]:
    """Where the end marker stands, segment after segment, and whether the scans are progressive.

    Thumbnails lie in segments, and what cameras add lies behind the end: both may have ends too.
    """
    at, progressive = 2, False
    while found := MARKER.search(content, at):
        at, code = found.end(), found[1][0]
        if code == END:
            return found.start(), progressive
        progressive |= code == PROGRESSIVE
        at += int.from_bytes(content[at : at + 2])
    return None, progressive


def _flat_corner(picture: np.ndarray) -> bool:
    """Whether a corner has one colour, as where data lacks: the last corner, however turned."""
    corners = [picture[y, x] for y in (np.s_[:4], np.s_[-4:]) for x in (np.s_[:4], np.s_[-4:])]
    return any((corner == corner[0, 0]).all() for corner in corners)


def _reads_on(scans: bytes) -> bool:
    """Whether a JPEG without its end marker wants more: what follows then changes the picture.

    By Pillow, which does not complain on the console of what is put there.
    """
    one, other = (
        Image.open(BytesIO(scans + more + b"\xff\xd9")).tobytes() for more in (b"", MORE)
    )
    return one != other


def _reaches_iend(content: bytes) -> bool:
    """Whether the chunks of a PNG file lead to its last one."""
    at = 8
    while (kind := content[at + 4 : at + 8]) and kind != b"IEND":
        at += 12 + int.from_bytes(content[at : at + 4])
    return kind == b"IEND"


def picture(item: np.ndarray | Image.Image | str | Path) -> np.ndarray:
    """A record's picture as (H, W, 3) of uint8, RGB: a file, a Pillow image, an array or a tensor.

    Arrays are of uint8 and (H, W), or (H, W, C) of grey, grey and alpha, RGB, or RGB and alpha;
    channels first, (3, H, W), are understood where the last dimension cannot be channels. What is
    RGB already is not copied.

    Raises:
        ValueError: for anything else, and as `read_picture`.
    """
    if isinstance(item, str | Path):
        return read_picture(item)
    if isinstance(item, Image.Image):
        return _from_pillow(item)
    if hasattr(item, "detach"):  # a tensor, wherever it lies
        item = item.detach().cpu()
    if not hasattr(item, "__array__"):
        raise ValueError(
            "a picture must be an array, a tensor, a Pillow image or a file, got "
            f"{type(item).__name__}; np.asarray(..., dtype=np.uint8) makes an array of numbers"
        )
    return _from_array(np.asarray(item))


def _from_pillow(image: Image.Image) -> np.ndarray:
    if image.mode[0] in "IF":
        raise ValueError(
            f"a Pillow image must have 8 bits a channel, got mode {image.mode!r}; scale it to 0 to "
            "255 and convert it to 'L', or give the file's name"
        )
    return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def _from_array(array: np.ndarray) -> np.ndarray:
    got = f"got {array.shape} of {array.dtype}"
    if array.dtype != np.uint8:
        raise ValueError(
            f"a picture must be of uint8, {got}; scale it to 0 to 255, round it and convert it "
            "with astype(np.uint8)"
        )
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim == 3 and array.shape[0] == 3 and array.shape[2] > 4:
        array = array.transpose(1, 2, 0)
    if array.ndim != 3 or array.shape[2] > 4 or 0 in array.shape:
        raise ValueError(
            f"a picture must be (H, W), (H, W, 1 to 4) or (3, H, W), {got}; give one picture, "
            "without empty sides and with its channels last"
        )
    return np.repeat(array[..., :1], 3, axis=2) if array.shape[2] < 3 else array[..., :3]


def read_video(path: str | Path) -> "Video":
    """The frames of a video file, (H, W, 3) of uint8, RGB, upright, one at a time.

    A frame whose size differs from the first one's is refused. After the last one their number is
    compared with the header's: a video that is cut short or has a hole looks like a shorter one,
    whose frames no longer are those of the other cameras.

    Raises:
        FileNotFoundError, ValueError: with the file's name if no frame can be read, a size
            changes, or frames are missing.

    Warns:
        UserWarning: where the frames do not come at even intervals.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such video")
    return Video(path)


class Video(Iterator[np.ndarray]):
    """An open video; `operator.length_hint` tells how many frames its header promises still."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._video = cv2.VideoCapture(str(path))
        count = self._video.get(cv2.CAP_PROP_FRAME_COUNT)
        self.announced = int(count) if 0 < count < 1e9 else None
        with path.open("rb") as file:
            self._counted = file.read(4) != MATROSKA  # whose header has a duration, and no count
        self._times: list[float] = []  # milliseconds of each frame
        self._frames = self._read()

    def __next__(self) -> np.ndarray:
        return next(self._frames)

    def __length_hint__(self) -> int:
        if self.announced is None or not self._counted:
            return NotImplemented
        return max(0, self.announced - len(self._times))

    def _read(self) -> Iterator[np.ndarray]:
        shape = None
        try:
            while True:
                read, frame = self._video.read()
                if not read:
                    break
                shape = shape or frame.shape
                self._refuse_size(frame, shape)
                self._times.append(self._video.get(cv2.CAP_PROP_POS_MSEC))
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            rate = self._video.get(cv2.CAP_PROP_FPS)
        finally:
            self._video.release()
        self._refuse_incomplete(rate)
        self._warn_of_intervals()

    def _refuse_size(self, frame: np.ndarray, shape: tuple[int, ...]) -> None:
        if frame.shape != shape:
            raise ValueError(
                f"{self.path}: frame {len(self._times)} has {frame.shape[1]} x {frame.shape[0]} "
                f"pixels, the first one {shape[1]} x {shape[0]}; convert the video to one size"
            )

    def _refuse_incomplete(self, rate: float) -> None:
        number, expected = len(self._times), self.announced
        if number == 0:
            raise ValueError(f"{self.path}: no frame of this video can be read; is it complete?")
        if expected in (None, number):
            return
        if not self._counted and abs(self._times[-1] * rate / 1000 + 1 - expected) < 2:
            return  # the last frame comes when it should: the rate varies, or `_warn_of_intervals`
        raise ValueError(
            f"{self.path}: {number} frames could be read and its header announces {expected}; the "
            "video is cut short, has a hole or was trimmed: copy or convert it anew"
        )

    def _warn_of_intervals(self) -> None:
        steps = np.diff(self._times)
        if len(steps) and steps.max() > 1.5 * max(steps.min(), 1):
            warnings.warn(
                f"{self.path}: its frames come {steps.min():.0f} to {steps.max():.0f} ms apart, "
                f"furthest behind frame {steps.argmax()}; the rate varies or frames are missing: "
                "convert the video to a constant rate before it is compared with others",
                stacklevel=4,  # where the frames are asked for
            )
