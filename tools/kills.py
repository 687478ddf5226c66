"""Kill trainings at random moments, let them go on, and see that nothing has changed.

    python tools/kills.py --kills 30
    python tools/kills.py table-3.1/trans-reproj --kills 10 --seed 7

Each row is trained on `smoke` once undisturbed. Then it is killed, again and again, by SIGKILL or
SIGTERM at a moment drawn by chance, until it has ended or been killed often enough; at last it
may end. Its record and its weights must be those of the undisturbed run, bit for bit, and its
result must be there once.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import torch

from posebook.experiments.run import run, run_folder
from posebook.results import read_result, write_result
from posebook.training import loop
from posebook.training.stopping import Stopped

ROWS = ("table-3.1/trans-reproj", "table-4.1/baseline-cf", "table-2.3/res50-tce-bc")
SIGNALS = (signal.SIGKILL, signal.SIGTERM)
EVERY = 7  # steps between checkpoints: a smoke run has 40 to 100


def begin(row: str, home: Path) -> int:
    """Train a row in a process of its own, with all that it keeps in `home`; its number."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        os.environ["POSEBOOK_RUNS"] = str(home / "runs")
        with open(home / "log", "a") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        loop.Checkpoint.__init__.__defaults__ = (EVERY,)
        _, record = run(row, "smoke", 0, keep=True)
        write_result(home / "results", record)
        status = 0
    except Stopped as stopped:
        print(stopped, file=sys.stderr, flush=True)
        status = stopped.status
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def end(process: int) -> int:
    """Wait for a process; what it ended with, as a shell says it."""
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return 128 - status if status < 0 else status


def kept(row: str, home: Path) -> tuple[dict, dict]:
    """The record of a run that has ended, and the weights in its checkpoint."""
    results = list((home / "results").rglob("*.json"))
    if len(results) != 1:
        raise RuntimeError(f"{home} has {len(results)} results, not one")
    record = read_result(results[0])
    os.environ["POSEBOOK_RUNS"] = str(home / "runs")
    path = run_folder(row, "smoke", 0, record["dataset"]) / "training.pt"
    weights = torch.load(path, weights_only=True)["parts"]["model"]
    return without_clocks(record), weights


def without_clocks(record: dict) -> dict:
    """What a run leaves but for what a clock says, which differs each time."""
    return {
        name: without_clocks(value) if name == "parameters" else value
        for name, value in record.items() if "second" not in name
    }  # fmt: skip


def differing(a: tuple[dict, dict], b: tuple[dict, dict]) -> list[str]:
    """Fields of the record and weights in which two runs are not the same to the last bit."""
    fields = [name for name in a[0].keys() | b[0].keys() if a[0].get(name) != b[0].get(name)]
    if a[1].keys() != b[1].keys():
        return [*fields, "names of weights"]
    return [*fields, *(name for name in a[1] if not torch.equal(a[1][name], b[1][name]))]


def kill(row: str, home: Path, seconds: float, times: int, chance: random.Random) -> list[str]:
    """Kill a run up to so many times, and let it end; what ended it each time."""
    said = []
    while len(said) < times:
        process, number = begin(row, home), chance.choice(SIGNALS)
        moment = chance.uniform(0, seconds)
        time.sleep(moment)
        os.kill(process, number)
        status = end(process)
        if status == 0:  # it was over
            break
        if status != 128 + number:
            raise RuntimeError(f"{row} ended with {status}: {(home / 'log').read_text()}")
        said.append(f"{signal.Signals(number).name} after {moment:.1f} s")
    if status := end(begin(row, home)):
        raise RuntimeError(f"{row} did not go on ({status}): {(home / 'log').read_text()}")
    return said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", default=ROWS, help=f"default: {', '.join(ROWS)}")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--times", type=int, default=3, help="of one run, at most (default: 3)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    wanted = parser.parse_args()
    chance, wrong = random.Random(wanted.seed), 0
    killed = dict.fromkeys(wanted.rows, 0)
    with tempfile.TemporaryDirectory(prefix="posebook-kills-") as folder:
        undisturbed = {row: _undisturbed(row, Path(folder)) for row in wanted.rows}
        for trial in range(10 * wanted.kills):
            row, left = min(killed, key=killed.get), wanted.kills - sum(killed.values())
            if not left:
                break
            home = Path(folder, f"trial{trial}")
            home.mkdir()
            expected, seconds = undisturbed[row]
            said = kill(row, home, seconds, min(wanted.times, left), chance)
            others = differing(kept(row, home), expected)
            killed[row] += len(said)
            wrong += bool(others)
            if not said:  # the moments were drawn from a run that had to fill caches
                undisturbed[row] = expected, seconds / 2
            text = f"other {', '.join(others)}" if others else "the same"
            print(f"{row}: {', '.join(said) or 'too late'}: {text}", flush=True)
    done = sum(killed.values())
    print(f"{done} kills, {wrong} runs with another record or other weights")
    return int(wrong > 0 or done < wanted.kills)


def _undisturbed(row: str, folder: Path) -> tuple[tuple[dict, dict], float]:
    """What a row leaves, and how long it takes."""
    home, began = folder / row.replace("/", "-"), time.monotonic()
    home.mkdir()
    if status := end(begin(row, home)):
        raise RuntimeError(f"{row} ended with {status}: {(home / 'log').read_text()}")
    return kept(row, home), time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
