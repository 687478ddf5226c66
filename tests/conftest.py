"""What several test modules share: the repository's root, its tools, the folder of a built book."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--book", help="folder of the built book that is checked")
    parser.addoption(
        "--failed", default="", help="names of the book's notebooks that must bear the box"
    )


@pytest.fixture(scope="session")
def html(pytestconfig) -> Path:
    """The folder given with --book, as `make test` does, or what `make book` built.

    Only a pytest that somebody calls by hand can have neither; a folder that is given and not
    there fails.
    """
    given = pytestconfig.getoption("book")
    folder = Path(given or ROOT / "_build" / "html")
    if not given and not folder.is_dir():
        pytest.skip("no --book was given and none is built yet: `make test` or `make book` does")
    return folder


@pytest.fixture
def root() -> Path:
    return ROOT


@pytest.fixture
def load_tool(monkeypatch):
    """Import a script of tools/, which is a folder of scripts and no package."""
    monkeypatch.syspath_prepend(ROOT / "tools")  # where they find each other

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
