"""A Sphinx extension: the thesis' tables and figures keep the thesis' numbers in the book.

Table 3.1 of the thesis is Table 3.1 here. What is ours alone is counted apart, 3.A1, 3.A2 and so on
in chapter 3.
"""

import re
from collections import defaultdict

# Labels of what stands for a table or figure of the thesis, and the number that it has there.
THESIS = {
    "table": {
        **{f"tab-{c}-{n}": (c, str(n)) for c, last in ((2, 5), (3, 3), (4, 4))
           for n in range(1, last + 1)},
        "tab-3-4-cited": (3, "4"),
    },
    "figure": {
        **{f"fig-{c}-{n}": (c, str(n)) for c, n in (
            (2, 1), (2, 2), (2, 3), (2, 4), (2, 5), (2, 6), (2, 7), (2, 8),
            (3, 2), (3, 3), (3, 4), (3, 5), (3, 6), (4, 1), (4, 2), (4, 3), (4, 4),
        )},
        "fig-2-9-a": (2, "9a"), "fig-2-9-b": (2, "9b"),
        "fig-3-1ab": (3, "1ab"), "fig-3-1c": (3, "1c"),
    },
}  # fmt: skip

# By page: {"table": {label: (3, 18)}, ...}, as Sphinx counts them.
Numbers = dict[str, dict[str, dict[str, tuple]]]


def renumbered(numbers: Numbers) -> Numbers:
    """The thesis' numbers for what is the thesis', and a count of its own for the rest.

    Equations stay as they are: those of the thesis come first in their chapter, in its order.
    """
    found = [
        (kind, _chapter(page), tuple(count), page, label)
        for page, kinds in numbers.items()
        for kind, labels in kinds.items()
        if kind in THESIS
        for label, count in labels.items()
    ]
    result: Numbers = {page: dict(kinds) for page, kinds in numbers.items()}
    for kinds in result.values():
        kinds.update({kind: {} for kind in kinds if kind in THESIS})
    own: dict[tuple, int] = defaultdict(int)
    for kind, chapter, _, page, label in sorted(found, key=lambda item: (item[:2], item[2])):
        number = THESIS.get(kind, {}).get(label)
        if number is None:
            own[kind, chapter] += 1
            number = (*chapter, f"A{own[kind, chapter]}")
        result[page][kind][label] = number
    return result


def _chapter(page: str) -> tuple[int, ...]:
    """The chapter of the thesis that a page belongs to, as a tuple; empty for other pages."""
    found = re.search(r"/ch0(\d)", page)
    return (int(found[1]),) if found else ()


def _renumber(app, env) -> list[str]:
    env.toc_fignumbers = renumbered(env.toc_fignumbers)
    return []


def setup(app) -> dict:
    """Called by Sphinx. Its own counting comes first, at the usual priority of 500."""
    app.connect("env-get-updated", _renumber, priority=900)
    return {"version": "1", "parallel_read_safe": True}
