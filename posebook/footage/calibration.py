"""Calibrations as people have them: TOML, Qualisys, OpenCV's YAML and XML.

The TOML is the one that Pose2Sim, Sports2D, anipose and freemocap share: a table a camera. None of
the files says what its lengths are. They are taken for metres, centimetres or millimetres by how
far the cameras stand apart, and that is said; whoever knows better gives `unit`.
"""

import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from posebook.geometry.camera import Camera

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254, "ft": 0.3048}
SUFFIXES = (".toml", ".qca.txt", ".yml", ".yaml", ".xml")
# How far cameras stand apart at most: 50 m, 15 m in centimetres, and beyond it is millimetres.
_MOST = {"m": 50.0, "cm": 1500.0, "mm": np.inf}
# What a field is called in OpenCV's files.
_OPENCV = {
    "matrix": "K camera_matrix cameraMatrix intrinsic_matrix intrinsics M",
    "distortions": "D dist dist_coeffs distCoeffs distortion_coefficients distortion",
    "rotation": "Rot R rotation rotation_matrix rvec",
    "translation": "T t translation tvec",
    "size": "size image_size resolution",
    "width": "image_width width W", "height": "image_height height H", "fisheye": "fisheye",
}  # fmt: skip
_NO_POSE = {"rotation": np.eye(3), "translation": np.zeros(3)}
_QUALISYS_FLIP = np.diag([1.0, -1.0, -1.0])  # its cameras look along -z with y up


@dataclass(frozen=True, eq=False)
class Calibration:
    """Cameras in metres, the unit that the file was taken to have, and what was assumed.

    Where the file has intrinsics alone, all cameras stand in the origin, and `posed` is False.
    """

    cameras: tuple[Camera, ...]
    unit: str
    notes: tuple[str, ...]
    posed: bool = True


@dataclass(eq=False)
class _Reader:
    """What is collected while a file is read: its name for errors, and notes."""

    source: str
    notes: list[str] = field(default_factory=list)

    def error(self, camera: str, what: str, remedy: str) -> ValueError:
        return ValueError(f"{self.source}: camera {camera!r}: {what}; {remedy}")


def read_calibration(*paths: str | Path, unit: str = "", fewest: int = 2) -> Calibration:
    """Cameras of one file, or of OpenCV files (one a camera, or intrinsics and extrinsics apart).

    Args:
        unit: of lengths in the file, one of `UNITS`; default metres, centimetres or millimetres, by
            how far cameras stand apart.
        fewest: cameras that are needed.

    Raises:
        ValueError: naming file, camera, field and remedy.
        OSError: where a file cannot be opened.
    """
    paths = [Path(path) for path in paths]
    reader = _Reader(" and ".join(str(path) for path in paths))
    if unit and unit not in UNITS:
        raise ValueError(f"unit must be one of {', '.join(UNITS)}, not {unit!r}")
    if len(paths) > 1 and not all(path.suffix in (".yml", ".yaml", ".xml") for path in paths):
        raise ValueError(f"{reader.source}: several calibrations; keep the one of these cameras")
    if paths[0].name.endswith(".qca.txt"):
        unit = unit or "mm"  # the format's own
        entries = _read_qualisys(paths[0], reader)
    elif paths[0].suffix == ".toml":
        entries = _read_toml(paths[0], reader)
    elif paths[0].suffix in SUFFIXES:
        entries = _read_opencv(paths, reader)
    else:
        raise ValueError(f"{reader.source}: not a calibration; known are {', '.join(SUFFIXES)}")
    posed = any(entry.get(key) is not None for _, entry in entries
                for key in ("rotation", "translation"))  # fmt: skip
    if not posed:
        entries = [(name, {**entry, **_NO_POSE}) for name, entry in entries]
    found = [_camera(name, entry, reader) for name, entry in entries]
    if len(found) < fewest:
        raise ValueError(f"{reader.source}: {len(found)} camera where depth needs two; give the "
                         "calibration of all cameras, or lift the video of the one with "
                         "python -m posebook lift")  # fmt: skip
    return _calibration(found, unit, reader, posed)


def _calibration(cameras: list[Camera], unit: str, reader: _Reader, posed: bool) -> Calibration:
    names = [camera.name for camera in cameras]
    if twice := [name for name in names if names.count(name) > 1]:
        raise reader.error(twice[0], "the name stands there twice", "give each its own")
    if not posed:
        return Calibration(tuple(cameras), "", tuple(reader.notes), posed=False)
    centers = np.stack([camera.center for camera in cameras])
    others = centers if len(centers) > 1 else np.zeros(3)  # one alone stands off from the origin
    apart = np.linalg.norm(centers[:, None] - others, axis=-1).max()
    if not unit:
        unit = next(name for name, most in _MOST.items() if apart <= most)
        said = {"m": "metres", "cm": "centimetres", "mm": "millimetres"}[unit]
        reader.notes.append(
            f"{reader.source}: cameras stand up to {apart:.4g} apart, taken for {said}; if they "
            f"are not, give --unit, one of {', '.join(UNITS)}"
        )
    cameras = [replace(camera, center=camera.center * UNITS[unit]) for camera in cameras]
    return Calibration(tuple(cameras), unit, tuple(reader.notes))


# ---------------------------------------------------------------- one camera


def _camera(name: str, entry: dict, reader: _Reader) -> Camera:
    """From OpenCV's fields; an entry of Qualisys brings its `center` in place of `translation`."""
    K = _numbers(entry, "matrix", (9,), name, reader).reshape(3, 3)
    if abs(K[2, 2] - 1) > 1e-6 or K[0, 2] <= 1 or K[1, 2] <= 1:
        raise reader.error(name, f"matrix {K.tolist()} has no principal point in pixels",
                           "write rows as [fx, 0, cx], [0, fy, cy], [0, 0, 1]")  # fmt: skip
    if abs(K[0, 1]) > 1e-3 * K[0, 0]:
        raise reader.error(name, f"matrix has a skew of {K[0, 1]:.3g}", "calibrate without it")
    R = _numbers(entry, "rotation", (3, 9), name, reader)
    R = R.reshape(3, 3) if R.size == 9 else cv2.Rodrigues(R)[0]
    lens = _lens(entry, name, reader)
    parts = (K[[0, 1], [0, 1]], K[:2, 2], _size(entry, K[:2, 2], name, reader))
    try:
        if "center" in entry:
            return Camera(name, R, entry["center"], *parts, **lens)
        T = _numbers(entry, "translation", (3,), name, reader)
        return Camera.from_world_to_camera(name, R, T, *parts, **lens)
    except ValueError as problem:
        raise ValueError(f"{reader.source}: {problem}") from None


def _lens(entry: dict, name: str, reader: _Reader) -> dict:
    if "radial" in entry:
        return {"radial": entry["radial"], "tangential": entry["tangential"]}
    given = _numbers(entry, "distortions", (1, 2, 4, 5, 8, 12, 14), name, reader)
    fisheye = entry.get("fisheye", False)
    if fisheye and given.size != 4:
        raise reader.error(name, f"fisheye is true and distortions are {given.size} numbers",
                           "a fisheye has k1, k2, k3, k4; else set fisheye = false")  # fmt: skip
    if given[8:].any():
        raise reader.error(name, f"distortions are {given.size} numbers, with thin prisms or a "
                           "tilted sensor, which is not read", "calibrate with 5 or 8")  # fmt: skip
    given = given[:8]
    if not given.any() and not fisheye:
        return {}
    given = np.append(given, np.zeros(max(0, 4 - given.size)))
    return {"fisheye" if fisheye else "distortion": given}


def _numbers(entry: dict, key: str, sizes: tuple, name: str, reader: _Reader) -> np.ndarray:
    if entry.get(key) is None:
        there = ", ".join(sorted(entry)) or "nothing"
        raise reader.error(name, f"{key} is missing (there is {there})", f"add {key} of the camera")
    try:
        values = np.asarray(entry[key], dtype=np.float64).ravel()
    except (TypeError, ValueError):
        raise reader.error(name, f"{key} is not a list of numbers", "write numbers alone") from None
    if values.size not in sizes or not np.isfinite(values).all():
        wanted = " or ".join(map(str, sizes))
        raise reader.error(name, f"{key} has {values.size} numbers, {wanted} are wanted, all "
                           "finite", "write them as OpenCV does")  # fmt: skip
    return values


def _size(entry: dict, principal: np.ndarray, name: str, reader: _Reader) -> tuple[int, int]:
    """(width, height): as written, turned round where the principal point says so, or from it."""
    if entry.get("size") is None:
        w, h = (int(round(2 * part)) for part in principal)
        reader.notes.append(f"camera {name!r}: no size; {w} x {h} by its principal point")
        return w, h
    w, h = _numbers(entry, "size", (2,), name, reader)
    off = lambda *sides: np.abs(principal / sides - 0.5).max()  # noqa: E731
    if off(w, h) > 0.2 and off(h, w) < 0.1:
        u, v = principal
        reader.notes.append(
            f"camera {name!r}: size ({w:.0f}, {h:.0f}) is height first: the principal point "
            f"({u:.0f}, {v:.0f}) is the middle of {h:.0f} x {w:.0f}, which is taken"
        )
        w, h = h, w
    elif off(w, h) > 0.5:
        raise reader.error(name, f"the principal point {principal.round().tolist()} lies outside "
                           f"the size {w:.0f} x {h:.0f}", "check matrix and size")  # fmt: skip
    return int(w), int(h)


# ---------------------------------------------------------------- formats


def _read_toml(path: Path, reader: _Reader) -> list[tuple[str, dict]]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ValueError(f"{path}: not TOML ({problem}); write it anew") from None
    found = []
    for key, table in tables.items():
        if isinstance(table, dict) and key != "metadata":
            found.append((str(table.get("name", key)), table))
    return found


def _read_qualisys(path: Path, reader: _Reader) -> list[tuple[str, dict]]:
    """Lengths are mm, intrinsics and distortion 1/64 pixel; R is the transposed camera-to-world,
    for a camera that looks along -z. Cameras that see only markers are left out."""
    try:
        root = ElementTree.fromstring(path.read_bytes())
    except ElementTree.ParseError as problem:
        raise ValueError(f"{path}: not Qualisys' XML ({problem}); export it anew") from None
    entries = list(root.iter("camera"))
    video = [entry for entry in entries if "Video" in entry.get("model", "none")
             or entry.get("model", "none") == "none"]  # fmt: skip
    if len(video) < len(entries):
        reader.notes.append(f"{len(entries) - len(video)} cameras for markers are left out")
    return [_qualisys(entry, reader) for entry in video]


def _qualisys(entry: ElementTree.Element, reader: _Reader) -> tuple[str, dict]:
    name = entry.get("serial", "").replace("_", "")
    if entry.get("viewrotation", "0") not in ("0", ""):
        raise reader.error(name, f"viewrotation is {entry.get('viewrotation')}, which is not read",
                           "turn the view back in the tracker and export again")  # fmt: skip
    found = {tag: entry.find(tag) for tag in ("intrinsic", "transform", "fov_video")}
    try:
        lens, pose, view = (
            {key: float(value) for key, value in found[tag].attrib.items() if _is_number(value)}
            for tag in found
        )
        per_64 = lambda *keys: np.array([lens[key] for key in keys]) / 64  # noqa: E731
        (fx, fy), (cx, cy) = (per_64(part + "U", part + "V") for part in
                              ("focalLength", "centerPoint"))  # fmt: skip
        R = np.array([[pose[f"r{row}{col}"] for col in "123"] for row in "123"])
        return name, {
            "matrix": [fx, 0, cx, 0, fy, cy, 0, 0, 1],
            "rotation": _QUALISYS_FLIP @ R,
            "center": np.array([pose[axis] for axis in "xyz"]),
            "size": [view["right"] - view["left"] + 1, view["bottom"] - view["top"] + 1],
            "radial": per_64(*(f"radialDistortion{k}" for k in "123")),
            "tangential": per_64("tangentalDistortion1", "tangentalDistortion2"),
        }
    except (KeyError, AttributeError) as problem:
        lacking = next((tag for tag, part in found.items() if part is None), problem)
        raise reader.error(name, f"{lacking} is missing", "export the calibration anew") from None


def _is_number(text: str) -> bool:
    try:
        return np.isfinite(float(text))
    except ValueError:
        return False


def _read_opencv(paths: Sequence[Path], reader: _Reader) -> list[tuple[str, dict]]:
    """One file a camera, named by the file; or K_NAME, dist_NAME, R_NAME, T_NAME for each NAME of
    a list `names`, in one file or two."""
    nodes = {path: _nodes(path) for path in paths}
    merged = {key: value for part in nodes.values() for key, value in part.items()}
    if "names" in merged:
        return [(name, _fields(merged, f"_{name}")) for name in map(str, merged["names"])]
    return [(path.stem, _fields(part)) for path, part in nodes.items()]


def _fields(nodes: dict, suffix: str = "") -> dict:
    found = {}
    for key, names in _OPENCV.items():
        for name in names.split():
            if name + suffix in nodes:
                found.setdefault(key, nodes[name + suffix])
    if "width" in found and "height" in found:
        found.setdefault("size", [found["width"], found["height"]])
    return found


def _nodes(path: Path) -> dict:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
        root = storage.root()
        return {key: _value(root.getNode(key)) for key in root.keys()}
    except (cv2.error, SystemError) as problem:
        said = str(problem).strip().splitlines()[0]
        raise ValueError(
            f"{path}: OpenCV cannot read it ({said}); its YAML begins with %YAML:1.0"
        ) from None


def _value(node):
    if node.isSeq():
        return [_value(node.at(k)) for k in range(node.size())]
    if node.isMap():
        return node.mat()
    return node.string() if node.isString() else node.real()
