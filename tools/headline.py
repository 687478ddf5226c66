"""Write the README's headline tables and picture, and the landing page's, from what is published.

    python tools/headline.py

Everything between the two markers in README.md is replaced, and book/headline.md is written; a test
compares both. The bodies are those of the page on hard examples, as it stored them; the gain at
hidden joints is drawn here.
"""

import base64
import re
from pathlib import Path
from typing import NamedTuple

import nbformat

from posebook.book.tables import behind
from posebook.book.thesis import printed
from posebook.experiments import catalogue
from posebook.palette import method_color
from posebook.paths import results_folder
from posebook.results.records import read_result, read_rows
from posebook.results.statistics import Gap, compare, summary
from posebook.video.conditions import EDGES

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
LANDING = ROOT / "book" / "headline.md"  # included by book/intro.md
PICTURE = ROOT / "book" / "_static" / "figure-3-1c.png"
START, END = "<!-- headline -->", "<!-- /headline -->"
NBSP = "\u00a0"


class Table(NamedTuple):
    """A table of the thesis that the README shows: what is measured, and the rows with titles.

    A row of another table is named with it, "table-2.5/...".
    """

    title: str
    metrics: tuple[str, ...]
    rows: dict[str, str]


TABLES = {
    "table-2.3": Table(
        "Tables 2.3 and 2.5, video: joints found within 0.2 of the box (%)",
        ("pck_0.2_mean13",),
        {
            "base-network/base": "*single frames, before any clip (ours)*",
            "res50": "single frames, trained on the clips",
            "res50-of": "… averaged along the optical flow",
            "res50-tce-s": "TCE, sum, past frames",
            "res50-tce-c": "TCE, ConvLSTM, past frames",
            "res50-tce-bc": "TCE, ConvLSTM, both directions",
            "table-2.5/res50-ms-tce-bc-re": "the same at four scales: the full model",
        },
    ),
    "table-3.1": Table(
        "Table 3.1, lifting: MPJPE / P-MPJPE (mm)",
        ("mpjpe_mm", "p_mpjpe_mm"),
        {
            "reproj": "re-projection loss alone (eq. 3.2)",
            "reproj-adv": "… with an adversarial loss",
            "trans-reproj": "transform re-projection loss (eq. 3.7)",
            "trans-reproj-da": "… with virtual cameras",
            "supervised": "*the same network with 3D labels (ours)*",
            "beyond-3/supervised-long": "*… trained as long as the next (ours)*",
            "beyond-3/consensus-augmented-flip": "*many views teach one, no 3D label (ours)*",
            "beyond-3/supervised-augmented-flip": "*… its recipe with 3D labels (ours)*",
        },
    ),
    "table-4.1": Table(
        "Table 4.1, without calibration: P-MPJPE (mm)",
        ("p_mpjpe_mm",),
        {
            "baseline": "direct prediction of the joints",
            "baseline-hd": "… of a code of the hierarchical dictionary",
            "baseline-adv": "… with an adversarial loss",
            "baseline-cf": "consistent factorization (eq. 4.8)",
        },
    ),
}


def headline(profile: str = "laptop") -> str:
    """The tables: the thesis' numbers on its data beside ours on the embedded data."""
    return "\n\n".join(_table(name, table, profile) for name, table in TABLES.items())


def _table(name: str, table: Table, profile: str) -> str:
    rows = {row if "/" in row else f"{name}/{row}": title for row, title in table.rows.items()}
    runs = read_rows(profile, rows)
    ours = {m: summary(runs, m) for m in table.metrics if m in runs}
    lines = [f"| {table.title} | thesis | ours |", "|---|---:|---:|"]
    for row, title in rows.items():
        theirs = [_theirs(row, metric) for metric in table.metrics]
        told = "–" if None in theirs else " / ".join(f"{value:.1f}" for value in theirs)
        means = [_mean(ours.get(metric), row) for metric in table.metrics]
        lines.append(f"| {title} | {told} | {' / '.join(dict.fromkeys(means))} |")
    return "\n".join(lines)


def _theirs(row: str, metric: str) -> float | None:
    """The thesis' number; None for a row of ours."""
    table, variant = row.split("/")
    return printed(table, variant, metric) if table.startswith("table-") else None


def _mean(table, row: str) -> str:
    if table is None or row not in table.index:
        return "not run"
    spread = table.loc[row]
    if spread["n"] < 2:
        return f"{spread['mean']:.1f} (1 seed)"
    return f"{spread['mean']:.1f}{NBSP}±{NBSP}{spread['high'] - spread['mean']:.1f}"


def cost(profile: str = "laptop") -> str:
    """How long the training of all published runs took, by chapter."""
    names = {"video": "chapter 2", "lifting": "chapter 3", "factorization": "chapter 4"}
    hours = dict.fromkeys(names, 0.0)
    for row in catalogue.rows().values():
        cores = 2 if row.experiment == "base-network" else 1
        for path in (results_folder() / profile / row.experiment).glob(f"{row.variant}--seed*"):
            hours[row.chapter] += cores * read_result(path)["wall_seconds"] / 3600
    told = ", ".join(f"{hours[chapter]:.1f} for {name}" for chapter, name in names.items())
    return f"Core hours of training behind all tables and figures: {told}."


# The landing page's three lines: chapter's page, what is asked, rows by what they are called.
RESULTS = (
    ("ch-table-2-3", "Do neighbouring frames help to find joints?", "pck_0.2_mean13",
     {"table-2.3/res50-sp": "With a pyramid of scales, a single frame finds {} % of them",
      "table-2.5/res50-ms-tce-bc-re": "a frame with its neighbours {} %"}),
    ("ch-table-3-1", "Can cameras teach depth without a 3D label?", "mpjpe_mm",
     {"table-3.1/reproj": "The error is {} mm where only the picture has to match",
      "table-3.1/trans-reproj": "{} mm where a second camera's picture has to match too",
      "table-3.1/supervised": "{} mm with 3D labels"}),
    ("ch-consensus", "Are 3D labels needed at all?", "mpjpe_mm",
     {"beyond-3/supervised-long":
      "With 3D labels, the network of the thesis after 10,000 steps: {} mm",
      "beyond-3/consensus-augmented-flip":
      "without labels, where the agreement of many views teaches a network of one view and "
      "training bodies are also shown from new sides: {} mm",
      "beyond-3/supervised-augmented-flip": "with labels, trained in this second way: {} mm"}),
    ("ch-table-4-1", "And if nobody knows where the cameras stood?", "p_mpjpe_mm",
     {"table-4.1/baseline": "After alignment {} mm by direct prediction",
      "table-4.1/baseline-cf": "{} mm by consistent factorization"}),
)  # fmt: skip


def landing(profile: str = "laptop") -> str:
    """The turning picture, the results, and where frames help, for the landing page.

    Under both pictures stands the command that computes them.
    """
    lines = []
    for page, question, metric, rows in RESULTS:
        table = summary(read_rows(profile, rows), metric)
        found = [text.format(_mean(table, row)) for row, text in rows.items()]
        numbers = re.fullmatch(r"ch-table-(\d)-(\d)", page)
        link = f"Table {'.'.join(numbers.groups())}" if numbers else "table"
        lines.append(f"* **{question}** {'; '.join(found)} ({{ref}}`{link} <{page}>`).")
    gains = gains_at_hidden_joints(profile)
    lines.insert(
        1,
        "* **Where do neighbouring frames help?** Where a joint is hidden now and in sight shortly "
        f"before or after: by {_px(gains['2–3'])} px where the nearest frame that shows it is two "
        f"or three frames away, by {_px(gains['0'])} px at joints in sight ({{ref}}`every "
        "condition <ch-not-seen>`, and the bars below).",
    )
    raw = "```{{raw}} html\n{}\n```\n"
    above = f"{raw.format(turning())}\n{behind('figure-3.1', profile)}\n\n"
    below = f"\n\n{raw.format(bars(gains))}\n{behind('conditions', profile)}\n"
    return above + "\n".join(lines) + below


def gains_at_hidden_joints(profile: str) -> dict[str, Gap]:
    """By how much the full model errs less than single frames, by frames to one with the joint."""
    rows = "conditions/res50", "conditions/res50-ms-tce-bc-re"
    runs, ends = read_rows(profile, rows), [*EDGES["away"][1:], None]
    gains = {}
    for k, (low, high) in enumerate(zip(EDGES["away"], ends, strict=True)):
        title = f"≥ {low}" if high is None else f"{low}–{high - 1}" if high - low > 1 else str(low)
        gains[title] = compare(runs, *rows, f"error_px_away_{k}")
    return gains


def _px(gap: Gap) -> str:
    return f"{gap.mean:.1f}{NBSP}±{NBSP}{gap.high - gap.mean:.1f}"


def bars(gains: dict[str, Gap], width: int = 480, height: int = 210) -> str:
    """The gains as an SVG with their intervals."""
    left, zero, step = 46, height - 46, (width - 56) / len(gains)
    scale = (zero - 14) / max(gap.high for gap in gains.values())
    ink, parts = 'stroke="currentColor"', []
    for k, (title, gap) in enumerate(gains.items()):
        x, top = left + (k + 0.5) * step, zero - scale * gap.mean
        low, high = zero - scale * gap.low, zero - scale * gap.high
        parts.append(
            f'<rect x="{x - 20:.1f}" y="{min(top, zero):.1f}" width="40" '
            f'height="{abs(zero - top):.1f}" fill="{method_color("Res50-MS-TCE-BC")}" '
            f'fill-opacity="0.6"/><path d="M{x:.1f} {low:.1f}V{high:.1f}" {ink} stroke-width="2"/>'
            f'<text x="{x:.1f}" y="{zero + 17}" text-anchor="middle">{title}</text>'
        )
    for px in range(0, int(max(gap.high for gap in gains.values())) + 1, 2):
        y = zero - scale * px
        parts.append(
            f'<path d="M{left} {y:.1f}H{width}" {ink} stroke-opacity="{0.6 if px == 0 else 0.2}"/>'
            f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{px}</text>'
        )
    told = "; ".join(f"{title}: {gap.mean:.1f} px" for title, gap in gains.items())
    return (
        '<figure class="gains">'
        f'<svg viewBox="0 0 {width} {height}" role="img" font-size="13" fill="currentColor" '
        f'aria-label="Gain by frames to the nearest one that shows the joint. {told}." '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}'
        f'<text x="{(left + width) / 2:g}" y="{height - 8}" text-anchor="middle">frames to the '
        f'nearest one in which the joint is seen</text><text transform="translate(13 '
        f'{zero / 2:g}) rotate(-90)" text-anchor="middle">gain (px)</text></svg><figcaption>By '
        "how many pixels the full model of chapter 2 errs less than single frames, which have no "
        "pyramid. A joint with 0 is in sight. Lines: 95 % intervals over seeds. The window reaches "
        "six frames to either side.</figcaption></figure>"
    )


def turning() -> str:
    """The figure that turns, as the page on hard examples stored it."""
    for output in (o for cell in _hard_examples() for o in cell.get("outputs", [])):
        shown = output.get("data", {}).get("text/html", "")
        if 'class="skeletons"' in shown:
            return shown
    raise ValueError("ch03_13_hard_examples.ipynb has no figure that turns; run `make notebooks`")


def _hard_examples():
    path = ROOT / "notebooks" / "ch03_13_hard_examples.ipynb"
    return nbformat.read(path, as_version=4).cells


def picture() -> bytes:
    """The stored PNG of the figure fig-3-1c."""
    for cell in _hard_examples():
        if cell.metadata.get("mystnb", {}).get("figure", {}).get("name") == "fig-3-1c":
            return base64.b64decode(cell.outputs[0].data["image/png"])
    raise ValueError("ch03_13_hard_examples.ipynb has no figure fig-3-1c; run `make notebooks`")


def main() -> None:
    """Replace the README's block and picture, and the landing page's."""
    LANDING.write_text(landing(), encoding="utf-8")
    PICTURE.write_bytes(picture())
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(START)
    after = rest.split(END)[1]
    block = (
        f"{START}\n{headline()}\n\nMeans over seeds with half of their 95 % interval (±), "
        f"`laptop` profile on two cores. {cost()}\n{END}"
    )
    README.write_text(before + block + after, encoding="utf-8")


if __name__ == "__main__":
    main()
