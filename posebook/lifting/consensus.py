"""A teacher without labels: bodies on which all views of an instant agree, robustly.

Three steps, each from the detections alone. How much a detection of a given confidence errs is read
off its distance to the body that all views give (`learn_noise`). Detections are weighed by it, and
those far off count less the further they are (Cauchy's weights). A limb whose left and right fit
far better exchanged is exchanged in that view, and the body is triangulated again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from posebook.data.views import Views
from posebook.data.virtual import without_gaps
from posebook.geometry.camera import stack, to_tensor
from posebook.geometry.multiview import triangulate
from posebook.geometry.skeleton import H36M

BINS, ROUNDS, MOST = 20, 3, 20_000
# Where Cauchy's weight is one half, in standard deviations: the usual one of robust regression.
HALF = 2.4
# By how much the mean robust cost of a limb's joints must fall for left and right to be exchanged.
FAR_BETTER = 1.0
LIMBS = (
    H36M.index("LElbow", "LWrist", "RElbow", "RWrist"),
    H36M.index("LHip", "LKnee", "LFoot", "RHip", "RKnee", "RFoot"),
)


@dataclass(frozen=True)
class Teacher:
    """What the teacher does; each field can be left out.

    Attributes:
        weighted: detections count by what their confidence says of their variance, and far ones
            less; otherwise all count alike.
        exchanges: exchanged limbs are looked for and put back.
    """

    weighted: bool = True
    exchanges: bool = True


@dataclass(frozen=True, eq=False)
class Noise:
    """Variance of a detection, in squared rays and one axis, by confidence: a table with lines."""

    confidence: np.ndarray
    variance: np.ndarray

    def __call__(self, w: np.ndarray) -> np.ndarray:
        return np.interp(w, self.confidence, self.variance)


@dataclass(frozen=True, eq=False)
class Detections:
    """What the V views of one rig found of n instants: rays (n, J, V, 2), confidences (n, J, V)."""

    X: np.ndarray
    w: np.ndarray
    R: np.ndarray
    center: np.ndarray

    def offsets(self, world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Camera-frame points (n, J, V, 3) of bodies, and how far X is from them, (n, J, V, 2)."""
        points = np.einsum("vab,njvb->njva", self.R, world[..., None, :] - self.center)
        return points, self.X - points[..., :2] / points[..., 2:]

    def thinned(self, most: int) -> "Detections":
        """Evenly chosen instants, at most so many."""
        step = -(-len(self.X) // most)
        return replace(self, X=self.X[::step], w=self.w[::step])


def consensus_labels(views: Views, teacher: Teacher) -> Views:
    """`views` with the teacher's bodies in place of the true joints.

    Gaps are filled as in `posebook.data.virtual.triangulate_labels`.
    """
    cameras = views.rigs
    rig_of = views.rig.cpu().numpy()
    rigs = [_detections(views, rig_of == g, rig) for g, rig in enumerate(cameras)]
    noise = learn_noise(rigs) if teacher.weighted else None
    labels = np.empty((len(views), views.views, len(H36M), 3))
    for g, rig in enumerate(rigs):
        world = agreed(rig, noise)
        if teacher.exchanges:
            exchanged = put_back(rig, world, noise or learn_noise(rigs, bins=1))
            world = agreed(exchanged, noise)
        world = without_gaps(world)
        labels[rig_of == g] = np.stack([c.to_camera(world) for c in cameras[g]], axis=1)
    done = {**views.done, "labels": teacher}
    return replace(views, Y=to_tensor(labels, views.device), done=done)


def _detections(views: Views, mine: np.ndarray, cameras) -> Detections:
    X, w = (v[mine].transpose(1, 2).double().cpu().numpy() for v in (views.X, views.w))
    return Detections(X, w, *stack(cameras))


def learn_noise(rigs: Sequence[Detections], bins: int = BINS, rounds: int = ROUNDS) -> Noise:
    """Variance by confidence, from the medians of distances in bins of equally many detections.

    The first bodies are weighed by confidence, those of later rounds by what the round before has
    found. A view that has pulled a body towards itself is near it for that reason: its distance is
    measured by what its leverage leaves (`_unpulled`).

    Raises:
        ValueError: where no joint was seen by three views.
    """
    rigs = [rig.thinned(max(1, MOST // len(rigs) // len(H36M))) for rig in rigs]
    noise = Noise(np.array([0.1, 1.0]), np.array([1e-4, 1e-5]))  # 1 / confidence, (3 px)^2 at 1
    for _ in range(rounds):
        found = [_confidences_and_distances(rig, noise) for rig in rigs]
        w, squared = (np.concatenate(parts) for parts in zip(*found, strict=True))
        if not len(w):
            raise ValueError(
                "the teacher learns how a detector errs from joints that at least three views "
                "saw, and there are none; give takes of three cameras or more, or train with "
                'loss="triangulated"'
            )
        parts = np.array_split(np.argsort(w, kind="stable"), bins)
        # |r|^2 of two Gaussian axes has the median 2 ln 2 sigma^2.
        table = [(np.median(w[p]), np.median(squared[p]) / np.log(4)) for p in parts if len(p)]
        noise = Noise(*np.array(table).T)
    return noise


def _confidences_and_distances(rig: Detections, noise: Noise) -> tuple[np.ndarray, np.ndarray]:
    """(N,) of all detections whose joint at least three views found: two meet too easily."""
    # Medians stand the far ones, and with Cauchy's weights near ones would look nearer still.
    points, offset = rig.offsets(agreed(rig, noise, half=np.inf))
    known = (rig.w > 0) & ((rig.w > 0).sum(-1) > 2)[..., None] & np.isfinite(offset).all(-1)
    squared = _unpulled(rig, points, offset, np.where(known, 1 / noise(rig.w), 0.0))
    return rig.w[known], squared[known]


def _unpulled(rig: Detections, points, offset, weights) -> np.ndarray:
    """Squared distances (n, J, V) as if a detection had not pulled the body towards itself.

    The body has moved towards each detection, so that what is left of a view has the covariance
    (I - H) sigma^2, with H = J (sum w J^T J)^-1 w J^T and J the derivative of a projection.
    """
    seen, depth = points[..., :2] / points[..., 2:], points[..., 2, None, None]
    J = (rig.R[:, :2] - seen[..., None] * rig.R[:, None, 2]) / depth
    J = np.where(weights[..., None, None] > 0, J, 0.0)
    normal = np.einsum("njv,njvab,njvac->njbc", weights, J, J, optimize=True)
    normal[(weights > 0).sum(-1) < 3] = np.eye(3)
    pulled = weights[..., None, None] * (J @ np.linalg.inv(normal)[:, :, None] @ J.mT)
    left = (1 + 1e-3) * np.eye(2) - pulled
    return (offset * np.linalg.solve(left, offset[..., None])[..., 0]).sum(-1)


def agreed(
    rig: Detections, noise: Noise | None, steps: int = 3, half: float = HALF
) -> np.ndarray:
    """World bodies (n, J, 3) of least robust error in the pictures; NaN where two views lack.

    Args:
        noise: None to count all that was found alike, and far ones as much as near ones.
        half: where a detection counts half, in standard deviations; infinite for nowhere.
    """
    found = rig.w > 0
    precision = found / noise(rig.w) if noise else found.astype(float)
    world = triangulate(rig.X, rig.R, rig.center, precision)
    for _ in range(steps):
        points, offset = rig.offsets(world)
        depth = points[..., 2]
        # The linear equations count an error in a picture times the depth of its point.
        weights = precision / np.where(depth > 0.1, depth, 1.0) ** 2
        if noise:
            squared = (offset**2).sum(-1) * precision
            weights /= 1 + np.where(np.isfinite(squared), squared, 0.0) / half**2
        world = triangulate(rig.X, rig.R, rig.center, weights)
    return world


def put_back(rig: Detections, world: np.ndarray, noise: Noise) -> Detections:
    """The detections with left and right exchanged where a limb fits `world` far better so.

    "Far better": Cauchy's cost log(1 + r^2 / (2.4 sigma)^2), the mean over the joints of both
    arms or both legs, falls by more than `FAR_BETTER` in that view.
    """
    X, w = rig.X.copy(), rig.w.copy()
    points, _ = rig.offsets(world)
    seen = points[..., :2] / points[..., 2:]
    for limb in LIMBS:
        other = H36M.flip[limb]
        cost = [
            np.log1p(((rig.X[:, j] - seen[:, limb]) ** 2).sum(-1) / noise(rig.w[:, j]) / HALF**2)
            for j in (limb, other)
        ]
        gain = np.where((rig.w[:, limb] > 0) & (rig.w[:, other] > 0), cost[0] - cost[1], 0.0)
        better = np.nanmean(gain, axis=1) > FAR_BETTER  # (n, V)
        X[:, limb] = np.where(better[:, None, :, None], rig.X[:, other], rig.X[:, limb])
        w[:, limb] = np.where(better[:, None], rig.w[:, other], rig.w[:, limb])
    return replace(rig, X=X, w=w)
