"""The literal rows of Figure 3.6: the printed loss, and runs that can be repeated."""

import pytest
import torch
from posebook.training.loop.draws import draw

from posebook import lifting
from posebook.data.pairs import collect, draw_views, gather
from posebook.data.recorded.views import make_views
from posebook.lifting import literal, losses


@pytest.fixture(scope="module")
def pairs():
    views = collect(make_views(lifting.rows.PROFILES["smoke"].size, noise="none")[0])
    return gather(views, torch.arange(32), *draw_views(views, 32, draw(0, 0)))


def test_far_from_the_pole_it_is_the_loss_of_every_other_row(pairs):
    b = pairs
    G1, G2 = b.Y1 + 0.1, b.Y2 - 0.1  # wrong poses, metres in front of every camera
    clamped = losses.total(
        losses.reprojection(G1, G2, b.X1, b.X2, b.w1, b.w2),
        losses.transform_reprojection(G1, G2, b.X1, b.X2, b.w1, b.w2, b.R12, b.t12, b.R21, b.t21),
    )
    torch.testing.assert_close(literal.plain_loss(G1, G2, b), clamped)


def test_near_the_pole_only_the_plain_loss_explodes(pairs):
    b = pairs
    near = b.Y1.clone()
    near[..., 2] = 1e-3
    plain = literal.plain_loss(near, b.Y2, b)
    clamped = losses.reprojection(near, b.Y2, b.X1, b.X2, b.w1, b.w2)
    assert plain > 1e4 * clamped


def test_a_run_can_be_repeated_and_an_unknown_row_is_refused():
    first, second = (literal.run("smoke", "root-vector-plain-pretrained", 1) for _ in range(2))
    assert first["metrics"] == second["metrics"] and "pretraining_loss" in first["curves"]
    assert "posebook.lifting.literal" in first["modules"]
    with pytest.raises(ValueError, match="unknown variant 'root'"):
        literal.run("smoke", "root", 0)
