"""The board has every claim, with its verdict, its gap in the claimed direction and its page."""

import math
import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from posebook.book.board import PAGES, WIDTH, board
from posebook.book.thesis import Finding, read_claims
from posebook.results.statistics import Gap

ROOT = Path(__file__).resolve().parents[2]
CLAIMS = {claim.id: claim for claim in read_claims()}


def parse(*found):
    return BeautifulSoup(board(found).data, "html.parser")


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_each_claim_has_a_page_that_exists(claim):
    assert (ROOT / "notebooks" / f"{PAGES[claim.experiment]}.md").is_file()


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_each_claim_is_shown_by_a_name_that_fits_its_line(claim):
    gap = Gap(math.nan, math.nan, math.nan, 0, True)
    shown = parse((claim, Finding(gap, "not run", False))).find("a").text
    assert shown == claim.name
    assert len(shown) < 30  # what is longer, the board cuts


@pytest.mark.parametrize("sign", [1, -1])
def test_to_the_right_the_thesis_is_right(sign):
    claim = next(c for c in CLAIMS.values() if c.expected_sign == sign)
    gap = Gap(2.0 * sign, *sorted((1.0 * sign, 3.0 * sign)), 5, True)
    page = parse((claim, Finding(gap, "confirmed", False)))
    assert float(page.find("circle")["cx"]) > WIDTH / 2
    left, right = map(float, re.findall(r"[MH]([.0-9]+)", page.find("path", class_="gap")["d"]))
    assert WIDTH / 2 < left < right < WIDTH
    assert page.find("li")["class"] == ["confirmed"] and page.find("li").b.text == "✓"


def test_a_claim_without_runs_has_no_plot():
    claim = next(iter(CLAIMS.values()))
    page = parse((claim, Finding(Gap(math.nan, math.nan, math.nan, 0, True), "not run", False)))
    assert page.find("circle") is None and "not run" in page.find("li")["title"]
