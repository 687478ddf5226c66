"""Losses of chapter 4, one function an equation.

Poses are row vectors in units of the normalised 2D pose. Norms are those of whole matrices and not
squared, as printed; the batch is averaged, on which the thesis is silent. `found` (B, P) says
which joints the detector found: what was not found costs nothing.
"""

import torch
from torch import Tensor

from posebook.geometry.rotations import best_rotation


def frobenius(A: Tensor, B: Tensor, found: Tensor | None = None) -> Tensor:
    """||A - B|| (B,) of matrices (B, P, D); its gradient is zero, not NaN, where A = B."""
    difference = A - B
    if found is not None:
        difference = difference * found.unsqueeze(-1)
    return torch.linalg.vector_norm(difference, dim=(-2, -1))


def picture(Y_hat: Tensor, R: Tensor) -> Tensor:
    """Orthographic projection Y_hat M (..., P, 2), with M = R [I_2 0]^T."""
    return Y_hat @ R[..., :2]


def reprojection(
    Y1: Tensor, Y2: Tensor, R1: Tensor, R2: Tensor, X1: Tensor, X2: Tensor,
    found1: Tensor | None = None, found2: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Equation 4.3: each view's body, seen from its own viewpoint, against its own 2D pose."""
    first = frobenius(picture(Y1, R1), X1, found1)
    return (first + frobenius(picture(Y2, R2), X2, found2)).mean()


def consistency(Y1: Tensor, Y2: Tensor, scale_free: bool = False) -> Tensor:
    """Equation 4.4: the canonical bodies (B, P, 3) of two views should be one body.

    Args:
        scale_free: compare shapes only. Each view was scaled by its own picture, so that the same
            person seen from the side is larger than from the front, and eq. 4.4 as printed
            contradicts eq. 4.3. Both bodies are then brought to their common (geometric mean) size.
    """
    return frobenius(*(of_one_size(Y1, Y2) if scale_free else (Y1, Y2))).mean()


def of_one_size(Y1: Tensor, Y2: Tensor) -> tuple[Tensor, Tensor]:
    """Bodies (B, P, 3) of two views, each pair at the geometric mean of its two sizes."""
    size1, size2 = (
        torch.linalg.vector_norm(Y, dim=(-2, -1)).clamp(min=1e-6)[:, None, None] for Y in (Y1, Y2)
    )
    # The common size only sets the unit; as a way to a smaller loss it would shrink the bodies.
    common = (size1 * size2).sqrt().detach()
    return common * Y1 / size1, common * Y2 / size2


def sequence_consistency(Y1: Tensor, Y2: Tensor, instants: int) -> Tensor:
    """What two cameras that stand still see of a motion is one motion, turned once (ours).

    Args:
        Y1, Y2: bodies (S * instants, P, 3) in the axes of either camera, one sequence behind the
            other. Sizes are of no account, as in scale-free consistency.
    """
    Y1, Y2 = of_one_size(Y1, Y2)
    with torch.no_grad():  # the rotation that suits all instants of a sequence best
        long1, long2 = (Y.unflatten(0, (-1, instants)).flatten(1, 2) for Y in (Y1, Y2))
        turn = best_rotation(long1, long2).repeat_interleave(instants, 0)
    return frobenius(Y1 @ turn, Y2).mean()


def total(reproj: Tensor, cf: Tensor, lam: float = 1.0) -> Tensor:
    """Equation 4.8; the thesis does not print lambda."""
    return reproj + lam * cf


def structure_from_motion(Y: Tensor, R: Tensor, X: Tensor, found: Tensor | None = None) -> Tensor:
    """Equation 4.7: bodies against the 2D poses (B, P, 2) that they were decoded from.

    Each distance is divided by ||X||, as in Deep NRSfM.
    """
    shown = X if found is None else X * found.unsqueeze(-1)
    size = torch.linalg.vector_norm(shown, dim=(-2, -1))
    return (frobenius(picture(Y, R), X, found) / size).mean()


def canonicalization(Y_hat: Tensor, again: Tensor) -> Tensor:
    """C3DPO's: a second network, shown the body turned at random, should answer `again` = Y_hat."""
    return frobenius(Y_hat, again).mean()
