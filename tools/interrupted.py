"""Interrupt the graph of runs, start it again, and see that the same results come out.

    python tools/interrupted.py --kills 3
    python tools/interrupted.py table-3.1 --cluster profiles/slurm --slurm FOLDER

`python -m posebook results NAMES --profile smoke` is run undisturbed on two workers. In another
folder, which shares nothing with the first, it is killed so many times at random moments, by
SIGKILL and SIGTERM in turn, with all that it started, and started again. With --slurm, the folder
of tools/one_node_slurm.sh, it runs there; what is killed is then one job, when a third of the
results is there, and with two thirds the node itself. The results must be the same files, but for
what a clock says, and Git: one may commit to the clone meanwhile.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kills import without_clocks

from posebook.paths import CLONE
from posebook.results import read_result

NODE = CLONE / "tools" / "one_node_slurm.sh"


def begin(wanted: argparse.Namespace, home: Path, *more: str) -> subprocess.Popen:
    """The walk in a session of its own, with all that it leaves in `home`."""
    home.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "posebook", "results", *wanted.names, "--profile", "smoke"]
    command += ["--seeds", "1", "--jobs", "2", *more]
    places = {f"POSEBOOK_{name.upper()}": str(home / name) for name in ("runs", "results", "cache")}
    with open(home / "log", "a") as log:
        return subprocess.Popen(
            command, cwd=CLONE, env={**os.environ, **places}, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip


def end(walk: subprocess.Popen, home: Path) -> None:
    if walk.wait():
        raise RuntimeError(f"the walk ended with {walk.returncode}; see {home / 'log'}")


def results(home: Path) -> dict[str, dict]:
    """What is filed in a home, by its path."""
    folder = home / "results"
    files = {str(p.relative_to(folder)): read_result(p) for p in sorted(folder.rglob("*.json"))}
    return {name: without_clocks(record) | {"commit": ""} for name, record in files.items()}


def kill_and_restart(wanted, home: Path, seconds: float, chance: random.Random) -> None:
    """Kill the walk and what it started so many times; each time it is started again."""
    for number in range(wanted.kills):
        walk, moment = begin(wanted, home), chance.uniform(0.3, 0.9) * seconds / wanted.kills
        time.sleep(moment)
        signal_ = (signal.SIGKILL, signal.SIGTERM)[number % 2]
        over = walk.poll() is not None
        if signal_ == signal.SIGKILL and not over:
            os.killpg(walk.pid, signal_)
        else:
            walk.send_signal(signal_)
        walk.wait()
        done = "too late" if over else f"{len(results(home))} results were there"
        print(f"{signal_.name} after {moment:.0f} s: {done}", flush=True)
        time.sleep(2)  # a kernel sees within a second that nobody waits for it
    end(begin(wanted, home), home)


def disturb_slurm(wanted, home: Path, whole: int, chance: random.Random) -> None:
    """Kill one job, and lose the node while others run, on the way to so many results."""
    walk = begin(wanted, home, "--cluster", str(wanted.cluster))
    # A walk of one row has no time to spare: its job may be over some seconds after it began.
    waits = [chance.uniform(5, 20) if whole > 2 else 0 for _ in range(2)]
    killed = _running(walk, home, whole // 3, waits[0])[0]
    subprocess.run(["scancel", "--full", "--signal=KILL", killed], check=True)
    print(f"job {killed} killed: {len(results(home))} results were there", flush=True)
    jobs = _running(walk, home, 2 * whole // 3, waits[1], but=killed)
    subprocess.run([NODE, "lose", wanted.slurm], check=True)
    done = f"{len(results(home))} results were there"
    subprocess.run([NODE, "node", wanted.slurm], check=True)
    print(f"the node was lost, and is back: {len(jobs)} jobs ran, {done}", flush=True)
    while walk.poll() is None and set(jobs) & _jobs("R"):
        time.sleep(0.2)
    for job in _jobs("PD"):  # what ran there is queued again, and would be held for two minutes
        subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], check=True)
    end(walk, home)


def _running(
    walk: subprocess.Popen, home: Path, so_far: int, wait: float, but: str = ""
) -> list[str]:
    """The jobs that run, the latest first, seconds after so many results are there."""
    for seconds in (wait, 0):
        while not (jobs := _jobs("R") - {but}) or len(results(home)) < so_far:
            if walk.poll() is not None:
                raise RuntimeError(f"the walk is over, undisturbed; see {home / 'log'}")
            time.sleep(0.2)
        time.sleep(seconds)
    return sorted(jobs, key=int, reverse=True)


def _jobs(state: str) -> set[str]:
    """Numbers of the jobs that run (R) or wait (PD)."""
    command = ["squeue", "-h", "-t", state, "-o", "%i"]
    return set(subprocess.check_output(command, text=True).split())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="tables, figures or rows (default: all)")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--cluster", type=Path, help="a Snakemake profile for Slurm")
    parser.add_argument("--slurm", type=Path, help="folder of tools/one_node_slurm.sh")
    parser.add_argument("--home", type=Path, help="for all of this; default: a temporary one")
    wanted = parser.parse_args()
    chance, home = random.Random(wanted.seed), wanted.home or Path(tempfile.mkdtemp())
    home.mkdir(exist_ok=True)
    undisturbed, disturbed, began = home / "undisturbed", home / "disturbed", time.monotonic()
    end(begin(wanted, undisturbed), undisturbed)
    seconds = time.monotonic() - began
    print(f"undisturbed: {seconds:.0f} s", flush=True)
    expected = results(undisturbed)
    if wanted.slurm:
        disturb_slurm(wanted, disturbed, len(expected), chance)
    else:
        kill_and_restart(wanted, disturbed, seconds, chance)
    found = results(disturbed)
    names = expected.keys() | found.keys()
    wrong = [name for name in names if expected.get(name) != found.get(name)]
    for name in wrong:  # a code_digest alone: somebody has edited the clone meanwhile
        one, other = expected.get(name, {}), found.get(name, {})
        print(f"{name}: {', '.join(sorted(k for k in one | other if one.get(k) != other.get(k)))}")
    print(f"{len(names)} results, {len(wrong)} others: {', '.join(sorted(wrong)) or 'none'}")
    return int(bool(wrong) or not names)


if __name__ == "__main__":
    sys.exit(main())
