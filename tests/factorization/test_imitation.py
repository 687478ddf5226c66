"""Table 4.1's rows without imitation."""

from dataclasses import asdict

import pytest

from posebook import factorization
from posebook.factorization import imitation


@pytest.mark.parametrize("name", imitation.ROWS)
def test_rows_differ_from_those_of_the_table_in_imitation_alone(name):
    alone = asdict(imitation.ROWS[name])
    row = asdict(factorization.rows.VARIANTS[imitation.TABLE[name]])
    assert {name for name in row if alone[name] != row[name]} == {"imitation"}
    assert row["imitation"] and not alone["imitation"]


def test_a_run_says_which_code_made_it():
    record = imitation.run("smoke", "adv-alone", 0)
    assert (record["experiment"], record["variant"]) == ("imitation-4.1", "adv-alone")
    assert "posebook.factorization.imitation" in record["modules"]
    assert record["metrics"]["p_mpjpe_mm"] > 0


def test_no_other_row_is_run():
    with pytest.raises(ValueError, match="unknown variant 'omega'; known: cf-alone, hd-alone"):
        imitation.run("smoke", "omega", 0)


def test_the_graph_has_every_row(root):
    text = (root / "Snakefile").read_text(encoding="utf-8")
    assert all(f'"{name}"' in text for name in imitation.ROWS)
