"""Tables say what was measured, over how many seeds, and what is not there."""

import math
from dataclasses import dataclass

import pandas as pd
import pytest

from posebook.book import tables
from posebook.experiments import catalogue
from posebook.lifting.rows import EXPERIMENTS
from posebook.paths import book_folder
from posebook.results.checks import MOVED
from posebook.results.records import read_result, read_results
from posebook.results.statistics import Gap

OURS, REPROJ = "table-3.1/trans-reproj", "table-3.1/reproj"
SUPERVISED = "table-3.1/supervised"


def plain(text):
    """Without the spaces that keep an interval on one line."""
    return text.replace("\u00a0", " ")


def make_runs(state="", commit="abc1234def56", **values):
    """Runs with the given MPJPE, a seed each; keyword a is OURS and b is REPROJ."""
    names = {"a": OURS, "b": REPROJ}
    rows = [
        {"variant": names[key], "seed": seed, "commit": commit, "state": state, "mpjpe_mm": value}
        for key, found in values.items()
        for seed, value in enumerate(found)
    ]
    return pd.DataFrame(rows, columns=["variant", "seed", "commit", "state", "mpjpe_mm"])


def test_a_numbered_table_is_a_directive_with_a_label():
    text = tables.numbered("Errors", "tab-errors", ["row", "mm"], [["a", 1], ["b", "2"]])
    assert text.splitlines() == [
        "~~~{table} Errors", ":name: tab-errors", "",
        "| row | mm |", "| --- | ---: |", "| a | 1 |", "| b | 2 |", "~~~",
    ]  # fmt: skip
    assert "| --- | --- |" in tables.numbered("t", "n", ["a", "b"], [], align="ll")
    with pytest.raises(ValueError, match="'tab-errors': every row must have 2 cells"):
        tables.numbered("Errors", "tab-errors", ["row", "mm"], [["a"]])


def test_a_column_without_a_word_has_one_for_a_screen_reader():
    rows = [["a", "1", "undecided"], ["b", "2", "not run"]]
    header = tables.plain(["", "", ""], rows).splitlines()[0]
    said = [f'<span class="visually-hidden">{w}</span>' for w in ("row", "detail", "verdict")]
    assert header == f"| {' | '.join(said)} |"
    assert tables.plain(["a", "b"], [[1, 2]]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"
    with pytest.raises(ValueError, match="every row must have 2 cells"):
        tables.plain(["a", "b"], [[1, 2]], align="l")


def test_one_seed_is_said_once():
    one = "1.0 (1\u00a0seed)"

    def table(*rows, header=("row", "mm", "px")):
        return plain(tables.numbered("Errors", "tab-errors", header, rows))

    assert "{table} Errors (1 seed)\n" in table(["a", one, one], ["b", one, "–"])
    assert "| a | 1.0 | 1.0 |" in table(["a", one, one], ["b", one, one])
    mixed = table(["a", one, one], ["b", "2.0 ± 0.1", "1.0 ± 0.1"], ["c", one, "1.0 ± 0.1"])
    assert "{table} Errors\n" in mixed and "| a (1 seed) | 1.0 | 1.0 |" in mixed
    assert "| c | 1.0 (1 seed) | 1.0 ± 0.1 |" in mixed
    assert "| a | 1.0 | 1 |" in table(["a", one, "1"], header=("row", "mm", "seeds"))


def test_settings_are_told_in_words_without_what_is_off_anyway():
    @dataclass
    class Size:
        takes: int = 32

    @dataclass
    class Variant:
        loss_of: str
        lam: float
        rate: float
        levels: int = 6
        adversarial: bool = False
        trained: bool = True
        also: tuple = ()
        norm: float | None = 1.0
        drops: tuple = (1 / 3, None)

    @dataclass
    class Profile:
        size: Size
        levels: int = 3

    text = tables.settings(Variant("l1", 2.0, 0.0, trained=False, norm=None), Profile(Size()))
    assert text.splitlines()[2:] == [
        "| loss of | l1 |", "| λ | 2 |", "| rate | 0 |", "| levels | 6 |", "| trained | no |",
        "| norm | none |", "| drops | 0.3333, none |", "| size: takes | 32 |",
    ]  # fmt: skip
    less = tables.settings(Variant("l1", 2.0, 0.0, trained=False, norm=None), unread=["loss_of"])
    assert less.splitlines()[2] == "| λ | 2 |"


def test_what_was_measured_has_words_a_unit_and_its_name_in_the_file():
    text = tables.measured({"mpjpe_mm": 59.04, "pck3d_150": 80.0, "canonical_spread_ratio": 0.394})
    assert text.splitlines()[2:] == [
        "| MPJPE | 59.0 | mm | `mpjpe_mm` |", "| PCK3D at 150 mm | 80.0 | % | `pck3d_150` |",
        "| spread over views / instants | 0.39 |  | `canonical_spread_ratio` |",
    ]  # fmt: skip


def test_a_value_has_its_interval_or_says_why_not():
    # t(0.975, 2) = 4.302653, std = 1: half width 4.302653 / sqrt(3) = 2.48
    runs = make_runs(a=[10.0, 11.0, 12.0], b=[1234.0])
    assert plain(tables.value(runs, OURS, "mpjpe_mm")) == "11.0 ± 2.5"
    assert tables.value(runs, REPROJ, "mpjpe_mm") == "1,234.0 (1\u00a0seed)"
    assert tables.value(runs, "table-3.1/supervised", "mpjpe_mm") == "not run"
    assert tables.value(runs, OURS, "p_mpjpe_mm") == "not run"
    moved = make_runs(state=MOVED, a=[10.0, 10.0])
    assert plain(tables.value(moved, OURS, "mpjpe_mm")) == "10.0 ± 0.0 (moved)"
    checked = make_runs(state="fed9876", a=[10.0, 10.0])
    assert plain(tables.value(checked, OURS, "mpjpe_mm")) == "10.0 ± 0.0"
    assert tables.mean(runs, OURS, "mpjpe_mm") == 11
    assert math.isnan(tables.mean(runs, "table-3.1/supervised", "mpjpe_mm"))


def test_an_interval_is_signed_or_a_ratio():
    assert [tables.signed(x) for x in (0.04, -0.04, -0.06, 1234.5)] == [
        "0.0", "0.0", "−0.1", "+1,234.5",
    ]  # fmt: skip
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


def test_what_is_missing_or_moved_comes_with_the_command():
    whole = {"laptop": make_runs(a=[1.0, 2.0, 3.0])}
    said = tables.source(whole, [OURS])
    assert "not run yet" not in said and "moved" not in said
    assert "made by `abc1234`;" in said and "re-checked" not in said
    assert f"`make results PROFILE=laptop ROW={OURS}` computes it" in said
    said = tables.source(whole, [OURS, REPROJ])
    assert f"not run yet: `{REPROJ}` (0 of 3 seeds)" in said and f"`{OURS}` (" not in said
    moved = {"gpu": make_runs(state=MOVED, a=[1.0, 2.0, 3.0])}
    said = tables.source(moved, [OURS, REPROJ])
    assert f"moved since, run again: `{OURS}`;" in said and said.startswith("*Profile `gpu`: ")


def test_a_source_names_what_made_the_runs_and_when_they_were_checked():
    a, b = make_runs(state="fed9876abc12", a=[1.0, 2.0, 3.0]), make_runs(commit="0123456+", b=[1.0])
    assert tables.made_by(a) == "made by `abc1234`, re-checked at `fed9876`"
    assert tables.made_by(pd.concat([a, b])) == "made by `abc1234`, `0123456`"
    many = pd.concat([make_runs(commit=f"{n}" * 12, a=[1.0]) for n in range(5)])
    assert tables.made_by(many) == "made by `0000000`, `1111111`, `2222222` and 2 more"


def test_rows_are_asked_for_by_as_few_names_as_there_are():
    table = [f"table-3.1/{name}" for name in EXPERIMENTS["table-3.1"]]
    assert tables.as_names(table) == ["table-3.1"]
    assert tables.as_names(table[1:]) == table[1:]
    # Table 3.4 has no row of its own, and its name brings its rows along.
    shown = [*catalogue.select(["table-3.4"])[0]]
    assert len(shown) > 1 and tables.as_names(shown) == shown
    assert tables.as_names([*catalogue.select(["table-3.2"])[0]]) == ["table-3.2"]
    drawn = [f"figure-3.5/{name}" for name in ("reproj", "trans-reproj")]
    assert tables.as_names(drawn) == ["figure-3.5"]


def test_every_command_under_a_table_asks_for_its_rows():
    for name in (*catalogue.ALSO_SHOWN, "table-3.1", "ablation-3.3"):
        rows = [*catalogue.select([name])[0]]
        asked = {*catalogue.select(tables.as_names(rows))[0]}
        assert set(rows) <= asked, name


def test_nothing_published_is_an_ordinary_state(tmp_path):
    runs = tables.published([OURS, "table-3.2/reslinear"], tmp_path)
    assert list(runs) == ["laptop"] and runs["laptop"].empty
    assert tables.value(runs["laptop"], OURS, "mpjpe_mm") == "not run"
    assert "(0 of 3 seeds)" in tables.source(runs, [OURS])


@pytest.mark.parametrize("name", [*catalogue.ALSO_SHOWN, *catalogue.DRAWN])
def test_whatever_is_named_has_its_command_and_its_makers(name):
    said = tables.behind(name)
    assert "made by `" in said and said.endswith("` computes it.*")
    kind, _, number = name.partition("-")
    asked = f"{kind.upper()}={number}" if kind in ("table", "figure") else f"ROW={name}"
    assert f"`make results PROFILE=laptop {asked}`" in said


def test_a_figure_that_is_drawn_under_another_name_has_the_makers_of_what_is_drawn():
    made = tables.made_by(read_results("laptop", "figure-3.5"))
    assert f"{made};" in tables.behind("figure-3.1")


def test_means_of_the_same_draws():
    runs = pd.DataFrame({"variant": list("aaabbc"), "seed": [0, 1, 2, 1, 2, 9], "x": range(6)})
    found = tables.of_common_seeds(runs, ["a", "b"])
    assert found["x"].tolist() == [1, 2, 3, 4]
    assert tables.of_common_seeds(runs, ["a", "d"]).empty


def test_a_floor_counts_the_rows_that_are_run(frame_of_floors):
    rows = {"a": "table-3.1/a", "b": "table-3.1/b"}
    runs = frame_of_floors
    assert "; all rows lie below it." in tables.floor(runs({"a": 1.0, "b": 2.0}), rows, "mpjpe_mm")
    assert "all rows that are run lie below" in tables.floor(runs({"a": 1.0}), rows, "mpjpe_mm")
    worse = tables.floor(runs({"a": 1.0, "b": 1e6}), rows, "mpjpe_mm")
    assert "**worse than that: b**" in worse and "below it" not in worse
    assert "below" not in tables.floor(runs({}), rows, "mpjpe_mm")


def test_a_floor_that_is_not_run_says_how(frame_of_floors, tmp_path, monkeypatch):
    monkeypatch.setenv("POSEBOOK_RESULTS", str(tmp_path))
    said = tables.floor(frame_of_floors({"a": 1.0}), {"a": "table-3.1/a"}, "mpjpe_mm")
    assert said.startswith("*Floor: not run yet; `") and "nan" not in said


@pytest.fixture
def frame_of_floors():
    def frame(means):
        return pd.DataFrame(
            [(f"table-3.1/{name}", 0, mean) for name, mean in means.items()],
            columns=["variant", "seed", "mpjpe_mm"],
        )

    return frame


def test_a_verdict_ends_a_sentence():
    assert tables.predicate("confirmed") == "confirmed"
    assert tables.predicate("no difference").startswith("not borne out")
    assert tables.predicate("not run") == "not tested"


def test_runs_in_bfloat16_are_read_from_their_own_folder_and_say_how_to_make_them():
    runs, line = tables.in_bfloat16("laptop", [OURS, SUPERVISED])
    assert set(runs["variant"]) == {SUPERVISED}
    record = read_result(book_folder() / f"machines/bf16/laptop/{SUPERVISED}--seed0.json")
    assert record["parameters"]["card"] == ["bf16"]
    assert "`python -m posebook run ROW --profile laptop --bf16 --out book/machines/bf16`" in line
    assert "not run yet" in tables.in_bfloat16("laptop", [OURS])[1]
