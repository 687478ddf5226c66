"""From a posed body to a picture: triangles with a depth buffer, light, shadow, blur, noise.

A frame is the mean of several instants within the exposure, each shifted by a fraction of a pixel:
one mean gives motion blur and smooth edges. The instant in the middle is not shifted; the labels,
the person's mask and what hides a joint are read from it.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from posebook.data.mesh import BONES, JOINT_BONES, Mesh, Pose
from posebook.data.people import PATTERNS, Look
from posebook.data.scene import (
    FACES_OF_PLATE,
    HEIGHT,
    TEXTURE,
    WIDTH,
    Backdrop,
    CameraPath,
    Plates,
)  # fmt: skip

SAMPLES = 5  # instants within an exposure
MIDDLE = SAMPLES // 2
# Where each instant's pixels lie within the pixel; the middle one is where the labels are.
_SHIFT = np.array([[-0.3, 0.1], [0.1, 0.3], [0.0, 0.0], [-0.1, -0.3], [0.3, -0.1]])
NEAR = 0.3  # metres; what is nearer is not drawn
THICK = 0.2  # metres; a joint lies at most so far behind the surface of its own limb
_ID_BITS = 20
_DEPTH_UNITS = 2**38


@dataclass(frozen=True, eq=False)
class Light:
    """direction: (3,) unit, towards the light. sun, sky: (3,) brightness from there and from all
    sides, RGB. shadow: how much of the light the shadow on the floor takes, 0 to 1."""

    direction: np.ndarray
    sun: np.ndarray
    sky: np.ndarray
    shadow: float


@dataclass(frozen=True)
class Film:
    """softness: the lens' blur, pixels. noise: of the sensor, grey levels. gain: brightness.
    gamma: contrast. quality: of the JPEG, 0 to 100."""

    softness: float
    noise: float
    gain: float
    gamma: float
    quality: int


@dataclass(frozen=True, eq=False)
class Take:
    """All that is seen in T frames, at T * SAMPLES instants.

    mesh, look, pose: the person. camera, plates: of the same instants. seed: of the noise.
    """

    mesh: Mesh
    look: Look
    pose: Pose
    camera: CameraPath
    plates: Plates
    backdrop: Backdrop
    light: Light
    film: Film
    seed: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.pose) // SAMPLES

    def instants(self, frame: int) -> slice:
        """The instants of one frame's exposure."""
        return slice(frame * SAMPLES, (frame + 1) * SAMPLES)


# ---------------------------------------------------------------- triangles


def draw(buffer: np.ndarray, pixels: np.ndarray, depth: np.ndarray, faces: np.ndarray, first: int):
    """Add triangles to a depth buffer; the nearest one wins, pixel by pixel.

    buffer: (S, H, W) int64, zero where nothing is; holds inverse depth and number of the face.
    pixels: (S, V, 2). depth: (S, V) metres. faces: (F, 3), seen only from the side from which their
    corners run counter-clockwise. first: the number of the first of them.
    """
    S, H, W = buffer.shape
    a, b, c = (np.take(pixels, faces[:, k], axis=1).reshape(-1, 2) for k in (0, 2, 1))
    near = np.stack([np.take(depth, faces[:, k], axis=1).reshape(-1) for k in (0, 2, 1)])
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    top = np.ceil(np.minimum(np.minimum(a[:, 1], b[:, 1]), c[:, 1]))
    bottom = np.floor(np.maximum(np.maximum(a[:, 1], b[:, 1]), c[:, 1]))
    top, bottom = np.maximum(top, 0).astype(int), np.minimum(bottom, H - 1).astype(int)
    seen = np.flatnonzero((area > 1e-9) & (near.min(0) > NEAR) & (bottom >= top))
    a, b, c, area, top, bottom = (x[seen] for x in (a, b, c, area, top, bottom))
    near = near[:, seen]
    # Rows of each triangle, then the span of pixels in each row that lies inside all three edges.
    owner, y = _expand(top, bottom)
    left, right = np.zeros(len(y)), np.full(len(y), W - 1.0)
    corners = (a, b, c)
    for k in range(3):
        p, q = corners[k], corners[(k + 1) % 3]
        edge = q - p
        slope = np.divide(edge[:, 0], edge[:, 1], out=np.zeros(len(p)), where=edge[:, 1] != 0)
        x = (p[:, 0] - slope * p[:, 1])[owner] + slope[owner] * y
        side = edge[:, 1][owner]
        np.maximum(left, x, out=left, where=side < 0)
        np.minimum(right, x, out=right, where=side > 0)
    left = np.ceil(left - 1e-6).astype(int)
    right = np.floor(right + 1e-6).astype(int)
    filled = np.flatnonzero(right >= left)
    row, x = _expand(left[filled], right[filled])
    row = filled[row]
    line = ((seen // len(faces) * H)[owner] + y) * W  # where a row of pixels begins in the buffer
    owner, y, line = owner[row], y[row], line[row]
    # 1 / depth is linear in the picture: w = w_a + (x - x_a) w_x + (y - y_a) w_y.
    w = 1 / near
    ab, ac, wab, wac = b - a, c - a, w[1] - w[0], w[2] - w[0]
    w_x = (wab * ac[:, 1] - wac * ab[:, 1]) / area
    w_y = (wac * ab[:, 0] - wab * ac[:, 0]) / area
    start = w[0] - a[:, 0] * w_x - a[:, 1] * w_y
    value = start[owner] + x * w_x[owner] + y * w_y[owner]
    key = (value * _DEPTH_UNITS).astype(np.int64) << _ID_BITS
    key |= (seen % len(faces) + first + 1)[owner]
    np.maximum.at(buffer.reshape(-1), line + x, key)


def _expand(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each i the integers first_i ... last_i: the i's and the integers, as two flat arrays."""
    count = last - first + 1
    owner = np.repeat(np.arange(len(count)), count)
    start = np.cumsum(count) - count
    return owner, np.arange(len(owner)) - (start - first)[owner]


def face_at(buffer: np.ndarray) -> np.ndarray:
    """The number of the front-most face of each pixel, -1 where there is none."""
    return (buffer & (2**_ID_BITS - 1)).astype(np.int32) - 1


def depth_at(buffer: np.ndarray) -> np.ndarray:
    """The depth of each pixel in metres, infinite where nothing is."""
    with np.errstate(divide="ignore"):
        return _DEPTH_UNITS / (buffer >> _ID_BITS)


def weights_at(corners: np.ndarray, depth: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Weights (n, 3) of a triangle's corners for the point of it that is seen at pixel x, y.

    corners: (n, 3, 2) pixels. depth: (n, 3). Right in perspective: the weights are those in space.
    """
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, ac, dx, dy = b - a, c - a, x - a[:, 0], y - a[:, 1]
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    second = (dx * ac[:, 1] - dy * ac[:, 0]) / area
    third = (dy * ab[:, 0] - dx * ab[:, 1]) / area
    # One row a corner: NumPy is slow along an axis of three.
    flat = np.stack([1 - second - third, second, third]) / depth.T
    return (flat / (flat[0] + flat[1] + flat[2])).T


# ---------------------------------------------------------------- one frame


@dataclass(frozen=True, eq=False)
class Seen:
    """The triangles of some instants: what is drawn, and where it fell.

    vertices: (S, V, 3) world, the body's and then the plates'. normals: (S, V', 3) of the body's.
    pixels: (S, V, 2), depth: (S, V). faces: (F, 3), the body's first. body: (S, H, W) the depth
    buffer of the body alone; all: with the plates.
    """

    vertices: np.ndarray
    normals: np.ndarray
    pixels: np.ndarray
    depth: np.ndarray
    faces: np.ndarray
    body: np.ndarray
    all: np.ndarray


def see(take: Take, instants: slice, shift: np.ndarray | float = 0.0) -> Seen:
    """Body and plates at some instants, each shifted by `shift` (S, 2) pixels."""
    pose = Pose(take.pose.turn[instants], take.pose.shift[instants])
    camera = take.camera.take(instants)
    vertices, normals = take.mesh.skin(pose)
    plates = take.plates.corners[instants].reshape(len(pose), -1, 3)
    everything = np.concatenate([vertices, plates], axis=1)
    pixels, depth = camera.project(everything)
    pixels = pixels - np.reshape(shift, (-1, 1, 2)) if np.ndim(shift) else pixels
    faces = np.concatenate([take.mesh.faces, take.plates.faces + vertices.shape[1]])
    body = np.zeros((len(pose), HEIGHT, WIDTH), np.int64)
    count = len(take.mesh.faces)
    draw(body, pixels, depth, take.mesh.faces, 0)
    both = body
    if len(take.plates):
        both = body.copy()
        draw(both, pixels, depth, faces[count:], count)
    return Seen(everything, normals, pixels, depth, faces, body, both)


def expose(take: Take, frame: int) -> tuple[np.ndarray, Seen]:
    """One frame (240, 320, 3), uint8, RGB, before the JPEG, and what was drawn at its instants."""
    instants = take.instants(frame)
    seen = see(take, instants, _SHIFT)
    light, cover = _shade(take, seen)
    picture = _background(take, instants, seen)
    picture *= 1 - cover[..., None]
    picture += light
    return _develop(take, frame, picture), seen


def _shade(take: Take, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    """Light of body and plates (H, W, 3) and the share (H, W) of each pixel that they cover."""
    window = _window(seen)
    front = face_at(seen.all[:, *window])
    samples, count = len(front), len(take.mesh.faces)
    drawn = front >= 0
    image, row, column = np.nonzero(drawn & (front < count))
    number = front[image, row, column]
    corner = np.take(seen.faces.T, number, axis=1)  # (3, n): NumPy is slow along an axis of three
    at = corner + image * seen.depth.shape[1]
    corners = np.stack([np.take(axis, at) for axis in np.moveaxis(seen.pixels, -1, 0)])
    weight = weights_at(
        corners.T, np.take(seen.depth, at).T, column + window[1].start, row + window[0].start
    ).astype(np.float32)
    colour = _skin_light(take, seen, image, number, corner.T, weight)
    place, size = row * front.shape[2] + column, front[0].size
    light = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for channel in range(3):
        sums = np.bincount(place, colour[:, channel], size)
        light[*window, channel] = sums.reshape(front.shape[1:])
    if len(take.plates):
        _add_plates(take, seen, (front - count) // len(FACES_OF_PLATE), window, light)
    cover = np.zeros((HEIGHT, WIDTH), np.float32)
    cover[window] = drawn.mean(0, dtype=np.float32)
    light /= samples
    return light, cover


def _window(seen: Seen) -> tuple[slice, slice]:
    """Rows and columns of the picture outside which nothing was drawn."""
    spans = []
    for axis, size in ((1, HEIGHT), (0, WIDTH)):
        at = seen.pixels[..., axis]
        low = int(np.clip(np.floor(at.min()), 0, size - 1))
        spans.append(slice(low, int(np.clip(np.ceil(at.max()) + 1, low + 1, size))))
    return tuple(spans)


def _skin_light(take: Take, seen: Seen, image, number, corner, weight) -> np.ndarray:
    """Colour (n, 3) of points of the body: paint times light, smooth between the vertices."""
    # Half of the way round the light fades, as it does under a sky rather than a lamp.
    lit = np.maximum(seen.normals @ take.light.direction * 0.75 + 0.25, 0)
    uneven = _wrinkles(take.mesh.vertices)
    sun, sky = (lit * uneven).astype(np.float32), uneven.astype(np.float32)
    sun = np.einsum("nk,nk->n", weight, sun[image[:, None], corner])
    sky = np.einsum("nk,nk->n", weight, sky[corner])
    colour = take.look.colour.astype(np.float32)[number]
    patterned = np.flatnonzero(take.look.pattern[number])
    if len(patterned):
        rest = take.mesh.vertices.astype(np.float32)[corner[patterned]]
        rest = np.einsum("nk,nkc->nc", weight[patterned], rest)
        kind = take.look.pattern[number[patterned]]
        second = take.look.second.astype(np.float32)[number[patterned]]
        other = _pattern(rest, kind, take.look.pitch)
        colour[patterned] = np.where(other[:, None], second, colour[patterned])
    light = np.outer(sun, take.light.sun.astype(np.float32))
    light += np.outer(sky, take.light.sky.astype(np.float32))
    return colour * light


def _pattern(rest: np.ndarray, kind: np.ndarray, pitch: float) -> np.ndarray:
    """Whether points (n, 3) of the resting body have the second colour of their pattern."""
    wave = 2 * np.pi / pitch
    stripes = np.sin(wave * rest[:, 2]) > 0
    columns = np.sin(wave * (rest[:, 0] + rest[:, 1])) > 0
    blots = np.sin(wave * rest[:, 2]) * np.sin(wave * (rest[:, 0] + 0.7 * rest[:, 1])) > 0.3
    plain = np.zeros_like(stripes)
    shapes = {"plain": plain, "stripes": stripes, "checks": stripes ^ columns, "blots": blots}
    return np.choose(kind, [shapes[name] for name in PATTERNS])


def _wrinkles(rest: np.ndarray) -> np.ndarray:
    """Slow unevenness of brightness (n,) over the body, about one."""
    x, y, z = rest.T
    folds = np.sin(31 * z + 9 * np.sin(14 * x + 2))
    return 1 + 0.06 * folds + 0.05 * np.sin(47 * x + 23 * y - 8 * z)


def _add_plates(take: Take, seen: Seen, plate: np.ndarray, window, light: np.ndarray) -> None:
    """Add the plates' textures to `light`; `plate` (S, h, w): their numbers in a window of it."""
    first = np.array([window[1].start, window[0].start])
    shine = take.light.sky + 0.5 * take.light.sun
    flat = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32) * (TEXTURE - 1)
    corners = seen.pixels[:, len(take.mesh.vertices) :].reshape(len(plate), -1, 4, 2)
    for p, texture in enumerate(take.plates.textures):
        lit = np.clip(texture * shine, 0, 255).astype(np.uint8)
        for s in range(len(plate)):
            low = np.clip(np.floor(corners[s, p].min(0)), 0, [WIDTH, HEIGHT]).astype(int)
            high = np.clip(np.ceil(corners[s, p].max(0)) + 1, 0, [WIDTH, HEIGHT]).astype(int)
            (left, top), (right, bottom) = low - first, high - first
            mask = (plate[s, top:bottom, left:right] == p).astype(np.uint8)
            if mask.any():
                here = (corners[s, p] - low).astype(np.float32)
                H = cv2.getPerspectiveTransform(flat, here)
                size = (mask.shape[1], mask.shape[0])
                drawn = cv2.warpPerspective(lit, H, size, borderMode=cv2.BORDER_REPLICATE)
                cv2.accumulate(drawn, light[low[1] : high[1], low[0] : high[0]], mask)


def _background(take: Take, instants: slice, seen: Seen) -> np.ndarray:
    """The surroundings (H, W, 3) with the person's shadow, blurred as the camera turned."""
    homographies = take.backdrop.homographies(take.camera.take(instants))
    ends = np.array([[0, 0, 1], [WIDTH, HEIGHT, 1]]) @ homographies.swapaxes(-1, -2)
    ends = ends[..., :2] / ends[..., 2:]
    if np.abs(ends[-1] - ends[0]).max() < 0.7:
        homographies = homographies[MIDDLE : MIDDLE + 1]
    picture = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for homography in homographies:
        cv2.accumulate(take.backdrop.frame(homography), picture)
    picture /= len(homographies)
    picture *= _shadow(take, instants, seen)[..., None]
    return picture


def _shadow(take: Take, instants: slice, seen: Seen) -> np.ndarray:
    """Share (H, W) of the light that reaches the floor: bones cast the shadows of their hulls."""
    body = seen.vertices[MIDDLE, : len(take.mesh.vertices)]
    direction = take.light.direction
    fallen = body - direction * (body[:, 2:] / direction[2])
    camera = take.camera.take(slice(instants.start + MIDDLE, instants.start + MIDDLE + 1))
    pixels, depth = camera.project(fallen[None])
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    strongest = take.mesh.weights.argmax(1)
    for bone in range(len(BONES)):
        mine = (strongest == bone) & (depth[0] > NEAR)
        if mine.sum() > 2:
            hull = cv2.convexHull(np.rint(pixels[0, mine]).astype(np.int32))
            cv2.fillConvexPoly(mask, hull, 1.0)
    return 1 - take.light.shadow * cv2.GaussianBlur(mask, (0, 0), 2.0)


def _develop(take: Take, frame: int, picture: np.ndarray) -> np.ndarray:
    """Lens, sensor and tone curve: light (H, W, 3) to uint8."""
    film = take.film
    rng = np.random.default_rng([*take.seed, frame])
    if film.softness > 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), film.softness)
    picture *= film.gain / 255
    np.clip(picture, 0, 1, out=picture)
    picture = cv2.pow(picture, film.gamma)
    picture *= 255
    picture += film.noise * _grain(rng)
    return np.clip(picture, 0, 255, out=picture).astype(np.uint8)


_GRAIN = np.random.default_rng(7).standard_normal((2 * HEIGHT, 2 * WIDTH, 3)).astype(np.float32)


def _grain(rng) -> np.ndarray:
    """Noise (H, W, 3) of deviation one: a random piece of a fixed field, which is much faster."""
    y, x = int(rng.integers(HEIGHT)), int(rng.integers(WIDTH))
    return _GRAIN[y : y + HEIGHT, x : x + WIDTH]


def encode(picture: np.ndarray, quality: int) -> bytes:
    """The JPEG file of a picture (H, W, 3), uint8, RGB."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    done, content = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"encode: OpenCV could not write a JPEG of shape {picture.shape}")
    return content.tobytes()


def decode(content: bytes | np.ndarray) -> np.ndarray:
    """The picture (H, W, 3), uint8, RGB, in a JPEG file's bytes."""
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("decode: these bytes are no picture that OpenCV can read")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


# ---------------------------------------------------------------- truth


@dataclass(frozen=True, eq=False)
class Truth:
    """What the renderer knows of the joints `REST_JOINTS` in T frames.

    joints: (T, K, 2) pixels at the middle of the exposure. depth: (T, K) metres. visible: (T, K)
    in the picture, not hidden by the person's own body nor by a plate. covered: (T, K) behind a
    plate. inside: (T, K) within the picture. blur: (T, K) pixels that the joint moves within the
    exposure. speed: (T, K) pixels a frame. box: (T, 4) the body's mask, plates ignored.
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
