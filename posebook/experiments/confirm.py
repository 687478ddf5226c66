"""Validity by value: the first steps of published rows, repeated with today's code.

A record carries a trace: the digests of its initial weights and of its first batches, the first
twenty losses and gradient norms at its own schedule, and the metrics of the network after them. If
today's code gives them again, the number is as good as new, however much the code has moved; if
not, it must be run again. Training depends on data by value: the digest of the data is a part of
it.
"""

import json
import math
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path

import cv2
import torch
from tqdm import tqdm

from posebook.experiments import catalogue
from posebook.experiments.traces import data_key, traces
from posebook.paths import results_folder
from posebook.results.checks import (
    FILE,
    MOVED,
    REPRODUCED,
    Check,
    digest_of,
    name_of,
    read_checks,
    write_checks,
)
from posebook.results.provenance import code_digest, commit
from posebook.results.records import plain, read_result, write
from posebook.storage import refuse_unwritable
from posebook.training.stopping import Stopped, stoppable

# Relative, at the first step of a stage; it grows from step to step. AVX2 and AVX-512 differ by at
# most 7e-6, another rotation formula by 1e-3 at the twentieth step of the most sensitive rows; the
# smallest of the bugs that were tried moves a loss by 1.4e-4 at the first or second step.
TOLERANCE, GROWTH = 3e-5, 1.3
MOST_LATER, MOST_OF_METRICS = 1e-3, 1e-2
METRIC_TOLERANCE = 2e-4  # AVX2 and AVX-512 differ by at most 2e-5
POINTS = 0.1  # of a percentage: a joint may cross a threshold
ROUGH_TOLERANCE, ROUGH_STEPS = 6e-4, 5  # in another arithmetic; twice what was measured
# Measured: 0.07 where a later stage begins (all rows at `smoke`); in these metrics 0.08 (38 runs of
# chapter 2 at `laptop`; of chapters 3 and 4, 0.02).
ROUGH_LATER, ROUGH_METRIC, ROUGH_METRICS = 0.15, 0.2, {"mpjpe_mm", "p_mpjpe_mm", "mean_error_px"}
STEEP = 1e4  # the gradient beside the loss, near the pole of equation 3.1
# Of the weights, along the gradient: at the pole, with a gradient of a million times the loss, the
# same code differs by 1 % from one processor to another.
ROUNDING, MOST = 1e-8, 0.05


def compare(old: Mapping, new: Mapping) -> tuple[str, float]:
    """What has moved from one trace to another, in words ("" for nothing), and by how much.

    The second value is the largest relative difference that was found; 0 means the same bits. A new
    metric is no difference. Where the arithmetic is another (`provenance.arithmetic`), what one
    step rounds the next ones multiply: the first losses of the first stage are compared closely,
    and where later stages begin and end up only on the whole.
    """
    for name in ("row", "seed", "steps"):
        if old.get(name) != new[name]:
            return f"the trace is of {name} {old.get(name)}, not {new[name]}", math.inf
    stages = list(zip(old["stages"], new["stages"]))
    if [before["name"] for before in old["stages"]] != [after["name"] for after in new["stages"]]:
        return "the stages of training", math.inf
    elsewhere = old["arithmetic"] != new["arithmetic"]
    # Of several starts, another arithmetic may find another one best; it was tried here as well.
    tried = {before["batches"] for before, _ in stages} if elsewhere else set()
    for before, after in stages:
        if after["batches"] not in {before["batches"], *tried}:
            return f"the batches of {after['name']}", math.inf
        if len(before["loss"]) != len(after["loss"]):
            return f"the number of steps of {after['name']}", math.inf
    why, largest = _strictly(old, new, stages)
    if why and elsewhere:
        why, off = _roughly(*stages[0])
        return (why, off) if why else _on_the_whole(old, new, stages, largest)
    return why, largest


def _strictly(old: Mapping, new: Mapping, stages: list[tuple[Mapping, Mapping]]):
    """Everything, within what rounding may have become: each step multiplies what it was given."""
    if old["data_digest"] != new["data_digest"]:
        return "the data", math.inf
    if stages and stages[0][0]["weights"] != stages[0][1]["weights"]:
        return f"the initial weights of {new['stages'][0]['name']}", math.inf
    largest = 0.0
    for before, after in stages:
        # A later stage goes on from what an earlier one left. Only losses say how much that is, and
        # however noisy they were, what is far off is a mistake.
        begun = min(max(TOLERANCE, 3 * largest), MOST_LATER)
        for name, factor in (("loss", 1), ("gradient_norm", 10)):
            for step, (a, b) in enumerate(zip(before[name], after[name], strict=True)):
                off = _apart(a, b)
                largest = max(largest, off / factor)
                if not off <= factor * begun * GROWTH**step:
                    return f"the {name.replace('_', ' ')} at step {step} of {after['name']}", off
    for name, a in old["metrics"].items():
        if name not in new["metrics"]:
            return f"the metric {name}, which is gone", math.inf
        b = new["metrics"][name]
        off = _apart(a, b)
        near = abs(a - b) <= POINTS and any(word in name for word in ("pck", "auc", "share"))
        if not off <= min(max(METRIC_TOLERANCE, 10 * largest), MOST_OF_METRICS) and not near:
            return f"{name}, {a:.6g} before and {b:.6g} now", off
    return "", largest


def _roughly(before: Mapping, after: Mapping) -> tuple[str, float]:
    """The first losses of two stages that were computed in different arithmetic.

    Near the pole of equation 3.1 only the very first: the next ones are far apart.
    """
    slope = _slope(before)
    largest, steps = 0.0, 1 if slope > STEEP else ROUGH_STEPS
    allowed = max(ROUGH_TOLERANCE, min(ROUNDING * slope, MOST))
    for step, (a, b) in enumerate(list(zip(before["loss"], after["loss"]))[:steps]):
        largest = max(largest, off := _apart(a, b))
        if not off <= allowed * 3**step:
            return f"the loss at step {step} of {after['name']}", off
    return "", largest


def _on_the_whole(old: Mapping, new: Mapping, stages: list, largest: float) -> tuple[str, float]:
    """Where later stages begin and what the network measures at the end, in different arithmetic.

    Not for who chose another of several starts, nor near the pole: there both may be anything.
    """
    if _slope(stages[0][0]) > STEEP or any(a["batches"] != b["batches"] for a, b in stages):
        return "", largest
    for before, after in stages[1:]:
        off = _apart(before["loss"][0], after["loss"][0])
        largest = max(largest, off)
        if not off <= ROUGH_LATER:
            return f"the loss at step 0 of {after['name']}", off
    for name in ROUGH_METRICS & old["metrics"].keys() & new["metrics"].keys():
        a, b = old["metrics"][name], new["metrics"][name]
        largest = max(largest, off := _apart(a, b))
        if not off <= ROUGH_METRIC:
            return f"{name}, {a:.6g} before and {b:.6g} now", off
    return "", largest


def _slope(stage: Mapping) -> float:
    return stage["gradient_norm"][0] / max(stage["loss"][0], 1e-12)


def _apart(a: float, b: float) -> float:
    return abs(a - b) / max(abs(a), abs(b), 1e-12)


def stages_of(record: Mapping, where: str) -> list[dict]:
    """The stages of a record's trace.

    Raises:
        ValueError: with the remedy, if there is no trace, half of one, or another run's.
    """
    trace, row = record.get("trace"), f"{record['experiment']}/{record['variant']}"
    again = (
        f"`python -m posebook confirm {row} --profile {record['profile']} --trace`, "
        "from the commit that made the record"
    )
    if not trace:
        raise ValueError(f"{where} has no trace; make it with {again}")
    for name, value in (("row", row), ("seed", record["seed"]), ("profile", record["profile"])):
        if trace.get(name) != value:
            raise ValueError(
                f"{where}: the trace is of {name} {trace.get(name)}, not {value}; make it again "
                f"with {again}"
            )
    if not _is_whole(trace) or not record["metrics"].keys() <= trace["metrics"].keys():
        raise ValueError(f"{where}: the trace is cut short; make it again with {again}")
    return trace["stages"]


def _is_whole(trace: Mapping) -> bool:
    try:
        lengths = [(len(s["loss"]), len(s["gradient_norm"])) for s in trace["stages"]]
        numbers = [x for s in trace["stages"] for x in (*s["loss"], *s["gradient_norm"])]
        told = [s[name] for s in trace["stages"] for name in ("name", "weights", "batches")]
        told += [trace[name] for name in ("arithmetic", "data_digest", "metrics", "stages")]
        # An earlier stage may have fewer steps than are repeated.
        even = all(a == b > 0 for a, b in lengths) and lengths[-1][0] == trace["steps"]
        return all(told) and even and all(map(math.isfinite, numbers))
    except (KeyError, IndexError, TypeError):
        return False


def check(path: Path, record: Mapping, new: Mapping, digest: str = "") -> Check:
    """What a new trace says of a record's file. Raises ValueError as `stages_of`.

    Args:
        digest: of the file that the record was read from; that of today's where it is empty.
    """
    stages_of(record, str(path))
    why, difference = compare(record["trace"], new)
    verdict = MOVED if why else REPRODUCED
    found = round(difference, 12) if math.isfinite(difference) else -1.0
    return Check(digest or digest_of(path), verdict, commit(), new["device"], found, why)


def out_of_date(record: Mapping) -> str:
    """What of a row or a profile has changed since a record was made, in words; "" for nothing."""
    row = catalogue.find(f"{record['experiment']}/{record['variant']}")
    size, variant = catalogue.settings(
        row.chapter, record["profile"], row.variant, record["dataset"]
    )
    now = {**_plain(variant), **_plain(size)}  # as in the chapters' `run_row`
    if now.get("epochs") or now.get("as_long"):  # the steps follow from the data, or both stages
        now = {name: value for name, value in now.items() if "steps" not in name}
    for name, value in now.items():
        then = record["parameters"].get(name, value)
        if then != value:
            return f"{name} was {then} and is {value}"
    return ""


def _plain(settings) -> dict:
    """A settings' fields as a record's file gives them back."""
    return json.loads(json.dumps(plain(asdict(settings), "settings")))


def published(profile: str, names: list[str]) -> dict[tuple[str, int], Path]:
    """(row, seed) -> file of the published runs of some tables, figures or rows (none: all)."""
    chosen, _ = catalogue.select(names)
    folder = results_folder() / profile
    return {
        (row.name, int(path.stem.rpartition("seed")[2])): path
        for row in chosen.values()
        for path in sorted((folder / row.experiment).glob(f"{row.variant}--seed*.json"))
    }


def confirm_all(names: list[str], profile: str, jobs: int = 2, write_traces: bool = False) -> int:
    """Hold today's code against published rows and note what was found; returns the exit status.

    It is 1 where one has moved, or has a trace that says nothing: that one is named, with the
    remedy, and the others are checked.

    Args:
        write_traces: write the traces of those records that this very code has made instead.

    Raises:
        ValueError: where nothing that is asked for is published, or was made by this code.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    wanted = published(profile, names)
    if not wanted:
        _, drawn = catalogue.select(names)
        again = f"; `python -m posebook draw {next(iter(drawn))}` draws it again" if drawn else ""
        raise ValueError(
            f"no trained row of {', '.join(names) or 'any table'} is published for {profile}{again}"
        )
    if write_traces and commit().endswith("+"):
        raise ValueError("the code has been edited since the last commit; commit it first")
    folder, checks, moved = results_folder() / profile, {}, []
    unread: list[str] = []
    read_checks(folder)  # refused before the work, not after it
    refuse_unwritable(folder, "set POSEBOOK_RESULTS to a copy of your own")
    # Somebody may file a row anew meanwhile: a verdict is on the file that was read.
    digests = {run: digest_of(path) for run, path in wanted.items()}
    records = {run: read_result(path) for run, path in wanted.items()}
    if write_traces:
        mine = code_digest()
        wanted = {run: p for run, p in wanted.items() if records[run]["code_digest"] == mine}
        if not wanted:
            raise ValueError("other code has made these records; check out the commit they name")
    else:  # before the work, not after it
        for run, record in records.items():
            try:
                stages_of(record, str(wanted[run]))
            except ValueError as error:
                unread.append(str(error))
                del wanted[run]
        if not wanted:
            raise ValueError("\n".join(unread))
    kept = "traces that were written" if write_traces else f"verdicts noted in {folder / FILE}"
    bar = tqdm(total=len(wanted), desc="rows", unit="run")
    workers = ProcessPoolExecutor(jobs, get_context("spawn"), _one_thread)
    with bar, workers as pool, _ending_all(kept):
        parts = chunks(profile, list(wanted))
        for found in as_completed([pool.submit(_traces, profile, part) for part in parts]):
            for new in found.result():
                bar.update()
                this = new["row"], new["seed"]
                path, record = wanted[this], records[this]
                if digest_of(path) != digests[this]:
                    unread.append(f"{name_of(path)} was filed anew meanwhile; confirm it again")
                    continue
                if write_traces:
                    write(path, {**record, "trace": new})
                    continue
                found_here = check(path, record, new, digests[this])
                if other := out_of_date(record):
                    found_here = replace(found_here, verdict=MOVED, why=other)
                checks[name_of(path)] = found_here
                if found_here.verdict == MOVED:
                    moved.append(f"{name_of(path)}: {found_here.why}")
            if not write_traces:  # so that what fails later takes nothing away
                write_checks(folder, read_checks(folder) | checks)
    if write_traces:
        print(f"{len(wanted)} traces written.")
        return 0
    same = sum(check.difference == 0 for check in checks.values())
    print(
        f"{len(checks) - len(moved)} of {len(checks)} published runs reproduced, {same} of them to "
        f"the last bit; {len(moved)} moved{f', {len(unread)} left out' if unread else ''}."
    )
    for line in (*moved, *unread):
        print(line)
    print(f"Noted in {folder / FILE}.")
    return 1 if moved or unread else 0


@contextmanager
def _ending_all(kept: str) -> Iterator[None]:
    """A command that is stopped, or fails, leaves none of its workers behind.

    Args:
        kept: what outlives a signal. The rest is no training: nothing of it goes on.

    Raises:
        Stopped: after SIGINT or SIGTERM, saying so.
    """
    import psutil  # Snakemake brings it along

    with stoppable():
        try:
            yield
        except BaseException as error:
            for worker in psutil.Process().children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    worker.terminate()
            if not isinstance(error, KeyboardInterrupt):
                raise
            number = error.status - 128 if isinstance(error, Stopped) else signal.SIGINT
            raise Stopped(number, f"{kept} stay; the same command repeats all rows") from error


def chunks(profile: str, runs: list[tuple[str, int]]) -> list[list[tuple[str, int]]]:
    """The runs in parts that share their data, the largest first."""
    parts: dict[tuple, list] = {}
    for name, seed in runs:
        row = catalogue.find(name)
        parts.setdefault((row.chapter, data_key(row, profile, seed)), []).append((name, seed))
    return sorted(parts.values(), key=len, reverse=True)


def _one_thread() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _traces(profile: str, runs: list[tuple[str, int]]) -> list[dict]:
    found = [(catalogue.find(name), seed) for name, seed in runs]
    return [trace for _, _, trace in traces(profile, found)]
