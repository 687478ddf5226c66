"""Files of exactly the structure of Human3.6M and MPI-INF-3DHP, from embedded motion.

Nobody may pass the official files on, so the readers are shown and tested on these. Field names,
types, units, axis orders and the known oddities are those of the files that people hold; the
people are not. A reader must give back what a writer here was given.
"""

import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from scipy.io import savemat

from posebook.camera import Camera, meeting_point
from posebook.data import human36m, mpi_inf_3dhp
from posebook.data.motion import load_motion
from posebook.data.rig import human36m_rig
from posebook.skeleton import H36M

# Instants of a take that add up to the official numbers, spread evenly over the takes.
FULL_SIZE = {"S1": 62_094, "S5": 81_961, "S6": 81_961, "S7": 81_961, "S8": 81_961,
             "S9": 67_918, "S11": 67_918}  # fmt: skip
UNIVERSAL = 1.06  # of the people in these files, times which they have the universal height
_OTHERS = tuple(j for j in range(human36m.RECORDED) if j not in human36m.KEPT)


def world_motion(cameras, frames: int, number: int) -> np.ndarray:
    """(T, 17, 3) float32, metres, z up: an embedded clip, to and fro, where the cameras look."""
    clips = load_motion()
    joints = clips[number % len(clips)].joints.astype(np.float64)
    period = 2 * len(joints) - 2
    phase = (3 * number + np.arange(frames)) % period
    joints = joints[np.minimum(phase, period - phase)]
    spot = meeting_point(cameras) * [1, 1, 0] + [0.1 * (number % 5), -0.1 * (number % 3), 0]
    return (joints - joints[:1, :1] * [1, 1, 0] + spot).astype(np.float32)


# ---------------------------------------------------------------- Human3.6M


@dataclass(frozen=True, eq=False)
class Human36mTruth:
    """What a writer put in: world[subject, take] (T, 17, 3), pixels[subject, take] (T, 4, 17, 2).

    pixels: of the last detections written; confidence: likewise (T, 4, 17), or None.
    """

    world: dict[tuple[str, str], np.ndarray]
    pixels: dict[tuple[str, str], np.ndarray]
    confidence: dict[tuple[str, str], np.ndarray] | None = None


def takes_of(subject: str) -> list[str]:
    """Names of a subject's takes. The numbers differ from subject to subject, as in the files."""
    numbers = ("", " 1") if subject in ("S1", "S9", "S11") else (" 1", " 2")
    takes = [action + number for action in human36m.ACTIONS for number in numbers]
    return [take for take in takes if (subject, take) != human36m.DROPPED]


def write_human36m(
    folder: Path,
    frames: int | Mapping[str, int] = 4,
    detections: str = "gt",
    confidences: bool = False,
    lens: str = "metadata",
    surplus: int = 0,
    positions: bool = True,
    seed: int = 0,
) -> Human36mTruth:
    """`data_3d_h36m.npz` and `data_2d_h36m_<detections>.npz`, as VideoPose3D writes them.

    frames: of each take, or instants of each subject. detections: "gt" is exact, any other name
    has noise of 5 px, `layout_name`, and S2. confidences: a third column. lens: "swapped" gives
    VideoPose3D's formula the tangential distortion in the wrong order. surplus: frames by which
    2D is longer than 3D. positions: write the 3D file too.
    """
    rng = np.random.default_rng(seed)
    positions_3d: dict = {}
    positions_2d: dict = {}
    truth = Human36mTruth({}, {}, {} if confidences else None)
    number = 0
    for subject in (*human36m.TRAIN_SUBJECTS, *human36m.TEST_SUBJECTS):
        rig = human36m_rig(subject)
        takes = takes_of(subject)
        for take, length in zip(takes, _lengths(frames, subject, len(takes)), strict=True):
            world = world_motion(rig, length + surplus, number)
            views = _seen(rig, world, lens)
            if detections != "gt":
                views = views + rng.normal(0, 5 / 1.5, views.shape).astype(np.float32)
            key, number = (subject, take), number + 1
            truth.world[key], truth.pixels[key] = world[:length], views[:length]
            if confidences:
                sure = rng.uniform(0.3, 1, views.shape[:-1]).astype(np.float32)
                truth.confidence[key] = sure[:length]
                views = np.concatenate([views, sure[..., None]], axis=-1)
            positions_3d.setdefault(subject, {})[take] = recorded(world[:length])
            positions_2d.setdefault(subject, {})[take] = list(np.moveaxis(views, 1, 0).copy())
    metadata = {"num_joints": len(H36M), "keypoints_symmetry": [list(s) for s in human36m.SYMMETRY]}
    if detections != "gt":
        metadata = {"layout_name": "h36m", **metadata}
        positions_2d["S2"] = {"Eating": [np.zeros((3, 17, 2), np.float32)] * 4}
    if positions:
        np.savez_compressed(folder / "data_3d_h36m.npz", positions_3d=positions_3d)
    np.savez_compressed(
        folder / f"data_2d_h36m_{detections}.npz", positions_2d=positions_2d, metadata=metadata
    )
    return truth


def recorded(joints: np.ndarray) -> np.ndarray:
    """The 17 joints (T, 17, 3) among 32, the others standing where the root is."""
    full = np.empty((len(joints), human36m.RECORDED, 3), np.float32)
    full[:, human36m.KEPT] = joints
    full[:, _OTHERS] = joints[:, :1]
    return full


def _lengths(frames: int | Mapping[str, int], subject: str, takes: int) -> list[int]:
    if isinstance(frames, int):
        return [frames] * takes
    each, more = divmod(frames[subject], takes)
    return [each + (take < more) for take in range(takes)]


def _seen(rig, world: np.ndarray, lens: str) -> np.ndarray:
    """Pixels (T, V, 17, 2) of world joints (T, 17, 3), in single precision."""
    if lens == "swapped":
        rig = [replace(camera, tangential=camera.tangential[::-1]) for camera in rig]
    views = [camera.project(world.astype(np.float64)).astype(np.float32) for camera in rig]
    return np.stack(views, axis=1)


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
                    parts.append(_with_ones(view))
                    S.append(_with_ones(camera.to_camera(world.astype(np.float64))))
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

    form: "3d-baseline", "motionbert", "hourglass", "custom" or "cameras".
    """
    rig = human36m_rig("S1")
    world = world_motion(rig, 4, 0)
    views = _seen(rig, world, "metadata")
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


def _with_ones(points: np.ndarray) -> np.ndarray:
    return np.concatenate([points, np.ones_like(points[..., :1])], axis=-1)


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


# ---------------------------------------------------------------- MPI-INF-3DHP


@dataclass(frozen=True, eq=False)
class Mpi3dhpTruth:
    """What a writer put in.

    world[n, m]: (T, 17, 3) metres, z up, of `S<n>/Seq<m>`. test[n]: (F, 17, 3) metres, camera
    frame, of `TS<n>`. valid[n], activity[n]: (F,).
    """

    world: dict[tuple[int, int], np.ndarray]
    test: dict[int, np.ndarray]
    valid: dict[int, np.ndarray]
    activity: dict[int, np.ndarray]


def training_rig() -> tuple[Camera, ...]:
    """Cameras 0 to 13, world in metres with y up. Those that no reader uses stand in for others."""
    published = json.loads(mpi_inf_3dhp.ASSET.read_text(encoding="utf-8"))["training"]
    rig = []
    for number in range(mpi_inf_3dhp.CAMERAS):
        lens = published.get(str(number), published["1"])
        rig.append(
            Camera.from_world_to_camera(
                str(number), lens["R_world_to_camera"], lens["T_m"], lens["focal_px"],
                lens["center_px"], lens["resolution"],
            )
        )  # fmt: skip
    return tuple(rig)


def write_mpi_inf_3dhp(
    folder: Path, frames: int | None = 12, test_frames: int | None = 40
) -> Mpi3dhpTruth:
    """All of S1 to S8 and TS1 to TS6. frames, test_frames: of each sequence; None: as official."""
    truth = Mpi3dhpTruth({}, {}, {}, {})
    for number, (key, official) in enumerate(mpi_inf_3dhp.OFFICIAL_FRAMES.items()):
        place = folder / f"S{key[0]}" / f"Seq{key[1]}"
        place.mkdir(parents=True)
        truth.world[key] = write_training(place, official if frames is None else frames, number)
    for n, official in mpi_inf_3dhp.OFFICIAL_TEST_FRAMES.items():
        (folder / f"TS{n}").mkdir()
        path = folder / f"TS{n}" / "annot_data.mat"
        count = mpi_inf_3dhp.OFFICIAL_VALID[n] if test_frames is None else test_frames // 2
        size = official if test_frames is None else test_frames
        truth.test[n], truth.valid[n], truth.activity[n] = write_test(path, n, size, count)
    return truth


def write_training(place: Path, frames: int, number: int) -> np.ndarray:
    """`annot.mat` and `camera.calibration` of one sequence; returns the world joints, z up."""
    rig = training_rig()
    upright = [mpi_inf_3dhp.upright(rig[c], 1.0) for c in mpi_inf_3dhp.CHEST]
    world = world_motion(upright, frames, number)
    y_up = world.astype(np.float64) @ mpi_inf_3dhp.UPRIGHT  # the rotation's inverse
    fields = {name: np.empty((len(rig), 1), object) for name in ("annot2", "annot3", "univ_annot3")}
    for view, camera in enumerate(rig):
        joints = camera.to_camera(y_up)
        fields["annot2"][view, 0] = _of_28(camera.pixels(joints[..., :2] / joints[..., 2:]))
        fields["annot3"][view, 0] = _of_28(1000 * joints)
        root = joints[:, :1]
        fields["univ_annot3"][view, 0] = _of_28(1000 * (root + UNIVERSAL * (joints - root)))
    savemat(
        place / "annot.mat",
        fields
        | {"cameras": np.arange(len(rig))[None], "frames": np.arange(frames, dtype=float)[:, None]},
        do_compression=True,
    )
    (place / "camera.calibration").write_text(calibration_text(rig), encoding="ascii")
    return world


def _of_28(joints: np.ndarray) -> np.ndarray:
    """(T, 17, D) as (T, 28 * D), the eleven joints that no reader uses at the root."""
    full = np.repeat(joints[:, :1], 28, axis=1)
    full[:, mpi_inf_3dhp.OF_28] = joints
    return full.reshape(len(joints), -1)


def calibration_text(rig) -> str:
    """A `camera.calibration`: `X_cam = R X_world + T` in millimetres."""
    lines = ["Skeletool Camera Calibration File V1.0"]
    for camera in rig:
        K, pose = np.eye(4), np.eye(4)
        K[:3, :3] = camera.K
        pose[:3, :3], pose[:3, 3] = camera.R, 1000 * camera.T
        lines += [
            f"name          {camera.name}",
            "  sensor      10 10",
            "  size        {} {}".format(*camera.resolution),
            "  animated    0",
            "  intrinsic   " + " ".join(f"{value:.10g}" for value in K.ravel()),
            "  extrinsic   " + " ".join(f"{value:.10g}" for value in pose.ravel()),
            "  radial      0",
        ]
    return "\n".join(lines) + "\n"


def write_test(path: Path, number: int, frames: int, valid: int) -> tuple[np.ndarray, ...]:
    """`annot_data.mat` in MATLAB 7.3; returns camera-frame joints, valid flags and activities."""
    camera = mpi_inf_3dhp.camera_of(f"TS{number}")
    turned = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # z up to y down, z forwards
    motion = world_motion(human36m_rig("S1"), frames, number).astype(np.float64)
    joints = (motion - motion[:1, :1]) @ turned.T + [0.0, 0.0, 4.0]
    pixels = camera.pixels(joints[..., :2] / joints[..., 2:])
    flags = np.zeros(frames)
    flags[np.linspace(0, frames - 1, valid).astype(int)] = 1
    activity = 1.0 + np.arange(frames) * 7 // frames
    root = joints[:, :1]
    arrays = {
        "annot2": _of_17(pixels),
        "annot3": _of_17(1000 * joints),
        "univ_annot3": _of_17(1000 * (root + UNIVERSAL * (joints - root))),
        "valid_frame": flags[:, None],
        "activity_annotation": activity[:, None],
    }
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, compression="gzip").attrs["MATLAB_class"] = (
                np.bytes_("double")
            )
    with open(path, "r+b") as file:  # MATLAB writes its own header into the user block
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    return joints, flags == 1, activity.astype(int) - 1


def write_other_mpi_inf_3dhp(folder: Path, form: str) -> None:
    """Four frames in a form of MPI-INF-3DHP whose units nobody wrote down.

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
            imgname=names, part=_with_ones(flat), S=_with_ones(joints),
        )  # fmt: skip
    else:
        raise ValueError(f"unknown form {form!r} of MPI-INF-3DHP")


def _of_17(joints: np.ndarray) -> np.ndarray:
    """(F, 17, D) in the test files' order, as h5py shows MATLAB's axes: (F, 1, 17, D)."""
    full = np.empty_like(joints)
    full[:, mpi_inf_3dhp.OF_17] = joints
    return full[:, None]
