"""Small pictures in which 2D joints and projected 3D joints lie on each other, if all is well."""

import numpy as np
from PIL import Image, ImageDraw

from posebook.data.official.samples import draw_skeleton
from posebook.data.records import ViewSequence
from posebook.geometry.skeleton import joint_set

SIDE = 250  # pixels of a picture


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
