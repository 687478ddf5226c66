"""Tables say what was measured, over how many seeds, and what is not there."""

import math

import pandas as pd
import pytest

from posebook.book import tables
from posebook.results.statistics import Gap

OURS, REPROJ = "table-3.1/trans-reproj", "table-3.1/reproj"


def plain(text):
    """Without the spaces that keep an interval on one line."""
    return text.replace("\u00a0", " ")


def make_runs(stale=False, **values):
    """Runs with the given MPJPE, a seed each; keyword a is OURS and b is REPROJ."""
    names = {"a": OURS, "b": REPROJ}
    rows = [
        {"variant": names[key], "seed": seed, "stale": stale, "mpjpe_mm": value}
        for key, found in values.items()
        for seed, value in enumerate(found)
    ]
    return pd.DataFrame(rows, columns=["variant", "seed", "stale", "mpjpe_mm"])


def test_a_numbered_table_is_a_directive_with_a_label():
    text = tables.numbered("Errors", "tab-errors", ["row", "mm"], [["a", 1], ["b", "2"]])
    assert text.splitlines() == [
        "~~~{table} Errors", ":name: tab-errors", "",
        "| row | mm |", "| --- | ---: |", "| a | 1 |", "| b | 2 |", "~~~",
    ]  # fmt: skip
    assert "| --- | --- |" in tables.numbered("t", "n", ["a", "b"], [], align="ll")
    with pytest.raises(ValueError, match="'tab-errors': every row must have 2 cells"):
        tables.numbered("Errors", "tab-errors", ["row", "mm"], [["a"]])


def test_a_value_has_its_interval_or_says_why_not():
    # t(0.975, 2) = 4.302653, std = 1: half width 4.302653 / sqrt(3) = 2.48
    runs = make_runs(a=[10.0, 11.0, 12.0], b=[1234.0])
    assert plain(tables.value(runs, OURS, "mpjpe_mm")) == "11.0 ± 2.5"
    assert tables.value(runs, REPROJ, "mpjpe_mm") == "1,234.0 (1\u00a0seed)"
    assert tables.value(runs, "table-3.1/supervised", "mpjpe_mm") == "not run"
    assert tables.value(runs, OURS, "p_mpjpe_mm") == "not run"
    stale = make_runs(stale=True, a=[10.0, 10.0])
    assert plain(tables.value(stale, OURS, "mpjpe_mm")) == "10.0 ± 0.0 (stale)"
    assert tables.mean(runs, OURS, "mpjpe_mm") == 11
    assert math.isnan(tables.mean(runs, "table-3.1/supervised", "mpjpe_mm"))


def test_an_interval_is_signed_or_a_ratio():
    gap = Gap(-47.6, -50.1, -45.1, 3, False)
    assert plain(tables.interval(gap)) == "−47.6 [−50.1, −45.1]"
    factor = Gap(0.5, 0.4, 0.6, 3, False)
    assert plain(tables.interval(factor, 2, sign=False)) == "0.50 [0.40, 0.60]"
    nan = float("nan")
    assert tables.interval(Gap(2.0, nan, nan, 1, False)) == "+2.0 (no interval yet)"
    assert tables.interval(Gap(nan, nan, nan, 0, False)) == "not run"


def test_ours_stand_beside_the_printed_numbers():
    runs = {"laptop": make_runs(a=[10.0, 11.0, 12.0])}
    rows = {"Ours": OURS, "Reproj": REPROJ, "bound": "table-3.1/supervised"}
    header, lines = tables.beside_the_thesis("table-3.1", rows, ["mpjpe_mm"], runs)
    assert header == ["row", "MPJPE, thesis", "ours", "seeds"]
    assert [[plain(cell) for cell in line] for line in lines] == [
        ["Ours", "59.0", "11.0 ± 2.5", "3"],
        ["Reproj", "468.5", "not run", "0"],
        ["bound", "–", "not run", "0"],
    ]
    header, lines = tables.beside_the_thesis(
        "table-3.1", {"Ours": OURS}, ["mpjpe_mm"], runs | {"gpu": make_runs(a=[9.0])}
    )
    assert header[2:] == ["ours, `laptop`", "ours, `gpu`", "seeds"]
    assert [plain(cell) for cell in lines[0][2:]] == ["11.0 ± 2.5", "9.0 (1 seed)", "3 / 1"]


def test_what_is_missing_or_stale_comes_with_the_command():
    whole = {"laptop": make_runs(a=[1.0, 2.0, 3.0])}
    assert tables.to_compute(whole, [OURS]) == ""
    said = tables.to_compute(whole, [OURS, REPROJ])
    assert f"not run yet: `{REPROJ}` (0 of 3 seeds)" in said
    assert "`make results PROFILE=laptop`" in said and OURS not in said
    stale = {"gpu": make_runs(stale=True, a=[1.0, 2.0, 3.0])}
    assert f"changed since: `{OURS}`" in tables.to_compute(stale, [OURS])


def test_nothing_published_is_an_ordinary_state(tmp_path):
    runs = tables.published([OURS, "table-3.2/reslinear"], tmp_path)
    assert list(runs) == ["laptop"] and runs["laptop"].empty
    assert tables.value(runs["laptop"], OURS, "mpjpe_mm") == "not run"
    assert "(0 of 3 seeds)" in tables.to_compute(runs, [OURS])
