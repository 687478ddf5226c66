"""Under every table and figure of published results stands the command that computes them."""

import ast
import re
import symtable
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
PAGES = sorted(NOTEBOOKS.glob("*.ipynb"))
# What reads result files, itself or through others.
READERS = {
    "read_result", "read_results", "read_rows", "published", "in_bfloat16", "judge", "judge_all",
}  # fmt: skip
COMMAND = re.compile(r"`(make results PROFILE=|python -m posebook (draw|results|run) )[^`]*`")


def names(statement: ast.stmt) -> tuple[set[str], set[str]]:
    """The names of a page that a statement uses, and those that it gives a value.

    What a function or a comprehension calls its own is neither.
    """
    table = symtable.symtable(ast.unparse(statement), "cell", "exec")
    used = {s.get_name() for s in table.get_symbols() if s.is_referenced()}
    given = {s.get_name() for s in table.get_symbols() if s.is_assigned()}
    inner = table.get_children()
    while inner:
        part = inner.pop()
        used |= {s.get_name() for s in part.get_symbols() if s.is_global()}
        inner += part.get_children()
    parts = [*ast.walk(statement)]
    counted = [n.target for n in parts if isinstance(n, ast.For)]  # new before it is used
    used -= {n.id for target in counted for n in ast.walk(target) if isinstance(n, ast.Name)}
    attributes = {n.attr for n in parts if isinstance(n, ast.Attribute)}
    return used | attributes & READERS, given


def shows_results(source: str, known: set[str]) -> bool:
    """Whether a cell uses what was read from result files.

    Args:
        known: the names of the page that hold such; those of the cell are added.
    """
    found = False
    for statement in ast.parse(source).body:
        used, given = names(statement)
        if used & (known | READERS):
            found = True
            known |= given
        elif not isinstance(statement, ast.AugAssign):
            known -= given
    return found


def text(cell) -> str:
    """All Markdown and HTML that a cell has put on its page."""
    shown = [output.get("data", {}) for output in cell.outputs]
    return "\n".join(data[kind] for data in shown for kind in data if kind.startswith("text/"))


def is_table_or_figure(cell) -> bool:
    kinds = {kind for output in cell.outputs for kind in output.get("data", {})}
    drawn = any(kind.startswith("image/") or kind == "text/html" for kind in kinds)
    return drawn or re.search(r"\|\s*---", text(cell)) is not None


def without_command(cells: list) -> Iterator[str]:
    """Number and first line of each cell that shows results and has no command under it.

    Under it is in its own output, or in that of a cell before the next table, figure or heading.
    """
    known, waiting, number = set(), "", 0
    for cell in cells:
        code = cell.cell_type == "code"
        heading = cell.cell_type == "markdown" and re.search(r"(?m)^#+ ", cell.source)
        if waiting and (heading or code and is_table_or_figure(cell)):
            yield waiting
            waiting = ""
        if code:
            number += 1
            if shows_results(cell.source, known) and is_table_or_figure(cell):
                waiting = f"cell {number} ({cell.source.splitlines()[0]})"
            if COMMAND.search(text(cell)):
                waiting = ""
    if waiting:
        yield waiting


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_command_stands_under_every_table_and_figure(page):
    missing = [*without_command(nbformat.read(page, as_version=4).cells)]
    assert not missing, f"{page.name}: no `make results ...` under {', '.join(missing)}"
