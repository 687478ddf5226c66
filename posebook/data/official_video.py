"""The official 2D data sets by the names of chapter 2's experiments.

Where their folders lie says `posebook.data.folders`; what lies in them, the module of each.
"""

import importlib

from posebook.data.folders import data_folder
from posebook.data.records import ImageSet, VideoClip

FOLDERS = {"sub-jhmdb": "jhmdb", "penn-action": "penn-action"}
STILLS = "mpii"  # pre-train the base network, whatever the clips


def load(
    dataset: str, kind: str, split: int = 1
) -> tuple[list[VideoClip], list[VideoClip]] | tuple[list[ImageSet], list[ImageSet]]:
    """Training and test records for "sub-jhmdb" or "penn-action", pictures as paths.

    kind: "clips" for one split of the data set itself, or "stills" for MPII's people, of whom
    those for validation stand in place of the test.

    Raises FileNotFoundError or ValueError, with the remedy, if files are missing or wrong.
    """
    if dataset not in FOLDERS:
        known = ", ".join(FOLDERS)
        raise ValueError(f"{dataset!r} is no official data set of clips; known: {known}")
    if kind == "stills":
        return tuple([part] for part in _module(STILLS).load_stills(data_folder(STILLS)))
    if kind == "clips":
        folder = FOLDERS[dataset]
        return _module(folder).load_clips(data_folder(folder), split)
    raise ValueError(f"unknown kind {kind!r}; known: clips, stills")


def _module(folder: str):
    """Imported only where it is wanted: a result depends on the code of its own data set alone."""
    return importlib.import_module(f"posebook.data.{folder.replace('-', '_')}")
