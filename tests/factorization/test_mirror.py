"""The mirror image: exactly the same losses, and knees that tell."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from posebook.data.recorded.motion import load_motion
from posebook.factorization import losses
from posebook.factorization.dictionary import Dictionary
from posebook.factorization.mirror import knee_flexion, knee_sign, mirror_shape, mirror_viewpoint
from posebook.factorization.network import FactorizationNetwork

S = torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    bodies = torch.as_tensor(rng.normal(size=(2, 6, 17, 3)))
    R = torch.as_tensor(Rotation.random(12, rng=rng).as_matrix()).view(2, 6, 3, 3)
    X = torch.as_tensor(rng.normal(size=(2, 6, 17, 2)))
    return bodies, R, X


def test_mirroring_is_multiplication_with_s(pair):
    bodies, R, _ = pair
    torch.testing.assert_close(mirror_shape(bodies), bodies @ S)
    torch.testing.assert_close(mirror_viewpoint(R), S @ R @ S)
    torch.testing.assert_close(torch.linalg.det(mirror_viewpoint(R)), torch.ones(2, 6).double())
    assert torch.equal(mirror_shape(bodies, 1.0), bodies)
    assert torch.equal(mirror_viewpoint(R, 1.0), R)


def test_both_losses_are_exactly_the_same_for_the_mirror_image(pair):
    (Y1, Y2), (R1, R2), (X1, X2) = pair
    other = [mirror_shape(Y) for Y in (Y1, Y2)], [mirror_viewpoint(R) for R in (R1, R2)]
    assert losses.reprojection(Y1, Y2, R1, R2, X1, X2) == losses.reprojection(
        *other[0], *other[1], X1, X2
    )
    assert losses.consistency(Y1, Y2) == losses.consistency(*other[0])


def test_the_mirrored_pose_is_the_pose_with_its_depth_reversed(pair):
    bodies, R, _ = pair
    pose, other = bodies @ R, mirror_shape(bodies) @ mirror_viewpoint(R)
    torch.testing.assert_close(other, pose @ S)
    assert not torch.allclose(other, pose)


def test_a_networks_sign_changes_its_answer_but_not_its_picture():
    network = FactorizationNetwork(Dictionary((8, 4)), width=16, blocks=1).eval()
    X = torch.randn(4, 17, 2)
    Y, R = network(X)
    network.sign.fill_(-1.0)
    Y_other, R_other = network(X)
    assert torch.equal(Y_other, mirror_shape(Y))
    torch.testing.assert_close(losses.picture(Y_other, R_other), losses.picture(Y, R))


# ---------------------------------------------------------------- knees


def recorded():
    joints = np.concatenate([clip.joints for clip in load_motion()])
    return torch.as_tensor(joints, dtype=torch.float64)


def test_recorded_knees_bend_the_right_way_and_mirrored_ones_the_wrong_way():
    Y = recorded()
    assert (knee_flexion(Y) > 0).double().mean() > 0.95
    assert knee_sign(Y) == 1.0 and knee_sign(mirror_shape(Y)) == -1.0


def test_knees_bend_the_same_way_from_every_side():
    Y = recorded()[::50]
    R = torch.as_tensor(Rotation.random(len(Y), rng=0).as_matrix())
    torch.testing.assert_close(knee_flexion(Y @ R + 3), knee_flexion(Y))
    torch.testing.assert_close(knee_flexion(mirror_shape(Y)), -knee_flexion(Y))


def test_straight_legs_do_not_vote():
    Y = torch.zeros(17, 3)
    Y[1, 0], Y[4, 0] = -0.1, 0.1
    for hip, knee, foot in ((1, 2, 3), (4, 5, 6)):
        Y[knee] = Y[hip] + torch.tensor([0, 0.4, 0])
        Y[foot] = Y[hip] + torch.tensor([0, 0.8, 0])
    assert knee_flexion(Y) == 0
