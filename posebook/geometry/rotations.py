"""Rotations, by roma; by hand only what has gradients that its general decomposition has not.

roma is imported where it is called: it brings PyTorch's compiler along, which takes a second. Every
camera needs quaternions, so they are written out here, term by term as in roma.
"""

import torch
from torch import Tensor


def hat(omega: Tensor) -> Tensor:
    """[omega]_x (..., 3, 3) of vectors (..., 3): hat(a) b = a x b."""
    x, y, z = omega.unbind(-1)
    zero = torch.zeros_like(x)
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def rotation(omega: Tensor) -> Tensor:
    """Rodrigues' formula: R = expm [omega]_x (..., 3, 3), with finite gradients everywhere."""
    import roma

    return roma.rotvec_to_rotmat(omega)


def from_quaternion(q: Tensor) -> Tensor:
    """Unit quaternions (..., 4), w first, to rotation matrices (..., 3, 3)."""
    w, x, y, z = q.unbind(-1)
    ww, xx, yy, zz = w * w, x * x, y * y, z * z
    xy, zw, xz, yw, yz, xw = x * y, z * w, x * z, y * w, y * z, x * w
    rows = [
        xx - yy - zz + ww, 2 * (xy - zw), 2 * (xz + yw),
        2 * (xy + zw), -xx + yy - zz + ww, 2 * (yz - xw),
        2 * (xz - yw), 2 * (yz + xw), -xx - yy + zz + ww,
    ]  # fmt: skip
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def nearest_rotation(M: Tensor) -> Tensor:
    """The rotation (..., 3, 3) whose first two columns are the nearest to M (..., 3, 2).

    With M = U S V^T the nearest orthonormal columns are U V^T = M (M^T M)^(-1/2), written out for
    2 x 2: unlike that of the SVD, its gradient is finite where both singular values are equal.
    """
    A = M.mT @ M
    a, b, c = A[..., 0, 0], A[..., 0, 1], A[..., 1, 1]
    s = (a * c - b * b).clamp(min=1e-12).sqrt()  # root of the determinant
    t = (a + c + 2 * s).sqrt()  # trace of the root of A
    root = torch.stack([c + s, -b, -b, a + s], dim=-1).unflatten(-1, (2, 2))
    columns = M @ (root / (s * t)[..., None, None])
    third = torch.linalg.cross(columns[..., 0], columns[..., 1])
    return torch.cat([columns, third.unsqueeze(-1)], dim=-1)


def random_rotations(n: int, generator: torch.Generator) -> Tensor:
    """Rotations (n, 3, 3), all equally likely: normalised Gaussian quaternions."""
    q = torch.randn(n, 4, generator=generator)
    return from_quaternion(q / q.norm(dim=1, keepdim=True).clamp(min=1e-9))


def nearest_to(matrix: Tensor) -> Tensor:
    """The rotation (..., 3, 3) nearest to a matrix, never a reflection."""
    import roma

    return roma.special_procrustes(matrix)


def best_rotation(Y: Tensor, target: Tensor) -> Tensor:
    """Rotations (..., 3, 3) about the pelvis that bring Y @ R nearest to the target (Kabsch)."""
    return nearest_to(Y.mT @ target)


def angle(A: Tensor, B: Tensor) -> Tensor:
    """Angle (...) between rotations (..., 3, 3), degrees."""
    import roma

    return torch.rad2deg(roma.rotmat_geodesic_distance(A, B))
