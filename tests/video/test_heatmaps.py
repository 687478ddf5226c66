"""Heatmaps: encoding and decoding are a pair, to a fraction of a cell."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from posebook.video import heatmaps
from posebook.video.heads import joints_of

SIZE = 64


@pytest.fixture
def cells():
    generator = torch.Generator().manual_seed(0)
    return 4 + 56 * torch.rand(200, 15, 2, generator=generator, dtype=torch.float64)


def test_pixels_and_cells_are_inverse_and_share_corners():
    pixels = torch.tensor([[-0.5, 255.5], [127.5, 0.0]])
    cells = heatmaps.to_cells(pixels, 256, SIZE)
    torch.testing.assert_close(cells, torch.tensor([[-0.5, 63.5], [31.5, -0.375]]))
    torch.testing.assert_close(heatmaps.to_pixels(cells, 256, SIZE), pixels)


def test_a_peak_is_a_gaussian_of_height_one_cut_off_at_three_sigma():
    maps, inside = heatmaps.encode(torch.tensor([[20.0, 31.0]]), SIZE)
    assert maps.shape == (1, SIZE, SIZE) and inside.all()
    assert maps[0, 31, 20] == 1
    assert maps[0, 31, 22] == pytest.approx(math.exp(-0.5))
    assert maps[0, 33, 22] == pytest.approx(math.exp(-1))
    assert maps[0, 31, 26] > 0 and maps[0, 31, 27] == 0


def test_decoding_finds_the_joint_within_the_quarter_cell_rule(cells):
    """Nearest cell, a quarter towards the joint: at most a quarter of a cell off in x and y."""
    found, score = heatmaps.decode(heatmaps.encode(cells, SIZE)[0])
    assert (found - cells).abs().max() <= 0.25 + 1e-9
    # Uniform between cells, the distance to the nearest of the two quarter points.
    assert (found - cells).abs().mean() == pytest.approx(0.125, abs=0.005)
    assert score.min() > 0.9


def test_rounding_the_peak_costs_a_quarter_cell_more_at_most(cells):
    found, _ = heatmaps.decode(heatmaps.encode(cells, SIZE, rounded=True)[0])
    assert (found - cells).abs().max() <= 0.5 + 1e-9
    assert (found - cells).abs().mean() == pytest.approx(0.25, abs=0.01)


def test_soft_argmax_finds_a_sharp_peak_exactly(cells):
    logits = 40 * heatmaps.encode(cells, SIZE, sigma=3)[0]
    torch.testing.assert_close(heatmaps.soft_argmax(logits), cells, atol=0.05, rtol=0)


def test_soft_argmax_of_nothing_is_the_middle():
    out = heatmaps.soft_argmax(torch.zeros(2, 3, 8, 16))
    torch.testing.assert_close(out, torch.tensor([7.5, 3.5]).expand(2, 3, 2))


def test_soft_argmax_has_the_right_gradient():
    maps = torch.randn(2, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert gradcheck(heatmaps.soft_argmax, maps)


def test_a_joint_outside_its_map_leaves_it_empty():
    far = torch.tensor([[-6.1, 10.0], [10.0, 70.0], [-5.0, 10.0]])
    maps, inside = heatmaps.encode(far, SIZE)
    assert inside.tolist() == [False, False, True]
    assert maps[:2].max() == 0 and maps[2].max() > 0


def test_decoding_an_empty_map_gives_its_middle():
    found, score = heatmaps.decode(torch.zeros(1, 2, 8, 8))
    assert (found == 3.5).all() and (score == 0).all()


@pytest.mark.parametrize(("x", "y"), [(0, 3), (7, 3), (3, 0), (3, 7), (0, 0)])
def test_at_the_border_there_is_no_quarter_step_across_it(x, y):
    maps = torch.zeros(1, 8, 8)
    maps[0, y, x] = 1
    assert heatmaps.decode(maps)[0].tolist() == [[x, y]]


def test_maps_that_are_not_square():
    maps = torch.zeros(1, 4, 9)
    maps[0, 2, 7] = 1
    maps[0, 2, 8] = 0.5
    assert heatmaps.decode(maps)[0].tolist() == [[7.25, 2]]


def test_a_map_that_is_not_a_number_has_no_joint():
    maps = torch.zeros(2, 8, 8)
    maps[:, 3, 5] = 1
    maps[1, 0, 0] = torch.nan
    cells, score = heatmaps.decode(maps)
    assert cells[0].tolist() == [5, 3] and score.tolist() == [1, 0]
    assert cells[1].isnan().all()


@pytest.mark.parametrize("loss", ["heatmap", "integral", "regression"])
def test_a_joint_that_is_not_a_number_has_no_score(loss):
    output = torch.ones(1, 2, 2) if loss == "regression" else torch.ones(1, 2, 8, 8)
    output[0, 1] = torch.nan
    joints, score = joints_of(loss, output, 32)
    assert joints[0, 0].isfinite().all() and score[0, 0] > 0
    assert joints[0, 1].isnan().all() and score[0, 1] == 0


def test_encoding_at_the_border_by_hand():
    """Peaks at -0.4, -0.6 and 7.4 of an 8 x 8 map: exp(-d^2 / 2) at the nearest cell each way."""
    joints = torch.tensor([[-0.4, 3.0], [-0.6, 3.0], [-7.0, 3.0], [7.4, 7.4], [torch.nan, 3.0]])
    maps, inside = heatmaps.encode(joints, 8, 1.0)
    assert inside.tolist() == [True, True, False, True, False]
    expected = [math.exp(-0.08), math.exp(-0.18), 0, math.exp(-0.16), 0]
    torch.testing.assert_close(maps.amax((-1, -2)), torch.tensor(expected))
