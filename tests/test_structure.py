"""A chapter is a folder, what chapters share lies below, and no import runs up or round."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "posebook"
# From the ground up; rooms on one floor do not know each other.
FLOORS = (
    {"paths", "palette"},
    {"storage", "geometry"},
    {"networks", "metrics", "results"},
    {"training"},
    {"data"},
    {"video", "lifting", "factorization"},
    {"trained"},
    {"experiments", "footage", "bench"},
    {"book"},
    {"__main__"},
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
MODULES = {
    "posebook." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path != PACKAGE / "__init__.py"
}


def room_of(module: str) -> str:
    return module.split(".")[1]


def imports_of(module: str) -> set[str]:
    """The modules of posebook that one imports, wherever in its code."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "posebook":
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                found.add(whole if whole in MODULES else node.module)
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names if name.name.startswith("posebook.")}
    packages = {name: f"{name}.__init__" for name in found if f"{name}.__init__" in MODULES}
    return {packages.get(name, name) for name in found} & set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_no_import_runs_up(module):
    mine = room_of(module)
    for other in map(room_of, imports_of(module)):
        assert other == mine or FLOOR[other] < FLOOR[mine], f"{module} imports {other}"


def test_no_import_runs_round():
    """Nor within a room; its `__init__` only opens its doors, and nothing inside goes through."""
    seen, open_ = set(), []

    def visit(module: str) -> None:
        assert module not in open_, " -> ".join([*open_[open_.index(module) :], module])
        if module in seen:
            return
        open_.append(module)
        for other in sorted(imports_of(module)):
            if not other.endswith(".__init__") or room_of(other) != room_of(module):
                visit(other)
        seen.add(open_.pop())

    for module in MODULES:
        visit(module)


def test_every_module_says_what_it_is_for():
    for module, path in MODULES.items():
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        # One that only holds a place, in a word or three, says nothing.
        assert text and len(text.split()) > 3, module
