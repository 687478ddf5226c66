"""All of Human3.6M, from the form of files that a folder holds, and whether it is complete."""

import warnings
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from posebook.data.official.folders import has, listed, other_form
from posebook.data.official.human36m.fit import check_fit, lens_order, swap_lens
from posebook.data.official.human36m.mmpose import mmpose_takes
from posebook.data.official.human36m.takes import (
    ACTIONS,
    DAMAGED,
    TEST_SUBJECTS,
    TRAIN_SUBJECTS,
    Faults,
    canonical,
    tried,
)
from posebook.data.official.human36m.videopose3d import CPN, USE, videopose3d_takes
from posebook.data.records import ViewSequence

# Pictures of the four cameras together, once the detections are cut to the recorded 3D.
OFFICIAL_PICTURES = {"S1": 248_376, "S5 to S8": 1_311_376, "S9 and S11": 543_344}
OTHER_FORMS = {
    "*/MyPoses": "is 3d-baseline's form (.h5); pack the folders S1 to S11 in h36m.zip, inside a "
    "folder h36m, and run VideoPose3D's `prepare_data_h36m.py --from-archive h36m.zip`",
    "*/*/MyPoses": "is 3d-baseline's form (.h5); pack the folder h36m as h36m.zip and run "
    "VideoPose3D's `prepare_data_h36m.py --from-archive h36m.zip`",
    "h36m_sh_conf*.pkl": "is MotionBERT's form, one row a picture, its 3D in pixels; write "
    "joint_2d (T, 17, 2) and confidence side by side as positions_2d[subject][take] = [four of "
    "(T, 17, 3)] with VideoPose3D's metadata into data_2d_h36m_motionbert.npz, beside "
    "data_3d_h36m.npz, and ask for the detections 'motionbert'",
    "data_2d_custom_*.npz": "is VideoPose3D's form of one's own videos, COCO's joints without "
    f"cameras; {USE}",
    "*camera*.json": "has camera parameters, which are not read; nothing needs them, the published "
    "numbers are used",
}


def load_views(
    folder: Path, detections: str = CPN, damaged: bool = True
) -> tuple[list[ViewSequence], list[ViewSequence]]:
    """Training (S1, S5 to S8) and test (S9, S11) sequences of four views.

    Args:
        detections: "gt" for the true 2D joints, or what stands behind `data_2d_h36m_`.
        damaged: keep the three takes of S9 whose markers slipped. Where the file has no confidences
            they are 1.

    Raises:
        FileNotFoundError, ValueError: that names file, field and remedy; warns if there are not as
            many pictures as there should be.
    """
    folder = Path(folder)
    sequences = read_all(folder, detections)
    sequences = [s for s in sequences if damaged or (s.subject, s.action) not in DAMAGED]
    sequences = [replace(s, action=canonical(s.action)) for s in sequences]
    _check_complete(sequences, folder)
    train = [s for s in sequences if s.subject in TRAIN_SUBJECTS]
    return train, [s for s in sequences if s.subject in TEST_SUBJECTS]


def read_all(folder: Path, detections: str, faults: Faults = None) -> list[ViewSequence]:
    """All takes that fit their cameras, with the take as their action."""
    if _is_mmpose(folder):
        takes = mmpose_takes(folder, detections, faults)
    else:
        takes = videopose3d_takes(folder, detections, faults)
    bar = tqdm(takes, desc=f"Human3.6M, {detections}", unit="take", delay=5, leave=False)
    sequences = list(bar)
    if detections == "gt" and lens_order(sequences) == "swapped":
        sequences = [swap_lens(s) for s in sequences]
    return [s for s in sequences if tried(faults, check_fit, s)]


def _check_complete(sequences: list[ViewSequence], folder: Path) -> None:
    """All 15 actions of all subjects, or a ValueError; a warning if pictures are missing."""
    for gap in gaps(sequences):
        raise ValueError(
            f"{folder}: {gap}; the average is over all 15 actions, so take the whole files"
        )
    for part, found, official in counts(sequences):
        if found != official:
            warnings.warn(
                f"{folder}: {found:,} pictures of {part}, officially {official:,}; "
                "`python -m posebook check human36m` says more",
                stacklevel=3,
            )


def gaps(sequences: list[ViewSequence]) -> list[str]:
    """Which actions a subject lacks, one line a subject."""
    there = {(s.subject, canonical(s.action)) for s in sequences}
    gaps = []
    for subject in (*TRAIN_SUBJECTS, *TEST_SUBJECTS):
        lacking = [action for action in ACTIONS if (subject, action) not in there]
        if lacking:
            what = listed(lacking) if len(lacking) < len(ACTIONS) else "all 15 actions"
            gaps.append(f"{subject} lacks {what}")
    return gaps


def counts(sequences: list[ViewSequence]) -> list[tuple[str, int, int]]:
    """(part, pictures found, official) of the parts whose number is published.

    The damaged takes of S9 count if they are there, so only a load with them can be complete.
    """
    of = {s: 0 for s in (*TRAIN_SUBJECTS, *TEST_SUBJECTS)}
    for s in sequences:
        of[s.subject] += len(s) * len(s.cameras)
    found = (of["S1"], sum(of[s] for s in TRAIN_SUBJECTS[1:]), sum(of[s] for s in TEST_SUBJECTS))
    return [(p, n, official) for (p, official), n in zip(OFFICIAL_PICTURES.items(), found)]


def _is_mmpose(folder: Path) -> bool:
    """Whether it is mmpose's repack; FileNotFoundError that names another form, if it is that."""
    if has(folder, "data_3d_h36m.npz"):
        return False
    other = other_form(folder, OTHER_FORMS)
    if other and not has(folder, "annotation_body3d"):
        raise FileNotFoundError(f"{folder} has no data_3d_h36m.npz: {other}")
    return has(folder, "annotation_body3d")
