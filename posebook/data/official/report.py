"""What `python -m posebook check` says about a folder: plain text, and a sheet of samples."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from posebook.storage import refuse_unwritable, whole


@dataclass
class Report:
    """What was found in a folder. Fill the lists, then print it; every method only adds or reads.

    Attributes:
        found: files and parts in words.
        missing: likewise; a missing one makes the data unusable.
        notes: what is worth knowing and no fault.
        counts: (what, found, official).
        problems: (what is wrong, remedy).
        samples: (title, RGB picture (H, W, 3) uint8) to look at.
    """

    dataset: str
    folder: Path
    found: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    counts: list[tuple[str, int, int]] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    samples: list[tuple[str, np.ndarray]] = field(default_factory=list)

    def problem(self, what: str | Exception, remedy: str) -> None:
        """Add a problem with what to do about it."""
        self.problems.append((str(what), remedy))

    def add_errors(
        self,
        errors: Sequence[Exception],
        most: int = 8,
        otherwise: str = "unpack the official archive anew",
    ) -> None:
        """Add errors: what is wrong before the first semicolon, the remedy behind it.

        Args:
            otherwise: the remedy where an error has none. The same words are told once. Of many
                errors only the first few are told, and how many more there are: usually it is one
                fault.
        """
        errors = list(dict.fromkeys(map(str, errors)))
        for problem in errors[:most]:
            what, _, remedy = problem.partition("; ")
            self.problem(what, remedy or otherwise)
        if len(errors) > most:
            self.problem(f"{len(errors) - most} more files are wrong", "mend these first")

    @property
    def wrong_counts(self) -> list[tuple[str, int, int]]:
        return [count for count in self.counts if count[1] != count[2]]

    @property
    def status(self) -> int:
        """Exit status: 0 where all is as it should be, else 1."""
        return int(bool(self.missing or self.problems or self.wrong_counts or not self.found))

    def __str__(self) -> str:
        lines = [f"{self.dataset} in {self.folder}"]
        lines += _section("found", self.found or ["nothing"])
        lines += _section("missing", self.missing)
        lines += _section("counts", [_count(*count) for count in self.counts])
        lines += _section("notes", self.notes)
        lines += _section("problems", [f"{what}\n    -> {todo}" for what, todo in self.problems])
        lines.append("Something is missing or wrong." if self.status else "All as it should be.")
        return "\n".join(lines)


def _section(title: str, items: Sequence[str]) -> list[str]:
    return [f"{title}:", *(f"  {item}" for item in items)] if items else []


def _count(what: str, found: int, official: int) -> str:
    verdict = "as official" if found == official else f"official: {official:,}"
    return f"{what}: {found:,} ({verdict})"


def contact_sheet(samples: Sequence[tuple[str, np.ndarray]], columns: int = 4) -> Figure:
    """A figure of all samples with their titles."""
    if not samples:
        raise ValueError("there are no samples to show: nothing could be read")
    columns = min(columns, len(samples))
    rows = -(-len(samples) // columns)
    figure = Figure(figsize=(2.6 * columns, 2.8 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, (title, picture) in zip(axes.flat, samples, strict=False):
        ax.imshow(picture)
        ax.set_title(title, fontsize=8)
    return figure


def refuse_sheet(folder: Path, path: Path) -> None:
    """Refuse a sheet before the work: nothing is written into the data folder, and none is made.

    Raises:
        ValueError, OSError: with the remedy.
    """
    if folder.resolve() in path.resolve().parents:
        raise ValueError(
            f"{path} lies in the data folder, where nothing is written; choose another"
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} into")
    refuse_unwritable(path.parent, "choose another place with --sheet")


def write_sheet(report: Report, path: Path) -> None:
    """The samples as one picture file. Raises as `refuse_sheet`."""
    refuse_sheet(report.folder, path)
    with whole(path) as file:
        contact_sheet(report.samples).savefig(file, dpi=110, format="png")
