"""Chapter 2's losses: closed forms, weights, gradients, and that all three agree at the truth."""

import pytest
import torch
from torch.autograd import gradcheck

from posebook.video import heads, heatmaps
from posebook.video import losses as video_losses

B, K, SIZE, CROP = 3, 5, 16, 64


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_equation_2_12_is_the_sum_and_ours_its_mean(generator):
    maps, truth = torch.rand(2, B, K, SIZE, SIZE, generator=generator)
    literal = 0.0
    for b in range(B):
        for k in range(K):
            for y in range(SIZE):
                for x in range(SIZE):
                    literal += float(maps[b, k, y, x] - truth[b, k, y, x]) ** 2
    found = video_losses.heatmap(maps, truth, torch.ones(B, K))
    assert found * B * K * SIZE**2 == pytest.approx(literal, rel=1e-5)


@pytest.mark.parametrize("loss", video_losses.LOSSES)
def test_a_joint_without_weight_costs_nothing(loss, generator):
    joints = CROP * torch.rand(B, K, 2, generator=generator)
    output = (torch.rand(B, K, 2, generator=generator) if loss == "regression"
              else torch.rand(B, K, SIZE, SIZE, generator=generator))  # fmt: skip
    counted = torch.ones(B, K, dtype=torch.bool)
    counted[:, 2] = False
    other = joints.clone()
    other[:, 2] += 9
    found = [heads.loss_of(loss, output, j, counted, CROP, 1.0) for j in (joints, other)]
    assert found[0] == found[1] > 0
    assert heads.loss_of(loss, output, joints, counted & False, CROP, 1.0) == 0


def test_the_weights_are_averaged_over_what_counts():
    truth = torch.zeros(1, 4, 2)
    off = truth.clone()
    off[0, 1] = torch.tensor([0.3, 0.4])
    weights = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    assert video_losses.regression(off, truth, weights) == pytest.approx(0.7 / 2)


def test_coordinates_of_cells_and_crops_agree():
    """The same place in a crop has the same coordinate, whatever the map's size."""
    pixels = torch.tensor([[10.0, 50.0]])
    cells = heatmaps.to_cells(pixels, CROP, SIZE)
    there = video_losses.in_crop(pixels, CROP)
    torch.testing.assert_close(there, video_losses.in_crop(cells, SIZE))
    torch.testing.assert_close(video_losses.from_crop(there, CROP), pixels)
    edge = video_losses.in_crop(torch.tensor([-0.5, CROP - 0.5]), CROP)
    assert edge.tolist() == [-0.5, 0.5]


def test_a_joint_outside_the_crop_does_not_count(generator):
    inside, outside = torch.tensor([[[30.0, 30.0]]]), torch.tensor([[[-40.0, 30.0]]])
    for loss in video_losses.LOSSES:
        shape = (1, 1, 2) if loss == "regression" else (1, 1, SIZE, SIZE)
        output = torch.rand(shape, generator=generator)
        counted = torch.ones(1, 1, dtype=torch.bool)
        assert heads.loss_of(loss, output, inside, counted, CROP, 1.0) > 0
        assert heads.loss_of(loss, output, outside, counted, CROP, 1.0) == 0


@pytest.mark.parametrize("loss", video_losses.LOSSES)
def test_what_fits_perfectly_is_decoded_perfectly(loss, generator):
    joints = 8 + 48 * torch.rand(B, K, 2, generator=generator)
    cells = heatmaps.to_cells(joints, CROP, SIZE)
    if loss == "regression":
        output = video_losses.in_crop(joints, CROP)
    else:
        output = heatmaps.encode(cells, SIZE, sigma=1.0)[0]
        if loss == "integral":  # whose softmax is the same peak, of sum 1
            output = output.clamp(min=1e-12).log()
    value = heads.loss_of(loss, output, joints, torch.ones(B, K, dtype=torch.bool), CROP, 1.0)
    found, score = heads.joints_of(loss, output, CROP)
    cell = CROP / SIZE
    assert (found - joints).abs().max() <= (0.26 * cell if loss == "heatmap" else 0.1 * cell)
    assert value < 0.02 and score.min() > 0


def test_an_unknown_loss_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown loss 'focal'; known: heatmap, integral"):
        heads.loss_of("focal", torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 2),
                      torch.ones(1, 1, dtype=torch.bool), CROP, 1.0)  # fmt: skip


def test_gradients(generator):
    maps = torch.rand(2, 2, 4, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    truth = torch.rand(2, 2, 4, 4, generator=generator, dtype=torch.float64)
    place = torch.rand(2, 2, 2, generator=generator, dtype=torch.float64) - 0.5
    weights = torch.tensor([[1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    assert gradcheck(lambda m: video_losses.heatmap(m, truth, weights), maps)
    assert gradcheck(lambda m: video_losses.integral(m, place, weights), maps)
