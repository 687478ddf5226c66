"""Two processes that train as one: the same losses and weights, one writer, none left behind."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import traceback
from dataclasses import replace

import numpy as np
import pytest
import torch

from posebook import video
from posebook.data.records import VideoClip
from posebook.training import checkpoint, processes
from posebook.training.stopping import Stopped, stoppable
from posebook.video.prepare import build, prepare_clips
from posebook.video.train import check_processes, train

STEPS = 6
FRESH = replace(video.rows.VARIANTS["ours-penn13"], pretrained="clips", N=1)
_BASE = replace(video.rows.PROFILES["smoke"].base, crop=32, steps=2)
SMALL = replace(
    video.rows.PROFILES["smoke"], base=_BASE, steps=STEPS, segments=3, copies=0, evaluations=1
)


def clip(part, k, rng):
    n = 6 + k
    pictures = rng.integers(0, 255, (n, 48, 64, 3), dtype=np.uint8)
    joints = rng.uniform(10, 40, (n, 13, 2)).astype(np.float32)
    box = np.tile([8.0, 6.0, 44.0, 44.0], (n, 1))
    seen = rng.random((n, 13)) < 0.8
    return VideoClip(pictures, joints, seen, box, "penn13", part, f"{part}{k}", "walk")


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    rng = np.random.default_rng(0)
    train_, test = ([clip(part, k, rng) for k in range(3)] for part in ("train", "test"))
    return prepare_clips(train_, test, SMALL, FRESH, 0, folder=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def expected(setting):
    """What one process makes."""
    return numpy_of(*trained(setting))


def trained(setting, folder=None, steps=STEPS):
    """Curves and weights of a training."""
    torch.manual_seed(0)
    model = build(SMALL, FRESH, setting.base, 13)
    curves = train(model, setting, replace(SMALL, steps=steps), FRESH, 0, folder)
    return curves, model.state_dict()


def as_one(work, *arguments, count=2):
    """What `work(rank, *arguments)` returns in each of several processes, or its error's words.

    None for a process that was killed.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fork = multiprocessing.get_context("fork")

    def begin(rank, pipe):
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": count}
        place |= {"RANK": rank, "LOCAL_RANK": rank}
        os.environ.update({name: str(value) for name, value in place.items()})
        torch.set_num_threads(1)
        try:
            with processes.joined("cpu"), stoppable():
                found = work(rank, *arguments)
        except BaseException as error:
            traceback.print_exc()
            found = f"{type(error).__name__}: {error}"
        pipe.send(found)

    pipes = [fork.Pipe(duplex=False) for _ in range(count)]
    started = [fork.Process(target=begin, args=(k, pipes[k][1])) for k in range(count)]
    for process in started:
        process.start()
    for _, mine in pipes:
        mine.close()
    found = []
    for (ours, _), process in zip(pipes, started):
        try:
            found.append(ours.recv())
        except EOFError:
            found.append(None)
        process.join(60)
    return found


def numpy_of(curves, weights):
    return curves, {name: value.numpy() for name, value in weights.items()}


def train_all(rank, setting, folder):
    return numpy_of(*trained(setting, folder))


def assert_close(found, expected):
    for name, points in expected[0].items():
        assert np.allclose(found[0][name], points, rtol=1e-5, atol=0), name
    for name, value in expected[1].items():
        assert np.allclose(found[1][name], value, rtol=1e-3, atol=1e-5), name


# ---------------------------------------------------------------- the same training


def test_two_processes_have_the_losses_and_weights_of_one(setting, expected, tmp_path):
    """Three stretches: the shares differ, and so do the counts of batch normalisation."""
    first, second = as_one(train_all, setting, tmp_path)
    assert_close(first, expected)
    assert first[0] == second[0]
    assert all(np.array_equal(first[1][name], value) for name, value in second[1].items())
    assert expected[0]["loss"][0][1] > 1.05 * expected[0]["loss"][-1][1], "nothing was learned"


def stop_one(rank, setting, folder, told):
    """One process alone hears a signal, in the step `told`."""
    real = video.train.draw_batch

    def telling(*arguments):
        if rank == 1 and telling.calls == told:
            os.kill(os.getpid(), signal.SIGTERM)
        telling.calls += 1
        return real(*arguments)

    telling.calls = 0
    video.train.draw_batch = telling
    with pytest.raises(Stopped, match=f"kept in .* after step {told + 1}"):
        trained(setting, folder)
    return "stopped"


def test_all_leave_after_the_same_step_and_go_on_together_or_alone(setting, expected, tmp_path):
    assert as_one(stop_one, setting, tmp_path, 2) == ["stopped"] * 2
    assert checkpoint.load(tmp_path / "training.pt")["step"] == 3
    kept = (tmp_path / "training.pt").read_bytes()
    for found in as_one(train_all, setting, tmp_path):
        assert_close(found, expected)
    (tmp_path / "training.pt").write_bytes(kept)
    assert_close(numpy_of(*trained(setting, tmp_path)), expected)


def lose_one(rank, setting, folder):
    real = video.train.draw_batch

    def vanishing(*arguments):
        if rank == 1 and vanishing.calls == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        vanishing.calls += 1
        return real(*arguments)

    vanishing.calls = 0
    video.train.draw_batch = vanishing
    trained(setting, folder)


def test_a_lost_process_ends_the_others_with_a_sentence(setting, tmp_path):
    said, gone = as_one(lose_one, setting, tmp_path)
    assert gone is None
    assert said == (
        "RuntimeError: another process of this run was lost, and process 0 ends as well; the same "
        "command goes on at the last checkpoint"
    )


# ---------------------------------------------------------------- who writes, what is refused


def writes(rank, setting, folder):
    """The second process could not write."""
    if rank == 1:
        checkpoint.whole = None
    curves, _ = trained(setting, folder, steps=2)
    return len(curves["loss"])


def test_the_first_process_alone_writes(setting, tmp_path):
    assert as_one(writes, setting, tmp_path) == [2, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["training.pt"]


@pytest.mark.parametrize(
    ("profile", "count", "said"),
    [
        (SMALL, 4, "has 3 stretches of frames, and 4 processes cannot .* at most 3"),
        (replace(SMALL, copies=2), 2, "2 processes would count frames twice .* --profile gpu or"),
    ],
)
def test_what_would_not_be_the_same_is_refused(profile, count, said, monkeypatch):
    monkeypatch.setattr(processes, "count", lambda: count)
    with pytest.raises(ValueError, match=said):
        check_processes(profile, FRESH)


@pytest.mark.parametrize(("given", "seen"), [(None, "1"), ("4,6", "6"), ("4", "")])
def test_a_process_sees_one_card(given, seen, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given or "")
    if given is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    processes._see_one_card(1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == seen


def test_shares_are_all_of_a_batch(monkeypatch):
    monkeypatch.setattr(processes, "count", lambda: 3)
    parts = []
    for rank in range(3):
        monkeypatch.setattr(processes, "rank", lambda rank=rank: rank)
        parts += range(8)[processes.share(8)]
    assert parts == list(range(8))


def test_torchrun_is_told_what_only_one_process_can_do(root, tmp_path):
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "posebook", "run"]
    ended = subprocess.run(
        [sys.executable, *command, "table-3.1/reproj", "--device", "cpu", "--out", tmp_path],
        cwd=root, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert ended.returncode != 0
    assert "Cannot run: only rows of chapter 2 train in several processes, and" in ended.stderr
