"""Records are checked when written and read; gaps over seeds have their textbook intervals."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from posebook import results
from posebook.results import provenance

DIGEST = "sha256:" + "0" * 64


def make_record(**changes):
    record = {
        "experiment": "table-3.1", "variant": "trans-reproj", "dataset": "embedded-views",
        "profile": "smoke", "seed": 0, "metrics": {"mpjpe_mm": 59.0, "p_mpjpe_mm": 45.7},
        "parameters": {"blocks": 4, "lr": 1e-3}, "data_digest": DIGEST, "device": "cpu",
        "steps": 10, "wall_seconds": 1.5, "modules": ["posebook.geometry.skeleton"],
    }  # fmt: skip
    return {**record, **changes}


def test_a_written_record_reads_back(tmp_path):
    curves = {"loss": [[0, 1.0], [10, np.float32(0.1)]], "mpjpe_mm": torch.tensor([[0, 2.0]])}
    record = make_record(curves=curves, metrics={"mpjpe_mm": torch.tensor(59.0)})
    path = results.write_result(tmp_path, record)
    assert path == tmp_path / "smoke" / "table-3.1" / "trans-reproj--seed0.json"
    back = results.read_result(path)
    assert back["schema"] == 1 and back["metrics"] == {"mpjpe_mm": 59.0}
    assert back["curves"] == {"loss": [[0, 1.0], [10, 0.1]], "mpjpe_mm": [[0.0, 2.0]]}
    assert back["versions"]["torch"] == torch.__version__
    assert not results.is_stale(back)
    assert [p.name for p in path.parent.iterdir()] == [path.name], "something was left beside"


def test_runs_on_official_data_do_not_mix_with_the_published_ones(tmp_path):
    ours = results.write_result(tmp_path, make_record())
    theirs = results.write_result(
        tmp_path, make_record(dataset="human36m", metrics={"mpjpe_mm": 1.0})
    )
    assert theirs == tmp_path / "human36m" / ours.relative_to(tmp_path)
    for folder, mpjpe in ((tmp_path, 59.0), (tmp_path / "human36m", 1.0)):
        frame = results.read_results("smoke", "table-3.1", folder=folder)
        assert frame["mpjpe_mm"].tolist() == [mpjpe]


def test_files_are_sorted_rounded_and_readable(tmp_path):
    note = "spaces [ 1,  2 ] stay"
    record = make_record(metrics={"mpjpe_mm": 1 / 3}, curves={"loss": [[0, 1.0]]}, note=note)
    text = results.write_result(tmp_path, record).read_text()
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert "0.333333\n" in text and "[0, 1.0]" in text
    assert json.loads(text)["note"] == note


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metrics": {}}, "metrics"),
        ({"metrics": {"mpjpe_mm": math.nan}}, "metrics.mpjpe_mm"),
        ({"metrics": {"mpjpe_mm": "59"}}, "metrics.mpjpe_mm"),
        ({"metrics": {"MPJPE": 59.0}}, "MPJPE"),
        ({"per_action": {"walk": {"mpjpe_mm": math.inf}}}, "per_action.walk.mpjpe_mm"),
        ({"curves": {"loss": [1.0, 2.0]}}, "curves.loss"),
        ({"variant": "Trans Reproj"}, "variant"),
        ({"variant": "a--b"}, "variant"),
        ({"experiment": "../table"}, "experiment"),
        ({"profile": "huge"}, "profile"),
        ({"seed": -1}, "seed"),
        ({"seed": True}, "seed"),
        ({"data_digest": "abc"}, "data_digest"),
        ({"schema": 2}, "schema"),
        ({"metric": {}}, "metric"),
        ({"parameters": {"model": object()}}, "parameters.model"),
        ({"modules": ["posebook.nowhere"]}, "posebook.nowhere"),
    ],
)
def test_a_bad_field_is_named_and_nothing_written(tmp_path, changes, said):
    with pytest.raises(ValueError, match=said.replace(".", r"\.")):
        results.write_result(tmp_path, make_record(**changes))
    assert not list(tmp_path.rglob("*.*"))


def test_a_missing_field_is_named(tmp_path):
    record = make_record()
    del record["device"]
    with pytest.raises(ValueError, match="'device' is missing"):
        results.write_result(tmp_path, record)


def test_a_file_must_hold_what_its_name_says(tmp_path):
    path = results.write_result(tmp_path, make_record())
    moved = path.with_name("reproj--seed0.json")
    path.rename(moved)
    with pytest.raises(ValueError, match="trans-reproj--seed0"):
        results.read_result(moved)
    moved.write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        results.read_result(moved)
    with pytest.raises(FileNotFoundError):
        results.read_result(path)


def test_results_read_as_a_table(tmp_path):
    for variant, seed in [("reproj", 1), ("trans-reproj", 0), ("reproj", 0), ("other", 0)]:
        results.write_result(tmp_path, make_record(variant=variant, seed=seed))
    frame = results.read_results("smoke", "table-3.1", folder=tmp_path)
    assert list(frame["variant"]) == ["other", "reproj", "reproj", "trans-reproj"]
    frame = results.read_results("smoke", "table-3.1", ["trans-reproj", "reproj"], tmp_path)
    assert list(zip(frame["variant"], frame["seed"], strict=True)) == [
        ("trans-reproj", 0), ("reproj", 0), ("reproj", 1),
    ]  # fmt: skip
    assert (frame["p_mpjpe_mm"] == 45.7).all() and not frame["stale"].any()


def test_rows_of_different_experiments_read_as_one_table(tmp_path):
    for experiment, variant, seed in [
        ("table-3.1", "trans-reproj", 1), ("table-3.1", "trans-reproj", 0),
        ("table-3.1", "reproj", 0), ("table-3.2", "reslinear", 0),
    ]:  # fmt: skip
        record = make_record(experiment=experiment, variant=variant, seed=seed)
        results.write_result(tmp_path, record)
    asked = ["table-3.2/reslinear", "table-3.2/absent", "table-3.1/trans-reproj"]
    frame = results.read_rows("smoke", asked, tmp_path)
    assert list(zip(frame["variant"], frame["seed"], strict=True)) == [
        ("table-3.2/reslinear", 0), ("table-3.1/trans-reproj", 0), ("table-3.1/trans-reproj", 1),
    ]  # fmt: skip
    assert results.compare(frame, asked[2], asked[0], "mpjpe_mm").mean == 0
    for nothing in ([], ["table-3.3/absent"]):
        frame = results.read_rows("smoke", nothing, tmp_path)
        assert frame.empty and "stale" in frame
    with pytest.raises(ValueError, match="'reproj' must be experiment/variant"):
        results.read_rows("smoke", ["reproj"], tmp_path)


def test_an_experiment_not_run_has_no_rows(tmp_path):
    frame = results.read_results("laptop", "table-3.1", folder=tmp_path)
    assert frame.empty and "stale" in frame
    gap = results.compare(frame, "a", "b", "mpjpe_mm")
    assert gap.n == 0 and results.verdict(gap, -1) == "not run"
    with pytest.raises(ValueError, match="profile"):
        results.read_results("huge", "table-3.1", folder=tmp_path)


def test_the_folder_can_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("POSEBOOK_RESULTS", str(tmp_path))
    assert results.results_folder() == tmp_path
    monkeypatch.delenv("POSEBOOK_RESULTS")
    assert results.results_folder().parts[-2:] == ("book", "results")
    monkeypatch.setattr(results, "__file__", str(tmp_path / "site" / "posebook" / "results.py"))
    with pytest.raises(FileNotFoundError, match="POSEBOOK_RESULTS"):
        results.results_folder()


# ---------------------------------------------------------------- provenance


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module whose source the test writes; returns the writer, which returns the digest."""
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "digested_module.py"

    def write(source):
        path.write_text(source)
        provenance._source_digest.cache_clear()
        return results.code_digest(["digested_module"])

    return write


def test_prose_and_layout_do_not_change_a_digest(module):
    plain = module("def f(x):\n    return (x +\n            1)\n")
    documented = module('"""Module."""\n# why\ndef f(x):\n    """Add one."""\n    return x + 1\n')
    assert plain == documented


def test_code_changes_a_digest(module):
    sources = [
        "def f(x):\n    return x + 1\n",
        "def f(x):\n    return x + 2\n",
        "def f(x):\n    return x - 1\n",
        "def f(y):\n    return y + 1\n",
        "def f(x=None):\n    return x + 1\n",
        "def f(x):\n    'doc'\n    'not a docstring'\n    return x + 1\n",
    ]
    assert len({module(source) for source in sources}) == len(sources)


def test_a_record_goes_stale_with_its_code(module, tmp_path):
    module("a = 1\n")
    path = results.write_result(tmp_path, make_record(modules=["digested_module"]))
    assert not results.is_stale(results.read_result(path))
    module("a = 2\n")
    assert results.is_stale(results.read_result(path))
    record = results.read_result(path)
    assert results.is_stale({**record, "modules": ["posebook.was_removed"]})
    assert results.is_stale({**record, "modules": ["no_package.was_removed"]})


def test_imported_modules_are_those_that_can_change_a_number():
    import posebook.geometry.skeleton  # noqa: F401

    modules = results.imported_modules()
    assert "posebook.geometry.skeleton" in modules
    assert not {"posebook", "posebook.results", "posebook.book.plot"} & set(modules)
    assert results.code_digest(modules) == results.code_digest(reversed(modules))


def test_data_digest_sees_values_types_shapes_and_names():
    x = np.arange(6, dtype=np.float32)
    digests = [
        results.data_digest({"x": x}),
        results.data_digest({"y": x}),
        results.data_digest({"x": x.reshape(2, 3)}),
        results.data_digest({"x": x.astype(np.float64)}),
        results.data_digest({"x": x + 1}),
        results.data_digest({"x": x, "y": x}),
    ]
    assert len(set(digests)) == len(digests)
    assert results.data_digest({"x": torch.from_numpy(x)}) == digests[0]
    assert results.data_digest({"x": x.astype(">f4")}) == digests[0]
    assert results.data_digest({"x": np.arange(12, dtype=np.float32)[::2] / 2}) == digests[0]
    with pytest.raises(ValueError, match="objects"):
        results.data_digest({"x": np.array([None])})


# ---------------------------------------------------------------- statistics


def make_frame(**runs):
    rows = [
        {"variant": name, "seed": seed, "mpjpe_mm": value}
        for name, values in runs.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_summary_gives_the_t_interval():
    table = results.summary(make_frame(b=[10.0, 11.0, 12.0], a=[5.0]), "mpjpe_mm")
    assert list(table.index) == ["b", "a"]
    # t(0.975, 2) = 4.302653, std = 1: half width 4.302653 / sqrt(3) = 2.484138
    np.testing.assert_allclose(table.loc["b"], [11, 1, 11 - 2.484138, 11 + 2.484138, 3], atol=1e-6)
    assert table.loc["a", "n"] == 1 and math.isnan(table.loc["a", "low"])
    with pytest.raises(ValueError, match="there are mpjpe_mm"):
        results.summary(make_frame(a=[1.0]), "auc3d")


def test_the_gap_agrees_with_scipy():
    a, b = [50.0, 52.0, 51.0, 49.0], [60.0, 65.0, 58.0]
    frame = make_frame(a=a, b=b)
    gap = results.compare(frame, "a", "b", "mpjpe_mm")
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    np.testing.assert_allclose([gap.low, gap.high], [interval.low, interval.high])
    assert gap.mean == pytest.approx(50.5 - 61) and gap.n == 3 and not gap.paired
    paired = results.compare(frame, "a", "b", "mpjpe_mm", paired=True)
    interval = stats.ttest_rel(a[:3], b).confidence_interval()
    np.testing.assert_allclose([paired.low, paired.high], [interval.low, interval.high])
    assert paired.n == 3 and paired.paired


def test_a_ratio_does_not_depend_on_the_unit():
    a, b = [50.0, 52.0, 51.0], [100.0, 104.0, 102.0]
    factor = results.ratio(make_frame(a=a, b=b), "a", "b", "mpjpe_mm")
    assert factor.mean == pytest.approx(0.5) and factor.low < 0.5 < factor.high
    scaled = results.ratio(make_frame(a=np.multiply(a, 7), b=np.multiply(b, 7)), "a", "b",
                           "mpjpe_mm")  # fmt: skip
    np.testing.assert_allclose(scaled[:3], factor[:3])
    inverse = results.ratio(make_frame(a=a, b=b), "b", "a", "mpjpe_mm")
    np.testing.assert_allclose([1 / inverse.high, 1 / inverse.low], [factor.low, factor.high])
    assert results.ratio(make_frame(a=a), "a", "b", "mpjpe_mm").n == 0
    assert results.ratio(make_frame(a=a, b=b), "a", "b", "auc3d").n == 0


def test_equal_runs_have_an_interval_of_no_width():
    gap = results.compare(make_frame(a=[1.0] * 3, b=[2.0] * 3), "a", "b", "mpjpe_mm")
    assert gap[:3] == (-1.0, -1.0, -1.0)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([50.0, 50.1, 49.9], [60.0, 60.1, 59.9], "confirmed"),
        ([60.0, 60.1, 59.9], [50.0, 50.1, 49.9], "contradicted"),
        ([50.0, 60.0, 55.0], [55.0, 51.0, 60.0], "undecided"),
        ([50.0, 50.1], [60.0, 60.1, 59.9], "undecided"),
        ([50.0], [60.0, 60.1, 59.9], "undecided"),
        ([50.0] * 3, [50.0] * 3, "undecided"),
        ([50.0] * 3, [], "not run"),
    ],
)
def test_verdicts(a, b, expected):
    gap = results.compare(make_frame(a=a, b=b), "a", "b", "mpjpe_mm")
    assert results.verdict(gap, -1) == expected


def test_a_verdict_needs_a_direction():
    with pytest.raises(ValueError, match="expected_sign"):
        results.verdict(results.Gap(1.0, 0.5, 1.5, 3, False), 0)
