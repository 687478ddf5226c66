"""Captures as clips of the generator of views: 17 joints in metres, Z up, 50 Hz; and their file.

A file of clips is an .npz with one float32 array (T, 17, 3) a clip, called after it.
"""

import itertools
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posebook.data.captured.asf import read_amc
from posebook.data.captured.bvh import read_bvh
from posebook.data.captured.c3d import read_c3d
from posebook.data.captured.capture import Capture
from posebook.data.captured.joints import MAPS, Map, find_map, to_h36m
from posebook.data.gaps import along_time
from posebook.data.recorded import body
from posebook.data.recorded.motion import MotionClip
from posebook.geometry.skeleton import H36M
from posebook.storage import whole

READERS = {".bvh": read_bvh, ".amc": read_amc, ".c3d": read_c3d}
# CMU's skeletons are in inches over 0.45.
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254, "inch/0.45": 0.0254 / 0.45}
# Metres from head to ankle by way of neck, hips and knee: from children to the tallest.
SIZES, TYPICAL = (0.9, 2.3), 1.57
UPRIGHT = 0.85  # of that, in one frame of twenty: whoever crawls stretches to 0.83
UPS = ("x", "y", "z", "-x", "-y", "-z")
FPS, SHORTEST = 50.0, 40  # frames; training and test use different parts of a clip
GAP = 0.2  # the largest share of frames in which a point may be lost
FLOOR = 0.05  # metres, the lowest joint of a clip


@dataclass(frozen=True)
class Wishes:
    """What a reader says of files that do not say it; "" or 0 for what they tell.

    Attributes:
        map: of joints; None for the known one that fits.
        unit: a key of `UNITS`, else the one that makes a body of human size.
        up: one of `UPS`, else y or z, whichever heads lie along.
        fps: frames a second.
    """

    map: Map | None = None
    unit: str = ""
    up: str = ""
    fps: float = 0.0

    def __post_init__(self) -> None:
        for name, known in (("unit", UNITS), ("up", UPS)):
            if (value := getattr(self, name)) and value not in known:
                raise ValueError(f"{name} {value!r} is unknown; known are {', '.join(known)}")


def read_clip(path: str | Path, wishes: Wishes = Wishes()) -> tuple[MotionClip, str]:
    """A motion file as a clip called after it, and a line about what was found in it.

    Raises:
        ValueError: naming file, joint and remedy.
        OSError: where there is none.
    """
    path = Path(path)
    if path.suffix.lower() not in READERS:
        raise ValueError(f"{path}: motion is read from {', '.join(READERS)} files")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file of motion")
    return to_clip(READERS[path.suffix.lower()](path), path.stem, wishes)


def to_clip(capture: Capture, name: str, wishes: Wishes = Wishes()) -> tuple[MotionClip, str]:
    """A capture as a clip, and a line about what was found in it.

    Raises:
        ValueError: as `read_clip`.
    """
    known = find_map(capture) if wishes.map is None else ""
    joints = _without_gaps(capture, to_h36m(capture, wishes.map or MAPS[known]))
    unit = wishes.unit or _unit(capture, joints)
    joints = joints * UNITS[unit]
    _check_size(capture, joints, unit)
    up = wishes.up or _up(capture, joints)
    fps = wishes.fps or capture.fps
    joints = _resampled(capture, _standing(joints, up), fps)
    said = (f"{name}: {len(joints) / FPS:.1f} s, {fps:.4g} frames a second, {unit}, {up} up, "
            f"joints by {known or 'your map'}, {_size(joints):.2f} m from head to ankle")
    return MotionClip(name, joints.astype(np.float32)), said


def _without_gaps(capture: Capture, joints: np.ndarray) -> np.ndarray:
    """Joints with lost points interpolated along time."""
    known = np.isfinite(joints).all(-1)
    if not len(joints):
        raise capture.error("no frame in it")
    worst = int(known.mean(0).argmin())
    if known[:, worst].mean() < 1 - GAP:
        raise capture.error(
            f"{H36M.names[worst]} is known in {100 * known[:, worst].mean():.0f} % of the frames; "
            f"fill its gaps in the software that recorded it, or leave the take out"
        )
    return along_time(joints, known)


def _size(joints: np.ndarray) -> float:
    """From head to ankle by way of neck, spine, hips and knees: the median over frames."""
    ends = [H36M.index("Head", "Thorax", "Spine", "Hip")]
    ends += [H36M.index(*(f"{side}{joint}" for joint in ("Hip", "Knee", "Foot"))) for side in "LR"]
    trunk, *legs = (np.linalg.norm(np.diff(joints[:, way], axis=1), axis=-1).sum(1) for way in ends)
    return float(np.median(trunk + (legs[0] + legs[1]) / 2))


def _unit(capture: Capture, joints: np.ndarray) -> str:
    size = _size(joints)
    off = {name: abs(np.log(max(size, 1e-12) * metres / TYPICAL)) for name, metres in UNITS.items()}
    name = min(off, key=off.get)
    if not SIZES[0] <= size * UNITS[name] <= SIZES[1]:
        raise capture.error(f"a body of {size:.4g} from head to ankle is human in no unit of "
                            f"{', '.join(UNITS)}; see whether the map is right, or scale it"
                            )  # fmt: skip
    return name


def _check_size(capture: Capture, joints: np.ndarray, unit: str) -> None:
    if not SIZES[0] <= (size := _size(joints)) <= SIZES[1]:
        raise capture.error(f"a body of {size:.4g} m from head to ankle; its unit is not {unit}")
    if said := _torn(joints):
        raise capture.error(f"{said}; mend the take in the software that recorded it")
    lengths, remedy = np.median(body.bone_lengths(joints), axis=0), "mend it with --map FILE.json"
    for j, length in enumerate(lengths):
        if j != H36M.root and length < 0.02:
            raise capture.error(f"{H36M.names[j]} lies {1000 * length:.0f} mm from "
                                f"{H36M.parent_names[j]}; {remedy}")  # fmt: skip
    for j, mirrored in enumerate(H36M.flip):
        if lengths[j] > 1.25 * lengths[mirrored]:
            raise capture.error(
                f"the bone to {H36M.names[j]} has {1000 * lengths[j]:.0f} mm and that to "
                f"{H36M.names[mirrored]} {1000 * lengths[mirrored]:.0f}; {remedy}"
            )


def _torn(joints: np.ndarray) -> str:
    """The joint that lies where no body of human size has one, in words; "" if none does."""
    far = np.linalg.norm(joints - joints[:, H36M.root, None], axis=-1)
    frame, joint = np.unravel_index(far.argmax(), far.shape)
    if far[frame, joint] <= SIZES[1]:
        return ""
    return f"{H36M.names[joint]} lies {far[frame, joint]:.3g} m from the hip in frame {frame}"


def _up(capture: Capture, joints: np.ndarray) -> str:
    """y or z, as files have it: the one along which heads come to lie furthest above feet."""
    head, *feet = H36M.index("Head", "LFoot", "RFoot")
    tall = np.quantile(joints[:, head] - joints[:, feet].mean(1), 0.95, axis=0)
    axis = 1 if tall[1] > tall[2] else 2
    if tall[axis] < UPRIGHT * _size(joints):
        raise capture.error("nobody stands upright along y or z, so which way is up is not clear; "
                            f"say it with --up, one of {', '.join(UPS)}")  # fmt: skip
    return "xyz"[axis]


def _standing(joints: np.ndarray, up: str) -> np.ndarray:
    """Z up, the lowest joint just above the floor, the middle of the pelvis' way in the origin."""
    sign, axis = (-1.0 if up[0] == "-" else 1.0), "xyz".index(up[-1])
    ahead, left = (axis + 1) % 3, (axis + 2) % 3
    parts = [joints[..., ahead], sign * joints[..., left], sign * joints[..., axis]]
    world = np.stack(parts, axis=-1)
    ground = world[:, H36M.root, :2]
    world[..., :2] -= (ground.min(0) + ground.max(0)) / 2
    world[..., 2] += FLOOR - world[..., 2].min()
    return world


def _resampled(capture: Capture, joints: np.ndarray, fps: float) -> np.ndarray:
    """At 50 frames a second, linearly between the frames."""
    if not 10 <= fps <= 1000:
        raise capture.error(f"{fps:g} frames a second; 10 to 1000 are thought of: say --fps")
    time = np.arange(len(joints)) / fps
    count = int(np.floor(time[-1] * FPS + 1e-6)) + 1
    if count < SHORTEST:
        raise capture.error(f"{len(joints)} frames, {time[-1]:.2f} s; a clip is parted into "
                            f"training and test and needs {SHORTEST / FPS:g} s")  # fmt: skip
    wanted = np.minimum(np.arange(count) / FPS, time[-1])
    flat = joints.reshape(len(joints), -1)
    return np.stack([np.interp(wanted, time, column) for column in flat.T], -1).reshape(-1, 17, 3)


# ---------------------------------------------------------------- the file


def write_clips(path: str | Path, clips: Sequence[MotionClip]) -> Path:
    """Clips as one .npz; names that two clips have get a number. The same clips, the same bytes."""
    arrays: dict[str, np.ndarray] = {}
    for clip in clips:
        names = (clip.name + f"~{n}" * (n > 1) for n in itertools.count(1))
        arrays[next(name for name in names if name not in arrays)] = clip.joints
    with whole(Path(path)) as file:
        np.savez(file, **arrays)
    return Path(path)


def read_clips(path: str | Path) -> tuple[MotionClip, ...]:
    """Clips of an .npz, in alphabetical order.

    Raises:
        ValueError: naming file, clip and remedy, for what `write_clips` would not have written.
        OSError: where there is none.
    """
    path, again = Path(path), "make it with `python -m posebook motion FILE.bvh … --out FILE.npz`"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of motion; {again}")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except (ValueError, TypeError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        said = f" ({error})" if isinstance(error, zipfile.BadZipFile | zlib.error) else ""
        raise ValueError(f"{path}: no .npz of motion{said}; {again}") from None
    _check_arrays(path, arrays, again)
    return tuple(MotionClip(name, array) for name, array in sorted(arrays.items()))


def _check_arrays(path: Path, arrays: Mapping[str, np.ndarray], again: str) -> None:
    if not arrays:
        raise ValueError(f"{path}: no clip in it; {again}")
    for name, array in arrays.items():
        where = f"{path}: {name}"
        if array.dtype != np.float32 or array.shape[1:] != (len(H36M), 3):
            raise ValueError(f"{where} is {array.dtype} of {array.shape}, where float32 metres of "
                             f"(frames, 17, 3) are wanted; {again}")  # fmt: skip
        if len(array) < SHORTEST or not np.isfinite(array).all():
            raise ValueError(f"{where} has {len(array)} frames, of which at least {SHORTEST} are "
                             f"wanted, all finite; {again}")  # fmt: skip
        if not SIZES[0] <= (size := _size(array)) <= SIZES[1]:
            raise ValueError(f"{where} is of a body of {size:.4g} m; {again}")
        if said := _torn(array):
            raise ValueError(f"{where}: {said}; {again}")
        head, *feet = H36M.index("Head", "LFoot", "RFoot")
        if (array[:, head, 2] < array[:, feet, 2].min(1)).all():
            raise ValueError(f"{where} hangs head down in every frame, and z is up here; {again}")
        if not np.ptp(array, axis=0).any():
            raise ValueError(f"{where} does not move; {again}")
