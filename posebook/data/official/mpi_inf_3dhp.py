"""MPI-INF-3DHP from the official folders: S1 to S8 for training, TS1 to TS6 for the test.

Training: `S<n>/Seq<m>/annot.mat` (MATLAB 5: pixels and camera-frame millimetres of 14 cameras, 28
joints) and `camera.calibration` beside it. Test: `TS<n>/annot_data.mat` (MATLAB 7.3, one camera,
17 joints). Both may also lie in `train/` and `test/`. Videos and pictures are not needed.

The world of the files has y up. Here z is up, as everywhere in this book.
"""

import json
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import h5py
import numpy as np
from tqdm import tqdm

from posebook.data.formats.matlab import read_mat
from posebook.data.official.folders import find, listed, other_form, refuse_pointer
from posebook.data.official.report import Report
from posebook.data.recorded.rig import ASSET as RIG
from posebook.data.records import ViewSequence, stack_views
from posebook.geometry.camera import Camera
from posebook.geometry.skeleton import H36M

ASSET = RIG.with_name("mpi_inf_3dhp_cameras.json")
# Frames of each (subject, sequence) that the data set counts; the files hold a few more.
OFFICIAL_FRAMES = {
    (1, 1): 6416, (1, 2): 12430, (2, 1): 6502, (2, 2): 6081, (3, 1): 12488, (3, 2): 12283,
    (4, 1): 6171, (4, 2): 6675, (5, 1): 12820, (5, 2): 12312, (6, 1): 6188, (6, 2): 6145,
    (7, 1): 6239, (7, 2): 6320, (8, 1): 6468, (8, 2): 6054,
}  # fmt: skip
OFFICIAL_TEST_FRAMES = {1: 6151, 2: 6080, 3: 5838, 4: 6007, 5: 320, 6: 492}
OFFICIAL_VALID = {1: 603, 2: 540, 3: 505, 4: 553, 5: 276, 6: 452}
CHEST = (0, 2, 4, 7, 8)  # the five cameras at the height of the chest
CAMERAS = 14
PICTURE = (2048, 2048)
# Joints of the files in the order of `skeleton.H36M`: of the 28 of training, of the 17 of the test.
OF_28 = (4, 23, 24, 25, 18, 19, 20, 3, 5, 6, 7, 9, 10, 11, 14, 15, 16)
OF_17 = (14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4)
ACTIVITIES = (
    "Standing/Walking", "Exercising", "Sitting", "Reaching/Crouching", "On The Floor", "Sports",
    "Miscellaneous",
)  # fmt: skip
SCALES = ("metric", "universal")
MOST_DISTANCE = 8.0  # pixels between annotated and projected joints; the files stay below 2
MOST_DISAGREEMENT = 0.05  # metres between the worlds that two cameras give
_REMEDY = "take the file from the official archive anew"
_ASK = (
    "which does not say whether its joints are metric or universal, in metres or millimetres; ask "
    "whoever made it, and put S1 to S8 and TS1 to TS6 of the official archive here"
)
OTHER_FORMS = {
    "data_t*_3dhp.npz": f"is P-STMO's form, {_ASK}",
    "test_3dhp.npz": f"is PoseAug's form, {_ASK}",
    "mpi_inf_3dhp_*.npz": f"is MMPose's form, {_ASK}",
    "annotations/mpi_inf_3dhp_*.npz": f"is MMPose's form, {_ASK}",
}
# From a world with y up to one with z up: (x, y, z) becomes (x, -z, y).
UPRIGHT = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


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
    nothing = _nothing_of_it(folder)
    if nothing:
        raise FileNotFoundError(nothing)
    train = [
        read_training(folder, subject, number, scale)
        for subject, number in tqdm(OFFICIAL_FRAMES, desc="MPI-INF-3DHP", delay=5, leave=False)
    ]
    test = [s for number in OFFICIAL_VALID for s in _activities(read_test(folder, number), scale)]
    for what, found, official in _counts(train, test):
        if found != official:
            warnings.warn(
                f"{folder}: {found:,} {what}, officially {official:,}; "
                "`python -m posebook check mpi-inf-3dhp` says more",
                stacklevel=2,
            )
    return train, test


def read_training(folder: Path, subject: int, number: int, scale: str = "metric") -> ViewSequence:
    """Sequence `Seq<number>` of `S<subject>`, seen by the five chest cameras."""
    place = find(find(_part(folder, "train", f"S{subject}"), f"S{subject}"), f"Seq{number}")
    path = find(place, "annot.mat")
    cameras = read_calibration(find(place, "camera.calibration"))
    file = read_mat(path, _REMEDY)
    most = OFFICIAL_FRAMES[subject, number]
    pixels = _views(file, "annot2", 2, most)
    metric = _views(file, "annot3", 3, most)
    factor = 1.0
    if scale == "universal":
        factor = _factor(path, metric[0], _views(file, "univ_annot3", 3, most)[0])
    rig = tuple(upright(cameras[c], factor) for c in CHEST)
    joints_2d = stack_views(f"{path}: annot2", [view.astype(np.float32) for view in pixels])
    if any(len(view) != len(joints_2d) for view in metric):
        raise ValueError(f"{path}: annot3 has not as many frames as annot2; {_REMEDY}")
    worlds = [c.to_world(factor * view / 1000) for c, view in zip(rig, metric)]
    for camera, seen, view in zip(CHEST, pixels, metric):
        _check_projection(f"{path}: camera {camera}", cameras[camera], seen, view / 1000)
    _check_agreement(path, worlds)
    return ViewSequence(
        joints_2d=joints_2d,
        confidence=np.broadcast_to(np.float32(1), joints_2d.shape[:-1]),
        cameras=rig,
        subject=f"S{subject}",
        action=f"Seq{number}",
        fps=50.0 if most > 12000 else 25.0,
        split="train",
        joints_3d=worlds[0].astype(np.float32),
        source=f"{path.name} ({scale})",
    )


def _views(file, field: str, width: int, most: int) -> list[np.ndarray]:
    """One (T, 17, width) of numbers for each chest camera, cut to the official frames."""
    cells = file[field]
    if type(cells) is not list or len(cells) != CAMERAS:
        raise file.error(field, f"must hold {CAMERAS} cells, one a camera")
    views = []
    for camera in CHEST:
        cell = cells[camera]
        name = f"{field} of camera {camera}"
        if not isinstance(cell, np.ndarray) or cell.dtype.kind != "f":
            raise file.error(name, "must be floating-point numbers")
        if cell.ndim != 2 or cell.shape[1] != 28 * width or len(cell) == 0:
            raise file.error(name, f"must be (F, {28 * width}), got {cell.shape}")
        joints = cell[:most].reshape(-1, 28, width)[:, OF_28].astype(np.float64)
        if not np.isfinite(joints).all():
            raise file.error(name, f"is not finite in row {_first_bad(joints)}")
        views.append(joints)
    return views


def _first_bad(joints: np.ndarray) -> int:
    return int(np.argwhere(~np.isfinite(joints))[0][0])


def _factor(path: Path, metric: np.ndarray, universal: np.ndarray) -> float:
    """By how much a sequence's person is scaled to the universal skeleton: one number."""
    if len(metric) != len(universal):
        raise ValueError(f"{path}: univ_annot3 has not as many frames as annot3; {_REMEDY}")
    factor = float(np.median(_extent(universal) / np.maximum(_extent(metric), 1e-6)))
    if not 0.5 < factor < 2:
        raise ValueError(f"{path}: univ_annot3 is {factor:.2f} times annot3; {_REMEDY}")
    return factor


def _extent(joints: np.ndarray) -> np.ndarray:
    """Distances (T, 16) of the joints from the root."""
    return np.linalg.norm(joints[:, 1:] - joints[:, :1], axis=-1)


def read_calibration(path: Path) -> dict[int, Camera]:
    """Cameras 0 to 13 of a `camera.calibration`, world in metres as in the file (y up).

    Lines are found by their first word, not by their place. The file's extrinsics are `X_cam = R
    X_world + T` in millimetres.

    Raises:
        ValueError: with the camera and the field.
    """
    blocks: list[dict[str, list[str]]] = []
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text; {_REMEDY}") from None
    refuse_pointer(path)
    if not lines or not lines[0].startswith("Skeletool Camera Calibration File"):
        raise ValueError(f"{path} has not the header of a Skeletool calibration; {_REMEDY}")
    for line in lines[1:]:
        word, *values = line.split() or [""]
        if word == "name":
            blocks.append({})
        if blocks and word:
            blocks[-1][word] = values
    cameras = {}
    for block in blocks:
        camera = _calibrated(path, block)
        if int(camera.name) in cameras:
            raise ValueError(f"{path}: camera {camera.name} occurs twice; {_REMEDY}")
        cameras[int(camera.name)] = camera
    if sorted(cameras) != list(range(CAMERAS)):
        raise ValueError(f"{path}: has cameras {sorted(cameras)} and not 0 to 13; {_REMEDY}")
    return cameras


def _calibrated(path: Path, block: dict[str, list[str]]) -> Camera:
    def numbers(field: str, count: int) -> np.ndarray:
        try:
            values = np.array([float(text) for text in block.get(field, ())])
        except ValueError:
            values = np.empty(0)
        if len(values) != count or not np.isfinite(values).all():
            raise ValueError(f"{path}: camera {name} has no {count} numbers {field}; {_REMEDY}")
        return values

    name = " ".join(block["name"])[:20]
    if not (name.isascii() and name.isdigit()):
        raise ValueError(f"{path}: a camera is called {name!r} and not by a number; {_REMEDY}")
    size = numbers("size", 2)
    if tuple(size) != PICTURE:
        raise ValueError(
            f"{path}: camera {name} has the size {size[0]:g} x {size[1]:g} and not 2048 x 2048; "
            f"some copies lost a digit where lines were cut at fixed columns; {_REMEDY}"
        )
    K = numbers("intrinsic", 16).reshape(4, 4)
    pose = numbers("extrinsic", 16).reshape(4, 4)
    try:
        return Camera.from_world_to_camera(
            name, pose[:3, :3], pose[:3, 3] / 1000, K[[0, 1], [0, 1]], K[:2, 2], PICTURE
        )
    except ValueError as problem:
        raise ValueError(f"{path}: {problem}; {_REMEDY}") from None


def upright(camera: Camera, factor: float) -> Camera:
    """The camera in a world with z up, scaled by `factor`."""
    return Camera.from_center(
        camera.name,
        camera.R @ UPRIGHT.T,
        factor * (UPRIGHT @ camera.center),
        camera.focal,
        camera.principal,
        camera.resolution,
    )


def _check_projection(where: str, camera: Camera, pixels: np.ndarray, joints: np.ndarray) -> None:
    """Camera-frame joints (T, 17, 3) in metres must lie on their pixels (T, 17, 2)."""
    at = np.unique(np.linspace(0, len(pixels) - 1, 32).astype(int))
    with np.errstate(divide="ignore", invalid="ignore"):
        projected = camera.pixels(joints[at, :, :2] / joints[at, :, 2:])
        far = np.median(np.linalg.norm(projected - pixels[at], axis=-1))
    if not far < MOST_DISTANCE:
        raise ValueError(
            f"{where}: 3D joints project {far:.0f} px (median) beside the 2D joints; units, axes "
            f"or calibration are changed; {_REMEDY}"
        )


def _check_agreement(path: Path, worlds: list[np.ndarray]) -> None:
    apart = [float(np.median(np.abs(world - worlds[0]))) for world in worlds[1:]]
    if max(apart) > MOST_DISAGREEMENT:
        camera = CHEST[1 + int(np.argmax(apart))]
        raise ValueError(
            f"{path}: annot3 of cameras {CHEST[0]} and {camera} differ by {max(apart):.2f} m in "
            f"the world; annot.mat and camera.calibration are not of one sequence; {_REMEDY}"
        )




@dataclass(frozen=True, eq=False)
class Recording:
    """All frames of one test subject.

    Attributes:
        pixels: (F, 17, 2).
        metric, universal: (F, 17, 3) metres, camera frame.
        valid: (F,) whether the frame counts.
        activity: (F,) index into `ACTIVITIES`.
        camera: at the origin of its own frame.
    """

    name: str
    pixels: np.ndarray
    metric: np.ndarray
    universal: np.ndarray
    valid: np.ndarray
    activity: np.ndarray
    camera: Camera


def read_test(folder: Path, number: int) -> Recording:
    """Test subject `TS<number>`. Raises as `load_views` does."""
    name = f"TS{number}"
    path = find(find(_part(folder, "test", name), name), "annot_data.mat")
    fields = {
        "annot2": 2,
        "annot3": 3,
        "univ_annot3": 3,
        "valid_frame": 0,
        "activity_annotation": 0,
    }
    arrays = {field: _test_field(path, field, width) for field, width in fields.items()}
    F = len(arrays["annot2"])
    for field, array in arrays.items():
        if len(array) != F:
            raise ValueError(f"{path}: {field} has {len(array)} frames, annot2 {F}; {_REMEDY}")
    valid, activity = arrays["valid_frame"], arrays["activity_annotation"]
    if not np.isin(valid, (0, 1)).all():
        raise ValueError(f"{path}: valid_frame must be 0 or 1; {_REMEDY}")
    if not np.isin(activity[valid == 1], range(1, len(ACTIVITIES) + 1)).all():
        raise ValueError(f"{path}: activity_annotation must be 1 to 7; {_REMEDY}")
    valid = valid == 1
    for field, array in arrays.items():
        bad = np.argwhere(~np.isfinite(array[valid]))
        if len(bad):
            frame = int(np.flatnonzero(valid)[bad[0][0]])
            raise ValueError(f"{path}: {field} is not finite in frame {frame}; {_REMEDY}")
    arrays = {field: np.nan_to_num(array) for field, array in arrays.items()}  # frames not valid
    camera = camera_of(name)
    metric, universal = arrays["annot3"] / 1000, arrays["univ_annot3"] / 1000
    if valid.any():
        _check_projection(str(path), camera, arrays["annot2"][valid], metric[valid])
        _factor(path, metric[valid], universal[valid])
    return Recording(
        name,
        arrays["annot2"],
        metric,
        universal,
        valid,
        np.nan_to_num(activity).astype(int) - 1,
        camera,
    )


def _test_field(path: Path, field: str, width: int) -> np.ndarray:
    """A field as (F, 17, width) in the order of `skeleton.H36M`, or as (F,) for width 0."""
    shape = (1, 17, width) if width else (1,)
    try:
        with h5py.File(path, "r") as file:
            link = file.get(field, getlink=True)
            data = file[field] if isinstance(link, h5py.HardLink) else None
            if not isinstance(data, h5py.Dataset):
                raise ValueError(f"{path}: there is no {field}; {_REMEDY}")
            if data.external or data.is_virtual or data.dtype.kind not in "fiu":
                raise ValueError(f"{path}: {field} is no array of numbers; {_REMEDY}")
            if data.shape[1:] != shape or data.shape[0] == 0 or data.shape[0] > 100_000:
                wanted = f"(F, {', '.join(map(str, shape))})"
                raise ValueError(f"{path}: {field} must be {wanted}, got {data.shape}; {_REMEDY}")
            array = data[:].astype(np.float64)
    except (OSError, RuntimeError, KeyError, TypeError) as problem:
        if isinstance(problem, PermissionError):
            raise
        refuse_pointer(path)
        reason = str(problem).splitlines()[0][:100] if str(problem) else type(problem).__name__
        raise ValueError(
            f"{path}: {field} cannot be read as MATLAB 7.3 (HDF5): {reason}; {_REMEDY}"
        ) from None
    return array[:, 0, OF_17] if width else array[:, 0]


@cache
def _published() -> dict:
    try:
        return json.loads(ASSET.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{ASSET.name}: cannot be read ({error}); restore it with "
            f"`git checkout -- posebook/data/assets/{ASSET.name}`"
        ) from error


def camera_of(name: str) -> Camera:
    """The camera of TS1 to TS6, in its own frame. Its file has no intrinsics; these were fitted."""
    lens = _published()["test_focal_center"][name]
    return Camera.from_center(
        name, np.eye(3), np.zeros(3), lens["focal_px"], lens["center_px"], lens["resolution"]
    )


def _activities(test: Recording, scale: str) -> list[ViewSequence]:
    """The valid frames of a test subject, one sequence an activity."""
    truth = test.metric if scale == "metric" else test.universal
    sequences = []
    for activity in np.unique(test.activity[test.valid]):
        at = test.valid & (test.activity == activity)
        sequences.append(
            ViewSequence(
                joints_2d=test.pixels[at, None].astype(np.float32),
                confidence=np.ones((at.sum(), 1, len(H36M)), np.float32),
                cameras=(test.camera,),
                subject=test.name,
                action=ACTIVITIES[activity],
                fps=25.0,
                split="test",
                joints_3d=truth[at].astype(np.float32),
                source=f"annot_data.mat ({scale})",
            )
        )
    return sequences


def _counts(train, test) -> list[tuple[str, int, int]]:
    """(what, found, official)."""
    frames, valid = sum(OFFICIAL_FRAMES.values()), sum(OFFICIAL_VALID.values())
    return [
        ("training frames a camera", sum(len(s) for s in train), frames),
        ("valid test frames", sum(len(s) for s in test), valid),
    ]


def _part(folder: Path, part: str, first: str) -> Path:
    """The folder that holds `first`: the data set's own or its `train` or `test`."""
    for place in (folder, folder / part, folder / f"mpi_inf_3dhp_{part}_set"):
        try:
            find(place, first)
        except FileNotFoundError:
            continue
        return place
    raise FileNotFoundError(f"{folder} has no {first}, nor has {part} in it; unpack it there")


def _nothing_of_it(folder: Path) -> str:
    """One sentence on what a folder holds in place of the data set; "" if any part is there."""
    parts = {f"S{subject}": "train" for subject, _ in OFFICIAL_FRAMES}
    for name, part in (parts | {f"TS{number}": "test" for number in OFFICIAL_VALID}).items():
        try:
            _part(folder, part, name)
        except FileNotFoundError:
            continue
        except ValueError:  # it is there twice, which the reader says better
            return ""
        return ""
    other = other_form(folder, OTHER_FORMS)
    there = listed(sorted(entry.name for entry in folder.iterdir()))
    return f"{folder} has no S1 to S8 and no TS1 to TS6, but {there}; " + (
        other or "unpack the official archives there, or give the folder that holds S1"
    )




def check(folder: Path) -> Report:
    """What a folder holds of MPI-INF-3DHP; see `posebook.data.official.report`."""
    # Imported only here: no experiment depends on how a report is written and drawn.
    from posebook.data.official.overlays import overlays
    from posebook.data.official.report import Report

    folder = Path(folder)
    report = Report("mpi-inf-3dhp", folder)
    nothing = _nothing_of_it(folder)
    if nothing:
        report.problem(*nothing.split("; ", 1))
        return report
    for (subject, number), official in tqdm(
        OFFICIAL_FRAMES.items(), desc="MPI-INF-3DHP", delay=5, leave=False
    ):
        name = f"S{subject}/Seq{number}"
        try:
            sequence = read_training(folder, subject, number)
        except FileNotFoundError as problem:
            report.missing.append(f"{name}: {problem}")
        except (ValueError, OSError) as problem:
            _add_problem(report, problem)
        else:
            report.found.append(f"{name}: {len(sequence):,} frames, {len(CHEST)} chest cameras")
            report.counts.append((f"{name}, frames a camera", len(sequence), official))
            if number == 1 and subject in (1, 5):
                report.samples += overlays(sequence, "")
    for number, official in OFFICIAL_VALID.items():
        _check_test(report, folder, number, official)
    report.notes.append("2D joints are the annotated ones; the files hold no detections")
    report.notes.append("the official truth is the universal skeleton; scores name theirs")
    return report


def _check_test(report: Report, folder: Path, number: int, official: int) -> None:
    try:
        test = read_test(folder, number)
    except FileNotFoundError as problem:
        report.missing.append(f"TS{number}: {problem}")
    except (ValueError, OSError) as problem:
        _add_problem(report, problem)
    else:
        at = test.valid if test.valid.any() else ~test.valid
        ratio = np.median(_extent(test.universal[at]) / np.maximum(_extent(test.metric[at]), 1e-6))
        report.found.append(
            f"{test.name}: {len(test.valid):,} frames; the universal skeleton is {ratio:.3f} times "
            "the metric one"
        )
        report.counts.append(
            (f"{test.name}, frames", len(test.valid), OFFICIAL_TEST_FRAMES[number])
        )
        report.counts.append((f"{test.name}, valid frames", int(test.valid.sum()), official))


def _add_problem(report: Report, problem: Exception) -> None:
    what, _, remedy = str(problem).rpartition("; ")
    report.problem(what or problem, remedy if what else _REMEDY)
