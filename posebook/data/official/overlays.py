"""Pictures with joints drawn in, to see at a glance whether labels, pictures and cameras fit."""

import cv2
import numpy as np
from PIL import Image, ImageDraw

from posebook.data.formats import pictures
from posebook.data.official.report import Report
from posebook.data.records import ImageSet, VideoClip, ViewSequence
from posebook.geometry.skeleton import JointSet, joint_set
from posebook.palette import side_color

SIDE = 250  # pixels of a picture with bodies alone


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



def overlays(sequence: ViewSequence, title: str) -> list[tuple[str, np.ndarray]]:
    """The middle instant in each view: (title, picture), cut to the body.

    The sequence's 2D joints are thick, left blue and right orange; its 3D joints, projected into
    the view, are thin and black.
    """
    at = len(sequence) // 2
    bodies = joint_set(sequence.joint_set)
    samples = []
    for v, camera in enumerate(sequence.cameras):
        seen = sequence.joints_2d[at, v].astype(float)
        truth = camera.project(sequence.joints_3d[at].astype(float))
        seen, truth = _framed(seen, truth)
        picture = Image.new("RGB", (SIDE, SIDE), "white")
        draw_skeleton(picture, seen, bodies, width=6)
        pen = ImageDraw.Draw(picture)
        for bone in bodies.bones:
            if np.isfinite(truth[list(bone)]).all():  # what lies behind the camera has no place
                pen.line([tuple(truth[joint]) for joint in bone], fill="black", width=1)
        where = f"{title}{sequence.subject} {sequence.action}\n{camera.name} frame {at}"
        samples.append((where, np.asarray(picture)))
    return samples


def _framed(seen: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both (J, 2) moved and scaled so that they fill the picture but for a margin."""
    points = np.concatenate([seen, truth])
    low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
    scale = 0.85 * SIDE / max((high - low).max(), 1.0)
    return tuple((p - (low + high) / 2) * scale + SIDE / 2 for p in (seen, truth))
