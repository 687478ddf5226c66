"""The official 3D data sets by the names of chapter 3's experiments.

Where they lie says `posebook.data.folders`; what must lie there, the module of each data set. That
is imported only where it is wanted: a result depends on the code of its own data set alone.
"""

from posebook.data.folders import data_folder
from posebook.data.records import ViewSequence


def load_views(dataset: str) -> tuple[list[ViewSequence], list[ViewSequence]]:
    """Training and test sequences of "human36m" (detected 2D), "human36m-gt" or "mpi-inf-3dhp".

    Raises FileNotFoundError or ValueError with the remedy if the files are missing or wrong.
    """
    if dataset in ("human36m", "human36m-gt"):
        from posebook.data import human36m

        detections = "gt" if dataset == "human36m-gt" else human36m.CPN
        return human36m.load_views(data_folder("human36m"), detections)
    if dataset == "mpi-inf-3dhp":
        from posebook.data import mpi_inf_3dhp

        return mpi_inf_3dhp.load_views(data_folder("mpi-inf-3dhp"))
    raise ValueError(
        f"{dataset!r} is no official data set of views; known: human36m, human36m-gt, mpi-inf-3dhp"
    )
