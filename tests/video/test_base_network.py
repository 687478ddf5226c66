"""Section 2.4's network: shapes, receptive fields, initial values, weights that fit."""

import pytest
import torch

from posebook.video.backbone import (
    BaseNetwork,
    Branches,
    Decoder,
    Encoder,
    Pyramid,
    Regressor,
    load_matching,
)


def parameters(module):
    return sum(part.numel() for part in module.parameters())


def small(joints=3):
    encoder = Encoder(4)
    return BaseNetwork(encoder, Pyramid(encoder.channels), Decoder(encoder.channels, 8, joints))


def test_shapes_at_the_thesis_size():
    with torch.device("meta"):
        net = BaseNetwork(Encoder(64), Pyramid(2048), Decoder(2048, 256, 15))
        X = net.encoder(torch.empty(2, 3, 256, 256))
        assert X.shape == (2, 2048, 8, 8)
        assert net.pyramid.branches.reduce(X).shape == (2, 512, 8, 8)
        assert net(torch.empty(2, 3, 256, 256)).shape == (2, 15, 64, 64)
    assert parameters(net.encoder) / 1e6 == pytest.approx(23.5, abs=0.05)
    assert parameters(net.decoder) / 1e6 == pytest.approx(10.5, abs=0.05)


def test_shapes_of_the_small_encoder():
    encoder = Encoder(8)
    assert encoder.channels == 64
    assert encoder(torch.zeros(2, 3, 128, 96)).shape == (2, 64, 4, 3)
    assert small()(torch.zeros(2, 3, 64, 64)).shape == (2, 3, 16, 16)


def test_imagenet_weights_need_their_network():
    with pytest.raises(ValueError, match="those of ResNet-50: use a width of 64"):
        Encoder(32, imagenet=True)


def seen(branch, size=17):
    """How far from a cell the input still matters to it: along x, in cells."""
    X = torch.randn(1, 4, size, size, requires_grad=True)
    branch.eval()(X)[..., size // 2, size // 2].sum().backward()
    columns = torch.nonzero(X.grad.abs().sum((0, 1, 2)))[:, 0] - size // 2
    return columns.tolist()


@pytest.mark.parametrize(("at", "columns"), [(0, [0]), (1, [-1, 0, 1]), (2, [-2, 0, 2]),
                                             (3, [-4, 0, 4])])  # fmt: skip
def test_branches_see_further_and_further(at, columns):
    torch.manual_seed(0)
    branch = Branches(16).split[at]
    with torch.no_grad():
        branch[1].bias.fill_(10.0)  # keep the ReLU open
    assert seen(branch) == columns


def test_the_pyramid_adds_its_input():
    pyramid = Pyramid(16).eval()
    X = torch.randn(2, 16, 5, 5)
    torch.testing.assert_close(pyramid(X), X + pyramid.branches(X))
    assert pyramid.branches(X).shape == X.shape


def test_the_decoder_begins_near_zero_and_regression_in_the_middle():
    H = torch.randn(4, 16, 4, 4)
    assert Decoder(16, 8, 3)(H).abs().max() < 0.05
    assert Regressor(16, 3)(H).shape == (4, 3, 2)
    assert Regressor(16, 3)(H).abs().max() < 0.05


def test_only_weights_of_the_same_name_and_shape_are_taken():
    torch.manual_seed(0)
    old, new = small(joints=3), small(joints=5)
    left = load_matching(new, old.state_dict())
    assert left == ["decoder.last.weight", "decoder.last.bias"]
    first = new.encoder.trunk[0].weight
    torch.testing.assert_close(first, old.encoder.trunk[0].weight)


def test_a_state_survives_a_file_without_pickled_code(tmp_path):
    net = small()
    torch.save(net.state_dict(), tmp_path / "net.pt")
    other = small()
    other.load_state_dict(torch.load(tmp_path / "net.pt", weights_only=True))
    x = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(net.eval()(x), other.eval()(x))
