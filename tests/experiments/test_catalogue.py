"""The catalogue: every row by its name, in its place, after what must come first."""

from dataclasses import fields

import pytest

from posebook import factorization, lifting, video
from posebook.experiments import catalogue
from posebook.experiments.catalogue import ALSO_SHOWN, DRAWN, command, find, rows, select, settings
from posebook.results.records import PROFILES
from posebook.video.rows import BASE_SEED

MODULES = {"video": video, "lifting": lifting, "factorization": factorization}
MPI = "mpi-inf-3dhp"
ROWS = rows()
SETS = [dataset for module in MODULES.values() for dataset in module.rows.DATASETS]

each_row = pytest.mark.parametrize("name", ROWS)


@each_row
def test_every_row_is_found_and_is_of_its_chapter(name):
    row = find(name)
    assert row == ROWS[name] and row.name == name == f"{row.experiment}/{row.variant}"
    module = MODULES[row.chapter].rows
    assert row.variant in module.EXPERIMENTS[row.experiment]
    size, variant = settings(row.chapter, "laptop", row.variant)
    assert size is module.PROFILES["laptop"] and variant == module.VARIANTS[row.variant]
    most = [n for part, n in module.FEWER_SEEDS.items() if part in (row.experiment, row.variant)]
    assert row.runs(5) == range(*most or [5])
    assert row.runs(1) == range(1) and row.runs(0) == range(0)


def test_every_experiment_and_variant_of_a_chapter_is_a_row():
    expected = [
        f"{experiment}/{variant}"
        for module in MODULES.values()
        for experiment, variants in module.rows.EXPERIMENTS.items()
        for variant in variants
    ]
    assert list(ROWS) == expected


def test_profiles_are_the_same_everywhere():
    for module in MODULES.values():
        assert tuple(module.rows.PROFILES) == PROFILES


def test_what_is_run_less_often_is_there():
    for chapter in MODULES.values():
        rows = chapter.rows
        assert rows.FEWER_SEEDS.keys() <= rows.EXPERIMENTS.keys() | rows.VARIANTS.keys()
        assert all(n >= 1 for n in rows.FEWER_SEEDS.values())


@pytest.mark.parametrize("chapter", ["lifting", "factorization"])
def test_what_a_row_does_not_read_is_known(chapter):
    module = MODULES[chapter].rows
    known = {field.name for part in (module.Variant, module.Profile) for field in fields(part)}
    for variant in module.VARIANTS.values():
        unread = module.unread(variant)
        assert {*unread} <= known and ("critic_width" in unread) is not variant.adversarial


def test_every_chapter_has_a_notebook_that_runs_one_row(root):
    assert set(catalogue.NOTEBOOKS) == set(MODULES) == set(catalogue.CHAPTERS)
    for path in catalogue.NOTEBOOKS.values():
        assert (root / path).is_file()


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("table-3.1/trans-reprj", "table-3.1/trans-reproj"),
        ("table-31/reproj", "table-3.1/reproj"),
        ("table-2.3/res-50", "table-2.3/res50"),
        ("trans-reproj", "table-3.1/trans-reproj"),
    ],
)
def test_a_mistyped_row_is_answered_with_those_that_are_near(name, near):
    with pytest.raises(ValueError, match=f"there is no row {name}; did you mean .*{near}"):
        find(name)


@pytest.mark.parametrize("name", ["", "?", "????????"])
def test_a_name_that_is_near_to_nothing_is_answered_with_the_command(name):
    with pytest.raises(ValueError, match="there is no row .*; `python -m posebook list` has all"):
        find(name)


# ---------------------------------------------------------------- what must come first


@each_row
def test_what_must_come_first_is_a_row_that_is_run_and_comes_to_an_end(name):
    for seed in (0, 2):
        seen, at = [], (name, seed)
        while at is not None:
            assert at not in seen, "a circle"
            seen.append(at)
            at = ROWS[at[0]].first(at[1])
            if at is not None:
                first = ROWS[at[0]]
                assert first.chapter == ROWS[name].chapter
                assert at[1] in first.runs(seed + 1), "it would never be run"


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("base-network/base", None),
        ("base-network/base-clips", None),
        ("table-2.3/res50", ("base-network/base", BASE_SEED)),
        ("table-2.1/ours", ("base-network/base-clips", BASE_SEED)),
        ("table-2.4/res50-tce-bc-integral", ("table-2.4/res50-integral", BASE_SEED)),
        ("table-3.1/trans-reproj", None),
        ("table-4.1/baseline-cf", None),
        ("table-4.2/c3dpo", ("table-4.1/baseline-cf", 1)),
    ],
)
def test_what_comes_first(name, first):
    assert find(name).first(1) == first


def test_the_row_that_makes_a_base_network_starts_from_another_one():
    row = find("table-2.4/res50-integral")
    assert row.first(BASE_SEED) == ("base-network/base", BASE_SEED)
    assert row.first(1) == ("table-2.4/res50-integral", BASE_SEED)


# ---------------------------------------------------------------- tables, figures, rows


@pytest.mark.parametrize("experiment", dict.fromkeys(row.experiment for row in ROWS.values()))
def test_an_experiment_has_its_own_rows_and_those_that_it_also_shows(experiment):
    chosen, _ = select([experiment])
    mine = {name for name in ROWS if name.startswith(f"{experiment}/")}
    shown = {name for name in ALSO_SHOWN.get(experiment, ()) if name in ROWS}
    assert mine | shown <= set(chosen) and len(mine) > 0
    assert list(chosen) == [name for name in ROWS if name in chosen], "in the order of the runs"


@pytest.mark.parametrize("name", ALSO_SHOWN)
def test_what_a_table_also_shows_is_there(name):
    chosen, drawn = select([name])
    for shown in ALSO_SHOWN[name]:
        of = [d for d in DRAWN.values() if shown in d.experiments]
        assert shown in chosen or of and of[0].name in drawn


def test_names_are_whole_names():
    assert "table-3.1/reproj-adv" not in select(["table-3.1/reproj"])[0]
    assert not {row.experiment for row in select(["figure-2.9-between"])[0].values()} - {
        "figure-2.9-between"
    }
    assert list(select(["table-3.1/reproj"])[0]) == ["table-3.1/reproj"]


def test_several_names_are_all_of_them_once():
    both = [*select(["table-3.1"])[0], *select(["no-extrinsics"])[0]]
    for names in (["table-3.1", "no-extrinsics"], ["no-extrinsics", "table-3.1", "table-3.1"]):
        assert list(select(names)[0]) == both


def test_without_a_name_it_is_everything_that_rests_on_rows():
    chosen, drawn = select([])
    assert chosen == ROWS and set(drawn) == set(DRAWN) - {"runtime", "away-from-home"}


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("figure-3.5", "figure-3.5"), ("figure-3.1", "figure-3.5"), ("figure-4.4", "figure-4.4"),
        ("conditions", "conditions"), ("protocols", "conditions"), ("figure-2.6", "conditions"),
        ("figure-2.8", "conditions"), ("runtime", "runtime"),
    ],
)  # fmt: skip
def test_what_is_drawn_brings_its_rows_along(name, drawn):
    chosen, found = select([name])
    assert list(found) == [drawn]
    assert set(DRAWN[drawn].rows) <= set(chosen)


def test_what_is_drawn_is_drawn_from_rows():
    for drawn in DRAWN.values():
        assert set(drawn.rows) <= set(ROWS)


@pytest.mark.parametrize(
    ("name", "near"),
    [("table-3.11", "table-3.1"), ("figure-2.99", "figure-2.9"), ("condition", "conditions"),
     ("table-3.1/reprj", "table-3.1/reproj"), ("unseen-action", "unseen-actions")],
)  # fmt: skip
def test_a_mistyped_name_is_answered_with_those_that_are_near(name, near):
    with pytest.raises(ValueError, match=f"nothing is called {name}; did you mean .*{near}"):
        select(["table-3.1", name])


def test_a_name_near_to_nothing_is_answered_with_what_there_is():
    with pytest.raises(ValueError, match=r"nothing is called \?; there are .*table-3.1"):
        select(["?"])


# ---------------------------------------------------------------- official data


@pytest.mark.parametrize("dataset", SETS)
def test_a_data_set_has_the_rows_of_its_chapters(dataset):
    found = {row.chapter for row in rows(dataset).values()}
    assert found == {name for name in MODULES if dataset in MODULES[name].rows.DATASETS}
    chosen, drawn = select([], dataset)
    assert all(chosen.keys() >= set(found.rows) for found in drawn.values())
    if not dataset.startswith("embedded-"):
        assert select([], dataset) == (rows(dataset), {})
        with pytest.raises(ValueError, match="figure-4.4 is drawn from the embedded data alone"):
            select(["figure-4.4"], dataset)


def test_an_unknown_data_set_is_answered_with_the_known_ones():
    for ask in (rows, lambda dataset: select([], dataset)):
        with pytest.raises(ValueError, match="there is no data set h36m; there are ") as refusal:
            ask("h36m")
        assert all(f" {dataset}" in str(refusal.value) for dataset in SETS)


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize("chapter", MODULES)
@pytest.mark.parametrize("kind", ["profile", "variant", "dataset"])
def test_an_unknown_name_is_answered_with_the_known_ones(chapter, kind):
    module = MODULES[chapter].rows
    names = {"profile": "smoke", "variant": [*module.VARIANTS][0], "dataset": module.DATASETS[0]}
    with pytest.raises(ValueError, match=f"unknown {kind} 'other'; known: .*{names[kind]}"):
        settings(chapter, **names | {kind: "other"})


def test_an_unknown_chapter_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown chapter 'losses'; known: video, lifting, fac"):
        settings("losses", "smoke", "reproj")


def test_a_data_set_has_its_own_lambda():
    for dataset, lam in (("", 1.0), ("embedded-views", 1.0), ("human36m", 1.0), (MPI, 1.5)):
        assert settings("lifting", "gpu", "trans-reproj", dataset)[1].lam == lam
    assert settings("video", "gpu", "ours", "sub-jhmdb")[1] == video.rows.VARIANTS["ours"]


# ---------------------------------------------------------------- the command


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["table-3.1"], "make results PROFILE=gpu TABLE=3.1"),
        (["figure-2.9"], "make results PROFILE=gpu FIGURE=2.9"),
        (["conditions"], "make results PROFILE=gpu ROW=conditions"),
        (["table-3.1/reproj"], "make results PROFILE=gpu ROW=table-3.1/reproj"),
        (["table-3.1", "no-extrinsics"], "make results PROFILE=gpu ROW=table-3.1,no-extrinsics"),
    ],
)
def test_the_command_that_stands_on_the_pages(names, expected):
    assert command(names, "gpu") == expected
