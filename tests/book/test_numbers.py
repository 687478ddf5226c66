"""The thesis' tables and figures have the thesis' numbers, and ours never one of them."""

import re

from posebook.book.numbers import THESIS, renumbered

# The thesis' list of tables, and of figures (diagrams included).
TABLES = ["2.1", "2.2", "2.3", "2.4", "2.5", "3.1", "3.2", "3.3", "3.4", "4.1", "4.2", "4.3", "4.4"]
FIGURES = [f"2.{n}" for n in range(1, 10)] + [f"3.{n}" for n in range(1, 8)] + [
    f"4.{n}" for n in range(1, 5)
]  # fmt: skip


def spelled(number):
    return ".".join(map(str, number))


def test_all_tables_of_the_thesis_have_their_place():
    assert sorted(map(spelled, THESIS["table"].values())) == TABLES


def test_figures_of_the_thesis_are_figures_of_the_thesis():
    """All but 3.7; the page on unseen actions says why it is not there."""
    bare = {re.sub("[a-z]+$", "", spelled(number)) for number in THESIS["figure"].values()}
    assert bare == set(FIGURES) - {"3.7"}


def test_ours_are_counted_apart_in_the_order_of_the_book():
    counted = {
        "notebooks/ch03_12_table_3_1": {
            "table": {"tab-3-1-needs": (3, 17), "tab-3-1": (3, 18), "tab-3-1-gaps": (3, 19)}
        },
        "notebooks/ch03_01_cameras": {"table": {"tab-lens": (3, 2)}, "figure": {"fig-rig": (3, 1)}},
        "notebooks/claims": {"table": {"tab-claims-2": (2,), "tab-doubtful": (10,)}},
    }
    found = renumbered(counted)
    assert found["notebooks/ch03_12_table_3_1"]["table"] == {
        "tab-3-1": (3, "1"), "tab-3-1-needs": (3, "A2"), "tab-3-1-gaps": (3, "A3"),
    }  # fmt: skip
    assert found["notebooks/ch03_01_cameras"]["table"] == {"tab-lens": (3, "A1")}
    assert found["notebooks/ch03_01_cameras"]["figure"] == {"fig-rig": (3, "A1")}
    assert found["notebooks/claims"]["table"] == {"tab-claims-2": ("A1",), "tab-doubtful": ("A2",)}


def test_equations_keep_their_count():
    counted = {"book/ch03/index": {"displaymath": {"eq-reproj": (3, 2), "eq-t-reproj": (3, 5)}}}
    assert renumbered(counted) == counted
