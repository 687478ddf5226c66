"""What several test modules share: the repository's root, its tools, the folder of a built book."""

import importlib.util
import signal
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from torch.utils._python_dispatch import TorchDispatchMode

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


@pytest.fixture
def operations() -> Callable[[Callable[[], object]], int]:
    """How many of torch's operators a call runs: what is batched runs as many for any batch."""

    class Counted(TorchDispatchMode):
        number = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.number += 1
            return function(*args, **(kwargs or {}))

    def count(call: Callable[[], object]) -> int:
        with Counted() as counted:
            call()
        return counted.number

    return count


@pytest.fixture
def no_hang():
    """A test that never ends is broken off after two minutes, and fails where it stands."""

    def break_off(*_):
        raise RuntimeError("this has not ended within two minutes")

    before = signal.signal(signal.SIGALRM, break_off)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
