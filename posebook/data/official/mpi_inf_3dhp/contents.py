"""What a folder holds of MPI-INF-3DHP."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from posebook.data.official.mpi_inf_3dhp.archive import (
    CHEST,
    OFFICIAL_FRAMES,
    OFFICIAL_TEST_FRAMES,
    OFFICIAL_VALID,
    REMEDY,
    extent,
    nothing_of_it,
)
from posebook.data.official.mpi_inf_3dhp.recordings import read_test
from posebook.data.official.mpi_inf_3dhp.training import read_training
from posebook.data.official.overlays import overlays
from posebook.data.official.report import Report


def check(folder: Path) -> Report:
    """What a folder holds of MPI-INF-3DHP; see `posebook.data.official.report`."""
    folder = Path(folder)
    report = Report("mpi-inf-3dhp", folder)
    nothing = nothing_of_it(folder)
    if nothing:
        report.problem(*nothing.split("; ", 1))
        return report
    for (subject, number), official in tqdm(
        OFFICIAL_FRAMES.items(), desc="MPI-INF-3DHP", delay=5, leave=False
    ):
        name = f"S{subject}/Seq{number}"
        try:
            sequence = read_training(folder, subject, number)
        except FileNotFoundError as problem:
            report.missing.append(f"{name}: {problem}")
        except (ValueError, OSError) as problem:
            _add_problem(report, problem)
        else:
            report.found.append(f"{name}: {len(sequence):,} frames, {len(CHEST)} chest cameras")
            report.counts.append((f"{name}, frames a camera", len(sequence), official))
            if number == 1 and subject in (1, 5):
                report.samples += overlays(sequence, "")
    for number, official in OFFICIAL_VALID.items():
        _check_test(report, folder, number, official)
    report.notes.append("2D joints are the annotated ones; the files hold no detections")
    report.notes.append("the official truth is the universal skeleton; scores name theirs")
    return report


def _check_test(report: Report, folder: Path, number: int, official: int) -> None:
    try:
        test = read_test(folder, number)
    except FileNotFoundError as problem:
        report.missing.append(f"TS{number}: {problem}")
    except (ValueError, OSError) as problem:
        _add_problem(report, problem)
    else:
        at = test.valid if test.valid.any() else ~test.valid
        ratio = np.median(extent(test.universal[at]) / np.maximum(extent(test.metric[at]), 1e-6))
        report.found.append(
            f"{test.name}: {len(test.valid):,} frames; the universal skeleton is {ratio:.3f} times "
            "the metric one"
        )
        report.counts.append(
            (f"{test.name}, frames", len(test.valid), OFFICIAL_TEST_FRAMES[number])
        )
        report.counts.append((f"{test.name}, valid frames", int(test.valid.sum()), official))


def _add_problem(report: Report, problem: Exception) -> None:
    what, _, remedy = str(problem).rpartition("; ")
    report.problem(what or problem, remedy if what else REMEDY)
