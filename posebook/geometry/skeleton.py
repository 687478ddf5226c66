"""Joint sets as data: names, parents, flip pairs, report groups and maps between sets.

A joint set is a tuple of names in a fixed order. Everything else about it (who is whose parent,
which joints swap in a mirror) is derived from names, so that no other module holds an index list.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class JointSet:
    """An ordered set of body joints.

    Attributes:
        names: joint names, in the order of the arrays that use this set.
        parent_names: name of each joint's parent, "" for the root.
    """

    name: str
    names: tuple[str, ...]
    parent_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def index(self, *names: str) -> list[int]:
        """Positions of `names`; a ValueError names the joint that this set lacks."""
        missing = [name for name in names if name not in self.names]
        if missing:
            raise ValueError(
                f"joint set {self.name!r} has no joint {missing[0]!r}; "
                f"it has {', '.join(self.names)}"
            )
        return [self.names.index(name) for name in names]

    @property
    def parents(self) -> tuple[int, ...]:
        """Index of each joint's parent, -1 for the root."""
        return tuple(self.names.index(p) if p else -1 for p in self.parent_names)

    @property
    def root(self) -> int:
        """Index of the root joint."""
        return self.parent_names.index("")

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """(parent, child) index pairs, one for each joint but the root."""
        return tuple((p, child) for child, p in enumerate(self.parents) if p >= 0)

    @property
    def flip(self) -> np.ndarray:
        """Permutation (J,) that swaps left and right: joints in this order relabel a mirror."""
        swapped = [_other_side(name) for name in self.names]
        return np.array([self.names.index(name) for name in swapped])


def _other_side(name: str) -> str:
    if name.startswith("L") and name[1:2].isupper():
        return "R" + name[1:]
    if name.startswith("R") and name[1:2].isupper():
        return "L" + name[1:]
    return name


# The 17 joints of Human3.6M in the order of VideoPose3D, which the field has settled on.
H36M = JointSet(
    name="h36m17",
    names=(
        "Hip", "RHip", "RKnee", "RFoot", "LHip", "LKnee", "LFoot", "Spine", "Thorax", "Nose",
        "Head", "LShoulder", "LElbow", "LWrist", "RShoulder", "RElbow", "RWrist",
    ),
    parent_names=(
        "", "Hip", "RHip", "RKnee", "Hip", "LHip", "LKnee", "Hip", "Spine", "Thorax",
        "Nose", "Thorax", "LShoulder", "LElbow", "Thorax", "RShoulder", "RElbow",
    ),
)  # fmt: skip

# The three sets of chapter 2, in the orders of their data sets. Penn Action's published names call
# its second joint a left shoulder; in the pictures it is the person's right one, and so it is here.
JHMDB = JointSet(
    name="jhmdb15",
    names=(
        "Neck", "Belly", "Face", "RShoulder", "LShoulder", "RHip", "LHip", "RElbow", "LElbow",
        "RKnee", "LKnee", "RWrist", "LWrist", "RAnkle", "LAnkle",
    ),
    parent_names=(
        "Belly", "", "Neck", "Neck", "Neck", "Belly", "Belly", "RShoulder", "LShoulder",
        "RHip", "LHip", "RElbow", "LElbow", "RKnee", "LKnee",
    ),
)  # fmt: skip

PENN = JointSet(
    name="penn13",
    names=(
        "Head", "RShoulder", "LShoulder", "RElbow", "LElbow", "RWrist", "LWrist", "RHip", "LHip",
        "RKnee", "LKnee", "RAnkle", "LAnkle",
    ),
    parent_names=(
        "", "Head", "Head", "RShoulder", "LShoulder", "RElbow", "LElbow", "RShoulder",
        "LShoulder", "RHip", "LHip", "RKnee", "LKnee",
    ),
)  # fmt: skip

MPII = JointSet(
    name="mpii16",
    names=(
        "RAnkle", "RKnee", "RHip", "LHip", "LKnee", "LAnkle", "Pelvis", "Thorax", "UpperNeck",
        "HeadTop", "RWrist", "RElbow", "RShoulder", "LShoulder", "LElbow", "LWrist",
    ),
    parent_names=(
        "RKnee", "RHip", "Pelvis", "Pelvis", "LHip", "LKnee", "", "Pelvis", "Thorax",
        "UpperNeck", "RElbow", "RShoulder", "Thorax", "Thorax", "LShoulder", "LElbow",
    ),
)  # fmt: skip

# ---------------------------------------------------------------- what detectors give

_LIMBS = {
    "Eye": "Nose", "EyeInner": "Nose", "EyeOuter": "Eye", "Ear": "Eye", "Mouth": "Nose",
    "Elbow": "Shoulder", "Wrist": "Elbow", "Pinky": "Wrist", "Index": "Wrist", "Thumb": "Wrist",
    "Knee": "Hip", "Ankle": "Knee", "Heel": "Ankle", "BigToe": "Ankle", "SmallToe": "Ankle",
    "FootIndex": "Ankle",
}  # fmt: skip
_PARENTS = {
    side + limb: parent if parent == "Nose" else side + parent
    for limb, parent in _LIMBS.items() for side in "LR"
}  # fmt: skip
_HANGS = {"LShoulder": "Nose", "RShoulder": "Nose", "LHip": "LShoulder", "RHip": "RShoulder"}


def _detected(name: str, names: tuple[str, ...], trunk: dict[str, str]) -> JointSet:
    """A detector's set, whose limbs hang on each other and on `trunk`."""
    parents = _PARENTS | trunk
    return JointSet(name, names, tuple(parents.get(joint, "") for joint in names))


COCO = _detected(
    "coco17",
    (
        "Nose", "LEye", "REye", "LEar", "REar", "LShoulder", "RShoulder", "LElbow", "RElbow",
        "LWrist", "RWrist", "LHip", "RHip", "LKnee", "RKnee", "LAnkle", "RAnkle",
    ),
    _HANGS,
)  # fmt: skip

# OpenPose's. Its neck is the middle of the shoulders.
BODY_25 = _detected(
    "body25",
    (
        "Nose", "Neck", "RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist", "MidHip",
        "RHip", "RKnee", "RAnkle", "LHip", "LKnee", "LAnkle", "REye", "LEye", "REar", "LEar",
        "LBigToe", "LSmallToe", "LHeel", "RBigToe", "RSmallToe", "RHeel",
    ),
    {
        "Neck": "MidHip", "Nose": "Neck", "LShoulder": "Neck", "RShoulder": "Neck",
        "LHip": "MidHip", "RHip": "MidHip",
    },
)  # fmt: skip

# OpenPose's experimental model: COCO's joints, the skull's base and top, and feet.
BODY_25B = _detected(
    "body25b",
    (
        *COCO.names, "UpperNeck", "HeadTop",
        "LBigToe", "LSmallToe", "LHeel", "RBigToe", "RSmallToe", "RHeel",
    ),
    _HANGS | {"UpperNeck": "Nose", "HeadTop": "UpperNeck"},
)  # fmt: skip

# AlphaPose's and RTMPose's body with feet. Its head is the top of the head.
HALPE = _detected(
    "halpe26",
    (
        *COCO.names, "Head", "Neck", "Hip",
        "LBigToe", "RBigToe", "LSmallToe", "RSmallToe", "LHeel", "RHeel",
    ),
    {
        "Neck": "Hip", "Nose": "Neck", "Head": "Nose", "LShoulder": "Neck", "RShoulder": "Neck",
        "LHip": "Hip", "RHip": "Hip",
    },
)  # fmt: skip

MEDIAPIPE = _detected(
    "mediapipe33",
    (
        "Nose", "LEyeInner", "LEye", "LEyeOuter", "REyeInner", "REye", "REyeOuter", "LEar", "REar",
        "LMouth", "RMouth", "LShoulder", "RShoulder", "LElbow", "RElbow", "LWrist", "RWrist",
        "LPinky", "RPinky", "LIndex", "RIndex", "LThumb", "RThumb", "LHip", "RHip", "LKnee",
        "RKnee", "LAnkle", "RAnkle", "LHeel", "RHeel", "LFootIndex", "RFootIndex",
    ),
    _HANGS,
)  # fmt: skip

JOINT_SETS = {
    s.name: s for s in (H36M, JHMDB, PENN, MPII, COCO, BODY_25, BODY_25B, HALPE, MEDIAPIPE)
}
# The 14 joints over which MPI-INF-3DHP's official PCK and AUC are taken: all but the root, the
# spine and the face, whose definitions differ between data sets.
PCK3D_JOINTS = H36M.index(
    "Head", "Thorax", "LShoulder", "LElbow", "LWrist", "RShoulder", "RElbow", "RWrist",
    "LHip", "LKnee", "LFoot", "RHip", "RKnee", "RFoot",
)  # fmt: skip


def joint_set(name: str) -> JointSet:
    """The joint set called `name`, or a ValueError that lists the known ones."""
    if name not in JOINT_SETS:
        raise ValueError(f"unknown joint set {name!r}; known: {', '.join(sorted(JOINT_SETS))}")
    return JOINT_SETS[name]
