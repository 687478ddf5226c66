"""The files that hold the house together say the same, and refuse bad input in one sentence."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import posebook
from posebook import video
from posebook.experiments import catalogue


@pytest.fixture
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture
def pins(root):
    """Name -> exact version, as constraints.txt has them."""
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert len(pairs) == len(dict(pairs)), "a package is pinned twice"
    return {canonicalize_name(name): version for name, version in pairs}


# ---------------------------------------------------------------- packages and versions


def test_every_dependency_is_pinned_inside_its_range(project, pins):
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    for line in [*project["dependencies"], *extras]:
        wanted = Requirement(line)
        assert pins[canonicalize_name(wanted.name)] in wanted.specifier, line


def test_environment_installs_the_same_with_the_same_versions(root, project):
    environment = yaml.safe_load((root / "environment.yml").read_text(encoding="utf-8"))
    conda = [line for line in environment["dependencies"] if isinstance(line, str)]
    [pip] = [part["pip"] for part in environment["dependencies"] if isinstance(part, dict)]
    extras = ",".join(project["optional-dependencies"])
    assert pip == ["-c constraints.txt", f"-e .[{extras}]"]
    assert f"{conda[0].removeprefix('python=')}.0" in SpecifierSet(project["requires-python"])


def test_every_pin_is_for_the_oldest_python_that_is_welcome(pins):
    """Debian 12 comes with Python 3.11.2; one pin that asked for 3.11.5 left it without a book."""
    for package in distributions():
        if pins.get(canonicalize_name(package.name)) == package.version:
            wanted = SpecifierSet(package.metadata["Requires-Python"] or "")
            assert "3.11.0" in wanted, f"{package.name} {package.version} asks for Python {wanted}"


def test_make_installs_the_same(root, project):
    extras = ",".join(project["optional-dependencies"])
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    assert "-c constraints.txt" in makefile and f"-e '.[{extras}]'" in makefile


def test_one_version_everywhere(root, project):
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    assert posebook.__version__ == project["version"] == citation["version"]


def test_every_page_is_in_the_table_of_contents(root):
    listed = [*(root / "_toc.yml").read_text(encoding="utf-8").split(), "book/headline"]
    written = [*root.glob("book/**/*.md"), *root.glob("notebooks/*.md")]
    assert {str(path.relative_to(root).with_suffix("")) for path in written} <= set(listed)


# ---------------------------------------------------------------- preflight


@pytest.fixture
def preflight(load_tool):
    return load_tool("preflight")


@pytest.mark.parametrize("name", ["alone", "preflight"])
def test_what_comes_before_the_installation_is_readable_to_an_old_python(root, name):
    source = (root / "tools" / f"{name}.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 6))
    assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.JoinedStr)]


def test_preflight_reads_the_supported_python(preflight, root):
    first, unsupported = preflight.supported_python(root / "pyproject.toml")
    assert preflight.python_problem(sys.version_info, first, unsupported) is None


@pytest.mark.parametrize(("version", "age"), [((3, 6), "older"), ((3, 99), "newer")])
def test_preflight_names_a_python_that_would_do(preflight, version, age):
    problem = preflight.python_problem(version, (3, 11), (3, 12))
    assert age in problem and "make book PYTHON=python3.11" in problem


def test_preflight_adds_up_what_one_disk_must_hold(preflight):
    needs = {"here": 7.0, "temporary": 3.5}

    def problem(free, disks):
        return preflight.space_problem(needs, lambda _: free, disks.get)

    assert problem(11.0, {"here": 1, "temporary": 1}) is None
    assert problem(8.0, {"here": 1, "temporary": 2}) is None
    assert "8.0 GB free and the installation needs about 10.5 GB" in problem(
        8.0, {"here": 1, "temporary": 1}
    )


def test_preflight_wants_no_room_for_what_is_installed(preflight, tmp_path):
    assert preflight.disk_needs(str(tmp_path))
    library = "lib/python{}.{}/site-packages/torch".format(*sys.version_info)
    (tmp_path / library).mkdir(parents=True)
    assert preflight.disk_needs(str(tmp_path)) == {}


# ---------------------------------------------------------------- running notebooks


@pytest.fixture
def notebook(tmp_path):
    """A notebook with parameters of each kind."""
    cell = nbformat.v4.new_code_cell(
        'seed = 0  # run seed\nrate = 0.1\nvariant = "reproj"\nresume = True\nout = None',
        metadata={"tags": ["parameters"]},
    )
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel})
    nbformat.write(book, tmp_path / "train.ipynb")
    return tmp_path / "train.ipynb"


@pytest.fixture
def read_parameters(load_tool):
    return load_tool("run_notebook").read_parameters


def test_parameters_take_the_type_of_their_default(read_parameters, notebook):
    pairs = [("seed", "3"), ("rate", "1"), ("variant", "7"), ("resume", "false"), ("out", "a.json")]
    given = read_parameters(notebook, pairs)
    assert given == {"seed": 3, "rate": 1.0, "variant": "7", "resume": False, "out": "a.json"}
    assert type(given["rate"]) is float


def test_mistyped_parameter_is_refused(read_parameters, notebook):
    with pytest.raises(ValueError, match="no parameter sead: did you mean seed?"):
        read_parameters(notebook, [("sead", "3")])


@pytest.mark.parametrize("pair", [("seed", "three"), ("seed", "1.5"), ("resume", "maybe")])
def test_value_of_another_type_is_refused(read_parameters, notebook, pair):
    with pytest.raises(ValueError, match=f"parameter {pair[0]} takes a value such as"):
        read_parameters(notebook, [pair])


def test_refusal_is_one_sentence_and_runs_nothing(root, notebook, tmp_path):
    command = [sys.executable, root / "tools" / "run_notebook.py", notebook, tmp_path / "o.ipynb"]
    ended = subprocess.run([*command, "-p", "sead", "3"], capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Cannot run: ") and ended.stderr.count("\n") == 1
    assert not (tmp_path / "o.ipynb").exists()


def test_missing_notebook_is_named(read_parameters, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no notebook .*absent\.ipynb"):
        read_parameters(tmp_path / "absent.ipynb", [])


# ---------------------------------------------------------------- the graph of runs


@pytest.mark.parametrize("page", catalogue.NOTEBOOKS.values())
def test_a_training_page_names_no_file_by_its_own_place(page, root):
    """Readers and builds run it in notebooks/, the graph in the root."""
    cells = nbformat.read(root / page, as_version=4).cells
    assert not [c.source for c in cells if c.cell_type == "code" and "../" in c.source]


def test_a_training_page_runs_from_where_the_graph_calls_it(root, tmp_path):
    command = [sys.executable, "tools/run_notebook.py", catalogue.NOTEBOOKS["video"],
               tmp_path / "o.ipynb", "-p", "out", tmp_path]  # fmt: skip
    elsewhere = {**os.environ, "POSEBOOK_RUNS": str(tmp_path / "runs")}
    ended = subprocess.run(command, capture_output=True, text=True, cwd=root, env=elsewhere)
    assert ended.returncode == 0, ended.stderr
    assert len([*tmp_path.glob("smoke/*/*.json")]) == 1


def dry_run(root, *config):
    """What Snakemake would do, everything forced."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--forceall", "--config", *config]
    hidden = ("POSEBOOK_RUNS", "POSEBOOK_RESULTS")
    clean = {name: value for name, value in os.environ.items() if name not in hidden}
    return subprocess.run(command, cwd=root, env=clean, capture_output=True, text=True)


def test_the_graph_runs_every_variant_and_seed(root):
    plan = dry_run(root, "profile=smoke", "seeds=2").stdout
    runs = 0
    for row in catalogue.rows().values():
        seeds = len(row.runs(2))
        runs += seeds
        wanted = f"experiment={row.experiment}, variant={row.variant}, seed={seeds - 1}"
        assert f"profile=smoke, {wanted}" in plan
    drawn = [name for name, what in catalogue.DRAWN.items() if not what.asked]
    for name in drawn:
        assert f"profile=smoke, name={name}" in plan
    counts = " ".join(plan.split())
    assert f"row {runs}" in counts and f"drawn {len(drawn)}" in counts
    asked = r"resources: (?=.*mem_mb=3000\b)(?=.*runtime=60\b).*gpu=0\b"
    assert len(re.findall(asked, plan)) == runs, "what each run asks of a cluster"


def test_the_graph_has_what_is_asked_for_and_what_must_come_first(root):
    only = "figure-3.5,no-extrinsics,table-4.2/c3dpo,table-2.3/res50"
    plan = dry_run(root, "profile=smoke", "seeds=2", f"only={only}").stdout
    wanted, _ = catalogue.select(only.split(","))
    first = [found.first(seed) for found in wanted.values() for seed in range(2)]
    runs = {(name, seed) for name in wanted for seed in range(2)} | {run for run in first if run}
    for name, seed in runs:
        experiment, variant = name.split("/")
        assert f"experiment={experiment}, variant={variant}, seed={seed}" in plan
    assert {("table-4.1/baseline-cf", 1), ("base-network/base", 0)} <= runs
    counts = " ".join(plan.split())
    assert f"row {len(runs)}" in counts and "drawn 1" in counts and "name=figure-3.5" in plan


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("profil=smoke", "--config has no profil; there are dataset, only, profile, seeds"),
        ("only=table-3.11", "nothing is called table-3.11; did you mean "),
    ],
)
def test_the_graph_refuses_what_there_is_not_in_one_sentence(root, config, said):
    ended = dry_run(root, config)
    assert ended.returncode != 0 and "Traceback" not in ended.stderr
    assert said in ended.stdout + ended.stderr


def test_the_graph_of_an_official_data_set_has_its_chapters_alone(root):
    plan = dry_run(root, "profile=smoke", "dataset=penn-action").stdout
    for experiment, variants in video.rows.EXPERIMENTS.items():
        assert f"runs/penn-action/smoke/{experiment}/{variants[0]}--seed0.ipynb" in plan
    assert "table-3.1" not in plan and "runs/smoke" not in plan and "posebook draw" not in plan


def test_no_published_row_has_been_given_up(root):
    """A result whose row was renamed or dropped would never be computed again."""
    made = {}
    for row in catalogue.rows().values():
        made.setdefault(row.experiment, set()).add(row.variant)
    for experiment, variants in made.items():
        paths = list((root / "book" / "results" / "laptop" / experiment).glob("*.json"))
        assert {path.stem.partition("--seed")[0] for path in paths} == variants


def test_every_published_result_is_of_a_row_or_drawn_from_rows(root):
    known = {row.experiment for row in catalogue.rows().values()}
    known |= {name for drawn in catalogue.DRAWN.values() for name in drawn.experiments}
    folders = {path.name for path in (root / "book" / "results").glob("*/*") if path.is_dir()}
    assert folders <= known


def test_the_page_on_the_package_has_every_module(load_tool):
    tool = load_tool("api_page")
    for path, text in tool.pages().items():
        assert path.read_text(encoding="utf-8") == text, "run `python tools/api_page.py`"
