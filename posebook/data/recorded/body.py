"""A pose taken apart and put together again: directions, proportions, limbs and blends.

Joint positions become unit bone directions in the frame of the pelvis (legs, trunk) or of the
thorax (arms, head). A body of other proportions is the same directions with other bone lengths; a
new pose is the limbs of several recorded poses on one trunk. Knees and elbows stay hinges: a blend
interpolates the hinge axis and the flexion, so it never bends further than the poses it is made of.
"""

from dataclasses import dataclass, fields

import numpy as np

from posebook.geometry.skeleton import H36M

_PARENTS = H36M.parents
_HIP, _SPINE, _THORAX = H36M.index("Hip", "Spine", "Thorax")
# Limb groups that may come from different recordings: their joints, and whose frame they live in.
LIMBS = {
    "right leg": H36M.index("RHip", "RKnee", "RFoot"),
    "left leg": H36M.index("LHip", "LKnee", "LFoot"),
    "trunk": H36M.index("Spine", "Thorax"),
    "head": H36M.index("Nose", "Head"),
    "left arm": H36M.index("LShoulder", "LElbow", "LWrist"),
    "right arm": H36M.index("RShoulder", "RElbow", "RWrist"),
}

_THORAX_LIMBS = ("head", "left arm", "right arm")
_HINGED = {limb: LIMBS[limb][-2:] for limb in ("right leg", "left leg", "left arm", "right arm")}


@dataclass(frozen=True, eq=False)
class Posture:
    """N poses taken apart.

    Attributes:
        root: (N, 3) pelvis position.
        pelvis: (N, 3, 3) rotations from body to world, columns (left, back, up).
        thorax: likewise.
        directions: (N, 17, 3) unit bone directions (parent to joint) in the frame of the pelvis or
            the thorax; the root's is zero.
    """

    root: np.ndarray
    pelvis: np.ndarray
    thorax: np.ndarray
    directions: np.ndarray

    def take(self, index: np.ndarray) -> "Posture":
        """The poses at `index`."""
        return Posture(*(getattr(self, field.name)[index] for field in fields(self)))


def unit(v: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) scaled to length one (zero stays zero)."""
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12)


def body_frame(left: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Rotation (..., 3, 3) with columns left, back, up; `left` is kept, `up` is straightened."""
    left = unit(left)
    up = unit(up - (up * left).sum(-1, keepdims=True) * left)
    return np.stack([left, np.cross(up, left), up], axis=-1)


def frames_of(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pelvis and thorax frames (..., 3, 3) of poses (..., 17, 3)."""
    name = dict(zip(H36M.names, np.moveaxis(joints, -2, 0), strict=True))
    pelvis = body_frame(name["LHip"] - name["RHip"], name["Spine"] - name["Hip"])
    thorax = body_frame(name["LShoulder"] - name["RShoulder"], name["Thorax"] - name["Spine"])
    return pelvis, thorax


def bone_lengths(joints: np.ndarray) -> np.ndarray:
    """Lengths (..., 17) of the bones that end in each joint; 0 for the root."""
    bones = joints - joints[..., [max(p, 0) for p in _PARENTS], :]
    return np.linalg.norm(bones, axis=-1)


def take_apart(joints: np.ndarray) -> Posture:
    """Poses (N, 17, 3) as a `Posture`."""
    pelvis, thorax = frames_of(joints)
    bones = unit(joints - joints[..., [max(p, 0) for p in _PARENTS], :])
    directions = bones @ pelvis
    for limb in _THORAX_LIMBS:
        directions[:, LIMBS[limb]] = bones[:, LIMBS[limb]] @ thorax
    return Posture(joints[:, _HIP].copy(), pelvis, thorax, directions)


def put_together(posture: Posture, lengths: np.ndarray) -> np.ndarray:
    """Joints (N, 17, 3) of a `Posture` on a body with bone lengths (17,) or (N, 17)."""
    bones = posture.directions @ posture.pelvis.swapaxes(-1, -2)
    for limb in _THORAX_LIMBS:
        local = posture.directions[:, LIMBS[limb]]
        bones[:, LIMBS[limb]] = local @ posture.thorax.swapaxes(-1, -2)
    bones = bones * np.broadcast_to(lengths, bones.shape[:-1])[..., None]
    joints = np.empty_like(bones)
    for joint, parent in enumerate(_PARENTS):
        joints[:, joint] = posture.root if parent < 0 else joints[:, parent] + bones[:, joint]
    return joints


def recombine(trunk: Posture, limbs: dict[str, Posture]) -> Posture:
    """`trunk` with the limbs of other postures, each in the frame it hangs on.

    The limb "trunk" is the bend and twist of the spine: how the thorax stands on the pelvis.
    """
    directions, thorax = trunk.directions.copy(), trunk.thorax
    for limb, source in limbs.items():
        directions[:, LIMBS[limb]] = source.directions[:, LIMBS[limb]]
    if "trunk" in limbs:
        bent = limbs["trunk"]
        thorax = trunk.pelvis @ bent.pelvis.swapaxes(-1, -2) @ bent.thorax
    return Posture(trunk.root, trunk.pelvis, thorax, directions)


def blend(a: Posture, b: Posture, weight: np.ndarray) -> Posture:
    """Postures between `a` (weight 0) and `b` (weight 1); root and pelvis stay those of `a`.

    Args:
        weight: (N,). Ball joints move on the arc between the two directions; knees and elbows blend
            hinge axis and flexion, so that no joint leaves the range its two sources span.
    """
    w = weight[:, None, None]
    directions = unit((1 - w) * a.directions + w * b.directions)
    for upper, lower in _HINGED.values():
        directions[:, lower] = _blend_hinge(a, b, weight, directions[:, upper], upper, lower)
    # The thorax turns relative to the pelvis, so b's is first carried over to a's pelvis.
    relative_a = a.pelvis.swapaxes(-1, -2) @ a.thorax
    relative_b = b.pelvis.swapaxes(-1, -2) @ b.thorax
    mixed = (1 - w) * relative_a + w * relative_b
    thorax = a.pelvis @ body_frame(mixed[..., 0], mixed[..., 2])
    return Posture(a.root, a.pelvis, thorax, directions)


def _blend_hinge(a, b, weight, upper_direction, upper: int, lower: int) -> np.ndarray:
    w = weight[:, None]
    axis_a = np.cross(a.directions[:, upper], a.directions[:, lower])
    axis_b = np.cross(b.directions[:, upper], b.directions[:, lower])
    axis = (1 - w) * axis_a + w * axis_b  # unnormalised: a straight limb has no axis to insist on
    axis = unit(axis - (axis * upper_direction).sum(-1, keepdims=True) * upper_direction)
    angle = (1 - w) * _flexion(a, upper, lower) + w * _flexion(b, upper, lower)
    return np.cos(angle) * upper_direction + np.sin(angle) * np.cross(axis, upper_direction)


def _flexion(posture: Posture, upper: int, lower: int) -> np.ndarray:
    cosine = (posture.directions[:, upper] * posture.directions[:, lower]).sum(-1, keepdims=True)
    return np.arccos(np.clip(cosine, -1, 1))


def interpolate(table: Posture, position: np.ndarray) -> Posture:
    """Postures at fractional rows (N,) of `table`, between the two neighbouring recorded ones."""
    low = np.floor(position).astype(int)
    high = np.minimum(low + 1, len(table.root) - 1)
    w = position - low
    a, b = table.take(low), table.take(high)
    mixed = blend(a, b, w)
    pelvis = (1 - w[:, None, None]) * a.pelvis + w[:, None, None] * b.pelvis
    pelvis = body_frame(pelvis[..., 0], pelvis[..., 2])
    thorax = (1 - w[:, None, None]) * a.thorax + w[:, None, None] * b.thorax
    thorax = body_frame(thorax[..., 0], thorax[..., 2])
    root = (1 - w[:, None]) * a.root + w[:, None] * b.root
    return Posture(root, pelvis, thorax, mixed.directions)


def mirror(joints: np.ndarray) -> np.ndarray:
    """The mirror image (..., 17, 3) of poses in the world's x = 0 plane, sides relabelled."""
    return (joints * np.array([-1.0, 1.0, 1.0], dtype=joints.dtype))[..., H36M.flip, :]
