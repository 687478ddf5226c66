"""The test subjects of MPI-INF-3DHP: `annot_data.mat`, one camera each."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from posebook.data.formats.pointers import refuse_pointer
from posebook.data.official.folders import find
from posebook.data.official.mpi_inf_3dhp.archive import (
    ACTIVITIES,
    REMEDY,
    check_projection,
    part_of,
    universal_factor,
)
from posebook.data.recorded.rig import ASSET as RIG
from posebook.data.recorded.rig import published
from posebook.data.records import ViewSequence
from posebook.geometry.camera import Camera
from posebook.geometry.skeleton import H36M

ASSET = RIG.with_name("mpi_inf_3dhp_cameras.json")
# The 17 joints of the files in the order of `skeleton.H36M`.
OF_17 = (14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4)


@dataclass(frozen=True, eq=False)
class Recording:
    """All frames of one test subject.

    Attributes:
        pixels: (F, 17, 2).
        metric: (F, 17, 3) metres, camera frame.
        universal: the same, scaled to the universal skeleton.
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
    path = find(find(part_of(folder, "test", name), name), "annot_data.mat")
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
            raise ValueError(f"{path}: {field} has {len(array)} frames, annot2 {F}; {REMEDY}")
    valid, activity = arrays["valid_frame"], arrays["activity_annotation"]
    if not np.isin(valid, (0, 1)).all():
        raise ValueError(f"{path}: valid_frame must be 0 or 1; {REMEDY}")
    if not np.isin(activity[valid == 1], range(1, len(ACTIVITIES) + 1)).all():
        raise ValueError(f"{path}: activity_annotation must be 1 to 7; {REMEDY}")
    valid = valid == 1
    for field, array in arrays.items():
        bad = np.argwhere(~np.isfinite(array[valid]))
        if len(bad):
            frame = int(np.flatnonzero(valid)[bad[0][0]])
            raise ValueError(f"{path}: {field} is not finite in frame {frame}; {REMEDY}")
    arrays = {field: np.nan_to_num(array) for field, array in arrays.items()}  # frames not valid
    camera = camera_of(name)
    metric, universal = arrays["annot3"] / 1000, arrays["univ_annot3"] / 1000
    if valid.any():
        check_projection(str(path), camera, arrays["annot2"][valid], metric[valid])
        universal_factor(path, metric[valid], universal[valid])
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
                raise ValueError(f"{path}: there is no {field}; {REMEDY}")
            if data.external or data.is_virtual or data.dtype.kind not in "fiu":
                raise ValueError(f"{path}: {field} is no array of numbers; {REMEDY}")
            if data.shape[1:] != shape or data.shape[0] == 0 or data.shape[0] > 100_000:
                wanted = f"(F, {', '.join(map(str, shape))})"
                raise ValueError(f"{path}: {field} must be {wanted}, got {data.shape}; {REMEDY}")
            array = data[:].astype(np.float64)
    except (OSError, RuntimeError, KeyError, TypeError) as problem:
        if isinstance(problem, PermissionError):
            raise
        refuse_pointer(path)
        reason = str(problem).splitlines()[0][:100] if str(problem) else type(problem).__name__
        raise ValueError(
            f"{path}: {field} cannot be read as MATLAB 7.3 (HDF5): {reason}; {REMEDY}"
        ) from None
    return array[:, 0, OF_17] if width else array[:, 0]


def camera_of(name: str) -> Camera:
    """The camera of TS1 to TS6, in its own frame. Its file has no intrinsics; these were fitted."""
    lens = published(ASSET)["test_focal_center"][name]
    return Camera(
        name, np.eye(3), np.zeros(3), lens["focal_px"], lens["center_px"], lens["resolution"]
    )


def by_activity(test: Recording, scale: str) -> list[ViewSequence]:
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
