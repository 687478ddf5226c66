"""Human3.6M from the files that people hold: VideoPose3D's .npz, or mmpose's repack.

VideoPose3D: `data_3d_h36m.npz` (world, metres, 32 joints) and one or more of
`data_2d_h36m_<detections>.npz` (pixels, 17 joints, four views), such as `gt` and
`cpn_ft_h36m_dbb`. mmpose: `annotation_body3d/fps50/h36m_{train,test}.npz`, flat arrays with a
picture's name a row. Cameras are the published numbers in either case; see
`posebook.data.recorded.rig`.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from pathlib import Path

import numpy as np
from tqdm import tqdm

from posebook.data.formats import safe_pickle
from posebook.data.official.folders import find, listed, other_form
from posebook.data.official.report import Report
from posebook.data.recorded.rig import human36m_rig
from posebook.data.records import ViewSequence
from posebook.geometry.camera import Camera
from posebook.geometry.skeleton import H36M

# Where this is a list, what is wrong with one take is put into it and the others are read.
Faults = list[Exception] | None
TRAIN_SUBJECTS = ("S1", "S5", "S6", "S7", "S8")
TEST_SUBJECTS = ("S9", "S11")
WITHOUT_3D = ("S2", "S3", "S4")  # are in files of detections all the same
ACTIONS = (
    "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases",
    "Sitting", "SittingDown", "Smoking", "Waiting", "WalkDog", "WalkTogether", "Walking",
)  # fmt: skip
_OTHER_NAMES = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog", "WalkingTogether": "WalkTogether"}
CAMERAS = tuple(camera.name for camera in human36m_rig("S1"))
FPS = 50.0
# Of the 32 recorded joints the 17 that move, in the order of `skeleton.H36M`.
KEPT = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
RECORDED = 32
CPN = "cpn_ft_h36m_dbb"  # the detections of Chen et al. that VideoPose3D hands on
# A camera's video is corrupt, so VideoPose3D and all who compare with it leave this take out.
DROPPED = ("S11", "Directions")
# The markers of these takes slipped; their poses stand some way from the pictures (Iskakov et al.
# 2019 leave them out, most others do not).
DAMAGED = (("S9", "Greeting"), ("S9", "SittingDown 1"), ("S9", "Waiting 1"))
# Pictures of the four cameras together, once the detections are cut to the recorded 3D.
OFFICIAL_PICTURES = {"S1": 248_376, "S5 to S8": 1_311_376, "S9 and S11": 543_344}
SYMMETRY = (
    [i for i, name in enumerate(H36M.names) if name[0] == "L" and name[1].isupper()],
    [i for i, name in enumerate(H36M.names) if name[0] == "R" and name[1].isupper()],
)
# Median distance between detections and projected truth above which they cannot be of one take.
# A detector is some 5 px away, a slipped marker some 50, another camera's view some 200.
MOST_DISTANCE = 100.0
EXACT = 0.02  # pixels: a projection in single precision
_USE = f"take data_2d_h36m_{CPN}.npz or data_2d_h36m_gt.npz of VideoPose3D"
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
    f"cameras; {_USE}",
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
    sequences = _read_all(folder, detections)
    sequences = [s for s in sequences if damaged or (s.subject, s.action) not in DAMAGED]
    sequences = [replace(s, action=canonical(s.action)) for s in sequences]
    _check_complete(sequences, folder)
    train = [s for s in sequences if s.subject in TRAIN_SUBJECTS]
    return train, [s for s in sequences if s.subject in TEST_SUBJECTS]


def _read_all(folder: Path, detections: str, faults: Faults = None) -> list[ViewSequence]:
    """All takes that fit their cameras, with the take as their action."""
    if _is_mmpose(folder):
        takes = _mmpose_takes(folder, detections, faults)
    else:
        takes = _videopose3d_takes(folder, detections, faults)
    bar = tqdm(takes, desc=f"Human3.6M, {detections}", unit="take", delay=5, leave=False)
    sequences = list(bar)
    if detections == "gt" and lens_order(sequences) == "swapped":
        sequences = [_swap_lens(s) for s in sequences]
    return [s for s in sequences if _tried(faults, _check_fit, s)]


def _tried(faults: Faults, read: Callable, *arguments: object) -> object:
    """What `read` returns; None where it raises ValueError and `faults` takes that instead."""
    try:
        return read(*arguments)
    except ValueError as problem:
        if faults is None:
            raise
        faults.append(problem)
        return None


def canonical(key: str) -> str:
    """The action of a take: "Directions 1" is of "Directions", "TakingPhoto" is "Photo".

    Raises:
        ValueError: for what is no action of Human3.6M.
    """
    name = key.split(" ")[0]
    name = _OTHER_NAMES.get(name, name)
    if name not in ACTIONS:
        raise ValueError(f"{key!r} is no action of Human3.6M; known: {', '.join(ACTIONS)}")
    return name


def lens_order(sequences: list[ViewSequence]) -> str:
    """In which order the tangential distortion was used for true 2D joints.

    "metadata": as the data set has it; "swapped": VideoPose3D's formula was given the numbers in
    the data set's own order, which moves points by up to 1.1 px; "unknown": neither fits.
    """
    for order, change in (("metadata", lambda s: s), ("swapped", _swap_lens)):
        if all(distances(change(s)).max() < EXACT for s in sequences):
            return order
    return "unknown"


def distances(sequence: ViewSequence, frames: int = 8) -> np.ndarray:
    """Median distance (V,) in pixels between 2D joints and projected 3D joints, a few frames."""
    return np.diagonal(_distances(sequence, frames))


def _distances(sequence: ViewSequence, frames: int) -> np.ndarray:
    """Median distance (V, V) of each view's 2D joints from the projection into each camera."""
    at = np.unique(np.linspace(0, len(sequence) - 1, frames).astype(int))
    world = sequence.joints_3d[at].astype(np.float64)
    projected = np.stack([camera.project(world) for camera in sequence.cameras], axis=1)
    apart = np.linalg.norm(sequence.joints_2d[at, :, None] - projected[:, None], axis=-1)
    return np.median(np.nan_to_num(apart, nan=np.inf), axis=(0, 3))  # behind a camera: no pixel


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
            _check_array(where, joints, (RECORDED, 3))
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
                _check_array(where, view, (len(H36M), 2), (len(H36M), 3))
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
    if metadata.get("num_joints") == 16:
        raise ValueError(
            f"{path}: metadata is of 16 joints, those of a stacked hourglass, which lack "
            f"Human3.6M's Spine and Nose; {_USE}"
        )
    if metadata.get("num_joints") != len(H36M) or sides != [sorted(side) for side in SYMMETRY]:
        raise ValueError(
            f"{path}: metadata (layout {str(layout)[:20]!r}) is not of Human3.6M's 17 joints "
            f"(a COCO network's are others); {_USE}"
        )
    return str(layout)[:20]


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
                _named(path, subject, take)
    _tried(faults, _check_none_missing, path, field, [s for s in known if s not in table])
    return {subject: table[subject] for subject in known if subject in table}


def _check_none_missing(path: Path, field: str, missing: list[str]) -> None:
    if missing:
        raise ValueError(f"{path}: {field} lacks {listed(missing)}; take the whole file")


def _named(path: Path, subject: str, take: str) -> None:
    try:
        canonical(take)
    except ValueError as problem:
        raise ValueError(f"{path}: {subject}: {problem}") from None


def _check_array(where: str, array: object, *shapes: tuple[int, ...]) -> None:
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        raise ValueError(f"{where} is no array of floating-point numbers")
    if array.shape[1:] not in shapes or len(array) == 0:
        wanted = " or ".join(f"(T, {', '.join(map(str, shape))})" for shape in shapes)
        raise ValueError(f"{where} must be {wanted}, got {array.shape}")


def _videopose3d_takes(
    folder: Path, detections: str, faults: Faults = None
) -> Iterator[ViewSequence]:
    """Sequences with the take as their action. Tables are emptied on the way, to save memory."""
    path_2d = find(folder, f"data_2d_h36m_{detections}.npz")
    positions = read_positions(find(folder, "data_3d_h36m.npz"), faults)
    found = read_detections(path_2d, faults).positions
    for subject in [subject for subject in positions if subject in found]:
        takes = positions[subject]
        lacking = sorted(take for take in takes if take not in found[subject])
        _tried(faults, _check_same_takes, path_2d, subject, lacking)
        for take in sorted(takes.keys() & found[subject].keys()):
            if (subject, take) == DROPPED:
                continue
            views, world = found[subject].pop(take), takes.pop(take)
            sequence = _tried(faults, _sequence, path_2d, subject, take, world, views)
            if sequence is not None:
                yield sequence


def _check_same_takes(path: Path, subject: str, lacking: list[str]) -> None:
    if lacking:
        raise ValueError(
            f"{path}: positions_2d of {subject} lacks {listed(lacking)}, which data_3d_h36m.npz "
            "has; take both files from one preparation"
        )


def _sequence(path: Path, subject: str, take: str, world, views) -> ViewSequence:
    """One take; detections are cut to the frames that have a recorded pose, first ones kept."""
    T = len(world)
    short = min(len(view) for view in views)
    if short < T:
        raise ValueError(
            f"{path}: positions_2d of {subject}/{take} has {short} frames, its 3D {T}; take both "
            "files from one preparation"
        )
    joints = np.stack([view[:T, :, :2] for view in views], axis=1).astype(np.float32, copy=False)
    if all(view.shape[-1] == 3 for view in views):
        confidence = np.stack([view[:T, :, 2] for view in views], axis=1).astype(np.float32)
        source = path.name
    else:
        confidence = np.broadcast_to(np.float32(1), joints.shape[:-1])  # takes no memory
        source = f"{path.name} (no confidences: all 1)"
    return ViewSequence(
        joints_2d=joints,
        confidence=confidence,
        cameras=human36m_rig(subject),
        subject=subject,
        action=take,
        fps=FPS,
        split="train" if subject in TRAIN_SUBJECTS else "test",
        joints_3d=world.astype(np.float32, copy=False),
        source=source,
    )


def _swap_lens(sequence: ViewSequence) -> ViewSequence:
    source = f"{sequence.source}, tangential distortion swapped"
    return replace(sequence, cameras=_swapped_rig(sequence.subject), source=source)


@cache
def _swapped_rig(subject: str) -> tuple[Camera, ...]:
    """Made once: how far a lens reaches takes longer to find than a take to project."""
    return tuple(replace(c, tangential=c.tangential[::-1]) for c in human36m_rig(subject))


def _check_fit(sequence: ViewSequence) -> bool:
    """True where detections and recorded joints are of the same instants, cameras and units."""
    if (sequence.subject, sequence.action) in DAMAGED:
        return True
    apart = _distances(sequence, frames=8)
    far, nearest = np.diagonal(apart), apart.argmin(axis=1)
    if (nearest != np.arange(len(nearest))).any():
        view = int(np.flatnonzero(nearest != np.arange(len(nearest)))[0])
        problem = f"of camera {CAMERAS[view]} fit camera {CAMERAS[nearest[view]]} better"
    elif far.max() > MOST_DISTANCE:
        view = int(far.argmax())
        problem = f"lie {far[view]:.0f} px (median) from the 3D joints in camera {CAMERAS[view]}"
    else:
        return True
    raise ValueError(
        f"{sequence.source}: joints_2d of {sequence.subject}/{sequence.action} {problem}; 2D and "
        "3D are not of one preparation, or views, axes or units are changed"
    )


def _check_complete(sequences: list[ViewSequence], folder: Path) -> None:
    """All 15 actions of all subjects, or a ValueError; a warning if pictures are missing."""
    for gap in _gaps(sequences):
        raise ValueError(
            f"{folder}: {gap}; the average is over all 15 actions, so take the whole files"
        )
    for part, found, official in _counts(sequences):
        if found != official:
            warnings.warn(
                f"{folder}: {found:,} pictures of {part}, officially {official:,}; "
                "`python -m posebook check human36m` says more",
                stacklevel=3,
            )


def _gaps(sequences: list[ViewSequence]) -> list[str]:
    """Which actions a subject lacks, one line a subject."""
    there = {(s.subject, canonical(s.action)) for s in sequences}
    gaps = []
    for subject in (*TRAIN_SUBJECTS, *TEST_SUBJECTS):
        lacking = [action for action in ACTIONS if (subject, action) not in there]
        if lacking:
            what = listed(lacking) if len(lacking) < len(ACTIONS) else "all 15 actions"
            gaps.append(f"{subject} lacks {what}")
    return gaps


def _counts(sequences: list[ViewSequence]) -> list[tuple[str, int, int]]:
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
    if _has(folder, "data_3d_h36m.npz"):
        return False
    other = other_form(folder, OTHER_FORMS)
    if other and not _has(folder, "annotation_body3d"):
        raise FileNotFoundError(f"{folder} has no data_3d_h36m.npz: {other}")
    return _has(folder, "annotation_body3d")


def _has(folder: Path, name: str) -> bool:
    try:
        find(folder, name)
    except FileNotFoundError:
        return False
    return True




def _mmpose_takes(folder: Path, detections: str, faults: Faults = None) -> Iterator[ViewSequence]:
    """Sequences of `annotation_body3d`, with the take as their action."""
    base = find(folder, "annotation_body3d")
    rate = next((rate for rate in ("fps50", "fps10") if _has(base, rate)), "fps50")
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
        _check_array(f"{path}: {field}", array, (len(H36M), width))
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
        sequence = _tried(faults, _mmpose_sequence, path, *key, views, part, S)
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
        _named(path, subject, take)
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
    return _sequence(path, subject, take, worlds[0], views)




def check(folder: Path) -> Report:
    """What a folder holds of Human3.6M; see `posebook.data.official.report`."""
    # Imported only here: no experiment depends on how a report is written and drawn.
    from posebook.data.official.report import Report

    folder = Path(folder)
    report = Report("human36m", folder)
    names = sorted(entry.name for entry in folder.iterdir())
    found = [n[13:-4] for n in names if n.lower().startswith("data_2d_h36m_") and n[-4:] == ".npz"]
    for path in (folder / f"{n}" for n in names if n.endswith((".npz", ".pkl"))):
        report.found.append(
            f"{path.name}, {path.stat().st_size / 1e6:,.1f} MB"
            if path.exists()
            else f"{path.name}, a link that leads nowhere"
        )
    if "annotation_body3d" in names:
        report.found.append("annotation_body3d (mmpose)")
        report.notes.append(
            "cameras.pkl is not read: the published numbers are used, whose lens order is known"
        )
        if not _has(folder / "annotation_body3d", "fps50"):
            report.notes.append("fps10 has a fifth of the frames; make fps50 for all of them")
        found = found or ["gt"]
    elif "data_3d_h36m.npz" not in (name.lower() for name in names):
        report.missing.append("data_3d_h36m.npz (VideoPose3D) or annotation_body3d (mmpose)")
    other = other_form(folder, OTHER_FORMS)
    if other and report.missing:
        report.problem(*other.split("; ", 1))
    elif other:
        report.notes.append(other)
    if not found:
        report.missing.append("2D joints: data_2d_h36m_gt.npz, data_2d_h36m_cpn_ft_h36m_dbb.npz")
    for detections in found if not report.missing else ():
        _check_detections(report, folder, detections)
    return report


def _check_detections(report: Report, folder: Path, detections: str) -> None:
    from posebook.data.formats.files import report_errors
    from posebook.data.official.overlays import overlays

    faults: list[Exception] = []
    try:
        sequences = _read_all(folder, detections, faults)
    except (ValueError, OSError) as problem:
        faults.append(problem)
        sequences = []
    anew = f"put a whole and unchanged file in its place ({detections})"
    report_errors(report, faults, otherwise=anew)
    if not sequences:
        return
    report.missing += [f"{detections}: {gap}" for gap in _gaps(sequences)]
    far = np.concatenate([distances(s) for s in sequences])
    report.found.append(
        f"{detections}: {len(sequences)} takes of {len(CAMERAS)} views, "
        f"{np.median(far):.2f} px from the projected 3D joints (worst take {far.max():.1f} px)"
    )
    report.counts += [(f"{detections}, pictures of {p}", n, o) for p, n, o in _counts(sequences)]
    if "swapped" in sequences[0].source:
        report.notes.append(
            f"{detections}: made with the tangential distortion in the wrong order (up to 1.1 px); "
            "read with the same order, so rays are right"
        )
    if "no confidences" in sequences[0].source:
        report.notes.append(f"{detections}: has no confidences; all weights w are 1")
    report.notes.append(f"{detections}: S11 Directions is left out, its video is corrupt")
    for subjects in (TRAIN_SUBJECTS, TEST_SUBJECTS):
        for sequence in [s for s in sequences if s.subject in subjects][:1]:
            report.samples += overlays(sequence, f"{detections} ")
