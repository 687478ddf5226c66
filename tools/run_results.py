"""Recompute the published results of one profile, going on where an earlier run was stopped.

Usage: python tools/run_results.py --profile laptop --jobs 2
"""

import argparse
import subprocess
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from posebook.results.records import PROFILES

ROOT = Path(__file__).resolve().parents[1]


def snakemake(profile: str, seeds: int, *options: str) -> int:
    """Run Snakemake on the repository's Snakefile; returns its exit status."""
    command = [sys.executable, "-m", "snakemake", *options, "--config"]
    return subprocess.run([*command, f"profile={profile}", f"seeds={seeds}"], cwd=ROOT).returncode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", choices=PROFILES, default="laptop")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each variant")
    parser.add_argument("--jobs", default="2", help="runs side by side")
    parser.add_argument("--again", action="store_true", help="also runs that are finished")
    arguments = parser.parse_args()
    options = ["--cores", arguments.jobs, "--rerun-incomplete", "--show-failed-logs"]
    options += ["--forceall"] if arguments.again else []
    (ROOT / "runs").mkdir(exist_ok=True)
    try:
        # The system lets go of this lock when a run is killed; Snakemake's own stays behind.
        with FileLock(ROOT / "runs" / ".lock", timeout=0):
            snakemake(arguments.profile, arguments.seeds, "--unlock")
            if arguments.again:  # else a run would find its checkpoint and have nothing to do
                for checkpoint in (ROOT / "runs" / arguments.profile).rglob("*training.pt"):
                    checkpoint.unlink()
            sys.exit(snakemake(arguments.profile, arguments.seeds, *options, "--keep-going"))
    except Timeout:
        sys.exit("Cannot start: another run in this folder is computing results already.")


if __name__ == "__main__":
    main()
