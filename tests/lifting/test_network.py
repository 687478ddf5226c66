"""The lifting network and its root branch: what must hold whatever they learn."""

import numpy as np
import pytest
import torch

from posebook.data.recorded.motion import load_motion
from posebook.data.recorded.rig import human36m_rig
from posebook.geometry.camera import project
from posebook.geometry.skeleton import H36M
from posebook.lifting.network import ROOTS, LiftingNetwork, condition, global_pose, root_position
from posebook.networks.residual import Dropout

SMALL = dict(width=16, blocks=1, dropout=0.0)
B, N = 6, 17


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rays(seed: int = 0) -> torch.Tensor:
    return 0.2 * torch.randn(B, N, 2, generator=generator(seed))


@pytest.fixture(scope="module")
def people():
    """Recorded bodies in the frame of a camera, (B, 17, 3)."""
    camera = human36m_rig("S1")[0]
    poses = np.concatenate([clip.joints for clip in load_motion()])[::20]
    return torch.tensor(camera.to_camera(poses), dtype=torch.float32)


# ---------------------------------------------------------------- the network's input


def test_condition_parts_the_body_from_its_place():
    X = rays()
    features, size = condition(X)
    moved, same_size = condition(3 * X + torch.tensor([0.1, -0.2]))
    torch.testing.assert_close(moved[:, : 2 * N], features[:, : 2 * N])
    torch.testing.assert_close(same_size, 3 * size)
    assert not torch.allclose(moved[:, 2 * N :], features[:, 2 * N :])


def test_condition_normalises_the_size():
    features, size = condition(rays())
    body = features[:, : 2 * N].unflatten(1, (N, 2))
    torch.testing.assert_close(body.square().sum(-1).mean(-1), torch.ones(B))
    assert (body[:, H36M.root] == 0).all()
    centred = rays() - rays()[:, :1]
    torch.testing.assert_close(body * size[..., None], centred)


def test_condition_loses_nothing():
    features, size = condition(rays())
    root = features[:, None, 2 * N : 2 * N + 2] / 5
    body = features[:, : 2 * N].unflatten(1, (N, 2))
    torch.testing.assert_close(body * size[..., None] + root, rays())


def test_condition_survives_a_body_that_is_one_point():
    features, _ = condition(torch.full((2, N, 2), 0.3))
    assert torch.isfinite(features).all()


# ---------------------------------------------------------------- the two branches


def test_sizes_of_the_thesis():
    """Four blocks of two layers, width 1024: the counts of 2N inputs, and ours has three more."""
    network = LiftingNetwork()
    numbers = sum(p.numel() for p in network.lifting.parameters())
    assert numbers == 8_503_347 + 3 * 1024
    vector = LiftingNetwork(root="vector")
    assert sum(p.numel() for p in vector.rooting.parameters()) == 8_454_147 + 3 * 1024


def test_branches_share_no_weights():
    network = LiftingNetwork(**SMALL)
    a, b = ({id(p) for p in part.parameters()} for part in (network.lifting, network.rooting))
    assert a.isdisjoint(b) and len(a | b) == len(list(network.parameters()))


@pytest.mark.parametrize("root", ROOTS)
def test_shapes_and_a_root_of_zero(root):
    network = LiftingNetwork(**SMALL, root=root)
    torch.nn.init.normal_(network.lifting.head.weight)
    Y, r = network(rays())
    assert Y.shape == (B, N, 3) and r.shape == (B, 3)
    assert (Y[:, H36M.root] == 0).all(), "the root is the other branch's business"
    assert Y.abs().max() > 0.1
    torch.testing.assert_close(global_pose(Y, r)[:, H36M.root], r)


def test_lifting_alone_is_the_same_pose():
    network = LiftingNetwork(**SMALL).eval()
    torch.testing.assert_close(network.lift(rays()), network(rays())[0])


@pytest.mark.parametrize("root", ROOTS)
def test_both_branches_learn(root):
    network = LiftingNetwork(**SMALL, root=root)
    Y, r = network(rays())
    (global_pose(Y, r) - 1.0).square().sum().backward()
    for part in (network.lifting, network.rooting):
        assert part.head.weight.grad.abs().max() > 0 and part.body[0].weight.grad.abs().max() > 0


@pytest.mark.parametrize("root", ["center-ray", "root-ray"])
def test_a_depth_along_a_ray_is_in_front_whatever_the_network_says(root):
    out = torch.linspace(-20, 20, B)[:, None]
    X, Y = rays(), torch.randn(B, N, 3, generator=generator(1))
    _, size = condition(X)
    r = root_position(out, X, size, Y - Y[:, :1], root)
    depth = r[:, 2] if root == "root-ray" else (r + (Y - Y[:, :1]).mean(1))[:, 2]
    assert (depth > -1e-6).all()


def test_root_ray_puts_the_root_on_its_ray():
    X, Y = rays(), torch.zeros(B, N, 3)
    r = root_position(torch.ones(B, 1), X, condition(X)[1], Y, "root-ray")
    torch.testing.assert_close(r[:, :2] / r[:, 2:], X[:, H36M.root])


def test_center_ray_puts_the_middle_of_the_body_on_the_mean_ray():
    X, Y = rays(), torch.randn(B, N, 3, generator=generator(1))
    Y = Y - Y[:, :1]
    r = root_position(torch.ones(B, 1), X, condition(X)[1], Y, "center-ray")
    middle = global_pose(Y, r).mean(1)
    torch.testing.assert_close(middle[:, :2] / middle[:, 2:], X.mean(1))


def test_vector_is_what_the_branch_says():
    out = torch.randn(B, 3, generator=generator())
    assert root_position(out, rays(), torch.ones(B, 1), torch.zeros(B, N, 3), "vector") is out


def test_vector_starts_where_it_is_told():
    network = LiftingNetwork(**SMALL, root="vector", root_bias=(0.0, 0.0, 5.0))
    _, r = network(rays())
    torch.testing.assert_close(r, torch.tensor([0.0, 0.0, 5.0]).expand(B, 3), atol=0.2, rtol=0)


@pytest.mark.parametrize("root", ["center-ray", "root-ray"])
def test_a_fresh_network_already_has_people_at_a_fair_distance(root, people):
    torch.manual_seed(0)
    network = LiftingNetwork(**SMALL, root=root)
    Y, r = network(project(people))
    middle = global_pose(Y, r).mean(1)[:, 2]
    ratio = middle / people.mean(1)[:, 2]
    assert 0.8 < ratio.median() < 1.25
    assert global_pose(Y, r)[..., 2].min() > 1, "no joint begins at the pole"


def test_an_unknown_root_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown root branch 'depth'; known: center-ray"):
        LiftingNetwork(root="depth")


def test_the_same_seed_gives_the_same_weights():
    networks = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        networks.append(LiftingNetwork(**SMALL).lifting.head.weight)
    assert torch.equal(networks[0], networks[1]) and not torch.equal(networks[0], networks[2])


def test_dropout_loses_its_share_keeps_the_mean_and_can_be_repeated():
    dropout, x = Dropout(0.25), torch.ones(1000, 333)
    torch.manual_seed(0)
    first = dropout(x)
    torch.manual_seed(0)
    assert torch.equal(dropout(x), first) and not torch.equal(dropout(x), first)
    assert first.unique().tolist() == pytest.approx([0, 4 / 3])
    for share in ((first == 0).float().mean(), (first == 0).float().mean(0)[7]):
        assert share == pytest.approx(0.25, abs=0.05)
    assert first.mean() == pytest.approx(1, abs=0.005)
    assert torch.equal(dropout.eval()(x), x)
