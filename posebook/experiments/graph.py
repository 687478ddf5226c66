"""Walking the graph of runs with Snakemake, going on where an earlier walk was stopped."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from posebook.experiments import catalogue
from posebook.paths import CLONE, folder_of, results_folder, runs_folder
from posebook.results.checks import MOVED, read_checks, state_of
from posebook.results.records import PROFILES, read_result
from posebook.storage import exclusive, refuse_unwritable
from posebook.training.stopping import Stopped

FOLDERS = (
    "POSEBOOK_RESULTS", "POSEBOOK_RUNS", "POSEBOOK_CACHE", "POSEBOOK_DATA", "POSEBOOK_MOTION"
)  # fmt: skip

# What a run asks of a cluster, and no more than is seldom exceeded: MB of memory, minutes, cards.
NEEDS = {
    "smoke": (3000, 60, 0), "laptop": (6000, 24 * 60, 0), "night": (12000, 2 * 24 * 60, 0),
    "gpu": (32000, 2 * 24 * 60, 1), "paper": (64000, 7 * 24 * 60, 1),
}  # fmt: skip


def walk(
    names: list[str],
    profile: str,
    seeds: int = 5,
    jobs: int = 2,
    dataset: str = "",
    again: bool = False,
    cluster: Path | None = None,
) -> int:
    """Compute what is behind some tables, figures or rows (none: all); returns Snakemake's status.

    Args:
        cluster: a Snakemake profile, such as profiles/slurm: runs are jobs there.
        again: also what is finished. Everything is refused before anything is trained: ValueError
            for names, seeds and jobs, RuntimeError while another walk holds the folder of runs,
            OSError for data that is not there and folders that may not be written; and for the
            profile what `refuse_unready` says.
    """
    if seeds < 1 or jobs < 1:
        raise ValueError(f"seeds and jobs must be at least 1, got {seeds} and {jobs}")
    chosen, drawn = catalogue.select(names, dataset)
    for row in chosen.values():
        catalogue.refuse_absent(row, dataset)
    refuse_unwritable(results_folder(), "set POSEBOOK_RESULTS to a folder of your own")
    config = [f"profile={profile}", f"seeds={seeds}"]
    config += [f"only={','.join(names)}"] * bool(names) + [f"dataset={dataset}"] * bool(dataset)
    options = ["--rerun-incomplete", "--show-failed-logs", "--keep-going"]
    if cluster is None:
        options = ["--cores", str(jobs), *options]
    else:
        refuse_unready(cluster)
        options = ["--jobs", str(jobs), "--workflow-profile", str(cluster.absolute()), *options]
    # The system lets go of this lock when a run is killed; Snakemake's own stays behind.
    with exclusive(runs_folder()):
        snakemake("--unlock", "--config", *config)
        _measure_lost(profile, chosen.values(), drawn, seeds, dataset)
        if not again:
            return snakemake(*options, "--config", *config)
        _forget_all(profile, chosen.values(), drawn, seeds, dataset)
        try:
            return snakemake(*options, "--config", *config)
        except KeyboardInterrupt as stopped:
            number = stopped.status - 128 if isinstance(stopped, Stopped) else signal.SIGINT
            kept = "what the runs have done is kept; the same command without --again goes on there"
            raise Stopped(number, kept) from stopped


def refuse_unready(cluster: Path) -> None:
    """Refuse a Snakemake profile with which no job would ever start.

    Raises:
        FileNotFoundError: where there is none.
        ValueError: where it is no YAML, or a field still holds what stands in angle brackets.
        ModuleNotFoundError: where the package of its executor is not installed.
    """
    import yaml  # Snakemake brings it along

    path = cluster / "config.yaml"
    if not path.is_file():
        raise FileNotFoundError(
            f"{cluster} has no config.yaml; give a Snakemake profile, such as profiles/slurm"
        )
    try:
        fields = dict(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except (yaml.YAMLError, TypeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise ValueError(f"{path} is no YAML of names and values ({said}); mend it") from error
    if left := ", ".join(_unfilled(fields)):
        raise ValueError(
            f"{path}: {left} still to be filled in; replace what stands in angle brackets, "
            "brackets and all"
        )
    executor = str(fields.get("executor", "local"))
    package = f"snakemake-executor-plugin-{executor}"
    built_in = executor in ("local", "dryrun", "touch")
    if not built_in and find_spec(package.replace("-", "_")) is None:
        raise ModuleNotFoundError(
            f"{path} asks for the executor {executor}, and its package {package} is not "
            f"installed; pip install {package}"
        )


def _unfilled(fields: Mapping) -> Iterator[str]:
    """Names of fields that hold angle brackets, as the profiles of the clone do where a cluster has
    names of its own."""
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _unfilled(value)
        elif re.search(r"<[^<>\s]+>", str(value)):
            yield name


def read_config(config: Mapping) -> tuple[str, int, str, list[str]]:
    """Profile, seeds, data set and names of Snakemake's --config. ValueError for what is unknown.

    Names and data sets are held against the catalogue by whoever looks them up there.
    """
    known = {"profile": "laptop", "seeds": 5, "dataset": "", "only": ""}
    if unknown := ", ".join(sorted(set(config) - set(known))):
        raise ValueError(f"--config has no {unknown}; there are {', '.join(sorted(known))}")
    profile, seeds, dataset, only = ({**known, **config}[name] for name in known)
    if profile not in PROFILES:
        raise ValueError(f"there is no profile {profile}; there are {', '.join(PROFILES)}")
    if not isinstance(seeds, int) or seeds < 1:
        raise ValueError(f"seeds must be a whole number, at least 1, not {seeds!r}")
    return profile, seeds, dataset, [name for name in str(only).split(",") if name]


def snakemake(*arguments: str) -> int:
    """Run Snakemake on the clone's Snakefile; returns its exit status.

    SIGTERM is handed on to all runs, which write their checkpoints, and then raises `Stopped`.

    What it keeps for itself lies in the clone, or with the runs where these lie elsewhere: there a
    clone need not be writable, and two people on one do not undo each other's locks.
    """
    elsewhere = ["--directory", str(runs_folder())] if runs_folder() != CLONE / "runs" else []
    command = [sys.executable, "-m", "snakemake", *elsewhere, *arguments]
    where = dict(cwd=CLONE, env=_environment())
    with _handing_on() as came, subprocess.Popen(command, **where) as process:
        if came:  # before there was anybody to hand it to
            process.terminate()
        try:
            return process.wait()
        except KeyboardInterrupt:  # Snakemake has it, too, and waits for its runs
            process.wait()
            raise


def _environment() -> dict[str, str]:
    """This process's own, with absolute folders: what it starts runs in other places."""
    given = {name: os.environ[name] for name in FOLDERS if os.environ.get(name)}
    return {**os.environ, **{name: str(Path(place).absolute()) for name, place in given.items()}}


@contextmanager
def _handing_on() -> Iterator[list[int]]:
    """Meanwhile SIGTERM ends whatever this process has started, and waits until it has ended."""
    import psutil  # Snakemake brings it along

    came = []

    def hand_on(number: int, frame) -> None:
        came.append(number)
        started = psutil.Process().children(recursive=True)
        for process in started:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        # Snakemake itself is waited for by whoever started it.
        psutil.wait_procs(started[1:])

    before = signal.signal(signal.SIGTERM, hand_on)
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, before)
    if came:
        raise Stopped(came[0], "what the runs have done is kept; the same command goes on there")


def _measure_lost(
    profile: str, rows: Iterable[catalogue.Row], drawn: Iterable[str], seeds: int, dataset: str
) -> None:
    """What has lost a record, or has a damaged or moved one, is not done.

    Runs go on at their checkpoint, if today's code has left one. Snakemake knows of executed
    notebooks alone, and of the lists of what was drawn.
    """
    runs, results = (folder_of(dataset, f) / profile for f in (runs_folder(), results_folder()))
    checks = read_checks(results) if not dataset else {}
    for row in rows:
        for seed in row.runs(seeds):
            name = f"{row.name}--seed{seed}"
            executed, record = runs / f"{name}.ipynb", results / f"{name}.json"
            _undo_without(executed, [record])
            if executed.is_file() and state_of(record, checks) == MOVED:
                print(f"{record} has moved; its row is run again", flush=True)
                executed.unlink()
                _forget(runs / name)  # where training has ended it would only be measured
    for name in drawn:
        if (done := runs / f"{name}.done").is_file():
            lines, mark = done.read_text(encoding="utf-8").splitlines(), "written: "
            _undo_without(done, [Path(n.removeprefix(mark)) for n in lines if n.startswith(mark)])


def _undo_without(done: Path, records: Iterable[Path]) -> None:
    for record in records if done.is_file() else ():
        try:
            read_result(record)
        except (FileNotFoundError, ValueError):
            print(f"{record} is gone or damaged; its run is measured again", flush=True)
            done.unlink(missing_ok=True)


def _forget_all(
    profile: str, rows: Iterable[catalogue.Row], drawn: Iterable[str], seeds: int, dataset: str
) -> None:
    """Nothing that was asked for counts as done any more: whoever is stopped goes on, and need not
    begin again."""
    runs = folder_of(dataset, runs_folder()) / profile
    for row in rows:
        for seed in row.runs(seeds):
            (runs / f"{row.name}--seed{seed}.ipynb").unlink(missing_ok=True)
            _forget(runs / f"{row.name}--seed{seed}")
    for name in drawn:
        (runs / f"{name}.done").unlink(missing_ok=True)


def _forget(run: Path) -> None:
    """The training of a run begins anew."""
    for checkpoint in run.rglob("*training.pt"):
        checkpoint.unlink()
