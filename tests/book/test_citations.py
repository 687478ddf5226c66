"""The list of works is whole, and no two works have one name."""

import re
from pathlib import Path

import pytest
from pybtex.database import parse_file, parse_string

from posebook.book.citations import Style

ROOT = Path(__file__).resolve().parents[2]
# First authors of the thesis' bibliography, in its order.
THESIS = """Andriluka Andriluka Arnab Baker Belagiannis Belagiannis Belagiannis Brau Brox Cao
Charles Chen Chen Chen Chen Chen Chen Cherian Chu Ci
Dong Drover Fang Felzenszwalb Fischler Fragkiadaki Girdhar Gkioxari Goodfellow Habibie
Hartley He He He Hidalgo Horn Ilg Ionescu Iqbal Iqbal
Iskakov Jain Jhuang Johnson Joo Kanazawa Kingma Kocabas Kong Lan
Li Lin Lin Luo Martinez Mehta Moreno-Noguer Newell Nie Novotny
Park Paszke Pavlakos Pavlakos Pavllo Peng Pfister Pishchulin Pishchulin Qiu
Rhodin Rhodin Sapp Sárándi Sharma Sigal Song Song Sun Sun
Sun Tekin Tian Tome Tome Tompson Toshev Tung Tung Wandt
Wang Wang Wang Wang Wei Wu Xiao Yang Yang Yang
Yang Yang Li Yeh Zhang Zhang Zhao Zhong Zhou Zhou
Zhou Zuffi""".split()


@pytest.fixture(scope="module")
def works():
    return parse_file(ROOT / "book" / "references.bib").entries


def labels(works):
    style = Style()
    entries = style.sort(works.values())
    return {e.key: label for e, label in zip(entries, style.format_labels(entries), strict=True)}


def first_author(work):
    return " ".join(work.persons["author"][0].last_names)


def test_all_112_works_of_the_thesis_are_there(works):
    numbered = sorted((int(w.fields["thesis"]), first_author(w)) for w in works.values()
                      if "thesis" in w.fields)  # fmt: skip
    assert numbered == list(enumerate(THESIS, 1)) and len(numbered) == 112


def test_no_identifier_stands_at_two_works_and_each_is_one(works):
    found = [w.fields[f].lower() for w in works.values() for f in ("doi", "eprint", "url")
             if f in w.fields]  # fmt: skip
    assert len(found) == len(set(found)), "a DOI does not tell capitals from small letters"
    forms = {
        "doi": r"10\.\d{4,}/[^\s{}\\]+[^\s{}\\.,;]", "eprint": r"\d{4}\.\d{4,5}",
        "url": r"https://\S+",
    }  # fmt: skip
    for name, form in forms.items():
        for work in works.values():
            assert re.fullmatch(f"({form})?", work.fields.get(name, "")), work.key


def test_a_preprints_doi_is_that_of_its_number_and_a_paper_has_its_publishers(works):
    ours = "10.48550/arXiv."
    of_arxiv = {k for k, w in works.items() if w.fields.get("doi", "").startswith(ours)}
    assert of_arxiv == {k for k, w in works.items() if w.fields.get("journal") == "arXiv preprint"}
    for key in of_arxiv:
        assert works[key].fields["doi"] == ours + works[key].fields["eprint"]


def test_no_two_works_have_one_label(works):
    names = list(labels(works).values())
    assert len(names) == len(set(names)) == len(works)


def test_two_works_of_one_year_get_letters_also_in_their_year_and_one_alone_gets_none():
    works = parse_string("""
        @misc{geometry, author = {Li, Yang and Li, Kan and Xu, Richard}, title={G}, year = 2020}
        @misc{exploring, author = {Li, Yang and Li, Kan and Wang, Xinxin}, title={E}, year = 2020}
        @misc{pair, author = {De la Torre, F. and Zhou, F.}, title={P}, year = 2020}
        @misc{group, author = {{MMPose Contributors}}, title={T}, year = 2020}
    """, "bibtex").entries  # fmt: skip
    expected = {
        "geometry": "Li et al., 2020b", "exploring": "Li et al., 2020a",
        "pair": "De la Torre and Zhou, 2020", "group": "MMPose Contributors, 2020",
    }  # fmt: skip
    assert labels(works) == expected
    assert labels(works) == expected, "a second list starts from the years without letters"
    assert works["geometry"].fields["year"] == "2020b"


def test_every_citation_of_the_book_has_its_work(works):
    pages = [*(ROOT / "book").rglob("*.md"), *(ROOT / "notebooks").glob("*.md")]
    cited = {
        key.strip()
        for page in pages
        for keys in re.findall(r"\{cite:\w+\}`([^`]+)`", page.read_text(encoding="utf-8"))
        for key in keys.split(",")
    }
    assert cited and not cited - set(works)
