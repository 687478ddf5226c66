"""Tables as the pages show them: numbered, with the spread over seeds, and open about gaps.

Everything is returned as MyST text, for `IPython.display.Markdown`. A row is named
"experiment/variant", as in `posebook.results.records.read_rows`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import pandas as pd

from posebook.book.thesis import printed
from posebook.experiments import catalogue
from posebook.experiments.catalogue import command
from posebook.paths import book_folder
from posebook.results.checks import MOVED
from posebook.results.records import PUBLISHED, read_results, read_rows
from posebook.results.statistics import (
    METRICS,
    NO_DIFFERENCE,
    SEEDS_FOR_A_VERDICT,
    Gap,
    summary,
)

NOT_RUN = "not run"
_NBSP = "\u00a0"  # an interval is not broken over two lines
_ONE_SEED = f" (1{_NBSP}seed)"
_VERDICTS = ("confirmed", "contradicted", NO_DIFFERENCE, "undecided", NOT_RUN)


def numbered(
    title: str, name: str, header: Sequence[str], rows: Iterable[Sequence], align: str = ""
) -> str:
    """A table with a number and the label `name`.

    "(1 seed)" is said once: in the title, or at the head of a row; not beside a count of seeds.

    Args:
        align: "l" or "r" for each column; default: the first column left, the others right.

    Raises:
        ValueError: if a row or `align` does not fit the header.
    """
    title, rows = _seed_said_once(title, header, [[*map(str, row)] for row in rows])
    try:
        body = plain(header, rows, align)
    except ValueError as wrong:
        raise ValueError(f"table {name!r}: {wrong}") from None
    # A fence of backticks must not have any in its title.
    return f"~~~{{table}} {title}\n:name: {name}\n\n{body}\n~~~"


def plain(header: Sequence[str], rows: Iterable[Sequence], align: str = "") -> str:
    """A table without a number; `align` as in `numbered`.

    Where the header leaves a column without a word, a screen reader gets one.

    Raises:
        ValueError: if a row or `align` does not fit the header.
    """
    align, rows = align or "l" + "r" * (len(header) - 1), [*rows]
    rule = [{"l": "---", "r": "---:"}[side] for side in align]
    if any(len(line) != len(header) for line in (rule, *rows)):
        raise ValueError(f"every row must have {len(header)} cells, as its header")
    named = [word or _unseen(column, rows) for column, word in enumerate(header)]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in (named, rule, *rows))


def _unseen(column: int, rows: Sequence[Sequence]) -> str:
    """What a screen reader says over a column whose header is empty."""
    judged = any(word in str(row[column]) for row in rows for word in _VERDICTS)
    word = "verdict" if judged else "detail" if column else "row"
    return f'<span class="visually-hidden">{word}</span>'


def _seed_said_once(
    title: str, header: Sequence[str], rows: list[list[str]]
) -> tuple[str, list[list[str]]]:
    once = [any(_ONE_SEED in cell for cell in row) for row in rows]
    spread = [any("±" in cell for cell in row) for row in rows]
    said = [[cell.replace(_ONE_SEED, "") for cell in row] for row in rows]
    if "seeds" in header:
        return title, said
    if len(rows) > 1 and all(once) and not any(spread):
        return f"{title}{_ONE_SEED}", said
    for k, row in enumerate(rows):
        if sum(_ONE_SEED in cell for cell in row) < 2 or spread[k]:
            said[k] = row
        else:
            said[k][0] += _ONE_SEED
    return title, said


def settings(*parts: Any, unread: Iterable[str] = ()) -> str:
    """What a run is made of, as a table: dataclasses in words, without what is off anyway.

    A setting that several parts have is told as the first one has it.

    Args:
        unread: fields that this run does not read, and that are not told.
    """
    told: dict[str, str] = {}
    for part in parts:
        for name, said in _told(part):
            told.setdefault(name, said)
    for field in unread:
        told.pop(field.replace("_", " "), None)
    return plain(("setting", "this run"), told.items(), align="ll")


def _told(part: Any, of: str = "") -> Iterator[tuple[str, str]]:
    for field in fields(part):
        found = getattr(part, field.name)
        name = "λ" if field.name == "lam" else f"{of}{field.name.replace('_', ' ')}"
        if is_dataclass(found):
            yield from _told(found, f"{name}: ")
        elif found or field.default:  # what has no default counts as on
            yield name, _in_words(found)


def _in_words(found: Any) -> str:
    if isinstance(found, bool):
        return "yes" if found else "no"
    if isinstance(found, tuple):
        return ", ".join(map(_in_words, found)) or "none"
    if found is None or found == "":
        return "none"
    return f"{found:.4g}" if isinstance(found, float) else str(found)


def measured(metrics: Mapping[str, float]) -> str:
    """What a run has measured, as a table: in words, with its unit and its name in the file."""
    lines = []
    for name, found in metrics.items():
        title, unit, _ = METRICS[name]
        unit = {"points": "%", "degrees": "°"}.get(unit, unit)
        lines.append([title, f"{found:.1f}" if unit else f"{found:.2f}", unit, f"`{name}`"])
    return plain(["metric", "this run", "unit", "in the file"], lines, align="lrll")


def published(
    rows: Iterable[str], folder: str | None = None, profiles: Sequence[str] = PUBLISHED
) -> dict[str, pd.DataFrame]:
    """The runs of `rows` by profile, where a profile has any; the first one in any case."""
    rows = list(rows)
    runs = {profile: read_rows(profile, rows, folder) for profile in profiles}
    return {p: frame for p, frame in runs.items() if len(frame) or p == profiles[0]}


def value(runs: pd.DataFrame, row: str, metric: str, digits: int = 1) -> str:
    """A row's mean with the half-width of its 95 % interval over seeds, "59.0 ± 0.4".

    One seed has no interval and says so; a row that today's code does not give again is marked.
    """
    mine = runs[runs["variant"] == row]
    if metric not in mine or not mine[metric].notna().any():
        return NOT_RUN
    spread = summary(mine, metric).loc[row]
    text = f"{spread['mean']:,.{digits}f}"
    half = f"{_NBSP}±{_NBSP}{spread['high'] - spread['mean']:,.{digits}f}"
    text += half if spread["n"] > 1 else f" (1{_NBSP}seed)"
    return text + (" (moved)" if (mine["state"] == MOVED).any() else "")


def mean(runs: pd.DataFrame, row: str, metric: str) -> float:
    """A row's mean over seeds, NaN where there is none: for prose that a page computes."""
    mine = runs[runs["variant"] == row]
    return float(mine[metric].mean()) if metric in mine and len(mine) else math.nan


def signed(number: float, digits: int = 1) -> str:
    """A number with its sign, "−47.6" or "+0.8"; zero has none."""
    text = f"{number:+,.{digits}f}".replace("-", "−")
    return text if text.strip("+−0.") else text[1:]


def interval(gap: Gap, digits: int = 1, sign: bool = True) -> str:
    """A gap (or, without `sign`, a ratio) with its 95 % interval, "−47.6 [−50.1, −45.1]"."""
    if gap.n == 0:
        return NOT_RUN
    show = signed if sign else (lambda number, places: f"{number:,.{places}f}")
    if math.isnan(gap.low):
        return f"{show(gap.mean, digits)} (no interval yet)"
    return f"{show(gap.mean, digits)} [{show(gap.low, digits)},{_NBSP}{show(gap.high, digits)}]"


def beside_the_thesis(
    table: str, rows: Mapping[str, str], metrics: Sequence[str], runs: Mapping[str, pd.DataFrame]
) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table that sets ours beside the printed numbers.

    Args:
        table: the thesis' table, "table-3.1".
        rows: title -> "experiment/variant". The thesis' number is that of the variant.
        runs: by profile, as from `published`; each profile has a column a metric.
    """
    title = {p: "ours" if len(runs) == 1 else f"ours, `{p}`" for p in runs}
    header = ["row"]
    for metric in metrics:
        header += [f"{METRICS[metric].title}, thesis", *(title[p] for p in runs)]
    lines = []
    for name, row in rows.items():
        line = [name]
        for metric in metrics:
            theirs = printed(table, row.partition("/")[2], metric)
            line += ["–" if theirs is None else f"{theirs:.1f}"]
            line += [value(frame, row, metric) for frame in runs.values()]
        lines.append([*line, " / ".join(str(seeds(frame, row)) for frame in runs.values())])
    return [*header, "seeds"], lines


def of_common_seeds(runs: pd.DataFrame, rows: Iterable[str]) -> pd.DataFrame:
    """The runs of those seeds that every row has: means of them are of the same draws."""
    rows = set(rows)
    there = runs[runs["variant"].isin(rows)].groupby("seed")["variant"].nunique()
    return runs[runs["seed"].isin(there[there == len(rows)].index)]


def seeds(runs: pd.DataFrame, row: str) -> int:
    """How many runs a row has."""
    return int((runs["variant"] == row).sum())


def source(
    runs: Mapping[str, pd.DataFrame], rows: Iterable[str], wanted: int = SEEDS_FOR_A_VERDICT
) -> str:
    """The line under a table, one a profile: what made it, whether it holds, how to compute it.

    *Made by* names the commits of the records, *re-checked at* the commit at which the first steps
    of all of them were last repeated (`posebook.experiments.confirm`). Rows that moved since, or
    have fewer seeds than `wanted`, are named.
    """
    rows, said = list(rows), []
    for profile, frame in runs.items():
        mine = frame[frame["variant"].isin(rows)]
        short = [f"`{row}` ({n} of {wanted} seeds)" for row in rows
                 if (n := seeds(mine, row)) < wanted]  # fmt: skip
        gone = set(mine.loc[mine["state"] == MOVED, "variant"])
        moved = [f"`{row}`" for row in rows if row in gone]
        parts = [made_by(mine)] if len(mine) else []
        parts += [f"moved since, run again: {', '.join(moved)}"] * bool(moved)
        parts += [f"not run yet: {', '.join(short)}"] * bool(short)
        again = f"`{command(as_names(rows), profile)}` computes it"
        said.append(f"*Profile `{profile}`: {'; '.join([*parts, again])}.*")
    return "\n\n".join(said)


def floor(
    runs: pd.DataFrame, rows: Mapping[str, str], metric: str, profile: str = "laptop"
) -> str:
    """What lies under a table: the same answer for every picture, and which rows do not reach it.

    Args:
        rows: what names the rows in `runs` by their titles.
        metric: "p_mpjpe_mm", which the mean body stands under, or one for the mean pose.
    """
    name = "floors/mean-body" if metric == "p_mpjpe_mm" else "floors/mean-pose"
    floors = published([name], profiles=(profile,))[profile]
    least, title = mean(floors, name, metric), METRICS[metric].title
    which = ("mean body, with everybody turned to the same side" if metric == "p_mpjpe_mm"
             else "mean pose, as the cameras see it")  # fmt: skip
    again = f"`{command(['floors'], profile)}` computes it"
    if math.isnan(least):
        return f"*Floor: not run yet; {again}.*"
    means = {row_title: mean(runs, row, metric) for row_title, row in rows.items()}
    worse = [row_title for row_title, found in means.items() if found > least]
    run = sum(not math.isnan(found) for found in means.values())
    said = f"; all rows{'' if run == len(rows) else ' that are run'} lie below it" if run else ""
    said = f"; **worse than that: {', '.join(worse)}**" if worse else said
    return (f"*Floor: the training people's {which}, given as the answer to every picture, has "
            f"{least:.1f} mm {title}{said}. It is made from 3D labels; without them there is no "
            f"floor. {again}.*")  # fmt: skip


def predicate(word: str) -> str:
    """A verdict as the end of "that ... is ..."."""
    return {NO_DIFFERENCE: "not borne out: there is no difference that matters",
            NOT_RUN: "not tested"}.get(word, word)  # fmt: skip


def in_bfloat16(profile: str, rows: Iterable[str]) -> tuple[pd.DataFrame, str]:
    """The runs of some rows with `--bf16`, which are kept apart, and the line under their table."""
    runs = read_rows(profile, rows, book_folder() / "machines" / "bf16")
    made = made_by(runs) if len(runs) else "not run yet"
    again = f"python -m posebook run ROW --profile {profile} --bf16 --out book/machines/bf16"
    return runs, f"*Profile `{profile}` with `--bf16`: {made}; `{again}` computes a row.*"


def behind(name: str, profile: str = "laptop") -> str:
    """The line under what is named in the catalogue, such as "figure-2.6": `source` by name."""
    rows, drawn = catalogue.select([name])
    shown_as = (name, *catalogue.ALSO_SHOWN.get(name, ()))
    experiments = [e for found in drawn.values() for e in found.experiments if e in shown_as]
    shown = read_rows(profile, rows) if not experiments else read_results(profile, experiments[0])
    parts = [made_by(shown)] if len(shown) else ["not run yet"]
    gone = sorted(set(shown.loc[shown["state"] == MOVED, "variant"])) if len(shown) else []
    parts += [f"moved since, run again: {', '.join(f'`{row}`' for row in gone)}"] * bool(gone)
    again = f"`{command([name], profile)}` computes it"
    return f"*Profile `{profile}`: {'; '.join([*parts, again])}.*"


def made_by(runs: pd.DataFrame) -> str:
    """Which commits made some runs, and at which they were all found to hold."""
    commits = [f"`{commit.rstrip('+')[:7]}`" for commit in dict.fromkeys(runs["commit"])]
    shown = ", ".join(commits[:3]) + (f" and {len(commits) - 3} more" if len(commits) > 3 else "")
    states = [state.rstrip("+")[:7] for state in dict.fromkeys(runs["state"]) if state != MOVED]
    checked = f", re-checked at `{'`, `'.join(states)}`" if states and all(states) else ""
    return f"made by {shown}{checked}"


def as_names(rows: Sequence[str]) -> list[str]:
    """Rows as few names for the command: an experiment's where all of its rows are there."""
    known, names = [*catalogue.rows()], []
    for experiment in dict.fromkeys(row.partition("/")[0] for row in rows):
        mine = [row for row in rows if row.startswith(f"{experiment}/")]
        every = {row for row in known if row.startswith(f"{experiment}/")}
        names += [experiment] if every <= set(mine) or not every & set(mine) else mine
    if len(names) > 1:  # a table that also shows rows of another one brings them along
        for name in names:
            shown = set(catalogue.select([name])[0]) if name in catalogue.ALSO_SHOWN else set()
            if set(rows) <= shown:
                return [name]
    return names
