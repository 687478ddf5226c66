"""Temporal backbones, and the critic: closed forms and symmetries."""

import pytest
import torch
from scipy.spatial.transform import Rotation

from posebook.geometry.skeleton import H36M
from posebook.lifting.consistency import TemporalConsistency
from posebook.lifting.network import ROOT, LiftingNetwork
from posebook.lifting.temporal import TemporalDilated
from posebook.training.adversary import gradient_penalty
from posebook.training.critic import Critic, kinematic_chain


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def network(frames, generator, width=8):
    """A network in evaluation mode, in float64, whose weights and statistics are all random."""
    model = TemporalDilated(5, 4, frames, width, dropout=0.25).double().eval()
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype))
    for conv in (*model.expand, *model.wide, *model.narrow):
        torch.nn.init.normal_(conv.weight, std=0.3, generator=generator)
    return model


# ---------------------------------------------------------------- the temporal backbone


@pytest.mark.parametrize("frames", [3, 9, 27, 81])
def test_windows_and_whole_sequences_give_the_same(frames, generator):
    model = network(frames, generator)
    x = torch.randn(2, frames + 10, 5, generator=generator, dtype=torch.float64)
    dense = model.dense(x)
    assert dense.shape == (2, 11, 4)
    windows = x.unfold(1, frames, 1).mT  # (2, 11, frames, 5)
    strided = model(windows.flatten(0, 1)).unflatten(0, (2, 11))
    torch.testing.assert_close(strided, dense, rtol=1e-12, atol=1e-12)
    assert dense.std(dim=1).min() > 1e-3, "the outputs hardly depend on the input"


def test_every_frame_of_the_window_counts(generator):
    model = network(27, generator)
    x = torch.randn(1, 27, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    model(x).sum().backward()
    assert (x.grad.abs().sum(-1) > 0).all()


@pytest.mark.parametrize("frames", [1, 2, 10, 26, 0, -3])
def test_a_receptive_field_is_a_power_of_three(frames):
    with pytest.raises(ValueError, match=f"3, 9, 27, 81 or 243 frames, not {frames}$"):
        TemporalDilated(5, 4, frames, 8, 0.0)


def test_windows_of_another_length_are_refused(generator):
    with pytest.raises(ValueError, match="windows must hold 9 frames, got 11"):
        network(9, generator)(torch.zeros(2, 11, 5, dtype=torch.float64))


def test_a_sequence_shorter_than_the_receptive_field_is_refused(generator):
    with pytest.raises(ValueError, match="8 frames is shorter than the receptive field of 9"):
        network(9, generator).dense(torch.zeros(2, 8, 5, dtype=torch.float64))


# ---------------------------------------------------------------- chapter 2's module on poses


def test_the_module_on_poses_is_equation_2_8_from_either_side():
    """Written out beside it: states start with the outermost features, halves are added, + X."""
    torch.manual_seed(0)
    model = TemporalConsistency(5, 4, 5, width=6, blocks=2, dropout=0.5).double().eval()
    x = torch.randn(3, 5, 5, dtype=torch.float64)
    X = model.body(x.flatten(0, 1)).unflatten(0, (3, 5))
    lstm = model.lstm
    weights = torch.cat([lstm.weight_ih_l0, lstm.weight_hh_l0], dim=1)
    bias = lstm.bias_ih_l0 + lstm.bias_hh_l0
    total = X[:, 2]
    for order in ([0, 1, 2], [4, 3, 2]):
        H, c = X[:, order[0]], torch.zeros(3, 6, dtype=torch.float64)
        for frame in order[1:]:
            i, f, g, o = (torch.cat([X[:, frame], H], 1) @ weights.T + bias).chunk(4, dim=1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            H = o.sigmoid() * c.tanh()
        total = total + H
    torch.testing.assert_close(model(x), model.head(model.decoder(total)), rtol=1e-12, atol=1e-12)


def test_the_module_on_poses_reads_a_window_alike_in_both_directions_of_time():
    torch.manual_seed(1)
    model = TemporalConsistency(5, 4, 7, width=6, blocks=2, dropout=0.5).double().eval()
    x = torch.randn(2, 7, 5, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(model(x), model(x.flip(1)), rtol=1e-12, atol=1e-12)
    model(x).sum().backward()
    assert (x.grad.abs().sum(-1) > 0).all(), "every frame of the window counts"


@pytest.mark.parametrize("frames", [1, 2, 10, 0, -3])
def test_a_window_of_the_module_has_a_middle(frames):
    with pytest.raises(ValueError, match=f"3, 5, ..., not {frames}$"):
        TemporalConsistency(5, 4, frames, 8, 1, 0.0)


@pytest.mark.parametrize("root", ["center-ray", "root-ray"])
def test_the_place_is_that_of_the_middle_frame(root, generator):
    """Wherever the person walks, the root lies on the ray of the frame that is lifted."""
    model = LiftingNetwork(width=8, dropout=0.0, frames=9, root=root).eval()
    X = 0.1 * torch.randn(3, 9, 17, 2, generator=generator)
    Y, r = model(X)
    if root == "center-ray":
        ray, point = X[:, 4].mean(1), r + Y.mean(1)
    else:
        ray, point = X[:, 4, ROOT], r
    torch.testing.assert_close(point[:, :2] / point[:, 2:], ray)


# ---------------------------------------------------------------- the critic


def test_gradient_penalty_of_a_linear_critic(generator):
    """<W, Y> has the slope ||W|| everywhere, so the penalty is (||W|| - 1)^2."""
    W = torch.randn(17, 3, generator=generator, dtype=torch.float64)
    real, fake = torch.randn(2, 6, 17, 3, generator=generator, dtype=torch.float64)
    mix = torch.rand(6, generator=generator, dtype=torch.float64)
    for scale in (0.0, 1 / W.norm(), 0.3, 2.0):
        penalty = gradient_penalty(lambda Y, V=scale * W: (Y * V).sum((1, 2)), real, fake, mix)
        torch.testing.assert_close(penalty, (scale * W.norm() - 1) ** 2)


def test_gradient_penalty_is_taken_between_real_and_fake():
    """||Y||^2 / 2 has the slope ||Y||, which says where it was taken."""
    real, fake = torch.full((4, 17, 3), 2.0), torch.full((4, 17, 3), 4.0)
    mix = torch.tensor([0.0, 0.5, 0.75, 1.0])
    length = 51**0.5 * torch.tensor([4.0, 3.0, 2.5, 2.0])
    penalty = gradient_penalty(lambda Y: Y.square().sum((1, 2)) / 2, real, fake, mix)
    torch.testing.assert_close(penalty, (length - 1).square().mean())


def test_gradient_penalty_trains_the_critic(generator):
    critic = Critic(pose_width=8, chain_width=8)
    real, fake = torch.randn(2, 5, 17, 3, generator=generator)
    gradient_penalty(critic, real, fake, torch.rand(5, generator=generator)).backward()
    weights = [part for name, part in critic.named_parameters() if name.endswith("weight")]
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in weights)


def test_the_kinematic_chain_does_not_see_where_a_body_faces(generator):
    Y = torch.randn(5, 17, 3, generator=generator, dtype=torch.float64)
    R = torch.as_tensor(Rotation.random(5, rng=0).as_matrix())
    shift = torch.randn(5, 1, 3, generator=generator, dtype=torch.float64)
    chain = kinematic_chain(Y)
    torch.testing.assert_close(kinematic_chain(Y @ R.mT + shift), chain)
    # The mirror image has the same chain: the critic's other path has to tell it apart.
    torch.testing.assert_close(kinematic_chain(Y * torch.tensor([-1.0, 1.0, 1.0])), chain)
    assert not torch.allclose(kinematic_chain(1.1 * Y), chain)


def test_the_kinematic_chain_holds_squared_bone_lengths(generator):
    Y = torch.randn(17, 3, generator=generator, dtype=torch.float64)
    lengths = torch.stack([(Y[child] - Y[parent]).norm() for parent, child in H36M.bones])
    torch.testing.assert_close(kinematic_chain(Y).diagonal(), lengths.square())
