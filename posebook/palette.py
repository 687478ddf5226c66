"""The book's colours, which every kind of colour vision tells apart (Okabe and Ito)."""

LEFT, RIGHT, MIDDLE = "#0072B2", "#D55E00", "#404040"  # of limbs: a mirrored body is seen at once
CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#404040")
BLUE, ORANGE, GREEN, PINK, AMBER, SKY, DARK = CYCLE
OTHER = "#808080"

# One name and one colour a method, in every figure: what a chapter proposes is blue, and what it
# measures itself by is dark. Methods that no figure shows together may share a colour.
METHODS = {
    "Res50": DARK, "Res50-SP": PINK, "Res50-OF": SKY, "Res50-TCE-S": GREEN, "Res50-TCE-C": AMBER,
    "Res50-TCE-BC": ORANGE, "Res50-SS-TCE-BC": PINK, "Res50-MS-TCE-BC": BLUE,
    "Reproj": ORANGE, "Reproj+ADV": AMBER, "Trans_Reproj": BLUE, "Trans_Reproj+DA": SKY,
    "Trans_Reproj+DA, label-free": GREEN, "Trans_Reproj, target weights": GREEN,
    "Trans_Reproj, λ = 3": SKY, "triangulated labels": PINK, "weighted triangulated labels": AMBER,
    "supervised": DARK,
    "Baseline": DARK, "Baseline+ADV": PINK, "Baseline+HD": AMBER, "Baseline+CF": BLUE,
    "C3DPO's training": GREEN,
}  # fmt: skip
# Rows that stand under another title where they are compared: the thesis' "Ours", or a setting.
ROWS = {
    "table-2.3/res50-tce-c": "Res50-TCE-C", "table-2.3/res50-tce-bc": "Res50-TCE-BC",
    "table-3.1/trans-reproj": "Trans_Reproj", "table-3.1/trans-reproj-da": "Trans_Reproj+DA",
    "table-4.1/baseline-cf": "Baseline+CF",
}  # fmt: skip


def method_color(title: str, row: str = "") -> str:
    """Colour of a method by the title of its row, or by the row itself; grey where it is none.

    What a title ends in is a condition, "Baseline+CF, no imitation" or "Res50-TCE-BC RE", unless
    the whole title is a method of its own.
    """
    for name in (title, ROWS.get(row, ""), *(title[:end] for end in range(len(title), 0, -1)
                                             if title[end:end + 1] in (",", " "))):  # fmt: skip
        if name in METHODS:
            return METHODS[name]
    return OTHER


def side_color(name: str) -> str:
    """Colour of a joint by its name: left, right or middle."""
    if name[:1] in "LR" and name[1:2].isupper():
        return LEFT if name[0] == "L" else RIGHT
    return MIDDLE
