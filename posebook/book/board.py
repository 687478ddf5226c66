"""All claims of the thesis on one screen, each with its verdict, its gap and its interval.

A plot has its own scale. To the right of its middle line the thesis is right; the grey band is the
margin within which a difference counts as none. book/_static/board.js sifts it.
"""

import html
import math
from collections.abc import Sequence

from IPython.display import HTML

from posebook.book.tables import interval, signed
from posebook.book.thesis import Claim, Finding
from posebook.results.statistics import METRICS, NO_DIFFERENCE

# The page that shows the rows of an experiment.
PAGES = {
    "table-2.1": "ch02_11_comparisons", "table-2.2": "ch02_11_comparisons",
    "table-2.3": "ch02_08_table_2_3", "table-2.4": "ch02_09_tables_2_4_2_5",
    "table-2.5": "ch02_09_tables_2_4_2_5", "figure-2.7": "ch02_11_comparisons",
    "figure-2.9": "ch02_10_figure_2_9", "table-3.1": "ch03_12_table_3_1",
    "table-3.2": "ch03_14_table_3_2", "table-3.3": "ch03_16_comparisons",
    "figure-3.6": "ch03_09_pretraining", "confidence-weights": "ch03_15_confidence",
    "table-4.1": "ch04_05_table_4_1", "table-4.2": "ch04_07_table_4_2",
    "table-4.3": "ch04_08_table_4_3",
}  # fmt: skip
SYMBOLS = {
    "confirmed": "✓", "contradicted": "✗", NO_DIFFERENCE: "=", "undecided": "?", "not run": "–",
}  # fmt: skip
WIDTH, HEIGHT = 84, 14


def board(findings: Sequence[tuple[Claim, Finding]]) -> HTML:
    """The board of claims with our answers, in their order, a list a chapter."""
    parts = []
    for chapter in dict.fromkeys(claim.chapter for claim, _ in findings):
        mine = [(claim, found) for claim, found in findings if claim.chapter == chapter]
        lines = "".join(_line(claim, found) for claim, found in mine)
        parts.append(
            f'<div data-chapter="{chapter}"><p>Chapter {chapter}</p><ul>{lines}</ul></div>'
        )
    key = " ".join(
        f'<span class="{_kind(word)}"><b>{symbol}</b> {word}</span>'
        for word, symbol in SYMBOLS.items()
    )
    return HTML(f'<div class="claims-board"><p class="key">{key}</p>{"".join(parts)}</div>')


def _line(claim: Claim, found: Finding) -> str:
    unit = METRICS[claim.metric].unit
    printed = "no number" if claim.thesis_gap is None else f"{signed(claim.thesis_gap)} {unit}"
    told = f"{claim.text} Thesis: {printed}; ours: {interval(found.gap)} {unit}, {found.verdict}."
    link = f'<a href="{PAGES[claim.experiment]}.html">{html.escape(claim.name)}</a>'
    return (
        f'<li class="{_kind(found.verdict)}" title="{html.escape(told)}">'
        f'<b aria-label="{found.verdict}">{SYMBOLS[found.verdict]}</b> '
        f"{link}{_plot(claim, found)}</li>"
    )


def _kind(verdict: str) -> str:
    return verdict.replace(" ", "-")


def _plot(claim: Claim, found: Finding) -> str:
    """The gap in the claimed direction, its interval and the margin, as a small SVG."""
    low, mean, high = sorted(claim.expected_sign * x for x in (found.gap.low, found.gap.mean,
                                                               found.gap.high))  # fmt: skip
    if math.isnan(low + mean + high):
        return f'<svg width="{WIDTH}" height="{HEIGHT}" aria-hidden="true"></svg>'
    top = 1.1 * max(abs(low), abs(high), claim.margin)
    x = lambda value: f"{WIDTH / 2 * (1 + value / top):.1f}"  # noqa: E731
    band = WIDTH * claim.margin / top
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" aria-hidden="true">'
        f'<rect class="margin" x="{x(-claim.margin)}" y="0" width="{band:.1f}" height="{HEIGHT}"/>'
        f'<path class="zero" d="M{x(0)} 0V{HEIGHT}"/>'
        f'<path class="gap" d="M{x(low)} {HEIGHT / 2}H{x(high)}"/>'
        f'<circle class="gap" cx="{x(mean)}" cy="{HEIGHT / 2}" r="3"/></svg>'
    )
