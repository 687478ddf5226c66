"""Figure 2.8's offset fields beside the true motion of the picture."""

import numpy as np
import pytest
import torch

from posebook.experiments.catalogue import settings
from posebook.video import base_network as pretraining
from posebook.video import crops
from posebook.video.crops import crop_matrix
from posebook.video.network import VideoNetwork
from posebook.video.offsets import correlation, middle, motion_in_cells, offset_field


def test_motion_of_a_shifted_picture_says_where_its_content_came_from():
    flow = np.zeros((240, 320, 2))
    flow[..., 0] = 16.0  # everything goes right by 16 pixels
    M = crop_matrix(torch.tensor([[100.0, 60.0, 200.0, 160.0]]), 125)[0]  # one pixel is one pixel
    motion = motion_in_cells(flow, M, M, 125, 5)
    np.testing.assert_allclose(motion[0], -16 / 25, atol=1e-9)
    np.testing.assert_allclose(motion[1], 0, atol=1e-9)


def test_a_crop_that_follows_the_person_takes_the_motion_out():
    flow = np.zeros((240, 320, 2))
    flow[..., 1] = 7.0
    box = torch.tensor([[100.0, 60.0, 200.0, 160.0]])
    M, M_next = crop_matrix(box, 125)[0], crop_matrix(box + torch.tensor([0, 7.0, 0, 7.0]), 125)[0]
    motion = motion_in_cells(flow, M, M_next, 125, 5)
    np.testing.assert_allclose(motion, 0, atol=1e-9)


def test_correlation_of_equal_opposite_and_independent_fields():
    a = np.random.default_rng(0).standard_normal((30, 2, 4, 4))
    b = np.random.default_rng(1).standard_normal((30, 2, 4, 4))
    assert correlation(a, 3 * a + 1)[0] == pytest.approx(1)
    assert correlation(a, -a)[0] == pytest.approx(-1)
    mean, low, high = correlation(a, b)
    assert low < 0 < high and abs(mean) < 0.15
    assert correlation(a, 0 * b)[0] == 0


def test_offset_field_is_that_of_the_last_step():
    torch.manual_seed(0)
    size, row = settings("video", "smoke", "res50-tce-bc")
    encoder = pretraining.build(size.base, 15).encoder.eval()
    model = VideoNetwork(encoder.channels, 15, 16, front="single", directions=1).eval()
    torch.nn.init.normal_(model.tce.W_of.weight, std=0.05)
    pictures = torch.randint(0, 255, (4, 64, 64, 3), dtype=torch.uint8)
    seen = []
    shift = model.tce.shift
    model.tce.shift = lambda H, X: seen.append(model.tce.offset_field(H, X)) or shift(H, X)
    with torch.inference_mode():
        X = encoder(crops.normalised(pictures))
        rows = torch.arange(4)[None]
        model(X, rows, rows)
        found = offset_field(encoder, model, pictures, N=3)
    torch.testing.assert_close(found, seen[2][0, 0], atol=1e-5, rtol=1e-4)
    assert found.abs().max() > 0


def test_the_frame_that_is_looked_at_has_two_before_it():
    assert [middle(length) for length in (3, 4, 5, 12)] == [2, 2, 2, 6]
