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
    assert names["seed"] == 2 and drawn[0] != drawn[1]


@pytest.mark.parametrize("printed, fails", [("done in 5 s\n", False), ("not done\n", True)])
def test_tagged_output_is_that_of_the_other_half_but_for_times(tool, page, printed, fails):
    output = nbformat.v4.new_output("stream", text=printed)
    tags = {"tags": ["nbval-check-output"]}
    cell = nbformat.v4.new_code_cell('print("done in 3 s")', outputs=[output], metadata=tags)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), page.with_suffix(".ipynb"))
    assert ("tagged output differs" in tool.run_page(page, 0)["failure"]) == fails


def test_live_pages_are_derived(tool, page):
    trains, draws, reads = (
        next(tool.NOTEBOOKS.glob(f"{name}_*.md")) for name in ("ch04_01", "ch04_09", "ch04_05")
    )
    assert tool.is_live(trains, tool.OPTIMISERS) and not tool.is_live(draws, tool.OPTIMISERS)
    assert tool.is_live(draws, tool.SEEDED) and not tool.is_live(reads, tool.SEEDED + tool.CLOCKS)
