"""Traces: the first steps of every stage, written down without changing them."""

import pytest
import torch
from torch import nn

from posebook.training import trace
from posebook.training.adversary import Adversary
from posebook.training.draws import EpochOrder, draw, seed_everything
from posebook.training.loop import Checkpoint, Schedule, fit


class Problem:
    """A small regression. order_seed: of the batches. scale: of the loss."""

    def __init__(self, weights=0, order_seed=0, scale=1.0, size=8):
        seed_everything(weights)
        self.model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
        self.x = torch.randn(40, 3, generator=draw(7, 0))
        self.order, self.scale = EpochOrder(40, size, order_seed), scale

    def loss(self, step):
        x = self.x[self.order.batch(step)]
        return self.scale * (self.model(x) - x.sum(1, keepdim=True)).square().mean(), {}

    def fit(self, steps=50, max_norm=None, **options):
        return fit(self.model, self.loss, Schedule(steps, 0.01, max_norm=max_norm), **options)


def traced(problem, **options):
    with trace.recording() as recorder:
        problem.fit(**options)
    [stage] = recorder.stages
    return stage


def test_a_stage_has_the_first_steps_of_its_own_schedule():
    whole = Problem().fit(points=50)["loss"]
    stage = traced(Problem())
    assert len(stage["loss"]) == len(stage["gradient_norm"]) == trace.STEPS == 20
    assert stage["loss"] == pytest.approx([value for _, value in whole[:20]], rel=1e-8)
    assert stage["name"] == "training"
    assert len(traced(Problem(), steps=5)["loss"]) == 5


def test_it_may_be_shorter():
    with trace.recording(3) as recorder:
        Problem().fit()
    [stage] = recorder.stages
    assert stage["loss"] == traced(Problem())["loss"][:3]


def test_nine_digits_tell_any_two_numbers_apart():
    value = torch.tensor(0.1)
    after = torch.nextafter(value, torch.tensor(1.0))
    stage = trace.Stage("a", "", losses=[value, after], norms=[value, after]).finished()
    for name in ("loss", "gradient_norm"):
        assert stage[name][0] != stage[name][1]
        assert torch.tensor(stage[name]).tolist() == [value.item(), after.item()]


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        ({}, set()),
        ({"weights": 1}, {"weights", "loss", "gradient_norm"}),
        ({"order_seed": 1}, {"batches", "loss", "gradient_norm"}),
        ({"size": 5}, {"batches", "loss", "gradient_norm"}),
        ({"scale": 1.01}, {"loss", "gradient_norm"}),
    ],
)
def test_a_trace_sees_weights_batches_and_losses_apart(changed, differs):
    one, other = traced(Problem()), traced(Problem(**changed))
    assert {name for name in one if one[name] != other[name]} == differs


def test_the_norm_is_that_of_the_whole_gradient_clipped_or_not():
    plain, clipped = traced(Problem()), traced(Problem(), max_norm=1e-6)
    problem = Problem()
    problem.model.train()
    problem.loss(0)[0].backward()
    gradient = torch.cat([p.grad.flatten() for p in problem.model.parameters()])
    for stage in (plain, clipped):
        assert stage["gradient_norm"][0] == pytest.approx(float(gradient.norm()), rel=1e-5)


def test_what_is_trained_beside_the_model_is_in_the_digest_of_its_weights():
    digests = []
    for seed in (0, 0, 1):
        seed_everything(seed)
        critic = Adversary(lambda n, generator: torch.zeros(n, 17, 3), 4)
        digests.append(traced(Problem(), extra_state=critic.state)["weights"])
    assert digests[0] == digests[1] != digests[2] and traced(Problem())["weights"] not in digests


def test_while_a_trace_is_recorded_nothing_is_kept_or_measured(tmp_path):
    path, called = tmp_path / "training.pt", []
    problem = Problem()
    kept = Checkpoint(path, "a", every=1)
    traced(problem, checkpoint=kept, evaluate=lambda: called.append(1) or {"a": 0.0})
    assert not called and not path.exists()
    problem.fit(checkpoint=kept)
    before = path.read_bytes()
    traced(Problem(), checkpoint=kept)
    assert path.read_bytes() == before


def test_a_finished_checkpoint_does_not_make_a_trace_empty(tmp_path):
    kept = Checkpoint(tmp_path / "training.pt", "a")
    Problem().fit(checkpoint=kept)
    assert traced(Problem(), checkpoint=kept) == traced(Problem())


def test_stages_follow_each_other_and_recordings_do_not_mix():
    with trace.recording() as outer:
        Problem().fit(description="first")
        with trace.recording() as inner:
            Problem(weights=1).fit(description="inner")
        Problem().fit(description="second")
    assert [stage["name"] for stage in outer.stages] == ["first", "second"]
    assert [stage["name"] for stage in inner.stages] == ["inner"]
    assert trace.recorder() is None


def test_nothing_is_recorded_after_an_error():
    with pytest.raises(ZeroDivisionError):
        with trace.recording():
            raise ZeroDivisionError
    assert trace.recorder() is None
    trace.saw_batch(0, torch.tensor([1]))


def test_batches_are_those_of_the_steps_whatever_the_order_of_asking():
    stages = []
    for steps in (range(25), reversed(range(25)), [*range(25), *range(25)]):
        with trace.recording() as recorder:
            recorder.begin("a", {})
            order = EpochOrder(40, 8, 0)
            for step in steps:
                order.batch(step)
            recorder.end()
        stages += recorder.stages
    assert stages[0] == stages[1] == stages[2]
