"""Bodies in space as files of other programs: TRC, C3D, BVH, npz and CSV.

Bodies are (T, 17, 3) in metres, +z up, Human3.6M's joints, NaN where unknown. TRC and BVH want +y
up: there x stays, y is our z, and z is our -y. Unknown joints are blank in TRC and CSV, NaN in npz,
invalid (residual -1) in C3D. BVH knows no gaps: they are filled along time.
"""

from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from posebook.data.gaps import along_time
from posebook.geometry.rotations import best_rotation
from posebook.geometry.skeleton import H36M
from posebook.storage import whole

Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
# How the bones of BVH's rest pose point, +y up, the person facing +z: as in a T.
_REST = {"Knee": (0, -1, 0), "Foot": (0, -1, 0), "Spine": (0, 1, 0), "Thorax": (0, 1, 0),
         "Nose": (0, 0.8, 0.6), "Head": (0, 0.8, -0.6)}  # fmt: skip
LOOSE_MM = 5.0  # rigid bones that are nearer need no word
END_CM = 5.0  # length of what sticks out of the last joints


class Unknown(ValueError):
    """A joint that no frame knows, where a format has no gaps."""


def write_all(stem: Path, world: np.ndarray, fps: float) -> list[str]:
    """All files of bodies (T, 17, 3); what is to be said about those that are not the same."""
    _check(world, fps)
    notes = []
    for suffix, write in WRITERS.items():
        try:
            write(stem.with_name(stem.name + suffix), world, fps)
        except ModuleNotFoundError as problem:
            notes.append(str(problem))
        except Unknown as problem:
            notes.append(f"{stem.name}{suffix} is not written: {problem}")
    if not np.isfinite(world).all(-1).any(0).all():
        return notes
    off = 1000 * rigid_distance(world)
    if off > LOOSE_MM:
        notes.append(f"{stem.name}.bvh: its bones are rigid and those of the bodies change length; "
                     f"a joint lies a median {off:.0f} mm off")  # fmt: skip
    return notes


def _check(world: np.ndarray, fps: float) -> None:
    if world.ndim != 3 or world.shape[1:] != (len(H36M), 3) or not len(world):
        raise ValueError(f"bodies must be (T, {len(H36M)}, 3), got {world.shape}")
    if not fps > 0:
        raise ValueError(f"frames a second must be positive, got {fps}")


def write_trc(path: Path, world: np.ndarray, fps: float) -> Path:
    """OpenSim's markers: tab separated, metres, +y up."""
    T, J = world.shape[:2]
    names = "\t\t\t".join(H36M.names)
    axes = "\t".join(f"{axis}{j + 1}" for j in range(J) for axis in "XYZ")
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{path.name}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\t"
        "OrigNumFrames",
        f"{fps:g}\t{fps:g}\t{T}\t{J}\tm\t{fps:g}\t1\t{T}",
        f"Frame#\tTime\t{names}\t\t", f"\t\t{axes}", "",
    ]  # fmt: skip
    for t, values in enumerate((world @ Y_UP.T).reshape(T, -1)):
        lines.append("\t".join([str(t + 1), f"{t / fps:.6f}", *_blanks(values)]))
    return _write(path, "\n".join(lines) + "\n")


def write_csv(path: Path, world: np.ndarray, fps: float) -> Path:
    """A line a frame: frame, time in seconds, and x, y, z of each joint in metres, +z up."""
    lines = ["frame,time_s," + ",".join(f"{n}_{axis}_m" for n in H36M.names for axis in "xyz")]
    for t, values in enumerate(world.reshape(len(world), -1)):
        lines.append(",".join([str(t), f"{t / fps:.6f}", *_blanks(values)]))
    return _write(path, "\n".join(lines) + "\n")


def _blanks(values: np.ndarray) -> list[str]:
    return [f"{value:.6f}" if np.isfinite(value) else "" for value in values]


def write_npz(path: Path, world: np.ndarray, fps: float) -> Path:
    """`joints_3d` with what they are: fps, joint_set, names, unit, up."""
    with whole(path) as file:
        np.savez(file, joints_3d=world, fps=fps, joint_set=H36M.name, names=H36M.names,
                 unit="m", up="+z")  # fmt: skip
    return path


def write_c3d(path: Path, world: np.ndarray, fps: float) -> Path:
    """Points in millimetres, +z up. Needs ezc3d, which the extra `footage` installs.

    Raises:
        ModuleNotFoundError: in a sentence, where ezc3d is not there.
    """
    try:
        import ezc3d
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"{path.name} is not written: C3D needs ezc3d; pip install 'posebook[footage]'"
        ) from None
    file, T = ezc3d.c3d(), len(world)
    known = np.isfinite(world).all(-1).T  # (J, T)
    points = np.ones((4, len(H36M), T))
    points[:3] = np.where(known, 1000 * np.nan_to_num(world).transpose(2, 1, 0), 0.0)
    file["parameters"]["POINT"]["RATE"]["value"] = [fps]
    file["parameters"]["POINT"]["LABELS"]["value"] = list(H36M.names)
    file["parameters"]["POINT"]["UNITS"]["value"] = ["mm"]
    file.add_parameter("POINT", "X_SCREEN", ["+X"])
    file.add_parameter("POINT", "Y_SCREEN", ["+Z"])
    file["data"]["points"] = points
    file["data"]["meta_points"]["residuals"] = np.where(known, 0.0, -1.0)[None]
    file["data"]["meta_points"]["camera_masks"] = np.zeros((7, len(H36M), T), dtype=bool)
    path.parent.mkdir(parents=True, exist_ok=True)
    file.write(str(path))
    return path


# ---------------------------------------------------------------- BVH


def write_bvh(path: Path, world: np.ndarray, fps: float) -> Path:
    """A skeleton of rigid bones, of median length, in centimetres, +y up; rotations in Z, X, Y.

    Where several bones begin at one joint (hips and spine; shoulders and neck), their angles to
    each other are rigid too: a least-squares fit (Kabsch) turns them together. Each bone begins
    where the one before it ends and points to where its own end should be.
    """
    bodies = 100 * without_gaps(world) @ Y_UP.T
    offsets, turns, _ = _rigid(bodies)
    order, lines = [], ["HIERARCHY"]

    def joint(j: int, depth: int) -> None:
        order.append(j)
        pad, kind = "\t" * depth, "JOINT" if depth else "ROOT"
        moves = "6 Xposition Yposition Zposition" if not depth else "3"
        x, y, z = offsets[j]
        lines.extend([
            f"{pad}{kind} {H36M.names[j]}", f"{pad}{{", f"{pad}\tOFFSET {x:.6f} {y:.6f} {z:.6f}",
            f"{pad}\tCHANNELS {moves} Zrotation Xrotation Yrotation",
        ])  # fmt: skip
        for child in _children(j):
            joint(child, depth + 1)
        if not _children(j):
            x, y, z = END_CM * offsets[j] / np.linalg.norm(offsets[j])
            lines.append(f"{pad}\tEnd Site\n{pad}\t{{\n{pad}\t\tOFFSET {x:.6f} {y:.6f} {z:.6f}\n"
                         f"{pad}\t}}")  # fmt: skip
        lines.append(f"{pad}}}")

    joint(H36M.root, 0)
    lines += ["MOTION", f"Frames: {len(bodies)}", f"Frame Time: {1 / fps:.8f}"]
    angles = np.stack([_local(turns, j).as_euler("ZXY", degrees=True) for j in order], axis=1)
    rows = np.hstack([bodies[:, H36M.root], angles.reshape(len(bodies), -1)])
    lines += [" ".join(f"{value:.6f}" for value in row) for row in rows]
    return _write(path, "\n".join(lines) + "\n")


def rigid_distance(world: np.ndarray) -> float:
    """Median distance in metres of bodies (T, J, 3) from a skeleton of rigid bones: BVH's."""
    filled = without_gaps(world)
    return float(np.nanmedian(np.linalg.norm(_rigid(filled @ Y_UP.T)[2] - world @ Y_UP.T, axis=-1)))


def without_gaps(world: np.ndarray) -> np.ndarray:
    """Bodies (T, J, 3) with unknown joints interpolated along time, the ends held.

    Raises:
        Unknown: naming a joint that no frame knows.
    """
    known = np.isfinite(world).all(-1)
    for j in np.flatnonzero(~known.any(0)):
        raise Unknown(f"joint {H36M.names[j]} is known in no frame; BVH needs all of them")
    return along_time(world, known)


def _children(j: int) -> list[int]:
    return [child for parent, child in H36M.bones if parent == j]


def _rest(name: str) -> tuple[float, float, float]:
    side = {"L": 1.0, "R": -1.0}.get(name[0], 0.0)  # the left of somebody who faces +z
    return _REST.get(name) or _REST.get(name[1:]) or (side, 0.0, 0.0)


def _rigid(bodies: np.ndarray) -> tuple[np.ndarray, dict[int, Rotation], np.ndarray]:
    """Offsets (J, 3) of the rest pose; each joint's rotation in the world, and place (T, J, 3)."""
    offsets, turns, at = np.zeros((len(H36M), 3)), {}, bodies.copy()
    for j in range(len(H36M)):
        children, parent = _children(j), H36M.parents[j]
        if not children:
            turns[j] = turns[parent]
            continue
        lengths = np.linalg.norm(bodies[:, children] - bodies[:, [j]], axis=-1)
        bones = bodies[:, children] - at[:, [j]]
        bones = bones / np.maximum(np.linalg.norm(bones, axis=-1, keepdims=True), 1e-9)
        rest = np.array([_rest(H36M.names[child]) for child in children])
        if len(children) > 1:
            # The angles between the bones are those of this body: the mean over the frames.
            rest = np.mean(bones @ _fitted(rest, bones).as_matrix(), axis=0)
            rest /= np.linalg.norm(rest, axis=-1, keepdims=True)
            turns[j] = _fitted(rest, bones)
        else:
            turns[j] = _swung(turns[parent], rest[0], bones[:, 0])
        offsets[children] = rest * np.median(lengths, axis=0)[:, None]
        for child in children:
            at[:, child] = at[:, j] + turns[j].apply(offsets[child])
    return offsets, turns, at


def _fitted(rest: np.ndarray, bones: np.ndarray) -> Rotation:
    """Rotations that bring directions (C, 3) nearest to those of each frame (T, C, 3)."""
    R = best_rotation(torch.from_numpy(rest), torch.from_numpy(bones)).mT  # of rows, before
    return Rotation.from_matrix(R.numpy())


def _swung(parent: Rotation, rest: np.ndarray, bones: np.ndarray) -> Rotation:
    """The parent's rotations, swung the shortest way so that the one bone points along `bones`."""
    now = parent.apply(rest)
    axis = np.cross(now, bones)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.arctan2(sine, (now * bones).sum(-1, keepdims=True))
    return Rotation.from_rotvec(np.where(sine > 1e-12, axis / np.maximum(sine, 1e-12), 0) * angle
                                ) * parent  # fmt: skip


def _local(turns: dict[int, Rotation], j: int) -> Rotation:
    parent = H36M.parents[j]
    return turns[parent].inv() * turns[j] if parent >= 0 else turns[j]


def _write(path: Path, text: str) -> Path:
    with whole(path) as file:
        file.write(text.encode())
    return path


WRITERS = {".trc": write_trc, ".c3d": write_c3d, ".bvh": write_bvh, ".npz": write_npz,
           ".csv": write_csv}  # fmt: skip
