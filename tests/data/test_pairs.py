"""Pairs of views: each number is the record's, all pairs come, and nothing is done a sample."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from posebook.data.pairs import draw_views, gather
from posebook.data.views import collect
from posebook.geometry.camera import relative, transform
from posebook.training.draws import EpochOrder, draw


def some_pairs(views, n=200, seed=0):
    generator = draw(seed, 0)
    instant = torch.randint(len(views), (n,), generator=generator)
    return instant, *draw_views(views, n, generator)


def where(takes, instant):
    """(take, frame) of a row."""
    for take in takes:
        if instant < len(take):
            return take, instant
        instant -= len(take)


def test_pairs_are_those_of_the_records(takes, collected):
    instant, v1, v2 = some_pairs(collected)
    batch = gather(collected, instant, v1, v2)
    for k in range(0, len(instant), 10):
        take, frame = where(takes, int(instant[k]))
        for view, X, w, Y in (
            (v1, batch.X1, batch.w1, batch.Y1),
            (v2, batch.X2, batch.w2, batch.Y2),
        ):
            v = int(view[k])
            camera = take.cameras[v]
            rays = camera.rays(take.joints_2d[frame, v].astype(np.float64))
            np.testing.assert_allclose(X[k], rays, atol=1e-6)
            np.testing.assert_array_equal(w[k], take.confidence[frame, v])
            truth = camera.to_camera(take.joints_3d[frame].astype(np.float64))
            np.testing.assert_allclose(Y[k], truth, atol=1e-5)


def test_cameras_of_a_pair_carry_its_bodies_over(takes, collected):
    instant, v1, v2 = some_pairs(collected)
    p = gather(collected, instant, v1, v2)
    torch.testing.assert_close(transform(p.Y1, p.R12, p.t12), p.Y2, atol=1e-5, rtol=0)
    torch.testing.assert_close(transform(p.Y2, p.R21, p.t21), p.Y1, atol=1e-5, rtol=0)
    take, _ = where(takes, int(instant[0]))
    one, two = (take.cameras[int(v[0])] for v in (v1, v2))
    R, t = relative(one.R, one.center, two.R, two.center)
    np.testing.assert_allclose(p.R12[0], R, atol=1e-6)
    np.testing.assert_allclose(p.t12[0], t, atol=1e-5)


def test_records_without_truth_give_pairs_without_truth(takes):
    views = collect([replace(take, joints_3d=None) for take in takes])
    batch = gather(views, *some_pairs(views, 3))
    assert (
        views.Y is None and batch.Y1 is None and batch.Y2 is None and batch.X1.shape == (3, 17, 2)
    )


def test_one_view_makes_no_pair(takes):
    take = takes[0]
    alone = collect([replace(
        take, joints_2d=take.joints_2d[:, :1], confidence=take.confidence[:, :1],
        cameras=take.cameras[:1], occluded=None,
    )])  # fmt: skip
    with pytest.raises(ValueError, match="needs two views, the data has 1"):
        draw_views(alone, 5, draw(0, 0))


def test_all_twelve_ordered_pairs_are_equally_likely(collected):
    n = 120_000
    v1, v2 = draw_views(collected, n, draw(0, 0))
    counts = torch.bincount(4 * v1 + v2, minlength=16).reshape(4, 4)
    assert (counts.diagonal() == 0).all()
    expected, spread = n / 12, (n / 12 * 11 / 12) ** 0.5
    off = counts[~torch.eye(4, dtype=torch.bool)] - expected
    assert off.abs().max() < 4 * spread


def test_views_of_a_step_are_repeatable(collected):
    a, b, other = (draw_views(collected, 50, draw(0, step)) for step in (3, 3, 4))
    assert torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])
    assert not torch.equal(a[0], other[0])


def test_nothing_is_done_a_pair(collected, operations):
    """The whole data side of a step: as many operators for two hundred pairs as for two."""

    def step(order, size):
        gather(collected, order.batch(0), *draw_views(collected, size, draw(0, 0)))

    few, many = (
        operations(partial(step, EpochOrder(len(collected), size, seed=0), size))
        for size in (2, 200)
    )
    assert few == many
