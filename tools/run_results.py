"""Recompute the published results of one profile, going on where an earlier run was stopped.

    python tools/run_results.py --profile laptop --jobs 2 [any option of Snakemake]
"""

import argparse
import subprocess
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from posebook.results import PROFILES

ROOT = Path(__file__).resolve().parents[1]


def snakemake(*options: str) -> int:
    return subprocess.run([sys.executable, "-m", "snakemake", *options], cwd=ROOT).returncode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", choices=PROFILES, default="laptop")
    parser.add_argument("--jobs", default="2", help="runs side by side")
    arguments, options = parser.parse_known_args()
    runs = ROOT / "runs"
    runs.mkdir(exist_ok=True)
    try:
        # The system lets go of this lock when a run is killed; Snakemake's own lock stays behind.
        with FileLock(runs / ".lock", timeout=0):
            snakemake("--unlock", "--quiet", "all", "--config", f"profile={arguments.profile}")
            sys.exit(
                snakemake(
                    *("--cores", arguments.jobs, "--config", f"profile={arguments.profile}"),
                    *("--rerun-incomplete", "--show-failed-logs", "--keep-going", *options),
                )
            )
    except Timeout:
        sys.exit("Cannot start: results are being computed by another run in this folder already.")


if __name__ == "__main__":
    main()
