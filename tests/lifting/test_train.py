"""The loss of a batch of pairs: what a row is told of the other view, and where its root is."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from posebook import lifting
from posebook.data.pairs import draw_views, gather
from posebook.data.recorded.views import make_views
from posebook.data.views import collect
from posebook.experiments.catalogue import settings
from posebook.geometry.camera import Z_MIN, transform
from posebook.lifting import losses
from posebook.lifting.consensus import Teacher
from posebook.lifting.rows import PROFILES, VARIANTS, Variant
from posebook.lifting.student import Reading
from posebook.training.draws import draw


@pytest.fixture(scope="module")
def views():
    return collect(make_views(PROFILES["smoke"].size, noise="none")[0])


@pytest.fixture(scope="module")
def pairs(views):
    return gather(views, torch.arange(32), *draw_views(views, 32, draw(0, 0)))


class Says(torch.nn.Module):
    """A network that answers with global poses (2B, N, 3), and puts the root `aside` metres off
    along z."""

    frames = 1

    def __init__(self, poses, aside=0.0):
        super().__init__()
        self.poses, self.aside = poses, aside

    def lift(self, X):
        return self.poses - self.poses[:, :1]

    def forward(self, X):
        return self.lift(X), self.poses[:, 0] + torch.tensor([0.0, 0.0, self.aside])


def truth(b, aside=0.0):
    return Says(torch.cat([b.Y1, b.Y2]), aside)


def loss(model, views, b, variant):
    return lifting.train.pair_loss(model, views, b, variant)[0]


def labelled(compare_in, root, **fields):
    from_labels = {"root_from_labels": root == "labels"}
    return Variant(loss="triangulated", compare_in=compare_in, **from_labels, **fields)


# ---------------------------------------------------------------- Table 3.3 taken apart


@pytest.mark.parametrize("compare_in", ["pictures", "space"])
def test_only_the_branch_can_put_the_root_aside(compare_in, views, pairs):
    branch, labels = (labelled(compare_in, root) for root in ("branch", "labels"))
    right, aside = truth(pairs), truth(pairs, 0.3)
    for model, row in ((right, labels), (right, branch), (aside, labels)):
        assert loss(model, views, pairs, row) < 1e-6
    assert loss(aside, views, pairs, branch) > 1e-2


def test_lambda_weighs_the_other_view(views, pairs):
    model = truth(pairs, 0.3)
    for row in (Variant(), labelled("pictures", "branch")):
        none, one, three = (
            loss(model, views, pairs, replace(row, lam=lam)) for lam in (0.0, 1.0, 3.0)
        )
        torch.testing.assert_close(three - none, 3 * (one - none))
        assert one > none


def test_compared_in_pictures_it_is_equation_3_7_to_the_last_bit():
    size, row = settings("lifting", "smoke", "trans-reproj")
    same = Variant(loss="supervised", compare_in="pictures")
    found = [lifting.run.run_row(size, mine, 0).metrics for mine in (row, same)]
    assert found[0] == found[1]


def test_with_the_root_of_the_labels_space_is_relative(views, pairs):
    random = torch.randn(64, 17, 3, generator=torch.Generator().manual_seed(0))
    model = Says(torch.cat([pairs.Y1, pairs.Y2]) + 0.1 * random)
    relative = loss(model, views, pairs, VARIANTS["triangulated-labels"])
    torch.testing.assert_close(loss(model, views, pairs, labelled("space", "labels")), relative)
    assert loss(truth(pairs, 0.3), views, pairs, VARIANTS["triangulated-labels"]) < 1e-6


@pytest.mark.parametrize(
    ("name", "other", "differs"),
    [
        ("triangulated-root", "triangulated-labels", {"compare_in", "root_from_labels"}),
        ("global-labels", "triangulated-labels", {"compare_in"}),
        ("lambda-3", "trans-reproj", {"lam"}),
        (
            "triangulated-root-target-strong-occlusion", "triangulated-root",
            {"weight", "noise", "label_weights"},
        ),
        (
            "triangulated-labels-weighted-strong-occlusion", "triangulated-labels-weighted",
            {"noise"},
        ),
        ("supervised-strong-occlusion", "supervised", {"noise"}),
        ("root-vector-plain", "root-vector", {"projection", "max_norm"}),
        ("root-vector-plain-pretrained", "root-vector-pretrained", {"projection", "max_norm"}),
    ],
)  # fmt: skip
def test_a_row_differs_from_its_neighbour_in_what_it_says_and_in_nothing_else(name, other, differs):
    a, b = vars(VARIANTS[name]), vars(VARIANTS[other])
    assert {field for field in a if a[field] != b[field]} == differs


def test_a_root_from_labels_needs_labels():
    with pytest.raises(ValueError, match="a root from the labels needs a loss with 3D labels"):
        Variant(root_from_labels=True)


IDLE = [
    ({"weight": "target"}, {"loss": "reproj"}),
    ({"weight": "none"}, {"loss": "supervised"}),
    ({"lam": 3.0}, {"loss": "reproj"}),
    ({"lam": 1.5}, {"loss": "triangulated", "compare_in": "space"}),
    ({"projection": "plain"}, {"loss": "supervised"}),
    ({"root": "vector"}, {"loss": "supervised"}),
    ({"root": "vector"}, {"student": Reading()}),
    ({"root_bias": (0.0, 0.0, 5.0)}, {}),
    ({"pretrained": True}, {"loss": "triangulated"}),
    ({"label_weights": True}, {"loss": "supervised"}),
    ({"compare_in": "pictures"}, {"loss": "reproj"}),
    ({"teacher": Teacher()}, {"loss": "trans-reproj"}),
    ({"backbone": "temporal"}, {"student": Reading()}),
]


@pytest.mark.parametrize(("option", "row"), IDLE)
def test_an_option_that_no_loss_of_the_row_reads_is_refused(option, row):
    [(name, value)] = option.items()
    with pytest.raises(ValueError, match=f"^{name}=.* has no effect on this row: it is read by"):
        Variant(**row, **option)
    Variant(**row)


def test_takes_that_are_no_views_yet_are_refused_with_what_makes_them():
    model = lifting.network.LiftingNetwork(width=16)
    for use in (
        lambda: lifting.evaluate.predict(model, []),
        lambda: lifting.train.train(model, [], PROFILES["smoke"], Variant(), 0),
    ):
        with pytest.raises(TypeError, match="Views are wanted, not list: .*prepare_takes"):
            use()


def test_a_critic_of_a_student_is_refused():
    with pytest.raises(ValueError, match="new views have no confidences, and a student reads them"):
        Variant(student=Reading(), adversarial=True)


def test_global_poses_are_compared_by_the_error_that_the_row_says(views, pairs):
    row = Variant(loss="triangulated", compare_in="space")
    torch.manual_seed(0)
    model = lifting.prepare.build(settings("lifting", "smoke", "trans-reproj")[0], row).eval()
    loss = lambda row: float(lifting.train.pair_loss(model, views, pairs, row)[0])  # noqa: E731
    assert loss(row) != pytest.approx(loss(replace(row, error="distance")), rel=1e-3)


def test_lambda_of_a_data_set_is_given_to_rows_that_read_it_and_have_none_of_their_own():
    lam = lambda name: settings("lifting", "smoke", name, "mpi-inf-3dhp")[1].lam  # noqa: E731
    assert (lam("trans-reproj"), lam("reproj"), lam("supervised")) == (1.5, 1, 1)
    assert lam("lambda-3") == 3


@pytest.mark.parametrize("name", ["supervised", "reproj-adv", "triangulated-labels"])
def test_truth_that_is_missing_is_named_before_training(name, views):
    size, row = settings("lifting", "smoke", name)
    with pytest.raises(ValueError, match="have no 3D poses, and the row learns from them; choose"):
        lifting.train.train(lifting.prepare.build(size, row), replace(views, Y=None), size, row, 0)


# ---------------------------------------------------------------- the equations to the letter


def plain_loss(G1, G2, b):
    """Equation 3.7 with equation 3.1 as it is printed."""
    rho, there = losses.plain_projection, (b.R12, b.t12, b.R21, b.t21)
    return losses.total(
        losses.reprojection(G1, G2, b.X1, b.X2, b.w1, b.w2, rho),
        losses.transform_reprojection(G1, G2, b.X1, b.X2, b.w1, b.w2, *there, rho=rho),
    )


def test_far_from_the_pole_it_is_the_loss_of_every_other_row(views, pairs):
    b = pairs
    G1, G2 = b.Y1 + 0.1, b.Y2 - 0.1  # wrong poses, metres in front of every camera
    clamped = losses.total(
        losses.reprojection(G1, G2, b.X1, b.X2, b.w1, b.w2),
        losses.transform_reprojection(G1, G2, b.X1, b.X2, b.w1, b.w2, b.R12, b.t12, b.R21, b.t21),
    )
    torch.testing.assert_close(plain_loss(G1, G2, b), clamped)
    model = Says(torch.cat([G1, G2]))
    for name in ("root-vector", "root-vector-plain"):
        torch.testing.assert_close(loss(model, views, b, VARIANTS[name]), clamped)


def test_near_the_pole_only_the_plain_loss_explodes(views, pairs):
    b = pairs
    near = b.Y1.clone()
    near[..., 2] = 1e-3
    plain = plain_loss(near, b.Y2, b)
    clamped = losses.reprojection(near, b.Y2, b.X1, b.X2, b.w1, b.w2)
    assert plain > 1e4 * clamped
    # Both directions of equation 3.7, in the row itself: the pole is in all of them or in none.
    model = Says(torch.cat([near, b.Y2]))
    torch.testing.assert_close(loss(model, views, b, VARIANTS["root-vector-plain"]), plain)
    assert loss(model, views, b, VARIANTS["root-vector"]) < 1e-2 * plain


def test_the_share_near_the_pole_is_that_of_the_other_camera(views, pairs):
    """Twenty metres further away everybody is before their own camera, and behind many others."""
    aside = torch.tensor([0.0, 0.0, 20.0])
    behind = transform(pairs.Y1 + aside, pairs.R12, pairs.t12)[..., 2] < Z_MIN
    model = Says(torch.cat([pairs.Y1, pairs.Y2]) + aside)
    _, extra, _ = lifting.train.pair_loss(model, views, pairs, VARIANTS["trans-reproj"])
    assert 0 < extra["clamped_share"] == behind.float().mean()


def test_a_plain_row_can_be_repeated():
    size, row = settings("lifting", "smoke", "root-vector-plain-pretrained")
    first, second = (lifting.run.run_row(size, row, 1) for _ in range(2))
    assert first.metrics == second.metrics and "pretraining_loss" in first.curves


def test_frames_without_a_label_are_left_out_and_counted(views):
    Y = views.Y.clone()
    Y[3, 1, 5] = torch.nan
    size, row = settings("lifting", "smoke", "supervised")
    model, short = lifting.prepare.build(size, row), replace(size, steps=3)
    with pytest.warns(UserWarning, match=f"1 of {len(views)} frames are left out of training"):
        curves = lifting.train.train(model, replace(views, Y=Y), short, row, 0)
    assert np.isfinite([value for _, value in curves["loss"]]).all()
