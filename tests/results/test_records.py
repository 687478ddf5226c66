"""Records are checked when written and read, and a record says once and for all what made it."""

import json
import math

import numpy as np
import pytest
import torch

from posebook import results, storage
from posebook.results.checks import MOVED, REPRODUCED, Check, digest_of, name_of, write_checks

DIGEST = "sha256:" + "0" * 64


def make_record(**changes):
    record = {
        "experiment": "table-3.1", "variant": "trans-reproj", "dataset": "embedded-views",
        "profile": "smoke", "seed": 0, "metrics": {"mpjpe_mm": 59.0, "p_mpjpe_mm": 45.7},
        "parameters": {"blocks": 4, "lr": 1e-3}, "data_digest": DIGEST, "device": "cpu",
        "steps": 10, "wall_seconds": 1.5,
    }  # fmt: skip
    return {**record, **changes}


def test_a_written_record_reads_back(tmp_path):
    curves = {"loss": [[0, 1.0], [10, np.float32(0.1)]], "mpjpe_mm": torch.tensor([[0, 2.0]])}
    record = make_record(curves=curves, metrics={"mpjpe_mm": torch.tensor(59.0)})
    path = results.write_result(tmp_path, record)
    assert path == tmp_path / "smoke" / "table-3.1" / "trans-reproj--seed0.json"
    back = results.read_result(path)
    assert back["schema"] == 2 and back["metrics"] == {"mpjpe_mm": 59.0}
    assert back["curves"] == {"loss": [[0, 1.0], [10, 0.1]], "mpjpe_mm": [[0.0, 2.0]]}
    assert back["versions"]["torch"] == torch.__version__
    assert back["code_digest"] == results.code_digest() and back["commit"] == results.commit()
    assert not {"modules", "confirmed", "trace"} & set(back)
    assert [p.name for p in path.parent.iterdir()] == [path.name], "something was left beside"


def test_runs_on_official_data_do_not_mix_with_the_published_ones(tmp_path):
    ours = results.write_result(tmp_path, make_record())
    theirs = results.write_result(
        tmp_path, make_record(dataset="human36m", metrics={"mpjpe_mm": 1.0})
    )
    assert theirs == tmp_path / "human36m" / ours.relative_to(tmp_path)
    for folder, mpjpe in ((tmp_path, 59.0), (tmp_path / "human36m", 1.0)):
        frame = results.read_results("smoke", "table-3.1", folder=folder)
        assert frame["mpjpe_mm"].tolist() == [mpjpe]


def test_files_are_sorted_rounded_and_readable(tmp_path):
    note = "spaces [ 1,  2 ] stay"
    record = make_record(metrics={"mpjpe_mm": 1 / 3}, curves={"loss": [[0, 1.0]]}, note=note)
    text = results.write_result(tmp_path, record).read_text()
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert "0.333333\n" in text and "[0, 1.0]" in text
    assert json.loads(text)["note"] == note


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metrics": {}}, "metrics"),
        ({"metrics": {"mpjpe_mm": math.nan}}, "metrics.mpjpe_mm"),
        ({"metrics": {"mpjpe_mm": "59"}}, "metrics.mpjpe_mm"),
        ({"metrics": {"MPJPE": 59.0}}, "MPJPE"),
        ({"per_action": {"walk": {"mpjpe_mm": math.inf}}}, "per_action.walk.mpjpe_mm"),
        ({"curves": {"loss": [1.0, 2.0]}}, "curves.loss"),
        ({"variant": "Trans Reproj"}, "variant"),
        ({"variant": "a--b"}, "variant"),
        ({"experiment": "../table"}, "experiment"),
        ({"profile": "huge"}, "profile"),
        ({"seed": -1}, "seed"),
        ({"seed": True}, "seed"),
        ({"data_digest": "abc"}, "data_digest"),
        ({"schema": 1}, "schema"),
        ({"metric": {}}, "metric"),
        ({"parameters": {"model": object()}}, "parameters.model"),
        ({"modules": ["posebook.geometry.skeleton"]}, "modules"),
        ({"confirmed": {}}, "confirmed"),
        ({"commit": 1}, "commit"),
        ({"trace": [1]}, "trace"),
    ],
)
def test_a_bad_field_is_named_and_nothing_written(tmp_path, changes, said):
    with pytest.raises(ValueError, match=said.replace(".", r"\.")):
        results.write_result(tmp_path, make_record(**changes))
    assert not list(tmp_path.rglob("*.*"))


def test_a_missing_field_is_named(tmp_path):
    record = make_record()
    del record["device"]
    with pytest.raises(ValueError, match="'device' is missing"):
        results.write_result(tmp_path, record)


def test_a_file_must_hold_what_its_name_says(tmp_path):
    path = results.write_result(tmp_path, make_record())
    moved = path.with_name("reproj--seed0.json")
    path.rename(moved)
    with pytest.raises(ValueError, match="trans-reproj--seed0"):
        results.read_result(moved)
    moved.write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        results.read_result(moved)
    with pytest.raises(FileNotFoundError):
        results.read_result(path)


def test_results_read_as_a_table(tmp_path):
    for variant, seed in [("reproj", 1), ("trans-reproj", 0), ("reproj", 0), ("other", 0)]:
        results.write_result(tmp_path, make_record(variant=variant, seed=seed))
    frame = results.read_results("smoke", "table-3.1", folder=tmp_path)
    assert list(frame["variant"]) == ["other", "reproj", "reproj", "trans-reproj"]
    frame = results.read_results("smoke", "table-3.1", ["trans-reproj", "reproj"], tmp_path)
    assert list(zip(frame["variant"], frame["seed"], strict=True)) == [
        ("trans-reproj", 0), ("reproj", 0), ("reproj", 1),
    ]  # fmt: skip
    assert (frame["p_mpjpe_mm"] == 45.7).all() and (frame["state"] == "").all()
    assert (frame["commit"] == results.commit()).all()


def test_seeds_stand_as_numbers_in_order_where_rows_of_two_experiments_alternate(tmp_path):
    """So many that a sort which is not stable would shuffle them."""
    asked, seeds = ["table-3.1/reproj", "table-3.2/reslinear", "table-3.1/trans-reproj"], range(11)
    for row in asked:
        experiment, variant = row.split("/")
        for seed in seeds:
            record = make_record(experiment=experiment, variant=variant, seed=seed)
            results.write_result(tmp_path, record)
    frame = results.read_results("smoke", "table-3.1", folder=tmp_path)
    assert frame["seed"].tolist() == [*seeds, *seeds]
    for rows in (asked, asked[::-1]):
        frame = results.read_rows("smoke", rows, tmp_path)
        found = list(zip(frame["variant"], frame["seed"], strict=True))
        assert found == [(row, seed) for row in rows for seed in seeds]


def test_one_thread_of_an_older_record_is_not_several(tmp_path):
    results.write_result(tmp_path, make_record(device="cpu, 1 threads"))
    assert [*results.read_results("smoke", "table-3.1", folder=tmp_path)["device"]] == [
        "cpu, 1 thread"
    ]


def test_rows_of_different_experiments_read_as_one_table(tmp_path):
    for experiment, variant, seed in [
        ("table-3.1", "trans-reproj", 1), ("table-3.1", "trans-reproj", 0),
        ("table-3.1", "reproj", 0), ("table-3.2", "reslinear", 0),
    ]:  # fmt: skip
        record = make_record(experiment=experiment, variant=variant, seed=seed)
        results.write_result(tmp_path, record)
    asked = ["table-3.2/reslinear", "table-3.2/absent", "table-3.1/trans-reproj"]
    frame = results.read_rows("smoke", asked, tmp_path)
    assert list(zip(frame["variant"], frame["seed"], strict=True)) == [
        ("table-3.2/reslinear", 0), ("table-3.1/trans-reproj", 0), ("table-3.1/trans-reproj", 1),
    ]  # fmt: skip
    assert results.compare(frame, asked[2], asked[0], "mpjpe_mm").mean == 0
    for nothing in ([], ["table-3.3/absent"]):
        frame = results.read_rows("smoke", nothing, tmp_path)
        assert frame.empty and "state" in frame
    with pytest.raises(ValueError, match="'reproj' must be experiment/variant"):
        results.read_rows("smoke", ["reproj"], tmp_path)


def test_an_experiment_not_run_has_no_rows(tmp_path):
    frame = results.read_results("laptop", "table-3.1", folder=tmp_path)
    assert frame.empty and "state" in frame
    gap = results.compare(frame, "a", "b", "mpjpe_mm")
    assert gap.n == 0 and results.verdict(gap, -1) == "not run"
    with pytest.raises(ValueError, match="profile"):
        results.read_results("huge", "table-3.1", folder=tmp_path)


def test_what_made_a_record_is_kept_as_it_was(tmp_path):
    digest = "sha256:" + "1" * 64
    made = {"commit": "abc1234def56", "code_digest": digest, "versions": {"torch": "1"}}
    back = results.read_result(results.write_result(tmp_path, make_record(**made)))
    assert {name: back[name] for name in made} == made


def test_a_trace_keeps_all_of_its_digits(tmp_path):
    trace = {"row": "table-3.1/trans-reproj", "seed": 0, "stages": [{"loss": [0.123456789, 1e-9]}]}
    path = results.write_result(tmp_path, make_record(trace=trace, metrics={"mpjpe_mm": 1 / 3}))
    assert results.read_result(path)["trace"] == trace
    assert results.read_result(path)["metrics"] == {"mpjpe_mm": 0.333333}


def test_a_table_says_what_is_known_of_its_runs(tmp_path):
    paths = [results.write_result(tmp_path, make_record(seed=seed)) for seed in range(3)]
    folder = tmp_path / "smoke"
    write_checks(folder, {
        name_of(path): Check(digest_of(path), verdict, "fed9876", "cpu")
        for path, verdict in zip(paths, (REPRODUCED, MOVED), strict=False)
    })  # fmt: skip
    for frame in (
        results.read_results("smoke", "table-3.1", folder=tmp_path),
        results.read_rows("smoke", ["table-3.1/trans-reproj"], tmp_path),
    ):
        assert frame["state"].tolist() == ["fed9876", "moved", ""]


def test_an_interrupted_write_leaves_the_old_record(tmp_path, monkeypatch):
    path = results.write_result(tmp_path, make_record())
    before = path.read_bytes()

    def die(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(storage.os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        results.write_result(tmp_path, make_record(metrics={"mpjpe_mm": 1.0}))
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]
