"""The training loop: exact resumption, checkpoints that survive accidents, schedules."""

import errno
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from posebook import storage
from posebook.training import checkpoint
from posebook.training.draws import EpochOrder, draw, seed_everything
from posebook.training.loop import Checkpoint, Schedule, fit, learning_rate_factor

STEPS, BATCH = 23, 8


class Killed(Exception):
    """The process ended here."""


class Problem:
    """A small regression with dropout and batch normalisation, and a loss that can be killed."""

    def __init__(self, kill_at: int | None = None) -> None:
        seed_everything(0)
        self.model = nn.Sequential(
            nn.Linear(3, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 1)
        )
        self.x = torch.randn(40, 3, generator=draw(7, 0))
        self.order = EpochOrder(40, BATCH, seed=0)  # 5 steps an epoch
        self.kill_at, self.calls = kill_at, 0

    def loss(self, step: int):
        if step == self.kill_at:
            raise Killed
        self.calls += 1
        x = self.x[self.order.batch(step)]
        value = (self.model(x) - x.sum(1, keepdim=True)).square().mean()
        return value, {"largest": self.model[0].weight.abs().max()}

    def evaluate(self):
        return {"error": (self.model(self.x) - self.x.sum(1, keepdim=True)).abs().mean()}

    def fit(self, path: Path | None = None, signature: str = "a", **options):
        # An evaluation every 5 steps, a point every 3.
        usual = dict(evaluate=self.evaluate, evaluations=4, points=7)
        kept = Checkpoint(path, signature, every=6) if path else None
        schedule = Schedule(STEPS, 0.01)
        return fit(self.model, self.loss, schedule, checkpoint=kept, **usual | options)


def weights(problem: Problem) -> dict:
    return problem.model.state_dict()


def same(a: dict, b: dict) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "training.pt"


@pytest.fixture(scope="module")
def whole():
    """Curves and weights of a run that nothing interrupted."""
    problem = Problem()
    return problem.fit(), weights(problem)


# ---------------------------------------------------------------- interrupted and resumed


@pytest.mark.parametrize(
    ("kill_at", "left"),
    [
        (2, STEPS),  # before the first checkpoint: from the start
        (6, STEPS - 6),  # right after one
        (11, STEPS - 6),  # in the second epoch after a checkpoint in the second
        (22, STEPS - 18),  # at the last step
    ],
)
def test_a_killed_run_ends_with_the_same_bits(kill_at, left, path, whole):
    curves, expected = whole
    with pytest.raises(Killed):
        Problem(kill_at).fit(path)
    torch.manual_seed(12345)  # whatever the new process did before
    again = Problem()
    assert again.fit(path) == curves
    assert again.calls == left
    assert same(weights(again), expected)


def test_a_run_killed_over_and_over_ends_with_the_same_bits(path, whole):
    for kill_at in (7, 13, 19):
        with pytest.raises(Killed):
            Problem(kill_at).fit(path)
    again = Problem()
    assert again.fit(path) == whole[0] and same(weights(again), whole[1])


def test_a_checkpoint_changes_nothing(path, whole):
    problem = Problem()
    assert problem.fit(path) == whole[0] and same(weights(problem), whole[1])
    assert {*path.parent.iterdir()} == {path, checkpoint.previous(path)}


def test_a_checkpoint_appears_at_once_or_not_at_all(path, monkeypatch):
    """A process may die between writing and either naming: the old one must be whole until then."""
    with pytest.raises(Killed):
        Problem(kill_at=8).fit(path)
    before, replace = path.read_bytes(), storage.os.replace
    for dies_at, left in ((1, path), (2, checkpoint.previous(path))):
        names = []

        def die(source, target, names=names, dies_at=dies_at):
            names.append(target)
            if len(names) == dies_at:
                raise Killed
            replace(source, target)

        with monkeypatch.context() as context:
            context.setattr(storage.os, "replace", die)
            with pytest.raises(Killed):
                Problem().fit(path)
        assert left.read_bytes() == before and [*path.parent.iterdir()] == [left]
    again = Problem()
    again.fit(path)
    assert again.calls == STEPS - 6


def test_a_finished_run_is_not_run_again(path, whole):
    Problem().fit(path)
    again = Problem()
    assert again.fit(path) == whole[0] and again.calls == 0 and same(weights(again), whole[1])


def test_a_checkpoint_between_two_points_of_a_curve_keeps_the_sums(path):
    """A checkpoint every 6 steps, a point every 5."""
    curves = Problem().fit(points=4)
    with pytest.raises(Killed):
        Problem(kill_at=14).fit(path, points=4)
    assert torch.load(path, weights_only=True)["step"] == 12
    assert Problem().fit(path, points=4) == curves


def test_extra_state_is_resumed_too(path):
    def run(kill_at=None, path=None):
        problem = Problem(kill_at)
        beside = nn.Linear(1, 1)
        nn.init.zeros_(beside.weight)

        def before_step(step):
            with torch.no_grad():
                beside.weight += step
            return {"beside": beside.weight.sum()}

        problem.fit(path, before_step=before_step, extra_state={"beside": beside})
        return beside.weight.item()

    with pytest.raises(Killed):
        run(15, path)
    assert run(path=path) == run() == STEPS * (STEPS - 1) / 2


# ---------------------------------------------------------------- checkpoints and accidents


def test_a_checkpoint_of_another_run_is_refused(path):
    Problem().fit(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"training\.pt belongs to a run with other parameters"):
        Problem().fit(path, signature="b")
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"text"])
def test_a_damaged_checkpoint_is_refused(damage, path):
    Problem().fit(path)
    for file in (path, checkpoint.previous(path)):
        file.write_bytes(damage(file.read_bytes()))
    problem = Problem()
    with pytest.raises(ValueError, match=r"training\.pt is damaged, .*; delete it and") as refusal:
        problem.fit(path)
    assert problem.calls == 0
    assert "\n" not in str(refusal.value)


def flip(content: bytes) -> bytes:
    """One bit of a weight; torch itself would read it as another number."""
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize("damage", [flip, lambda b: b[: len(b) // 2], lambda b: b""])
def test_the_checkpoint_before_takes_the_place_of_a_damaged_one(damage, path, whole):
    with pytest.raises(Killed):
        Problem(kill_at=20).fit(path)
    path.write_bytes(damage(path.read_bytes()))
    again = Problem(kill_at=15)
    with pytest.warns(UserWarning, match=r"training\.pt is damaged, .*; this run .*, step 12$"):
        with pytest.raises(Killed):
            again.fit(path)
    assert again.calls == 3 and not checkpoint.previous(path).exists()
    again = Problem()
    assert again.fit(path) == whole[0] and again.calls == STEPS - 12
    assert same(weights(again), whole[1])


def test_what_is_not_needed_any_more_goes_with_the_one_before(path):
    Problem().fit(path)
    checkpoint.remove(path)
    checkpoint.remove(path)
    assert not [*path.parent.iterdir()]


def write_weights(path):
    torch.save({"weight": torch.zeros(3)}, path)


def write_pickle(path):
    path.write_bytes(pickle.dumps(Path("anything")))


@pytest.mark.parametrize("write", [write_weights, write_pickle])
def test_a_file_that_is_no_checkpoint_is_refused_in_a_sentence(write, path):
    path.parent.mkdir()
    write(path)
    with pytest.raises(ValueError, match=r"training\.pt is .*delete it") as refusal:
        Problem().fit(path)
    assert "\n" not in str(refusal.value)


def full_disk(error):
    def save(state, file):
        file.write(b"half a checkpoint")
        raise error

    return save


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
    ],
)
def test_a_full_disk_leaves_the_previous_checkpoint(error, path, whole, monkeypatch):
    with pytest.raises(Killed):
        Problem(kill_at=8).fit(path)
    before = path.read_bytes()
    with monkeypatch.context() as context:
        context.setattr(torch, "save", full_disk(error))
        with pytest.raises(OSError, match=r"could not write .*training\.pt.* intact: make room"):
            Problem().fit(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path], "half a file was left"
    again = Problem()
    assert again.fit(path) == whole[0] and again.calls == STEPS - 6
    assert same(weights(again), whole[1])


def test_messages_are_one_line(path):
    Problem().fit(path)
    with pytest.raises(ValueError) as refusal:
        Problem().fit(path, signature="b")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("gone", ["signature", "step", "curves", "random", "parts"])
def test_half_a_checkpoint_is_refused(gone, path):
    Problem().fit(path)
    checkpoint.previous(path).unlink()
    state = torch.load(path, weights_only=True)
    del state[gone]
    torch.save(state, path)
    with pytest.raises(ValueError, match=rf"training\.pt is damaged, .*no {gone}\); delete it and"):
        Problem().fit(path)


def test_there_is_nothing_to_resume_without_a_file(path):
    assert checkpoint.resume(None, "a", {}, {}) == checkpoint.resume(path, "a", {}, {}) == 0
    assert not path.exists()


# ---------------------------------------------------------------- the clock


def test_a_clock_counts_the_seconds_of_earlier_processes(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(checkpoint.time, "perf_counter", lambda: now[0])
    first = checkpoint.Clock()
    now[0] = 130.0
    state = first.state_dict()
    assert first.seconds == state["seconds"] == 30
    now[0] = 0.0  # another process
    second = checkpoint.Clock()
    now[0] = 3.0
    second.load_state_dict(state)
    now[0] = 8.0
    assert second.seconds == 35


def test_a_clock_is_in_the_checkpoint(path):
    class Fixed(checkpoint.Clock):
        seconds = 12.0

    with pytest.raises(Killed):
        Problem(kill_at=8).fit(path, clock=Fixed())
    clock = checkpoint.Clock()
    assert clock.seconds < 12
    Problem().fit(path, clock=clock)
    assert clock.seconds > 12


# ---------------------------------------------------------------- the loop itself


def test_curves_hold_means_since_the_last_point():
    parameter = nn.Parameter(torch.zeros(1))
    model = nn.Module()
    model.weight = parameter

    def loss(step):
        late = {"late": torch.tensor(float(step))} if step > 2 else {}
        return 0 * parameter.sum() + step, {"square": torch.tensor(float(step * step)), **late}

    curves = fit(model, loss, Schedule(5, 0.1), points=2)
    assert curves["loss"] == [[2, 0.5], [4, 2.5], [5, 4.0]]
    assert curves["square"] == [[2, 0.5], [4, 6.5], [5, 16.0]]
    assert curves["late"] == [[4, 3.0], [5, 4.0]], "a mean is over the steps that have it"


def test_the_loss_falls():
    problem = Problem()
    curves = fit(problem.model, problem.loss, Schedule(200, 0.03), points=10)
    assert curves["loss"][-1][1] < 0.5 * curves["loss"][0][1]


def test_evaluation_is_without_dropout_and_ends_with_the_last_step():
    problem, modes = Problem(), []

    def evaluate():
        modes.append(problem.model.training)
        return problem.evaluate()

    curves = problem.fit(evaluate=evaluate, evaluations=2)
    assert [step for step, _ in curves["error"]] == [11, 22, STEPS]
    assert not any(modes)


def test_gradients_are_clipped_to_a_norm():
    model = nn.Linear(4, 1)
    fit(model, lambda step: (1e6 * model.weight.sum(), {}), Schedule(1, 0.1, max_norm=0.5))
    assert model.weight.grad.norm().item() == pytest.approx(0.5)


def test_a_loss_that_is_not_a_number_ends_the_run(path):
    model = nn.Linear(1, 1)

    def loss(step):
        return model.weight.sum() * (float("nan") if step == 12 else 1.0), {}

    with pytest.raises(FloatingPointError, match="loss is no longer finite at step 15; lower"):
        fit(model, loss, Schedule(30, 0.1), points=6, checkpoint=Checkpoint(path, "a", every=5))
    assert torch.load(path, weights_only=True)["step"] == 10, "a spoiled state was saved"


# ---------------------------------------------------------------- schedules


def test_thirds_are_those_of_section_3_6_2():
    """From 0.001, a tenth after each 100 of 300 epochs."""
    factors = [learning_rate_factor("thirds", epoch / 300) for epoch in (0, 99, 100, 199, 200, 299)]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_shares_of_a_run_drop_the_rate():
    """The schedule of section 2.8.2: a tenth after 90 and again after 120 of 140 epochs."""
    shares = (90 / 140, 120 / 140)
    factors = [learning_rate_factor(shares, epoch / 140) for epoch in (0, 89, 90, 119, 120, 139)]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


@pytest.mark.parametrize("factor", [0.1, 0.3])
def test_pretrained_parameters_and_frozen_ones(factor):
    """Adam's first step is the learning rate: a part for pre-trained ones, nothing for frozen."""
    model = nn.ModuleList([nn.Linear(1, 1, bias=False) for _ in range(3)])
    for layer in model:
        nn.init.zeros_(layer.weight)
    model[2].weight.requires_grad_(False)
    fit(
        model, lambda step: (sum(layer.weight.sum() for layer in model), {}),
        Schedule(1, 0.5, "constant", pretrained_factor=factor),
        pretrained_parameters=list(model[1].parameters()),
    )  # fmt: skip
    weights = [layer.weight.item() for layer in model]
    assert weights == pytest.approx([-0.5, -0.5 * factor, 0.0], rel=1e-4)


def test_one_cycle_rises_and_falls():
    factors = [learning_rate_factor("one-cycle", step / 1000) for step in range(1000)]
    top = max(range(1000), key=factors.__getitem__)
    assert top == 200 and factors[top] == pytest.approx(1, abs=1e-3)
    assert factors[0] == pytest.approx(0.04)
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)
    assert 0 < factors[-1] < 1e-3


def test_the_schedule_sets_the_rate():
    """Adam's first step is the learning rate, whatever the gradient."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    fit(model, lambda step: (model.weight.sum(), {}), Schedule(1, 0.5))
    assert model.weight.item() == pytest.approx(-0.5 * 0.04, rel=1e-4)


def test_an_unknown_schedule_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown schedule 'cosine'; known: one-cycle, thirds"):
        learning_rate_factor("cosine", 0.5)
