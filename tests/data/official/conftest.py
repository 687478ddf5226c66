"""Forms of the official files, whole sizes and oddities that only these tests write."""

import json
import os
import pickle
import struct
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest

from posebook.data.fixtures.images.files import figure, save
from posebook.data.fixtures.images.jhmdb import ACTIONS, jhmdb_split
from posebook.data.fixtures.images.mpii import _middle_and_scale, mpii_name, write_mpii_pictures
from posebook.data.fixtures.images.penn_action import _TYPES, write_penn_label
from posebook.data.fixtures.views.human36m import Human36mTruth, _seen, recorded, takes_of
from posebook.data.fixtures.views.motion import world_motion
from posebook.data.official import human36m, jhmdb, mpii, penn_action
from posebook.data.recorded.rig import human36m_rig
from posebook.data.records import ImageSet, VideoClip
from posebook.geometry.skeleton import H36M, JHMDB, PENN


@pytest.fixture(scope="session")
def rare():
    """This module: a folder of tests is no package that one could import it from."""
    return sys.modules[__name__]


def with_ones(points):
    return np.concatenate([points, np.ones_like(points[..., :1])], axis=-1)


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



def write_jhmdb_coco(folder: Path, clips: Sequence[VideoClip]) -> None:
    """The same clips as mmpose's annotations; the pictures stand in Rename_Images as before."""
    for clip in clips:
        for number, array in enumerate(clip.pictures, start=1):
            inside = Path(clip.action) / clip.name / f"{number:05d}.png"
            save(array, folder / "Rename_Images" / inside)
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



def write_full_penn(folder: Path, pictures: bool = True) -> list[int]:
    """As many labels and frames as the official set has; returns each clip's frames.

    The pictures are hard links to a few small files, so that they take names and no room.
    """
    rng = np.random.default_rng(0)
    shared = [folder / "shared" / f"{k}.jpg" for k in range(4)]
    for path in shared:
        save(np.full((270, 480, 3), 128, dtype=np.uint8), path)
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



# Instants of a take that add up to the official numbers, spread evenly over the takes.
FULL_SIZE = {"S1": 62_094, "S5": 81_961, "S6": 81_961, "S7": 81_961, "S8": 81_961,
             "S9": 67_918, "S11": 67_918}  # fmt: skip



def write_human36m_mmpose(folder: Path, frames: int = 4, rate: int = 50) -> Human36mTruth:
    """`annotation_body3d/fps<rate>/h36m_{train,test}.npz` and `cameras.pkl`, as mmpose has them."""
    base = folder / "annotation_body3d" / f"fps{rate}"
    base.mkdir(parents=True)
    truth, number = Human36mTruth({}, {}), 0
    for split in ("train", "test"):
        subjects = human36m.TRAIN_SUBJECTS if split == "train" else human36m.TEST_SUBJECTS
        names, parts, S = [], [], []
        for subject in subjects:
            rig = human36m_rig(subject)
            for take in takes_of(subject):
                world = world_motion(rig, frames, number)
                number += 1
                views = [camera.project(world.astype(np.float64)) for camera in rig]
                truth.world[subject, take] = world
                truth.pixels[subject, take] = np.stack(views, axis=1).astype(np.float32)
                for camera, view in zip(rig, views):
                    stem = f"{subject}_{take.replace(' ', '_')}.{camera.name}"
                    step = 50 // rate
                    names += [
                        f"{subject}/{stem}/{stem}_{step * i + 1:06d}.jpg" for i in range(frames)
                    ]
                    parts.append(with_ones(view))
                    S.append(with_ones(camera.to_camera(world.astype(np.float64))))
        part = np.concatenate(parts)
        np.savez(
            base / f"h36m_{split}.npz",
            imgname=np.array(names),
            center=part[..., :2].mean(axis=1),
            scale=np.ones(len(part)),
            part=part,
            S=np.concatenate(S),
        )
    with open(folder / "annotation_body3d" / "cameras.pkl", "wb") as file:
        pickle.dump(_mmpose_cameras(), file)
    return truth



def write_other_human36m(folder: Path, form: str) -> None:
    """One take in a form of Human3.6M that people hold and that no reader here takes.

    Args:
        form: "3d-baseline", "motionbert", "hourglass", "custom" or "cameras".
    """
    rig = human36m_rig("S1")
    world = world_motion(rig, 4, 0)
    views = _seen(rig, world)
    if form == "3d-baseline":
        place = folder / "h36m" / "S1" / "MyPoses" / "3D_positions"
        place.mkdir(parents=True)
        with h5py.File(place / "Eating 1.h5", "w") as file:  # (96, T), millimetres
            file["3D_positions"] = 1000 * recorded(world).reshape(len(world), -1).T
    elif form == "motionbert":
        seen = views.transpose(1, 0, 2, 3).reshape(-1, len(H36M), 2)
        rows = [(camera, t) for camera in range(1, 5) for t in range(len(world))]
        part = {
            "joint_2d": seen, "confidence": np.ones((len(seen), len(H36M), 1), np.float32),
            "joint3d_image": np.concatenate([seen, seen[..., :1]], axis=-1),
            "camera_name": [rig[camera - 1].name for camera, _ in rows],
            "source": [f"s_01_act_04_subact_01_ca_0{camera}" for camera, _ in rows],
        }  # fmt: skip
        path = folder / "h36m_sh_conf_cam_source_final.pkl"
        path.write_bytes(pickle.dumps({"train": part, "test": part}))
    elif form == "cameras":
        table = {
            "intrinsics": {c.name: {"calibration_matrix": c.K.tolist()} for c in rig},
            "extrinsics": {"S1": {c.name: {"R": c.R.tolist()} for c in rig}},
        }
        (folder / "camera-parameters.json").write_text(json.dumps(table), encoding="utf-8")
    elif form in ("hourglass", "custom"):
        mpii = [[3, 4, 5, 13, 14, 15], [0, 1, 2, 10, 11, 12]]
        coco = [[1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]]
        custom = form == "custom"
        metadata = {"num_joints": 17, "keypoints_symmetry": coco, "layout_name": "coco"}
        if custom:
            metadata["video_metadata"] = {"mine.mp4": {"w": 1000, "h": 1000}}
            positions = {"mine.mp4": {"custom": [views[:, 0]]}}
        else:
            metadata = {"num_joints": 16, "keypoints_symmetry": mpii}
            positions = {"S1": {"Eating": [views[:, v, :16] for v in range(4)]}}
        name = "data_2d_custom_mine.npz" if custom else "data_2d_h36m_sh_pt_mpii.npz"
        np.savez_compressed(folder / name, positions_2d=positions, metadata=metadata)
    else:
        raise ValueError(f"unknown form {form!r} of Human3.6M")



def _mmpose_cameras() -> dict:
    return {
        (subject, c.name): {
            "R": c.R.T, "T": c.center[:, None], "c": c.principal[:, None], "f": c.focal[:, None],
            "k": c.radial[:, None], "p": c.tangential[:, None], "w": c.resolution[0],
            "h": c.resolution[1], "name": f"camera{i + 1}", "id": c.name,
        }
        for subject in (*human36m.TRAIN_SUBJECTS, *human36m.TEST_SUBJECTS)
        for i, c in enumerate(human36m_rig(subject))
    }  # fmt: skip



def write_other_mpi_inf_3dhp(folder: Path, form: str) -> None:
    """Four frames in a form of MPI-INF-3DHP whose units nobody wrote down.

    Args:
        form: "p-stmo", "poseaug" or "mmpose".
    """
    joints = world_motion(human36m_rig("S1"), 4, 0).astype(np.float64)
    flat = joints[..., :2]
    if form == "p-stmo":
        sequence = [{str(c): {"data_2d": flat, "data_3d": joints} for c in range(2)}, 25]
        np.savez_compressed(folder / "data_train_3dhp.npz", data={"S1 Seq1": [sequence]})
        test = {"TS1": {"data_2d": flat, "data_3d": joints, "valid": np.ones(len(joints))}}
        np.savez_compressed(folder / "data_test_3dhp.npz", data=test)
    elif form == "poseaug":
        np.savez(folder / "test_3dhp.npz", pose3d=joints[:, :16], pose2d=flat[:, :16])
    elif form == "mmpose":
        (folder / "annotations").mkdir()
        names = np.array([f"S1_Seq1_Cam0_{t + 1:06d}.jpg" for t in range(len(joints))])
        np.savez(
            folder / "annotations" / "mpi_inf_3dhp_train.npz",
            imgname=names, part=with_ones(flat), S=with_ones(joints),
        )  # fmt: skip
    else:
        raise ValueError(f"unknown form {form!r} of MPI-INF-3DHP")
