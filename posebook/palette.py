"""The book's colours, which every kind of colour vision tells apart (Okabe and Ito)."""

LEFT, RIGHT, MIDDLE = "#0072B2", "#D55E00", "#404040"  # of limbs: a mirrored body is seen at once
CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#404040")


def side_color(name: str) -> str:
    """Colour of a joint by its name: left, right or middle."""
    if name[:1] in "LR" and name[1:2].isupper():
        return LEFT if name[0] == "L" else RIGHT
    return MIDDLE
