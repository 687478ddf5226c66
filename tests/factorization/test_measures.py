"""What chapter 4 measures: closed forms on bodies that were turned, scaled and mirrored by hand."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from posebook.factorization import measures as disentangle
from posebook.factorization.mirror import mirror_shape
from posebook.factorization.pictures import Pictures, body_size, pelvis_axes
from posebook.geometry.rotations import angle, best_rotation
from posebook.metrics import pose3d as metrics


def rotations(n, seed=0):
    return torch.as_tensor(Rotation.random(n, rng=seed).as_matrix())


def about_y(degrees):
    return torch.as_tensor(Rotation.from_rotvec([0, np.deg2rad(degrees), 0]).as_matrix())


@pytest.fixture
def bodies():
    Y = torch.randn(8, 17, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return metrics.root_relative(Y)


def test_scales_are_restored(bodies):
    size = body_size(bodies)
    pose = bodies / size[:, None, None]
    torch.testing.assert_close(metrics.scaled(7 * pose, bodies), bodies)
    torch.testing.assert_close(disentangle.picture_scale(pose, bodies), bodies)


def test_the_best_rotation_undoes_a_rotation_and_is_never_a_reflection(bodies):
    R = rotations(8)
    torch.testing.assert_close(best_rotation(bodies, bodies @ R), R)
    reflected = best_rotation(bodies, mirror_shape(bodies))
    torch.testing.assert_close(torch.linalg.det(reflected), torch.ones(8, dtype=torch.float64))


@pytest.mark.parametrize("degrees", [0.0, 1e-4, 1, 30, 179, 180])
def test_angles(degrees):
    R = rotations(1)[0]
    assert float(angle(R, R @ about_y(degrees))) == pytest.approx(degrees, abs=1e-5)


def test_errors_of_a_turned_scaled_copy(bodies):
    turn = rotations(8, 1)
    errors = disentangle.pose_errors(0.3 * bodies @ turn.mT, bodies, turn)
    # All of the error is rotation, and `turn` is the way back.
    for name in ("p_mpjpe_mm", "mpjpe_best_rotation_mm", "mpjpe_turned_mm"):
        torch.testing.assert_close(errors[name], torch.zeros(8).double(), atol=1e-6, rtol=0)
    assert (errors["mpjpe_mm"] > 0.1).all()


def test_the_best_flip_is_the_better_of_the_two(bodies):
    identity = torch.eye(3, dtype=torch.float64).expand(8, 3, 3)
    pose = bodies / body_size(bodies)[:, None, None]
    mirrored = mirror_shape(pose)
    half = torch.cat([pose[:4], mirrored[4:]])
    errors = disentangle.pose_errors(half, bodies, identity)
    torch.testing.assert_close(errors["mpjpe_best_flip_mm"], torch.zeros(8).double())
    assert (errors["mpjpe_c3dpo_mm"][:4] < 1e-6).all() and (
        errors["mpjpe_c3dpo_mm"][4:] > 0.1
    ).all()


def test_spread_tells_views_from_instants(bodies):
    same = bodies[:, None].expand(8, 4, 17, 3)
    spread = disentangle.canonical_spread(same * torch.tensor([1, 2, 3, 4.0])[:, None, None])
    assert spread["canonical_spread_views"] == pytest.approx(0, abs=1e-6)  # size does not matter
    assert spread["canonical_spread_instants"] > 0.5
    spread = disentangle.canonical_spread(same.transpose(0, 1))  # now all instants are alike
    assert spread["canonical_spread_instants"] == pytest.approx(0, abs=1e-6)
    assert spread["canonical_spread_ratio"] > 1e6


def test_spread_over_instants_is_that_of_their_mean_bodies(bodies):
    """Views that differ make no instants that do: all squares are those within and between."""
    noise = torch.randn(8, 4, 17, 3, generator=torch.Generator().manual_seed(1)).double()
    Y = bodies[:, None] + noise
    of_size_one = Y / Y.square().sum((-2, -1), keepdim=True).sqrt()
    all_squares = (of_size_one - of_size_one.mean((0, 1))).square().sum((-2, -1)).mean()
    spread = disentangle.canonical_spread(Y)
    within, between = (spread[f"canonical_spread_{of}"] ** 2 for of in ("views", "instants"))
    assert within > 0.1 and within + between == pytest.approx(float(all_squares))


def pictures(heading):
    empty = torch.zeros(*heading.shape[:2], 17, 3)
    return Pictures(empty[..., :2], empty[..., 0] > 0, empty, heading, heading, {})


def test_viewpoints_are_compared_after_one_common_rotation():
    heading, common = rotations(12).view(3, 4, 3, 3), rotations(1, 5)[0]
    errors = disentangle.viewpoint_errors(common @ heading, pictures(heading))
    assert errors["viewpoint_error_deg"] == pytest.approx(0, abs=1e-5)
    assert errors["relative_viewpoint_error_deg"] == pytest.approx(0, abs=1e-5)
    # A canonical frame that turns with the instant is no error of the turn between two views.
    drifting = rotations(3, 6)[:, None] @ heading
    errors = disentangle.viewpoint_errors(drifting, pictures(heading))
    assert errors["viewpoint_error_deg"] > 20
    assert errors["relative_viewpoint_error_deg"] == pytest.approx(0, abs=1e-5)


def test_a_known_viewpoint_error_is_found():
    heading = rotations(12).view(3, 4, 3, 3)
    wrong = heading.clone()
    wrong[:, 0] = heading[:, 0] @ about_y(40)  # each relative rotation starts from view 0
    errors = disentangle.viewpoint_errors(wrong, pictures(heading))
    assert errors["relative_viewpoint_error_deg"] == pytest.approx(40)


def test_pelvis_axes_turn_with_the_body(bodies):
    R = rotations(8, 3)
    axes = pelvis_axes(bodies)
    torch.testing.assert_close(pelvis_axes(bodies @ R), axes @ R)
    torch.testing.assert_close(axes @ axes.mT, torch.eye(3).double().expand(8, 3, 3))
