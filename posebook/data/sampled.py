"""A sample of the instants that a rig saw, triangulated and projected back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from posebook.data.records import ViewSequence
from posebook.geometry.camera import Camera, stack
from posebook.geometry.multiview import triangulate


class Finding(NamedTuple):
    """Something doubtful: its name (`posebook.data.plausible.DOUBTS`), how sure, the sentence."""

    doubt: str
    gross: bool
    text: str


@dataclass(frozen=True, eq=False)
class Sample:
    """N instants of V views of one rig.

    Attributes:
        pixels: (N, V, J, 2).
        weights: (N, V, J), 0 where the joint is missing.
        take: (N,) which of the rig's takes.
        frame: (N,) where in it.
    """

    cameras: tuple[Camera, ...]
    pixels: np.ndarray
    weights: np.ndarray
    take: np.ndarray
    frame: np.ndarray

    @classmethod
    def of(cls, takes: Sequence[ViewSequence], most: int) -> "Sample":
        """About `most` instants, evenly over the takes and over each of them."""
        chosen = np.unique(np.linspace(0, len(takes) - 1, min(most, len(takes))).astype(int))
        each = max(1, most // len(chosen))
        frames = [_middles(len(takes[k]), each) for k in chosen]
        part = lambda field: np.concatenate(  # noqa: E731
            [getattr(takes[k], field)[at] for k, at in zip(chosen, frames)]
        )
        pixels, weights = part("joints_2d").astype(np.float64), part("confidence")
        take = np.repeat(chosen, [len(at) for at in frames])
        return cls(takes[0].cameras, pixels, weights, take, np.concatenate(frames))

    @property
    def seen(self) -> np.ndarray:
        """(N, V, J) bool."""
        return self.weights > 0

    @property
    def extent(self) -> np.ndarray:
        """(N, V) diagonal of the person in the picture, pixels; NaN where fewer than 6 joints."""
        spot = np.where(self.seen[..., None], self.pixels, np.nan)
        low, high = np.fmin.reduce(spot, axis=2), np.fmax.reduce(spot, axis=2)
        enough = self.seen.sum(-1) >= 6
        return np.where(enough, np.linalg.norm(high - low, axis=-1), np.nan)

    @property
    def extents(self) -> np.ndarray:
        """(V,) median of `extent`, infinite where nothing can be said."""
        sizes = np.array([median(self.extent[:, v]) for v in range(len(self.cameras))])
        return np.where(sizes > 0, sizes, np.inf)

    def name(self, view: int) -> str:
        """What a sentence calls a view."""
        return f"camera {view} ({self.cameras[view].name!r})"

    def rows(self, which) -> "Sample":
        """Some of the instants."""
        fields = ("pixels", "weights", "take", "frame")
        return replace(self, **{field: getattr(self, field)[which] for field in fields})

    def without(self, view: int) -> "Sample":
        """The other views."""
        rest = [v for v in range(len(self.cameras)) if v != view]
        cameras = tuple(self.cameras[v] for v in rest)
        return replace(
            self, cameras=cameras, pixels=self.pixels[:, rest], weights=self.weights[:, rest]
        )


@dataclass(frozen=True, eq=False)
class Fit:
    """How well the rays of a sample cross.

    Attributes:
        world: (N, J, 3) crossings, NaN where fewer than two views see the joint.
        missed: (N, V, J) pixels between joint and projected crossing, as they would be if the
            crossing were known (a fit to n views hides a part of their noise); NaN if not seen.
        depth: (N, V, J) of the crossing before the camera, metres.
    """

    world: np.ndarray
    missed: np.ndarray
    depth: np.ndarray

    @property
    def levels(self) -> np.ndarray:
        """(V,) median of `missed` for each view, 0 where nothing can be said."""
        return np.array([median(part) for part in self.missed.swapaxes(0, 1)])

    @property
    def behind(self) -> float:
        """Share of the crossings that lie behind a camera that sees them."""
        judged = np.isfinite(self.missed)
        return float((self.depth[judged] <= 0).mean()) if judged.any() else 0.0


def fit(sample: Sample) -> Fit:
    """Triangulate a sample and project it back, lens distortion taken away on both sides."""
    cameras = sample.cameras
    with np.errstate(all="ignore"):  # wrong input leaves every range
        # What no ray leads to says nothing here; `Camera.rays` would refuse it.
        seen = [(sample.pixels[:, v] - c.principal) / c.focal for v, c in enumerate(cameras)]
        rays = np.stack([c.lens.undistort(x) for c, x in zip(cameras, seen)], axis=1)
        usable = sample.seen & np.isfinite(rays).all(-1) & (np.abs(rays) < 1e3).all(-1)
        weights = np.where(usable, sample.weights, 0.0)
        world = triangulate(rays.swapaxes(1, 2), *stack(cameras), weights.swapaxes(1, 2))
        local = np.stack([c.to_camera(world) for c in cameras], axis=1)
        focal = np.array([c.focal for c in cameras])[:, None]
        missed = np.linalg.norm((local[..., :2] / local[..., 2:] - rays) * focal, axis=-1)
    views = np.maximum(usable.sum(1, keepdims=True), 2)
    missed = missed / np.sqrt(1 - 1.5 / views)  # 2n measurements, 3 of them used up
    return Fit(world, np.where(usable, missed, np.nan), local[..., 2])


def median(values: np.ndarray) -> float:
    """Of those that are finite; 0 where there is none."""
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else 0.0


def _middles(length: int, count: int) -> np.ndarray:
    """The middles of `count` equal parts of a take."""
    count = min(length, count)
    return ((np.arange(count) + 0.5) * length / count).astype(int)
