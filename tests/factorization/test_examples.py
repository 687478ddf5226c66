"""Figures 4.3 and 4.4: examples chosen by rule, the latter on real detections."""

from dataclasses import replace

import pytest
import torch

from posebook import factorization
from posebook.factorization import examples as factorization_examples
from posebook.metrics.pose3d import mpjpe, scaled


def test_places_are_spread_over_take_and_cameras():
    pictures = factorization.evaluate.real_pictures("shift", "cpu")
    places = factorization_examples.choose(pictures)
    assert [view for _, view in places] == [0, 1, 2, 3]
    assert all(abs(instant - ideal) <= 3 for (instant, _), ideal in zip(places, (12, 37, 62, 87)))
    gap = replace(pictures, Y=pictures.Y.clone())
    gap.Y[places[0][0], 0, 5] = torch.nan
    assert factorization_examples.choose(gap)[0][0] > places[0][0]


class Right(torch.nn.Module):
    """A network that answers with the truth behind each picture, three times too large."""

    def __init__(self, pictures):
        super().__init__()
        self.X, self.Y = pictures.X.flatten(0, 1), pictures.Y.flatten(0, 1)
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, X):
        at = [int((self.X == x).flatten(1).all(1).nonzero()[0]) for x in X]
        return 3 * self.Y[at].nan_to_num(), torch.eye(3).expand(len(X), 3, 3)


def test_real_examples_hold_what_a_network_says_there_at_the_size_of_the_truth():
    pictures = factorization.evaluate.real_pictures("shift", "cpu")
    poses, distance = factorization_examples.real_poses(Right(pictures), "shift")
    places = factorization_examples.choose(pictures)
    assert [(pose["instant"], pose["view"]) for pose in poses] == places
    for pose, place in zip(poses, places, strict=True):
        torch.testing.assert_close(pose["truth"], pictures.Y[place])
        torch.testing.assert_close(pose["X"], pictures.X[place])
        torch.testing.assert_close(pose["canonical"], 3 * pictures.Y[place])
        torch.testing.assert_close(pose["pose"], pose["truth"], atol=1e-5, rtol=0)
    assert distance == pytest.approx(0, abs=1e-2)


def test_examples_of_the_test_are_three_instants_from_two_sides():
    pictures = factorization.evaluate.real_pictures("shift", "cpu")
    actions = tuple(f"action {i}" for i in range(len(pictures)))
    model = factorization.prepare.build(
        factorization.rows.PROFILES["smoke"], factorization.rows.VARIANTS["baseline"], None
    ).eval()
    poses = factorization_examples.example_poses(model, pictures, actions)
    n = len(pictures)
    assert [pose["instant"] for pose in poses] == [n // 6, n // 2, 5 * n // 6]
    for pose in poses:
        instant = pose["instant"]
        assert pose["action"] == f"action {instant}"
        Y_hat, R = model(pictures.X[instant, :2])
        torch.testing.assert_close(pose["canonical"], Y_hat)
        pose_there = scaled(Y_hat @ R, pictures.Y[instant, :2])
        torch.testing.assert_close(pose["pose"], pose_there, equal_nan=True)
        if pose["truth"].isfinite().all():
            assert (mpjpe(pose["pose"], pose["truth"]) <= mpjpe(Y_hat @ R * 0, pose["truth"])).all()
