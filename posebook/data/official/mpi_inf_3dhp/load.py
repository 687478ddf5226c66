"""All of MPI-INF-3DHP, and whether it is complete."""

import warnings
from pathlib import Path

from tqdm import tqdm

from posebook.data.official.mpi_inf_3dhp.archive import (
    OFFICIAL_FRAMES,
    OFFICIAL_VALID,
    SCALES,
    nothing_of_it,
)
from posebook.data.official.mpi_inf_3dhp.recordings import by_activity, read_test
from posebook.data.official.mpi_inf_3dhp.training import read_training
from posebook.data.records import ViewSequence


def load_views(
    folder: Path, scale: str = "metric"
) -> tuple[list[ViewSequence], list[ViewSequence]]:
    """Training sequences of five views, and the valid test frames, one view each.

    A test sequence is one activity of one test subject: frames in order, with gaps between.

    Args:
        scale: "metric" (`annot3`) as the people were, or "universal" (`univ_annot3`), where
            everybody has the height of one skeleton: the official truth. In universal scale the
            cameras of a training sequence move with it, so 2D joints stay what they are. There are
            no detections in the files: 2D joints are the annotated ones, with confidence 1.

    Raises:
        FileNotFoundError, ValueError: that names file, field and remedy; warns if frames are
            missing.
    """
    if scale not in SCALES:
        raise ValueError(f"unknown scale {scale!r}; known: {', '.join(SCALES)}")
    folder = Path(folder)
    nothing = nothing_of_it(folder)
    if nothing:
        raise FileNotFoundError(nothing)
    train = [
        read_training(folder, subject, number, scale)
        for subject, number in tqdm(OFFICIAL_FRAMES, desc="MPI-INF-3DHP", delay=5, leave=False)
    ]
    test = [s for number in OFFICIAL_VALID for s in by_activity(read_test(folder, number), scale)]
    for what, sequences, officially in (
        ("training frames a camera", train, OFFICIAL_FRAMES),
        ("valid test frames", test, OFFICIAL_VALID),
    ):
        found, official = sum(len(s) for s in sequences), sum(officially.values())
        if found != official:
            warnings.warn(
                f"{folder}: {found:,} {what}, officially {official:,}; "
                "`python -m posebook check mpi-inf-3dhp` says more",
                stacklevel=2,
            )
    return train, test
