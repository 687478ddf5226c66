"""The pairs under notebooks/ agree, are executed, and hold nothing that breaks elsewhere."""

import ast
import re
from pathlib import Path

import jupytext
import pytest
from jupytext.compare import compare_notebooks

from posebook.palette import METHODS, ROWS

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
TEXTS = sorted(NOTEBOOKS.glob("*.md"))
TRAINING = {"profile", "variant", "experiment", "dataset", "seed", "out"}
# A path from somebody's own machine, as a traceback or a printed folder would show it.
MACHINE_PATH = re.compile(r"(?<![\w./:])/(?:home|root|work|tmp|mnt|opt|usr|var|Users)/\w")

WIDTH = 84  # characters of code that the book's column shows

each_pair = pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)


def read(text: Path):
    return jupytext.read(text.with_suffix(".ipynb"))


def code_cells(text: Path) -> list:
    return [cell for cell in read(text).cells if cell.cell_type == "code"]


def tagged(text: Path, tag: str) -> list:
    return [cell for cell in code_cells(text) if tag in cell.metadata.get("tags", [])]


def assigned_names(source: str) -> set[str]:
    statements = [node for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    return {target.id for node in statements for target in node.targets}


def test_no_half_stands_alone():
    halves = {path.stem for path in NOTEBOOKS.glob("*.ipynb")}
    assert halves == {path.stem for path in TEXTS}


@each_pair
def test_pair_agrees(text):
    compare_notebooks(read(text), jupytext.read(text), fmt="md:myst")


@each_pair
def test_outputs_are_those_of_one_run_from_top_to_bottom(text):
    counts = [cell.execution_count for cell in code_cells(text)]
    assert counts == list(range(1, len(counts) + 1)), "run `make notebooks`"


@each_pair
def test_no_output_is_an_error_or_a_warning(text):
    outputs = [output for cell in code_cells(text) for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]


@each_pair
def test_code_is_plain_python(text):
    """nbval passes a cell with an unknown %magic whatever comes after it."""
    for cell in code_cells(text):
        ast.parse(cell.source)


@each_pair
def test_at_most_one_cell_of_parameters(text):
    cells = tagged(text, "parameters")
    assert len(cells) <= 1
    if text.stem.endswith("_training"):
        assert cells and assigned_names(cells[0].source) >= TRAINING


@each_pair
def test_kernel_exists_everywhere(text):
    assert read(text).metadata.kernelspec.name == "python3"


@each_pair
def test_no_path_of_one_machine(text):
    for cell in read(text).cells:
        assert not MACHINE_PATH.search(str(cell)), cell.source


@each_pair
def test_every_figure_has_alternative_text(text):
    for cell in code_cells(text):
        options = cell.metadata.get("mystnb", {})
        if "figure" in options:
            assert options.get("image", {}).get("alt"), f"no alt text: {options['figure']}"


def long_lines(source: str) -> list[str]:
    """Lines that the page would cut, but for the Markdown that stands in strings of many lines."""
    written = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.Constant, ast.JoinedStr))
        if '"""' in (ast.get_source_segment(source, node) or "")
        for line in range(node.lineno + 1, node.end_lineno)
    }
    lines = enumerate(source.splitlines(), start=1)
    return [line for number, line in lines if len(line) > WIDTH and number not in written]


@each_pair
def test_shown_code_is_not_cut_at_the_right(text):
    assert [line for cell in code_cells(text) for line in long_lines(cell.source)] == []


def speaks(source: str) -> bool:
    """Whether a cell ends with a method of matplotlib's whose value it would show."""
    last = ast.parse(source).body[-1]
    method = isinstance(last, ast.Expr) and getattr(getattr(last.value, "func", None), "attr", "")
    return bool(method) and method not in ("show", "grid") and not source.rstrip().endswith(";")


@each_pair
def test_a_figure_is_all_that_its_cell_shows(text):
    """Another output would bear the figure's label as well, and the pages could not be built."""
    figures = [cell for cell in code_cells(text) if "figure" in cell.metadata.get("mystnb", {})]
    assert [cell.source[-80:] for cell in figures if speaks(cell.source)] == []


@each_pair
def test_nothing_stored_needs_a_kernel(text):
    shown = [output.get("data", {}) for cell in code_cells(text) for output in cell.outputs]
    assert not any("widget" in kind for data in shown for kind in data)


@each_pair
def test_every_exercise_has_a_folded_solution(text):
    _, _, tail = text.read_text(encoding="utf-8").partition("\n## Exercises\n")
    exercises = re.split(r"(?m)^\d+\. ", tail)[1:]
    assert len(exercises) <= 4
    assert [e for e in exercises if e.count("{dropdown} Solution") != 1] == []


def names_of_methods(cell) -> set[str]:
    found = {node.value for node in ast.walk(ast.parse(cell.source))
             if isinstance(node, ast.Constant) and isinstance(node.value, str)}  # fmt: skip
    return found & {*METHODS, *ROWS}


def colors_by_hand(cell) -> list[str]:
    """Colours that are neither a grey level, nor asked for by name of a function or variable."""
    given = [word.value for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)
             for word in node.keywords if word.arg in ("color", "c")]  # fmt: skip
    told = [ast.unparse(value) for value in given]
    grey = re.compile(r"'0?\.\d+'")
    return [text for text in told if not grey.fullmatch(text) and re.search(r"'|CYCLE", text)]


@each_pair
def test_the_colour_of_a_method_comes_from_the_table(text):
    for cell in code_cells(text):
        if names_of_methods(cell):
            assert not colors_by_hand(cell) and not re.search(r"CYCLE[^\n]*:\n", cell.source)
