"""Published results: one JSON file a run, read back as tables.

A run writes `<folder>/<profile>/<experiment>/<variant>--seed<k>.json`; pages read only these
files. Lengths in them are millimetres. A record says once and for all what made it: commit, code
and data, versions, device. Whether it still holds is told elsewhere (`posebook.results.checks`).
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from posebook.paths import folder_of, results_folder
from posebook.results.checks import read_checks, state_of
from posebook.results.provenance import code_digest, commit, versions
from posebook.storage import whole

SCHEMA = 2
PROFILES = ("smoke", "laptop", "night", "gpu", "paper")
PUBLISHED = ("laptop", "gpu", "paper")  # smoke tries a row out, night shows where a curve goes
COLUMNS = (
    "variant", "seed", "dataset", "device", "steps", "wall_seconds", "commit", "state",
)  # fmt: skip

_NAME = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")
_METRIC = re.compile(r"[a-z][a-z0-9_.]*")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_FIELDS = {
    "schema": int, "experiment": str, "variant": str, "dataset": str, "profile": str,
    "seed": int, "metrics": Mapping, "parameters": Mapping, "data_digest": str, "commit": str,
    "code_digest": str, "device": str, "versions": Mapping, "steps": int, "wall_seconds": float,
}  # fmt: skip
_OPTIONAL = {
    "per_action": Mapping, "curves": Mapping, "samples_per_second": float, "note": str,
    "poses": list, "trace": Mapping,
}  # fmt: skip


def write_result(folder: str | os.PathLike, record: Mapping, apart: bool = True) -> Path:
    """Write one run's record and return its path, in the folder of its data set (`folder_of`), or
    not `apart` but beside those of the embedded data.

    `schema`, `commit`, `code_digest` and `versions` are filled in where absent. The file appears
    whole or not at all.

    Raises:
        ValueError: if a field is missing, unknown, misnamed or not finite.
    """
    record = dict(record)
    record.setdefault("schema", SCHEMA)
    record.setdefault("commit", commit())
    record.setdefault("code_digest", code_digest())
    record.setdefault("versions", versions())
    trace = record.pop("trace", None)  # its digits are all of them
    record = plain(record, "record") | ({"trace": trace} if trace else {})
    validate(record)
    home = folder_of(record["dataset"], folder) if apart else Path(folder)
    path = home / record["profile"] / record["experiment"]
    path = path / f"{record['variant']}--seed{record['seed']}.json"
    write(path, record)
    return path


def write(path: Path, record: Mapping) -> None:
    """Write a record as it is, in a form that git shows well."""
    text = json.dumps(record, sort_keys=True, indent=1, allow_nan=False)
    with whole(path) as file:
        file.write((_on_one_line(text) + "\n").encode())


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
    record["device"] = re.sub(r"\b1 threads$", "1 thread", record["device"])  # as they once said
    return record


def read_results(
    profile: str,
    experiment: str,
    variants: Iterable[str] | None = None,
    folder: str | os.PathLike | None = None,
) -> pd.DataFrame:
    """One row a run, sorted by variant (in the order asked for, if any) and seed.

    Columns: variant, seed, dataset, device, steps, wall_seconds, commit, state (see
    `posebook.results.checks`), and one for each metric. An experiment that was not run gives no
    rows: that is an ordinary state of the book and no error.

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
    checks = read_checks(root / profile)
    rows = [_row(path, checks) for path in paths]
    rows = [row for row in rows if wanted is None or row["variant"] in wanted]
    rank = {name: place for place, name in enumerate(wanted or ())}
    rows.sort(key=lambda row: (rank.get(row["variant"], 0), row["variant"], row["seed"]))
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(COLUMNS))


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
        return pd.DataFrame(columns=list(COLUMNS))
    rank = {row: place for place, row in enumerate(rows)}
    return pd.concat(runs, ignore_index=True).sort_values(
        "variant", key=lambda names: names.map(rank), kind="stable", ignore_index=True
    )


def _row(path: Path, checks: Mapping) -> dict:
    record = read_result(path)
    head = {name: record[name] for name in COLUMNS if name != "state"}
    return {**head, "state": state_of(path, checks), **record["metrics"]}


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


def plain(value: object, field: str) -> object:
    """Python's own types for JSON, floats to six digits: what is published stays readable.

    Raises:
        ValueError: naming the field, for what is not finite or JSON cannot hold.
    """
    if hasattr(value, "tolist"):  # NumPy or PyTorch, scalar or array
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{field}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, field) for item in value]
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
    """Lists of numbers, such as a curve's [step, value], on a line each: git then shows them well.

    Only JSON's own line breaks are touched: a text has none.
    """
    number = r"-?\d[\d.eE+-]*"
    numbers = rf"\[\n\s*{number}(?:,\n\s*{number})*\n\s*\]"
    return re.sub(numbers, lambda found: f"[{' '.join(found[0][1:-1].split())}]", text)
