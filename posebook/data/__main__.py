"""Say what is in a folder of an official data set, and what to do about what is wrong with it.

    python -m posebook.data check human36m                       in data/human36m
    python -m posebook.data check jhmdb /disk/JHMDB --sheet samples.png

Exit status: 0 all as it should be, 1 something is missing or wrong, 2 nothing could be checked.
"""

import argparse
import importlib
import sys
from pathlib import Path

from posebook.data import folders
from posebook.data.report import Report, write_sheet


def check(name: str, folder: Path) -> Report:
    """The report of the data set's own module, which is imported only here."""
    return importlib.import_module(f"posebook.data.{name.replace('-', '_')}").check(folder)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m posebook.data",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="check")
    command = commands.add_parser("check", help="check a data set")
    command.add_argument("name", choices=folders.DATASETS)
    command.add_argument("folder", type=Path, nargs="?", help="default: where the book looks")
    command.add_argument("--sheet", type=Path, help="write samples to look at into this PNG file")
    wanted = parser.parse_args(arguments)
    try:
        folder = wanted.folder or folders.data_folder(wanted.name)
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}")
        report = check(wanted.name, folder)
        print(report)
        if wanted.sheet and not report.samples:
            print("No sheet is written: there is nothing that could be read and drawn.")
        elif wanted.sheet:
            write_sheet(report, wanted.sheet)
            print("written:", wanted.sheet)
    except (ValueError, OSError) as problem:
        print(f"Cannot check: {problem}.", file=sys.stderr)
        return 2
    return report.status


if __name__ == "__main__":
    sys.exit(main())
