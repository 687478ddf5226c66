"""One setting gives every page its buttons to the source; without it there are none."""

import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "https://github.com/someone/somewhere"


def header_links(page: Path) -> dict[str, str]:
    """Where each button above a page leads, by what it says of itself."""
    text = page.read_text(encoding="utf-8")
    links = re.findall(r'<a href="([^"]+)"[^>]*\s+class="btn [^>]*title="([^"]+)"', text)
    return {title: link for link, title in links}


@pytest.fixture
def build(tmp_path):
    """A book of one page of text and one notebook, with the real settings and this address."""

    def make(address: str) -> tuple[Path, Path]:
        config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
        config["repository"]["url"] = address
        shutil.copytree(ROOT / "book" / "_static", tmp_path / "book" / "_static")
        shutil.copy(ROOT / "book" / "references.bib", tmp_path / "book")
        (tmp_path / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        toc = "{format: jb-book, root: intro, chapters: [{file: notebooks/page}]}"
        (tmp_path / "_toc.yml").write_text(toc, encoding="utf-8")
        (tmp_path / "intro.md").write_text("# A book\n", encoding="utf-8")
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A page")])
        (tmp_path / "notebooks").mkdir()
        nbformat.write(notebook, tmp_path / "notebooks" / "page.ipynb")
        command = ["jupyter-book", "build", "-q", "-W", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stderr
        html = tmp_path / "_build" / "html"
        return html / "intro.html", html / "notebooks" / "page.html"

    return make


def test_without_an_address_a_page_leads_to_no_repository_and_its_notebook_is_there(build):
    intro, page = build("")
    for built in (intro, page):
        assert not re.search(r"github\.com|mybinder|source-repository", built.read_text("utf-8"))
    download = header_links(page)["Download source file"]
    assert download.endswith(".ipynb")
    assert nbformat.read(page.parent / download, as_version=4).cells[0].source == "# A page"


def test_with_an_address_a_page_leads_to_it_to_its_own_source_an_issue_and_binder(build):
    intro, page = build(ADDRESS)
    for built, source in ((intro, "intro.md"), (page, "notebooks/page.md")):
        links = header_links(built)
        assert links["Source repository"] == ADDRESS
        assert links["Show source"] == f"{ADDRESS}/blob/main/{source}?plain=1"
        assert links["Open an issue"].startswith(f"{ADDRESS}/issues/new?")
    assert "Launch on Binder" not in header_links(intro), "a page of text has nothing to run"
    assert header_links(page)["Launch on Binder"] == (
        "https://mybinder.org/v2/gh/someone/somewhere/main?urlpath=lab/tree/notebooks/page.ipynb"
    )
