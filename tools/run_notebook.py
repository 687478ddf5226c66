"""Run one notebook with parameters, and refuse a name or a value that it does not know.

    python tools/run_notebook.py NOTEBOOK OUTPUT -p name value -p name value

Papermill only warns about an unknown name ("sead") and then trains the defaults for hours. The
kernel gets the environment of tools/fixed_environment.py.
"""

import argparse
import ast
import difflib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import papermill
import psutil
from fixed_environment import fixed
from nbclient.exceptions import DeadKernelError

# What posebook refuses says itself what to do; of other errors one wants to know where they arose.
SAID = (
    "ValueError", "FloatingPointError", "ModuleNotFoundError", "OSError", "FileNotFoundError",
    "FileExistsError", "PermissionError", "IsADirectoryError", "NotADirectoryError",
)  # fmt: skip


def read_value(name: str, text: str, default: str) -> object:
    """The value of `text` in the type of the notebook's own `default` (its source text).

    Raises ValueError when the text is not of that type.
    """
    kind = type(_literal(default))
    if kind is str:
        return text
    value = _literal({"true": "True", "false": "False"}.get(text, text))
    if kind is type(None):
        return text if value is None else value
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ValueError(f"parameter {name} takes a value such as {default}, not {text!r}")
    return value


def _literal(text: str) -> object:
    """The Python literal that `text` spells, or None where it spells none."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None


def read_parameters(notebook: Path, pairs: list[tuple[str, str]]) -> dict[str, object]:
    """The given name/value pairs, checked against the notebook's `parameters` cell.

    Raises FileNotFoundError without the notebook, ValueError for an unknown name or wrong value.
    """
    if not notebook.is_file():
        raise FileNotFoundError(f"there is no notebook {notebook}")
    known = papermill.inspect_notebook(str(notebook))
    parameters = {}
    for name, text in pairs:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            there = ", ".join(known) or "none"
            raise ValueError(f"{notebook.name} has no parameter {name}: {hint}it has {there}")
        parameters[name] = read_value(name, text, known[name]["default"])
    return parameters


def run(
    notebook: Path,
    output: Path,
    parameters: dict[str, object],
    folder: Path | None = None,
    cell_seconds: int | None = None,
) -> None:
    """Execute it as papermill does; `output` appears only once the run has succeeded.

    Args:
        folder: where the kernel runs; here, if None.
        cell_seconds: what one cell may take; any time, if None.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = output.with_suffix(".unfinished.ipynb")
    with kernel_environment():
        papermill.execute_notebook(
            str(notebook),
            str(unfinished),
            parameters=parameters,
            progress_bar=sys.stderr.isatty(),
            cwd=folder and str(folder),
            execution_timeout=cell_seconds,
        )
    os.replace(unfinished, output)


@contextmanager
def kernel_environment() -> Iterator[None]:
    """Meanwhile this process has the environment that its kernels inherit."""
    before = dict(os.environ)

    def become(environment):
        os.environ.clear()
        os.environ.update(environment)

    become(fixed(before))
    try:
        yield
    finally:
        become(before)


def hand_on() -> list[int]:
    """From now on SIGTERM goes to the kernel, which writes its checkpoint, and into the list."""
    told = []

    def tell(number: int, frame) -> None:
        told.append(number)
        started = psutil.Process().children()
        for process in started:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        if not started:  # no kernel yet, and nothing that could be lost
            sys.exit(128 + number)

    signal.signal(signal.SIGTERM, tell)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebook", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument(
        "-p", dest="pairs", nargs=2, action="append", default=[], metavar=("NAME", "VALUE")
    )
    arguments = parser.parse_args()
    try:
        parameters = read_parameters(arguments.notebook, arguments.pairs)
    except (ValueError, FileNotFoundError) as problem:
        sys.exit(f"Cannot run: {problem}.")
    told = hand_on()
    try:
        run(arguments.notebook, arguments.output, parameters)
    except (papermill.PapermillExecutionError, DeadKernelError, RuntimeError) as problem:
        if told:
            print(f"Stopped: {getattr(problem, 'evalue', 'nothing was kept')}.", file=sys.stderr)
            sys.exit(128 + told[0])
        if isinstance(problem, DeadKernelError):
            sys.exit(f"{arguments.notebook} failed: its kernel died, perhaps for want of memory.")
        if isinstance(problem, RuntimeError):
            sys.exit(f"{arguments.notebook} failed: {problem}")
        if problem.ename in SAID:
            print(f"{problem.ename}: {problem.evalue}", file=sys.stderr)
        else:
            print(problem, file=sys.stderr)
        left = arguments.output.with_suffix(".unfinished.ipynb")
        sys.exit(f"{arguments.notebook} failed in cell {problem.exec_count}; see above, or {left}.")
    print(f"written: {arguments.output}")


if __name__ == "__main__":
    main()
