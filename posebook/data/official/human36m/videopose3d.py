"""VideoPose3D's files of Human3.6M: positions in space, and detections."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posebook.data.formats import safe_pickle
from posebook.data.official.folders import find, listed
from posebook.data.official.human36m.takes import (
    CAMERAS,
    DROPPED,
    TEST_SUBJECTS,
    TRAIN_SUBJECTS,
    Faults,
    as_sequence,
    check_array,
    check_name,
    tried,
)
from posebook.data.records import ViewSequence
from posebook.geometry.skeleton import H36M

WITHOUT_3D = ("S2", "S3", "S4")  # are in files of detections all the same
# Of the 32 recorded joints the 17 that move, in the order of `skeleton.H36M`.
KEPT = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
RECORDED = 32
CPN = "cpn_ft_h36m_dbb"  # the detections of Chen et al. that VideoPose3D hands on
SYMMETRY = (
    [i for i, name in enumerate(H36M.names) if name[0] == "L" and name[1].isupper()],
    [i for i, name in enumerate(H36M.names) if name[0] == "R" and name[1].isupper()],
)
USE = f"take data_2d_h36m_{CPN}.npz or data_2d_h36m_gt.npz of VideoPose3D"


def read_positions(path: Path, faults: Faults = None) -> dict[str, dict[str, np.ndarray]]:
    """`positions[subject][take]` (T, 17, 3), world, metres, of `data_3d_h36m.npz`.

    Args:
        faults: takes the error about missing subjects.

    Raises:
        ValueError: with file, field and remedy.
    """
    found = safe_pickle.read_npz(path, ["positions_3d"])
    positions = _subjects(path, "positions_3d", found.get("positions_3d"), (), faults)
    for subject, takes in positions.items():
        for take, joints in takes.items():
            where = f"{path}: positions_3d of {subject}/{take}"
            check_array(where, joints, (RECORDED, 3))
            takes[take] = joints[:, KEPT]
            if np.abs(takes[take]).max(initial=0) > 50:  # the hall is ten metres long
                raise ValueError(f"{where} is not in metres; divide millimetres by 1000")
    return positions


@dataclass(frozen=True)
class Detections:
    """positions[subject][take]: one (T, 17, 2) or (T, 17, 3) for each of the four cameras."""

    positions: dict[str, dict[str, list[np.ndarray]]]
    layout: str


def read_detections(path: Path, faults: Faults = None) -> Detections:
    """Of a `data_2d_h36m_*.npz`; `layout_name` may be absent.

    Args:
        faults: takes the error about missing subjects.

    Raises:
        ValueError: for other joints, such as COCO's, and for what does not fit.
    """
    found = safe_pickle.read_npz(path, ["positions_2d", "metadata"])
    layout = _layout(path, found.get("metadata"))
    positions = _subjects(path, "positions_2d", found.get("positions_2d"), WITHOUT_3D, faults)
    for subject, takes in positions.items():
        for take, views in takes.items():
            where = f"{path}: positions_2d of {subject}/{take}"
            if type(views) is tuple or (isinstance(views, np.ndarray) and views.ndim):
                views = takes[take] = list(views)
            if type(views) is not list or len(views) != len(CAMERAS):
                raise ValueError(f"{where} must be a list of {len(CAMERAS)} views, one a camera")
            for view in views:
                check_array(where, view, (len(H36M), 2), (len(H36M), 3))
            if len({view.shape[-1] for view in views}) > 1:
                raise ValueError(f"{where} has confidences in some views only; take the whole file")
    return Detections(positions, layout)


def _layout(path: Path, metadata: object) -> str:
    """Name of the joint layout, "unnamed" if the file has none; other joints are refused."""
    if type(metadata) is not dict:
        raise ValueError(f"{path}: there is no field metadata; it is no file of VideoPose3D's")
    symmetry = metadata.get("keypoints_symmetry")
    try:
        sides = [sorted(int(joint) for joint in side) for side in symmetry]
    except (TypeError, ValueError, OverflowError):
        sides = None
    layout = metadata.get("layout_name", "unnamed")
    if type(layout) is not str:  # nested lists would be written out, and some never end
        layout = "unnamed"
    if metadata.get("num_joints") == 16:
        raise ValueError(
            f"{path}: metadata is of 16 joints, those of a stacked hourglass, which lack "
            f"Human3.6M's Spine and Nose; {USE}"
        )
    if metadata.get("num_joints") != len(H36M) or sides != [sorted(side) for side in SYMMETRY]:
        raise ValueError(
            f"{path}: metadata (layout {layout[:20]!r}) is not of Human3.6M's 17 joints "
            f"(a COCO network's are others); {USE}"
        )
    return layout[:20]


def _subjects(path: Path, field: str, table: object, without_3d: tuple, faults: Faults) -> dict:
    """`table` as {subject: {take: ...}} of the seven subjects, or a ValueError."""
    if type(table) is not dict:
        there = listed(safe_pickle.fields_of(path))
        raise ValueError(
            f"{path}: there is no dictionary {field}; it has {there}; take a file of VideoPose3D's"
        )
    known = (*TRAIN_SUBJECTS, *TEST_SUBJECTS)
    for subject, takes in table.items():
        if subject not in (*known, *without_3d) or type(takes) is not dict:
            raise ValueError(f"{path}: {field} has {str(subject)[:20]!r}, which is no subject")
        for take in takes:
            if type(take) is not str:
                raise ValueError(f"{path}: {field} of {subject} has a take without a name")
            if subject in known:
                check_name(path, subject, take)
    tried(faults, _check_none_missing, path, field, [s for s in known if s not in table])
    return {subject: table[subject] for subject in known if subject in table}


def _check_none_missing(path: Path, field: str, missing: list[str]) -> None:
    if missing:
        raise ValueError(f"{path}: {field} lacks {listed(missing)}; take the whole file")


def videopose3d_takes(
    folder: Path, detections: str, faults: Faults = None
) -> Iterator[ViewSequence]:
    """Sequences with the take as their action. Tables are emptied on the way, to save memory."""
    path_2d = find(folder, f"data_2d_h36m_{detections}.npz")
    positions = read_positions(find(folder, "data_3d_h36m.npz"), faults)
    found = read_detections(path_2d, faults).positions
    for subject in [subject for subject in positions if subject in found]:
        takes = positions[subject]
        lacking = sorted(take for take in takes if take not in found[subject])
        tried(faults, _check_same_takes, path_2d, subject, lacking)
        for take in sorted(takes.keys() & found[subject].keys()):
            if (subject, take) == DROPPED:
                continue
            views, world = found[subject].pop(take), takes.pop(take)
            sequence = tried(faults, as_sequence, path_2d, subject, take, world, views)
            if sequence is not None:
                yield sequence


def _check_same_takes(path: Path, subject: str, lacking: list[str]) -> None:
    if lacking:
        raise ValueError(
            f"{path}: positions_2d of {subject} lacks {listed(lacking)}, which data_3d_h36m.npz "
            "has; take both files from one preparation"
        )
