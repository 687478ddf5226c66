"""A chapter is a folder, what chapters share lies below, and no import runs up or round."""

import ast
from graphlib import CycleError, TopologicalSorter
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


def test_no_folder_runs_round():
    """What stands beside each other in a room, files and folders alike, knows no way round."""
    beside: dict[str, dict[str, set[str]]] = {}  # room -> what stands in it -> what that imports
    for module in MODULES:
        for other in imports_of(module):
            mine, theirs = module.split("."), other.split(".")
            same = next(k for k, pair in enumerate(zip(mine, theirs)) if len({*pair}) > 1)
            known = beside.setdefault(".".join(mine[:same]), {})
            if "__init__" not in (mine[same], theirs[same]):
                known.setdefault(mine[same], set()).add(theirs[same])
    for room, known in beside.items():
        try:
            tuple(TopologicalSorter(known).static_order())
        except CycleError as round_:
            pytest.fail(f"{room}: {' -> '.join(round_.args[1])}")


def test_every_module_says_what_it_is_for():
    for module, path in MODULES.items():
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        # One that only holds a place, in a word or three, says nothing.
        assert text and len(text.split()) > 3, module
