"""The boxes of a person in a video that is read on demand: one each frame, or None.

A frame has a box, or the person is lost in it; another number of boxes than of frames shifts them
against each other, and is refused.
"""

from collections.abc import Iterable, Iterator
from operator import length_hint

import numpy as np

from posebook.data.formats.pictures import picture as as_picture


def with_boxes(
    pictures: Iterable, boxes: Iterable | None, name: str
) -> Iterator[tuple[np.ndarray, np.ndarray, bool]]:
    """Pictures, the box (4,) about which each is cut, and whether the person is seen in it.

    Arguments and errors: as for `posebook.video.inference.poses`.
    """
    if boxes is not None:
        _refuse_other_number(length_hint(boxes, -1), length_hint(pictures, -1), name)
    coming, missing = iter(() if boxes is None else boxes), object()
    number, last = -1, None
    for number, item in enumerate(pictures):
        picture = as_picture(item)
        height, width = picture.shape[:2]
        whole = np.array([-0.5, -0.5, width - 0.5, height - 0.5])
        if boxes is None:
            yield picture, whole, True
            continue
        given = next(coming, missing)
        if given is missing:
            raise ValueError(
                f"{name}: frame {number} has no box, there are {number}; a frame without the "
                "person has the box None"
            )
        box = _box(given, width, height, f"{name}: frame {number}")
        last = last if box is None else box
        yield picture, whole if last is None else last, box is not None
    surplus = sum(1 for _ in coming)
    if surplus:
        _refuse_other_number(number + 1 + surplus, number + 1, name)


def _refuse_other_number(boxes: int, frames: int, name: str) -> None:
    """Refuse boxes of another number than the frames; -1 stands for one that is not known."""
    if -1 not in (boxes, frames) and boxes != frames:
        raise ValueError(
            f"{name}: {boxes} boxes for {frames} frames; the video may be cut short, or the boxes "
            "belong to another one"
        )


def _box(given, width: int, height: int, where: str) -> np.ndarray | None:
    """A box (4,) that shows something of its picture; None where the person is lost."""
    if given is None:
        return None
    box = np.asarray(given, dtype=float)
    if box.shape != (4,):
        raise ValueError(
            f"{where}: a box is x1, y1, x2, y2, got shape {box.shape}; give scores apart, such as "
            "boxes[:, :4]"
        )
    if np.isnan(box).all() or not box.any():
        return None
    x1, y1, x2, y2 = box
    seen = x1 < min(x2, width - 0.5) and y1 < min(y2, height - 0.5) and x2 > -0.5 and y2 > -0.5
    if not (seen and np.isfinite(box).all()):
        raise ValueError(
            f"{where}: the box {box.tolist()} has no area in the picture of {width} x {height}; "
            "boxes are x1, y1, x2, y2 in pixels, and None where the person is lost"
        )
    return box
