"""What the renderer knows of a take beyond its pictures: joints, what hides them, blur, motion."""

from dataclasses import dataclass

import numpy as np

from posebook.data.rendered.mesh import BONES, JOINT_BONES
from posebook.data.rendered.rasterize import depth_at, face_at, weights_at
from posebook.data.rendered.render import see
from posebook.data.rendered.scene import HEIGHT, WIDTH
from posebook.data.rendered.take import MIDDLE, SAMPLES, Take

THICK = 0.2  # metres; a joint lies at most so far behind the surface of its own limb


@dataclass(frozen=True, eq=False)
class Truth:
    """What the renderer knows of the joints `REST_JOINTS` in T frames.

    Attributes:
        joints: (T, K, 2) pixels at the middle of the exposure.
        depth: (T, K) metres.
        visible: (T, K) in the picture, not hidden by the person's own body nor by a plate.
        covered: (T, K) behind a plate.
        inside: (T, K) within the picture.
        blur: (T, K) pixels that the joint moves within the exposure.
        speed: (T, K) pixels a frame.
        box: (T, 4) the body's mask, plates ignored.
    """

    joints: np.ndarray
    depth: np.ndarray
    visible: np.ndarray
    covered: np.ndarray
    inside: np.ndarray
    blur: np.ndarray
    speed: np.ndarray
    box: np.ndarray


def joint_paths(take: Take) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (T, SAMPLES, K, 2) and depths (T, SAMPLES, K) of the joints at all instants."""
    pixels, depth = take.camera.project(take.mesh.locate(take.pose))
    K = pixels.shape[1]
    return pixels.reshape(-1, SAMPLES, K, 2), depth.reshape(-1, SAMPLES, K)


def blur_lengths(pixels: np.ndarray) -> np.ndarray:
    """How far (T, K) joints move while the shutter is open, from pixels (T, SAMPLES, K, 2)."""
    steps = np.linalg.norm(np.diff(pixels, axis=1), axis=-1).sum(1)
    return steps * SAMPLES / (SAMPLES - 1)  # half a sample is missing at either end


def speeds(joints: np.ndarray) -> np.ndarray:
    """Pixels a frame (T, K) of joints (T, K, 2), by central differences; 0 for a single frame."""
    if len(joints) == 1:
        return np.zeros(joints.shape[:2])
    return np.linalg.norm(np.gradient(joints, axis=0), axis=-1)


def visibility(take: Take, joints: np.ndarray, depth: np.ndarray, body, both):
    """Of one instant: which joints (K,) are visible, covered by a plate, and inside the picture.

    A joint is hidden by the body if the front-most face at its pixel belongs to none of the bones
    that meet there, or lies so far in front of it that it must be another side of the body. `body`
    and `both` are depth buffers (H, W). A joint whose pixel the body misses counts as seen.
    """
    column, row = np.rint(joints).astype(int).T
    inside = (column >= 0) & (column < WIDTH) & (row >= 0) & (row < HEIGHT)
    column, row = np.clip(column, 0, WIDTH - 1), np.clip(row, 0, HEIGHT - 1)
    front = face_at(body[row, column])
    part = np.where(front >= 0, take.mesh.part[np.maximum(front, 0)], -1)
    own = np.array([p == -1 or p in group for p, group in zip(part, _ADJACENT, strict=True)])
    own &= (front < 0) | (depth - depth_at(body[row, column]) < THICK)
    plate = face_at(both[row, column]) >= len(take.mesh.faces)
    covered = plate & (depth_at(both[row, column]) < depth) & inside
    return own & inside & ~covered, covered, inside


_ADJACENT = tuple(frozenset(BONES.index(b) for b in bones) for bones in JOINT_BONES.values())


def box_of(body: np.ndarray) -> np.ndarray:
    """The box (4,) x1, y1, x2, y2 of a depth buffer (H, W), pixels; NaN if it is empty."""
    rows, columns = np.flatnonzero(body.any(1)), np.flatnonzero(body.any(0))
    if not len(rows):
        return np.full(4, np.nan)
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) - 0.5


def motion_between(take: Take, frame: int) -> np.ndarray:
    """How the picture moves (240, 320, 2) from a frame to the next, pixels: the true optical flow.

    The point that is seen in a pixel at the middle of the exposure is found again at the middle of
    the next frame's, whether or not it can be seen there.
    """
    first = frame * SAMPLES + MIDDLE
    second = first + SAMPLES
    seen = see(take, slice(first, first + 1))
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    pixels = np.stack([x, y, np.ones_like(x)], axis=-1).astype(float)
    to_backdrop = take.backdrop.homographies(take.camera)
    moved = pixels @ (np.linalg.inv(to_backdrop[second]) @ to_backdrop[first]).T
    flow = moved[..., :2] / moved[..., 2:] - pixels[..., :2]
    number = face_at(seen.all[0])
    row, column = np.nonzero(number >= 0)
    corner = seen.faces[number[row, column]]
    weight = weights_at(seen.pixels[0][corner], seen.depth[0][corner], column, row)
    later = see(take, slice(second, second + 1)).vertices[0][corner]
    point = np.einsum("nk,nkc->nc", weight, later)
    there, _ = take.camera.take(slice(second, second + 1)).project(point[None])
    flow[row, column] = there[0] - np.stack([column, row], axis=-1)
    return flow
