"""Write the README's headline table and picture from what is published.

    python tools/headline.py

Everything between the two markers in README.md is replaced; a test compares the two. The picture
is Figure 3.1c as the page on hard examples stored it.
"""

import base64
from pathlib import Path

import nbformat

from posebook.results import read_results, summary
from posebook.thesis import printed

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PICTURE = ROOT / "book" / "_static" / "figure-3-1c.png"
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


def picture() -> bytes:
    """The stored PNG of the figure fig-3-1c."""
    notebook = nbformat.read(ROOT / "notebooks" / "ch03_14_hard_examples.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.metadata.get("mystnb", {}).get("figure", {}).get("name") == "fig-3-1c":
            return base64.b64decode(cell.outputs[0].data["image/png"])
    raise ValueError("ch03_14_hard_examples.ipynb has no figure fig-3-1c; run `make notebooks`")


def main() -> None:
    """Replace the README's block and picture."""
    PICTURE.write_bytes(picture())
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
