"""What surrounds the person: a room or a yard, a camera that moves, and things that pass in front.

World: z up, the floor is z = 0, metres. The camera stays in one place while it turns and zooms, so
that the surroundings are one wide picture, drawn once for a clip, of which every frame is a part.
Five photographs and three surfaces come with the package; their origin and licences:
assets/backgrounds.md. Made by tools/embed_backgrounds.py.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from posebook.data.rendered.surfaces import (
    GROUND,
    PHOTOGRAPHS,
    TEXTURE,
    WALL,
    any_surface,
    colour,
    photographs,
)

HEIGHT, WIDTH = 240, 320  # of a frame, pixels: JHMDB's
CENTRE = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])  # 0 is the centre of the first pixel


@dataclass(frozen=True, eq=False)
class CameraPath:
    """One camera at N instants: it turns and zooms about a fixed centre.

    Attributes:
        turn: (N, 3, 3) world-to-camera rotations.
        center: (3,) metres.
        focal: (N,) pixels.
    """

    turn: np.ndarray
    center: np.ndarray
    focal: np.ndarray

    def __len__(self) -> int:
        return len(self.turn)

    def take(self, index) -> "CameraPath":
        """The instants at `index` (a slice or an array)."""
        return CameraPath(self.turn[index], self.center, self.focal[index])

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World points (N, V, 3) to pixels (N, V, 2) and depths (N, V) in metres."""
        seen = (points - self.center) @ self.turn.swapaxes(-1, -2)
        depth = np.maximum(seen[..., 2], 0.05)
        return seen[..., :2] * (self.focal[:, None] / depth)[..., None] + CENTRE, seen[..., 2]


def look_at(center: np.ndarray, target: np.ndarray, roll: np.ndarray) -> np.ndarray:
    """World-to-camera rotations (N, 3, 3) of a camera at `center` that looks at `target` (N, 3)."""
    forward = target - center
    forward = forward / np.linalg.norm(forward, axis=-1, keepdims=True)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right = right / np.linalg.norm(right, axis=-1, keepdims=True)
    level = np.stack([right, np.cross(forward, right), forward], axis=-2)
    return Rotation.from_euler("z", np.reshape(roll, (-1, 1))).as_matrix() @ level


@dataclass(frozen=True, eq=False)
class Backdrop:
    """Everything that stands still, as one wide picture from the camera's centre.

    Attributes:
        picture: (H, W, 3) uint8 RGB.
        turn: (3, 3), focal, centre (2,): the pinhole that it was taken with, pixels.
    """

    picture: np.ndarray
    turn: np.ndarray
    focal: float
    centre: np.ndarray

    def homographies(self, camera: CameraPath) -> np.ndarray:
        """(N, 3, 3): from pixels of the frames of `camera` to pixels of this picture."""
        return self._K @ self.turn @ camera.turn.swapaxes(-1, -2) @ _inverse_K(camera.focal)

    @property
    def _K(self) -> np.ndarray:
        (x, y), f = self.centre, self.focal
        return np.array([[f, 0, x], [0, f, y], [0, 0, 1]])

    def frame(self, homography: np.ndarray) -> np.ndarray:
        """The part (240, 320, 3) of the picture that one homography shows."""
        return cv2.warpPerspective(
            self.picture,
            homography,
            (WIDTH, HEIGHT),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )


def _inverse_K(focal: np.ndarray) -> np.ndarray:
    inverse = np.zeros((len(focal), 3, 3))
    inverse[:, 0, 0] = inverse[:, 1, 1] = 1 / focal
    inverse[:, :2, 2] = -CENTRE / focal[:, None]
    inverse[:, 2, 2] = 1
    return inverse


def make_backdrop(camera: CameraPath, person: np.ndarray, rng) -> Backdrop:
    """Random surroundings that cover all that `camera` sees around a `person` at (3,)."""
    middle = look_at(camera.center, person[None], np.zeros(1))[0]
    focal = float(np.median(camera.focal))
    corners = np.array([[0, 0, 1], [WIDTH, 0, 1], [0, HEIGHT, 1], [WIDTH, HEIGHT, 1]], dtype=float)
    rays = np.einsum("ij,nkj,nkl,cl->nci", middle, camera.turn, _inverse_K(camera.focal), corners)
    reach = rays[..., :2] / np.maximum(rays[..., 2:], 0.2) * focal
    low, high = reach.min((0, 1)) - 4, reach.max((0, 1)) + 4
    low, high = np.maximum(low, -700), np.minimum(high, 700)
    size = np.ceil(high - low).astype(int)
    x, y = np.meshgrid(np.arange(size[0]) + low[0], np.arange(size[1]) + low[1])
    rays = np.stack([x / focal, y / focal, np.ones_like(x)], -1).astype(np.float32) @ middle.astype(
        np.float32
    )
    picture = _room(rays, camera.center, person, rng)
    empty = Backdrop(picture, middle, focal, -low)
    _furnish(empty, camera.center, person, rng)
    field = cv2.resize(
        rng.uniform(0.75, 1.15, (3, 4)).astype(np.float32), tuple(int(v) for v in size)
    )
    return Backdrop(
        np.clip(empty.picture * field[..., None], 0, 255).astype(np.uint8), middle, focal, -low
    )


def _room(rays: np.ndarray, center: np.ndarray, person: np.ndarray, rng) -> np.ndarray:
    """The inside of a box (H, W, 3): floor, four walls, and a ceiling or the sky."""
    outdoors = rng.random() < 0.45
    turn = rng.uniform(0, np.pi / 2)
    c, s = np.cos(turn), np.sin(turn)
    R = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]], np.float32)
    rays = rays @ R.T
    eye, spot = R @ center, R @ person
    room = (4, 9) if outdoors else (1.5, 4)
    low = np.minimum(eye, spot)[:2] - rng.uniform(*room, 2)
    high = np.maximum(eye, spot)[:2] + rng.uniform(*room, 2)
    top = rng.uniform(2.5, 7) if outdoors else max(rng.uniform(2.4, 3.5), eye[2] + 0.3)
    with np.errstate(divide="ignore"):
        far = np.where(rays[..., :2] > 0, high - eye[:2], low - eye[:2]) / rays[..., :2]
        down = -eye[2] / rays[..., 2]
        up = (top - eye[2]) / rays[..., 2]
    wall = far.min(-1)
    axis = far.argmin(-1)
    floor = (rays[..., 2] < 0) & (down < wall)
    over = (rays[..., 2] > 0) & (up < wall)
    distance = np.where(floor, down, np.where(over, up, wall))
    points = (eye + distance[..., None] * rays).astype(np.float32)
    picture = np.zeros_like(points)
    tile = rng.uniform(1, 2.5)
    ground = GROUND[:2] if outdoors and rng.random() < 0.7 else GROUND
    _paint(picture, floor, points[..., 0], points[..., 1], any_surface(rng, ground), tile)
    if outdoors:
        sky = np.array([150, 185, 225]) * rng.uniform(0.6, 1.1) + rng.uniform(-20, 20, 3)
        height = rays[..., 2] / np.linalg.norm(rays, axis=-1)
        picture[over] = sky + (255 - sky) * np.exp(-4 * height[over])[:, None] * 0.7
    else:
        picture[over] = colour(rng, 0.1, 150, 240)
    for number in range(4):
        side = (rays[..., number // 2] > 0) == bool(number % 2)
        here = (axis == number // 2) & side & ~floor & ~over
        across = points[..., 1 - number // 2]
        if rng.random() < (0.6 if outdoors else 0.25):
            photo = photographs()[PHOTOGRAPHS[int(rng.integers(len(PHOTOGRAPHS)))]]
            _paint(picture, here, across, top - points[..., 2], photo, top * rng.uniform(1, 1.6))
        else:
            size = rng.uniform(1.2, 4)
            _paint(picture, here, across, -points[..., 2], any_surface(rng, WALL), size)
    return picture


def _paint(picture, where, u, v, texture, size: float) -> None:
    """Cover the pixels `where` with a texture; u, v in metres, `size` metres to its height."""
    height, width = texture.shape[:2]
    scale = height / size
    x = np.mod(u[where] * scale, width - 1).astype(np.float32)
    y = np.mod(v[where] * scale, height - 1).astype(np.float32)
    if len(x):
        # remap takes pictures of at most 32767 rows, so the list is folded.
        fold = 4096
        pad = -len(x) % fold
        x, y = (np.pad(a, (0, pad)).reshape(-1, fold) for a in (x, y))
        painted = cv2.remap(texture, x, y, cv2.INTER_LINEAR).reshape(-1, 3)
        picture[where] = painted[: len(painted) - pad]


def _furnish(backdrop: Backdrop, center: np.ndarray, person: np.ndarray, rng) -> None:
    """Upright boards of all sizes beside and behind the person, drawn far to near."""
    away = (person - center) * [1, 1, 0]
    away = away / np.linalg.norm(away)
    side = np.array([-away[1], away[0], 0])
    count = int(rng.integers(0, 8))
    for distance in np.sort(rng.uniform(0.7, 4, count))[::-1]:
        wide, tall = rng.uniform(0.3, 1.8), rng.uniform(0.3, 2.2)
        foot = person * [1, 1, 0] + away * distance + side * rng.uniform(-3, 3)
        across = side * np.cos(a := rng.uniform(-0.7, 0.7)) + away * np.sin(a)
        lift = np.array([0, 0, rng.uniform(0.3, 1.5) if rng.random() < 0.2 else 0.0])
        corners = foot + lift + np.array([-0.5, 0.5, 0.5, -0.5])[:, None] * across * wide
        corners[2:, 2] += tall
        _hang(backdrop, center, corners, any_surface(rng, WALL), rng.uniform(0.5, 1.1))


def _hang(backdrop: Backdrop, center, corners: np.ndarray, texture, brightness: float) -> None:
    """Draw a quadrangle with world `corners` (4, 3), lower left first, into the backdrop."""
    seen = (corners - center) @ backdrop.turn.T
    if seen[:, 2].min() < 0.3:
        return
    pixels = (seen[:, :2] / seen[:, 2:] * backdrop.focal + backdrop.centre).astype(np.float32)
    height, width = backdrop.picture.shape[:2]
    low = np.clip(np.floor(pixels.min(0)), 0, [width, height]).astype(int)
    high = np.clip(np.ceil(pixels.max(0)), 0, [width, height]).astype(int)
    if (high <= low).any():
        return
    t = np.float32(TEXTURE - 1)
    flat = np.array([[0, t], [t, t], [t, 0], [0, 0]], np.float32)
    to_window = cv2.getPerspectiveTransform(flat, pixels - low.astype(np.float32))
    size = tuple(int(v) for v in high - low)
    drawn = cv2.warpPerspective(texture, to_window, size, borderMode=cv2.BORDER_REPLICATE)
    inside = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillConvexPoly(inside, np.rint(pixels - low).astype(np.int32), 1, cv2.LINE_8)
    window = backdrop.picture[low[1] : high[1], low[0] : high[0]]
    window[inside > 0] = drawn[inside > 0] * brightness


FACES_OF_PLATE = np.array([[0, 1, 2], [0, 2, 3], [2, 1, 0], [3, 2, 0]])  # a plate has no back


@dataclass(frozen=True, eq=False)
class Occluders:
    """Flat things in front of the person, at N instants.

    Attributes:
        corners: (N, P, 4, 3) world, metres, lower left first.
        textures: P pictures (256, 256, 3).
    """

    corners: np.ndarray
    textures: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return self.corners.shape[1]

    @property
    def faces(self) -> np.ndarray:
        """(4 P, 3) triangles over the 4 P corners, each with both windings."""
        return (np.arange(len(self))[:, None, None] * 4 + FACES_OF_PLATE).reshape(-1, 3)


# Width and height in metres, height of the lower edge, and frames that a crossing takes.
_KINDS = {
    "board": ((0.25, 0.55), (1.2, 1.9), (0.0, 0.1), (5, 10)),
    "pole": ((0.08, 0.22), (2.2, 2.6), (0.0, 0.0), (4, 9)),
    "bench": ((0.7, 1.5), (0.45, 0.95), (0.0, 0.1), (7, 14)),
    "bag": ((0.25, 0.5), (0.25, 0.5), (0.2, 1.3), (4, 9)),
}


def make_occluders(
    path: np.ndarray, time: np.ndarray, center: np.ndarray, events: int, rng, still: bool = False
) -> Occluders:
    """Things that cross between camera and person, each within some frames of the clip.

    Args:
        path: (N, 3) the person's way.
        time: (N,) of these instants, in frames.
        center: the camera's.
        still: they stand somewhere in front of the person instead.
    """
    corners, textures = [], []
    for _ in range(events):
        width, height, foot, crossing = _KINDS[list(_KINDS)[int(rng.integers(len(_KINDS)))]]
        width, height, foot = (rng.uniform(*span) for span in (width, height, foot))
        middle = rng.uniform(0.1, 0.9) * time[-1]
        speed = (0.7 + width) / rng.uniform(*crossing) * rng.choice([-1, 1])  # metres a frame
        nearer = rng.uniform(0.15, 0.38)
        spot = path + (center - path) * nearer
        away = (path[0] - center) * [1, 1, 0]
        across = np.array([-away[1], away[0], 0]) / np.linalg.norm(away)
        if still:
            speed, middle = speed * 0.02, rng.uniform(-0.6, 0.6) / (speed * 0.02)
        # What is nearer to the camera passes faster in the picture; the way is the person's.
        foot_point = spot * [1, 1, 0] + np.outer((time - middle) * speed * (1 - nearer), across)
        x = np.array([-0.5, 0.5, 0.5, -0.5])[:, None] * across * width
        z = np.array([0, 0, 1, 1])[:, None] * [0, 0, height] + [0, 0, foot]
        corners.append(foot_point[:, None] + x + z)
        textures.append(any_surface(rng, WALL + GROUND))
    if not corners:
        return Occluders(np.zeros((len(path), 0, 4, 3)), ())
    return Occluders(np.stack(corners, axis=1), tuple(textures))
