"""From a posed body to a picture: triangles with a depth buffer, light, shadow, blur, noise.

A frame is the mean of several instants within the exposure, each shifted by a fraction of a pixel:
one mean gives motion blur and smooth edges. The instant in the middle is not shifted; the labels,
the person's mask and what hides a joint are read from it.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from posebook.data.rendered.mesh import BONES, Pose
from posebook.data.rendered.people import PATTERNS
from posebook.data.rendered.rasterize import NEAR, draw, face_at, weights_at
from posebook.data.rendered.scene import FACES_OF_PLATE, HEIGHT, WIDTH
from posebook.data.rendered.surfaces import TEXTURE
from posebook.data.rendered.take import MIDDLE, Take

# Where each instant's pixels lie within the pixel; the middle one is where the labels are.
_SHIFT = np.array([[-0.3, 0.1], [0.1, 0.3], [0.0, 0.0], [-0.1, -0.3], [0.3, -0.1]])


@dataclass(frozen=True, eq=False)
class Seen:
    """The triangles of some instants: what is drawn, and where it fell.

    Attributes:
        vertices: (S, V, 3) world, the body's and then the plates'.
        normals: (S, V', 3) of the body's.
        pixels: (S, V, 2), depth: (S, V).
        faces: (F, 3), the body's first.
        body: (S, H, W) the depth buffer of the body alone; all: with the plates.
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
