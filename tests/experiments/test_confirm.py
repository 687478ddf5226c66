"""A number is as good as new if today's code gives its first steps again, and only then."""

import copy
import json
import math
import os
import signal
from dataclasses import asdict

import pytest

from posebook import lifting, results
from posebook.experiments import catalogue, confirm
from posebook.experiments.traces import traces
from posebook.results.checks import MOVED, REPRODUCED, digest_of, read_checks
from posebook.results.records import plain, write
from posebook.training.stopping import Stopped

DIGEST = "sha256:" + "0" * 64
STAGE = {
    "name": "training", "weights": "sha256:a", "batches": "sha256:b",
    "loss": [0.5, 0.25, 0.125], "gradient_norm": [1.0, 0.5, 0.25],
}  # fmt: skip
TRACE = {
    "row": "table-3.1/trans-reproj", "profile": "smoke", "seed": 0, "steps": 3, "device": "cpu",
    "arithmetic": "here", "data_digest": DIGEST,
    "stages": [{**copy.deepcopy(STAGE), "name": "pre-training"}, STAGE],
    "metrics": {"mpjpe_mm": 59.0, "pck3d_150": 80.0},
}  # fmt: skip


def changed(value, *where):
    new = copy.deepcopy(TRACE)
    inner = new
    for name in where[:-1]:
        inner = inner[name]
    inner[where[-1]] = value
    return new


# ---------------------------------------------------------------- comparing two traces


def test_equal_traces_differ_in_nothing_and_a_new_metric_is_no_difference():
    assert confirm.compare(TRACE, copy.deepcopy(TRACE)) == ("", 0.0)
    new = changed({**TRACE["metrics"], "auc3d": 30.0}, "metrics")
    assert confirm.compare(TRACE, new) == ("", 0.0)


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        (("row",), "table-3.1/reproj", "of row table-3.1/trans-reproj, not table-3.1/reproj"),
        (("seed",), 1, "of seed 0, not 1"),
        (("steps",), 2, "of steps 3, not 2"),
        (("data_digest",), "sha256:c", "the data"),
        (("stages", 1, "name"), "clips", "the stages of training"),
        (("stages",), [STAGE], "the stages of training"),
        (("stages", 0, "weights"), "sha256:c", "the initial weights of pre-training"),
        (("stages", 0, "batches"), "sha256:c", "the batches of pre-training"),
        (("stages", 1, "batches"), "sha256:c", "the batches of training"),
        (("stages", 1, "loss"), [0.5, 0.25], "the number of steps of training"),
        (("stages", 1, "loss", 2), 0.1251, "the loss at step 2 of training"),
        (("stages", 0, "gradient_norm", 1), 0.501, "the gradient norm at step 1 of pre-training"),
        (("metrics", "mpjpe_mm"), 59.05, "mpjpe_mm, 59 before and 59.05 now"),
        (("metrics", "pck3d_150"), 80.3, "pck3d_150, 80 before and 80.3 now"),
        (("metrics",), {"mpjpe_mm": 59.0}, "the metric pck3d_150, which is gone"),
    ],
)
def test_what_has_moved_is_said(where, value, said):
    why, off = confirm.compare(TRACE, changed(value, *where))
    assert said in why and not off <= 0


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("stages", 1, "loss", 2), 0.125 * (1 + 2e-5)),
        (("stages", 1, "gradient_norm", 2), 0.25 * (1 + 2e-4)),
        (("stages", 1, "weights"), "sha256:c"),  # after a stage, rounding is in the weights
        (("metrics", "mpjpe_mm"), 59.005),
        (("metrics", "pck3d_150"), 80.05),
    ],
)
def test_the_rounding_of_other_processors_is_no_difference(where, value):
    why, off = confirm.compare(TRACE, changed(value, *where))
    assert why == "" and off < 2e-3


def test_what_an_earlier_stage_was_off_excuses_no_more_than_a_thousandth():
    noisy = changed([1.0, 0.5, 0.25 * (1 + 4e-4)], "stages", 0, "gradient_norm")
    assert confirm.compare(TRACE, noisy)[0] == ""
    noisy["stages"][1]["loss"][0] *= 1 + 3e-4  # ten times the tolerance; a norm says less than that
    assert "the loss at step 0 of training" in confirm.compare(TRACE, noisy)[0]


def test_the_largest_difference_is_told():
    new = changed(0.125 * (1 + 5e-6), "stages", 1, "loss", 2)
    assert confirm.compare(TRACE, new) == ("", pytest.approx(5e-6, rel=1e-3))


@pytest.mark.parametrize(
    "where", [("stages", 1, "loss", 0), ("stages", 0, "gradient_norm", 0), ("metrics", "mpjpe_mm")]
)
def test_what_is_no_number_any_more_has_moved(where):
    assert confirm.compare(TRACE, changed(math.nan, *where))[0]


# ---------------------------------------------------------------- another arithmetic


def elsewhere(value=None, *where):
    """A trace of a machine that rounds differently."""
    return (changed(value, *where) if where else copy.deepcopy(TRACE)) | {"arithmetic": "elsewhere"}


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("data_digest",), "sha256:c"),  # made data is rounded as well
        (("stages", 0, "weights"), "sha256:c"),
        (("stages", 0, "loss", 0), 0.5 * (1 + 5e-4)),
        (("stages", 0, "loss", 1), 0.25 * (1 + 1.5e-3)),
        (("stages", 1, "loss", 0), 0.5 * 1.07),
        (("stages", 1, "loss", 2), 0.6),
        (("stages", 1, "gradient_norm", 0), 9.0),
        (("metrics", "mpjpe_mm"), 65.0),
        (("metrics", "pck3d_150"), 70.0),
    ],
)
def test_in_another_arithmetic_only_the_first_losses_are_compared_closely(where, value):
    why, off = confirm.compare(TRACE, elsewhere(value, *where))
    assert why == "" and off > 0, "such a run is not reproduced to the last bit"
    assert confirm.compare(TRACE, changed(value, *where))[0]


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        (("row",), "table-3.1/reproj", "of row table-3.1/trans-reproj, not table-3.1/reproj"),
        (("stages",), [STAGE], "the stages of training"),
        (("stages", 1, "batches"), "sha256:c", "the batches of training"),
        (("stages", 0, "loss", 0), 0.5 * (1 + 7e-4), "the loss at step 0 of pre-training"),
        (("stages", 0, "loss", 2), 0.125 * 1.01, "the loss at step 2 of pre-training"),
        (("stages", 1, "loss", 0), 0.5 * 1.2, "the loss at step 0 of training"),
        (("metrics", "mpjpe_mm"), 75.0, "mpjpe_mm, 59 before and 75 now"),
    ],
)
def test_a_bug_has_moved_a_number_in_any_arithmetic(where, value, said):
    assert said in confirm.compare(TRACE, elsewhere(value, *where))[0]


def test_near_the_pole_only_the_very_first_loss_says_something():
    steep = changed([1e5, 1.0, 1.0], "stages", 0, "gradient_norm")
    new = copy.deepcopy(steep) | {"arithmetic": "elsewhere"}
    new["stages"][0]["loss"][1:] = [9.0, 9.0]
    assert confirm.compare(steep, new)[0] == ""
    new["stages"][0]["loss"][0] *= 1.003  # 2e5 times a rounding of 1e-8 are 0.2 %
    assert confirm.compare(steep, new)[0] == "the loss at step 0 of pre-training"
    for trace in (steep, new):
        trace["stages"][0]["gradient_norm"][0] = 1e9
    assert confirm.compare(steep, new)[0] == ""
    new["stages"][0]["loss"][0] *= 1.06
    assert confirm.compare(steep, new)[0] == "the loss at step 0 of pre-training"
    for trace in (steep, new):  # a critic's score may be
        trace["stages"][0]["loss"][0] = 0.0
    assert confirm.compare(steep, new)[0] == ""


@pytest.mark.parametrize(
    ("where", "batches", "said"),
    [
        ("elsewhere", "sha256:second", ""),
        ("elsewhere", "sha256:other", "the batches of dictionary"),
        ("here", "sha256:second", "the batches of dictionary"),
    ],
)
def test_another_arithmetic_may_choose_another_of_the_starts_that_were_tried(where, batches, said):
    first, second = ({**STAGE, "name": "dictionary", "batches": f"sha256:{name}"}
                     for name in ("first", "second"))  # fmt: skip
    old = TRACE | {"stages": [first, second, first]}
    new = old | {"stages": [first, second, {**first, "batches": batches}], "arithmetic": where}
    assert confirm.compare(old, copy.deepcopy(new))[0] == said


def test_the_same_bits_elsewhere_are_the_same_bits():
    assert confirm.compare(TRACE, elsewhere()) == ("", 0.0)


# ---------------------------------------------------------------- checks of records


@pytest.fixture
def record(tmp_path, monkeypatch):
    """A published record with a trace that today's code has made; returns its file."""
    monkeypatch.setenv("POSEBOOK_RESULTS", str(tmp_path))
    row = catalogue.find("table-3.1/reproj")
    [(_, _, trace)] = traces("smoke", [(row, 0)])
    size, variant = catalogue.settings("lifting", "smoke", "reproj")
    return results.write_result(tmp_path, {
        "experiment": "table-3.1", "variant": "reproj", "dataset": "embedded-views",
        "profile": "smoke", "seed": 0, "metrics": {"mpjpe_mm": 59.0}, "steps": 1,
        "parameters": {**vars(variant), "width": size.width, "steps": size.steps},
        "data_digest": trace["data_digest"], "device": "cpu", "wall_seconds": 1.0, "trace": trace,
    })  # fmt: skip


@pytest.fixture
def here(monkeypatch):
    """Traces made in this process, so that a test can change the code behind them."""

    class Pool:
        def __init__(self, *args):
            pass

        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda self, *args: None  # noqa: E731

        def submit(self, function, *args):
            class Done:
                result = staticmethod(lambda: function(*args))

            return Done

    monkeypatch.setattr(confirm, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(confirm, "as_completed", list)


def test_a_row_that_is_reproduced_says_so_and_its_record_is_not_touched(record, here, capsys):
    before = record.read_bytes()
    assert confirm.confirm_all(["table-3.1/reproj"], "smoke") == 0
    said = capsys.readouterr().out
    assert "1 of 1 published runs reproduced, 1 of them to the last bit; 0 moved." in said
    [(name, check)] = read_checks(record.parents[1]).items()
    assert name == "table-3.1/reproj--seed0" and check.record == digest_of(record)
    assert (check.verdict, check.difference, check.why) == (REPRODUCED, 0.0, "")
    assert check.commit == results.commit() and record.read_bytes() == before
    frame = results.read_results("smoke", "table-3.1")
    assert frame["state"].tolist() == [results.commit()]


def test_a_row_that_differs_has_moved_and_says_where(record, here, capsys, monkeypatch):
    real = lifting.train.pair_loss

    def other(*args, **kwargs):
        value, logs, Y = real(*args, **kwargs)
        return 1.001 * value, logs, Y

    monkeypatch.setattr(lifting.train, "pair_loss", other)
    before = record.read_bytes()
    assert confirm.confirm_all(["table-3.1"], "smoke") == 1
    said = capsys.readouterr().out
    assert "0 of 1 published runs reproduced" in said and "1 moved." in said
    assert "table-3.1/reproj--seed0: the loss at step 0 of training" in said
    [check] = read_checks(record.parents[1]).values()
    assert check.verdict == MOVED and check.difference == pytest.approx(1e-3, rel=0.01)
    assert results.read_results("smoke", "table-3.1")["state"].tolist() == ["moved"]
    assert record.read_bytes() == before


def test_checks_of_other_rows_are_kept(record, here):
    folder = record.parents[1]
    confirm.confirm_all([], "smoke")
    [check] = read_checks(folder).values()
    confirm.write_checks(folder, {"table-3.1/supervised--seed0": check})
    confirm.confirm_all(["table-3.1/reproj"], "smoke")
    assert set(read_checks(folder)) == {"table-3.1/supervised--seed0", "table-3.1/reproj--seed0"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_stops_it_is_told_what_stays_and_that_nothing_goes_on(
    number, record, here, monkeypatch
):
    folder = record.parents[1]
    confirm.confirm_all(["table-3.1/reproj"], "smoke")
    before = read_checks(folder)
    monkeypatch.setattr(confirm, "_traces", lambda *_: os.kill(os.getpid(), number))
    # What a shell starts in the background ignores SIGINT.
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    said = f"^verdicts noted in {folder / 'checks.json'} stay; the same command repeats all rows$"
    try:
        with pytest.raises(Stopped, match=said) as stopped:
            confirm.confirm_all(["table-3.1/reproj"], "smoke")
    finally:
        signal.signal(signal.SIGINT, usual)
    assert stopped.value.status == 128 + number and read_checks(folder) == before


def test_traces_are_written_from_clean_code_alone(record, here, monkeypatch):
    monkeypatch.setattr(confirm, "commit", lambda: "abc1234+")
    with pytest.raises(ValueError, match="the code has been edited since the last commit; commit"):
        confirm.confirm_all([], "smoke", write_traces=True)
    monkeypatch.setattr(confirm, "commit", lambda: "abc1234")
    before = results.read_result(record)
    for damaged in ({}, {**before["trace"], "seed": 3}):
        write(record, {**before, "trace": damaged})
        assert confirm.confirm_all([], "smoke", write_traces=True) == 0
        after = results.read_result(record)
        assert after == before, "the same trace again, and nothing else of the record"
        assert not read_checks(record.parents[1])
    monkeypatch.setattr(confirm, "code_digest", lambda: "sha256:" + 64 * "0")
    with pytest.raises(ValueError, match="other code has made these records; check out the commit"):
        confirm.confirm_all([], "smoke", write_traces=True)


AGAIN = "`python -m posebook confirm table-3.1/reproj --profile smoke --trace`, from the commit"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (None, f"has no trace; make it with {AGAIN}"),
        ({"stages": []}, f"the trace is cut short; make it again with {AGAIN}"),
        ({"stages": [{"loss": [1.0], "gradient_norm": []}]}, "the trace is cut short; make it"),
        ({"metrics": {}}, "the trace is cut short; make it again"),
        ({"row": "table-3.1/supervised"}, "is of row table-3.1/supervised, not table-3.1/reproj; "),
        ({"seed": 3}, f"the trace is of seed 3, not 0; make it again with {AGAIN}"),
        ({"profile": "laptop"}, "the trace is of profile laptop, not smoke; make it again"),
        ({"arithmetic": None}, "the trace is cut short; make it again"),
        ({"data_digest": None}, "the trace is cut short; make it again"),
        ({"steps": 40}, "the trace is cut short; make it again"),
        ({"stages": ["training"]}, "the trace is cut short; make it again"),
        ({"stages": [{**STAGE, "batches": None}]}, "the trace is cut short; make it again"),
        ({"stages": [{**STAGE, "loss": [1.0, None, 1.0]}]}, "the trace is cut short; make it"),
        ({"metrics": {"p_mpjpe_mm": 59.0}}, "the trace is cut short; make it again"),
    ],
)
def test_a_record_without_a_whole_trace_is_named_with_the_remedy(changes, said, record, here):
    old = results.read_result(record)
    trace = {} if changes is None else {**old["trace"], **changes}
    write(record, {**old, "trace": trace})
    for check in (
        lambda: confirm.check(record, results.read_result(record), old["trace"]),
        lambda: confirm.confirm_all(["table-3.1/reproj"], "smoke"),
    ):
        with pytest.raises(ValueError, match=said):
            check()
    assert not read_checks(record.parents[1])


def test_one_bad_trace_does_not_keep_the_others_from_being_checked(record, here, capsys):
    other = record.with_name("reproj--seed1.json")
    write(other, {**results.read_result(record), "seed": 1})
    assert confirm.confirm_all(["table-3.1"], "smoke") == 1
    assert set(read_checks(record.parents[1])) == {"table-3.1/reproj--seed0"}
    said = capsys.readouterr().out.splitlines()
    assert said[-3].startswith("1 of 1 published runs reproduced")
    assert said[-3].endswith("0 moved, 1 left out.")
    assert said[-2].startswith(f"{other}: the trace is of seed 0, not 1; make it again with")


def test_a_damaged_file_of_checks_is_refused_before_the_work(record, here, monkeypatch):
    (record.parents[1] / "checks.json").write_text("{")
    monkeypatch.setattr(confirm, "_traces", None)
    with pytest.raises(ValueError, match="no file of checks .*; delete it and run"):
        confirm.confirm_all(["table-3.1/reproj"], "smoke")


def test_what_is_not_published_is_refused(record):
    with pytest.raises(ValueError, match="no trained row of no-extrinsics is published for smoke"):
        confirm.confirm_all(["no-extrinsics"], "smoke")
    with pytest.raises(ValueError, match="no trained row of any table is published for gpu"):
        confirm.confirm_all([], "gpu")
    with pytest.raises(ValueError, match="nothing is called table-3.11; did you mean"):
        confirm.confirm_all(["table-3.11"], "smoke")


def test_what_is_drawn_has_no_steps_to_repeat(record):
    with pytest.raises(ValueError, match="for smoke; `python -m posebook draw floors` draws it"):
        confirm.confirm_all(["floors"], "smoke")


def test_a_verdict_is_on_the_file_that_was_read(record, here, capsys, monkeypatch):
    old, made = results.read_result(record), confirm._traces

    def meanwhile(profile, runs):
        write(record, {**old, "metrics": {"mpjpe_mm": 60.0}})
        return made(profile, runs)

    monkeypatch.setattr(confirm, "_traces", meanwhile)
    assert confirm.confirm_all(["table-3.1/reproj"], "smoke") == 1
    assert "reproj--seed0 was filed anew meanwhile; confirm it" in capsys.readouterr().out
    assert not read_checks(record.parents[1])


@pytest.mark.parametrize("profile", ["gpu", "paper"])
@pytest.mark.parametrize("row", ["table-2.3/res50-tce-bc", "table-4.1/baseline-cf"])
def test_what_a_file_rounds_is_no_change_of_a_profile(profile, row):
    found = catalogue.find(row)
    size, variant = catalogue.settings(found.chapter, profile, found.variant)
    in_a_file = json.dumps(plain({**asdict(variant), **asdict(size)}, "parameters"))
    held = {
        "experiment": found.experiment, "variant": found.variant, "profile": profile,
        "dataset": catalogue.CHAPTERS[found.chapter].DATASETS[0],
        "parameters": json.loads(in_a_file),
    }  # fmt: skip
    assert confirm.out_of_date(held) == ""


def test_a_record_knows_when_its_row_or_profile_has_changed(record):
    held = results.read_result(record)
    assert confirm.out_of_date(held) == ""
    old = {**held, "parameters": {**held["parameters"], "width": 16}}
    assert confirm.out_of_date(old) == "width was 16 and is 32"
    old = {**held, "parameters": {**held["parameters"], "lam": 2.0}}
    assert confirm.out_of_date(old) == "lam was 2.0 and is 1.0"
    assert confirm.out_of_date({**held, "parameters": {}}) == ""


def test_rows_that_share_their_data_are_traced_together():
    runs = [("table-3.1/reproj", 0), ("table-3.3/trans-reproj-uniform-noise", 0),
            ("table-3.1/trans-reproj", 1), ("table-4.1/baseline-cf", 0)]  # fmt: skip
    parts = confirm.chunks("smoke", runs)
    assert sorted(map(len, parts), reverse=True) == list(map(len, parts)) == [2, 1, 1]
    assert parts[0] == [runs[0], runs[2]]
    seeds = confirm.chunks("smoke", [("table-2.3/res50", 0), ("table-2.3/res50", 1)])
    assert len(seeds) == 2, "features of chapter 2 differ from seed to seed"


def test_a_trace_is_the_same_whatever_was_traced_before():
    runs = [(catalogue.find(f"table-3.1/{name}"), 0) for name in ("reproj", "reproj-adv")]
    both = {row.name: trace for row, _, trace in traces("smoke", runs)}
    for run in runs:
        [(row, _, alone)] = traces("smoke", [run])
        assert both[row.name] == alone
