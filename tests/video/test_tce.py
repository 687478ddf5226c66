"""The TCE module: the warp is the printed double sum, the gates are the printed equations, and one
grouped module is several separate ones."""

import math
from copy import deepcopy

import pytest
import torch
from torch.autograd import gradcheck
from torchvision.ops import deform_conv2d

from posebook.video.network import VideoNetwork
from posebook.video.tce import AGGREGATIONS, OFFSETS, STARTS, TCE, deform, windows

C, SIZE = 6, 4


@pytest.fixture
def random():
    generator = torch.Generator().manual_seed(0)

    def draw(*shape, low=-1.0, high=1.0):
        u = torch.rand(*shape, generator=generator, dtype=torch.float64)
        return low + (high - low) * u

    return draw


def randomised(module, random):
    """The module in double precision and evaluation, of which no part is zero any more."""
    module = module.double().eval()
    with torch.no_grad():
        for part in module.parameters():
            part.copy_(0.4 * random(*part.shape))
    return module


# ---------------------------------------------------------------- the warp


def literal_deform(H, offset):
    """Equations 2.5 and 2.6 as printed: a sum over all cells q, for one map (C, h, w)."""

    def g(a, b):
        return max(0.0, 1 - abs(a - b))

    _, h, w = H.shape
    out = torch.zeros_like(H)
    for py in range(h):
        for px in range(w):
            x, y = px + float(offset[0, py, px]), py + float(offset[1, py, px])
            for qy in range(h):
                for qx in range(w):
                    out[:, py, px] += g(qx, x) * g(qy, y) * H[:, qy, qx]
    return out


@pytest.mark.parametrize("shape", [(5, 7), (4, 4), (1, 1), (1, 6)])
def test_deform_is_the_printed_double_sum(shape, random):
    H, offset = random(2, 3, *shape), random(2, 2, *shape, low=-3, high=3)
    literal = torch.stack([literal_deform(*pair) for pair in zip(H, offset, strict=True)])
    torch.testing.assert_close(deform(H, offset), literal)


def test_deform_is_a_deformable_convolution_with_an_identity_kernel(random):
    H, offset = random(2, 3, 5, 7), random(2, 2, 5, 7, low=-3, high=3)
    identity = torch.eye(3, dtype=torch.float64)[:, :, None, None]
    # torchvision's offsets are (y, x).
    torch.testing.assert_close(deform(H, offset), deform_conv2d(H, offset.flip(1), identity))


def test_offsets_are_cells_with_x_first():
    H = torch.arange(20.0).view(1, 1, 4, 5)
    right = torch.zeros(1, 2, 4, 5)
    right[:, 0] = 1
    moved = deform(H, right)
    torch.testing.assert_close(moved[..., :-1], H[..., 1:])
    assert (moved[..., -1] == 0).all()  # from beyond the border


def test_gradients_of_the_warp(random):
    H = random(1, 2, 3, 4).requires_grad_(True)
    offset = random(1, 2, 3, 4, low=0.1, high=0.4).requires_grad_(True)  # away from the kinks
    assert gradcheck(deform, (H, offset))


# ---------------------------------------------------------------- one window


def literal_window(tce, X):
    """Equations 2.3 to 2.8 for one scale and one window X (S, C, h, w), biases included."""

    def conv(W, x, bias=None):
        return torch.nn.functional.conv2d(x[None], W, bias, padding=1)[0]

    H, c = X[0], torch.zeros_like(X[0])
    for x in X[1:]:
        if tce.offsets != "none":
            seen = torch.cat([H, x]) if tce.offsets == "both" else H
            H = deform(H[None], conv(tce.W_of.weight, seen, tce.W_of.bias)[None])[0]
        if tce.aggregation == "sum":
            H = x + H
            continue
        W_Xi, W_Xf, W_Xo, W_Xc = tce.W_X.weight.chunk(4)
        b_i, b_f, b_o, b_c = tce.W_X.bias.chunk(4)
        W_Hi, W_Hf, W_Ho, W_Hc = tce.W_H.weight.chunk(4)
        i = torch.sigmoid(conv(W_Xi, x, b_i) + conv(W_Hi, H))
        f = torch.sigmoid(conv(W_Xf, x, b_f) + conv(W_Hf, H))
        o = torch.sigmoid(conv(W_Xo, x, b_o) + conv(W_Ho, H))
        c = f * c + i * torch.tanh(conv(W_Xc, x, b_c) + conv(W_Hc, H))
        H = o * torch.tanh(c)
    return H


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("offsets", OFFSETS)
def test_a_window_is_equations_2_3_to_2_8(aggregation, offsets, random):
    tce = randomised(TCE(C, aggregation=aggregation, offsets=offsets), random)
    maps = random(9, C, SIZE, SIZE)
    rows = torch.tensor([[0, 1, 2, 3], [8, 7, 6, 5], [2, 2, 3, 4]])
    with torch.no_grad():
        found = tce(maps, tce.input_gates(maps), rows)
        literal = torch.stack([literal_window(tce, maps[window]) for window in rows])
    torch.testing.assert_close(found, literal)


def test_a_start_at_zero_takes_one_step_more(random):
    tce = randomised(TCE(C, start="zeros"), random)
    maps = random(3, C, SIZE, SIZE)
    gates = tce.input_gates(maps)
    zero = torch.zeros(1, C, SIZE, SIZE, dtype=torch.float64)
    H, c = tce.step(maps[:1], gates[:1], zero, zero)
    H, c = tce.step(maps[1:2], gates[1:2], H, c)
    torch.testing.assert_close(tce(maps, gates, torch.tensor([[0, 1]])), H)


def test_it_begins_without_moving_anything(random):
    tce = TCE(C).double()
    H = random(2, C, SIZE, SIZE)
    assert (tce.offset_field(H, H) == 0).all()
    torch.testing.assert_close(tce.shift(H, H), H)


def test_forget_gates_begin_open():
    bias = TCE(C, scales=2).W_X.bias.view(2, 4, C)
    assert (bias[:, 1] == 1).all() and (bias[:, [0, 2, 3]] == 0).all()


@pytest.mark.parametrize("offsets", ["state", "both"])
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_one_grouped_module_is_four_separate_ones(offsets, aggregation, random):
    four = randomised(TCE(C, 4, aggregation=aggregation, offsets=offsets), random)
    maps, rows = random(5, 4 * C, SIZE, SIZE), torch.tensor([[0, 1, 2], [4, 3, 2]])
    together = four(maps, four.input_gates(maps), rows)
    state = four.state_dict()
    apart = []
    for m in range(4):
        one = TCE(C, aggregation=aggregation, offsets=offsets).double()
        one.load_state_dict({name: value.chunk(4)[m] for name, value in state.items()})
        mine = maps[:, m * C : (m + 1) * C]
        apart.append(one(mine, one.input_gates(mine), rows))
    torch.testing.assert_close(together, torch.cat(apart, dim=1))


def test_truncated_windows_do_not_step_over_repetitions(random):
    tce = randomised(TCE(C), random)
    maps = random(4, C, SIZE, SIZE)
    gates = tce.input_gates(maps)
    clamped, short = torch.tensor([[0, 0, 0, 1, 2]]), torch.tensor([[0, 1, 2]])
    torch.testing.assert_close(tce(maps, gates, clamped, truncate=True), tce(maps, gates, short))
    assert (tce(maps, gates, clamped) - tce(maps, gates, short)).abs().max() > 1e-3


@pytest.mark.parametrize(("name", "known"), [("aggregation", "sum"), ("start", "features"),
                                             ("offsets", "state")])  # fmt: skip
def test_an_unknown_option_is_answered_with_the_known_ones(name, known):
    with pytest.raises(ValueError, match=f"unknown {name} 'x'; known: {known}"):
        TCE(C, **{name: "x"})


def test_known_options_are_used():
    assert set(STARTS) == {"features", "zeros"} and set(OFFSETS) == {"state", "both", "none"}


# ---------------------------------------------------------------- windows and directions


def test_windows_end_with_the_target_and_repeat_the_ends():
    before, after = windows(
        torch.tensor([1, 5, 9]), torch.tensor([0, 0, 0]), torch.tensor([9, 9, 9]), 3
    )
    assert before.tolist() == [[0, 0, 0, 1], [2, 3, 4, 5], [6, 7, 8, 9]]
    assert after.tolist() == [[4, 3, 2, 1], [8, 7, 6, 5], [9, 9, 9, 9]]


def test_windows_with_a_stride_and_without_neighbours():
    one = torch.tensor([7])
    before, after = windows(one, torch.tensor([2]), torch.tensor([30]), 2, stride=3)
    assert before.tolist() == [[2, 4, 7]] and after.tolist() == [[13, 10, 7]]
    before, after = windows(one, torch.tensor([2]), torch.tensor([30]), 0)
    assert before.tolist() == after.tolist() == [[7]]


def network(random, **options):
    # Eight channels: a quarter of them is what a scale has.
    return randomised(VideoNetwork(8, 3, 4, **options), random)


@pytest.mark.parametrize("front", ["single", "same", "multi"])
@pytest.mark.parametrize("separate", [False, True])
def test_both_directions_are_added(front, separate, random):
    net = network(random, front=front, separate=separate)
    X, rows = random(7, 8, SIZE, SIZE), torch.tensor([3])
    before, after = windows(rows, torch.tensor([0]), torch.tensor([6]), 3)
    maps, gates = net.prepare(X)
    later = net.tce_after or net.tce
    forwards = net.tce(maps, gates, before)
    backwards = later(maps, later.input_gates(maps), after)
    torch.testing.assert_close(net.enhance(maps, gates, before, after), forwards + backwards)
    one = network(random, front=front, directions=1)
    maps, gates = one.prepare(X)
    torch.testing.assert_close(
        one.enhance(maps, gates, before, after), one.tce(maps, gates, before)
    )


def test_time_reversed_is_the_same_with_shared_weights(random):
    net = network(random)
    X = random(7, 8, SIZE, SIZE)
    before, after = windows(torch.tensor([3]), torch.tensor([0]), torch.tensor([6]), 3)
    torch.testing.assert_close(net(X, before, after), net(X.flip(0), before, after))


def test_without_neighbours_it_is_a_frame_model(random):
    net = network(random, front="single")
    X = random(3, 8, SIZE, SIZE)
    rows = torch.tensor([[0], [1], [2]])
    torch.testing.assert_close(net(X, rows, rows), net.decoder(net.front(X)))


def test_residual_adds_the_targets_own_features(random):
    net = network(random, residual=True)
    plain = deepcopy(net)
    plain.residual = False
    X = random(7, 8, SIZE, SIZE)
    before, after = windows(torch.tensor([3]), torch.tensor([0]), torch.tensor([6]), 3)
    maps, gates = net.prepare(X)
    H = net.enhance(maps, gates, before, after)
    torch.testing.assert_close(net(X, before, after), net.decoder(H + X[3:4]))
    assert not torch.allclose(net(X, before, after), plain(X, before, after))


@pytest.mark.parametrize("front", ["single", "multi"])
def test_what_is_added_is_nothing_at_the_start_and_is_learned(front, random):
    net = network(random, front=front, added=True)
    frames = network(random, front="none")
    frames.decoder.load_state_dict(net.decoder.state_dict())  # the same size: all channels
    X = random(7, 8, SIZE, SIZE)
    before, after = windows(torch.tensor([3]), torch.tensor([0]), torch.tensor([6]), 3)
    assert not torch.allclose(net(X, before, after), frames(X, before, after))
    fresh = VideoNetwork(8, 3, 4, front=front, added=True).double().eval()
    fresh.decoder.load_state_dict(net.decoder.state_dict())
    torch.testing.assert_close(fresh(X, before, after), frames(X, before, after))
    fresh(X, before, after).square().sum().backward()
    assert fresh.added.weight.grad.abs().max() > 0


# ---------------------------------------------------------------- the thesis' size


def test_sizes_at_the_thesis_size():
    with torch.device("meta"):
        net = VideoNetwork(2048, 15)
        X = torch.empty(3, 2048, 8, 8)
        rows = torch.tensor([[0, 1]], device="meta")
        maps, gates = net.prepare(X)
        assert maps.shape == (3, 2048, 8, 8) and gates.shape == (3, 4 * 2048, 8, 8)
        assert net.decoder(torch.empty(1, 2048, 8, 8)).shape == (1, 15, 64, 64)
        assert net.tce.offset_field(X, X).shape == (3, 4, 2, 8, 8)
        assert rows.shape == (1, 2)
    gate_weights = sum(p.numel() for p in (net.tce.W_X.weight, net.tce.W_H.weight))
    assert gate_weights == 4 * (512 + 512) * 4 * 512 * 9
    assert math.isclose(gate_weights / 1e6, 75.5, abs_tol=0.05)


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="unknown front 'pyramids'"):
        VideoNetwork(8, 3, front="pyramids")
    with pytest.raises(ValueError, match="directions must be 1 or 2, got 3"):
        VideoNetwork(8, 3, directions=3)
