"""Put the sources of the built book together, and say which pages did not run through.

    python tools/pages.py collect FOLDER                         every page as it is published
    python tools/pages.py collect FOLDER --executed E --logs L   every page as it ran
    python tools/pages.py say HTML --executed E --logs L         the last sentence of `make book`

A page with a log did not run through (tools/run_page.py writes it). It is shown as published, and a
box under its title says so: one page that fails costs the reader no other page, and is no secret.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).resolve().parents[1]
BOX = """```{{admonition}} Shown as published
:class: warning as-published

This page did not run through on this machine, so {shown}. What went wrong stands in `{log}`.
```"""
GET_BACK = "`git restore notebooks/{0}.ipynb` gets it back, `make notebooks` makes it anew"


def listed(toc: object) -> Iterator[str]:
    """Every page of a table of contents, in its order, without a file's ending."""
    if isinstance(toc, dict):
        yield from (toc[key] for key in ("root", "file") if key in toc)
        toc = list(toc.values())
    if isinstance(toc, list):
        for part in toc:
            yield from listed(part)


def notebooks(root: Path) -> list[str]:
    """The names of the pages of _toc.yml that are notebooks."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    pages = [Path(page) for page in listed(toc)]
    return [page.name for page in pages if page.parent.name == "notebooks"]


def stored(root: Path, name: str) -> nbformat.NotebookNode:
    """A page as it is published.

    Raises ValueError when the half with the outputs is missing or is no notebook.
    """
    path = root / "notebooks" / f"{name}.ipynb"
    back = GET_BACK.format(name)
    if not path.is_file():
        raise ValueError(f"page notebooks/{name}.ipynb of _toc.yml is missing: {back}")
    try:
        return nbformat.read(path, as_version=4)
    except (ValueError, AttributeError, KeyError):  # what nbformat raises depends on the damage
        raise ValueError(f"page notebooks/{name}.ipynb is no notebook: {back}") from None


def has_outputs(notebook: nbformat.NotebookNode) -> bool:
    """Whether every cell of code has been run."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    return all(cell.execution_count for cell in cells)


def with_box(notebook: nbformat.NotebookNode, log: str) -> nbformat.NotebookNode:
    """The page with a box under its title that says why it is shown so; changes it in place."""
    shown = "its text and its outputs are those that were published"
    if not has_outputs(notebook):
        shown = "its text is shown alone: it has no published outputs either"
    box = BOX.format(shown=shown, log=log)
    for cell in notebook.cells:
        lines = cell.source.splitlines()
        titles = [i for i, line in enumerate(lines) if line.startswith("# ")]
        if cell.cell_type == "markdown" and titles:
            below = titles[0] + 1
            cell.source = "\n".join([*lines[:below], "", box, "", *lines[below:]])
            return notebook
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell(box))
    return notebook


def failed(root: Path, executed: Path, logs: Path) -> list[str]:
    """The pages that did not run through. Raises ValueError where one has not been tried."""
    names = [name for name in notebooks(root) if not (executed / f"{name}.ipynb").is_file()]
    for name in names:
        if not (logs / f"{name}.log").is_file():
            raise ValueError(f"page notebooks/{name}.ipynb has not been run: see the lines above")
    return names


def collect(root: Path, folder: Path, executed: Path | None = None, logs: Path | None = None):
    """Fill `folder` with what Jupyter Book reads; what it held is gone.

    Args:
        executed: notebooks that ran; without it, every page is shown as published.
        logs: one for each page that did not run through.

    Raises ValueError, before anything is written, for a page that cannot be shown.
    """
    names = notebooks(root)
    if executed:
        boxes = failed(root, executed, logs)
    else:
        boxes = [name for name in names if logs and (logs / f"{name}.log").is_file()]
    pages = {name: stored(root, name) for name in names if not executed or name in boxes}
    for name, page in pages.items():
        if name in boxes:
            with_box(page, f"{logs}/{name}.log")
        elif not has_outputs(page):
            back = GET_BACK.format(name)
            raise ValueError(f"page notebooks/{name}.ipynb has no stored outputs: {back}")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(root / "book", folder / "book")
    (folder / "notebooks").mkdir()
    for file in ("_config.yml", "_toc.yml"):
        shutil.copy(root / file, folder)
    for name in names:
        target = folder / "notebooks" / f"{name}.ipynb"
        if name in pages:
            nbformat.write(pages[name], target)
        else:
            shutil.copy(executed / target.name, target)


def last_sentence(root: Path, html: Path, executed: Path, logs: Path) -> str:
    """Where the book is and which of its pages, if any, are not of this machine."""
    names = failed(root, executed, logs)
    ready = f"The book is ready: open {html}/index.html"
    if not names:
        return ready
    are, each, them = ("is", "", "it") if len(names) == 1 else ("are", "each ", "them")
    return (
        f"{ready}; it is complete, but {len(names)} of its {len(notebooks(root))} notebooks did "
        f"not run through on this machine and {are} shown as published, {each}with a box that "
        f"names the log (`make book` tries {them} again): {', '.join(names)}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("do", choices=("check", "collect", "say"))
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--executed", type=Path, help="folder of the notebooks that ran")
    parser.add_argument("--logs", type=Path, help="folder of the logs of those that did not")
    given = parser.parse_args()
    try:
        if given.do == "check":
            for name in notebooks(ROOT):
                stored(ROOT, name)
        elif given.do == "collect":
            collect(ROOT, given.folder, given.executed, given.logs)
        else:
            print(last_sentence(ROOT, given.folder, given.executed, given.logs))
    except ValueError as problem:
        sys.exit(f"Cannot build the book: {problem}.")


if __name__ == "__main__":
    main()
