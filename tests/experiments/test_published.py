"""The published records are those of today's catalogue, and each carries a trace of its own run."""

import numpy as np
import pytest

from posebook.experiments import catalogue, confirm
from posebook.results import METRICS, read_result, results_folder

PUBLISHED = confirm.published("laptop", [])
NIGHT = confirm.published("night", [])
RECORDS = {run: read_result(path) for run, path in PUBLISHED.items()}
RECORDS |= {(f"night of {row}", seed): read_result(path) for (row, seed), path in NIGHT.items()}


def test_every_row_is_published_and_nothing_else():
    drawn = {name for found in catalogue.DRAWN.values() for name in found.experiments}
    folders = {path.name for path in (results_folder() / "laptop").iterdir() if path.is_dir()}
    assert folders == {row.experiment for row in catalogue.rows().values()} | drawn
    assert {name for name, _ in PUBLISHED} == {*catalogue.rows()}
    files = sum(
        len(list((results_folder() / "laptop" / row).glob("*.json"))) for row in folders - drawn
    )
    assert files == len(PUBLISHED)


@pytest.mark.parametrize("run", RECORDS, ids=lambda run: f"{run[0]}--seed{run[1]}")
def test_a_record_was_made_with_todays_row_and_profile(run):
    assert not confirm.out_of_date(RECORDS[run])


def test_what_rows_of_chapters_3_and_4_measure_has_a_name_and_a_unit():
    lifted = [RECORDS[run] for run in PUBLISHED if catalogue.find(run[0]).chapter != "video"]
    assert len(lifted) > 100
    assert {name for record in lifted for name in record["metrics"]} <= METRICS.keys()


def test_every_record_has_a_whole_trace():
    for record in RECORDS.values():
        assert confirm.stages_of(record, "here")


def test_traces_are_those_of_the_published_runs():
    """Where nothing is trained before: the first point of the published curve is their mean."""
    compared = 0
    for (row, _), record in RECORDS.items():
        [*before, stage] = record["trace"]["stages"]
        step, mean = record["curves"]["loss"][0]
        if before or step > len(stage["loss"]) or "plain" in row:  # at the pole no two runs agree
            continue
        # Six digits are published, and another processor may have made them.
        np.testing.assert_allclose(np.mean(stage["loss"][:step]), mean, rtol=5e-5, err_msg=row)
        compared += 1
    assert compared > 90
