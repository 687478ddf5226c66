"""Making traces: the first steps of rows, each data set made once for the rows that share it.

A trace holds the digests of a row's initial weights and of its first batches, its first losses and
gradient norms at its own schedule, and the metrics of the network after them. A row of chapter 2
starts from a base network whose training takes twenty minutes; its trace starts from one that was
trained for twenty steps.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from posebook.experiments import catalogue
from posebook.experiments.run import CHAPTERS, outcome_of
from posebook.results.provenance import arithmetic, data_digest, device_name
from posebook.training.trace import STEPS, recording


def data_key(row: catalogue.Row, profile: str, seed: int) -> tuple:
    """Rows with the same key share their data; chapter 2's features differ from seed to seed."""
    size, variant = catalogue.settings(row.chapter, profile, row.variant)
    key = CHAPTERS[row.chapter].prepare.data_key(size, variant)
    return (*key, seed) if row.chapter == "video" else key


def traces(
    profile: str, runs: list[tuple[catalogue.Row, int]]
) -> Iterator[tuple[catalogue.Row, int, dict]]:
    """(row, seed, trace) of every run on the embedded data; those that share it are neighbours."""
    order = sorted(runs, key=lambda run: (run[0].chapter, str(data_key(run[0], profile, run[1]))))
    last, data, made = None, None, []
    with tempfile.TemporaryDirectory(prefix="posebook-") as folder:
        for row, seed in order:
            key = (row.chapter, data_key(row, profile, seed))
            with recording() as recorder:
                if key != last:
                    data = None  # before the next one is made: both may not fit into memory
                    data, last = _prepared(row, profile, seed, Path(folder)), key
                    made = list(recorder.stages)
                recorder.stages[:] = made  # what was trained for the data belongs to every trace
                cache = Path(folder) if row.chapter == "video" else None
                dataset = catalogue.CHAPTERS[row.chapter].DATASETS[0]
                outcome = outcome_of(row, profile, seed, dataset, cache=cache, data=data)
            yield row, seed, {
                "row": row.name,
                "profile": profile,
                "seed": seed,
                "steps": STEPS,
                "device": device_name("cpu"),
                "arithmetic": arithmetic("cpu"),
                "data_digest": data_digest(outcome.data),
                "stages": recorder.stages,
                "metrics": {name: float(value) for name, value in outcome.metrics.items()},
            }


def _prepared(row: catalogue.Row, profile: str, seed: int, cache: Path):
    size, variant = catalogue.settings(row.chapter, profile, row.variant)
    prepare = CHAPTERS[row.chapter].prepare
    if row.chapter == "video":
        return prepare.prepare(size, variant, seed, folder=cache)
    return prepare.load(size, variant)
