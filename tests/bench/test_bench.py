"""The bench runs, and its plain forms give the numbers of the fast ones; nothing here is timed."""

import json

import numpy as np
import pytest
import torch

from posebook.__main__ import main
from posebook.bench import card, measure, references
from posebook.bench.cases import SIZES, data_cases, data_file_cases, made_views, step_case
from posebook.bench.measure import Case, run, table
from posebook.data.rendered.rasterize import face_at
from posebook.metrics import pose3d
from posebook.training.card import Options, signed


@pytest.fixture(scope="module")
def views():
    return made_views(SIZES["smoke"])


def test_the_generator_gives_the_windows(views):
    size = SIZES["smoke"]
    for case in data_cases(views, size)[1:]:
        windows, poses, _ = case.plain()
        assert len(windows) == case.count
        for fast, plain in zip(case.fast(), (windows, poses), strict=True):
            assert torch.equal(fast, plain), case.name


def test_the_generator_gives_the_frames(views):
    size = SIZES["smoke"]
    clips = list(views.X[:, 2].numpy().reshape(size.clips, size.frames, 17, 2))
    order = np.array([[0, 0], [1, 7], [1, size.frames - 1]])
    poses = list(views.Y[:, 2].numpy().reshape(size.clips, size.frames, 17, 3))
    cameras = np.arange(18.0).reshape(2, 9)
    [(batch, middle, camera)] = references.generator(clips, poses, cameras, order, 1, 3)
    rows = torch.from_numpy(order[:, 0] * size.frames + order[:, 1])
    assert torch.equal(batch[:, 0], views.X[rows, 2])
    assert torch.equal(middle, views.Y[rows, 2])
    assert camera[:, 0].tolist() == [0, 9, 9]


def test_plain_metrics_are_the_fast_ones():
    random = np.random.default_rng(0)
    target, noise = random.normal(size=(2, 40, 17, 3))
    predicted = target + 0.3 * noise
    predicted[::3, :, 0] *= -1
    a, b = torch.from_numpy(predicted), torch.from_numpy(target)
    for fast, *plain in (
        (pose3d.mpjpe, references.mpjpe_one_by_one),
        (pose3d.p_mpjpe, references.p_mpjpe_one_by_one, references.p_mpjpe_by_svd),
    ):
        for form in plain:
            np.testing.assert_allclose(form(predicted, target), fast(a, b).numpy(), rtol=1e-9)


def test_a_plain_step_is_the_fast_one(views):
    """The second and the third loss say that both optimisers have done the same."""
    case = step_case(views, SIZES["smoke"], 16)
    fast, plain = ([step().item() for _ in range(3)] for step in (case.fast, case.plain))
    assert fast == pytest.approx(plain, rel=1e-5)
    assert fast[0] != pytest.approx(fast[1], rel=1e-3) != pytest.approx(fast[2], rel=1e-3)


def test_a_plain_picture_is_the_fast_one(tmp_path):
    """But for pixels on an edge, and for faces that lie in one plane to the last digit."""
    [case] = [case for case in data_file_cases(tmp_path) if case.name == "rendering"]
    (picture, seen), (plain, other) = case.fast(), case.plain()
    front, theirs = (face_at(buffer) for buffer in (seen.all, other.all))
    assert (front >= 0).mean() > 0.02 and (front != theirs).mean() < 1e-4
    assert (picture != plain).mean() < 1e-3


@pytest.fixture
def made(monkeypatch):
    """Makes a form that takes the seconds it is told, call by call; nothing else takes time."""
    now, calls = [0.0], []

    def form(name, *seconds):
        left = iter(seconds)

        def call():
            calls.append(name)
            now[0] += next(left)

        return call

    monkeypatch.setattr(measure, "clock", lambda device="cpu": now[0])
    for name in ("matrix_rate", "memory_rate"):
        rates = iter([1.0, 3.0, 2.0, 1.0])
        monkeypatch.setattr(measure, name, lambda repeats, rates=rates: next(rates))
    return form, calls


def test_a_ratio_is_that_of_one_unit(made, monkeypatch):
    """Two units of a fast form, in 4, 2 and 8 seconds, against one of a plain form in 4."""
    monkeypatch.setattr(measure, "AT_LEAST", 0.0)
    form, calls = made
    case = Case(
        "sums", "sum", 2, form("fast", 9, 4, 2, 8), form("plain", 9, 4, 4, 4), 1,
        flops=3.0, bytes=12.0, expected=3.0,
    )  # fmt: skip
    found = run([case], 3)
    assert calls == ["fast", "plain"] * 4
    [row] = found["cases"]
    assert row["microseconds"] == pytest.approx([2e6, 1.5e6, 3e6]) and row["per_second"] == 0.5
    assert row["plain_microseconds"] == pytest.approx([4e6] * 3)
    assert row["ratio"] == [2.0, 1.5, 3.0] and row["expected_ratio"] == 3.0
    assert found["matrix_flops_per_second"] == 3.0  # the best of all rounds
    assert row["share_of_matrix_rate"] == 0.5  # 3 operations in 2 seconds, at best
    assert row["flops_per_byte"] == 0.25 and "share_of_memory_rate" not in row
    assert "2.0 (1.5 - 3.0), 3.00 by multiplications  0.50 of the matrix rate" in table(found)


def test_a_short_form_is_called_often_in_a_round_and_timed_for_one_call(made, monkeypatch):
    """The call that sets up takes 2 of the 6 seconds that a form is called for."""
    monkeypatch.setattr(measure, "AT_LEAST", 6.0)
    form, calls = made
    found = run([Case("copy", "row", 1, form("fast", 2, 1, 2, 3), bytes=3.0)], 1)
    [row] = found["cases"]
    assert len(calls) == 4 and row["per_second"] == 0.5
    assert row["share_of_memory_rate"] == 0.5 and {"ratio", "flops_per_byte"}.isdisjoint(row)


def test_what_the_machine_can_do_is_its_best_of_some_tries(monkeypatch):
    """10^3 multiplications and as many additions; 10 numbers of 4 bytes, read and written."""
    times = iter([4.0, 2.0, 4.0] * 2)
    monkeypatch.setattr(measure, "seconds", lambda function, device="cpu": next(times))
    assert measure.matrix_rate(size=10, repeats=3) == 1000
    assert measure.memory_rate(numbers=10, repeats=3) == 40


def test_the_bench_runs_and_writes_its_numbers(tmp_path, capsys):
    path = tmp_path / "bench.json"
    assert main(["bench", "--size", "smoke", "--rounds", "1", "--json", str(path)]) == 0
    said, found = capsys.readouterr().out, json.loads(path.read_text())
    assert found["matrix_flops_per_second"] > 0 and found["memory_bytes_per_second"] > 0
    assert len(found["cases"]) == 12 and {"device", "commit", "versions"} < set(found)
    for row in found["cases"]:
        assert row["name"] in said and row["per_second"] > 0
        assert row["ratio"][0] > 0, "each has a plain form"


def test_a_folder_in_the_place_of_its_file_is_refused_before_anything_is_timed(tmp_path, capsys):
    assert main(["bench", "--json", str(tmp_path)]) == 2
    assert "is a folder; name a file" in capsys.readouterr().err


def test_no_rounds_are_refused(capsys):
    assert main(["bench", "--rounds", "0"]) == 2
    assert "rounds must be at least 1, not 0" in capsys.readouterr().err


def test_a_step_is_timed_and_counted_with_its_options():
    """A training that multiplies once a step, and looks where a training of the package does."""
    a, seen = torch.ones(10, 10), []

    def begin(steps, looks, look):
        for step in range(steps):
            a @ a
            if (step + 1) % (steps // looks) == 0:
                seen.append((step + 1, signed()))
                look()

    training = card.Training("a-row", begin)
    assert card.operations(training) == 2 * 10**3
    seen.clear()
    times = card.seconds_of_a_step(training, Options(bf16=True), "cpu", steps=5, rounds=3)
    assert seen == [(step, {"card": ["bf16"]}) for step in (5, 10, 15, 20)]
    assert len(times) == 3 and min(times) >= 0


def test_only_options_that_change_something_are_timed():
    nothing = card.Training("a-row", None)
    wanted, left_out = card.to_try(nothing, "cpu")
    assert [options.on for options in wanted] == [[], ["bf16"]]
    assert [why.split()[0] for why in left_out] == ["--channels-last", "--deterministic"]
    wanted, left_out = card.to_try(card.Training("a-row", None, True, True), "cpu")
    alone = ["bf16"], ["channels_last"], ["deterministic"]
    assert [options.on for options in wanted] == [[], *alone]
    assert not left_out
