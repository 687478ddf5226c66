"""Where things lie: the clone, the published results, runs and what runs share.

Three environment variables name other places: `POSEBOOK_RESULTS`, `POSEBOOK_RUNS` (a clone that one
may not write to, several people on one clone) and `POSEBOOK_CACHE`.
"""

import os
from pathlib import Path

CLONE = Path(__file__).resolve().parents[1]


def book_folder() -> Path:
    """The clone's `book`: prose, the thesis' numbers, published results.

    Raises:
        FileNotFoundError: where posebook does not run from a clone.
    """
    if not (CLONE / "book").is_dir():
        raise FileNotFoundError(
            "the published results stand in the clone's book/results, and this posebook does "
            "not run from a clone: install it with `pip install -e .` there, or set "
            "POSEBOOK_RESULTS to the folder"
        )
    return CLONE / "book"


def results_folder() -> Path:
    """The published results, `book/results` of the clone. Raises as `book_folder`."""
    named = os.environ.get("POSEBOOK_RESULTS")
    return Path(named).absolute() if named else book_folder() / "results"


def runs_folder() -> Path:
    """Checkpoints, logs and executed notebooks, `runs` of the clone."""
    return Path(os.environ.get("POSEBOOK_RUNS") or CLONE / "runs").absolute()


def cache_folder() -> Path:
    """Data and networks that many runs share, `cache` among the runs."""
    return Path(os.environ.get("POSEBOOK_CACHE") or runs_folder() / "cache").absolute()


def folder_of(dataset: str, folder: str | os.PathLike) -> Path:
    """Where runs on a data set lie: `folder` for the embedded ones and where none is named, else
    one of its own in it.

    So a run on official files neither replaces a published record nor joins its table;
    `read_results(..., folder="book/results/human36m")` reads such records.
    """
    embedded = not dataset or dataset.startswith("embedded-")
    return Path(folder) if embedded else Path(folder) / dataset
