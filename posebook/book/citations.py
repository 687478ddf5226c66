"""A Sphinx extension: a work has one name, "Li et al., 2020a", in the text and in the list.

Two works of one year by authors of one name get a letter each, wherever their year is printed.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from pybtex.database import Entry, Person
from pybtex.plugin import register_plugin
from pybtex.style.formatting.unsrt import Style as Unsorted
from pybtex.style.labels import BaseLabelStyle

STYLE = "authors-and-year"  # as _config.yml calls it


def authors(people: list[Person]) -> str:
    """Last names as the text has them: "Li", "Kong and Lucey", "Li et al."."""
    last = [" ".join(person.prelast_names + person.last_names).strip("{}") for person in people]
    return f"{last[0]} et al." if len(last) > 2 else " and ".join(last)


class Labels(BaseLabelStyle):
    """Names the works, and writes the letter of a year into the entry, where the text finds it."""

    def format_labels(self, sorted_entries: Iterable[Entry]) -> Iterator[str]:
        works = list(sorted_entries)
        for work in works:
            work.fields["year"] = re.sub(r"\D", "", work.fields["year"])  # an entry may come twice
        bare = [(authors(work.persons["author"]), work.fields["year"]) for work in works]
        count, seen = Counter(bare), Counter()
        for work, name in zip(works, bare, strict=True):
            if count[name] > 1:
                work.fields["year"] += "abcdefghij"[seen[name]]
                seen[name] += 1
            yield f"{name[0]}, {work.fields['year']}"


class Style(Unsorted):
    """By author and year, first names as initials: the thesis prints no others."""

    default_label_style = Labels
    default_sorting_style = "author_year_title"

    def __init__(self, **options):
        super().__init__(**{**options, "abbreviate_names": True})


def setup(app) -> dict:
    """Called by Sphinx."""
    register_plugin("pybtex.style.formatting", STYLE, Style, force=True)
    return {"version": "1", "parallel_read_safe": True}
