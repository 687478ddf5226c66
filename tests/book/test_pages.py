"""The table of contents has the chapters of the thesis, in its order."""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def toc() -> dict:
    return yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))


def test_the_chapters_of_the_thesis_are_numbered_and_in_its_order():
    [thesis] = [part for part in toc()["parts"] if part.get("numbered")]
    names = [chapter["file"].removesuffix("/index") for chapter in thesis["chapters"]]
    assert names == [f"book/ch0{number}" for number in range(1, 6)]
