"""Where a number comes from: digests of code and data that see what matters and nothing else."""

import subprocess

import numpy as np
import pytest
import torch

from posebook import results
from posebook.results import provenance


def clear():
    """As in a new process."""
    for remembered in (provenance._source_digest, provenance._digest, provenance.commit):
        remembered.cache_clear()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module whose source the test writes; returns the writer, which returns the digest."""
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "digested_module.py"

    def write(source):
        path.write_text(source)
        clear()
        return results.code_digest(["digested_module"])

    yield write
    clear()


def test_prose_and_layout_do_not_change_a_digest(module):
    plain = module("def f(x):\n    return (x +\n            1)\n")
    documented = module('"""Module."""\n# why\ndef f(x):\n    """Add one."""\n    return x + 1\n')
    assert plain == documented


def test_code_changes_a_digest(module):
    sources = [
        "def f(x):\n    return x + 1\n",
        "def f(x):\n    return x + 2\n",
        "def f(x):\n    return x - 1\n",
        "def f(y):\n    return y + 1\n",
        "def f(x=None):\n    return x + 1\n",
        "def f(x):\n    'doc'\n    'not a docstring'\n    return x + 1\n",
    ]
    assert len({module(source) for source in sources}) == len(sources)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package in the place of posebook; returns its folder."""
    folder = tmp_path / "posebook"
    for name in (
        "__main__.py", "lifting/rows.py", "book/plot.py", "experiments/run.py",
        "data/fixtures/views.py", "data/official/check.py", "data/official/mpii/load.py",
    ):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("a = 1\n")
    monkeypatch.setattr(provenance, "PACKAGE", folder)
    yield folder
    clear()


def digest():
    clear()
    return results.code_digest()


@pytest.mark.parametrize("name", ["lifting/rows.py", "data/official/mpii/load.py"])
def test_the_digest_goes_with_the_code_that_computes(name, package):
    before = digest()
    (package / name).write_text("# why\na = 1\n")
    assert digest() == before
    (package / name).write_text("a = 2\n")
    assert digest() != before
    (package / name).unlink()
    assert digest() != before


@pytest.mark.parametrize(
    "name", ["__main__.py", "book/plot.py", "experiments/run.py", "data/fixtures/views.py",
             "data/official/check.py"],
)  # fmt: skip
def test_what_draws_or_asks_for_a_number_cannot_change_it(name, package):
    before = digest()
    (package / name).write_text("a = 2\n")
    assert digest() == before


def test_the_digest_is_that_of_all_modules_that_can_change_a_number():
    modules = provenance._package()
    assert {"lifting/train.py", "geometry/skeleton.py", "data/recorded/views.py"} <= set(modules)
    assert not {"__main__.py", "book/plot.py", "experiments/run.py"} & set(modules)


def test_the_order_of_modules_does_not_count():
    modules = ["posebook.geometry.skeleton", "posebook.lifting.rows"]
    assert results.code_digest(modules) == results.code_digest(reversed(modules))
    assert results.code_digest(modules) != results.code_digest(modules[:1])


@pytest.mark.parametrize("name", ["posebook.was_removed", "no_package.was_removed", "math"])
def test_a_module_without_source_is_named(name):
    with pytest.raises(ValueError, match=f"no module '{name}' with Python source"):
        results.code_digest([name])


def test_a_commit_is_marked_where_code_was_edited_since(package):
    clear()
    assert results.commit() == "unknown"
    git = ["git", "-C", str(package.parent), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *command], check=True)
    head = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True)
    assert results.commit() == "unknown", "a process goes on with the code that it began with"
    clear()
    assert results.commit() == head[:12]
    (package / "lifting" / "rows.py").write_text("a = 2\n")
    clear()
    assert results.commit() == f"{head[:12]}+"


def test_a_repository_round_an_installed_package_is_not_its_own(package, monkeypatch):
    installed = package / "site-packages" / "posebook"
    installed.mkdir(parents=True)
    git = ["git", "-C", str(package.parent), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "another project"]):
        subprocess.run([*git, *command], check=True)
    monkeypatch.setattr("posebook.results.provenance.PACKAGE", installed)
    clear()
    assert results.commit() == "unknown"


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (torch.Tensor, "__matmul__"), (torch, "conv2d"), (torch.linalg, "svdvals"),
        (torch.Tensor, "exp"), (torch.Tensor, "sin"), (torch.Tensor, "var"), (torch, "softmax"),
        (torch, "randn"),
    ],
)  # fmt: skip
def test_a_machine_that_rounds_one_number_otherwise_has_another_arithmetic(
    place, name, monkeypatch
):
    as_here, calculate = provenance.arithmetic.__wrapped__(), getattr(place, name)
    assert provenance.arithmetic.__wrapped__() == as_here

    def otherwise(*given, **named):
        result = calculate(*given, **named)
        last = result.view(-1)[-1:]
        last.copy_(torch.nextafter(last, last + 1))
        return result

    monkeypatch.setattr(place, name, otherwise)
    assert provenance.arithmetic.__wrapped__() != as_here


def test_data_digest_sees_values_types_shapes_and_names():
    x = np.arange(6, dtype=np.float32)
    digests = [
        results.data_digest({"x": x}),
        results.data_digest({"y": x}),
        results.data_digest({"x": x.reshape(2, 3)}),
        results.data_digest({"x": x.astype(np.float64)}),
        results.data_digest({"x": x + 1}),
        results.data_digest({"x": x, "y": x}),
    ]
    assert len(set(digests)) == len(digests)
    assert results.data_digest({"x": torch.from_numpy(x)}) == digests[0]
    assert results.data_digest({"x": x.astype(">f4")}) == digests[0]
    assert results.data_digest({"x": np.arange(12, dtype=np.float32)[::2] / 2}) == digests[0]
    with pytest.raises(ValueError, match="objects"):
        results.data_digest({"x": np.array([None])})
