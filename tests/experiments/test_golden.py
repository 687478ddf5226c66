"""Golden rows: every row of the catalogue gives on `smoke` what it gave before.

Twenty steps of each, compared in losses, gradient norms and the metrics after them: the wiring of
training (which loss, which weight, whose gradient) is compared with nothing else. Where a number
changes on purpose, `python tests/experiments/test_golden.py` writes the files anew, and the commit
says why.
"""

import json
import sys
from pathlib import Path

import pytest

from posebook.experiments import catalogue, confirm
from posebook.experiments.traces import traces

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
CHUNKS = confirm.chunks("smoke", [(name, 0) for name in catalogue.rows()])


def read(chapter: str) -> dict[str, dict]:
    return json.loads((GOLDEN / f"{chapter}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("runs", CHUNKS, ids=lambda runs: runs[0][0])
def test_rows_give_what_they_gave(runs):
    found = [(catalogue.find(name), seed) for name, seed in runs]
    moved = {}
    for row, _, now in traces("smoke", found):
        why, off = confirm.compare(read(row.chapter)[row.name], now)
        if why:
            moved[row.name] = f"{why} ({off:.1e})"
    assert not moved


def test_golden_files_have_every_row_and_no_other():
    assert {name for chapter in catalogue.CHAPTERS for name in read(chapter)} == {*catalogue.rows()}


def main() -> None:
    """Write the golden files anew, as today's code has it."""
    found: dict[str, dict] = {chapter: {} for chapter in catalogue.CHAPTERS}
    for row, _, trace in traces("smoke", [(r, 0) for r in catalogue.rows().values()]):
        found[row.chapter][row.name] = trace
    for chapter, rows in found.items():
        lines = [f" {json.dumps(n)}: {json.dumps(rows[n], sort_keys=True)}" for n in sorted(rows)]
        (GOLDEN / f"{chapter}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    sys.exit(main())
