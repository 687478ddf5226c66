"""Make posebook/data/assets/deepmimic_h36m17.npz from the DeepMimic clips of a pybullet wheel.

    python tools/embed_motion.py [path of pybullet-3.2.7-cp311-...-manylinux2014_x86_64.whl]

A motion file holds, for every frame, its duration, the pelvis position and one rotation per
joint relative to its parent. We interpolate these rotations at 50 Hz and only then run forward
kinematics, so that bones stay rigid. Prints the sha256 that posebook/data/recorded/motion.py must
state.
"""

import argparse
import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
from scipy.spatial.transform import Rotation, Slerp
from wheels import save_npz

from posebook.data.embedded import ASSETS
from posebook.data.formats.wheels import open_wheel
from posebook.data.recorded.motion import ASSET, UNITS_PER_METRE
from posebook.geometry.skeleton import H36M

REQUIREMENT = "pybullet==3.2.7"
SHA256 = "5d858abf7c12a21ef3ed351cf81dac1b5e486ec25c9ab59bfc84beb89034edff"
PIP_OPTIONS = (  # the wheel differs by platform, so everyone takes the one with this hash
    *("--platform", "manylinux2014_x86_64", "--python-version", "3.11"),
    *("--implementation", "cp"),
)

FPS = 50.0
URDF_SCALE = 0.25  # pybullet loads this model with globalScaling=0.25

# After the frame's duration (1 number) and the pelvis position (3): each joint's rotation, as a
# quaternion (w, x, y, z), or for a hinge as its angle in radians about the joint's own z axis.
HINGES = ("right_knee", "right_elbow", "left_knee", "left_elbow")
JOINT_ORDER = (
    *("root", "chest", "neck"),
    *("right_hip", "right_knee", "right_ankle", "right_shoulder", "right_elbow"),
    *("left_hip", "left_knee", "left_ankle", "left_shoulder", "left_elbow"),
)

# Each h36m17 joint: the model's link, and an offset (metres) in that link's frame. The model has
# a ball for a head (centre 0.175 m above the neck, radius 0.1025 m) and no face: nose and head
# are a point on its front and its top.
H36M_POINTS = {
    "Hip": ("root", (0, 0, 0)),
    "RHip": ("right_hip", (0, 0, 0)),
    "RKnee": ("right_knee", (0, 0, 0)),
    "RFoot": ("right_ankle", (0, 0, 0)),
    "LHip": ("left_hip", (0, 0, 0)),
    "LKnee": ("left_knee", (0, 0, 0)),
    "LFoot": ("left_ankle", (0, 0, 0)),
    "Spine": ("chest", (0, 0, 0)),
    "Thorax": ("neck", (0, 0, 0)),
    "Nose": ("neck", (0.09, 0.155, 0)),
    "Head": ("neck", (0, 0.278, 0)),
    "LShoulder": ("left_shoulder", (0, 0, 0)),
    "LElbow": ("left_elbow", (0, 0, 0)),
    "LWrist": ("left_wrist", (0, 0, 0)),
    "RShoulder": ("right_shoulder", (0, 0, 0)),
    "RElbow": ("right_elbow", (0, 0, 0)),
    "RWrist": ("right_wrist", (0, 0, 0)),
}


def parse_urdf(text: str, scale: float = URDF_SCALE) -> dict[str, tuple[str, np.ndarray]]:
    """Links of a model: {link: (parent link, offset in the parent's frame (3,) metres)}."""
    end = text.index("</robot>") + len("</robot>")  # a NUL byte follows, which XML forbids
    links = {}
    for joint in ElementTree.fromstring(text[:end]).iter("joint"):
        offset = np.array(joint.find("origin").get("xyz").split(), dtype=float)
        links[joint.find("child").get("link")] = (joint.find("parent").get("link"), scale * offset)
    return links


def parse_motion(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[str, Rotation]]:
    """Split raw frames (F, 44): times (F,) s, pelvis (F, 3) m, {joint: F local rotations}."""
    durations = frames[:, 0]  # a frame lasts until the next one; the last one's is not used
    times = np.concatenate([[0.0], np.cumsum(durations[:-1])])
    rotations, column = {}, 4
    for joint in JOINT_ORDER:
        if joint in HINGES:
            rotations[joint] = Rotation.from_euler("z", frames[:, column : column + 1])
            column += 1
        else:  # from_quat normalises, which several clips need, and wants (x, y, z, w)
            rotations[joint] = Rotation.from_quat(np.roll(frames[:, column : column + 4], -1, 1))
            column += 4
    return times, frames[:, 1:4], rotations


def resample(times, pelvis, rotations, fps: float = FPS):
    """Interpolate to a constant rate: pelvis (T, 3) linearly, each joint's rotation by slerp.

    Slerp takes the short arc; between two rotations of a hinge it is linear in the angle.
    """
    count = int(np.floor(times[-1] * fps + 1e-6)) + 1
    wanted = np.minimum(np.arange(count) / fps, times[-1])
    pelvis = np.stack([np.interp(wanted, times, axis) for axis in pelvis.T], axis=-1)
    return pelvis, {joint: Slerp(times, local)(wanted) for joint, local in rotations.items()}


def forward_kinematics(links, pelvis, rotations) -> dict[str, tuple[np.ndarray, Rotation]]:
    """Place every link: {link: (positions (T, 3) m, T rotations to the world)}.

    A link sits at its offset in the parent's frame and turns by its own local rotation; one
    without motion (the wrists) keeps the parent's rotation.
    """
    placed = {"root": (pelvis, rotations["root"])}
    for link, (parent, offset) in links.items():
        if parent in placed:  # a URDF lists parents before children
            position, rotation = placed[parent]
            turned = rotation * rotations[link] if link in rotations else rotation
            placed[link] = (position + rotation.apply(offset), turned)
    return placed


def h36m_points(placed) -> np.ndarray:
    """The 17 joints (T, 17, 3) of `H36M`, metres, in the model's axes."""
    points = []
    for name in H36M.names:
        link, offset = H36M_POINTS[name]
        position, rotation = placed[link]
        points.append(position + rotation.apply(offset))
    return np.stack(points, axis=1)


def to_world(points: np.ndarray) -> np.ndarray:
    """From the model's axes (x forward, y up, z to the person's right) to Z up.

    The walk goes along +X and its left side is +Y. The middle of the area that the pelvis
    covers becomes the origin, which keeps every coordinate within the range of int16.
    """
    world = np.stack([points[..., 0], -points[..., 2], points[..., 1]], axis=-1)
    ground = world[:, H36M.root, :2]
    world[..., :2] -= (ground.min(axis=0) + ground.max(axis=0)) / 2
    return world


def quantise(world: np.ndarray) -> np.ndarray:
    """Metres to int16 tenths of a millimetre; ValueError if a coordinate does not fit."""
    units = np.rint(world * UNITS_PER_METRE)
    if np.abs(units).max() > np.iinfo(np.int16).max:
        raise ValueError(f"a joint is {np.abs(world).max():.2f} m from the origin, above 3.27 m")
    return units.astype(np.int16)


def clip_from_json(links, text: str) -> np.ndarray:
    """One motion file's text to (T, 17, 3) int16."""
    frames = np.array(json.loads(text)["Frames"], dtype=float)
    placed = forward_kinematics(links, *resample(*parse_motion(frames)))
    return quantise(to_world(h36m_points(placed)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", nargs="?", help="path of the wheel; downloaded if left out")
    wheel = open_wheel(parser.parse_args().wheel, REQUIREMENT, SHA256, PIP_OPTIONS)
    links = parse_urdf(wheel.read("pybullet_data/humanoid/humanoid.urdf").decode("latin-1"))
    clips = {}
    for member in sorted(wheel.namelist()):
        match = re.fullmatch(r"pybullet_data/data/motions/humanoid3d_(\w+)\.txt", member)
        if match:
            clips[match[1]] = clip_from_json(links, wheel.read(member).decode())
            print(f"{match[1]:16s} {len(clips[match[1]]):4d} frames")
    print(f"{ASSET}: {len(clips)} clips, sha256 {save_npz(ASSETS / ASSET, clips)}")


if __name__ == "__main__":
    main()
