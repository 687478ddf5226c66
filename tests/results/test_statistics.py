"""Gaps over seeds have their textbook intervals, and a verdict needs three seeds."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from posebook import results
from posebook.results import statistics


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
    interval = stats.ttest_rel(a[:3], b).confidence_interval()
    np.testing.assert_allclose([gap.low, gap.high], [interval.low, interval.high])
    assert gap.mean == pytest.approx(-10) and gap.n == 3


def test_the_main_numbers_are_told():
    assert results.told({"steps": 3.0, "p_mpjpe_mm": 74.91, "mpjpe_mm": 93.14}) == (
        "MPJPE 93.1 mm, P-MPJPE 74.9 mm"
    )
    assert results.told({"pck_0.2_mean13": 85.9}) == "PCK@0.2 (mean13) 85.9 %"
    assert results.told({"things": 3.0}) == "things 3.0"


def test_less_is_better_of_errors_and_more_of_shares_and_of_speed():
    errors, shares = {"mm", "px", "degrees", "ms"}, {"points", "samples/s"}
    without_a_unit = {
        "canonical_spread_views": True, "canonical_spread_instants": False,
        "canonical_spread_ratio": True, "sign": False,
    }  # fmt: skip
    for name, metric in statistics.METRICS.items():
        assert metric.unit in errors | shares or name in without_a_unit, name
        less = without_a_unit.get(name, metric.unit in errors)
        assert metric.lower_is_better is less, name


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


def test_what_a_seed_does_to_both_rows_is_no_noise():
    easy_and_hard_seeds = np.array([0.0, 30.0, -20.0, 11.0, 5.0])
    runs = {"a": 50 + easy_and_hard_seeds, "b": 52 + easy_and_hard_seeds + [0.1, 0, -0.1, 0, 0]}
    gap = results.compare(make_frame(**runs), "a", "b", "mpjpe_mm")
    assert results.verdict(gap, -1) == "confirmed" and gap.high < -1.8
    others = {"a": runs["a"], "b": runs["b"][::-1]}  # as if the seeds had nothing in common
    apart = results.compare(make_frame(**others), "a", "b", "mpjpe_mm")
    assert results.verdict(apart, -1) == "undecided"


@pytest.mark.parametrize(
    ("metric", "printed", "margin"),
    [
        ("mpjpe_mm", -47.6, 4.76), ("mpjpe_mm", -2.0, 1.0), ("mpjpe_mm", None, 1.0),
        ("pck_0.2_mean13", 1.7, 0.5), ("pck_0.2_mean13", 20.0, 2.0), ("mean_error_px", None, 0.1),
        ("viewpoint_error_deg", None, 1.0), ("canonical_spread_ratio", None, 0.05),
    ],
)  # fmt: skip
def test_the_margin_is_a_tenth_of_the_printed_gap_or_what_matters(metric, printed, margin):
    assert statistics.smallest_difference(metric, printed) == pytest.approx(margin)


@pytest.mark.parametrize(
    ("low", "high", "n", "expected"),
    [
        (-0.9, 0.8, 5, "no difference"), (-1.1, 0.8, 5, "undecided"), (-0.8, 1.1, 5, "undecided"),
        (-0.9, -0.1, 5, "confirmed"), (0.1, 0.9, 5, "contradicted"), (-0.9, 0.8, 2, "undecided"),
        (math.nan, math.nan, 5, "undecided"),
    ],
)  # fmt: skip
def test_an_interval_within_the_margin_shows_that_there_is_no_difference(low, high, n, expected):
    gap = results.Gap(-0.05 if high > 0 > low else (low + high) / 2, low, high, n, True)
    assert results.verdict(gap, -1, margin=1.0) == expected


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([50.0, 50.1, 49.9], [60.0, 60.1, 59.9], "confirmed"),
        ([60.0, 60.1, 59.9], [50.0, 50.1, 49.9], "contradicted"),
        ([50.0, 60.0, 55.0], [55.0, 51.0, 60.0], "undecided"),
        ([50.0, 50.1], [60.0, 60.1, 59.9], "undecided"),
        ([50.0], [60.0, 60.1, 59.9], "undecided"),
        ([50.0] * 3, [50.0] * 3, "no difference"),
        ([50.0, 50.2, 49.9], [50.1, 50.0, 50.0], "no difference"),
        ([50.0] * 3, [], "not run"),
    ],
)
def test_verdicts(a, b, expected):
    gap = results.compare(make_frame(a=a, b=b), "a", "b", "mpjpe_mm")
    assert results.verdict(gap, -1) == expected


@pytest.mark.parametrize(
    ("mean", "low", "high", "expected"),
    [
        (0.7, 0.6, 0.8, "met"),
        (0.7, 0.6, 0.81, "met by the mean, undecided by the interval"),
        (0.9, 0.85, 0.95, "missed"),
        (0.9, 0.75, 1.05, "missed by the mean, undecided by the interval"),
        (0.7, math.nan, math.nan, "met by the mean, no interval yet"),
        (0.9, math.nan, math.nan, "missed by the mean, no interval yet"),
    ],
)
def test_a_goal_is_met_by_a_whole_interval(mean, low, high, expected):
    gap = results.Gap(mean, low, high, 1 if math.isnan(low) else 5)
    assert statistics.met(gap, lambda x: x <= 0.8) == expected
    assert statistics.met(gap._replace(n=0), lambda x: x <= 0.8) == "not run"


def test_a_verdict_needs_a_direction():
    with pytest.raises(ValueError, match="expected_sign"):
        results.verdict(results.Gap(1.0, 0.5, 1.5, 3, False), 0)


def test_what_counts_as_no_difference_follows_from_a_metrics_unit():
    assert statistics.smallest_difference("mpjpe_mm", None) == 1.0
    assert statistics.smallest_difference("mpjpe_mm", -21.8) == pytest.approx(2.18)
    assert statistics.smallest_difference("error_px_away_3", None) == 0.1
    assert statistics.smallest_difference("pck_0.1_mean13_lost", None) == 0.5
    assert statistics.smallest_difference("canonical_spread_ratio", None) == 0.05
    assert statistics.smallest_difference("something", None) == 0.0
