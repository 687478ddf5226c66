"""Crops: the box becomes the crop, joints come back, augmentation and erasing keep their ranges."""

import math

import cv2
import numpy as np
import pytest
import torch

from posebook.geometry.skeleton import JHMDB
from posebook.video import crops
from posebook.video.crops import Augmentation

S = 64


@pytest.fixture
def random():
    return torch.Generator().manual_seed(0)


def boxes(n, generator):
    corner = 200 * torch.rand(n, 2, generator=generator, dtype=torch.float64)
    extent = 5 + 150 * torch.rand(n, 2, generator=generator, dtype=torch.float64)
    return torch.cat([corner, corner + extent], dim=1)


def plain(n, rotation=0.0, scale=1.0, flip=False):
    return Augmentation(
        torch.full((n,), rotation, dtype=torch.float64),
        torch.full((n,), scale, dtype=torch.float64),
        torch.full((n,), flip),
    )


def test_a_box_is_made_square_and_enlarged_about_its_centre():
    center, side = crops.square(torch.tensor([[10.0, 20.0, 50.0, 100.0]]))
    assert center.tolist() == [[30, 60]] and side.tolist() == [100]  # 1.25 x 80


@pytest.mark.parametrize("box", [[5, 5, 5, 9], [5, 5, 2, 9], [1, 4, 3, 4]])
def test_a_box_without_area_is_refused(box):
    with pytest.raises(ValueError, match="x2 > x1 and y2 > y1, got"):
        crops.crop_matrix(torch.tensor([[0, 0, 4, 4], box]).double(), S)


def test_the_box_fills_the_crop():
    box = torch.tensor([[100.0, 40.0, 180.0, 120.0]])  # 80 px, enlarged to 100
    M = crops.crop_matrix(box, S)
    edges = torch.tensor([[[90.0, 30.0], [190.0, 130.0], [140.0, 80.0]]])
    expected = torch.tensor([[[-0.5, -0.5], [S - 0.5, S - 0.5], [(S - 1) / 2, (S - 1) / 2]]])
    torch.testing.assert_close(crops.apply_affine(M, edges), expected)


def test_joints_come_back_from_any_crop(random):
    M = crops.crop_matrix(boxes(500, random), 256, crops.draw_augmentation(500, random))
    joints = 400 * torch.rand(500, 15, 2, generator=random) - 50
    back = crops.apply_affine(crops.inverse(M), crops.apply_affine(M, joints))
    assert (back - joints).abs().max() < 1e-4


def test_rotation_is_clockwise_scale_enlarges_the_box_and_flip_mirrors():
    box = torch.tensor([[0.0, 0.0, 80.0, 80.0]])
    right = torch.tensor([[[60.0, 40.0]]])  # 20 px to the right of the centre

    def seen(augmentation):
        moved = crops.apply_affine(crops.crop_matrix(box, 100, augmentation), right) - 49.5
        return moved[0, 0].tolist()

    assert seen(plain(1)) == pytest.approx([20, 0])
    assert seen(plain(1, rotation=90)) == pytest.approx([0, 20], abs=1e-5)  # down
    assert seen(plain(1, scale=1.25)) == pytest.approx([16, 0])
    assert seen(plain(1, flip=True)) == pytest.approx([-20, 0])


def test_draws_are_uniform_in_their_ranges(random):
    drawn = crops.draw_augmentation(20000, random)
    for values, low, high in ((drawn.rotation, -40, 40), (drawn.scale, 0.75, 1.25)):
        assert low <= values.min() < low + 0.01 * (high - low)
        assert high >= values.max() > high - 0.01 * (high - low)
        assert values.std() == pytest.approx((high - low) / math.sqrt(12), rel=0.02)
    assert drawn.flip.float().mean() == pytest.approx(0.5, abs=0.02)


def test_a_window_shares_one_draw(random):
    drawn = crops.draw_augmentation(3, random)[torch.tensor([0, 0, 0, 2, 2])]
    assert drawn.rotation.unique().numel() == 2 and len(drawn.flip) == 5


def test_left_and_right_change_places_only_where_flipped():
    joints = torch.arange(2 * len(JHMDB) * 2).view(2, len(JHMDB), 2)
    out = crops.relabel(joints, torch.tensor([False, True]), JHMDB.flip)
    assert torch.equal(out[0], joints[0])
    left, right = JHMDB.index("LWrist", "RWrist")
    assert torch.equal(out[1, left], joints[1, right])
    assert torch.equal(out[1, JHMDB.index("Neck")[0]], joints[1, JHMDB.index("Neck")[0]])


def test_the_crop_shows_what_its_matrix_says(random):
    """A bright spot at a joint is found at the joint's place in the crop."""
    picture = np.zeros((240, 320, 3), np.uint8)
    joints = torch.tensor([[[120.0, 90.0], [160.0, 140.0]]])
    for x, y in joints[0].int().tolist():
        cv2.circle(picture, (x, y), 3, (255, 255, 255), -1)
    box = torch.tensor([[100.0, 60.0, 190.0, 170.0]])
    for seed in range(5):
        augmentation = crops.draw_augmentation(1, torch.Generator().manual_seed(seed))
        M = crops.crop_matrix(box, 128, augmentation)
        crop = crops.cut([picture], M, 128)[0].numpy()
        _, _, _, centers = cv2.connectedComponentsWithStats((crop[..., 0] > 160).astype(np.uint8))
        for place in crops.apply_affine(M, joints)[0].numpy():
            assert np.linalg.norm(centers[1:] - place, axis=1).min() < 0.6


def test_outside_the_picture_is_the_mean_colour_and_zero_to_the_network():
    picture = np.full((20, 30, 3), 255, np.uint8)
    M = crops.crop_matrix(torch.tensor([[100.0, 100.0, 120.0, 120.0]]), S)
    seen = crops.normalised(crops.cut([picture], M, S))
    assert seen.shape == (1, 3, S, S) and seen.abs().max() < 0.01
    white = crops.normalised(torch.full((1, 2, 2, 3), 255, dtype=torch.uint8))[0, :, 0, 0]
    expected = (1 - torch.tensor(crops.MEAN)) / torch.tensor(crops.STD)
    torch.testing.assert_close(white, expected)


def test_threads_change_nothing(random, monkeypatch):
    pictures = np.random.default_rng(0).integers(0, 255, (6, 50, 70, 3), dtype=np.uint8)
    M = crops.crop_matrix(boxes(6, random) / 4, S)
    one = crops.cut(pictures, M, S)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert torch.equal(crops.cut(pictures, M, S), one)


# ---------------------------------------------------------------- erasing


def test_erased_rectangles_have_the_printed_ranges(random):
    size, n = 256, 5000
    rectangles = crops.draw_rectangles(n, size, random)
    w, h = (rectangles[:, 2:] - rectangles[:, :2]).T
    erased = w > 0
    assert erased.float().mean() == pytest.approx(0.5, abs=0.02)
    area, aspect = (w * h)[erased] / size**2, (h / w)[erased]
    assert 0.018 < area.min() < 0.03 and 0.38 < area.max() < 0.405
    assert 0.28 < aspect.min() < 0.35 and 3.2 < aspect.max() < 3.5
    assert (rectangles >= 0).all() and (rectangles <= size).all()


def test_most_erased_rectangles_stand_upright(random):
    """As in the code that others copy: aspect is uniform, not its logarithm."""
    box = crops.draw_rectangles(4000, 256, random, probability=1.0)
    w, h = (box[:, 2:] - box[:, :2]).T
    assert (h > w).float().mean() == pytest.approx(0.77, abs=0.04)


def test_only_the_rectangle_is_erased():
    white = torch.full((2, S, S, 3), 255, dtype=torch.uint8)
    out = crops.erase(white, torch.tensor([[3, 5, 10, 7], [0, 0, 0, 0]]))
    mean = torch.tensor([round(255 * c) for c in crops.MEAN])
    assert (out[0, 5:7, 3:10] == mean).all()
    assert (out != 255).any(-1).sum() == 14
    assert torch.equal(out[1], white[1]) and (white == 255).all()


def test_pictures_of_every_kind_are_cut_as_rgb():
    """Grey and alpha once left what the memory held in the crop's other channels."""
    rng = np.random.default_rng(0)
    grey, alpha = rng.integers(0, 255, (2, 40, 50), dtype=np.uint8)
    M = crops.crop_matrix(torch.tensor([[5.0, 5.0, 30.0, 30.0]]), 32)
    expected = crops.cut([np.dstack([grey, grey, grey])], M, 32)
    for array in (grey, np.dstack([grey, alpha]), np.stack([grey, grey, grey])):
        assert torch.equal(crops.cut([array], M, 32), expected)
    with pytest.raises(ValueError, match=r"a picture must be .*got \(40, 50, 6\)"):
        crops.cut([np.zeros((40, 50, 6), np.uint8)], M, 32)
