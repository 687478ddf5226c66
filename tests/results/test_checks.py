"""What is known of a published number: a check belongs to the record as it was."""

import json

import pytest

from posebook.results.checks import (
    FILE,
    MOVED,
    REPRODUCED,
    Check,
    digest_of,
    name_of,
    read_checks,
    state_of,
    write_checks,
)


@pytest.fixture
def record(tmp_path):
    path = tmp_path / "table-3.1" / "trans-reproj--seed0.json"
    path.parent.mkdir()
    path.write_text("{}")
    return path


def check(path, verdict=REPRODUCED, **fields):
    return Check(digest_of(path), verdict, "abc1234", "cpu (AVX2), 1 threads", **fields)


def test_checks_read_back_as_they_were_written(tmp_path, record):
    checks = {
        name_of(record): check(record, difference=3e-7),
        "table-3.1/reproj--seed1": check(record, MOVED, difference=-1.0, why='the "data"'),
    }
    write_checks(tmp_path, checks)
    assert read_checks(tmp_path) == checks


def test_a_check_is_a_line_and_lines_are_sorted(tmp_path, record):
    names = ["table-3.1/b--seed0", "table-3.1/a--seed1", "table-2.3/c--seed0"]
    write_checks(tmp_path, {name: check(record) for name in names})
    lines = (tmp_path / FILE).read_text(encoding="utf-8").splitlines()
    assert (lines[0], lines[-1]) == ("{", "}") and len(lines) == 5
    found = [[*json.loads("{" + line.rstrip(",") + "}")] for line in lines[1:-1]]
    assert found == [[name] for name in sorted(names)]
    write_checks(tmp_path, {})
    assert read_checks(tmp_path) == {}


def test_without_a_file_nothing_is_known(tmp_path, record):
    assert read_checks(tmp_path) == {} and read_checks(tmp_path / "gone") == {}
    assert state_of(record, {}) == ""


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", '{"a": 1}', '{"a": {"verdict": "moved"}}',
             '{"a": {"record": "", "verdict": "", "commit": "", "device": "", "more": 1}}'],
)  # fmt: skip
def test_a_file_that_holds_no_checks_is_named_with_the_remedy(text, tmp_path):
    (tmp_path / FILE).write_text(text)
    said = r"checks\.json: no file of checks .*delete it and run `python -m posebook confirm`"
    with pytest.raises(ValueError, match=said) as refusal:
        read_checks(tmp_path)
    assert "\n" not in str(refusal.value)


def test_a_name_says_experiment_variant_and_seed(record):
    assert name_of(record) == "table-3.1/trans-reproj--seed0"


def test_a_state_is_the_commit_of_the_last_replay_or_that_it_moved(record):
    name = name_of(record)
    assert state_of(record, {name: check(record)}) == "abc1234"
    assert state_of(record, {name: check(record, MOVED)}) == "moved"
    assert state_of(record, {"table-3.1/trans-reproj--seed1": check(record)}) == ""


@pytest.mark.parametrize("verdict", [REPRODUCED, MOVED])
def test_a_check_says_nothing_of_a_record_that_has_changed_since(verdict, record):
    checks = {name_of(record): check(record, verdict)}
    record.write_text("{ }")
    assert state_of(record, checks) == ""
