"""Detections as detectors write them: OpenPose, COCO results, AlphaPose, and our own npz.

OpenPose writes a file a frame into a folder; the others write a file a camera. What one camera
saw becomes arrays over frames and people. Within a frame people have no order.
"""

import re
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from posebook.data.formats.files import read_json
from posebook.data.joint_orders import map_confidence, map_joints
from posebook.geometry.skeleton import H36M, joint_set

# What a number of joints is: a set, and how many of them belong to it (the rest are hands, face).
_SETS = {
    16: ("mpii16", 16), 17: ("coco17", 17), 25: ("body25", 25), 26: ("halpe26", 26),
    33: ("mediapipe33", 33), 133: ("coco17", 17), 136: ("halpe26", 26),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class View:
    """What one camera saw in T frames, of at most P people.

    Attributes:
        joints: (T, P, J, 2) pixels, NaN where missing. confidence: (T, P, J), 0 there, and for
            places in which nobody is.
        start: number of the first frame. exact: whether nobody can have been left out at the ends;
            COCO's files list people, not frames.
    """

    name: str
    joints: np.ndarray
    confidence: np.ndarray
    joint_set: str
    notes: tuple[str, ...] = ()
    start: int = 0
    exact: bool = True

    def __len__(self) -> int:
        return len(self.joints)

    @property
    def people(self) -> np.ndarray:
        """(T, P) whether somebody is in this place."""
        return (self.confidence > 0).any(-1)

    def mapped(self, target: str) -> "View":
        """In the joint order of `target`."""
        if self.joint_set == target:
            return self
        names = self.joint_set, target
        joints = map_joints(self.joints, *names)
        confidence = map_confidence(self.confidence, *names)
        joints[confidence == 0] = np.nan
        return replace(self, joints=joints, confidence=confidence, joint_set=target)


def read_detections(path: str | Path, joints: str = "") -> View:
    """What one camera saw, from a folder of OpenPose's files or from one file.

    Args:
        joints: the joint set, where the number of joints does not tell (BODY_25 and BODY_25B are
            told apart by their eighth joint, COCO's 17 and Human3.6M's by the first five).

    Raises:
        ValueError: naming file, frame and remedy.
        OSError: where there is nothing.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: there are no such detections")
    if path.is_dir():
        start, frames, notes = _read_folder(path)
    elif path.suffix == ".npz":
        return _read_npz(path, joints)
    elif path.suffix == ".json":
        start, frames, notes = _read_results(path)
    else:
        raise ValueError(f"{path}: not detections; known are a folder of OpenPose's JSON files, "
                         "COCO's or AlphaPose's .json, and .npz")  # fmt: skip
    J, name = _joints_of(path, frames, joints)
    array = np.zeros((len(frames), max(1, max(map(len, frames))), J, 3))
    for t, people in enumerate(frames):
        for p, person in enumerate(people):
            array[t, p] = person[:J]
    found = _view(path, array[..., :2], array[..., 2], name, tuple(notes), joints)
    if name == "coco17" and not joints and _is_h36m(found.joints):
        note = "joint 0 lies between 1 and 4, so the 17 joints are Human3.6M's, not COCO's"
        found = replace(found, joint_set=H36M.name, notes=(*found.notes, note))
    return replace(found, start=start, exact=path.is_dir())


def _view(path, joints, confidence, name, notes, told) -> View:
    high = confidence.max(initial=0.0)
    if confidence.min(initial=0.0) < 0 or high > 1.1:
        raise ValueError(f"{path}: confidences go up to {high:.3g}; they must lie between 0 and 1: "
                         "divide percentages by 100, turn flags 0, 1, 2 into 0 and 1")  # fmt: skip
    # A coordinate of exactly 0 is OpenPose's way to say missing, whatever the confidence.
    missing = (confidence == 0) | (joints == 0).any(-1) | ~np.isfinite(joints).all(-1)
    joints = np.where(missing[..., None], np.nan, joints)
    confidence = np.where(missing, 0.0, np.minimum(confidence, 1.0))
    if name == "body25" and not told and _is_25b(joints):
        name = "body25b"
        notes = (*notes, "joint 8 is not between the hips, so these are BODY_25B's")
    return View(path.name.split(".")[0], joints, confidence, name, notes)


def _is_25b(joints: np.ndarray) -> bool:
    """Whether OpenPose's 25 joints are BODY_25B's: there the eighth is an elbow."""
    off = np.linalg.norm(joints[..., 8, :] - joints[..., [9, 12], :].mean(-2), axis=-1)
    return _median(off / _extent(joints)) > 0.05  # an arm may hang there


def _is_h36m(joints: np.ndarray) -> bool:
    """Whether 17 joints are Human3.6M's, whose first five are the hips and a leg; COCO's are a
    face, which is small, and where it is not, its nose is not midway between an eye and an ear."""
    first = _extent(joints[..., :5, :])
    off = np.linalg.norm(joints[..., 0, :] - joints[..., [1, 4], :].mean(-2), axis=-1)
    return _median(first / _extent(joints)) > 0.3 and _median(off / first) < 0.1


def _extent(joints: np.ndarray) -> np.ndarray:
    """(T, P) diagonal of the box of joints (T, P, J, 2), NaN where there are none."""
    found = np.isfinite(joints[..., :1])
    box = np.where(found, joints, -np.inf).max(-2) - np.where(found, joints, np.inf).min(-2)
    return np.where(found.any((-2, -1)), np.linalg.norm(box, axis=-1), np.nan)


def _median(shares: np.ndarray) -> float:
    """Of those that are known; NaN where none is."""
    shares = shares[np.isfinite(shares)]
    return float(np.median(shares)) if len(shares) else np.nan


def _joints_of(path: Path, frames: list[list[np.ndarray]], told: str) -> tuple[int, str]:
    counts = {len(person) for people in frames for person in people}
    if not counts:
        raise ValueError(f"{path}: nobody in any of {len(frames)} frames; look at the video, or "
                         "leave this camera out")  # fmt: skip
    if len(counts) > 1:
        raise ValueError(f"{path}: people of {sorted(counts)} joints; detect with one model")
    [J] = counts
    if told:
        if J < len(joint_set(told)):
            raise ValueError(f"{path}: {J} joints, and {told} has {len(joint_set(told))}")
        return len(joint_set(told)), told
    if J not in _SETS:
        raise ValueError(f"{path}: {J} joints, of no known set (those have "
                         f"{', '.join(map(str, _SETS))}); name it")  # fmt: skip
    name, kept = _SETS[J]
    return kept, name


# ---------------------------------------------------------------- formats


def _read_folder(folder: Path) -> tuple[int, list[list[np.ndarray]], list[str]]:
    """OpenPose: a file a frame. Frames whose file is not there have nobody."""
    files: dict[int, Path] = {}
    for file in sorted(folder.glob("*.json")):
        if (number := _number(file.stem)) is None:
            raise ValueError(f"{file}: no frame number in its name; keep OpenPose's names")
        if (same := files.setdefault(number, file)) is not file:
            raise ValueError(f"{folder}: {same.name} and {file.name} have the same frame number "
                             "(the last one in a name); keep OpenPose's names")  # fmt: skip
    if not files:
        raise FileNotFoundError(f"{folder}: no .json file; give the folder that OpenPose wrote")
    first, last = min(files), max(files)
    frames = [_people(files[n]) if n in files else [] for n in range(first, last + 1)]
    lost = len(frames) - len(files)
    return first, frames, [f"{lost} frames have no file, and so nobody"] if lost else []


def _number(text: str) -> int | None:
    found = re.findall(r"\d+", text)
    return int(found[-1]) if found else None


def _people(file: Path) -> list[np.ndarray]:
    data = read_json(file, "detect again")
    people = data.get("people") if isinstance(data, dict) else None
    if not isinstance(people, list) or not all(isinstance(person, dict) for person in people):
        raise ValueError(f"{file}: no list `people`; this is not one of OpenPose's files")
    people = [_person(person.get("pose_keypoints_2d"), file, "pose_keypoints_2d")
              for person in people]  # fmt: skip
    return [person for person in people if len(person)]  # trackers leave empty places


def _read_results(file: Path) -> tuple[int, list[list[np.ndarray]], list[str]]:
    """COCO's results and AlphaPose's: a list of people, each with `image_id` and `keypoints`."""
    data = read_json(file, "detect again")
    if isinstance(data, dict) and "annotations" in data:
        data = data["annotations"]
    if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data):
        raise ValueError(f"{file}: not a list of people with image_id and keypoints; write COCO's "
                         "results format")  # fmt: skip
    by_frame: dict[int, list[np.ndarray]] = {}
    for entry in data:
        number = _number(str(entry.get("image_id", "")).rsplit(".", 1)[0])
        if number is None:
            raise ValueError(f"{file}: image_id {entry.get('image_id')!r} has no frame number; "
                             "name pictures by their frame")  # fmt: skip
        by_frame.setdefault(number, []).append(_person(entry.get("keypoints"), file, "keypoints"))
    start, end = min(by_frame, default=0), max(by_frame, default=-1)
    frames = [by_frame.get(n, []) for n in range(start, end + 1)]
    empty = sum(not people for people in frames)
    return start, frames, [f"nobody in {empty} of {len(frames)} frames"] if empty else []


def _person(values, file: Path, key: str) -> np.ndarray:
    try:
        person = np.asarray(values, dtype=np.float64)
        return person.reshape(-1, 3)
    except (TypeError, ValueError):
        raise ValueError(f"{file}: {key} is not a list of x, y, confidence for each joint; "
                         "detect again") from None  # fmt: skip


def _read_npz(path: Path, told: str) -> View:
    """`joints_2d` (T[, P], J, 2) in pixels, `confidence` (T[, P], J), `joint_set`, if not `told`.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        joints, confidence = (arrays[key].astype(float) for key in ("joints_2d", "confidence"))
    except (KeyError, ValueError, TypeError, EOFError, OSError, BadZipFile, zlib.error) as problem:
        if isinstance(problem, (FileNotFoundError, PermissionError)):
            raise
        raise ValueError(f"{path}: {str(problem).strip(chr(39))}; an npz of detections holds "
                         "joints_2d, confidence and joint_set") from None  # fmt: skip
    said = str(arrays.get("joint_set", ""))
    if not (name := told or said):
        raise ValueError(f"{path}: no joint_set in it, and COCO's 17 joints are not Human3.6M's; "
                         "save it with joint_set='coco17', say, or give --joints")  # fmt: skip
    if said and said != name:
        raise ValueError(f"{path}: its joint_set is {said}, and --joints says {told}; leave out "
                         "--joints, or save the file with the right one")  # fmt: skip
    if joints.ndim == 3 and confidence.ndim == 2:
        joints, confidence = joints[:, None], confidence[:, None]
    J = len(joint_set(name))
    if joints.ndim != 4 or joints.shape[2:] != (J, 2) or confidence.shape != joints.shape[:3]:
        raise ValueError(f"{path}: joints_2d {joints.shape} and confidence {confidence.shape} must "
                         f"be (T, P, {J}, 2) and (T, P, {J}) for {name}")  # fmt: skip
    return _view(path, joints, confidence, name, (), told)


def aligned(views: list[View], cut: bool = False) -> list[View]:
    """Views of the same frames: those that begin or, where only people are listed, end earlier get
    frames with nobody; with `cut` all end with the shortest.

    Raises:
        ValueError: that names the cameras and their lengths.
    """
    views = _numbered_alike(views)
    begin = min(view.start for view in views)
    end = {view.name: view.start - begin + len(view) for view in views}
    exact = {view.name: end[view.name] for view in views if view.exact}
    if not cut:
        refuse_lengths(exact)
    if len({view.joint_set for view in views}) > 1:
        said = ", ".join(f"{view.name} has {view.joint_set}" for view in views)
        raise ValueError(f"cameras of different joints: {said}; detect with one model, or name the "
                         "joint set with --joints")  # fmt: skip
    T = min(exact.values()) if exact else max(end.values())
    return [spread(view, view.start - begin, T) for view in views]


def _numbered_alike(views: list[View]) -> list[View]:
    """Where no two cameras share a frame number, the numbers of a list of pictures run on from
    camera to camera, and each camera's first is taken for frame 0."""
    spans = sorted((view.start, view.start + len(view)) for view in views)
    if len(views) < 2 or any(start < end for (_, end), (start, _) in zip(spans, spans[1:])):
        return views
    note = ("its frames are numbered from {}, and no two cameras share a number; its first is "
            "taken for frame 0: if it saw nobody before, number each camera's pictures from 0")
    return [replace(view, start=0, notes=(*view.notes, note.format(view.start))) for view in views]


def refuse_lengths(frames: dict[str, int]) -> None:
    """Raise ValueError where cameras, by their names, have different numbers of frames."""
    if len(set(frames.values())) > 1:
        said = ", ".join(f"{name} has {length}" for name, length in frames.items())
        raise ValueError(f"cameras of different length in frames: {said}; cut them to start and "
                         "end together, or give --cut if they start together, at one rate"
                         )  # fmt: skip


def spread(view: View, before: int, T: int) -> View:
    """The view in T frames, of which so many come before its first."""
    joints = np.full((T, *view.joints.shape[1:]), np.nan)
    confidence = np.zeros(joints.shape[:-1])
    n = min(len(view), T - before)
    joints[before : before + n], confidence[before : before + n] = (
        view.joints[:n], view.confidence[:n]
    )  # fmt: skip
    notes = (f"cut from {len(view)} to {n} frames",) if n < len(view) else ()
    notes += (f"{before} frames with nobody before its first",) if before else ()
    return replace(view, joints=joints, confidence=confidence, start=view.start - before,
                   notes=(*view.notes, *notes))  # fmt: skip
