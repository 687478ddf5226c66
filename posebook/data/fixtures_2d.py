"""Files of exactly the structure of the official 2D data sets, made from embedded motion.

Nobody may pass the official files on, so the loaders are shown and tested on these. Field names,
types, axis orders, counting from 1 and the known faults are those of the official files; the
people are puppets of thick lines. Each writer takes records and writes files from which the loader
must give the same records back.
"""

import json
import os
import pickle
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from scipy.io import savemat

from posebook.data import jhmdb, mpii, penn_action
from posebook.data.motion import load_motion
from posebook.data.records import ImageSet, VideoClip
from posebook.skeleton import H36M, JHMDB, MPII, PENN, JointSet

# The joints of Human3.6M that stand for those of another name.
_STANDS_FOR = {
    "Neck": "Thorax", "Belly": "Spine", "Face": "Nose", "Pelvis": "Hip", "UpperNeck": "Thorax",
    "HeadTop": "Head", "RAnkle": "RFoot", "LAnkle": "LFoot",
}  # fmt: skip
ACTIONS = (
    "catch", "climb_stairs", "golf", "jump", "kick_ball", "pick", "pullup", "push", "run",
    "shoot_ball", "swing_baseball", "walk",
)  # fmt: skip
_ODD = ("Goal!_@_7_(a,b)+", "plain_f_cm_np1_ri_med", "Day-[x]#2_'s")


def figure(bodies: JointSet, clip: int, frames: int, size: tuple[int, int]) -> np.ndarray:
    """Joints (T, J, 2) in a picture of (height, width): an embedded motion, seen from one side.

    They are whole numbers of 1/64 px, which no number type of the files rounds.
    """
    motion = load_motion()[clip % 15].joints.astype(float)
    at = (7 * clip + 2 * np.arange(frames)) % len(motion)
    source = H36M.index(*(_STANDS_FOR.get(name, name) for name in bodies.names))
    body = motion[at][:, source] - motion[at][:, :1]
    angle = 0.7 * clip
    across = body[..., 0] * np.cos(angle) + body[..., 1] * np.sin(angle)
    height, width = size
    metre = height / 3  # px
    points = np.stack([width / 2 + metre * across, height / 2 - metre * body[..., 2]], axis=-1)
    return (np.round(points * 64) / 64).astype(np.float32)


def picture(joints: np.ndarray, bodies: JointSet, size: tuple[int, int], clip: int) -> np.ndarray:
    """A light puppet on a flat colour, (H, W, 3) of uint8."""
    image = Image.new("RGB", size[::-1], (110 + 13 * clip % 90, 150, 195 - 17 * clip % 90))
    draw_puppet(image, joints, bodies, (245, 235, 220))
    return np.array(image)


def puppet_mask(joints: np.ndarray, bodies: JointSet, size: tuple[int, int]) -> np.ndarray:
    """The puppet as a mask (H, W) of 0 and 1."""
    image = Image.new("L", size[::-1], 0)
    draw_puppet(image, joints, bodies, 1)
    return np.array(image)


def draw_puppet(image: Image.Image, joints: np.ndarray, bodies: JointSet, fill: Any) -> None:
    pen = ImageDraw.Draw(image)
    for parent, child in bodies.bones:
        pen.line([tuple(map(float, joints[j])) for j in (parent, child)], fill=fill, width=9)


def _save(array: np.ndarray, path: Path, palette: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    (image.quantize(16) if palette else image).save(path)


def _write_mat(path: Path, fields: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, dict(fields), do_compression=True)


def leave_out_final_blocks(path: Path, size: int) -> int:
    """End compressed elements of `size` plain bytes as MATLAB's writer does; returns how many.

    Where an element fills its buffer, it flushes the stream and never finishes it.
    """
    content, at, count = path.read_bytes(), 128, 0
    parts = [content[:at]]
    while at < len(content):
        kind, length = struct.unpack_from("<II", content, at)
        packed, at = content[at + 8 : at + 8 + length], at + 8 + length
        plain = zlib.decompress(packed)
        if len(plain) == size:
            stream = zlib.compressobj()
            packed, count = stream.compress(plain) + stream.flush(zlib.Z_SYNC_FLUSH), count + 1
        parts += [struct.pack("<II", kind, len(packed)), packed]
    path.write_bytes(b"".join(parts))
    return count


# ---------------------------------------------------------------- JHMDB


def jhmdb_clips(frames: int = 3) -> list[VideoClip]:
    """Three clips of each of the 12 actions, in the order in which the splits list them."""
    size = (jhmdb.HEIGHT, jhmdb.WIDTH)
    clips = []
    for k, (action, odd) in enumerate((a, odd) for a in ACTIONS for odd in _ODD):
        joints = figure(JHMDB, k, frames, size)
        box = []
        for frame in joints:
            y, x = np.nonzero(puppet_mask(frame, JHMDB, size))
            box.append([x.min(), y.min(), x.max(), y.max()])
        clips.append(
            VideoClip(
                pictures=np.stack([picture(frame, JHMDB, size, k) for frame in joints]),
                joints=joints,
                visible=np.ones(joints.shape[:2], dtype=bool),
                box=np.array(box, dtype=np.float32),
                joint_set=JHMDB.name,
                split="train",
                name=f"{odd}_{action}_{k}",
                action=action,
                fps=jhmdb.FPS,
                source=jhmdb.SOURCE,
            )
        )
    return clips


def jhmdb_split(clips: Sequence[VideoClip], split: int) -> tuple[list[VideoClip], list[VideoClip]]:
    """Training and test clips of one split: of each action, one clip is tested on."""
    test = [replace(clip, split="test") for clip in clips[split - 1 :: len(_ODD)]]
    train = [clip for k, clip in enumerate(clips) if k % len(_ODD) != split - 1]
    return train, test


def write_jhmdb(
    folder: Path, clips: Sequence[VideoClip], release: int = 2014, newline: str = "\n"
) -> None:
    """All four parts. release: 2013 for files without scale and viewpoint."""
    for clip in clips:
        write_jhmdb_clip(folder, clip, release)
    for split in jhmdb.CLIPS:
        flags = {clip.name: 1 for clip in jhmdb_split(clips, split)[0]}
        for action in ACTIONS:
            lines = [f"{c.name}.avi {flags.get(c.name, 2)}" for c in clips if c.action == action]
            path = folder / "sub_splits" / f"{action}_test_split_{split}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(line + newline for line in lines), newline="")


def write_jhmdb_clip(folder: Path, clip: VideoClip, release: int = 2014) -> None:
    """Pictures, of which every other clip has palette ones, joints and mask of one clip."""
    inside = Path(clip.action) / clip.name
    for number, array in enumerate(clip.pictures, start=1):
        path = folder / "Rename_Images" / inside / f"{number:05d}.png"
        _save(array, path, palette=len(clip.name) % 2 == 0)
    size = np.array([jhmdb.WIDTH, jhmdb.HEIGHT])
    image = clip.joints.astype(float) + 1
    scale = np.full(len(clip), 0.45)
    world = (image / size - 0.5) * size / jhmdb.HEIGHT / scale[:, None, None]
    fields = {"pos_img": image.transpose(2, 1, 0), "pos_world": world.transpose(2, 1, 0)}
    if release > 2013:
        fields |= {"scale": scale[None], "viewpoint": "W"}
    _write_mat(folder / "joint_positions" / inside / "joint_positions.mat", fields)
    masks = [puppet_mask(frame, JHMDB, tuple(size[::-1])) for frame in clip.joints]
    mask = np.stack(masks, axis=-1).astype(np.uint8)
    _write_mat(folder / "puppet_mask" / inside / "puppet_mask.mat", {"part_mask": mask})


def write_jhmdb_coco(folder: Path, clips: Sequence[VideoClip]) -> None:
    """The same clips as mmpose's annotations; the pictures stand in Rename_Images as before."""
    for clip in clips:
        for number, array in enumerate(clip.pictures, start=1):
            inside = Path(clip.action) / clip.name / f"{number:05d}.png"
            _save(array, folder / "Rename_Images" / inside)
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    for split in jhmdb.CLIPS:
        for part, members in zip(("train", "test"), jhmdb_split(clips, split)):
            path = folder / "annotations" / f"Sub{split}_{part}.json"
            path.write_text(json.dumps(_coco(members)), encoding="utf-8")


def write_jhmdb_gt(path: Path) -> None:
    """`JHMDB-GT.pkl`, the tubes of boxes that detectors of actions train on; one clip."""
    name = "golf/a_golf_0"
    tube = np.array([[t, 10, 20, 110, 220] for t in range(1, 4)], dtype=np.float32)
    table = {
        "labels": list(ACTIONS), "nframes": {name: 3}, "resolution": {name: (240, 320)},
        "train_videos": [[name]] * 3, "test_videos": [[]] * 3, "gttubes": {name: {2: [tube]}},
    }  # fmt: skip
    path.write_bytes(pickle.dumps(table, 2))


def _coco(clips: Sequence[VideoClip]) -> dict:
    images, annotations = [], []
    for number, clip in enumerate(clips, start=1):
        for t in range(len(clip)):
            key = 10000 * number + t + 1
            name = f"Rename_Images/{clip.action}/{clip.name}/{t + 1:05d}.png"
            images.append(
                {
                    "is_labeled": True, "file_name": name, "nframes": len(clip), "frame_id": key,
                    "vid_id": f"{number:05d}", "id": key, "width": jhmdb.WIDTH,
                    "height": jhmdb.HEIGHT,
                }
            )  # fmt: skip
            joints = np.concatenate([clip.joints[t] + 1, np.full((len(JHMDB), 1), 2)], axis=1)
            x1, y1, x2, y2 = clip.box[t].tolist()
            annotations.append(
                {
                    "keypoints": joints.ravel().tolist(), "track_id": 0, "image_id": key,
                    "bbox": [x1 + 1, y1 + 1, x2 - x1 + 1, y2 - y1 + 1], "scores": [],
                    "category_id": 1, "id": 10**12 + key,
                }
            )  # fmt: skip
    category = {"supercategory": "person", "id": 1, "name": "person"}
    return {"categories": [category], "images": images, "annotations": annotations}


# ---------------------------------------------------------------- Penn Action

VOID_BOX = (0.75, 0.75, 0.0, 0.0)  # of the official clip 2173
PLACEHOLDERS = (0.75, 1.0)
_TYPES = (np.float64, np.uint16, np.uint8)  # of x, y and bbox, of one clip or another


def penn_clips(count: int = 6, frames: int = 6) -> list[VideoClip]:
    """Clips with hidden joints, placeholders and pictures of several sizes.

    Clip k is to be written with type k % 3; those of whole numbers have whole numbers.
    """
    clips = []
    for k in range(count):
        size = (120, 160) if _TYPES[k % 3] is np.uint8 else (135 + 5 * (k % 4), 240)
        joints = figure(PENN, k, frames, size)
        joints = np.round(joints) if k % 3 else joints
        visible = (np.arange(frames)[:, None] + np.arange(len(PENN)) + k) % 5 > 0
        annotated = visible | ((np.arange(frames)[:, None] + k) % 2 > 0)
        shown = picture_stack(joints, PENN, size, k)
        joints[~annotated] = (1 if k % 3 else PLACEHOLDERS[k // 3 % 2]) - 1
        low = np.where(visible[..., None], joints, np.inf).min(axis=1)
        high = np.where(visible[..., None], joints, -np.inf).max(axis=1)
        box = np.round(np.concatenate([low - 4, high + 4], axis=1))
        clips.append(
            VideoClip(
                pictures=shown,
                joints=joints,
                visible=visible,
                box=box.astype(np.float32),
                joint_set=PENN.name,
                split="train" if k % 2 == 0 else "test",
                name=f"{k + 1:04d}",
                action=("squat", "tennis_serve", "pullup")[k % 3],
                source=penn_action.SOURCE,
                annotated=annotated,
            )
        )
    return clips


def picture_stack(
    joints: np.ndarray, bodies: JointSet, size: tuple[int, int], clip: int
) -> np.ndarray:
    """A picture (T, H, W, 3) for each of the poses (T, J, 2)."""
    return np.stack([picture(frame, bodies, size, clip) for frame in joints])


def write_penn(
    folder: Path,
    clips: Sequence[VideoClip],
    short: Sequence[str] = (),
    void: Mapping[str, Sequence[int]] | None = None,
) -> None:
    """Labels and frames.

    short: names of clips whose last box is left out, as in clips 1154 and 1865. void: frames of
    named clips whose boxes are written as good as empty.
    """
    for k, clip in enumerate(clips):
        for number, array in enumerate(clip.pictures, start=1):
            _save(array, folder / "frames" / clip.name / f"{number:06d}.jpg")
        box = clip.box.astype(float) + 1
        box[list((void or {}).get(clip.name, ()))] = VOID_BOX
        box = box[:-1] if clip.name in short else box
        size = clip.pictures[0].shape[:2]
        # A row of void boxes is written as float64, as its numbers are no whole ones.
        kind = np.float64 if clip.name in (void or {}) else _TYPES[k % 3]
        write_penn_label(folder / "labels" / f"{clip.name}.mat", clip, box, size, kind)


def write_penn_label(
    path: Path, clip: VideoClip, box: np.ndarray, size: tuple[int, int], kind: type
) -> None:
    """One label. kind: number type of x, y and bbox; box as counted from 1."""
    x, y = (clip.joints.astype(float) + 1).transpose(2, 0, 1)
    T = len(clip.joints)
    _write_mat(
        path,
        {
            "action": clip.action,
            "pose": "front",
            "x": x.astype(kind),
            "y": y.astype(kind),
            "visibility": clip.visible.astype(np.uint8),
            "train": np.array([[1 if clip.split == "train" else -1]], dtype=np.int32),
            "bbox": box.astype(kind),
            "dimensions": np.array([[*size, T]], dtype=np.uint16),
            "nframes": np.array([[T]], dtype=np.uint8 if T < 256 else np.uint16),
        },
    )


def write_full_penn(folder: Path, pictures: bool = True) -> list[int]:
    """As many labels and frames as the official set has; returns each clip's frames.

    The pictures are hard links to a few small files, so that they take names and no room.
    """
    rng = np.random.default_rng(0)
    shared = [folder / "shared" / f"{k}.jpg" for k in range(4)]
    for path in shared:
        _save(np.full((270, 480, 3), 128, dtype=np.uint8), path)
    lengths = []
    for (count, frames), split in zip(
        zip(penn_action.CLIPS, penn_action.FRAMES), ("train", "test")
    ):
        cuts = rng.multinomial(frames - 18 * count, rng.dirichlet(np.ones(count))) + 18
        for T in cuts.tolist():
            name = f"{len(lengths) + 1:04d}"
            clip = _long_clip(len(lengths), T, split, name)
            label = folder / "labels" / f"{name}.mat"
            kind = _TYPES[1] if len(lengths) % 20 == 0 else _TYPES[0]
            write_penn_label(label, clip, clip.box.astype(float) + 1, (270, 480), kind)
            if pictures:
                (folder / "frames" / name).mkdir(parents=True)
                for t in range(1, T + 1):
                    os.link(shared[t % 4], folder / "frames" / name / f"{t:06d}.jpg")
            lengths.append(T)
    return lengths


def _long_clip(k: int, T: int, split: str, name: str) -> VideoClip:
    joints = np.round(figure(PENN, k, T, (270, 480)))
    box = np.concatenate([joints.min(axis=1) - 5, joints.max(axis=1) + 5], axis=1)
    pictures = [Path("none")] * T
    visible = np.ones(joints.shape[:2], dtype=bool)
    return VideoClip(pictures, joints, visible, box, PENN.name, split, name, "squat")


# ---------------------------------------------------------------- MPII


def mpii_stills(count: int = 8, split: str = "train", first: int = 0) -> ImageSet:
    """People two to a picture, with joints that nobody labelled and joints that are hidden.

    first: number of the first one, by which they and their pictures differ from others.
    """
    size = (180, 240)
    joints = np.concatenate([figure(MPII, first + k, 1, size) for k in range(count)])
    joints += np.where(np.arange(count) % 2, 55, -55)[:, None, None] * np.array([1, 0], np.float32)
    person, joint = np.arange(first, first + count)[:, None], np.arange(len(MPII))
    annotated = (person + joint) % 6 > 0
    visible = annotated & ((person + 2 * joint) % 7 > 0)
    visible[:, 8:10] = annotated[:, 8:10]  # thorax and neck never have a word on it
    pictures = []
    for k in range(0, count, 2):
        both = Image.fromarray(picture(joints[k], MPII, size, k))
        if k + 1 < count:
            draw_puppet(both, joints[k + 1], MPII, (225, 235, 245))
        pictures += [np.array(both)] * 2
    scale = (40 + person[:, 0] % 16) / 64
    middle = np.round(joints.mean(axis=1)) + 15 * scale[:, None] * np.array([0, 1])
    box = np.concatenate([middle - 100 * scale[:, None], middle + 100 * scale[:, None]], axis=1)
    return ImageSet(
        pictures=pictures[:count],
        joints=np.where(annotated[..., None], joints, 0),
        visible=visible,
        box=box.astype(np.float32),
        joint_set=MPII.name,
        split=split,
        source=mpii.SOURCE,
        annotated=annotated,
    )


def mpii_name(k: int) -> str:
    """File name of the picture of person `k`."""
    return f"{k // 2 + 10**7:09d}.jpg"


def _middle_and_scale(box: np.ndarray) -> tuple[np.ndarray, float]:
    """What the files hold in place of a box (4,): the annotated middle, from 1, and the scale."""
    box = box.astype(float)
    scale = (box[2] - box[0]) / 200
    return (box[:2] + box[2:]) / 2 - [0, 15 * scale] + 1, float(scale)


def write_mpii_pictures(folder: Path, stills: ImageSet, first: int = 0) -> None:
    for k, array in enumerate(stills.pictures):
        _save(array, folder / "images" / mpii_name(first + k))


def write_mpii_json(folder: Path, train: ImageSet, valid: ImageSet) -> None:
    """The converted form. What can be seen is lost in it: joints_vis is `annotated`."""
    (folder / "annot").mkdir(parents=True, exist_ok=True)
    first = 0
    for stills, name in ((train, "train"), (valid, "valid")):
        write_mpii_pictures(folder, stills, first)
        people = []
        for k in range(len(stills)):
            center, scale = _middle_and_scale(stills.box[k])
            joints = np.where(stills.annotated[k][:, None], stills.joints[k] + 1, -1)
            people.append(
                {
                    "image": mpii_name(first + k), "center": center.tolist(), "scale": scale,
                    "joints": joints.tolist(),
                    "joints_vis": stills.annotated[k].astype(int).tolist(),
                }
            )  # fmt: skip
        (folder / "annot" / f"{name}.json").write_text(json.dumps(people), encoding="utf-8")
        first += len(stills)


def write_mpii_pytorch_pose(folder: Path, train: ImageSet, valid: ImageSet) -> None:
    """`annot/mpii_annotations.json`: all numbers are floats, as MATLAB's writer has them."""
    (folder / "annot").mkdir(parents=True, exist_ok=True)
    people, first = [], 0
    for stills in (train, valid):
        write_mpii_pictures(folder, stills, first)
        for k in range(len(stills)):
            center, scale = _middle_and_scale(stills.box[k])
            labelled = stills.annotated[k][:, None]
            joints = np.where(labelled, stills.joints[k].astype(float) + 1, 0)
            table = np.concatenate([joints, stills.visible[k][:, None]], axis=1)
            people.append(
                {
                    "dataset": "MPI", "isValidation": float(stills is valid),
                    "img_paths": mpii_name(first + k), "img_width": 240.0, "img_height": 180.0,
                    "objpos": center.tolist(), "joint_self": table.tolist(),
                    "scale_provided": scale, "joint_others": [], "scale_provided_other": [],
                    "objpos_other": [], "annolist_index": float(k + 1), "people_index": 1.0,
                    "numOtherPeople": 0.0,
                }
            )  # fmt: skip
        first += len(stills)
    (folder / "annot" / mpii.PYTORCH_POSE).write_text(json.dumps(people), encoding="utf-8")


def write_mpii_mat(folder: Path, train: ImageSet, valid: ImageSet, detections: bool = True) -> None:
    """The original form, with all its optional parts and the five forms of is_visible."""
    pictures: dict[str, list] = {}
    held_out, first = [], 0
    for stills in (train, valid):
        write_mpii_pictures(folder, stills, first)
        for k in range(len(stills)):
            people = pictures.setdefault(mpii_name(first + k), [])
            people.append(_rect(stills, k))
            if stills is valid:
                held_out.append((len(pictures), len(people)))
        first += len(stills)
    _write_mat(folder / mpii.ORIGINAL, {"RELEASE": release_of(pictures)})
    if detections:
        image, person = np.array(held_out, dtype=float).T[:, None]
        index = {"RELEASE_img_index": image, "RELEASE_person_index": person}
        _write_mat(folder / "detections.mat", index)


def release_of(pictures: Mapping[str, list[dict]]) -> dict:
    """RELEASE: the pictures with their people, then a test picture and one without anybody."""
    bystander = {"x1": 5.0, "y1": 5.0, "x2": 25.0, "y2": 25.0}
    annolist = [_picture(name, people) for name, people in pictures.items()]
    test = _structs([{**bystander, "scale": 1.0, "objpos": {"x": 50.0, "y": 60.0}}])
    annolist += [
        {"image": {"name": "test.jpg"}, "annorect": test},
        {"image": {"name": "empty.jpg"}, "annorect": np.zeros((0, 0))},
    ]
    in_training = np.ones((1, len(annolist)), dtype=np.uint8)
    in_training[0, -2] = 0
    return {"annolist": _structs(annolist), "img_train": in_training, "version": "12"}


def _picture(name: str, people: list[dict]) -> dict:
    """A picture; every other one ends with a bystander whom nobody labelled."""
    bystander = {"x1": 5.0, "y1": 5.0, "x2": 25.0, "y2": 25.0}
    more = [bystander] if len(name) % 2 else []
    return {"image": {"name": name}, "annorect": _structs([*people, *more]), "vididx": 1.0}


def _rect(stills: ImageSet, k: int) -> dict:
    center, scale = _middle_and_scale(stills.box[k])
    points = []
    for joint in np.flatnonzero(stills.annotated[k]).tolist():
        x, y = (stills.joints[k, joint].astype(float) + 1).tolist()
        seen = bool(stills.visible[k, joint])
        # 1 and 0 as numbers or as text; nothing for joints 8 and 9.
        form: Any = np.zeros((0, 0)) if joint in (8, 9) else float(seen)
        form = str(int(seen)) if joint not in (8, 9) and (joint + k) % 3 == 0 else form
        points.append({"x": x, "y": y, "id": float(joint), "is_visible": form})
    return {
        "x1": 10.0, "y1": 10.0, "x2": 30.0, "y2": 30.0, "scale": scale,
        "objpos": {"x": center[0], "y": center[1]}, "annopoints": {"point": _structs(points)},
    }  # fmt: skip


def _structs(items: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """A MATLAB struct array (1, n); a field that an item lacks is empty in it."""
    fields = list(dict.fromkeys(field for item in items for field in item))
    array = np.empty((1, len(items)), dtype=[(field, object) for field in fields])
    for k, item in enumerate(items):
        for field in fields:
            array[field][0, k] = item.get(field, np.zeros((0, 0)))
    return array
