"""Do the pages that train, draw or time something hold in all weather? A table says.

    python tools/weather.py [PAGE ...] [--seeds 10] [--settings native compatible avx2 default]

A page that trains says what it saw on one machine. The same steps round differently on another
processor and with another number of threads, and start elsewhere from another seed. Here the code
cells of pages run as plain Python, once for each setting of the arithmetic, number of threads and
seed. A page fails where an assertion does, or where a cell with the tag nbval-check-output gives
another output than its .ipynb half holds. The table goes to stdout, and to a file with --out. The
exit status is 1 if anything failed.

PAGE is the beginning of a name, such as ch04_01. Without one, all live pages run: those that train,
draw random numbers or read a clock. --training takes those alone that train.

A page also trains, draws or times where it calls a function of the package that does so: such
functions stand by name in the lists below.

Seed s of a page is its own seed plus s. Its seed is the variable `seed`, which a page assigns where
it trains, and each number that it hands to a random generator, or to any function as `seed`.
"""

import argparse
import ast
import contextlib
import gc
import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
# Of MKL and of PyTorch's own kernels, which read them once, when they are loaded. What runs on a
# processor of another kind does not know them: there all settings are the native one.
SETTINGS = {
    "native": {},
    "compatible": {"MKL_CBWR": "COMPATIBLE"},
    "avx2": {"MKL_CBWR": "AVX2"},
    "default": {"ATEN_CPU_CAPABILITY": "default"},
}
SEEDED = ("manual_seed", "default_rng")
# What a page calls when it trains, draws or reads a clock; in a second line what does so for it in
# the package.
TRAINS = (
    "Adam", "LBFGS",
    "learn", "train", "train_base",
)  # fmt: skip
DRAWS = (
    *SEEDED,
    "augmentation_of", "kept", "mix",
)  # fmt: skip
CLOCKS = (
    "perf_counter", "process_time",
    "matrix_rate", "seconds_of_a_step",
)  # fmt: skip
TAG = "nbval-check-output"


def cells_of(page: Path) -> list:
    """The cells of the text half of a page."""
    import jupytext

    return jupytext.read(page).cells


def code_of(page: Path) -> ast.Module:
    return ast.parse("\n".join(c.source for c in cells_of(page) if c.cell_type == "code"))


def is_seed(node: ast.AST) -> bool:
    """Whether this is `seed = 0` (or another number)."""
    return (
        isinstance(node, ast.Assign)
        and getattr(node.targets[0], "id", "") == "seed"
        and isinstance(node.value, ast.Constant)
    )


def called(node: ast.AST) -> str:
    """Name of the function that is called here, without the module before it."""
    function = getattr(node, "func", None)
    return getattr(function, "attr", getattr(function, "id", ""))


def is_live(page: Path, calls: tuple[str, ...]) -> bool:
    """Whether a page has a variable `seed`, or calls one of these."""
    return any(is_seed(node) or called(node) in calls for node in ast.walk(code_of(page)))


class Prepared(ast.NodeTransformer):
    """A cell with its seeds moved, and before each assertion a call that notes its numbers."""

    def __init__(self, shift: int) -> None:
        self.shift = shift

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        if is_seed(node):
            node.value = ast.Constant(node.value.value + self.shift)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        match node.args if called(node) in SEEDED else []:
            case [ast.Constant(number)]:  # pages use small ones side by side: keep them apart
                node.args = [ast.Constant(number + 1000 * self.shift)]
        for given in node.keywords:
            if given.arg == "seed" and isinstance(given.value, ast.Constant):
                given.value = ast.Constant(given.value.value + self.shift)
        return self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> list[ast.AST]:
        tests = node.test.values if isinstance(node.test, ast.BoolOp) else [node.test]
        sides = [s for t in tests if isinstance(t, ast.Compare) for s in (t.left, *t.comparators)]
        named = [s for s in sides if not isinstance(s, ast.Constant)]
        numbers = ast.Dict([ast.Constant(ast.unparse(s)) for s in named], named)
        test = ast.Constant(ast.unparse(node.test))
        note = ast.Call(ast.Name("_note", ast.Load()), [test, numbers], [])
        return [ast.Expr(note), node]


def is_tagged(cell) -> bool:
    return TAG in cell.metadata.get("tags", [])


def text_of(outputs: list) -> str:
    """What nbval would compare, as one text: printed lines and the shown value."""
    parts = []
    for out in outputs:
        data = out.get("data", {})
        parts.append(out.get("text", data.get("text/markdown", data.get("text/plain", ""))))
    return sanitised("".join(parts))


def sanitised(text: str) -> str:
    config = (NOTEBOOKS.parent / "tests" / "nbval_sanitize.cfg").read_text()
    for regex, to in re.findall(r"^regex: (.*)\nreplace: (.*)$", config, re.M):
        text = re.sub(regex, to, text)
    return text.strip()


def run_cell(source: str, title: str, names: dict, shift: int) -> str:
    """Execute a cell; what it prints, and shows by its last line."""
    tree = ast.fix_missing_locations(Prepared(shift).visit(ast.parse(source)))
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr) and not source.rstrip().endswith(";"):
        last = ast.Expression(tree.body.pop().value)
    printed, shown = io.StringIO(), ""
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        exec(compile(tree, title, "exec"), names)
        value = eval(compile(last, title, "eval"), names) if last else None
    if value is not None:
        shown = value.data if type(value).__name__ == "Markdown" else repr(value)
    return sanitised(printed.getvalue() + shown)


def run_page(page: Path, shift: int) -> dict:
    """Run a page as in a fresh kernel: its failure in words or "", and the numbers asserted."""
    import matplotlib.pyplot as plt
    import nbformat
    import torch

    torch.set_default_dtype(torch.float32)
    torch.manual_seed(torch.Generator().initial_seed() + shift)
    os.chdir(NOTEBOOKS)
    path = page.with_suffix(".ipynb")
    kept = iter(filter(is_tagged, nbformat.read(path, 4).cells if path.exists() else []))
    values, last, failure, began = {}, {}, "", time.perf_counter()

    def note(test: str, sides: dict) -> None:
        last.clear()
        for name, value in sides.items():
            try:
                last[name] = float(value)
            except (TypeError, ValueError, RuntimeError):
                continue
            low, high = values.get(f"{at} | {test} | {name}", (last[name], last[name]))
            values[f"{at} | {test} | {name}"] = min(low, last[name]), max(high, last[name])

    names = {"__name__": "__main__", "_note": note, "display": lambda *shown: None}
    at = 0
    for cell in cells_of(page):
        if cell.cell_type != "code":
            continue
        at += 1  # as Jupyter counts
        last.clear()
        try:
            text = run_cell(cell.source, f"{page.stem} cell {at}", names, shift)
        except AssertionError as problem:
            line = first_line(cell.source, problem)
            said = ", ".join(f"{name} = {value:.4g}" for name, value in last.items())
            failure = f"cell {at}: {line} ({said or ' '.join(str(problem).split())[:160]})"
            break
        except Exception as problem:  # a page that stops is as bad as one that asserts wrongly
            failure = f"cell {at}: {type(problem).__name__}: {' '.join(str(problem).split())[:160]}"
            break
        if is_tagged(cell) and (twin := next(kept, None)):
            before = text_of(twin.outputs)
            if text != before:
                failure = f"cell {at}: tagged output differs: {difference(before, text)}"
                break
    plt.close("all")
    names.clear()
    gc.collect()
    return {"page": page.stem, "seed": shift, "failure": failure, "values": values,
            "seconds": time.perf_counter() - began}


def first_line(source: str, problem: BaseException) -> str:
    """The line of the cell in which it happened."""
    trace, line = problem.__traceback__, 1
    while trace:
        if " cell " in trace.tb_frame.f_code.co_filename:
            line = trace.tb_lineno
        trace = trace.tb_next
    return source.splitlines()[line - 1].strip()


def difference(before: str, now: str) -> str:
    """The first line that is another one."""
    old, new = before.splitlines(), now.splitlines()
    for a, b in zip(old, new):
        if a != b:
            return f"{a[:90]!r}, now {b[:90]!r}"
    return f"{len(old)} lines, now {len(new)}"


def work(pages: list[Path], threads: int, seeds: int) -> None:
    """In a process of its own, whose environment is the setting: a line of JSON for each run."""
    import torch

    torch.set_num_threads(threads)
    torch.set_num_threads = lambda count: None  # pages ask for one
    for page in pages:
        for shift in range(seeds):
            print(json.dumps(run_page(page, shift)), file=sys.__stdout__, flush=True)


def report(runs: list[dict], columns: list[str]) -> str:
    """The table, the failures, and how near each assertion came."""
    lines = ["| page | " + " | ".join(columns) + " |", "|:--|" + "--:|" * len(columns)]
    for page in dict.fromkeys(r["page"] for r in runs):
        row = []
        for column in columns:
            mine = [r for r in runs if (r["page"], r["column"]) == (page, column)]
            held = sum(not r["failure"] for r in mine)
            row.append("" if not mine else f"{held} of {len(mine)}" if held == len(mine)
                       else f"**{held} of {len(mine)}**")
        lines.append(f"| {page} | " + " | ".join(row) + " |")
    failed = [r for r in runs if r["failure"]]
    lines += ["", f"Failed: {len(failed)} of {len(runs)}."]
    lines += [f"* {r['page']}, {r['column']}, seed {r['seed']}, {r['failure']}" for r in failed]
    lines += ["", "| page, cell | assertion | number | least | most |", "|:--|:--|:--|--:|--:|"]
    ranges = {}
    for r in runs:
        for key, (low, high) in r["values"].items():
            old = ranges.get((r["page"], key), (low, high))
            ranges[r["page"], key] = min(low, old[0]), max(high, old[1])
    for (page, key), (low, high) in ranges.items():
        at, rest = key.split(" | ", 1)
        test, name = rest.rsplit(" | ", 1)
        lines.append(f"| {page}, {at} | `{test}` | `{name}` | {low:.4g} | {high:.4g} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", help="beginnings of names, such as ch04_01")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--training", action="store_true", help="only pages that train")
    parser.add_argument("--out", type=Path, help="a file for the table")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    calls = TRAINS if arguments.training else TRAINS + DRAWS + CLOCKS
    pages = [p for p in sorted(NOTEBOOKS.glob("*.md"))
             if any(p.stem.startswith(Path(name).stem) for name in arguments.pages)
             or (not arguments.pages and is_live(p, calls))]
    if not pages:
        sys.exit(f"There is no page {' or '.join(arguments.pages)} in {NOTEBOOKS.name}/.")
    if arguments.worker:
        return work(pages, arguments.threads[0], arguments.seeds)
    runs, columns = [], []
    for name in arguments.settings:
        for threads in arguments.threads:
            column = f"{name}, {threads}"
            columns.append(column)
            environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": str(threads),
                           **SETTINGS[name]}
            command = [sys.executable, __file__, "--worker", *(p.stem for p in pages),
                       "--threads", str(threads), "--seeds", str(arguments.seeds)]
            worker = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
            with worker:
                for line in worker.stdout:
                    run = json.loads(line) | {"column": column}
                    runs.append(run)
                    print(f"{run['page']}, {column}, seed {run['seed']}: "
                          f"{run['failure'] or 'held'} ({run['seconds']:.0f} s)", file=sys.stderr)
                    if arguments.out:  # all that there is, should somebody lose patience
                        arguments.out.write_text(report(runs, columns))
            if worker.returncode:
                sys.exit(f"The process for {column} ended with status {worker.returncode}.")
    print(report(runs, columns), end="")
    sys.exit(any(run["failure"] for run in runs))


if __name__ == "__main__":
    main()
