"""Say what is in a folder of an official data set, and what to do about what is wrong with it.

    python -m posebook check human36m                       in data/human36m
    python -m posebook check jhmdb /disk/JHMDB --sheet samples.png
"""

import importlib
from pathlib import Path

from posebook.data.official.folders import DATASETS, data_folder
from posebook.data.official.report import Report, refuse_sheet, write_sheet


def check(name: str, folder: Path) -> Report:
    """The report of the data set's own module, which is imported only here."""
    return importlib.import_module(f"posebook.data.official.{name.replace('-', '_')}").check(folder)


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
    report = check(name, folder)
    print(report)
    if sheet and not report.samples:
        print("No sheet is written: there is nothing that could be read and drawn.")
    elif sheet:
        write_sheet(report, sheet)
        print("written:", sheet)
    return report.status
