"""Pictures with the joints drawn in, to see at a glance whether labels and pictures fit."""

import cv2
import numpy as np
from PIL import Image, ImageDraw

from posebook.data.formats import pictures
from posebook.data.official.report import Report
from posebook.data.records import ImageSet, VideoClip
from posebook.geometry.skeleton import JointSet, joint_set
from posebook.palette import side_color


def draw_skeleton(
    picture: Image.Image,
    joints: np.ndarray,
    bodies: JointSet,
    known: np.ndarray | None = None,
    width: int = 3,
) -> None:
    """Draw bones between joints (J, 2) into a picture: left blue, right orange.

    Args:
        known: (J,) which joints may be drawn.
    """
    known = np.ones(len(bodies), dtype=bool) if known is None else known
    pen = ImageDraw.Draw(picture)
    for parent, child in bodies.bones:
        if known[parent] and known[child]:
            ends = [tuple(map(float, joints[j])) for j in (parent, child)]
            pen.line(ends, fill=side_color(bodies.names[child]), width=width)


def sample_of(
    record: VideoClip | ImageSet, at: int, title: str, report: Report
) -> list[tuple[str, np.ndarray]]:
    """Picture `at` of a record with its box and joints; none, but a problem, if unreadable."""
    try:
        shown = Image.fromarray(pictures.picture(record.pictures[at]))
    except (OSError, ValueError, cv2.error) as problem:
        report.add_errors([problem], otherwise="copy the file anew")
        return []
    known = None if record.annotated is None else record.annotated[at]
    width = max(2, round(max(shown.size) / 160))
    draw_skeleton(shown, record.joints[at], joint_set(record.joint_set), known, width)
    box = [float(side) for side in record.box[at]]
    ImageDraw.Draw(shown).rectangle(box, outline="#009E73", width=max(1, width // 2))
    return [(title[:34], np.asarray(shown))]
