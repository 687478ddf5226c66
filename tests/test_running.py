"""How pages are run: nothing leaks in from the shell, and a page that fails costs no other page."""

import os
import shutil
import signal
import subprocess
import sys
import time

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
DRAWS = "import matplotlib.pyplot as plt\n_ = plt.plot([0, 1])"


def notebook_of(title, *sources, count=1):
    """A page whose cells of code look as if they had run, unless count is None."""
    text = nbformat.v4.new_markdown_cell(f"(ch-{title})=\n# {title}\n\nA sentence.", id="title")
    cells = [
        nbformat.v4.new_code_cell(
            source,
            id=f"cell{i}",
            execution_count=count and i + 1,
            metadata={"mystnb": {"image": {"alt": "a drawing"}}},
        )
        for i, source in enumerate(sources)
    ]
    return nbformat.v4.new_notebook(cells=[text, *cells], metadata={"kernelspec": KERNEL})


def write(path, title, *sources, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook_of(title, *sources, **options), path)
    return path


def figures(path):
    """How many pictures a notebook's cells show."""
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    return sum("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs)


def printed(path):
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    return "".join(output.get("text", "") for cell in cells for output in cell.outputs)


@pytest.fixture
def run_tool(root):
    """Run a script of tools/ in a process of its own."""

    def run(name, *arguments, **options):
        command = [sys.executable, root / "tools" / f"{name}.py", *arguments]
        return subprocess.run(command, capture_output=True, text=True, **options)

    return run


# ---------------------------------------------------------------- nothing leaks in

SHELL = {
    "MPLBACKEND": "Agg",
    "PYTHONOPTIMIZE": "1",
    "LC_ALL": "C",
    "LANG": "de_DE.UTF-8",
    "OMP_NUM_THREADS": "3",
    "MKL_NUM_THREADS": "7",
}


def test_what_is_set_on_purpose_passes_and_the_rest_is_fixed(load_tool, root):
    meant = {
        "MKL_CBWR": "COMPATIBLE",
        "ATEN_CPU_CAPABILITY": "default",
        "POSEBOOK_RESULTS": "elsewhere",
        "CUDA_VISIBLE_DEVICES": "1",
        "PATH": "/bin",
    }
    tool = load_tool("fixed_environment")
    got = tool.fixed({**SHELL, **meant, "PYTHONPATH": "elsewhere", "PYTHONSTARTUP": "x.py"})
    threads = dict.fromkeys(tool.THREADS, "3")
    assert got == {**meant, **threads, **tool.FIXED}
    assert tool.FIXED["PYTHONPATH"] == str(root)


def test_without_a_count_of_threads_each_library_decides(load_tool):
    tool = load_tool("fixed_environment")
    assert not set(tool.fixed({"MKL_NUM_THREADS": "7"})) & set(tool.THREADS)


def test_a_page_has_its_figures_whatever_backend_the_shell_wants(run_tool, root, tmp_path):
    page, out = root / "notebooks" / "ch02_10_figure_2_9.ipynb", tmp_path / "out.ipynb"
    environment = {**os.environ, **SHELL}
    ended = run_tool("run_page", page, out, tmp_path / "log", env=environment)
    assert ended.returncode == 0, ended.stderr
    assert figures(out) == figures(page) > 0


def test_a_kernel_imports_the_books_code_and_checks_it(run_tool, root, tmp_path):
    (tmp_path / "posebook").mkdir()
    (tmp_path / "posebook" / "__init__.py").touch()
    source = "import locale, os, posebook\nprint(posebook.__file__, __debug__)\n"
    source += "print(locale.getpreferredencoding(), os.environ['MKL_NUM_THREADS'])"
    page = write(tmp_path / "in" / "page.ipynb", "Page", source)
    environment = {**os.environ, **SHELL, "PYTHONPATH": str(tmp_path)}
    ended = run_tool("run_page", page, tmp_path / "o.ipynb", tmp_path / "log", env=environment)
    assert ended.returncode == 0, ended.stderr
    assert printed(tmp_path / "o.ipynb").splitlines() == [
        f"{root / 'posebook' / '__init__.py'} True",
        "UTF-8 3",
    ]


def test_any_command_can_have_the_same_environment(run_tool):
    environment = {**os.environ, **SHELL}
    show = [sys.executable, "-c", "import os; print(os.environ['MPLBACKEND'], __debug__)"]
    ended = run_tool("fixed_environment", *show, env=environment)
    assert ended.stdout == "module://matplotlib_inline.backend_inline True\n"
    ended = run_tool("fixed_environment", "no-such-command", env=environment)
    assert ended.stderr == "Cannot run: there is no command no-such-command.\n"


# ---------------------------------------------------------------- a page that fails


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("1 / 0", "ZeroDivisionError in cell [1]: division by zero"),
        ("import os; os.kill(os.getpid(), 9)", "its process was killed"),
        ("import time; time.sleep(60)", "a cell took longer than 1 seconds"),
    ],
)
def test_a_page_that_fails_leaves_a_log_and_no_page(run_tool, tmp_path, source, why):
    page = write(tmp_path / "page.ipynb", "Page", source)
    out, log = tmp_path / "out" / "page.ipynb", tmp_path / "logs" / "page.log"
    write(out, "Page of an earlier run")
    ended = run_tool("run_page", page, out, log, "--cell-seconds", "1")
    assert ended.returncode == 1 and not out.exists()
    assert why in ended.stderr.splitlines()[-1] and str(log) in ended.stderr
    assert log.read_text().startswith(f"{page} did not run through: {why}")


def test_a_run_that_is_killed_leaves_a_log(root, tmp_path):
    source = "open('began', 'w').close()\nimport time\ntime.sleep(60)"
    page = write(tmp_path / "page.ipynb", "Page", source)
    out, log = tmp_path / "out.ipynb", tmp_path / "page.log"
    command = [sys.executable, root / "tools" / "run_page.py", page, out, log]
    process = subprocess.Popen(command, start_new_session=True)
    while not (tmp_path / "began").exists():
        assert process.poll() is None
        time.sleep(0.1)
    process.kill()
    process.wait()
    assert "stopped from outside" in log.read_text() and not out.exists()


TOLD = """
import time
from posebook.training.stopping import Stopped, patient, stoppable
with stoppable(), patient() as told:
    open("began", "w").close()
    while not told:
        time.sleep(0.1)
    time.sleep(2)
    raise Stopped(told[0], "step 7 is kept")
"""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (TOLD, "step 7 is kept"),
        ("open('began', 'w').close()\nimport time\ntime.sleep(60)", "nothing was kept"),
    ],
)
def test_a_training_in_a_notebook_is_told_to_stop_and_may_end(source, said, root, tmp_path):
    page = write(tmp_path / "page.ipynb", "Page", source)
    command = [sys.executable, root / "tools" / "run_notebook.py", page, tmp_path / "out.ipynb"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "began").exists():
        assert process.poll() is None
        time.sleep(0.1)
    process.terminate()
    assert process.communicate()[1].splitlines()[-1] == f"Stopped: {said}."
    assert process.returncode == 143 and not (tmp_path / "out.ipynb").exists()


def test_who_is_told_to_stop_before_the_kernel_is_there_stops(load_tool, monkeypatch):
    tool = load_tool("run_notebook")
    before = signal.getsignal(signal.SIGTERM)
    try:
        told = tool.hand_on()
        with pytest.raises(SystemExit) as ended:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.value.code == 143 and told == [15]


def test_the_log_of_a_page_goes_when_it_runs_and_stays_as_old_as_it_is(load_tool, tmp_path):
    run_page = load_tool("run_page").run_page
    page, out, log = (tmp_path / name for name in ("page.ipynb", "out.ipynb", "page.log"))
    write(page, "Page", "1 / 0")
    assert run_page(page, out, log)
    os.utime(log, (1, 1))
    assert run_page(page, out, log) and log.stat().st_mtime == 1
    write(page, "Page", "1 / 1")
    assert run_page(page, out, log) is None
    assert out.exists() and not log.exists()


# ---------------------------------------------------------------- putting the book together


@pytest.fixture
def pages(load_tool):
    return load_tool("pages")


@pytest.fixture
def clone(tmp_path):
    """The sources of a book with an intro and three notebooks."""
    book = tmp_path / "clone"
    names = ["notebooks/one", "notebooks/two", "notebooks/three"]
    parts = [{"caption": "All", "chapters": [{"file": name} for name in names]}]
    toc = {"format": "jb-book", "root": "book/intro", "parts": parts}
    for name in names:
        write(book / f"{name}.ipynb", name, "1 + 1")
    (book / "book" / "_static").mkdir(parents=True)
    (book / "book" / "intro.md").write_text("# Intro\n\nWords.\n")
    (book / "book" / "references.bib").touch()
    (book / "_toc.yml").write_text(yaml.safe_dump(toc))
    (book / "_config.yml").touch()
    return book


def title_cell(folder, name):
    return nbformat.read(folder / "notebooks" / f"{name}.ipynb", 4).cells[0].source


def test_the_table_of_contents_is_read_to_its_last_leaf(pages, root):
    found = list(pages.listed(yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))))
    text = (root / "_toc.yml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if "file:" in line or "root:" in line]
    assert found == [line.split()[-1] for line in lines]
    assert len(found) > 40 and found[-1] == "book/references"


def test_a_page_is_shown_as_it_ran_or_as_published_with_a_box(pages, clone):
    executed, logs, out = clone / "executed", clone / "logs", clone / "out"
    write(executed / "one.ipynb", "as it ran")
    write(executed / "three.ipynb", "as it ran")
    logs.mkdir()
    (logs / "two.log").touch()
    pages.collect(clone, out, executed, logs)
    assert "# as it ran" in title_cell(out, "one") and "# as it ran" in title_cell(out, "three")
    lines = title_cell(out, "two").splitlines()
    assert lines[1] == "# notebooks/two" and lines[3].startswith("```{admonition} Shown as")
    assert f"{logs}/two.log" in title_cell(out, "two") and lines[-1] == "A sentence."
    assert (out / "book" / "intro.md").is_file() and (out / "_config.yml").is_file()
    sentence = pages.last_sentence(clone, "html", executed, logs)
    assert "1 of its 3 notebooks" in sentence and sentence.endswith("again): two.")
    assert sentence.count("\n") == 0


def test_several_pages_that_failed_are_counted_and_named(pages, clone):
    (clone / "logs").mkdir()
    for name in ("one", "two", "three"):
        (clone / "logs" / f"{name}.log").touch()
    sentence = pages.last_sentence(clone, "html", clone / "executed", clone / "logs")
    assert "3 of its 3 notebooks" in sentence and sentence.endswith("one, two, three.")


def test_a_page_that_was_not_even_tried_is_no_silent_success(pages, clone):
    with pytest.raises(ValueError, match="notebooks/one.ipynb has not been run"):
        pages.last_sentence(clone, "html", clone / "executed", clone / "logs")


@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "not run"])
def test_a_page_without_stored_outputs_is_named_with_the_remedy(pages, clone, damage):
    path = clone / "notebooks" / "two.ipynb"
    {
        "gone": path.unlink,
        "empty": lambda: path.write_text(""),
        "cut": lambda: path.write_text(path.read_text()[:200]),
        "not run": lambda: write(path, "two", "1 + 1", count=None),
    }[damage]()
    (clone / "out").mkdir()
    with pytest.raises(ValueError, match="page notebooks/two.ipynb .*git restore.*make notebooks"):
        pages.collect(clone, clone / "out")
    assert not list((clone / "out").iterdir())


def test_a_page_that_fails_and_was_never_run_is_shown_without_outputs(pages, clone):
    write(clone / "notebooks" / "two.ipynb", "two", "1 / 0", count=None)
    (clone / "logs").mkdir()
    (clone / "logs" / "two.log").touch()
    pages.collect(clone, clone / "out", logs=clone / "logs")
    assert "no published outputs either" in title_cell(clone / "out", "two")


# ---------------------------------------------------------------- the two halves of a pair


@pytest.fixture
def pair(tmp_path):
    """Both halves of a page that agree; edit() changes one, the last one is the newest."""
    import jupytext

    text, notebook = tmp_path / "page.md", tmp_path / "page.ipynb"
    jupytext.write(notebook_of("Page", "1 + 1"), text, fmt="md:myst")
    nbformat.write(jupytext.read(text), notebook)
    ages = iter(range(100, 1000, 100))

    def edit(path, old="A sentence", new="A sentence"):
        path.write_text(path.read_text().replace(old, new))
        os.utime(path, (next(ages),) * 2)

    edit(notebook)
    edit(text)
    return text, notebook, edit


def test_an_edit_of_the_newer_ipynb_half_is_not_overwritten(load_tool, pair, run_tool):
    text, notebook, edit = pair
    edit(notebook, new="Another sentence")
    ended = run_tool("halves", text.parent)
    assert ended.returncode == 1 and ended.stderr.count("\n") == 1
    assert ended.stderr.startswith(f"Cannot run the pairs: {notebook} is newer than {text}")
    assert f"jupytext --set-formats ipynb,md:myst {notebook}`" in ended.stderr
    assert f"`touch {text}`" in ended.stderr


@pytest.mark.parametrize("last", ["both agree", "edit of the text", "no notebook"])
def test_other_pairs_may_run(load_tool, pair, last):
    text, notebook, edit = pair
    if last == "both agree":
        edit(notebook)
    elif last == "edit of the text":
        edit(text, new="Another sentence")
    else:
        notebook.unlink()
    assert load_tool("halves").conflicts(text.parent) == []


def test_following_the_advice_keeps_the_half_that_was_chosen(load_tool, pair):
    text, notebook, edit = pair
    conflicts = load_tool("halves").conflicts
    edit(notebook, new="Another sentence")
    assert conflicts(text.parent)
    os.utime(text)  # what touch does
    assert conflicts(text.parent) == []
    edit(text)
    edit(notebook)
    assert conflicts(text.parent)
    keep = [sys.executable, "-m", "jupytext", "--set-formats", "ipynb,md:myst", "-q", notebook]
    subprocess.run(keep, check=True)
    assert conflicts(text.parent) == [] and "Another sentence" in text.read_text()


# ---------------------------------------------------------------- make, on a small book


TOOLS = ("alone", "fixed_environment", "halves", "pages", "run_notebook", "run_page")


@pytest.fixture
def small(root, clone):
    """A clone with the real Makefile, tools and settings; returns make(), which runs there.

    It counts as installed: the Python of this test comes first on PATH.
    """
    for file in ("Makefile", "_config.yml", "pyproject.toml", "constraints.txt"):
        shutil.copy(root / file, clone)
    (clone / "tools").mkdir()
    for tool in TOOLS:
        shutil.copy(root / "tools" / f"{tool}.py", clone / "tools")
    shutil.copytree(root / "book" / "_static", clone / "book" / "_static", dirs_exist_ok=True)
    (clone / "tests").mkdir()
    for file in ("conftest.py", "test_book.py", "nbval_sanitize.cfg"):
        shutil.copy(root / "tests" / file, clone / "tests")
    (clone / "posebook").mkdir()
    (clone / "posebook" / "__init__.py").touch()
    (clone / "installed").touch()
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    inherited["PATH"] = f"{os.path.dirname(sys.executable)}:{inherited['PATH']}"

    def make(*goals, **environment):
        command = ["make", "INSTALLED=installed", f"PYTHON={sys.executable}", *goals]
        return subprocess.run(
            command, cwd=clone, env={**inherited, **environment}, capture_output=True, text=True
        )

    return make


def boxes(clone, name):
    html = (clone / "_build" / "html" / "notebooks" / f"{name}.html").read_text()
    return len(BeautifulSoup(html, "html.parser").select(".as-published"))


def test_the_book_comes_out_when_a_page_fails_and_the_page_is_tried_again(small, clone):
    write(clone / "notebooks" / "one.ipynb", "one", DRAWS)
    write(clone / "notebooks" / "two.ipynb", "two", "1 / 0")
    write(clone / "notebooks" / "draft.ipynb", "not in the table of contents", "1 / 0")
    ended = small("book", MPLBACKEND="Agg")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "draft" not in ended.stdout
    last = ended.stdout.splitlines()[-1]
    assert "1 of its 3 notebooks did not run" in last and last.endswith(": two.")
    html = clone / "_build" / "html"
    for page in ("book/intro", "notebooks/one", "notebooks/two", "notebooks/three"):
        assert (html / f"{page}.html").is_file()
    assert [boxes(clone, name) for name in ("one", "two", "three")] == [0, 1, 0]
    assert figures(clone / "_build" / "executed" / "one.ipynb") == 1
    assert "ZeroDivisionError" in (clone / "_build" / "logs" / "two.log").read_text()

    write(clone / "notebooks" / "two.ipynb", "two", "1 / 1")
    ended = small("book")
    lines = ended.stdout.splitlines()
    tried = [line for line in lines if line.startswith("== running")]
    assert tried == ["== running notebooks/two.ipynb"], "no page again that is finished"
    assert lines[-1] == f"The book is ready: open {html}/index.html"
    assert boxes(clone, "two") == 0


def test_make_test_fails_on_a_page_that_fails(small, clone):
    (clone / "tests" / "experiments").mkdir(exist_ok=True)
    for name in ("test_nothing.py", "experiments/test_card.py"):
        (clone / "tests" / name).write_text("def test_nothing():\n    pass\n")
    inline = "import matplotlib\nassert 'inline' in matplotlib.get_backend()"
    write(clone / "notebooks" / "one.ipynb", "one", inline)
    write(clone / "notebooks" / "two.ipynb", "two", "1 / 0")
    # In one process a stage: starting others would take most of the time.
    ended = small("test", "JOBS=0", MPLBACKEND="Agg")
    assert ended.returncode != 0
    assert "ZeroDivisionError" in ended.stdout, ended.stdout + ended.stderr
    assert "FAILED notebooks/two.ipynb" in ended.stdout and "1 failed, 2 passed" in ended.stdout
    assert "== the book" not in ended.stdout


def test_make_pages_runs_nothing(small, clone):
    write(clone / "notebooks" / "two.ipynb", "two", "1 / 0")
    ended = small("pages")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "== running" not in ended.stdout and not (clone / "_build" / "executed").exists()
    assert [boxes(clone, name) for name in ("one", "two", "three")] == [0, 0, 0]


@pytest.mark.parametrize("goal", ["book", "pages"])
def test_make_names_a_page_that_is_missing_before_anything_runs(small, clone, goal):
    (clone / "notebooks" / "two.ipynb").unlink()
    ended = small(goal)
    assert ended.returncode != 0 and "== running" not in ended.stdout
    assert "Cannot build the book: page notebooks/two.ipynb of _toc.yml is missing" in ended.stderr


def test_make_notebooks_keeps_what_it_would_overwrite(small, clone):
    import jupytext

    notebook = clone / "notebooks" / "one.ipynb"
    text = notebook.with_suffix(".md")
    jupytext.write(nbformat.read(notebook, 4), text, fmt="md:myst")
    os.utime(text, (1, 1))
    before = write(notebook, "edited", "1 + 1").read_bytes()
    ended = small("notebooks")
    assert ended.returncode != 0 and notebook.read_bytes() == before
    assert "notebooks/one.ipynb is newer than notebooks/one.md" in ended.stderr


def test_a_second_make_in_the_folder_is_refused(small, clone, run_tool):
    kept = clone / "_build" / "kept"
    kept.parent.mkdir()
    kept.touch()
    command = [sys.executable, "tools/alone.py", "sh", "-c", "echo started; read line", "book"]
    first = subprocess.Popen(
        command, cwd=clone, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert first.stdout.readline() == "started\n"
    for goal in ("book", "pages", "test", "notebooks", "clean"):
        ended = small(goal)
        assert ended.returncode != 0 and kept.exists() and not ended.stdout
        sentence = f"Cannot start: make book (process {first.pid}) is at work in this folder"
        assert ended.stderr.startswith(sentence), ended.stderr
    first.communicate("\n")
    ended = small("clean")
    assert ended.returncode == 0 and not kept.exists()


def test_a_folder_of_somebody_else_is_refused_with_what_to_do(load_tool, tmp_path):
    with pytest.raises(SystemExit) as ended:
        load_tool("alone").take_lock(str(tmp_path / "theirs" / ".make.lock"), "make book")
    said = str(ended.value)
    assert said.startswith(f"Cannot start: {tmp_path}/theirs/.make.lock cannot be written in ")
    assert "clone the book into one of yours" in said and said.count("\n") == 0


# ---------------------------------------------------------------- trainings that are killed


def test_trainings_of_all_chapters_that_are_killed_end_with_the_same_bits(run_tool, root):
    """tools/kills.py does it as often as one likes."""
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    ended = run_tool("kills", "--kills", "3", "--times", "1", env=environment)
    *runs, last = ended.stdout.splitlines()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert last == "3 kills, 0 runs with another record or other weights"
    hit = {line.split("/")[0] for line in runs if "SIG" in line}
    assert hit == {"table-2.3", "table-3.1", "table-4.1"}
