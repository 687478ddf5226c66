"""Whether a published number still holds: what was found when today's code was held against it.

Checks lie in one file a profile, `checks.json` beside the results, and not in the records, which
are never rewritten. `python -m posebook confirm` writes them. A check belongs to the record as it
was: where the record has changed since, it says nothing.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from posebook.storage import whole

FILE = "checks.json"
REPRODUCED, MOVED = "reproduced", "moved"


@dataclass(frozen=True)
class Check:
    """What a replay of a record's first steps gave.

    Attributes:
        record: digest of the file.
        verdict: "reproduced" or "moved".
        commit: of the replay.
        device: of the replay.
        difference: the largest relative one of all losses and gradients; 0 is the same bits.
        why: what moved, in words.
    """

    record: str
    verdict: str
    commit: str
    device: str
    difference: float = 0.0
    why: str = ""


def digest_of(path: Path) -> str:
    """A short digest of a record's file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def name_of(path: Path) -> str:
    """The name of a record in the file of checks, "table-3.1/trans-reproj--seed0"."""
    return f"{path.parent.name}/{path.stem}"


def read_checks(folder: Path) -> dict[str, Check]:
    """All checks of one profile's folder of results; none where there is no file.

    Raises:
        ValueError: with file and remedy, if the file is not one of checks.
    """
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: Check(**entry) for name, entry in found.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path}: no file of checks ({error}); delete it and run `python -m posebook confirm`"
        ) from None


def write_checks(folder: Path, checks: Mapping[str, Check]) -> None:
    """Write all checks of one profile, a line each."""
    lines = [
        f" {json.dumps(name)}: {json.dumps(asdict(check), sort_keys=True)}"
        for name, check in sorted(checks.items())
    ]
    with whole(folder / FILE) as file:
        file.write(("{\n" + ",\n".join(lines) + "\n}\n").encode())


def state_of(path: Path, checks: Mapping[str, Check]) -> str:
    """What is known of a record's file: "moved", the commit at which it was last reproduced, or
    "" where nothing is known since it was made.
    """
    check = checks.get(name_of(path))
    if check is None or check.record != digest_of(path):
        return ""
    return MOVED if check.verdict == MOVED else check.commit
