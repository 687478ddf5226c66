"""Rotations: from axis and angle, the nearest one to a matrix, the best one between two bodies."""

import torch
from torch import Tensor


def hat(omega: Tensor) -> Tensor:
    """[omega]_x (..., 3, 3) of vectors (..., 3): hat(a) b = a x b."""
    x, y, z = omega.unbind(-1)
    zero = torch.zeros_like(x)
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def rotation(omega: Tensor) -> Tensor:
    """Rodrigues' formula: R = expm [omega]_x (..., 3, 3), with finite gradients everywhere.

    R = I + (sin t / t) [omega]_x + ((1 - cos t) / t^2) [omega]_x^2 with t = |omega|. Near t = 0
    the two quotients are their Taylor series in t^2, which has no root to differentiate.
    """
    square = omega.square().sum(-1)
    small = square < 1e-3
    # The branch that is not taken must be finite as well: its gradient is multiplied by zero.
    t = torch.where(small, 1.0, square).sqrt()
    a = torch.where(small, 1 - square / 6 + square.square() / 120, t.sin() / t)
    b = torch.where(small, 0.5 - square / 24 + square.square() / 720, (1 - t.cos()) / (t * t))
    cross = hat(omega)
    identity = torch.eye(3, dtype=omega.dtype, device=omega.device)
    return identity + a[..., None, None] * cross + b[..., None, None] * (cross @ cross)


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
    w, *v = torch.randn(n, 4, generator=generator).unbind(1)
    axis = torch.stack(v, 1)
    length = axis.norm(dim=1, keepdim=True).clamp(min=1e-9)
    return rotation(2 * torch.atan2(length, w[:, None]) * axis / length)


def project_to_rotation(matrix: Tensor) -> Tensor:
    """The rotation (..., 3, 3) nearest to a matrix, never a reflection."""
    U, _, Vt = torch.linalg.svd(matrix)
    proper = torch.ones_like(matrix[..., 0])
    proper[..., 2] = torch.linalg.det(U @ Vt)
    return U @ (proper[..., None] * Vt)


def best_rotation(Y: Tensor, target: Tensor) -> Tensor:
    """Rotations (..., 3, 3) about the pelvis that bring Y @ R nearest to the target (Kabsch)."""
    return project_to_rotation(Y.mT @ target)


def angle(A: Tensor, B: Tensor) -> Tensor:
    """Angle (...) between rotations (..., 3, 3), degrees."""
    # |A - B| = 2 sqrt(2) sin(angle / 2), which is precise near zero as the trace is not.
    chord = torch.linalg.matrix_norm(A - B) / 8**0.5
    return torch.rad2deg(2 * torch.asin(chord.clamp(max=1)))
