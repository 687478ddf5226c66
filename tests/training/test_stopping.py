"""A training that is told to stop writes its checkpoint first; all else stops at once."""

import os
import signal
import threading

import pytest
import torch
from torch import nn

from posebook.training.draws import draw, seed_everything
from posebook.training.loop import Checkpoint, Schedule, fit
from posebook.training.stopping import Stopped, patient, stoppable

STEPS = 20


@pytest.fixture(autouse=True)
def heard():
    """A shell's background jobs begin with SIGINT ignored; here it is heard."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def train(path=None, told=None, at=9, times=1):
    """The curves and weights of a small training that gets a signal at a step, and its steps."""
    seed_everything(0)
    model, steps = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1)), []

    def loss(step):
        steps.append(step)
        for _ in range(times if told and step == at else 0):
            os.kill(os.getpid(), told)
        return model(torch.randn(16, 3, generator=draw(0, step))).square().mean(), {}

    kept = path and Checkpoint(path, "a")
    curves = fit(model, loss, Schedule(STEPS, 0.01), points=3, checkpoint=kept, description="this")
    return curves, model.state_dict(), steps


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("at", [0, 9, STEPS - 1])
def test_a_training_is_kept_after_the_step_and_ends_with_the_same_bits(number, at, tmp_path):
    curves, weights, _ = train()
    path = tmp_path / "training.pt"
    with stoppable(), pytest.raises(Stopped, match=f"^this is kept in {path} after step") as stop:
        train(path, number, at)
    assert stop.value.status == 128 + number
    resumed, again, steps = train(path)
    assert steps == list(range(at + 1, STEPS))
    assert resumed == curves and all(torch.equal(again[name], weights[name]) for name in weights)


def test_without_a_folder_it_says_that_nothing_is_kept():
    with stoppable(), pytest.raises(Stopped, match="after step 10, and no checkpoint was asked"):
        train(told=signal.SIGTERM)


def test_told_twice_it_stops_at_once(tmp_path):
    with stoppable(), pytest.raises(Stopped, match="told so twice"):
        train(tmp_path / "training.pt", signal.SIGINT, times=2)
    assert not (tmp_path / "training.pt").exists()


def test_sigterm_from_two_sides_is_one(tmp_path):
    with stoppable(), pytest.raises(Stopped, match="is kept in .* after step 10"):
        train(tmp_path / "training.pt", signal.SIGTERM, times=2)
    assert (tmp_path / "training.pt").exists()


def test_what_is_no_training_stops_at_once():
    done = []
    with pytest.raises(Stopped, match="what is finished is kept"), stoppable():
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("more")
    assert not done and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_what_fails_on_the_way_out_hides_no_stop():
    """A signal in the middle of an import leaves half a module to whatever cleans up."""
    with pytest.raises(Stopped, match="what is finished is kept") as stop, stoppable():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            raise AttributeError("half a module")
    assert isinstance(stop.value.__cause__, AttributeError)
    with pytest.raises(AttributeError), stoppable():
        raise AttributeError("without a signal")


def test_a_signal_after_the_last_step_is_not_lost():
    with pytest.raises(Stopped, match="a training had just ended"), stoppable(), patient():
        os.kill(os.getpid(), signal.SIGTERM)


def test_handlers_of_others_stay():
    """Nobody asked to be stopped here, and other threads may not listen."""
    came = []
    before = signal.signal(signal.SIGTERM, lambda *_: came.append("mine"))
    try:
        with patient() as told:
            os.kill(os.getpid(), signal.SIGTERM)
        thread = threading.Thread(target=lambda: came.append(bool(train()[0])))
        thread.start()
        thread.join()
        assert came == ["mine", True] and not told
    finally:
        signal.signal(signal.SIGTERM, before)
