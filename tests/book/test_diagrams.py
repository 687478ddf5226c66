"""The diagrams are those that are drawn, lead to code that is there, and can be read."""

import importlib
import re
from pathlib import Path

import pytest

from posebook.book.diagrams import inlined
from posebook.book.numbers import THESIS

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "book" / "diagrams").glob("*.svg"))


@pytest.fixture
def tool(load_tool):
    return load_tool("diagrams")


def test_the_files_are_what_is_drawn(tool):
    assert {file.stem for file in FILES} == set(tool.DRAWINGS)
    for name, draw in tool.DRAWINGS.items():
        stored = (tool.FOLDER / f"{name}.svg").read_text(encoding="utf-8")
        assert stored == draw().text, "run `python tools/diagrams.py`"


def test_every_diagram_of_the_thesis_is_drawn():
    drawn = {f"fig-{file.stem}" for file in FILES} - {"fig-1-1"}  # that is ours
    assert {name.removesuffix("ab") for name in THESIS["figure"]} >= drawn
    assert len(drawn) == 10


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_names_in_a_diagram_are_in_the_package(file, load_tool):
    page_of = load_tool("api_page").page_of
    links = re.findall(r'href="([^"]+)"', file.read_text(encoding="utf-8"))
    assert links
    for link in links:
        page, _, name = link.partition("#")
        assert page == f"../../book/{page_of(name)}.html"
        module, _, thing = name.rpartition(".")
        assert hasattr(importlib.import_module(module), thing), name


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_diagram_is_told_in_words_and_its_letters_can_be_read(file):
    text = file.read_text(encoding="utf-8")
    assert re.search(r"<title>.+</title>\n<desc>.{40,}</desc>", text)
    assert min(map(float, re.findall(r'font-size="([\d.]+)"', text))) >= 12
    assert "nan" not in text


@pytest.mark.parametrize(("page", "way"), [("notebooks/a", "../book/"), ("book/ch03/b", "../")])
def test_links_of_a_diagram_fit_the_page_that_it_stands_in(page, way):
    shown = inlined('<a href="../../book/api_video.html#x">', page, 'a "picture"')
    assert f'href="{way}api_video.html#x"' in shown
    assert 'aria-label="a &quot;picture&quot;"' in shown
