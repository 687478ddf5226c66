"""What was done to takes on their way to a network, held against what a row says.

An option that is read in one place only has no effect on takes that came another way. So takes
carry what was done to them, and training asks.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields

# What rows of chapters 3 and 4 ask for, and what takes have to which nothing was done.
PLAIN: dict[str, object] = {
    "views": "real", "cameras": "known", "labels": "true", "noise": "full", "split": "subjects",
    "headings": "all",
    "long_takes": False, "recentre": "shift", "projection": "perspective",
}  # fmt: skip


def generated(variant: object) -> dict[str, object]:
    """What a row wants that is made with the embedded takes, and cannot be added to others."""
    names = ("noise", "split", "long_takes", "headings")
    return {name: getattr(variant, name, PLAIN[name]) for name in names}


def only_embedded(variant: object) -> bool:
    """Whether no other takes than the embedded ones can be as a row wants them."""
    return any(wish != PLAIN[name] for name, wish in generated(variant).items())


def refuse_generated(variant: object, whose: str) -> None:
    """Raise a ValueError if a row wants of some takes, in words, what only embedded ones have."""
    for name, wish in generated(variant).items():
        if wish != PLAIN[name]:
            raise ValueError(
                f"{name}={wish!r} is made with the embedded takes and cannot be given to {whose}; "
                f"choose a row with {name}={PLAIN[name]!r}"
            )


def check_done(
    done: Mapping[str, object], variant: object, names: Iterable[str], remedy: str
) -> None:
    """Raise a ValueError that ends with the remedy if takes are not as a row wants them.

    Args:
        names: the row's options that are about takes.
    """
    for name in names:
        there = done[name] if name in done else PLAIN[name]
        wish = getattr(variant, name) if hasattr(variant, name) else PLAIN[name]
        if there != wish:
            raise ValueError(
                f"the row wants {name}={wish!r} and its takes have {name}={there!r}; {remedy}"
            )


def check_takes(done: Mapping, variant: object, names: Iterable[str], maker: str) -> None:
    """As `check_done`, for what a row wants made with embedded takes too, by a module's `load`."""
    others = f"`{maker}.load` makes embedded takes so, and no others can be"
    check_done(done, variant, generated(variant), others)
    own = f"make them with {maker}.prepare_takes(takes, variant), embedded ones with `load`"
    check_done(done, variant, names, own)


def refuse_idle(variant: object, readers: Mapping[str, tuple[bool, str]]) -> None:
    """Raise a ValueError if a row sets an option that nothing in it reads.

    Args:
        readers: for each option, whether the row reads it, and what would.
    """
    defaults = {field.name: field.default for field in fields(variant)}
    for name, (read, reader) in readers.items():
        given = getattr(variant, name)
        if not read and given != defaults[name]:
            raise ValueError(
                f"{name}={given!r} has no effect on this row: it is read by {reader}; leave it at "
                f"{defaults[name]!r}"
            )
