"""Published results: one JSON file a run, read back as tables and compared over seeds.

A run writes ``<folder>/<profile>/<experiment>/<variant>--seed<k>.json``; pages read only these
files. Lengths in them are millimetres.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from posebook.provenance import (
    code_digest,
    data_digest,
    device_name,
    imported_modules,
    versions,
)

__all__ = [
    "METRICS", "PROFILES", "Gap", "Metric", "code_digest", "compare", "data_digest",
    "device_name", "imported_modules", "is_stale", "newest_checkpoint", "newest_in_runs", "ratio",
    "read_result", "read_results", "read_rows", "results_folder", "summary", "validate", "verdict",
    "versions", "write_result",
]  # fmt: skip

SCHEMA = 1
PROFILES = ("smoke", "laptop", "gpu", "paper")
SEEDS_FOR_A_VERDICT = 3

_NAME = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")
_METRIC = re.compile(r"[a-z][a-z0-9_.]*")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_FIELDS = {
    "schema": int, "experiment": str, "variant": str, "dataset": str, "profile": str,
    "seed": int, "metrics": Mapping, "parameters": Mapping, "data_digest": str,
    "code_digest": str, "modules": list, "device": str, "versions": Mapping, "steps": int,
    "wall_seconds": float,
}  # fmt: skip
_OPTIONAL = {
    "per_action": Mapping, "curves": Mapping, "samples_per_second": float, "note": str,
    "poses": list, "confirmed": Mapping,
}  # fmt: skip


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
    "canonical_spread_ratio": Metric("spread over views / instants", "", True),
    "viewpoint_error_deg": Metric("viewpoint error", "degrees", True),
    "relative_viewpoint_error_deg": Metric("error of relative viewpoints", "degrees", True),
    "accel_error_mm": Metric("acceleration error", "mm", True),
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


class Gap(NamedTuple):
    """Difference a - b of two variants' means with its 95 % interval; ``n`` seeds each."""

    mean: float
    low: float
    high: float
    n: int
    paired: bool


# ---------------------------------------------------------------- writing and reading files


def write_result(folder: str | os.PathLike, record: Mapping) -> Path:
    """Write one run's record and return its path, in the folder of its data set (`folder_of`).

    ``schema``, ``modules``, ``code_digest`` and ``versions`` are filled in where absent: the
    modules are those imported in this process. The file appears whole or not at all.

    Raises:
        ValueError: a field is missing, unknown, misnamed or not finite.
    """
    record = dict(record)
    record.setdefault("schema", SCHEMA)
    record.setdefault("modules", imported_modules())
    record.setdefault("code_digest", code_digest(record["modules"]))
    record.setdefault("versions", versions())
    record = _plain(record, "record")
    validate(record)
    path = folder_of(record["dataset"], folder) / record["profile"] / record["experiment"]
    path = path / f"{record['variant']}--seed{record['seed']}.json"
    _write(path, record)
    return path


def folder_of(dataset: str, folder: str | os.PathLike) -> Path:
    """Where runs on a data set lie: `folder` for the embedded ones, else one of its own in it.

    So a run on official files neither replaces a published record nor joins its table;
    ``read_results(..., folder="book/results/human36m")`` reads such records.
    """
    return Path(folder) if dataset.startswith("embedded-") else Path(folder) / dataset


def confirm(path: str | os.PathLike, commit: str, steps: int) -> None:
    """Note in a record that today's code gives the same bits as the code of `commit`.

    For tools/confirm_results.py, which has compared the two over `steps` steps. What made the
    record stays in its `code_digest`.
    """
    record = read_result(path)
    digest = code_digest(record["modules"])
    record["confirmed"] = {"code_digest": digest, "commit": commit, "steps": steps}
    validate(record, where=str(path))
    _write(Path(path), record)


def _write(path: Path, record: Mapping) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    text = json.dumps(record, sort_keys=True, indent=1, allow_nan=False)
    beside.write_text(_on_one_line(text) + "\n", encoding="utf-8")
    os.replace(beside, path)


def read_result(path: str | os.PathLike) -> dict:
    """Read one record.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a record, or its name does not say what it holds.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such result; make it with `make results`")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON ({error}); delete it and run again") from None
    if not isinstance(record, dict):
        raise ValueError(f"{path}: a result is one JSON object; delete it and run again")
    validate(record, where=str(path))
    said = (path.parents[1].name, path.parent.name, path.stem)
    held = (record["profile"], record["experiment"], f"{record['variant']}--seed{record['seed']}")
    if said != held:
        raise ValueError(f"{path}: holds {'/'.join(held)}; move it there or run again")
    return record


def read_results(
    profile: str,
    experiment: str,
    variants: Iterable[str] | None = None,
    folder: str | os.PathLike | None = None,
) -> pd.DataFrame:
    """One row a run, sorted by variant (in the order asked for, if any) and seed.

    Columns: variant, seed, dataset, device, steps, wall_seconds, code_digest, stale, and one
    for each metric. An experiment that was not run gives no rows: that is an ordinary state
    of the book and no error.

    Args:
        folder: default ``results_folder()``.

    Raises:
        ValueError: an unknown profile, a malformed name, or a broken file.
    """
    _check_profile(profile, "read_results")
    _check_name(experiment, "experiment", "read_results")
    root = results_folder() if folder is None else Path(folder)
    paths = sorted((root / profile / experiment).glob("[!.]*.json"))
    wanted = None if variants is None else list(variants)
    rows = [_row(read_result(path)) for path in paths]
    rows = [row for row in rows if wanted is None or row["variant"] in wanted]
    rank = {name: place for place, name in enumerate(wanted or ())}
    rows.sort(key=lambda row: (rank.get(row["variant"], 0), row["variant"], row["seed"]))
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(_HEAD))


def read_rows(
    profile: str, rows: Iterable[str], folder: str | os.PathLike | None = None
) -> pd.DataFrame:
    """The runs of table rows that may stand in different experiments, in the order asked for.

    Args:
        rows: "experiment/variant" each, such as "table-3.1/trans-reproj". These whole names
            stand in the column `variant`; otherwise the frame is that of `read_results`.

    Raises:
        ValueError: a name does not say its experiment, and as `read_results`.
    """
    rows = list(rows)
    wanted: dict[str, list[str]] = {}
    for row in rows:
        experiment, slash, variant = row.partition("/")
        if not slash:
            raise ValueError(f"read_rows: {row!r} must be experiment/variant")
        wanted.setdefault(experiment, []).append(variant)
    frames = []
    for experiment, variants in wanted.items():
        frame = read_results(profile, experiment, variants, folder)
        frames.append(frame.assign(variant=experiment + "/" + frame["variant"].astype(str)))
    runs = [frame for frame in frames if len(frame)] or frames[:1]
    if not runs:
        return pd.DataFrame(columns=list(_HEAD))
    rank = {row: place for place, row in enumerate(rows)}
    return pd.concat(runs, ignore_index=True).sort_values(
        "variant", key=lambda names: names.map(rank), kind="stable", ignore_index=True
    )


def newest_in_runs(row: str, profile: str, seed: int, name: str) -> Path | None:
    """The newest file of this name that a run of "experiment/variant" left under runs/, or None.

    runs/ is that of the working folder.
    """
    folder = Path("runs", profile, f"{row}--seed{seed}")
    found = sorted(folder.glob(f"**/{name}"), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else None


def newest_checkpoint(row: str, profile: str) -> Path:
    """The checkpoint of the first seed of "experiment/variant".

    Raises FileNotFoundError, naming the command, if the run has left none.
    """
    found = newest_in_runs(row, profile, 0, "training.pt")
    if found is None:
        raise FileNotFoundError(
            f"runs/{profile}/{row}--seed0 holds no checkpoint; "
            f"run `make results PROFILE={profile}` first"
        )
    return found


def results_folder() -> Path:
    """Folder of the published results: ``book/results`` of the clone posebook runs from.

    The environment variable ``POSEBOOK_RESULTS`` names another one.

    Raises:
        FileNotFoundError: posebook was not installed from a clone and the variable is not set.
    """
    named = os.environ.get("POSEBOOK_RESULTS")
    if named:
        return Path(named)
    book = Path(__file__).resolve().parents[1] / "book"
    if not book.is_dir():
        raise FileNotFoundError(
            "the published results stand in the clone's book/results, and this posebook does "
            "not run from a clone: install it with `pip install -e .` there, or set "
            "POSEBOOK_RESULTS to the folder"
        )
    return book / "results"


def is_stale(record: Mapping) -> bool:
    """Whether the code behind this record has changed since it was made or confirmed, or is gone.

    See `confirm`.
    """
    good = {record["code_digest"], record.get("confirmed", {}).get("code_digest")}
    try:
        return code_digest(record["modules"]) not in good
    except ValueError:
        return True


_HEAD = (
    "variant", "seed", "dataset", "device", "steps", "wall_seconds", "code_digest", "stale",
)  # fmt: skip


def _row(record: dict) -> dict:
    head = {name: record[name] for name in _HEAD if name != "stale"}
    return {**head, "stale": is_stale(record), **record["metrics"]}


# ---------------------------------------------------------------- comparing over seeds


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


def compare(frame: pd.DataFrame, a: str, b: str, metric: str, paired: bool = False) -> Gap:
    """Gap a - b in a metric with its 95 % t-interval.

    Welch's interval by default (unequal variances, seeds independent). ``paired`` takes the
    differences of runs with the same seed instead, for variants that a seed gives the same
    data. A variant without runs gives a gap of NaN with n = 0.
    """
    runs = frame[frame["variant"].isin([a, b])]
    if metric not in runs or not {a, b} <= set(runs.dropna(subset=[metric])["variant"]):
        return Gap(math.nan, math.nan, math.nan, 0, paired)
    table = runs.pivot(index="seed", columns="variant", values=metric)
    if paired:
        mean, _, low, high, n = _spread((table[a] - table[b]).dropna().to_numpy())
        return Gap(mean, low, high, n, True)
    first, second = (table[name].dropna().to_numpy() for name in (a, b))
    mean = float(first.mean() - second.mean())
    half = _welch_half_width(first, second)
    return Gap(mean, mean - half, mean + half, min(len(first), len(second)), False)


def ratio(frame: pd.DataFrame, a: str, b: str, metric: str) -> Gap:
    """Ratio a / b of two variants in a positive metric, with its 95 % interval.

    That of the geometric means over seeds: `compare` on the logarithm, taken back.
    """
    if metric not in frame:
        return Gap(math.nan, math.nan, math.nan, 0, False)
    logarithms = frame.assign(**{metric: np.log(frame[metric].astype(float))})
    gap = compare(logarithms, a, b, metric)
    return Gap(*np.exp(gap[:3]).tolist(), gap.n, False)


def verdict(gap: Gap, expected_sign: int) -> str:
    """What a gap says about a claim: "confirmed", "contradicted", "undecided" or "not run".

    Confirmed or contradicted needs three seeds of either variant and an interval without zero.

    Args:
        expected_sign: +1 or -1, the sign of a - b that the claim predicts.
    """
    if expected_sign not in (1, -1):
        raise ValueError(f"verdict: expected_sign must be +1 or -1, not {expected_sign!r}")
    if gap.n == 0:
        return "not run"
    if gap.n < SEEDS_FOR_A_VERDICT or not (gap.low > 0 or gap.high < 0):
        return "undecided"
    return "confirmed" if gap.mean * expected_sign > 0 else "contradicted"


def _by_variant(frame: pd.DataFrame, metric: str) -> dict[str, np.ndarray]:
    if metric not in frame:
        raise ValueError(f"no run holds the metric {metric!r}; there are {_metrics_of(frame)}")
    groups = frame.dropna(subset=[metric]).groupby("variant", sort=False)[metric]
    return {name: values.to_numpy(dtype=float) for name, values in groups}


def _metrics_of(frame: pd.DataFrame) -> str:
    return ", ".join(name for name in frame if name not in _HEAD) or "none"


def _spread(values: np.ndarray) -> tuple[float, float, float, float, int]:
    n = len(values)
    mean = float(values.mean()) if n else math.nan
    if n < 2:
        return mean, math.nan, math.nan, math.nan, n
    std = float(values.std(ddof=1))
    half = float(stats.t.ppf(0.975, n - 1)) * std / math.sqrt(n)
    return mean, std, mean - half, mean + half, n


def _welch_half_width(first: np.ndarray, second: np.ndarray) -> float:
    if min(len(first), len(second)) < 2:
        return math.nan
    squares = np.array([x.var(ddof=1) / len(x) for x in (first, second)])
    if not squares.any():
        return 0.0
    freedom = np.array([len(first) - 1, len(second) - 1])
    effective = squares.sum() ** 2 / (squares**2 / freedom).sum()
    return float(stats.t.ppf(0.975, effective) * math.sqrt(squares.sum()))


# ---------------------------------------------------------------- what a record must be


def validate(record: Mapping, where: str = "write_result") -> None:
    """Check a record's fields, names and numbers.

    Raises:
        ValueError: names the field and says what it should be.
    """
    for name in record:
        if name not in _FIELDS and name not in _OPTIONAL:
            raise ValueError(f"{where}: unknown field {name!r}; known: {', '.join(_FIELDS)}")
    for name, kind in {**_FIELDS, **_OPTIONAL}.items():
        if name in record:
            _check_kind(record[name], kind, name, where)
        elif name in _FIELDS:
            raise ValueError(f"{where}: the field {name!r} is missing")
    if record["schema"] != SCHEMA:
        raise ValueError(f"{where}: schema {record['schema']} is not {SCHEMA}; run it again")
    for name in ("experiment", "variant", "dataset"):
        _check_name(record[name], name, where)
    _check_profile(record["profile"], where)
    for name in ("data_digest", "code_digest"):
        if not _DIGEST.fullmatch(record[name]):
            raise ValueError(f"{where}: {name} must be 'sha256:' and 64 hexadecimal digits")
    for name in ("seed", "steps", "wall_seconds"):
        if record[name] < 0:
            raise ValueError(f"{where}: {name} must not be negative, got {record[name]}")
    _check_metrics(record["metrics"], "metrics", where)
    for action, metrics in record.get("per_action", {}).items():
        _check_metrics(metrics, f"per_action.{action}", where)
    _check_curves(record.get("curves", {}), where)


def _check_kind(value: object, kind: type, name: str, where: str) -> None:
    allowed = (int, float) if kind is float else kind
    if isinstance(value, bool) or not isinstance(value, allowed):
        raise ValueError(f"{where}: {name} must be {_WORDS[kind]}, not {type(value).__name__}")


_WORDS = {int: "a whole number", float: "a number", str: "text", list: "a list",
          Mapping: "a mapping"}  # fmt: skip


def _check_name(value: str, name: str, where: str) -> None:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(
            f"{where}: {name} {value!r} must be lower-kebab-case, such as table-3.1 or trans-reproj"
        )


def _check_profile(profile: str, where: str) -> None:
    if profile not in PROFILES:
        raise ValueError(f"{where}: profile {profile!r} is none of {', '.join(PROFILES)}")


def _check_metrics(metrics: object, field: str, where: str) -> None:
    if not isinstance(metrics, Mapping) or not metrics:
        raise ValueError(f"{where}: {field} must map at least one metric's name to its value")
    for name, value in metrics.items():
        if not _METRIC.fullmatch(name):
            raise ValueError(f"{where}: {field}.{name}: write metrics' names as mpjpe_mm")
        _check_kind(value, float, f"{field}.{name}", where)
        if not math.isfinite(value):
            raise ValueError(f"{where}: {field}.{name} must be finite, got {value}")


def _check_curves(curves: Mapping, where: str) -> None:
    for name, points in curves.items():
        pairs = isinstance(points, list) and all(
            isinstance(point, list) and len(point) == 2 for point in points
        )
        if not pairs:
            raise ValueError(f"{where}: curves.{name} must be a list of [step, value] pairs")


def _plain(value: object, field: str) -> object:
    """Python's own types for JSON, floats to six digits: what is published stays readable."""
    if hasattr(value, "tolist"):  # NumPy or PyTorch, scalar or array
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{field}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, field) for item in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"write_result: {field} must be finite, got {value}; use None")
        return float(f"{value:.6g}")
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise ValueError(f"write_result: {field} is a {type(value).__name__}, which JSON cannot hold")


def _on_one_line(text: str) -> str:
    """A curve's [step, value] pairs on a line each, for readable differences in git.

    Only JSON's own line breaks are touched: a text has none.
    """
    pair = r"\[\n\s*([^\[\]{}\",\n]+),\n\s*([^\[\]{}\",\n]+)\n\s*\]"
    return re.sub(pair, r"[\1, \2]", text)
