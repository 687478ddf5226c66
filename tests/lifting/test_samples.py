"""New samples: what is not changed stays, what is changed is changed as asked."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from posebook.data.pairs import draw_views, gather
from posebook.data.recorded.views import ViewsSize, make_views
from posebook.data.views import collect
from posebook.geometry.camera import project, transform
from posebook.geometry.reflection import reflected
from posebook.geometry.skeleton import H36M
from posebook.lifting import samples
from posebook.lifting.samples import Changes, moved, renewed
from posebook.training.draws import draw

NOTHING = Changes(turn=0.0, body=0.0, bone=0.0, aside=0.0, height=0.0, mirror=False)
PARENTS = [max(p, 0) for p in H36M.parents]


@pytest.fixture(scope="module")
def sequences():
    return make_views(ViewsSize(1, 12, 1))[0]


@pytest.fixture(scope="module")
def views(sequences):
    return collect(sequences)


@pytest.fixture
def pairs(views):
    return gather(views, torch.arange(0, 512, 2), *draw_views(views, 256, draw(0, 0)))


@pytest.fixture
def up(views, pairs):
    return views.up[views.rig[pairs.instant], pairs.v1]


def lengths(Y):
    return (Y - Y[:, PARENTS]).norm(dim=-1)[:, 1:]


def one(B=256):
    return torch.zeros(B), torch.ones(B, 17), torch.zeros(B, 3)


@pytest.mark.parametrize("together", [True, False])
def test_with_nothing_changed_the_detections_come_back(together, views, pairs):
    new = renewed(pairs, views, NOTHING, together, draw(0, 1))
    for name in ("X1", "X2", "Y1", "Y2"):
        torch.testing.assert_close(
            getattr(new, name), getattr(pairs, name), atol=2e-5 if "X" in name else 1e-5, rtol=0
        )
    for name in ("w1", "w2", "R12", "t12"):
        assert torch.equal(getattr(new, name), getattr(pairs, name))


def test_the_residual_of_each_joint_is_kept(views, pairs):
    new = renewed(pairs, views, Changes(mirror=False), False, draw(0, 1))
    for X, Y, X0, Y0 in (
        (new.X1, new.Y1, pairs.X1, pairs.Y1), (new.X2, new.Y2, pairs.X2, pairs.Y2)
    ):  # fmt: skip
        torch.testing.assert_close(X - project(Y), X0 - project(Y0), atol=1e-5, rtol=0)
        assert (X - X0).abs().mean() > 0.02
    assert torch.equal(new.w1, pairs.w1)


def test_bones_are_as_many_times_as_long_as_asked(pairs, up):
    turn, _, shift = one()
    factors = torch.rand(256, 17, generator=draw(0, 2)) + 0.5
    new = moved(pairs.Y1, up, turn + 0.3, factors, shift)
    torch.testing.assert_close(lengths(new) / lengths(pairs.Y1), factors[:, 1:], rtol=1e-3, atol=0)


def test_left_and_right_change_alike_and_people_by_what_is_asked(pairs, up):
    new = samples.changed(pairs.Y1, up, Changes(), draw(0, 3))
    ratio = (lengths(new) / lengths(pairs.Y1)).log()
    sides = [int(j) - 1 for j in H36M.flip[1:]]
    torch.testing.assert_close(ratio, ratio[:, sides], atol=1e-3, rtol=0)
    assert float(ratio.std()) == pytest.approx(np.hypot(0.05, 0.05), rel=0.15)
    assert float(ratio.mean(1).std()) == pytest.approx(np.hypot(0.05, 0.05 / 3.2), rel=0.2)


def test_turns_are_about_the_vertical_through_the_root(sequences, views):
    """In the world, where the vertical is z: heights stay, headings change by the angle."""
    first = sequences[0]
    Y = views.Y[:12, 1]
    turn, factors, shift = one(12)
    new = moved(Y, views.up[views.rig[:12], 1], turn + 0.3, factors, shift)
    was = first.cameras[1].to_world(Y.double().numpy())
    now = first.cameras[1].to_world(new.double().numpy())
    was, now = was - was[:, :1], now - now[:, :1]
    np.testing.assert_allclose(now[..., 2], was[..., 2], atol=1e-5)
    c, s = np.cos(0.3), np.sin(0.3)
    by_hand = was[..., :2] @ np.array([[c, s], [-s, c]])
    np.testing.assert_allclose(now[..., :2], by_hand, atol=1e-5)


def test_shifts_have_the_spread_that_is_asked_on_the_ground_and_upwards(views, pairs, up):
    many = [samples.changed(pairs.Y1, up, Changes(), draw(0, s))[:, 0] for s in range(20)]
    shift = torch.cat([m - pairs.Y1[:, 0] for m in many])
    upwards = (shift * up.repeat(20, 1)).sum(-1)
    assert float(upwards.std()) == pytest.approx(0.12, rel=0.05)
    ground = (shift.square().sum(-1) - upwards**2).mean().sqrt()
    assert float(ground) == pytest.approx(0.3 * np.sqrt(2), rel=0.05)


def test_seen_together_both_views_see_one_body(views, pairs):
    new = renewed(pairs, views, Changes(), True, draw(0, 4))  # with mirrors
    torch.testing.assert_close(transform(new.Y1, new.R12, new.t12), new.Y2, atol=1e-4, rtol=0)
    torch.testing.assert_close(transform(new.Y2, new.R21, new.t21), new.Y1, atol=1e-4, rtol=0)
    apart = renewed(pairs, views, Changes(), False, draw(0, 4))
    assert (transform(apart.Y1, apart.R12, apart.t12) - apart.Y2).abs().mean() > 0.05


def test_mirrored_twice_is_what_it_was(pairs):
    assert torch.equal(reflected(reflected(pairs.Y1)), pairs.Y1)
    chosen = torch.arange(256) % 2 == 0
    once = samples.mirrored_pairs(pairs, chosen)
    twice = samples.mirrored_pairs(once, chosen)
    for name in ("X1", "X2", "w1", "w2", "Y1", "Y2", "R12", "R21", "t12", "t21"):
        assert torch.equal(getattr(twice, name), getattr(pairs, name)), name
        assert torch.equal(getattr(once, name)[1::2], getattr(pairs, name)[1::2]), name
    assert torch.equal(once.w1[::2], pairs.w1[::2][:, H36M.flip])
    left, right = H36M.index("LWrist", "RWrist")
    assert torch.equal(once.Y1[::2, left, 0], -pairs.Y1[::2, right, 0])
    assert torch.equal(once.X1[::2, left, 1], pairs.X1[::2, right, 1])


def test_half_of_the_samples_are_mirrored(views, pairs):
    new = renewed(pairs, views, replace(NOTHING, mirror=True), False, draw(0, 5))
    same = (new.Y1 - pairs.Y1).abs().amax((1, 2)) < 1e-3
    other = (new.Y1 - reflected(pairs.Y1)).abs().amax((1, 2)) < 1e-3
    assert (same ^ other).all() and 0.4 < float(same.float().mean()) < 0.6
