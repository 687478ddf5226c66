"""The table of contents has the chapters of the thesis, in its order; addresses agree with it."""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def toc() -> dict:
    return yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))


def test_the_chapters_of_the_thesis_are_numbered_and_in_its_order():
    [thesis] = [part for part in toc()["parts"] if part.get("numbered")]
    names = [chapter["file"].removesuffix("/index") for chapter in thesis["chapters"]]
    assert names == [f"book/ch0{number}" for number in range(1, 6)]


def test_the_number_in_an_address_is_that_of_the_section():
    [thesis] = [part for part in toc()["parts"] if part.get("numbered")]
    for number, chapter in enumerate(thesis["chapters"], 1):
        for place, section in enumerate(chapter.get("sections", []), 1):
            assert section["file"].startswith(f"notebooks/ch{number:02d}_{place:02d}_")
