"""Implicit labels are where the loss of all pairs of views is least."""

import numpy as np
import pytest
import torch

from posebook.data.pairs import gather
from posebook.data.recorded.views import ViewsSize, make_views
from posebook.data.views import collect
from posebook.geometry.camera import project, transform
from posebook.lifting import losses
from posebook.lifting.implicit import implicit_labels, view_weights


@pytest.fixture(scope="module", params=["none", "strong-occlusion"])
def data(request):
    sequences = make_views(ViewsSize(1, 3, 1), noise=request.param)[0]
    return request.param, collect(sequences), sequences


def gradient(views, labels, weight, lam):
    """Of the mean over partners of what L_T says about the bodies of view 1, (I, J, 3)."""
    Y = labels[:, 1].double().requires_grad_(True)
    rows = torch.arange(len(views))
    total = 0.0
    for other in (0, 2, 3):
        p = gather(views, rows, torch.ones_like(rows), torch.full_like(rows, other))
        a, _ = losses.pair_weights(p.w1, p.w2, weight)
        there = project(transform(Y, p.R12.double(), p.t12.double()))
        total = total + (p.w1 * (p.X1 - project(Y)).square().sum(-1)).sum() / 3
        total = total + lam * (a * (p.X2 - there).square().sum(-1)).sum() / 3
    return torch.autograd.grad(total, Y)[0]


@pytest.mark.parametrize("weight", losses.WEIGHTS)
@pytest.mark.parametrize("lam", [1.0, 3.0])
def test_the_loss_is_least_there(data, weight, lam):
    noise, views, sequences = data
    labels = implicit_labels(views, weight, lam)
    if noise == "none":
        torch.testing.assert_close(labels, views.Y, rtol=0, atol=1e-4)
        return
    here = gradient(views, labels, weight, lam).norm(dim=-1).median()
    aside = gradient(views, labels + 0.02, weight, lam).norm(dim=-1).median()
    assert here < 0.02 * aside


def test_the_source_weight_decides_nothing():
    w = np.random.default_rng(0).uniform(0.1, 1, (5, 4))
    weights = view_weights(w, own=2)
    np.testing.assert_allclose(weights / weights[:, 2:3], [[1 / 3, 1 / 3, 1, 1 / 3]] * 5)


def test_each_choice_by_hand():
    w = np.array([0.5, 0.8, 0.2, 1.0])
    by_hand = {
        "source": [0.5, 0.5 / 3, 0.5 / 3, 0.5 / 3],
        "target": [0.5, 0.8 / 3, 0.2 / 3, 1 / 3],
        "product": [0.5, 0.4 / 3, 0.1 / 3, 0.5 / 3],
        "none": [0.5, 1 / 3, 1 / 3, 1 / 3],
    }
    for weight, expected in by_hand.items():
        np.testing.assert_allclose(view_weights(w, 0, weight), expected)
    np.testing.assert_allclose(view_weights(w, 0, "target", lam=3.0), w)
    assert view_weights(np.array([1.0, 0.0]), 0, "none").tolist() == [1.0, 0.0]
    assert view_weights(np.array([0.0, 1.0, 1.0]), 0, "none").tolist() == [0.0, 0.0, 0.0]
    # A view that lacks the joint has no say, whoever's confidence is asked for.
    assert view_weights(np.array([0.9, 0.0, 0.8]), 0, "source").tolist() == [0.9, 0.0, 0.45]
    with pytest.raises(ValueError, match="unknown confidence weight 'both'; known: source"):
        view_weights(w, 0, "both")
