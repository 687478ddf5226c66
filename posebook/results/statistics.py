"""Comparing variants over seeds: means, intervals, ratios, verdicts, and how metrics are printed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import stdtrit  # quantiles of Student's t

from posebook.results.records import COLUMNS

SEEDS_FOR_A_VERDICT = 3
NO_DIFFERENCE = "no difference"  # the verdict on a gap that is shown to be smaller than a margin

# The smallest differences that matter, by unit; the page on verdicts gives the reasons.
SMALLEST = {"mm": 1.0, "points": 0.5, "px": 0.1, "degrees": 1.0}
SMALLEST_RATIO = 0.05


# What a run is told by, where it has them.
MAIN = ("mpjpe_mm", "p_mpjpe_mm", "pck_0.2_mean13", "pck_0.1_mean13")


class Metric(NamedTuple):
    """How a metric is printed: its title, its unit, and which way is better."""

    title: str
    unit: str
    lower_is_better: bool


METRICS = {
    "mpjpe_mm": Metric("MPJPE", "mm", True),
    "p_mpjpe_mm": Metric("P-MPJPE", "mm", True),
    "n_mpjpe_mm": Metric("N-MPJPE", "mm", True),
    "mpjpe_c3dpo_mm": Metric("MPJPE, C3DPO's scale", "mm", True),
    "mpjpe_best_flip_mm": Metric("MPJPE, C3DPO's best flip", "mm", True),
    "mpjpe_best_rotation_mm": Metric("MPJPE after the best rotation", "mm", True),
    "mpjpe_turned_mm": Metric("MPJPE, turned by the pelvis' known angle", "mm", True),
    "p_mpjpe_mirrored_mm": Metric("P-MPJPE of the mirror image", "mm", True),
    "bone_length_error_mm": Metric("error of bone lengths", "mm", True),
    "real_distance_mm": Metric("real detections: distance", "mm", True),
    "real_pck3d_150": Metric("real detections: PCK3D at 150 mm", "points", False),
    "real_auc3d": Metric("real detections: AUC", "points", False),
    "canonical_spread_views": Metric("spread of bodies over views", "", True),
    "canonical_spread_instants": Metric("spread of bodies over instants", "", False),
    "canonical_spread_ratio": Metric("spread over views / instants", "", True),
    "viewpoint_error_deg": Metric("viewpoint error", "degrees", True),
    "relative_viewpoint_error_deg": Metric("error of relative viewpoints", "degrees", True),
    "rotation_error_deg": Metric("error of the whole rotation", "degrees", True),
    "rotation_error_turned_deg": Metric("rotation error after the known turn", "degrees", True),
    "knees_right_share": Metric("knees that agree", "points", False),
    "sign": Metric("mirror sign that the knees chose", "", False),
    "accel_error_px": Metric("acceleration error", "px", True),
    "mean_error_px": Metric("mean error", "px", True),
    "ms_per_frame": Metric("time per frame", "ms", True),
    "samples_per_second": Metric("speed", "samples/s", False),
    "pck3d_150": Metric("PCK3D at 150 mm", "points", False),
    "auc3d": Metric("AUC", "points", False),
    **{
        f"pck_{alpha}_{mean}": Metric(f"PCK@{alpha} ({mean})", "points", False)
        for alpha in ("0.2", "0.1", "0.05")
        for mean in ("mean13", "mean7", "micro")
    },
    **{
        f"{name}_{which}": Metric(f"{title}, {which} joints", unit, unit == "px")
        for which in ("visible", "hidden")
        for name, title, unit in (
            ("pck_0.1_mean13", "PCK@0.1 (mean13)", "points"),
            ("mean_error_px", "mean error", "px"),
        )
    },
}


def told(metrics: Mapping[str, float]) -> str:
    """The main numbers of a run in words: "MPJPE 93.1 mm, P-MPJPE 74.9 mm"."""
    said = []
    for name in [name for name in MAIN if name in metrics] or list(metrics)[:3]:
        title, unit, _ = METRICS.get(name, Metric(name, "", True))
        said.append(f"{title} {metrics[name]:.1f} {unit.replace('points', '%')}".rstrip())
    return ", ".join(said)


class Gap(NamedTuple):
    """Difference a - b of two variants' means with its 95 % interval; ``n`` seeds each.

    ``margin``: the smallest difference that matters, in the metric's unit.
    """

    mean: float
    low: float
    high: float
    n: int
    margin: float = 0.0


def summary(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mean, standard deviation and 95 % t-interval of a metric over seeds, a row a variant.

    Columns: mean, std, low, high, n. One seed has no deviation and no interval (NaN).

    Raises:
        ValueError: no run of the frame has this metric.
    """
    rows = {name: _spread(values) for name, values in _by_variant(frame, metric).items()}
    columns = ["mean", "std", "low", "high", "n"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.astype({"n": int}).rename_axis("variant")


def compare(frame: pd.DataFrame, a: str, b: str, metric: str) -> Gap:
    """Gap a - b in a metric with its 95 % t-interval.

    The interval is that of the differences of runs with the same seed: a seed gives all rows of a
    chapter the same batches. A variant without runs gives a gap of NaN with n = 0. The gap's margin
    is that of a gap that the thesis does not print.
    """
    margin = smallest_difference(metric, None)
    runs = frame[frame["variant"].isin([a, b])]
    if metric not in runs or not {a, b} <= set(runs.dropna(subset=[metric])["variant"]):
        return Gap(math.nan, math.nan, math.nan, 0, margin)
    table = runs.pivot(index="seed", columns="variant", values=metric)
    mean, _, low, high, n = _spread((table[a] - table[b]).dropna().to_numpy())
    return Gap(mean, low, high, n, margin)


def ratio(frame: pd.DataFrame, a: str, b: str, metric: str) -> Gap:
    """Ratio a / b of two variants in a positive metric, with its 95 % interval.

    That of the geometric means over seeds: `compare` on the logarithm, taken back.
    """
    if metric not in frame:
        return Gap(math.nan, math.nan, math.nan, 0)
    logarithms = frame.assign(**{metric: np.log(frame[metric].astype(float))})
    gap = compare(logarithms, a, b, metric)
    return Gap(*np.exp(gap[:3]).tolist(), gap.n)


def smallest_difference(metric: str, printed_gap: float | None) -> float:
    """The margin delta of a verdict: a tenth of the printed gap, and no less than what matters.

    Args:
        printed_gap: as the thesis prints it, in the metric's unit; None where it prints none.
    """
    if metric in METRICS:
        least = SMALLEST.get(METRICS[metric].unit, SMALLEST_RATIO)
    else:  # that of a condition has its unit in the name, such as error_px_away_3
        units = {"px": "px", "mm": "mm", "deg": "degrees", "pck": "points"}
        least = next((SMALLEST[units[p]] for p in metric.split("_") if p in units), 0.0)
    return max(abs(printed_gap or 0.0) / 10, least)


def verdict(gap: Gap, expected_sign: int, margin: float | None = None) -> str:
    """What a gap says about a claim, by the rule of the page on verdicts.

    "confirmed" or "contradicted" where the interval excludes zero, "no difference" where it
    holds zero and lies within +- `margin`, else "undecided"; "not run" without runs. Fewer than
    three seeds decide nothing.

    Args:
        expected_sign: +1 or -1, the sign of a - b that the claim predicts.
        margin: in the metric's unit; the gap's own where it is None.
    """
    if expected_sign not in (1, -1):
        raise ValueError(f"verdict: expected_sign must be +1 or -1, not {expected_sign!r}")
    if gap.n == 0:
        return "not run"
    if gap.n < SEEDS_FOR_A_VERDICT or math.isnan(gap.low):
        return "undecided"
    if gap.low > 0 or gap.high < 0:
        return "confirmed" if gap.mean * expected_sign > 0 else "contradicted"
    margin = gap.margin if margin is None else margin
    return NO_DIFFERENCE if max(-gap.low, gap.high) < margin else "undecided"


def met(gap: Gap, good: Callable[[float], bool]) -> str:
    """Whether a goal that was set beforehand is met by an interval, or only by its mean.

    Args:
        good: whether one number meets the goal.
    """
    if gap.n == 0:
        return "not run"
    said = "met" if good(gap.mean) else "missed"
    if math.isnan(gap.low):
        return f"{said} by the mean, no interval yet"
    if good(gap.low) == good(gap.mean) == good(gap.high):
        return said
    return f"{said} by the mean, undecided by the interval"


def _by_variant(frame: pd.DataFrame, metric: str) -> dict[str, np.ndarray]:
    if metric not in frame:
        raise ValueError(f"no run holds the metric {metric!r}; there are {_metrics_of(frame)}")
    groups = frame.dropna(subset=[metric]).groupby("variant", sort=False)[metric]
    return {name: values.to_numpy(dtype=float) for name, values in groups}


def _metrics_of(frame: pd.DataFrame) -> str:
    return ", ".join(name for name in frame if name not in COLUMNS) or "none"


def _spread(values: np.ndarray) -> tuple[float, float, float, float, int]:
    n = len(values)
    mean = float(values.mean()) if n else math.nan
    if n < 2:
        return mean, math.nan, math.nan, math.nan, n
    std = float(values.std(ddof=1))
    half = float(stdtrit(n - 1, 0.975)) * std / math.sqrt(n)
    return mean, std, mean - half, mean + half, n
