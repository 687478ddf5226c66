"""Figure 4.4: examples chosen by rule, from a checkpoint, on detections that training never saw."""

from dataclasses import replace

import pytest
import torch

from posebook import factorization, lifting
from posebook.data.recorded.views import ViewsSize, make_views
from posebook.factorization import examples as factorization_examples
from posebook.results.records import newest_checkpoint, read_result, write_result


def few(size=None, split="subjects", noise="full"):
    train, test = make_views(ViewsSize(1, 12, 1), split, noise)
    return train[:2], test[:2]


def test_places_are_spread_over_take_and_cameras():
    pictures = factorization.evaluate.real_pictures("shift", "cpu")
    places = factorization_examples.choose(pictures)
    assert [view for _, view in places] == [0, 1, 2, 3]
    assert all(abs(instant - ideal) <= 3 for (instant, _), ideal in zip(places, (12, 37, 62, 87)))
    gap = replace(pictures, Y=pictures.Y.clone())
    gap.Y[places[0][0], 0, 5] = torch.nan
    assert factorization_examples.choose(gap)[0][0] > places[0][0]


def test_a_record_is_made_from_the_newest_checkpoint(monkeypatch, tmp_path):
    monkeypatch.setattr(lifting, "make_views", few)
    short = replace(factorization.rows.PROFILES["smoke"], steps=4, dictionary_steps=2, batch=8)
    monkeypatch.setitem(factorization.rows.PROFILES, "smoke", short)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="make results PROFILE=smoke"):
        newest_checkpoint("table-4.1/baseline-cf", "smoke")
    folder = tmp_path / "runs/smoke/table-4.1/baseline-cf--seed0/abc"
    model, row = factorization.run("smoke", "baseline-cf", 0, folder=folder)
    record = factorization_examples.predictions(
        "smoke", newest_checkpoint("table-4.1/baseline-cf", "smoke")
    )
    assert read_result(write_result(tmp_path, record))["poses"]
    assert record["parameters"]["checkpoint"].startswith("smoke/baseline-cf")
    pictures = factorization.evaluate.real_pictures("shift", "cpu")
    first = record["poses"][0]
    Y_hat, _ = model.eval()(pictures.X[first["instant"], first["view"]][None])
    torch.testing.assert_close(first["canonical"], Y_hat[0], atol=1e-4, rtol=0)
