"""The script that runs pages in all weather moves their seeds and names what fails."""

import nbformat
import pytest

PAGE = """---
kernelspec:
  display_name: Python 3
  name: python3
---

```{code-cell} ipython3
import torch
```

```{code-cell} ipython3
seed = 1  # of everything
drawn = torch.rand(3, generator=torch.Generator().manual_seed(7)).sum()
given = dict(seed=4)["seed"]  # as to a function that draws
assert seed < 3 and 2 * seed < 5
```

```{code-cell} ipython3
:tags: [nbval-check-output]

print("done in 3 s")
```
"""


@pytest.fixture
def tool(load_tool, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # a run goes elsewhere
    return load_tool("weather")


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    return path


def test_a_failing_assertion_is_named_with_its_numbers(tool, page):
    held, failed = (tool.run_page(page, shift) for shift in (0, 2))
    assert held["failure"] == ""
    assert held["values"] == {
        "2 | seed < 3 and 2 * seed < 5 | seed": (1, 1),
        "2 | seed < 3 and 2 * seed < 5 | 2 * seed": (2, 2),
    }
    assert failed["failure"] == (
        "cell 2: assert seed < 3 and 2 * seed < 5 (seed = 3, 2 * seed = 6)"
    )


def test_every_seed_of_a_page_is_moved(tool):
    names = {"_note": lambda *numbers: None}
    tool.run_cell(PAGE.split("```")[1].split("\n", 1)[1], "cell 1", names, 0)
    cell = PAGE.split("```")[3].split("\n", 1)[1]
    drawn = []
    for shift in (0, 1):
        tool.run_cell(cell, "cell 2", names, shift)
        drawn.append(float(names["drawn"]))
    assert (names["seed"], names["given"]) == (2, 5) and drawn[0] != drawn[1]


@pytest.mark.parametrize("printed, fails", [("done in 5 s\n", False), ("not done\n", True)])
def test_tagged_output_is_that_of_the_other_half_but_for_times(tool, page, printed, fails):
    output = nbformat.v4.new_output("stream", text=printed)
    tags = {"tags": ["nbval-check-output"]}
    cell = nbformat.v4.new_code_cell('print("done in 3 s")', outputs=[output], metadata=tags)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), page.with_suffix(".ipynb"))
    assert ("tagged output differs" in tool.run_page(page, 0)["failure"]) == fails


LIVE = {  # does the page train, and does it train, draw or read a clock?
    "ch04_01": (True, True),
    "ch04_09": (False, True),
    "ch04_05": (False, False),
    "own_cameras": (True, True),  # by functions of the package, as the rest
    "ch03_22": (False, True),
    "ch02_13": (False, True),
    "card": (False, True),
}


@pytest.mark.parametrize("name", LIVE)
def test_live_pages_are_derived(tool, name):
    page = next(tool.NOTEBOOKS.glob(f"{name}*.md"))
    calls = tool.TRAINS, tool.TRAINS + tool.DRAWS + tool.CLOCKS
    assert tuple(tool.is_live(page, some) for some in calls) == LIVE[name]


def test_the_package_has_the_functions_by_which_pages_are_found(tool):
    libraries = "Adam LBFGS manual_seed default_rng perf_counter process_time".split()
    names = {*tool.TRAINS, *tool.DRAWS, *tool.CLOCKS} - {*libraries}
    package = tool.NOTEBOOKS.parent / "posebook"
    source = "\n".join(path.read_text() for path in package.rglob("*.py"))
    assert not [name for name in names if f"def {name}(" not in source]
