"""Triangles into a depth buffer."""

import numpy as np

NEAR = 0.3  # metres; what is nearer is not drawn
_ID_BITS = 20
_DEPTH_UNITS = 2**38


def draw(buffer: np.ndarray, pixels: np.ndarray, depth: np.ndarray, faces: np.ndarray, first: int):
    """Add triangles to a depth buffer; the nearest one wins, pixel by pixel.

    Args:
        buffer: (S, H, W) int64, zero where nothing is; holds inverse depth and number of the face.
        pixels: (S, V, 2).
        depth: (S, V) metres.
        faces: (F, 3), seen only from the side from which their corners run counter-clockwise.
        first: the number of the first of them.
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

    Args:
        corners: (n, 3, 2) pixels.
        depth: (n, 3). Right in perspective: the weights are those in space.
    """
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, ac, dx, dy = b - a, c - a, x - a[:, 0], y - a[:, 1]
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    second = (dx * ac[:, 1] - dy * ac[:, 0]) / area
    third = (dy * ab[:, 0] - dx * ab[:, 1]) / area
    # One row a corner: NumPy is slow along an axis of three.
    flat = np.stack([1 - second - third, second, third]) / depth.T
    return (flat / (flat[0] + flat[1] + flat[2])).T
