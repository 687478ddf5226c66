"""A video in and a video out, a frame at a time: what is read, what is drawn over it.

Nothing holds more than one frame. Heads are blurred unless asked otherwise: whose film it is may
not be whose face it is.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from posebook.data.formats.pictures import read_video
from posebook.geometry.camera import Camera
from posebook.geometry.skeleton import H36M
from posebook.palette import side_color

HEAD = H36M.index("Nose", "Head", "Thorax")
_BONES = [
    (a, b, tuple(bytes.fromhex(side_color(H36M.names[b])[1:])))
    for a, b in H36M.bones
]


@dataclass(frozen=True)
class Footage:
    """A video file, by its header. turned: degrees by which its frames are turned when read."""

    path: Path
    resolution: tuple[int, int]  # upright
    fps: float
    frames: int | None
    turned: int = 0

    def pictures(self, doing: str, say: Callable[[str], None]) -> Iterator[np.ndarray]:
        """Frames (H, W, 3), RGB, upright; doubts are said. A terminal shows the time left."""
        frames = read_video(self.path)
        shown = dict(desc=doing, total=self.frames, unit="frame", mininterval=1)
        with tqdm(**shown, disable=None) as bar:  # None: where nobody reads a terminal
            while True:
                with warnings.catch_warnings(record=True) as doubts:
                    warnings.simplefilter("always")
                    picture = next(frames, None)
                if picture is None:
                    break
                yield picture
                bar.update()
        for doubt in doubts:
            say(str(doubt.message))


def open_footage(path: str | Path, fps: float = 0.0) -> Footage:
    """What a video's header says, and whether its first frame can be read.

    Args:
        fps: where the header does not know.

    Raises:
        FileNotFoundError, ValueError: with the file's name and the remedy.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such video")
    video = cv2.VideoCapture(str(path))
    try:
        read, frame = video.read()
        if not read:
            raise ValueError(f"{path}: no frame of this video can be read; it is damaged, or OpenCV"
                             " does not know its codec: convert it with `ffmpeg -i VIDEO -c:v "
                             "libx264 new.mp4`")  # fmt: skip
        fps = fps or video.get(cv2.CAP_PROP_FPS)
        count = video.get(cv2.CAP_PROP_FRAME_COUNT)
        turned = video.get(cv2.CAP_PROP_ORIENTATION_META)
    finally:
        video.release()
    if not 1 <= fps <= 1000:
        raise ValueError(f"{path}: its header says {fps:g} frames a second; give --fps")
    height, width = frame.shape[:2]
    known = int(count) if 0 < count < 1e9 else None
    return Footage(path, (width, height), fps, known, int(turned) % 360)


def refuse_size(footage: Footage, camera: Camera, source: Path) -> None:
    """Raise ValueError where a video has not the pixels of its camera's calibration, to 1 %."""
    size = footage.resolution
    if np.abs(np.array(camera.resolution) / size - 1).max() <= 0.01:
        return
    turned = " (is it turned?)" if camera.resolution[::-1] == size else ""
    raise ValueError(f"{source}: camera {camera.name} has {camera.resolution[0]} x "
                     f"{camera.resolution[1]} pixels and the video {size[0]} x {size[1]}"
                     f"{turned}; calibrate at the size of the video")  # fmt: skip


def write_film(
    footage: Footage, path: Path, people: list[np.ndarray], heads: list[np.ndarray],
    say: Callable[[str], None], picture: bool = True,
) -> int:  # fmt: skip
    """The video with skeletons drawn in, whole or not at all; returns the number of its frames.

    Args:
        people: of each person the joints (T, 17, 2) in pixels, NaN where not seen. heads: of
            everybody whose head is to be blurred, as people. picture: False for skeletons on white.

    Raises:
        OSError: where the film cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".writing-{path.name}")  # its suffix says the format
    out = cv2.VideoWriter(str(beside), cv2.VideoWriter_fourcc(*"mp4v"), footage.fps,
                          footage.resolution)  # fmt: skip
    if not out.isOpened():
        raise OSError(f"{path} cannot be written as a film; choose another folder with --out")
    frame = -1
    try:
        for frame, shown in enumerate(footage.pictures("film", say)):
            canvas = shown if picture else np.full_like(shown, 255)
            for joints in heads if picture else ():
                blur_head(canvas, joints[frame] if frame < len(joints) else joints[0] * np.nan)
            for number, joints in enumerate(people, 1):
                draw(canvas, joints[frame] if frame < len(joints) else joints[0] * np.nan, number)
            out.write(cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR))
    except BaseException:
        out.release()
        beside.unlink(missing_ok=True)
        raise
    out.release()
    beside.replace(path)
    return frame + 1


def draw(picture: np.ndarray, joints: np.ndarray, number: int) -> None:
    """A person's skeleton (17, 2) drawn into a picture, or that they are not seen."""
    thick = max(1, round(min(picture.shape[:2]) / 250))
    size = min(picture.shape[:2]) / 1000
    known = np.isfinite(joints).all(-1)
    if not known.any():
        text, at = f"person {number}: not seen", (10, int(40 * size * number + 10))
        cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, (200, 0, 0), thick)
        return
    for a, b, color in _BONES:
        if known[a] and known[b]:
            ends = [tuple(int(v) for v in np.clip(joints[j], -9999, 9999)) for j in (a, b)]
            cv2.line(picture, *ends, color, thick, cv2.LINE_AA)
    top = joints[known].min(0)
    at = tuple(int(v) for v in np.clip(top - (0, 8), 12, 9999))
    cv2.putText(picture, str(number), at, cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), thick)


def blur_head(picture: np.ndarray, joints: np.ndarray) -> None:
    """Blur a person's head, from the neck up, beyond recognition."""
    nose, head, neck = joints[HEAD]
    known = [at for at in (nose, head) if np.isfinite(at).all()]
    if not known:
        return
    middle, body = np.mean(known, axis=0), joints[np.isfinite(joints).all(-1)]
    # The neck may be missing; then a head is a quarter of what is seen of the body.
    reach = np.linalg.norm(neck - middle) if np.isfinite(neck).all() else np.ptp(body, 0).max() / 4
    reach = max(0.9 * reach, 8.0)
    (x1, y1), (x2, y2) = (np.clip(middle + s * reach, 0, picture.shape[1::-1]).astype(int)
                          for s in (-1, 1))  # fmt: skip
    part = picture[y1:y2, x1:x2]
    if part.size:
        few = cv2.resize(part, (4, 4), interpolation=cv2.INTER_AREA)
        part[:] = cv2.resize(few, part.shape[1::-1], interpolation=cv2.INTER_LINEAR)
