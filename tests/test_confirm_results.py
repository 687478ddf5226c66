"""Old results are confirmed by comparing short runs to the bit, and only where those agree."""

import copy

import pytest

from posebook import results

RUN = {
    "code_digest": "sha256:" + "1" * 64,
    "data_digest": "sha256:" + "2" * 64,
    "curves": {"loss": [[40, 0.125]]},
    "metrics": {"mpjpe_mm": 59.0},
    "per_action": {"walk": {"mpjpe_mm": 58.0}},
}


@pytest.fixture
def tool(load_tool):
    return load_tool("confirm_results")


@pytest.fixture
def files(tmp_path):
    """Two seeds of one row, the second made by other code than the first."""
    paths = []
    for seed, digit in enumerate("13"):
        record = {
            "experiment": "table-3.1", "variant": "trans-reproj", "dataset": "embedded-views",
            "profile": "smoke", "seed": seed, "metrics": {"mpjpe_mm": 59.0}, "parameters": {},
            "data_digest": RUN["data_digest"], "code_digest": "sha256:" + digit * 64,
            "modules": ["posebook.geometry.skeleton"], "device": "cpu", "steps": 1, "wall_seconds": 1.0,
        }  # fmt: skip
        paths.append(results.write_result(tmp_path, record))
    return paths


def test_equal_runs_differ_in_nothing_and_a_new_metric_is_no_difference(tool):
    new = copy.deepcopy(RUN)
    new["metrics"]["auc3d"] = 30.0
    new["per_action"]["walk"]["auc3d"] = 30.0
    assert tool.difference(RUN, new) is None


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (("data_digest",), "data_digest"),
        (("curves", "loss"), "curves"),
        (("metrics", "mpjpe_mm"), "mpjpe_mm"),
        (("per_action", "walk", "mpjpe_mm"), "per_action.walk"),
    ],
)
def test_the_last_bit_counts(tool, where, said):
    new = copy.deepcopy(RUN)
    inner = new
    for name in where[:-1]:
        inner = inner[name]
    inner[where[-1]] = 59.000000000000007 if where[-1] == "mpjpe_mm" else "other"
    assert tool.difference(RUN, new) == said


def test_only_records_of_the_old_code_are_confirmed(tool, files, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "short_run", lambda tree, record, steps: RUN)
    said = tool.confirm_row(files, tmp_path, "abc1234", 40)
    assert said == "confirmed 1, left 1 of other code"
    first, second = (results.read_result(path) for path in files)
    assert not results.is_stale(first) and results.is_stale(second)
    assert first["confirmed"]["commit"] == "abc1234" and first["confirmed"]["steps"] == 40
    assert first["code_digest"] == RUN["code_digest"], "what made the record is kept"


def test_a_row_that_differs_stays_stale(tool, files, tmp_path, monkeypatch):
    def short_run(tree, record, steps):
        return RUN if tree == tmp_path else {**RUN, "data_digest": "sha256:" + "4" * 64}

    monkeypatch.setattr(tool, "short_run", short_run)
    before = [path.read_bytes() for path in files]
    assert tool.confirm_row(files, tmp_path, "abc1234", 40) == "stays stale: data_digest differs"
    assert [path.read_bytes() for path in files] == before


def test_a_confirmed_record_goes_stale_with_the_next_change(files, monkeypatch):
    results.confirm(files[0], "abc1234", 40)
    assert not results.is_stale(results.read_result(files[0]))
    monkeypatch.setattr(results, "code_digest", lambda modules: "sha256:" + "9" * 64)
    assert results.is_stale(results.read_result(files[0]))
