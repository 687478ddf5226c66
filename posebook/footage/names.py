"""Which file is of which camera, by their names: Cam-1 and cam1.json, but not cam10.json."""

import re
from collections.abc import Iterable


def matching(name: str, others: Iterable[str]) -> list[str]:
    """The names that are the same but for case and separators; else those one of which stands in
    the other, and not in the middle of a number."""
    others = list(others)
    same = [other for other in others if _plain(other) == _plain(name)]
    return same or [other for other in others if _within(name, other) or _within(other, name)]


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())


def _within(part: str, whole: str) -> bool:
    if not (plain := _plain(part)):
        return False
    before, after = (r"(?<!\d)" * plain[0].isdigit(), r"(?!\d)" * plain[-1].isdigit())
    between = r"[\W_]*".join(map(re.escape, plain))
    return bool(re.search(before + between + after, whole.casefold()))
