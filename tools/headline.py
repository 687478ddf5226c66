"""Write the README's headline table from the published results.

    python tools/headline.py

Everything between the two markers in README.md is replaced; a test compares the two.
"""

from pathlib import Path

from posebook.results import read_results, summary
from posebook.thesis import printed

README = Path(__file__).resolve().parents[1] / "README.md"
START, END = "<!-- headline -->", "<!-- /headline -->"
ROWS = {
    "reproj": "re-projection loss alone (eq. 3.2)",
    "reproj-adv": "… with an adversarial loss",
    "trans-reproj": "transform re-projection loss (eq. 3.7)",
    "trans-reproj-da": "… with virtual cameras",
    "supervised": "*the same network with 3D labels (ours)*",
}
METRICS = ("mpjpe_mm", "p_mpjpe_mm")


def headline(profile: str = "laptop") -> str:
    """The table: thesis on Human3.6M beside ours on the embedded views."""
    runs = read_results(profile, "table-3.1")
    ours = {metric: summary(runs, metric) for metric in METRICS}
    lines = [
        "| Table 3.1 | thesis: MPJPE / P-MPJPE (mm) | ours: MPJPE / P-MPJPE (mm) |",
        "|---|---:|---:|",
    ]
    for row, title in ROWS.items():
        theirs = [printed("table-3.1", row, metric) for metric in METRICS]
        told = "–" if None in theirs else " / ".join(f"{value:.1f}" for value in theirs)
        means = [_mean(ours[metric], row) for metric in METRICS]
        lines.append(f"| {title} | {told} | {' / '.join(means)} |")
    return "\n".join(lines)


def _mean(table, row: str) -> str:
    if row not in table.index:
        return "not run"
    return f"{table.loc[row, 'mean']:.1f} ± {table.loc[row, 'std']:.1f}"


def main() -> None:
    """Replace the README's block."""
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(START)
    after = rest.split(END)[1]
    block = (
        f"{START}\n{headline()}\n\nMeans and standard deviations over three seeds, "
        f"`laptop` profile on two cores.\n{END}"
    )
    README.write_text(before + block + after, encoding="utf-8")


if __name__ == "__main__":
    main()
