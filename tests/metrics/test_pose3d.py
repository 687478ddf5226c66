"""Closed forms for the 3D metrics, and a plain per-sample Procrustes to compare with."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from posebook.geometry.skeleton import H36M, PCK3D_JOINTS
from posebook.metrics import pose3d as metrics
from posebook.metrics import procrustes

MIRROR = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def random_poses(rng, *shape):
    return torch.from_numpy(rng.normal(size=(*shape, 17, 3)))


def similar(poses, rng):
    """Each pose turned, scaled and moved at random."""
    n = len(poses)
    R = torch.from_numpy(Rotation.random(n, random_state=rng).as_matrix())
    scale = torch.from_numpy(rng.uniform(0.1, 5, size=(n, 1, 1)))
    return scale * poses @ R + torch.from_numpy(rng.normal(size=(n, 1, 3)))


def reference_p_mpjpe(predicted, target):
    """Textbook Procrustes (Umeyama 1991) of one pose: SVD, determinant, optimal scale."""
    p, g = predicted - predicted.mean(0), target - target.mean(0)
    U, S, Vt = np.linalg.svd(p.T @ g)
    sign = np.array([1, 1, np.sign(np.linalg.det(U @ Vt))])
    aligned = (S * sign).sum() / (p**2).sum() * p @ (U * sign) @ Vt
    return np.linalg.norm(aligned - g, axis=1).mean()


# ---------------------------------------------------------------- MPJPE


def test_mpjpe_of_a_shift_is_its_length():
    poses = torch.zeros(2, 5, 17, 3)
    moved = poses + torch.tensor([3.0, 4.0, 0.0])
    assert metrics.mpjpe(moved, poses).shape == (2, 5)
    assert (metrics.mpjpe(moved, poses) == 5).all()
    assert (metrics.mpjpe(metrics.root_relative(moved), poses) == 0).all()


def test_the_root_counts_in_the_mean():
    poses = torch.zeros(1, 17, 3)
    moved = poses.clone()
    moved[:, 1:, 0] = 17.0
    assert metrics.mpjpe(moved, poses).item() == pytest.approx(16)
    assert metrics.per_joint_error(moved, poses)[0, 0] == 0


def test_root_relative_of_another_root(rng):
    poses = random_poses(rng, 3)
    assert (metrics.root_relative(poses, root=8)[:, 8] == 0).all()


def test_a_sum_that_overflows_is_no_infinite_pose():
    far = torch.full((1, 17, 3), 3e38)
    assert torch.isinf(far.sum()) and metrics.mpjpe(far, far).item() == 0


@pytest.mark.parametrize("measure", [metrics.mpjpe, metrics.n_mpjpe, metrics.p_mpjpe])
def test_bad_poses_are_refused(measure, rng):
    poses = random_poses(rng, 2)
    broken = poses.clone()
    broken[1, 3, 0] = torch.nan
    with pytest.raises(ValueError, match="predicted poses hold NaN"):
        measure(broken, poses)
    with pytest.raises(ValueError, match="target poses hold NaN"):
        measure(poses, broken)
    with pytest.raises(ValueError, match=r"\(2, 17, 3\) and target \(1, 17, 3\)"):
        measure(poses, poses[:1])
    with pytest.raises(ValueError, match="floating-point"):
        measure(poses.long(), poses.long())


# ---------------------------------------------------------------- Procrustes


def test_p_mpjpe_does_not_see_a_similarity(rng):
    poses = random_poses(rng, 50)
    torch.testing.assert_close(
        metrics.p_mpjpe(similar(poses, rng), poses), torch.zeros(50).double(), atol=1e-12, rtol=0
    )


def test_p_mpjpe_sees_a_mirror(rng):
    poses = random_poses(rng, 50)
    assert (metrics.p_mpjpe(poses * MIRROR, poses) > 0.1).all()


def test_p_mpjpe_agrees_with_a_plain_procrustes(rng):
    target = random_poses(rng, 300)
    noise = torch.from_numpy(rng.uniform(0, 2, size=(300, 1, 1))) * random_poses(rng, 300)
    predicted = similar(target + noise, rng)
    predicted[::3] *= MIRROR  # so that the proper rotation is not the best orthogonal matrix
    predicted[1::3, :, 2] *= 1e-3  # nearly flat
    expected = [
        reference_p_mpjpe(p, g) for p, g in zip(predicted.numpy(), target.numpy(), strict=True)
    ]
    found = metrics.p_mpjpe(predicted, target)
    torch.testing.assert_close(found, torch.tensor(expected).double(), rtol=1e-6, atol=0)
    single = metrics.p_mpjpe(predicted.float(), target.float())
    torch.testing.assert_close(single.double(), found, rtol=1e-5, atol=0)
    half = metrics.p_mpjpe(predicted.half(), target.half())
    torch.testing.assert_close(half.double(), found, rtol=1e-2, atol=0)


def test_no_other_similarity_is_nearer(rng):
    predicted, target = random_poses(rng, 1), random_poses(rng, 1)

    def squared(x):
        R = Rotation.from_rotvec(x[:3]).as_matrix()
        moved = x[3] ** 2 * predicted[0].numpy() @ R.T + x[4:]  # a negative scale is a mirror
        return ((moved - target[0].numpy()) ** 2).sum()

    starts = [
        np.r_[Rotation.random(random_state=seed).as_rotvec(), 1, 0, 0, 0] for seed in range(8)
    ]
    best = min(minimize(squared, start).fun for start in starts)
    found = (metrics.procrustes_align(predicted, target) - target).square().sum().item()
    assert found == pytest.approx(best, rel=1e-6)


def test_aligning_onto_a_rotated_pose_gives_that_pose(rng):
    poses = random_poses(rng, 20)
    moved = similar(poses, rng)
    torch.testing.assert_close(metrics.procrustes_align(poses, moved), moved)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_degenerate_predictions_give_numbers(rank, rng):
    """Points, lines and planes: a best similarity exists although its rotation is not unique."""
    target = random_poses(rng, 10)
    predicted = random_poses(rng, 10)
    predicted[..., rank:] = 0.25
    error = metrics.p_mpjpe(predicted, target)
    spread = torch.linalg.vector_norm(target - target.mean(-2, keepdim=True), dim=-1).mean(-1)
    if rank == 0:
        torch.testing.assert_close(error, spread)
    assert torch.isfinite(error).all() and (error > 0.1).all()
    flat = target.clone()
    flat[..., rank:] = 0.5
    torch.testing.assert_close(
        metrics.p_mpjpe(similar(flat, rng), flat), torch.zeros(10).double(), atol=1e-7, rtol=0
    )


def test_rotations_written_down_are_those_of_eigenvectors(rng):
    """Also on either side of the border behind which eigenvectors take over."""
    B = torch.from_numpy(rng.normal(size=(3, 3, 20_000)))
    B /= B.square().sum((0, 1)).sqrt()
    expected, sums = procrustes._by_eigenvectors(B)
    R, reached, distinct = procrustes._written_down(B)
    sure = distinct > procrustes.DISTINCT
    assert 0 < (~sure).sum() < 500
    torch.testing.assert_close(R[..., sure], expected[..., sure], atol=1e-10, rtol=0)
    R, reached = procrustes.best_rotations(B)
    torch.testing.assert_close(R, expected, atol=1e-10, rtol=0)
    torch.testing.assert_close(reached, sums, atol=1e-12, rtol=0)


def test_p_mpjpe_keeps_shape_and_order(rng):
    predicted, target = random_poses(rng, 2, 3, 4), random_poses(rng, 2, 3, 4)
    errors = metrics.p_mpjpe(predicted, target)
    assert errors.shape == (2, 3, 4)
    one = metrics.p_mpjpe(predicted[1, 2, 3], target[1, 2, 3])
    assert one.shape == () and one.item() == pytest.approx(errors[1, 2, 3].item())
    assert metrics.p_mpjpe(predicted[:0], target[:0]).shape == (0, 3, 4)


def test_p_mpjpe_is_batched(rng, operations):
    """As many operators for a thousand poses as for two: none is done a pose."""
    few, many = (
        operations(partial(metrics.p_mpjpe, random_poses(rng, n), random_poses(rng, n)))
        for n in (2, 1000)
    )
    assert few == many


# ---------------------------------------------------------------- N-MPJPE


def test_n_mpjpe_does_not_see_scale_but_sees_rotation(rng):
    poses = random_poses(rng, 20)
    assert metrics.n_mpjpe(3 * poses, poses).max() < 1e-12
    assert metrics.n_mpjpe(similar(poses, rng), poses).min() > 0.1


def test_the_scale_of_n_mpjpe_is_least_squares(rng):
    predicted, target = random_poses(rng, 1), random_poses(rng, 1)
    scales = torch.linspace(-3, 3, 60_001).double()[:, None, None]
    squared = (scales * predicted - target).square().sum((-1, -2))
    best = scales[squared.argmin()] * predicted
    assert metrics.n_mpjpe(predicted, target).item() == pytest.approx(
        metrics.mpjpe(best, target).item(), abs=1e-3
    )


def test_a_collapsed_pose_has_the_error_of_zero(rng):
    target = random_poses(rng, 4)
    torch.testing.assert_close(
        metrics.n_mpjpe(torch.zeros_like(target), target), target.norm(dim=-1).mean(-1)
    )


# ---------------------------------------------------------------- PCK and AUC


def test_pck_is_strict_and_over_fourteen_joints():
    target = torch.zeros(3, 17, 3, dtype=torch.float64)
    predicted = target.clone()
    predicted[0, :, 0] = 150.0
    predicted[1, :, 0] = 149.9
    others = sorted(set(range(17)) - set(PCK3D_JOINTS))
    predicted[2, others, 0] = 1000.0
    assert metrics.pck3d(predicted, target, threshold=150.0).tolist() == [0, 100, 100]
    for joint in PCK3D_JOINTS:
        off = target[0].clone()
        off[joint, 0] = 150.0
        assert metrics.pck3d(off, target[0], threshold=150.0) == pytest.approx(100 * 13 / 14)


def test_auc_of_a_perfect_pose_is_not_a_hundred():
    target = torch.zeros(1, 17, 3)
    assert metrics.auc3d(target, target).item() == pytest.approx(100 * 30 / 31)


def test_auc_counts_thresholds_above_the_error():
    target = torch.zeros(4, 17, 3, dtype=torch.float64)
    predicted = target.clone()
    predicted[:, :, 2] = torch.tensor([2.5, 5.0, 147.5, 150.0]).double()[:, None]
    counted = metrics.auc3d(predicted, target, highest=150.0) * 31 / 100
    torch.testing.assert_close(counted, torch.tensor([30, 29, 1, 0]).double())


def test_auc_is_the_mean_of_pck(rng):
    predicted, target = 0.1 * random_poses(rng, 20), 0.1 * random_poses(rng, 20)
    thresholds = [0.005 * step for step in range(31)]
    expected = sum(metrics.pck3d(predicted, target, t) for t in thresholds) / 31
    torch.testing.assert_close(metrics.auc3d(predicted, target), expected)


# ---------------------------------------------------------------- averages, motion, bones


def test_the_action_mean_is_not_the_frame_mean():
    errors = torch.tensor([10.0, 10.0, 10.0, 50.0])
    actions = ["Sitting", "Sitting", "Sitting", "SittingDown"]
    assert metrics.action_mean(errors, actions) == 30
    assert errors.mean() == 20
    assert metrics.action_means(errors, actions) == {"Sitting": 10, "SittingDown": 50}
    with pytest.raises(ValueError, match="as many actions"):
        metrics.action_means(errors, actions[:3])


def test_mean_bone_length():
    poses = torch.zeros(2, 17, 3)
    for length, (parent, child) in enumerate(H36M.bones, start=1):
        poses[0, child] = poses[0, parent]
        poses[0, child, length % 3] += length
    assert metrics.mean_bone_length(poses).tolist() == [17 / 2, 0.0]
    stretched = torch.rand(17, 3)
    assert metrics.mean_bone_length(2 * stretched).item() == pytest.approx(
        2 * metrics.mean_bone_length(stretched).item()
    )
    assert len(H36M.bones) == 16
