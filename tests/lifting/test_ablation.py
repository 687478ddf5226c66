"""The rows that take Table 3.3 apart differ from its own rows in what they say, in nothing else."""

import pytest
import torch
from posebook.training.loop.draws import draw

from posebook import lifting
from posebook.data.pairs import collect, draw_views, gather
from posebook.data.recorded.views import make_views
from posebook.lifting import ablation
from posebook.lifting.ablation import Row
from posebook.lifting.rows import VARIANTS

SAME = {
    "trans-reproj": Row(VARIANTS["trans-reproj"], "pictures", "branch"),
    "triangulated-labels": Row(VARIANTS["triangulated-labels"], "space", "labels"),
}


@pytest.mark.parametrize("name", SAME)
def test_rows_of_the_book_are_the_same_to_the_last_bit(name):
    _, record = lifting.run("smoke", name, 0)
    assert ablation.run("smoke", name, 0, rows=SAME)["metrics"] == record["metrics"]


class _Truth(torch.nn.Module):
    """A network that knows the pose, and puts the root `aside` metres off along z."""

    def __init__(self, b, aside):
        super().__init__()
        self.Y, self.aside = torch.cat([b.Y1, b.Y2]), aside

    def lift(self, X):
        return self.Y - self.Y[:, :1]

    def forward(self, X):
        return self.lift(X), self.Y[:, 0] + torch.tensor([0.0, 0.0, self.aside])


@pytest.mark.parametrize("told", ["pictures", "space"])
def test_only_the_branch_can_put_the_root_aside(told):
    views = collect(make_views(lifting.rows.PROFILES["smoke"].size, noise="none")[0])
    b = gather(views, torch.arange(32), *draw_views(views, 32, draw(0, 0)))
    branch, labels = (Row(lifting.rows.Variant(), told, root) for root in ("branch", "labels"))
    right, aside = _Truth(b, 0.0), _Truth(b, 0.3)
    for model, row in ((right, labels), (right, branch), (aside, labels)):
        assert ablation.pair_loss(model, b, row) < 1e-6
    assert ablation.pair_loss(aside, b, branch) > 1e-2


def test_lambda_weighs_the_other_view():
    views = collect(make_views(lifting.rows.PROFILES["smoke"].size)[0])
    b = gather(views, torch.arange(32), *draw_views(views, 32, draw(0, 0)))
    model = _Truth(b, 0.3)
    values = [ablation.pair_loss(model, b, Row(lifting.rows.Variant(), "pictures", "branch", lam))
              for lam in (0.0, 1.0, 3.0)]  # fmt: skip
    torch.testing.assert_close(values[2] - values[0], 3 * (values[1] - values[0]))


def test_the_graph_of_runs_has_every_row(root):
    text = (root / "Snakefile").read_text(encoding="utf-8")
    assert all(f'"{name}"' in text for name in ablation.ROWS)


def test_an_unknown_row_is_refused():
    with pytest.raises(ValueError, match="unknown variant 'root'; known: triangulated-root"):
        ablation.run("smoke", "root", 0)
