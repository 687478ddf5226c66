"""The built book is whole, needs no network, and can be read without seeing its pictures."""

from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[1]
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src"}


def files_of(chapter: dict) -> list[str]:
    own = [chapter["file"]] if "file" in chapter else []
    return own + [file for section in chapter.get("sections", []) for file in files_of(section)]


def pages() -> list[str]:
    """Every page that _toc.yml names, without a file's ending."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [chapter for part in toc["parts"] for chapter in part["chapters"]]
    return [toc["root"], *(file for chapter in chapters for file in files_of(chapter))]


each_page = pytest.mark.parametrize("page", pages())


@cache
def parse(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def resources(page: BeautifulSoup) -> list[str]:
    """Addresses that a browser loads by itself while it shows the page."""
    styles = [link["href"] for link in page("link") if {"stylesheet", "icon"} & set(link["rel"])]
    return styles + [
        tag[attribute]
        for name, attribute in LOADED.items()
        for tag in page(name)
        if tag.get(attribute) and not tag[attribute].startswith("data:")
    ]


def local_file(address: str, page: Path) -> Path:
    return page.parent / unquote(urlsplit(address).path)


@each_page
def test_page_is_built(html, page):
    assert (html / f"{page}.html").is_file()


def test_only_the_pages_that_failed_say_that_they_are_shown_as_published(html, pytestconfig):
    boxes = {
        page: parse(html / f"{page}.html").select("article section > .as-published")
        for page in pages()
    }
    failed = pytestconfig.getoption("failed").split()
    assert {page: len(found) for page, found in boxes.items() if found} == {
        f"notebooks/{name}": 1 for name in failed
    }
    for name in failed:
        [box] = boxes[f"notebooks/{name}"]
        assert f"logs/{name}.log" in box.text
        assert box.find_previous_sibling().name == "h1", "the box stands under the title"


def test_book_opens_at_its_first_page(html):
    assert f"url={pages()[0]}.html" in (html / "index.html").read_text(encoding="utf-8")


@each_page
def test_nothing_failed_to_render(html, page):
    assert not parse(html / f"{page}.html").select(".problematic, .system-message")


@each_page
def test_page_loads_only_files_that_are_there(html, page):
    path = html / f"{page}.html"
    addresses = resources(parse(path))
    assert addresses, "a page without even a style sheet was not parsed"
    assert not [address for address in addresses if urlsplit(address).netloc]
    assert not [address for address in addresses if not local_file(address, path).is_file()]


@each_page
def test_mathematics_comes_with_the_book(html, page):
    found = parse(html / f"{page}.html")
    if found.select(".math"):
        assert [address for address in resources(found) if "mathjax" in address.lower()]


@each_page
def test_every_image_has_alternative_text(html, page):
    for image in parse(html / f"{page}.html").select("article img"):
        # Sphinx fills a missing text with the picture's own file name.
        text = image.get("alt", "").strip()
        assert text and not text.endswith((".png", ".svg", ".jpg")), image["src"]


@each_page
def test_links_lead_to_a_page_and_a_place_that_are_there(html, page):
    path = html / f"{page}.html"
    for link in parse(path).select("article a[href]"):
        address = urlsplit(link["href"])
        if address.scheme or not (address.path or address.fragment):
            continue
        target = local_file(link["href"], path) if address.path else path
        assert target.exists(), link["href"]
        if address.fragment and target.suffix == ".html":
            assert parse(target.resolve()).find(id=unquote(address.fragment)), link["href"]


def test_the_tables_and_figures_of_the_thesis_have_its_numbers_and_ours_have_others(html):
    """The printed number of every caption, against the thesis' list."""
    from posebook.book.numbers import THESIS

    numbers = {f"{k} {'.'.join(map(str, n))}": k for k in THESIS for n in THESIS[k].values()}
    shown = {}
    for page in pages():
        for caption in parse(html / f"{page}.html").select(".caption-number"):
            holder = caption.find_parent(["table", "figure", "div"], id=True)
            kind, number = caption.text.strip().replace("Fig.", "Figure").split()
            told = f"{kind.lower()} {number.rstrip('.')}"
            assert told not in shown, f"{told} stands on {page} and on {shown[told]}"
            shown[told] = page
            thesis = THESIS[kind.lower()].get(holder["id"])
            if thesis is None:
                assert ".A" in told or told.startswith((f"{kind.lower()} A",)), (page, told)
            else:
                assert told in numbers and told.endswith(".".join(map(str, thesis))), (page, told)
    if "notebooks/claims" in pages():  # the whole book, and no part of it for a test
        assert set(numbers) <= set(shown)


def test_the_equations_of_the_thesis_have_its_numbers(html):
    """2.1 to 2.12, 3.1 to 3.7 and 4.1 to 4.8, each once; ours go on behind them."""
    last = {2: 12, 3: 7, 4: 8}
    shown = [
        number.text.strip("()\u00b6# \n")
        for page in pages()
        for number in parse(html / f"{page}.html").select("span.eqno")
    ]
    assert len(shown) == len(set(shown)) and all("A" not in number for number in shown)
    if "notebooks/claims" in pages():  # the whole book, and no part of it for a test
        assert {f"{c}.{n}" for c, end in last.items() for n in range(1, end + 1)} <= set(shown)
