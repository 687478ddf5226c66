"""The official data sets by the names of the experiments, from the folders where they lie.

Where that is says `posebook.data.folders`; what must lie there, the module of each data set.
"""

import importlib

from posebook.data import human36m, mpi_inf_3dhp
from posebook.data.folders import data_folder
from posebook.data.records import ImageSet, VideoClip, ViewSequence

_CLIPS = {"sub-jhmdb": "jhmdb", "penn-action": "penn-action"}  # and their folders


def load_views(dataset: str) -> tuple[list[ViewSequence], list[ViewSequence]]:
    """Training and test sequences of "human36m" (detected 2D), "human36m-gt" or "mpi-inf-3dhp".

    Raises FileNotFoundError or ValueError with the remedy if the files are missing or wrong.
    """
    if dataset in ("human36m", "human36m-gt"):
        detections = "gt" if dataset == "human36m-gt" else human36m.CPN
        return human36m.load_views(data_folder("human36m"), detections)
    if dataset == "mpi-inf-3dhp":
        return mpi_inf_3dhp.load_views(data_folder("mpi-inf-3dhp"))
    raise ValueError(
        f"{dataset!r} is no official data set of views; known: human36m, human36m-gt, mpi-inf-3dhp"
    )


def load_clips(dataset: str, split: int = 1) -> tuple[list[VideoClip], list[VideoClip]]:
    """Training and test clips of one split of "sub-jhmdb" or "penn-action", pictures as paths."""
    if dataset not in _CLIPS:
        raise ValueError(
            f"{dataset!r} is no official data set of clips; known: {', '.join(_CLIPS)}"
        )
    return _module(_CLIPS[dataset]).load_clips(data_folder(_CLIPS[dataset]), split)


def load_stills(dataset: str = "mpii") -> tuple[ImageSet, ImageSet]:
    """People for training and for validation of "mpii", pictures as paths."""
    if dataset != "mpii":
        raise ValueError(f"{dataset!r} is no official data set of stills; known: mpii")
    return _module(dataset).load_stills(data_folder(dataset))


def _module(folder: str):
    """Imported only where it is wanted: a result depends on the code of its own data set alone."""
    return importlib.import_module(f"posebook.data.{folder.replace('-', '_')}")
