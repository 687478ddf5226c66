"""Confirm published results after a change of the code that should not have changed a number.

    python tools/confirm_results.py --since COMMIT --profile laptop --jobs 2

A result carries the digest of the code that made it, and any change of that code makes it stale,
be it a new option that no run uses. This tool tells such changes from real ones: it trains every
stale row for a few steps with the code of COMMIT and with the code of today, in one schedule from
start to end, and compares everything that comes out (curves, metrics, data) to the last bit. A row
that agrees is marked as confirmed, with the commit and the steps; any other stays stale and is
named. A record that COMMIT's code did not make either is left alone.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from posebook.paths import results_folder
from posebook.results.records import PROFILES, confirm, is_stale, read_result

ROOT = Path(__file__).resolve().parents[1]
# Run in either tree, by that tree's own posebook. Prints one line of JSON.
SHORT_RUN = """
import json, sys
from dataclasses import replace
import torch
from posebook import ablation, lifting, literal, results
wanted = json.loads(sys.argv[1])
profile, variant, seed, steps = (wanted[k] for k in ("profile", "variant", "seed", "steps"))
torch.set_num_threads(1)
digest = results.code_digest(wanted["modules"])
lifting.rows.PROFILES[profile] = replace(
    lifting.rows.PROFILES[profile], steps=steps, pretraining_steps=steps // 2, evaluations=1
)
if wanted["experiment"] == ablation.EXPERIMENT:
    record = ablation.run(profile, variant, seed)
elif variant in literal.VARIANTS:
    record = literal.run(profile, variant, seed)
else:
    record = lifting.run(profile, variant, seed, experiment=wanted["experiment"])[1]
kept = {k: record[k] for k in ("metrics", "per_action", "curves", "data_digest")}
print(json.dumps({"code_digest": digest, **kept}))
"""


def short_run(tree: Path, record: dict, steps: int) -> dict:
    """What a short run of a record's row gives with the code of `tree`."""
    wanted = {k: record[k] for k in ("profile", "experiment", "variant", "seed", "modules")}
    command = [sys.executable, "-c", SHORT_RUN, json.dumps({**wanted, "steps": steps})]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    ended = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"{record['experiment']}/{record['variant']} in {tree.name}: {last}")
    return json.loads(ended.stdout.splitlines()[-1])


def difference(old: dict, new: dict) -> str | None:
    """The first thing that two short runs disagree in, or None. A new metric is no difference."""
    for part in ("data_digest", "curves"):
        if old[part] != new[part]:
            return part
    for name, value in old["metrics"].items():
        if new["metrics"].get(name) != value:
            return name
    for action, metrics in old["per_action"].items():
        if any(new["per_action"][action].get(k) != v for k, v in metrics.items()):
            return f"per_action.{action}"
    return None


def stale_rows(profile: str) -> dict[str, list[Path]]:
    """Files of stale records by row, "experiment/variant"."""
    rows: dict[str, list[Path]] = {}
    for path in sorted((results_folder() / profile).glob("*/[!.]*.json")):
        record = read_result(path)
        if is_stale(record) and "poses" not in record:
            rows.setdefault(f"{record['experiment']}/{record['variant']}", []).append(path)
    return rows


def confirm_row(paths: list[Path], old_tree: Path, commit: str, steps: int) -> str:
    """Confirm one row's records where old and new code agree; says what was found."""
    records = [read_result(path) for path in paths]
    first = records[0]
    old, new = (short_run(tree, first, steps) for tree in (old_tree, ROOT))
    differs = difference(old, new)
    if differs:
        return f"stays stale: {differs} differs"
    mine = [path for path, r in zip(paths, records) if r["code_digest"] == old["code_digest"]]
    for path in mine:
        confirm(path, commit=commit, steps=steps)
    left = len(paths) - len(mine)
    return f"confirmed {len(mine)}" + (f", left {left} of other code" if left else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--since", required=True, help="commit whose code made the results")
    parser.add_argument("--profile", choices=PROFILES, default="laptop")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--jobs", type=int, default=2)
    wanted = parser.parse_args()
    git = ["git", "-C", str(ROOT)]
    commit = subprocess.check_output(
        [*git, "rev-parse", "--short", wanted.since], text=True
    ).strip()
    old_tree = ROOT / "runs" / "confirm" / commit
    if not old_tree.exists():
        subprocess.run([*git, "worktree", "add", "--detach", str(old_tree), commit], check=True)
    rows = stale_rows(wanted.profile)

    def said(item) -> str:
        row, paths = item
        try:
            return f"{row}: {confirm_row(paths, old_tree, commit, wanted.steps)}"
        except RuntimeError as error:
            return f"{row}: stays stale: {error}"

    with ThreadPoolExecutor(wanted.jobs) as pool:
        for line in tqdm(pool.map(said, rows.items()), total=len(rows), desc="rows"):
            tqdm.write(line)
    subprocess.run([*git, "worktree", "remove", "--force", str(old_tree)], check=True)


if __name__ == "__main__":
    main()
