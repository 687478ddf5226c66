"""Write book/api.md and book/api_*.md: every module, room by room, for Sphinx to fill in.

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
and gives, what it raises, and which equation or paper it is.
"""
# Page -> its title and the rooms that stand on it. One page of all would be too long to find one's
# way in, and too heavy for a phone.
GROUPS = {
    "video": ("The code of chapter 2", ("video",)),
    "lifting": ("The code of chapter 3", ("lifting",)),
    "factorization": ("The code of chapter 4", ("factorization",)),
    "geometry": ("Geometry and metrics", ("geometry", "metrics")),
    "training": (
        "Networks, training, storage", ("networks", "training", "storage", "paths", "palette"),
    ),
    "data": ("Records and samples", ("data",)),
    "readers": (
        "Readers of data sets and files", ("data.official", "data.formats", "data.captured"),
    ),
    "generated": (
        "Motion, views and films that are generated", ("data.recorded", "data.rendered"),
    ),
    "footage": ("The code for your own footage", ("footage",)),
    "runs": ("Experiments and results", ("experiments", "results", "trained", "bench")),
    "book": ("Tools of the pages", ("book",)),
}  # fmt: skip
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
    """The first line of the docstring of a package or lone module."""
    path = ROOT / room.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    whole = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return whole.split("\n")[0].replace("::", ".")


def page_of(name: str) -> str:
    """The page of a room or of what is in it: "posebook.data.records.Clip" -> "api_data"."""
    inside = name.removeprefix("posebook.") + "."
    fits = {room: group for group, (_, own) in GROUPS.items() for room in own
            if inside.startswith(f"{room}.")}  # fmt: skip
    if not fits:
        raise ValueError(f"{name} stands on no page of the package; name its room in GROUPS")
    return f"api_{fits[max(fits, key=len)]}"


def pages() -> dict[Path, str]:
    """The texts, by their files."""
    found = {name: {} for name in (f"api_{group}" for group in GROUPS)}
    for room, modules in rooms().items():
        found[page_of(room)][room] = modules
    book = ROOT / "book"
    texts = {book / "api.md": overview(found)}
    for group, (title, _) in GROUPS.items():
        head = f"(ch-api-{group})=\n# {title}\n"
        texts[book / f"api_{group}.md"] = page(head, found[f"api_{group}"])
    return texts


def overview(found: dict[str, dict[str, list[str]]]) -> str:
    """All rooms, a line each, by their pages."""
    lines = ["| page | room | what it is for |", "| --- | --- | --- |"]
    for group in GROUPS:
        link = f"{{ref}}`ch-api-{group}`"
        for room in found[f"api_{group}"]:
            lines.append(f"| {link} | `{room}` | {sentence_of(room)} |")
            link = ""
    return HEAD + "\n" + "\n".join(lines) + "\n"


def page(head: str, found: dict[str, list[str]]) -> str:
    parts = [head]
    for room, modules in found.items():
        parts.append(f"## `{room}`\n")
        if modules != [room]:
            parts.append(f"```{{eval-rst}}\n.. automodule:: {room}\n```\n")
        for module in modules:
            title = f"### `{module.removeprefix('posebook.')}`\n\n" if module != room else ""
            parts.append(f"{title}```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
