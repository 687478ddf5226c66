"""The best of several starts: chosen by the loss alone, and recorded."""

from dataclasses import replace
from functools import cache

import pytest

from posebook import dictionary_starts, factorization, lifting
from posebook.data.views import ViewsSize, make_views
from posebook.results import validate


@cache
def one_person(size=None, split="subjects", noise="full"):
    train, test = make_views(ViewsSize(1, 12, 1), split, noise)
    return [s for s in train if s.subject == "S1"], test[:2]


@pytest.fixture
def smoke(monkeypatch):
    monkeypatch.setattr(lifting, "make_views", one_person)
    short = replace(factorization.PROFILES["smoke"], steps=10, dictionary_steps=5)
    monkeypatch.setitem(factorization.PROFILES, "smoke", short)
    return short


def test_no_two_seeds_share_a_start():
    assert len({start for seed in range(5) for start in dictionary_starts.starts(seed)}) == 20


def test_the_start_with_the_smallest_loss_is_taken_without_labels(smoke):
    row = factorization.VARIANTS["baseline-cf"]
    pictures, *_ = factorization.load(smoke, row)
    blind = replace(pictures, Y=None, heading=None)
    start, losses = dictionary_starts.choose(blind, smoke, row, 2)
    assert len(set(losses)) == dictionary_starts.STARTS
    assert losses[dictionary_starts.starts(2).index(start)] == min(losses)


def test_a_row_runs_from_its_best_start(smoke):
    record = dictionary_starts.run("smoke", "baseline-cf", 0)
    validate({**record, "schema": 1, "versions": {}, "poses": []})
    assert (record["seed"], record["experiment"]) == (0, "starts-4.5")
    assert record["parameters"]["start"] in dictionary_starts.starts(0)
    _, plain = factorization.run("smoke", "baseline-cf", record["parameters"]["start"])
    assert plain["metrics"] == record["metrics"]
    with pytest.raises(ValueError, match="unknown variant 'baseline'"):
        dictionary_starts.run("smoke", "baseline", 0)
