"""mmpose's repack of Human3.6M: flat arrays with a picture's name a row."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np

from posebook.data.formats import safe_pickle
from posebook.data.official.folders import find, has
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
from posebook.data.recorded.rig import human36m_rig
from posebook.data.records import ViewSequence
from posebook.geometry.skeleton import H36M


def mmpose_takes(folder: Path, detections: str, faults: Faults = None) -> Iterator[ViewSequence]:
    """Sequences of `annotation_body3d`, with the take as their action."""
    base = find(folder, "annotation_body3d")
    rate = next((rate for rate in ("fps50", "fps10") if has(base, rate)), "fps50")
    for split, subjects in (("train", TRAIN_SUBJECTS), ("test", TEST_SUBJECTS)):
        yield from _mmpose_split(base, rate, split, subjects, detections, faults)


def _mmpose_split(
    base: Path, rate: str, split: str, subjects, detections: str, faults: Faults
) -> Iterator[ViewSequence]:
    path = find(find(base, rate), f"h36m_{split}.npz")
    found = safe_pickle.read_npz(path, ["imgname", "part", "S"])
    names, part, S = (found.get(field) for field in ("imgname", "part", "S"))
    if not isinstance(names, np.ndarray) or names.dtype.kind not in "US" or names.ndim != 1:
        raise ValueError(f"{path}: there is no imgname with a picture's name a row")
    if detections != "gt":
        path_2d = find(find(base, "joint_2d_det_files"), f"{detections}_{split}.npy")
        part = safe_pickle.read_npy(path_2d)
    for field, array, width in (("part", part, 3), ("S", S, 4)):
        check_array(f"{path}: {field}", array, (len(H36M), width))
        if len(array) != len(names):
            raise ValueError(f"{path}: {field} has {len(array)} rows, imgname {len(names)}")
    rows: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for subject, take, camera, at in _grouped(path, names.astype(str)):
        if subject not in subjects:
            raise ValueError(f"{path}: {subject} is not of the {split} split")
        if (subject, take) != DROPPED:
            rows.setdefault((subject, take), {})[camera] = at
    fps = float(rate.removeprefix("fps"))
    for key, views in sorted(rows.items()):
        sequence = tried(faults, _mmpose_sequence, path, *key, views, part, S)
        if sequence is not None:
            yield replace(sequence, fps=fps)


def _grouped(path: Path, names: np.ndarray) -> Iterator[tuple[str, str, str, np.ndarray]]:
    """(subject, take, camera, rows in order of time) of names "S1/S1_Eating_2.54138969/….jpg".

    One sort of all names puts each camera's pictures of a take together and in order of time.
    """
    listed = names.tolist()
    order = sorted(range(len(listed)), key=listed.__getitem__)
    for folder, rows in groupby(order, key=lambda row: listed[row].rpartition("/")[0]):
        subject, _, rest = folder.partition("/")
        take, _, camera = rest.removeprefix(f"{subject}_").replace("_", " ").rpartition(".")
        if camera not in CAMERAS:
            raise ValueError(f"{path}: imgname has the folder {folder[:60]!r} of no camera")
        check_name(path, subject, take)
        yield subject, take, camera, np.fromiter(rows, dtype=np.intp)


def _mmpose_sequence(path: Path, subject, take, rows, part, S) -> ViewSequence:
    """One take from the rows of its four cameras; cut to the instants that all of them have."""
    lacking = [camera for camera in CAMERAS if camera not in rows]
    if lacking:
        raise ValueError(f"{path}: {subject}/{take} lacks camera {', '.join(lacking)}")
    T = min(len(at) for at in rows.values())
    views = [part[rows[camera][:T]] for camera in CAMERAS]
    rig = human36m_rig(subject)
    worlds = [c.to_world(S[rows[c.name][:T], :, :3].astype(np.float64)) for c in rig]
    apart = max(float(np.abs(world - worlds[0]).max()) for world in worlds[1:])
    if not apart < 0.01:
        raise ValueError(
            f"{path}: S of {subject}/{take} differs by {apart:.2f} m between the cameras; it must "
            "be in each camera's frame, in metres, the rows of a camera in order of time"
        )
    return as_sequence(path, subject, take, worlds[0], views)
