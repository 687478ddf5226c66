"""Losses of chapter 3, one function an equation.

Every 2D point is a ray (focal lengths, undistorted), every 3D point is in metres. Sums run over
joints and over both views, as printed; the batch is averaged, on which the thesis is silent.
Confidences `w` are (B, N); a joint that was not found has confidence 0 and costs nothing.
"""

from torch import Tensor

from posebook.geometry.camera import project, transform

WEIGHTS = ("source", "target", "product", "none")


def plain_projection(Y: Tensor) -> Tensor:
    """Equation 3.1 in rays as it is printed, (..., 3) to (..., 2), pole and all."""
    return Y[..., :2] / Y[..., 2:]


PROJECTIONS = {"clamped": project, "plain": plain_projection}


def squared_error(a: Tensor, b: Tensor, w: Tensor | None = None) -> Tensor:
    """Batch mean of sum_i w_i ||a_i - b_i||^2 for a, b (B, N, D)."""
    return _batch_mean((a - b).square().sum(-1), w)


def distance(a: Tensor, b: Tensor, w: Tensor | None = None) -> Tensor:
    """Batch mean of sum_i w_i ||a_i - b_i||, which what is far off pulls less, for (B, N, D)."""
    return _batch_mean((a - b).norm(dim=-1), w)


def _batch_mean(error: Tensor, w: Tensor | None) -> Tensor:
    return (error if w is None else w * error).sum(-1).mean()


ERRORS = {"squared": squared_error, "distance": distance}


def reprojection(
    Y1: Tensor, Y2: Tensor, X1: Tensor, X2: Tensor, w1: Tensor, w2: Tensor, rho=project,
    error=squared_error,
) -> Tensor:
    """Equation 3.2: each global pose (B, N, 3), re-projected, against its own view's 2D pose.

    Args:
        rho: the projection, one of `PROJECTIONS`.
        error: one of `ERRORS`; the thesis' are squared.
    """  # fmt: skip
    return error(X1, rho(Y1), w1) + error(X2, rho(Y2), w2)


def transform_reprojection(
    Y1, Y2, X1, X2, w1, w2, R12, t12, R21, t21, weight: str = "source", rho=project,
    error=squared_error,
) -> Tensor:
    """Equation 3.5: each global pose, carried into the other view, against that view's 2D pose.

    Args:
        weight: whose confidence counts. "source" is the printed equation (the view that was
            lifted); "target" the view whose 2D pose is the label; "product" both; "none" neither.
        rho, error: as above.

    Raises:
        ValueError: for another weight.
    """  # fmt: skip
    a, b = pair_weights(w1, w2, weight)
    return error(X2, rho(transform(Y1, R12, t12)), a) + error(X1, rho(transform(Y2, R21, t21)), b)


def pair_weights(w1: Tensor, w2: Tensor, weight: str) -> tuple[Tensor, Tensor]:
    """Weights of the two terms of equation 3.5: for view 1 lifted into 2, and for 2 into 1."""
    if weight not in WEIGHTS:
        raise ValueError(f"unknown confidence weight {weight!r}; known: {', '.join(WEIGHTS)}")
    if weight == "source":
        # As printed, but for a label that was not found: its coordinates mean nothing.
        return w1 * (w2 > 0), w2 * (w1 > 0)
    if weight == "target":
        return w2, w1
    if weight == "product":
        return w1 * w2, w1 * w2
    # Without confidences a missing joint must still not count: its coordinates mean nothing.
    found = ((w1 > 0) & (w2 > 0)).to(w1.dtype)
    return found, found


def pretraining(Y1: Tensor, Y2: Tensor, R12, t12, R21, t21) -> Tensor:
    """Equation 3.6: the two global poses, carried into each other's view, should coincide."""
    return squared_error(transform(Y1, R12, t12), Y2) + squared_error(transform(Y2, R21, t21), Y1)


def total(reproj: Tensor, t_reproj: Tensor, lam: float = 1.0) -> Tensor:
    """Equation 3.7; the thesis takes lambda = 1 on Human3.6M and 1.5 on MPI-INF-3DHP."""
    return reproj + lam * t_reproj


def supervised(
    Y1: Tensor, Y2: Tensor, truth1: Tensor, truth2: Tensor, error=squared_error
) -> Tensor:
    """Error of root-relative poses (B, N, 3) against the truth: the bound, not the thesis."""
    return error(Y1, truth1) + error(Y2, truth2)
