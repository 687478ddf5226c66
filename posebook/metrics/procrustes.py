"""The best similarity of many poses at once, without a general decomposition.

A rotation is a 3 x 3 problem, and its answer can be written down (Markley 1993, "Attitude
determination using vector observations: a fast optimal matrix algorithm"). Coordinates come first
and poses last here, (3, J, n): every operation then runs along the poses.
"""

import torch
from torch import Tensor

from posebook.geometry.rotations import from_quaternion

# Of the product of (s_i + s_j) over singular values of a matrix of norm 1; where it is smaller two
# rotations are nearly as good as each other, and Newton's steps get lost between them.
DISTINCT = 0.01
STEPS = 12  # of Newton; at `DISTINCT` they reach the last digits


def align(predicted: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Predicted poses (n, J, 3), moved onto their targets by the best similarity of each.

    Returns the moved poses and the targets, both (3, J, n) about the targets' centroids, and these,
    (3, 1, n); all in double precision. A pose whose joints all coincide goes to the centroid.
    """
    p, _ = _centred(predicted)
    g, center = _centred(target)
    R, reached = best_rotations(_correlation(g, p))
    square = p.square().sum((0, 1))
    scale = torch.where(square > 0, reached / square, 0)
    A = (R * scale).unsqueeze(2)
    return (A[:, 0] * p[0]).addcmul_(A[:, 1], p[1]).addcmul_(A[:, 2], p[2]), g, center


def best_rotations(B: Tensor) -> tuple[Tensor, Tensor]:
    """Proper rotations R (3, 3, n) with the largest sum of R * B, and these sums (n,).

    Args:
        B: (3, 3, n). Where it is nearly flat in a way that leaves the rotation open, such as in a
            collapsed pose, one of the best rotations is taken from eigenvectors.
    """
    norm = B.square().sum((0, 1)).sqrt()
    R, reached, distinct = _written_down(B / norm)
    reached *= norm
    open_ = (~(distinct > DISTINCT)).nonzero()[:, 0]
    if len(open_):
        R[..., open_], reached[open_] = _by_eigenvectors(B[..., open_])
    return R, reached


def _centred(poses: Tensor) -> tuple[Tensor, Tensor]:
    """Poses (n, J, 3) as (3, J, n) in double precision about their centroids (3, 1, n)."""
    flipped = poses.new_empty(poses.shape[::-1], dtype=torch.float64).copy_(poses.permute(2, 1, 0))
    center = flipped.mean(1, keepdim=True)
    return flipped.sub_(center), center


def _correlation(g: Tensor, p: Tensor) -> Tensor:
    """Sums over the joints of g_i p_j, (3, 3, n), of poses (3, J, n)."""
    return torch.stack([(row * p).sum(1) for row in g])


def _written_down(B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Best rotations of B (3, 3, n) of norm 1, the sums they reach, and how distinct they are.

    The sum, s_1 + s_2 +- s_3, is the largest root of (x^2 - 1)^2 - 8 det(B) x - 4 |cof(B)|^2; it is
    at most the root of 3, from where Newton's steps come down to it.
    """
    cofactors = torch.linalg.cross(B.roll(-1, 0), B.roll(-2, 0), dim=1)
    det = (B[0] * cofactors[0]).sum(0)
    linear, constant = -8 * det, -4 * cofactors.square().sum((0, 1))
    x, minus_one = torch.full_like(det, 3**0.5), torch.full_like(det, -1)
    for _ in range(STEPS):
        k = torch.addcmul(minus_one, x, x)
        value = torch.addcmul(constant, k, k).addcmul_(linear, x)
        x = x.addcdiv(value, torch.addcmul(linear, k, x, value=4), value=-1)
    half = torch.addcmul(minus_one, x, x) / 2
    distinct = half * x - det
    square = (B[:, None] * B).sum(2)
    cubed = (square.unsqueeze(2) * B).sum(1)
    return ((half + 1) * B + x * cofactors - cubed) / distinct, x, distinct


def _by_eigenvectors(B: Tensor) -> tuple[Tensor, Tensor]:
    """The same by Horn's quaternions (Horn 1987), for any B (3, 3, n).

    The largest eigenvalue of a symmetric 4 x 4 matrix is the sum that the best proper rotation
    reaches, and its eigenvector that rotation, whether or not there is another one.
    """
    xx, yx, zx, xy, yy, zy, xz, yz, zz = B.flatten(0, 1).unbind()
    rows = (
        xx + yy + zz, yz - zy, zx - xz, xy - yx,
        yz - zy, xx - yy - zz, xy + yx, zx + xz,
        zx - xz, xy + yx, yy - xx - zz, yz + zy,
        xy - yx, zx + xz, yz + zy, zz - xx - yy,
    )  # fmt: skip
    reached, quaternions = torch.linalg.eigh(torch.stack(rows, dim=-1).unflatten(-1, (4, 4)))
    return from_quaternion(quaternions[..., -1]).permute(1, 2, 0), reached[..., -1]
