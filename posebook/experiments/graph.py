"""Walking the graph of runs with Snakemake, going on where an earlier walk was stopped."""

import subprocess
import sys

from filelock import FileLock, Timeout

from posebook.experiments import catalogue
from posebook.paths import CLONE, folder_of, runs_folder


def walk(
    names: list[str],
    profile: str,
    seeds: int = 3,
    jobs: int = 2,
    dataset: str = "",
    again: bool = False,
) -> int:
    """Compute what is behind some tables, figures or rows (none: all); returns Snakemake's status.

    Args:
        again: also what is finished. Everything is refused before anything is trained: ValueError
            for names, seeds and jobs, RuntimeError while another walk holds the folder of runs.
    """
    if seeds < 1 or jobs < 1:
        raise ValueError(f"seeds and jobs must be at least 1, got {seeds} and {jobs}")
    chosen, _ = catalogue.select(names, dataset)
    runs_folder().mkdir(parents=True, exist_ok=True)
    config = [f"profile={profile}", f"seeds={seeds}"]
    config += [f"only={','.join(names)}"] * bool(names) + [f"dataset={dataset}"] * bool(dataset)
    options = ["--cores", str(jobs), "--rerun-incomplete", "--show-failed-logs", "--keep-going"]
    try:
        # The system lets go of this lock when a run is killed; Snakemake's own stays behind.
        with FileLock(runs_folder() / ".lock", timeout=0):
            snakemake("--unlock", "--config", *config)
            if again:  # else a run would find its checkpoint and have nothing to do
                options.append("--forceall")
                for row in chosen.values():
                    _forget(profile, row, dataset)
            return snakemake(*options, "--config", *config)
    except Timeout:
        raise RuntimeError(
            f"another process is computing results in {runs_folder()}; wait for it"
        ) from None


def snakemake(*arguments: str) -> int:
    """Run Snakemake on the clone's Snakefile; returns its exit status."""
    return subprocess.run([sys.executable, "-m", "snakemake", *arguments], cwd=CLONE).returncode


def _forget(profile: str, row: catalogue.Row, dataset: str) -> None:
    folder = folder_of(dataset, runs_folder()) if dataset else runs_folder()
    for run in (folder / profile / row.experiment).glob(f"{row.variant}--seed*"):
        for checkpoint in run.rglob("*training.pt"):
            checkpoint.unlink()
