"""Pictures of surfaces, photographed or generated: grounds, walls, clothes of the surroundings."""

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np

from posebook.data.embedded import read_embedded

ASSET = "backgrounds.npz"
SHA256 = "d87c268be2aba213b7fce07579d8cdac5e1fe55d9d09c8120dfe1db4a3320c3a"
REMEDY = "python tools/embed_backgrounds.py"
TEXTURE = 256  # side of a surface's picture, pixels
GROUND = ("grass", "gravel", "planks", "tiles", "plaster", "leaves")
WALL = ("brick", "plaster", "plaster", "stripes", "tiles", "shelf", "leaves", "planks")
PHOTOGRAPHS = ("coffee", "rocket", "chelsea", "china", "flower")
_VARIANTS = 12  # of each generated surface


@cache
def photographs() -> dict[str, np.ndarray]:
    """The embedded pictures (H, W, 3), uint8, RGB."""
    return {
        name: cv2.cvtColor(cv2.imdecode(content, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        for name, content in read_embedded(ASSET, SHA256, REMEDY).items()
    }


@cache
def surface(kind: str, variant: int) -> np.ndarray:
    """A surface (256, 256, 3), uint8, RGB, of one of the kinds in `GROUND` and `WALL`.

    The picture repeats without a visible border only where the kind does; borders look like joints.
    """
    rng = np.random.default_rng([len(kind), ord(kind[0]), ord(kind[1]), variant])
    if kind in ("brick", "grass", "gravel"):
        picture = _tint(photographs()[kind], rng, kind)
    else:
        picture = _DRAWN[kind](rng)
    grain = _clouds(rng, 5) * 18 + rng.normal(0, 5, (TEXTURE, TEXTURE))
    return np.clip(picture + grain[..., None], 0, 255).astype(np.uint8)


def colour(rng, saturation: float = 0.5, low: float = 60, high: float = 220) -> np.ndarray:
    """A random RGB colour (3,)."""
    grey = rng.uniform(low, high)
    return np.clip(grey * (1 + saturation * rng.uniform(-0.6, 0.6, 3)), 0, 255)


def _clouds(rng, octaves: int) -> np.ndarray:
    """Smooth noise (256, 256) of zero mean and roughly unit deviation, large and small."""
    total = np.zeros((TEXTURE, TEXTURE), np.float32)
    for k in range(1, octaves + 1):
        coarse = rng.standard_normal((2**k + 1, 2**k + 1)).astype(np.float32)
        total += cv2.resize(coarse, (TEXTURE, TEXTURE), interpolation=cv2.INTER_CUBIC) / k
    return total / max(float(total.std()), 1e-6)


def _tint(grey: np.ndarray, rng, kind: str) -> np.ndarray:
    colours = {"grass": (0.8, 1.0, 0.55), "brick": (1.15, 0.8, 0.65), "gravel": (1.0, 0.97, 0.9)}
    tint = np.array(colours[kind]) * rng.uniform(0.75, 1.25, 3)
    return grey[:TEXTURE, :TEXTURE].astype(float) * tint


def _planks(rng) -> np.ndarray:
    picture = np.empty((TEXTURE, TEXTURE, 3))
    base, count = colour(rng, 0.5, 80, 190), int(rng.integers(4, 9))
    edges = np.linspace(0, TEXTURE, count + 1).astype(int)
    for top, bottom in zip(edges[:-1], edges[1:], strict=True):
        grain = cv2.resize(rng.normal(0, 9, (bottom - top, 6)), (TEXTURE, bottom - top))
        picture[top:bottom] = base * rng.uniform(0.8, 1.15) + grain[..., None]
        picture[top] *= 0.5
    return picture


def _tiles(rng) -> np.ndarray:
    count = int(rng.integers(2, 7))
    a, b = colour(rng), colour(rng)
    b = a * 0.92 if rng.random() < 0.5 else b
    cell = np.arange(TEXTURE) * count * 2 // TEXTURE
    odd = (cell[:, None] + cell) % 2 == 1
    picture = np.where(odd[..., None], a, b)
    joint = (np.arange(TEXTURE) * count * 2 % TEXTURE) < 2 * count * 2
    picture[joint] *= 0.75
    picture[:, joint] *= 0.75
    return picture


def _plaster(rng) -> np.ndarray:
    return colour(rng, 0.4, 90, 235) + _clouds(rng, 4)[..., None] * rng.uniform(2, 14)


def _stripes(rng) -> np.ndarray:
    a, b = colour(rng), colour(rng)
    wave = np.sin(2 * np.pi * int(rng.integers(3, 12)) * np.arange(TEXTURE) / TEXTURE) > 0
    picture = np.where(wave[None, :, None], a, b) * np.ones((TEXTURE, 1, 1))
    return picture.swapaxes(0, 1) if rng.random() < 0.3 else picture


def _leaves(rng) -> np.ndarray:
    """Dead leaves: overlapping discs of all sizes, whose statistics resemble those of nature."""
    picture = np.empty((TEXTURE, TEXTURE, 3), np.float32)
    picture[:] = colour(rng, 0.5, 40, 160)
    palette = [colour(rng, 0.6, 30, 200) for _ in range(5)]
    for size in np.sort(3 + 60 * rng.random(260) ** 4)[::-1]:
        middle = tuple(int(v) for v in rng.integers(0, TEXTURE, 2))
        axes = (int(size), int(size * rng.uniform(0.4, 1)))
        shade = palette[int(rng.integers(5))] * rng.uniform(0.7, 1.25)
        cv2.ellipse(picture, middle, axes, rng.uniform(0, 180), 0, 360, shade.tolist(), -1)
    return picture


def _shelf(rng) -> np.ndarray:
    """Rectangles in rows, as books, boxes or windows are."""
    picture = np.empty((TEXTURE, TEXTURE, 3), np.float32)
    picture[:] = colour(rng, 0.4, 50, 200)
    rows = int(rng.integers(2, 6))
    for row in range(rows):
        x, bottom = 4, int((row + 1) * TEXTURE / rows) - 4
        while x < TEXTURE - 8:
            width = int(rng.integers(6, 50))
            top = bottom - int(rng.uniform(0.4, 0.9) * TEXTURE / rows)
            right = min(x + width, TEXTURE - 4)
            cv2.rectangle(picture, (x, top), (right, bottom), colour(rng, 0.6).tolist(), -1)
            x += width + int(rng.integers(1, 12))
    return picture


_DRAWN = {
    "planks": _planks,
    "tiles": _tiles,
    "plaster": _plaster,
    "stripes": _stripes,
    "leaves": _leaves,
    "shelf": _shelf,
}


def any_surface(rng, kinds: Sequence[str]) -> np.ndarray:
    """A random surface of one of `kinds`."""
    return surface(kinds[int(rng.integers(len(kinds)))], int(rng.integers(_VARIANTS)))
