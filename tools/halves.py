"""Refuse to run pairs of notebooks where that would lose an edit of the .ipynb half.

    python tools/halves.py notebooks

`make notebooks` takes each page's text from its .md half. Whoever has edited the other half, in
Jupyter without the pairing for example, is asked which of the two shall count.
"""

import sys
from pathlib import Path

import jupytext
from jupytext.compare import NotebookDifference, compare_notebooks


def agree(text: Path, notebook: Path) -> bool:
    """Whether both halves of a pair have the same cells."""
    try:
        compare_notebooks(jupytext.read(notebook), jupytext.read(text), fmt="md:myst")
    except (NotebookDifference, ValueError):  # the second: it is no notebook at all
        return False
    return True


def conflicts(folder: Path) -> list[str]:
    """A sentence for each pair whose .ipynb half differs and is not the older one."""
    sentences = []
    for text in sorted(folder.glob("*.md")):
        notebook = text.with_suffix(".ipynb")
        if not notebook.is_file() or notebook.stat().st_mtime_ns < text.stat().st_mtime_ns:
            continue
        if not agree(text, notebook):
            sentences.append(
                f"{notebook} is newer than {text} and differs from it: to keep {notebook.name}, "
                f"run `.venv/bin/jupytext --set-formats ipynb,md:myst {notebook}`; to keep "
                f"{text.name}, run `touch {text}`; then run `make notebooks` again."
            )
    return sentences


def main(folder: str) -> None:
    sentences = conflicts(Path(folder))
    if sentences:
        sys.exit("\n".join(f"Cannot run the pairs: {sentence}" for sentence in sentences))


if __name__ == "__main__":
    main(*sys.argv[1:])
