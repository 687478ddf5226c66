"""Lenses: from ideal rays to those that the picture shows, and back by iteration.

The models of Human3.6M, of OpenCV and of OpenCV's fisheye, all of one form: with r2 = x^2 + y^2,

    seen = (x, y) (gain(r2) + c (p1 y + p2 x)) + r2 (p2, p1)

where c is 1 in Human3.6M and 2 in OpenCV. A real lens moves a point outwards the further it lies
off the axis. Its polynomial does so only up to some angle, and folds back beyond: `Lens.reach`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

FIXED_POINT_STEPS = 8  # enough for a mild lens such as Human3.6M's, in the whole picture
KEPT = 1e-10  # largest residual, in rays, of an answer of those steps: a ten-millionth of a pixel
NEWTON_STEPS = 100
SOLVED = 1e-13  # residual at which Newton's steps end: rounding


@dataclass(frozen=True, eq=False)
class Lens:
    """A lens with three, six or four radial and two tangential coefficients.

    Attributes:
        radial: (k1, k2, k3) of gain = (1 + k1 r2 + k2 r2^2 + k3 r2^3) /
            (1 + k4 r2 + k5 r2^2 + k6 r2^3).
        tangential: (p1, p2).
        divisor: (k4, k5, k6) of the same.
        c: factor of the tangential gain.
        fisheye: None, or (k1, k2, k3, k4) of the angle a = atan(r) in place of `radial`:
            gain = a (1 + k1 a^2 + k2 a^4 + k3 a^6 + k4 a^8) / r.
    """

    radial: np.ndarray = (0.0, 0.0, 0.0)
    tangential: np.ndarray = (0.0, 0.0)
    divisor: np.ndarray = (0.0, 0.0, 0.0)
    c: float = 1.0
    fisheye: np.ndarray | None = None

    @classmethod
    def from_opencv(cls, distortion: np.ndarray) -> "Lens":
        """From OpenCV's k1, k2, p1, p2[, k3[, k4, k5, k6]]; what it lists beyond must be zero."""
        if len(distortion) not in (4, 5, 8, 12, 14) or np.any(distortion[8:]):
            raise ValueError(
                "distortion must be OpenCV's 4, 5 or 8 coefficients k1, k2, p1, p2[, k3[, k4, k5, "
                f"k6]], got {len(distortion)}: {np.asarray(distortion).tolist()}"
            )
        k1, k2, p1, p2, k3, k4, k5, k6 = np.append(distortion, np.zeros(4))[:8]
        return cls((k1, k2, k3), (p1, p2), (k4, k5, k6), c=2.0)

    @property
    def is_ideal(self) -> bool:
        """Whether it changes nothing."""
        terms = self.radial, self.tangential, self.divisor
        return self.fisheye is None and not any(map(np.any, terms))

    def distort(self, rays: np.ndarray) -> np.ndarray:
        """Ideal rays (..., 2) to the rays that the picture shows."""
        x, y = rays[..., :1], rays[..., 1:]
        r2 = x * x + y * y
        p1, p2 = self.tangential
        gain = self._gain(r2) + (self.c * p1) * y + (self.c * p2) * x
        return rays * gain + r2 * np.asarray(self.tangential)[::-1]

    def undistort(self, seen: np.ndarray) -> np.ndarray:
        """Inverse of `distort`; NaN where `seen` is not finite or no ray within reach leads there.

        A fixed-point iteration, whose answer is kept where its residual is below `KEPT`; elsewhere
        Newton's method goes on until rounding ends it.
        """
        if self.is_ideal:
            return seen
        with np.errstate(all="ignore"):  # a strong lens drives the fixed point to infinity
            rays = seen
            for _ in range(FIXED_POINT_STEPS):
                rays = rays - (self.distort(rays) - seen)
            off = np.abs(self.distort(rays) - seen).max(-1)
            kept = (off < KEPT) & self.reaches(rays)
        if not kept.all():
            rays[~kept] = self._newton(seen[~kept])
        return rays

    def reaches(self, rays: np.ndarray) -> np.ndarray:
        """Whether rays (..., 2) lie where the lens does not fold back."""
        return rays[..., 0] ** 2 + rays[..., 1] ** 2 < self.reach**2

    @cached_property
    def reach(self) -> float:
        """Length of the rays up to which the determinant of the Jacobian is positive on all sides.

        Found on a grid of a tenth of a degree; infinite if it is so up to 89.9 degrees.
        """
        if self.is_ideal:
            return np.inf
        length = np.tan(np.deg2rad(np.arange(0.1, 89.95, 0.1)))
        side = np.linspace(0, 2 * np.pi, 16, endpoint=False) if np.any(self.tangential) else [0.0]
        rays = length[:, None, None] * np.stack([np.cos(side), np.sin(side)], axis=-1)
        r2 = length**2
        upright = (self._gain(r2) > 0) & (_cubic(self.divisor, r2) > 0)  # no zero and no pole
        folded = np.flatnonzero(~(upright & (_determinant(self._jacobian(rays)) > 0).all(1)))
        return np.inf if not len(folded) else length[max(0, folded[0] - 1)]

    def _gain(self, r2: np.ndarray) -> np.ndarray:
        if self.fisheye is not None:
            return _fisheye(self.fisheye, r2)[0]
        gain = _cubic(self.radial, r2)
        return gain / _cubic(self.divisor, r2) if np.any(self.divisor) else gain

    def _slope(self, r2: np.ndarray) -> np.ndarray:
        """Derivative of the gain by r2."""
        if self.fisheye is not None:
            return _fisheye(self.fisheye, r2)[1]
        below = _cubic(self.divisor, r2)
        return (_rise(self.radial, r2) - self._gain(r2) * _rise(self.divisor, r2)) / below

    def _jacobian(self, rays: np.ndarray) -> np.ndarray:
        """Derivatives (..., 2, 2) of what is seen (rows) by the ideal ray."""
        r2 = (rays**2).sum(-1, keepdims=True)
        p = np.asarray(self.tangential)[::-1]
        gain = self._gain(r2) + self.c * (rays * p).sum(-1, keepdims=True)
        turn = 2 * self._slope(r2) * rays + self.c * p
        outer = rays[..., :, None] * turn[..., None, :] + 2 * p[:, None] * rays[..., None, :]
        return gain[..., None] * np.eye(2) + outer

    def _newton(self, seen: np.ndarray) -> np.ndarray:
        """Newton's method from the axis outwards, for (n, 2); NaN where it does not arrive.

        A step that leads out of reach, or not nearer, is halved. So the answer lies on the side of
        the fold on which the axis is.
        """
        rays = np.full_like(seen, np.nan)
        todo = np.flatnonzero(np.isfinite(seen).all(-1))
        goal, at, share = seen[todo], np.zeros((len(todo), 2)), np.ones((len(todo), 1))
        with np.errstate(all="ignore"):
            for _ in range(NEWTON_STEPS):
                rest = goal - self.distort(at)
                off = np.linalg.norm(rest, axis=-1)
                done = off <= SOLVED * (1 + np.linalg.norm(goal, axis=-1))
                rays[todo[done]] = at[done]
                ended = done | (share[:, 0] < 1e-12)
                if ended.all():
                    break
                todo, goal, at, share = (part[~ended] for part in (todo, goal, at, share))
                new = at + share * _solve(self._jacobian(at), rest[~ended])
                better = np.linalg.norm(goal - self.distort(new), axis=-1) < off[~ended]
                better = (better & self.reaches(new))[:, None]
                at = np.where(better, new, at)
                share = np.where(better, np.minimum(1, 2 * share), share / 2)
        return rays


def _cubic(k: np.ndarray, r2: np.ndarray) -> np.ndarray:
    return 1 + r2 * (k[0] + r2 * (k[1] + r2 * k[2]))


def _rise(k: np.ndarray, r2: np.ndarray) -> np.ndarray:
    """Derivative of `_cubic` by r2."""
    return k[0] + r2 * (2 * k[1] + 3 * r2 * k[2])


def _fisheye(k: np.ndarray, r2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gain of a fisheye and its derivative by r2."""
    r2 = np.maximum(r2, 1e-20)  # both have limits on the axis, where their formulas divide by zero
    r = np.sqrt(r2)
    a = np.arctan(r)
    bent = np.polyval([k[3], k[2], k[1], k[0], 1], a * a) * a
    bend = np.polyval([9 * k[3], 7 * k[2], 5 * k[1], 3 * k[0], 1], a * a)
    return bent / r, (bend / (1 + r2) - bent / r) / (2 * r2)


def _determinant(M: np.ndarray) -> np.ndarray:
    return M[..., 0, 0] * M[..., 1, 1] - M[..., 0, 1] * M[..., 1, 0]


def _solve(M: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solutions (n, 2) of 2 x 2 systems; infinite where one is singular, unlike `linalg.solve`."""
    x = M[:, 1, 1] * right[:, 0] - M[:, 0, 1] * right[:, 1]
    y = M[:, 0, 0] * right[:, 1] - M[:, 1, 0] * right[:, 0]
    return np.stack([x, y], axis=-1) / _determinant(M)[:, None]
