"""Two people before the same cameras: who is who by lifting, and by lines alone."""

import numpy as np
import pytest
import torch

from posebook.data.recorded.views import make_views
from posebook.data.sources import ViewsSize
from posebook.data.views import collect
from posebook.geometry.camera import project, transform
from posebook.lifting import several


@pytest.fixture(scope="module")
def people():
    _, test = make_views(ViewsSize(1, 12, 1), noise="none")
    return several.companions(test[:3])


class Truth(torch.nn.Module):
    """A network that answers with the global poses of the views that it is asked for."""

    frames = 1

    def __init__(self, *people):
        super().__init__()
        self.known = {v.X.flatten(0, 1)[0].sum().item(): v.Y.flatten(0, 1) for v in people}

    def forward(self, X):
        Y = self.known[X[0].sum().item()]
        return Y - Y[:, :1], Y[:, 0]


def test_companions_share_cameras_and_length(people):
    for one, two in zip(*people, strict=True):
        assert one.cameras == two.cameras and len(one) == len(two)
        assert not np.allclose(one.joints_3d, two.joints_3d)


def test_exact_people_are_told_apart_by_both_rules(people):
    views = tuple(collect(takes) for takes in people)
    found = several.same_person(Truth(*views), views)
    assert found["lifting"].all() and found["lines"].all()
    assert found["lines"].shape == (len(views[0]), 6)


def test_people_who_are_exchanged_in_one_view_are_told_apart_wrongly_there(people):
    """The rules answer for the rows as they stand: with a view's people exchanged they say so."""
    views = tuple(collect(takes) for takes in people)
    truth = Truth(*views)
    for name in ("X", "w"):
        one, two = (getattr(v, name) for v in views)
        one[:, 3], two[:, 3] = two[:, 3].clone(), one[:, 3].clone()
    pairs_with_3 = [pair for pair in range(6) if pair in (2, 4, 5)]
    found = several.same_person(truth, views)["lines"]
    assert not found[:, pairs_with_3].any()
    assert found[:, [0, 1, 3]].all()


def test_detections_without_confidence_do_not_count(people):
    """In one view most joints of both are taken for the other's, and nobody trusts them."""
    views = tuple(collect(takes) for takes in people)
    truth = Truth(*views)
    one, two = (v.X for v in views)
    one[:, 3, :12], two[:, 3, :12] = two[:, 3, :12].clone(), one[:, 3, :12].clone()
    assert not several.same_person(truth, views)["lines"].all()
    for v in views:
        v.w[:, 3, :12] = 0
    found = several.same_person(truth, views)
    assert found["lifting"].all() and found["lines"].all()


def test_lines_pass_through_projections_and_measure_what_lies_beside_them():
    torch.manual_seed(0)
    angle = torch.tensor(0.7)
    c, s = angle.cos(), angle.sin()
    R = torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]])[None].double()
    t = torch.tensor([[2.0, 0.1, 0.5]]).double()
    Y = torch.randn(1, 17, 3).double() * 0.3 + torch.tensor([0, 0, 5.0]).double()
    x1, x2 = project(Y), project(transform(Y, R, t))
    assert several.line_distance(R, t, x1, x2).max() < 1e-12
    beside = several.line_distance(R, t, x1, x2 + torch.tensor([0.0, 0.01]).double())
    assert ((beside > 0.002) & (beside < 0.0101)).all()


def test_joints_that_coincide_are_exchanged_and_no_other(people):
    first, second = people
    one, two, share = several.mix(first, first, seed=1)  # one and the same: half of all joints
    assert share == pytest.approx(0.5, abs=0.02)
    one, two, share = several.mix(first, second, seed=1)
    assert 0 < share < 0.5
    for a, b, x, y in zip(first, second, one, two, strict=True):
        moved = (x.joints_2d != a.joints_2d).any(-1)
        extent = np.linalg.norm(np.ptp(a.joints_2d, axis=2), axis=-1)[..., None]
        assert (np.linalg.norm(a.joints_2d - b.joints_2d, axis=-1) < 0.1 * extent)[moved].all()
        np.testing.assert_array_equal(x.joints_2d[moved], b.joints_2d[moved])
        np.testing.assert_array_equal(y.joints_2d[moved], a.joints_2d[moved])
