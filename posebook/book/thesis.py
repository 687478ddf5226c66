"""The thesis' own numbers and claims, as data under book/thesis, and what our runs say to them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml

from posebook.results.checks import MOVED
from posebook.results.records import PUBLISHED, read_rows
from posebook.results.statistics import METRICS, Gap, compare, smallest_difference, verdict

FOLDER = Path(__file__).resolve().parents[2] / "book" / "thesis"


class Claim(NamedTuple):
    """One gap that the thesis claims: `better` beats `worse` in `metric` of `experiment`.

    A variant that was run for another experiment is named with it: "table-3.1/trans-reproj".

    Attributes:
        name: what the board of claims calls it, short enough for a line of it.
        thesis_gap: better - worse as printed, None where the thesis gives no number.
        also: the same gap under other conditions, as `elsewhere` reads it.
    """

    id: str
    name: str
    chapter: int
    text: str
    where: str
    experiment: str
    metric: str
    better: str
    worse: str
    thesis_gap: float | None
    note: str = ""
    also: Sequence[Mapping[str, str]] = ()

    def elsewhere(self) -> list[tuple[str, Claim]]:
        """Under which other condition the claim is judged too, and the claim about its rows."""
        return [
            (other["told"], self._replace(
                better=other.get("better", self.better), worse=other.get("worse", self.worse),
                metric=other.get("metric", self.metric), also=(),
                thesis_gap=None if "metric" in other else self.thesis_gap,
            ))
            for other in self.also
        ]  # fmt: skip

    @property
    def expected_sign(self) -> int:
        """Sign of better - worse if the claim holds."""
        return -1 if METRICS[self.metric].lower_is_better else 1

    @property
    def margin(self) -> float:
        """Delta: a difference that is shown to be smaller is none."""
        return smallest_difference(self.metric, self.thesis_gap)

    @property
    def rows(self) -> tuple[str, str]:
        """`better` and `worse` as "experiment/variant"."""
        return tuple(
            name if "/" in name else f"{self.experiment}/{name}"
            for name in (self.better, self.worse)
        )


class Finding(NamedTuple):
    """Our answer to a claim: the gap better - worse, the verdict, whether a run has moved."""

    gap: Gap
    verdict: str
    moved: bool


@cache
def read_tables() -> dict[str, dict]:
    """The printed tables by name ("table-3.1"); see the head of book/thesis/tables.yml."""
    return _read("tables.yml")


@cache
def read_claims() -> tuple[Claim, ...]:
    """The thesis' claims in the order of its chapters."""
    return tuple(Claim(**entry) for entry in _read("claims.yml"))


def printed(table: str, variant: str, metric: str) -> float | None:
    """What the thesis prints for one of our variants, or None where it prints nothing.

    Raises:
        ValueError: the thesis has no such table.
    """
    tables = read_tables()
    if table not in tables:
        raise ValueError(f"the thesis has no {table!r}; it has {', '.join(tables)}")
    for row in tables[table]["rows"]:
        if row.get("variant") == variant:
            return row["metrics"].get(metric)
    return None


def judge(claim: Claim, profile: str, folder: str | os.PathLike | None = None) -> Finding:
    """Set a claim against the results of one profile; `folder` as in `read_results`."""
    runs = read_rows(profile, claim.rows, folder)
    gap = compare(runs, *claim.rows, claim.metric)
    word = verdict(gap, claim.expected_sign, claim.margin)
    return Finding(gap, word, bool((runs["state"] == MOVED).any()))


def judge_all(
    folder: str | os.PathLike | None = None,
) -> dict[str, list[tuple[Claim, Finding]]]:
    """All claims, each with its finding, by published profile; `folder` as in `read_results`.

    A profile with no pair of runs for any claim is left out; `laptop` always stands there.
    """
    claims = read_claims()
    found = {p: [(claim, judge(claim, p, folder)) for claim in claims] for p in PUBLISHED}
    return {
        p: pairs
        for p, pairs in found.items()
        if p == PUBLISHED[0] or any(finding.gap.n for _, finding in pairs)
    }


def _read(name: str):
    path = FOLDER / name
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: it is part of the repository, so run posebook from a clone"
        )
    return yaml.safe_load(path.read_text(encoding="utf-8"))
