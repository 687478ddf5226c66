"""The embedded body: MakeHuman's mesh in eight builds, posed by recorded joints.

Every bone moves rigidly and the skin follows by linear blend skinning. The joints are points of the
same bones, so that labels and mesh agree by construction. Origin, licence and limits:
assets/makehuman_body.md. Made by tools/embed_body.py.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from scipy.spatial.transform import Rotation

from posebook.data.embedded import read_embedded
from posebook.data.recorded.body import body_frame, frames_of, unit
from posebook.geometry.skeleton import H36M

ASSET = "makehuman_body.npz"
SHA256 = "8634228fc496cb88ac008b1c966c6d10a7ba37e3336be5b52da86f8e6e1df358"
REMEDY = "python tools/embed_body.py"
UNITS_PER_METRE = 10_000  # the file holds int16 tenths of a millimetre
SHAPES = (
    "female slim", "female average", "female heavy", "female strong",
    "male slim", "male average", "male heavy", "male strong",
)  # fmt: skip

BONES = (
    "pelvis", "belly", "chest", "neck", "head",
    "left upper arm", "left forearm", "right upper arm", "right forearm",
    "left thigh", "left shin", "left foot", "right thigh", "right shin", "right foot",
)  # fmt: skip

# What a joint is a point of: the bones that it lies between. The first one carries it.
JOINT_BONES = {
    "Hip": ("pelvis", "left thigh", "right thigh"),
    "RHip": ("pelvis", "right thigh"),
    "RKnee": ("right thigh", "right shin"),
    "RAnkle": ("right shin", "right foot"),
    "LHip": ("pelvis", "left thigh"),
    "LKnee": ("left thigh", "left shin"),
    "LAnkle": ("left shin", "left foot"),
    "Belly": ("pelvis", "belly", "chest"),
    "Thorax": ("chest", "neck"),
    "NeckBase": ("chest", "neck"),
    "SkullBase": ("neck", "head"),
    "Face": ("head",),
    "HeadTop": ("head",),
    "LShoulder": ("chest", "left upper arm"),
    "LElbow": ("left upper arm", "left forearm"),
    "LWrist": ("left forearm",),
    "RShoulder": ("chest", "right upper arm"),
    "RElbow": ("right upper arm", "right forearm"),
    "RWrist": ("right forearm",),
}

REST_JOINTS = tuple(JOINT_BONES)
# Where a bone is held: the joint that it shares with the bone that carries it.
_HELD_AT = {
    "belly": ("Belly", "pelvis"),
    "chest": ("Belly", "pelvis"),
    "neck": ("NeckBase", "chest"),
    "head": ("SkullBase", "neck"),
    "left upper arm": ("LShoulder", "chest"),
    "left forearm": ("LElbow", "left upper arm"),
    "right upper arm": ("RShoulder", "chest"),
    "right forearm": ("RElbow", "right upper arm"),
    "left thigh": ("LHip", "pelvis"),
    "left shin": ("LKnee", "left thigh"),
    "left foot": ("LAnkle", "left shin"),
    "right thigh": ("RHip", "pelvis"),
    "right shin": ("RKnee", "right thigh"),
    "right foot": ("RAnkle", "right shin"),
}

# Upper and lower bone of each limb, with its joints in the mesh and in the recordings.
_LIMBS = {
    ("left upper arm", "left forearm", "chest"): ("LShoulder", "LElbow", "LWrist"),
    ("right upper arm", "right forearm", "chest"): ("RShoulder", "RElbow", "RWrist"),
    ("left thigh", "left shin", "pelvis"): ("LHip", "LKnee", "LAnkle"),
    ("right thigh", "right shin", "pelvis"): ("RHip", "RKnee", "RAnkle"),
}

_RECORDED = {"LAnkle": "LFoot", "RAnkle": "RFoot"}  # names that differ in h36m17
_AS_H36M = (
    "Hip", "RHip", "RKnee", "RAnkle", "LHip", "LKnee", "LAnkle", "Belly", "Thorax", "Face",
    "HeadTop", "LShoulder", "LElbow", "LWrist", "RShoulder", "RElbow", "RWrist",
)  # fmt: skip

# The joints of the data sets' sets in terms of the mesh's; all other names are equal.
NAMES = {
    "jhmdb15": {"Neck": "NeckBase"},
    "penn13": {"Head": "Face"},
    "mpii16": {"Pelvis": "Hip", "UpperNeck": "SkullBase", "Thorax": "NeckBase"},
}


@dataclass(frozen=True, eq=False)
class Pose:
    """N instants of one body: where each bone went.

    Attributes:
        turn: (N, 15, 3, 3) rotations from the rest pose to the world.
        shift: (N, 15, 3) metres; a rest point x of the bone is at turn x + shift.
    """

    turn: np.ndarray
    shift: np.ndarray

    def __len__(self) -> int:
        return len(self.turn)


@dataclass(frozen=True, eq=False)
class Mesh:
    """One person in the rest pose: axes (left, back, up), origin between the hips, metres.

    Attributes:
        vertices: (V, 3).
        normals: (V, 3) unit, outwards.
        joints: (K, 3), the joints `REST_JOINTS`.
        faces: (F, 3) counter-clockwise from outside.
        part: (F,) the bone that carries most of a face.
        surface: (F,) 0 skin, 1 left eye, 2 right eye.
        weights: (V, 15), each row sums to one.
    """

    vertices: np.ndarray
    normals: np.ndarray
    joints: np.ndarray
    faces: np.ndarray
    part: np.ndarray
    surface: np.ndarray
    weights: np.ndarray

    @cached_property
    def _blend(self) -> np.ndarray:
        """(V, 15 * 4): skinning is linear in the bones' transforms, and this is the matrix."""
        points = np.concatenate([self.vertices, np.ones((len(self.vertices), 1))], axis=1)
        return (self.weights[:, :, None] * points[:, None]).reshape(len(points), -1)

    @cached_property
    def _blend_normals(self) -> np.ndarray:
        product = self.weights[:, :, None] * self.normals[:, None]
        return product.reshape(len(self.normals), -1)

    def place(self, pose: Pose) -> np.ndarray:
        """Vertices (N, V, 3) in the world, metres."""
        columns = np.concatenate([pose.turn.swapaxes(-1, -2), pose.shift[:, :, None]], axis=2)
        return self._blend @ columns.reshape(len(pose), -1, 3)

    def skin(self, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        """Vertices (N, V, 3) in the world, metres, and their unit normals (N, V, 3)."""
        turned = pose.turn.swapaxes(-1, -2).reshape(len(pose), -1, 3)
        return self.place(pose), unit(self._blend_normals @ turned)

    def locate(self, pose: Pose) -> np.ndarray:
        """The joints `REST_JOINTS` (N, K, 3) in the world, metres."""
        carrier = [BONES.index(bones[0]) for bones in JOINT_BONES.values()]
        return (
            np.einsum("nkij,kj->nki", pose.turn[:, carrier], self.joints) + pose.shift[:, carrier]
        )


@cache
def _asset() -> dict[str, np.ndarray]:
    return read_embedded(ASSET, SHA256, REMEDY)


def make_mesh(build: np.ndarray, stature: float = 1.0) -> Mesh:
    """A person between the eight `SHAPES`.

    Args:
        build: (8,) weights of the shapes, not negative, with sum one.
        stature: factor on all lengths.

    Raises:
        ValueError: if `build` is no such mixture, and as `read_embedded`.
    """
    build = np.asarray(build, dtype=float)
    if build.shape != (len(SHAPES),) or (build < 0).any() or abs(build.sum() - 1) > 1e-6:
        raise ValueError(
            f"make_mesh: build must be {len(SHAPES)} weights >= 0 with sum 1 "
            f"(of {', '.join(SHAPES)}), got {build.tolist()}"
        )
    asset, scale = _asset(), stature / UNITS_PER_METRE
    vertices = np.tensordot(build, asset["vertices"], 1) * scale
    faces = asset["faces"].astype(np.int64)
    weights = np.zeros((len(vertices), len(BONES)))
    share = asset["weights"] / asset["weights"].sum(1, keepdims=True)
    np.add.at(weights, (np.arange(len(vertices))[:, None], asset["bones"]), share)
    return Mesh(
        vertices,
        vertex_normals(vertices, faces),
        np.tensordot(build, asset["joints"], 1) * scale,
        faces,
        weights[faces].sum(1).argmax(1),
        asset["surface"],
        weights,
    )


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals (V, 3): the mean of the normals of the faces around, weighted by area."""
    a, b, c = vertices[faces].swapaxes(0, 1)
    each = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], each)
    return unit(normals)


def pose_mesh(mesh: Mesh, joints: np.ndarray) -> Pose:
    """The pose of recorded joints (N, 17, 3), set h36m17, worn by another body.

    Only directions are taken from the recording, so that bones keep the mesh's lengths; the way of
    the pelvis is scaled by the length of the legs. A limb turns about itself so that knee and elbow
    bend about their hinge; where it is straight, so that it twists least against the trunk.
    """
    joints = np.asarray(joints, dtype=float)
    recorded = dict(zip(H36M.names, np.moveaxis(joints, 1, 0), strict=True))
    rest = dict(zip(REST_JOINTS, mesh.joints, strict=True))
    pelvis, chest = frames_of(joints)
    rest_pelvis, rest_chest = frames_of(np.stack([rest[name] for name in _AS_H36M]))
    turn = {"pelvis": pelvis @ rest_pelvis.T, "chest": chest @ rest_chest.T}
    turn["belly"] = _halfway(turn["pelvis"], turn["chest"])
    turn["head"] = _head_frame(recorded)
    turn["neck"] = _halfway(turn["chest"], turn["head"])
    for (upper, lower, trunk), names in _LIMBS.items():
        a, b, c = (recorded[_RECORDED.get(name, name)] for name in names)
        bones = [rest[names[1]] - rest[names[0]], rest[names[2]] - rest[names[1]]]
        turn[upper], turn[lower] = _limb(turn[trunk], bones, unit(b - a), unit(c - b))
    turn["left foot"], turn["right foot"] = turn["left shin"], turn["right shin"]
    shift = {"pelvis": recorded["Hip"] * _leg(rest) / _recorded_leg(recorded)}
    for bone in BONES[1:]:
        joint, carrier = _HELD_AT[bone]
        shift[bone] = shift[carrier] + (turn[carrier] - turn[bone]) @ rest[joint]
    return Pose(*(np.stack([part[b] for b in BONES], axis=1) for part in (turn, shift)))


def _halfway(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The rotation (N, 3, 3) half of the way from `a` to `b`."""
    half = Rotation.from_matrix(a.swapaxes(-1, -2) @ b).as_rotvec() / 2
    return a @ Rotation.from_rotvec(half).as_matrix()


def _head_frame(recorded: dict[str, np.ndarray]) -> np.ndarray:
    """(N, 3, 3) columns left, back, up of the head; at rest it is the identity."""
    up = unit(recorded["Head"] - recorded["Thorax"])
    front = recorded["Nose"] - recorded["Thorax"]
    front = unit(front - (front * up).sum(-1, keepdims=True) * up)
    return np.stack([np.cross(up, front), -front, up], axis=-1)


def _leg(rest: dict[str, np.ndarray]) -> float:
    thigh, shin = rest["LKnee"] - rest["LHip"], rest["LAnkle"] - rest["LKnee"]
    return float(np.linalg.norm(thigh) + np.linalg.norm(shin))


def _recorded_leg(recorded: dict[str, np.ndarray]) -> float:
    thigh = np.linalg.norm(recorded["LKnee"] - recorded["LHip"], axis=-1)
    shin = np.linalg.norm(recorded["LFoot"] - recorded["LKnee"], axis=-1)
    return float(np.median(thigh + shin))


def _limb(trunk: np.ndarray, rest: list[np.ndarray], upper: np.ndarray, lower: np.ndarray):
    """Rotations (N, 3, 3) of the two bones of a limb from their directions (N, 3) in the world."""
    rest_upper, rest_lower = (unit(bone) for bone in rest)
    rest_hinge = unit(np.cross(rest_upper, rest_lower))
    swung = _swing(trunk @ rest_upper, upper, trunk @ rest_hinge)
    hinge = np.cross(upper, lower)
    bent = np.linalg.norm(hinge, axis=-1, keepdims=True)  # the sine of the flexion
    sure = np.clip((bent - 0.1) / 0.25, 0, 1)
    hinge = unit(sure * unit(hinge) + (1 - sure) * swung)
    return tuple(
        _frame(now, hinge) @ _frame(then, rest_hinge).T
        for now, then in ((upper, rest_upper), (lower, rest_lower))
    )


def _swing(before: np.ndarray, after: np.ndarray, v: np.ndarray) -> np.ndarray:
    """`v` (N, 3) turned by the shortest rotation that takes unit vectors `before` to `after`."""
    axis = np.cross(before, after)
    cosine = (before * after).sum(-1, keepdims=True)
    along = (axis * v).sum(-1, keepdims=True)
    return cosine * v + np.cross(axis, v) + axis * along / np.maximum(1 + cosine, 1e-3)


def _frame(direction: np.ndarray, hinge: np.ndarray) -> np.ndarray:
    """Rotation (..., 3, 3) that keeps `direction` and straightens `hinge` against it."""
    return body_frame(direction, hinge)
