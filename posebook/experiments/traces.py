"""Making traces: the first steps of rows, each data set made once for the rows that share it.

A trace holds the digests of a row's initial weights and of its first batches, its first losses and
gradient norms at its own schedule, and the metrics of the network after them. A row of chapter 2
starts from a base network whose training takes twenty minutes; its trace starts from one that was
trained for twenty steps.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from posebook import factorization, lifting, video
from posebook.experiments import catalogue
from posebook.experiments.run import outcome_of
from posebook.results.provenance import arithmetic, data_digest, device_name
from posebook.training.trace import STEPS, recording

_PREPARE = {
    "video": video.prepare,
    "lifting": lifting.prepare,
    "factorization": factorization.prepare,
}


@dataclass
class Tracer:
    """Makes traces of one profile, and each data set once for the rows that share it.

    Attributes:
        cache: an empty folder for what is made on the way (base networks of a few steps, features).
    """

    profile: str
    cache: Path
    device: str = "cpu"

    def __post_init__(self) -> None:
        self._key, self._data, self._stages = None, None, []

    def trace(self, row: catalogue.Row, seed: int) -> dict:
        """The trace of a row of the embedded data."""
        dataset = catalogue.CHAPTERS[row.chapter].DATASETS[0]
        with recording() as recorder:
            data = self._prepared(row, seed, dataset, recorder)
            outcome = outcome_of(
                row, self.profile, seed, dataset, self.device, cache=self._cache_of(row), data=data
            )
        return {
            "row": row.name,
            "profile": self.profile,
            "seed": seed,
            "steps": STEPS,
            "device": device_name(self.device),
            "arithmetic": arithmetic(self.device),
            "data_digest": data_digest(outcome.data),
            "stages": recorder.stages,
            "metrics": {name: float(value) for name, value in outcome.metrics.items()},
        }

    def _prepared(self, row: catalogue.Row, seed: int, dataset: str, recorder):
        """The row's data, made now or found; what was trained for it belongs to every trace."""
        key = (row.chapter, data_key(row, self.profile, seed))
        if key != self._key:
            self._data = None  # before the next one is made: both may not fit into memory
            size, variant = catalogue.settings(row.chapter, self.profile, row.variant, dataset)
            if row.chapter == "video":
                prepare = video.prepare.prepare
                self._data = prepare(size, variant, seed, dataset, self.device, self.cache)
            else:
                load = _PREPARE[row.chapter].load
                self._data = load(size, variant, self.device, dataset)
            self._key, self._stages = key, list(recorder.stages)
        recorder.stages[:] = self._stages
        return self._data

    def _cache_of(self, row: catalogue.Row) -> Path | None:
        return self.cache if row.chapter == "video" else None


def data_key(row: catalogue.Row, profile: str, seed: int) -> tuple:
    """Rows with the same key share their data; chapter 2's features differ from seed to seed."""
    size, variant = catalogue.settings(row.chapter, profile, row.variant)
    key = _PREPARE[row.chapter].data_key(size, variant)
    return (*key, seed) if row.chapter == "video" else key


def traces(
    profile: str, runs: list[tuple[catalogue.Row, int]], device: str = "cpu"
) -> Iterator[tuple[catalogue.Row, int, dict]]:
    """(row, seed, trace) of every run, in an order in which neighbours share their data."""
    order = sorted(runs, key=lambda run: (run[0].chapter, str(data_key(run[0], profile, run[1]))))
    with tempfile.TemporaryDirectory(prefix="posebook-") as folder:
        tracer = Tracer(profile, Path(folder), device)
        for row, seed in order:
            yield row, seed, tracer.trace(row, seed)
