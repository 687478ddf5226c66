"""Implicit labels: where a free body would go if equation 3.7 alone decided, without a network.

The losses of chapter 3 name no 3D label, but they have one. Over all pairs of views of an instant,
the loss of the body that is lifted from one view is a weighted sum of squared re-projection errors
in every view, and so it is least at a triangulation.
"""

import numpy as np
from torch import Tensor

from posebook.data.views import Views
from posebook.geometry.camera import stack, to_tensor
from posebook.geometry.multiview import triangulate
from posebook.lifting.losses import WEIGHTS


def view_weights(w: np.ndarray, own: int, weight: str = "source", lam: float = 1.0) -> np.ndarray:
    """What each view counts for the body that is lifted from view `own`, (..., V).

    Args:
        w: (..., V) confidences.
        weight: as in `posebook.lifting.losses.transform_reprojection`. The own view counts by
            equation 3.2, each other one by its mean over pairs, lam / (V - 1), of equation 3.5. A
            factor that all views of a joint share decides nothing, but is kept.

    Raises:
        ValueError: for an unknown weight.
    """
    if weight not in WEIGHTS:
        raise ValueError(f"unknown confidence weight {weight!r}; known: {', '.join(WEIGHTS)}")
    V = w.shape[-1]
    mine = np.arange(V) == own
    own_w = np.where(w > 0, w[..., own, None], 0.0)  # a view that lacks the joint has no say
    seen = (w > 0) & (own_w > 0)  # by both of a pair
    chosen = {"source": own_w, "target": w, "product": own_w * w, "none": 1.0 * seen}[weight]
    return np.where(mine, w, lam / (V - 1) * chosen)


def implicit_labels(views: Views, weight: str = "source", lam: float = 1.0) -> Tensor:
    """Camera-frame bodies (I, V, J, 3), metres, at which the loss of all pairs is least.

    A joint that fewer than two views see is NaN.
    """
    labels = np.empty((len(views), views.views, views.X.shape[2], 3))
    for g, cameras in enumerate(views.rigs):
        mine = (views.rig == g).cpu().numpy()
        X, w = (
            values[mine].transpose(1, 2).double().cpu().numpy() for values in (views.X, views.w)
        )
        for own in range(views.views):
            world = _reprojection_triangulated(X, cameras, view_weights(w, own, weight, lam))
            labels[mine, own] = cameras[own].to_camera(world)
    return to_tensor(labels, views.device)


def _reprojection_triangulated(X: np.ndarray, cameras, weights: np.ndarray) -> np.ndarray:
    """World points (..., 3) of least weighted squared error in the pictures, rays (..., V, 2).

    The linear equations count an error in a picture times the depth of the point, which is
    therefore divided out, with the depth of a first solution.
    """
    R, center = stack(cameras)
    world = triangulate(X, R, center, weights)
    depth = np.stack([camera.to_camera(world)[..., 2] for camera in cameras], axis=-1)
    known = np.isfinite(depth) & (depth > 0.1)
    return triangulate(X, R, center, weights / np.where(known, depth, 1.0) ** 2)
