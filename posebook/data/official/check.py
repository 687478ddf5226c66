"""Say what is in a folder of an official data set, and what to do about what is wrong with it.

    python -m posebook check human36m                       in data/human36m
    python -m posebook check jhmdb /disk/JHMDB --sheet samples.png
"""

from contextlib import suppress
from pathlib import Path

from posebook.data.official.folders import DATASETS, data_folder, module_of
from posebook.data.official.report import refuse_sheet, write_sheet


def check_and_say(name: str, folder: Path | None = None, sheet: Path | None = None) -> int:
    """Print the report of a data set; returns 0 if all is as it should be, else 1.

    Args:
        folder: default where the book looks.
        sheet: a PNG file for samples to look at.

    Raises:
        ValueError: for an unknown data set.
        OSError: where there is no such folder, or no place for the sheet.
    """
    if name not in DATASETS:
        raise ValueError(f"unknown data set {name!r}; known: {', '.join(DATASETS)}")
    folder = folder or data_folder(name)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    if sheet:
        refuse_sheet(folder, sheet)
    report = module_of(name).check(folder)
    print(report)
    if not report.found and (deeper := _one_deeper(name, folder)):
        print(f"But {deeper} holds {name}: give that folder, or move what is in it up.")
    if sheet and not report.samples:
        print("No sheet is written: there is nothing that could be read and drawn.")
    elif sheet:
        write_sheet(report, sheet)
        print("written:", sheet)
    return report.status


def _one_deeper(name: str, folder: Path) -> Path | None:
    """The folder in this one in which something of the data set is found."""
    for path in sorted(path for path in folder.iterdir() if path.is_dir()):
        with suppress(ValueError, OSError):
            if module_of(name).check(path).found:
                return path
    return None
