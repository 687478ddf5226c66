"""Chapter 4's losses: loops of the printed equations, zero at the truth, gradients."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch.autograd import gradcheck

from posebook.factorization import losses

B, P = 4, 17


@pytest.fixture
def scene():
    """One body for each of B instants, seen orthographically from two sides."""
    rng = np.random.default_rng(0)
    Y = torch.as_tensor(rng.normal(size=(B, P, 3)))
    R1, R2 = torch.as_tensor(Rotation.random(2 * B, rng=rng).as_matrix()).view(2, B, 3, 3)
    return Y, R1, R2, losses.picture(Y, R1), losses.picture(Y, R2)


def test_the_picture_is_the_product_with_m(scene):
    Y, R1, _, X1, _ = scene
    M = R1 @ torch.tensor([[1.0, 0], [0, 1], [0, 0]], dtype=torch.float64)  # R [I_2 0]^T
    torch.testing.assert_close(X1, Y @ M)
    torch.testing.assert_close(X1, (Y @ R1)[..., :2])


def test_all_losses_vanish_at_the_truth(scene):
    Y, R1, R2, X1, X2 = scene
    assert losses.reprojection(Y, Y, R1, R2, X1, X2) == 0
    assert losses.consistency(Y, Y) == losses.consistency(Y, Y, scale_free=True) == 0
    assert losses.structure_from_motion(Y, R1, X1) == 0


def test_reprojection_is_a_sum_over_views_of_matrix_norms(scene):
    Y, R1, R2, X1, X2 = scene
    Y1, Y2 = Y + 0.1, 1.2 * Y
    expected = 0.0
    for i in range(B):
        for y, R, x in ((Y1, R1, X1), (Y2, R2, X2)):
            error = (y[i] @ R[i])[:, :2] - x[i]
            expected += sum(float(e) ** 2 for e in error.flatten()) ** 0.5 / B
    assert float(losses.reprojection(Y1, Y2, R1, R2, X1, X2)) == pytest.approx(expected)


def test_a_joint_that_was_not_found_costs_nothing(scene):
    Y, R1, R2, X1, X2 = scene
    found = torch.ones(B, P, dtype=torch.bool)
    found[:, 5] = False
    spoiled = X1.clone()
    spoiled[:, 5] = 100.0
    assert losses.reprojection(Y, Y, R1, R2, spoiled, X2, found, torch.ones_like(found)) == 0
    assert losses.structure_from_motion(Y, R1, spoiled, found) == 0
    of_whole, of_spoiled = (
        losses.structure_from_motion(Y + 0.1, R1, X, found) for X in (X1, spoiled)
    )
    assert of_whole == of_spoiled > 0, "nor does it make the picture larger"
    assert losses.reprojection(Y, Y, R1, R2, spoiled, X2) > 1


def test_scale_free_consistency_ignores_size_and_nothing_else(scene):
    Y, *_ = scene
    assert float(losses.consistency(Y, 1.3 * Y, scale_free=True)) == pytest.approx(0, abs=1e-12)
    assert losses.consistency(Y, 1.3 * Y) > 1
    other = Y.flip(1)
    # For bodies of one size the two are the same loss.
    other = other * (Y.norm(dim=(1, 2)) / other.norm(dim=(1, 2)))[:, None, None]
    torch.testing.assert_close(
        losses.consistency(Y, other, scale_free=True), losses.consistency(Y, other)
    )


def test_scale_free_consistency_does_not_shrink_bodies(scene):
    Y = scene[0].clone().requires_grad_(True)
    losses.consistency(Y, Y.detach().flip(1), scale_free=True).backward()
    # The gradient along Y itself, that of its size, is zero.
    assert (Y.grad * Y.detach()).sum((1, 2)).abs().max() < 1e-12


def test_structure_from_motion_does_not_see_the_unit(scene):
    Y, R1, _, X1, _ = scene
    value = losses.structure_from_motion(1.1 * Y, R1, X1)
    assert float(value) == pytest.approx(0.1)
    torch.testing.assert_close(losses.structure_from_motion(11 * Y, R1, 10 * X1), value)


def test_lambda_weighs_the_consistency_only():
    reproj, cf = torch.tensor(2.0), torch.tensor(3.0)
    assert losses.total(reproj, cf) == 5 and losses.total(reproj, cf, 0.5) == 3.5


def test_two_cameras_that_stand_still_may_differ_by_one_turn_and_by_size_alone(scene):
    Y, R1, _, _, _ = scene
    turned = Y @ R1[0]
    sizes = torch.tensor([0.5, 1, 2, 3], dtype=torch.float64)[:, None, None]
    assert float(losses.sequence_consistency(Y, sizes * turned, B)) == pytest.approx(0, abs=1e-9)
    shared = losses.sequence_consistency(Y, Y @ R1, B)
    alone = losses.sequence_consistency(Y, Y @ R1, 1)
    assert float(alone) == pytest.approx(0, abs=1e-9) and shared > 1, "a turn for each instant"


def test_the_one_turn_is_the_best_for_all_instants_of_its_sequence(scene):
    """Against SciPy's own solution, sequence by sequence."""
    Y, R1, R2, _, _ = scene
    Y1, Y2 = losses.of_one_size(Y @ R1, Y @ R2 + 0.1)
    expected = 0.0
    for rows in (slice(0, 2), slice(2, 4)):
        first, second = Y1[rows].reshape(-1, 3).numpy(), Y2[rows].reshape(-1, 3).numpy()
        turn, _ = Rotation.align_vectors(second, first)
        moved = torch.as_tensor(turn.apply(first)).view(2, P, 3)
        expected += float(losses.frobenius(moved, Y2[rows]).sum())
    found = losses.sequence_consistency(Y @ R1, Y @ R2 + 0.1, 2)
    assert float(found) == pytest.approx(expected / B)


@pytest.mark.parametrize("scale_free", [False, True])
def test_gradients(scene, scale_free):
    Y, R1, R2, X1, X2 = scene
    Y1, Y2 = (Y + 0.3).requires_grad_(True), (Y.flip(1) * 1.2).requires_grad_(True)
    assert gradcheck(lambda a, b: losses.reprojection(a, b, R1, R2, X1, X2), (Y1, Y2))
    if not scale_free:  # the detached common size of the other is no function of its input
        assert gradcheck(lambda a, b: losses.consistency(a, b), (Y1, Y2))
    assert gradcheck(lambda a: losses.structure_from_motion(a, R1, X1), (Y1,))


def test_the_gradient_at_a_perfect_fit_is_zero_and_not_nan(scene):
    Y, R1, R2, X1, X2 = scene
    Y1 = Y.clone().requires_grad_(True)
    total = losses.reprojection(Y1, Y1, R1, R2, X1, X2) + losses.consistency(Y1, Y1.detach())
    total.backward()
    assert torch.isfinite(Y1.grad).all()
