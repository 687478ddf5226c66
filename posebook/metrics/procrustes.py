"""The best similarity of many poses at once, without a general decomposition.

A rotation is a 3 x 3 problem, and its answer can be written down (Markley 1993, "Attitude
determination using vector observations: a fast optimal matrix algorithm"). Coordinates come first
and poses last here, (3, J, n): every operation then runs along the poses.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from posebook.geometry.rotations import from_quaternion

# Of the product of (s_i + s_j) over singular values of a matrix of norm 1; where it is smaller two
# rotations are nearly as good as each other, and Newton's steps get lost between them.
DISTINCT = 0.01
STEPS = 10  # of Newton; at `DISTINCT` they reach the last digits


class Fit(NamedTuple):
    """Poses and targets about their centroids, with coordinates first, and what joins them.

    Attributes:
        A: (3, 3, n) rotation times scale, which moves a pose onto its target best.
        p: (3, J, n) predicted poses; g: (3, J, n) targets.
        center: (3, 1, n) the targets' centroids.
    """

    A: Tensor
    p: Tensor
    g: Tensor
    center: Tensor


def fit(predicted: Tensor, target: Tensor) -> Fit:
    """The best similarity of each predicted pose (n, J, 3) to its target.

    Joints keep their precision; what is found from their sums is found in double. A pose whose
    joints all coincide has A = 0, which moves it to the centroid.
    """
    p, _ = _centred(predicted)
    g, center = _centred(target)
    R, reached = best_rotations(_correlation(g, p).double())
    square = p.square().sum((0, 1)).double()
    A = R * torch.where(square > 0, reached / square, 0)
    return Fit(A.to(p.dtype), p, g, center)


def missed(found: Fit) -> Tensor:
    """What the moved poses miss their targets by, g - A p, (3, J, n); `found.g` becomes it."""
    A = found.A.unsqueeze(2)
    for k in range(3):
        found.g.addcmul_(A[:, k], found.p[k], value=-1)
    return found.g


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
    """Poses (n, J, 3) as (3, J, n) about their centroids (3, 1, n)."""
    if poses.element_size() < 4:
        poses = poses.float()  # halves are too coarse for sums
    turned = poses.flatten(1).t().contiguous()
    turned = turned.unflatten(0, poses.shape[1:]).transpose(0, 1)
    center = turned.mean(1, keepdim=True)
    return turned - center, center


def _correlation(g: Tensor, p: Tensor) -> Tensor:
    """Sums over the joints of g_i p_j, (3, 3, n), of poses (3, J, n)."""
    products = torch.empty_like(p)
    return torch.stack([torch.mul(row, p, out=products).sum(1) for row in g])


def _written_down(B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Best rotations of B (3, 3, n) of norm 1, the sums they reach, and how distinct they are.

    The sum x = s_1 + s_2 +- s_3 is the largest root of (x^2 - 1)^2 - 8 det(B) x - 4 |cof(B)|^2.
    It is at most the root of 3; that, put into the middle term, gives the bound from where Newton's
    steps come down to it.
    """
    cofactors = _cofactors(B)
    det = (B[0] * cofactors[0]).sum(0)
    square = cofactors.square().sum((0, 1))
    linear, constant, minus_one = -8 * det, -4 * square, torch.full_like(det, -1)
    x = (1 + 2 * (square + 2 * 3**0.5 * det.clamp(min=0)).sqrt()).sqrt()
    for _ in range(STEPS):
        k = torch.addcmul(minus_one, x, x)
        value = torch.addcmul(constant, k, k).addcmul_(linear, x)
        x.addcdiv_(value, torch.addcmul(linear, k, x, value=4), value=-1)
    half = torch.addcmul(minus_one, x, x) / 2
    distinct = half * x - det
    cubed = ((B[:, None] * B).sum(2).unsqueeze(2) * B).sum(1)
    return ((half + 1) * B).addcmul_(x, cofactors).sub_(cubed).div_(distinct), x, distinct


def _cofactors(B: Tensor) -> Tensor:
    """Cofactors of matrices (3, 3, n): each row the cross product of the two that follow it."""
    B = B.repeat(2, 2, 1)
    return (B[1:4, 1:4] * B[2:5, 2:5]).addcmul_(B[1:4, 2:5], B[2:5, 1:4], value=-1)


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
