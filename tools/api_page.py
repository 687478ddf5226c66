"""Write book/api.md and book/api_data.md: every module, room by room, for Sphinx to fill in.

    python tools/api_page.py

A test compares the pages with the package.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEAD = """(ch-api)=
# The package, room by room

What several pages share stands in the package `posebook`. A chapter is a folder; what chapters
share lies below them; an import never runs up. Every function says which shapes and units it takes
and gives, what it raises, and which equation or paper it is. Data and what runs and files
experiments have {ref}`a page of their own <ch-api-data>`.
"""
HEAD_OF_DATA = """(ch-api-data)=
# The package: data and runs

Records, readers of official data sets, what is generated or embedded, and what runs experiments
and files their results. The other rooms are in {ref}`ch-api`.
"""
APART = ("data", "experiments", "results", "bench", "trained", "book")
LEFT_OUT = ("fixtures", "__main__")


def rooms() -> dict[str, list[str]]:
    """Package or lone module -> its modules, in the order of their names."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "posebook").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if not set(parts) & set(LEFT_OUT) and parts[1:] != ("__init__",):
            room = ".".join(parts[:-1]) if len(parts) > 2 else ".".join(parts)
            found.setdefault(room, [])
            if parts[-1] != "__init__":
                found[room].append(".".join(parts))
    return found


def sentence_of(room: str) -> str:
    """The first line of a room's docstring."""
    path = ROOT / room.replace(".", "/") / "__init__.py"
    if not path.is_file():
        return ""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]


def pages() -> dict[Path, str]:
    """The texts, by their files: two, because one page would be too heavy for a phone."""
    apart = {room: found for room, found in rooms().items() if room.split(".")[1] in APART}
    other = {room: found for room, found in rooms().items() if room not in apart}
    book = ROOT / "book"
    return {book / "api.md": page(HEAD, other), book / "api_data.md": page(HEAD_OF_DATA, apart)}


def page(head: str, found: dict[str, list[str]]) -> str:
    parts = [head]
    for room, modules in found.items():
        parts.append(f"## `{room}`\n")
        if sentence_of(room):
            parts.append(f"{sentence_of(room)}\n")
        for module in modules:
            title = f"### `{module.removeprefix('posebook.')}`\n\n" if module != room else ""
            parts.append(f"{title}```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
