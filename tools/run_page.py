"""Run one page of the book as it stands, or note why it does not run through.

    python tools/run_page.py NOTEBOOK OUTPUT LOG

A page that runs through leaves OUTPUT and no LOG; any other leaves LOG and no OUTPUT, and the exit
status is 1. What readers then see of it is decided by tools/pages.py.
"""

import argparse
import sys
import traceback
from pathlib import Path

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill import PapermillExecutionError
from run_notebook import run

CELL_SECONDS = 600  # a cell that hangs must not keep the book from coming out


def reason(error: Exception, seconds: int) -> str:
    """What kept a page from running through, on one line."""
    if isinstance(error, PapermillExecutionError):
        first = (error.evalue.strip().splitlines() or [""])[0]
        return f"{error.ename} in cell [{error.exec_count}]: {first}".removesuffix(": ")
    if isinstance(error, CellTimeoutError):
        return f"a cell took longer than {seconds} seconds"
    if isinstance(error, DeadKernelError):
        return "its process was killed, most often for want of memory"
    return f"{type(error).__name__}: {error}"


def details(error: Exception) -> str:
    """The traceback: the page's own where a cell raised, else that of this tool."""
    if isinstance(error, PapermillExecutionError):
        return str(error).strip()
    return "".join(traceback.format_exception(error)).strip()


def note(log: Path, text: str) -> None:
    """Write the log; one that says the same stays as old as it is, so that make builds nothing."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if not log.is_file() or log.read_text(encoding="utf-8") != text:
        log.write_text(text, encoding="utf-8")


def run_page(notebook: Path, output: Path, log: Path, seconds: int = CELL_SECONDS) -> str | None:
    """Execute a page in its own folder, as Jupyter does; returns why it failed, or None."""
    output.unlink(missing_ok=True)
    if not log.is_file():  # what is left when this very process is killed
        note(log, f"{notebook} did not run through: its run was stopped from outside\n")
    try:
        run(notebook, output, {}, folder=notebook.parent, cell_seconds=seconds)
    except Exception as error:  # whatever it is, the other pages go on
        why = reason(error, seconds)
        note(log, f"{notebook} did not run through: {why}\n\n{details(error)}\n")
        return why
    log.unlink(missing_ok=True)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebook", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("log", type=Path)
    parser.add_argument("--cell-seconds", type=int, default=CELL_SECONDS, help="limit of one cell")
    given = parser.parse_args()
    why = run_page(given.notebook, given.output, given.log, given.cell_seconds)
    if why:
        sys.exit(f"{given.notebook} did not run through: {why} (see {given.log})")


if __name__ == "__main__":
    main()
