"""Chapter 3's losses: closed forms, zero at the truth, gradients, behaviour near the pole."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch.autograd import gradcheck

from posebook.data.recorded.rig import human36m_rig
from posebook.geometry.camera import project, relative, stack, to_tensor, transform
from posebook.lifting import losses

B, N = 5, 17


def tensor(array) -> torch.Tensor:
    return torch.as_tensor(array, dtype=torch.float64)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def scene(rng):
    """Bodies before two random cameras that look at them: Y1, Y2, X1, X2, and the view changes."""
    world = rng.normal(size=(B, N, 3)) * 0.4
    R1, R2 = (Rotation.random(B, rng=rng).as_matrix() for _ in range(2))
    # A centre 5 m behind the origin along the camera's own axis, and a little beside it.
    t1, t2 = (-R.swapaxes(1, 2) @ (rng.uniform(-0.3, 0.3, 3) + [0, 0, 5]) for R in (R1, R2))
    Y1, Y2 = ((world - t[:, None]) @ R.swapaxes(1, 2) for R, t in ((R1, t1), (R2, t2)))
    cameras = *relative(R1, t1, R2, t2), *relative(R2, t2, R1, t1)
    Y1, Y2, *cameras = map(tensor, (Y1, Y2, *cameras))
    return Y1, Y2, project(Y1), project(Y2), cameras


@pytest.fixture
def weights(rng):
    return tensor(rng.uniform(0.1, 1, (2, B, N)))


# ---------------------------------------------------------------- at the truth


def test_all_losses_vanish_at_the_truth(scene, weights):
    Y1, Y2, X1, X2, cameras = scene
    w1, w2 = weights
    assert losses.reprojection(Y1, Y2, X1, X2, w1, w2) < 1e-24
    for weight in losses.WEIGHTS:
        assert losses.transform_reprojection(Y1, Y2, X1, X2, w1, w2, *cameras, weight) < 1e-24
    assert losses.pretraining(Y1, Y2, *cameras) < 1e-24
    assert losses.supervised(Y1, Y2, Y1, Y2) == 0


def test_the_truth_is_a_minimum_of_both(scene, weights, rng):
    Y1, Y2, X1, X2, cameras = scene
    Y1 = Y1 + tensor(rng.normal(size=Y1.shape)) * 0.01
    assert losses.reprojection(Y1, Y2, X1, X2, *weights) > 1e-6
    assert losses.transform_reprojection(Y1, Y2, X1, X2, *weights, *cameras) > 1e-6
    assert losses.pretraining(Y1, Y2, *cameras) > 1e-6


# ---------------------------------------------------------------- closed forms


def test_a_joint_beside_its_ray_costs_the_square_of_its_angle():
    Y = torch.zeros(1, 2, 3, dtype=torch.float64)
    Y[..., 2] = 4.0
    X, w = torch.zeros(1, 2, 2, dtype=torch.float64), tensor([[0.5, 1.0]])
    off = Y.clone()
    off[0, 0, :2] = tensor([0.3, 0.4])  # half a metre beside, at 4 m
    one = 0.5 * (0.5 / 4) ** 2
    assert losses.reprojection(off, Y, X, X, w, w) == pytest.approx(one)
    assert losses.reprojection(Y, off, X, X, w, w) == pytest.approx(one)
    assert losses.reprojection(off, off, X, X, w, w) == pytest.approx(2 * one)


def test_joints_are_summed_and_the_batch_is_averaged(scene, weights):
    *batch, cameras = scene
    batch = [part + 0.01 * k for k, part in enumerate((*batch, *weights))]
    loss = losses.reprojection(*batch)
    twice, double = ([torch.cat([p, p], dim=d) for p in batch] for d in (0, 1))
    torch.testing.assert_close(losses.reprojection(*twice), loss)
    torch.testing.assert_close(losses.reprojection(*double), 2 * loss)
    loss = losses.pretraining(*batch[:2], *cameras)
    double = [torch.cat([p, p], dim=1) for p in batch[:2]]
    torch.testing.assert_close(losses.pretraining(*double, *cameras), 2 * loss)


def literal_t_reproj(Y1, Y2, X1, X2, a, b, R12, t12, R21, t21):
    """Equation 3.5 for one sample with weights a, b of its two residuals."""
    total = 0.0
    for i in range(len(Y1)):
        there, back = R12 @ (Y1[i] - t12), R21 @ (Y2[i] - t21)
        total += a[i] * ((X2[i] - there[:2] / there[2]) ** 2).sum()
        total += b[i] * ((X1[i] - back[:2] / back[2]) ** 2).sum()
    return total


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        ("source", lambda w1, w2: (w1, w2)),
        ("target", lambda w1, w2: (w2, w1)),
        ("product", lambda w1, w2: (w1 * w2, w1 * w2)),
        ("none", lambda w1, w2: (torch.ones_like(w1), torch.ones_like(w2))),
    ],
)
def test_transform_reprojection_is_equation_3_5(weight, expected, scene, weights, rng):
    Y1, Y2, X1, X2, cameras = scene
    Y1, Y2 = (Y + tensor(rng.normal(size=Y.shape)) * 0.05 for Y in (Y1, Y2))
    samples = zip(Y1, Y2, X1, X2, *expected(*weights), *cameras, strict=True)
    literal = torch.stack([literal_t_reproj(*sample) for sample in samples]).mean()
    found = losses.transform_reprojection(Y1, Y2, X1, X2, *weights, *cameras, weight)
    torch.testing.assert_close(found, literal)


def test_an_unknown_weight_is_answered_with_the_known_ones(weights):
    with pytest.raises(ValueError, match="'both'; known: source, target, product, none"):
        losses.pair_weights(*weights, "both")


def test_a_joint_that_its_own_view_missed_costs_nothing(scene, weights):
    Y1, Y2, X1, X2, _ = scene
    w1, w2 = weights.clone()
    w1[:, 3], X1[:, 3] = 0, 7.0
    assert losses.reprojection(Y1, Y2, X1, X2, w1, w2) < 1e-24


@pytest.mark.parametrize("weight", losses.WEIGHTS)
def test_a_missed_joint_is_nobodys_label(weight, scene, weights):
    Y1, Y2, X1, X2, cameras = scene
    w1, w2 = weights.clone()
    w2[:, 3], X2[:, 3] = 0, 7.0
    assert losses.transform_reprojection(Y1, Y2, X1, X2, w1, w2, *cameras, weight) < 1e-24


def test_total_is_the_weighted_sum():
    assert losses.total(tensor(2.0), tensor(3.0)) == 5
    assert losses.total(tensor(2.0), tensor(3.0), lam=1.5) == 6.5


def test_supervised_is_a_squared_distance_in_metres():
    Y = torch.zeros(2, N, 3)
    off = Y.clone()
    off[0, 4] = torch.tensor([0.3, 0.4, 0.0])
    assert losses.supervised(off, Y, Y, Y) == pytest.approx(0.25 / 2)


# ---------------------------------------------------------------- depth


def slide(Y, metres):
    """Bodies pushed along their rays."""
    z = Y[:, :1, 2:]
    return Y * (z + metres) / z


def test_reprojection_does_not_know_depth_and_transform_reprojection_does(scene, weights):
    Y1, Y2, X1, X2, cameras = scene
    found = []
    for metres in (-0.5, -0.1, 0.0, 0.1, 0.5):
        Y = slide(Y1, metres)
        assert losses.reprojection(Y, Y2, X1, X2, *weights) < 1e-24
        loss = losses.transform_reprojection(Y, Y2, X1, X2, *weights, *cameras)
        found.append(float(loss))
    assert found[2] < 1e-24
    assert found[0] > 10 * found[1] > 1e-4 and found[4] > 10 * found[3] > 1e-4


# ---------------------------------------------------------------- pre-training


def test_pretraining_cannot_see_how_large_a_body_is(scene):
    Y1, Y2, *_, cameras = scene
    for size in (0.5, 0.0, 2.0):
        a, b = (Y[:, :1] + size * (Y - Y[:, :1]) for Y in (Y1, Y2))
        assert losses.pretraining(a, b, *cameras) < 1e-24


def test_the_best_constant_answer_is_a_point_in_front_of_the_cameras():
    """The collapsed optimum of equation 3.6 over answers that ignore their input."""
    R, center = stack(human36m_rig("S1"))
    a, b = np.array([(i, j) for i in range(4) for j in range(4) if i != j]).T
    there = relative(R[a], center[a], R[b], center[b])
    back = relative(R[b], center[b], R[a], center[a])
    A = (there[0] - np.eye(3)).reshape(-1, 3)
    point, *_ = np.linalg.lstsq(A, (there[0] @ there[1][..., None]).reshape(-1))
    np.testing.assert_allclose(point, [0.10, 0.70, 5.36], atol=0.01)

    def loss_and_gradient(G):
        G = G.clone().requires_grad_(True)
        pose = G.expand(12, N, 3)
        loss = losses.pretraining(pose, pose, *map(tensor, (*there, *back)))
        loss.backward()
        return loss.item(), G.grad.norm().item()

    collapsed = tensor(np.tile(point, (N, 1)))
    least, gradient = loss_and_gradient(collapsed)
    assert gradient < 1e-9
    assert np.sqrt(least / N / 2) == pytest.approx(0.84, abs=0.01)
    for seed in range(3):
        body = 0.1 * np.random.default_rng(seed).normal(size=(N, 3))
        assert loss_and_gradient(collapsed + tensor(body))[0] > least


# ---------------------------------------------------------------- gradients


def test_gradients_of_all_losses(scene, weights, rng):
    Y1, Y2, X1, X2, cameras = scene
    Y1, Y2 = (Y[:2, :3] + tensor(rng.normal(size=(2, 3, 3))) * 0.05 for Y in (Y1, Y2))
    X1, X2, w1, w2 = (a[:2, :3] for a in (X1, X2, *weights))
    cameras = [part[:2] for part in cameras]
    Y1.requires_grad_(True), Y2.requires_grad_(True)
    assert gradcheck(lambda *Y: losses.reprojection(*Y, X1, X2, w1, w2), (Y1, Y2))
    assert gradcheck(
        lambda *Y: losses.transform_reprojection(*Y, X1, X2, w1, w2, *cameras), (Y1, Y2)
    )
    assert gradcheck(lambda *Y: losses.pretraining(*Y, *cameras), (Y1, Y2))


@pytest.mark.parametrize("z", [0.9, 0.3, 0.0, -1.0, -5.0])
def test_a_root_behind_the_camera_is_pushed_forward(z):
    """By the re-projection loss, whatever its depth, for a body that truly stands at 5 m."""
    body = to_tensor(np.random.default_rng(1).normal(size=(B, N, 3)) * 0.4)
    truth = torch.tensor([0.3, -0.2, 5.0])
    X, w = project(body + truth), torch.ones(B, N)
    r = torch.tensor([0.0, 0.0, z], requires_grad=True)
    losses.reprojection(body + r, body + truth, X, X, w, w).backward()
    assert r.grad[2] < -0.1, "a step against the gradient must increase z"


def test_a_root_behind_the_camera_arrives_in_front():
    body = to_tensor(np.random.default_rng(1).normal(size=(1, N, 3)) * 0.4)
    truth = torch.tensor([0.3, -0.2, 5.0])
    X, w = project(body + truth), torch.ones(1, N)
    r = torch.tensor([0.0, 0.0, -1.0], requires_grad=True)
    for _ in range(100):  # steps of 10 cm downhill
        loss = losses.reprojection(body + r, body + truth, X, X, w, w)
        (gradient,) = torch.autograd.grad(loss, r)
        r = (r - 0.1 * gradient / gradient.norm()).detach().requires_grad_(True)
    torch.testing.assert_close(r.detach(), truth, atol=0.2, rtol=0)


def test_view_changes_of_the_rig_are_inverse_in_single_precision():
    """What training uses: float32 tables of a rig some ten metres wide."""
    a, b = human36m_rig("S1")[:2]
    there = map(to_tensor, relative(a.R, a.center, b.R, b.center))
    back = map(to_tensor, relative(b.R, b.center, a.R, a.center))
    Y = torch.randn(B, N, 3, generator=torch.Generator().manual_seed(0)) + torch.tensor([0, 0, 5.0])
    torch.testing.assert_close(transform(transform(Y, *there), *back), Y, atol=1e-5, rtol=0)
