"""Persons: a build, a skin, hair, and clothes that change from clip to clip.

Clothes are painted on the mesh and stand off it a little; nothing is modelled in cloth.
"""

from dataclasses import dataclass, replace

import numpy as np

from posebook.data.rendered.mesh import BONES, REST_JOINTS, SHAPES, Mesh, make_mesh, vertex_normals

PATTERNS = ("plain", "stripes", "checks", "blots")
# Along each limb a face lies at 0 (upper joint) to 1 (lower joint).
_SPANS = {
    "left upper arm": ("LShoulder", "LElbow"),
    "left forearm": ("LElbow", "LWrist"),
    "right upper arm": ("RShoulder", "RElbow"),
    "right forearm": ("RElbow", "RWrist"),
    "left thigh": ("LHip", "LKnee"),
    "left shin": ("LKnee", "LAnkle"),
    "right thigh": ("RHip", "RKnee"),
    "right shin": ("RKnee", "RAnkle"),
}

_SKIN = np.array([[240, 205, 180], [224, 172, 140], [190, 135, 100], [140, 95, 68], [90, 60, 45]])
_HAIR = np.array([[30, 25, 22], [60, 40, 28], [110, 75, 45], [190, 155, 95], [140, 135, 130]])


@dataclass(frozen=True, eq=False)
class Appearance:
    """How a mesh is coloured.

    Attributes:
        colour: (F, 3) RGB of each face, 0 to 255.
        pattern: (F,) index into `PATTERNS`.
        second: (F, 3) the other colour of the pattern.
        pitch: metres from stripe to stripe.
    """

    colour: np.ndarray
    pattern: np.ndarray
    second: np.ndarray
    pitch: float


def make_person(rng) -> tuple[Mesh, dict]:
    """A random person: the bare mesh, and what stays the same whatever he or she wears."""
    sex = int(rng.integers(2)) * 4
    build = np.zeros(len(SHAPES))
    build[sex : sex + 4] = rng.dirichlet([0.6, 1.2, 0.5, 0.6])
    body = {
        "skin": _between(_SKIN, rng) * rng.uniform(0.92, 1.05),
        "hair": _between(_HAIR, rng),
        "bald": rng.random() < 0.12,
        "long": rng.random() < (0.75 if sex == 0 else 0.12),
        "volume": rng.uniform(0.008, 0.028),
    }
    return make_mesh(build, stature=rng.uniform(0.94, 1.08)), body


def _between(palette: np.ndarray, rng) -> np.ndarray:
    place = rng.uniform(0, len(palette) - 1)
    low = min(int(place), len(palette) - 2)
    return palette[low] + (place - low) * (palette[low + 1] - palette[low])


def dress(mesh: Mesh, body: dict, rng) -> tuple[Mesh, Appearance]:
    """The person in random clothes: the mesh with hair and cloth standing off it, and its look."""
    zone = _zones(mesh, body, sleeve=rng.choice([0.25, 0.6, 1.9]), leg=rng.choice([0.5, 0.95, 1.9]))
    colours = {name: _cloth(rng) for name in ("shirt", "trousers", "shoes")}
    if rng.random() < 0.15:  # a suit or a dress
        colours["trousers"] = colours["shirt"]
    colours |= {"skin": body["skin"], "hair": body["hair"], "eye": body["skin"] * 0.25}
    colours["lips"] = body["skin"] * [0.85, 0.6, 0.6]
    colour = np.stack([colours[name] for name in zone])
    second = np.stack([_cloth(rng)] * len(zone))
    pattern = np.where(zone == "shirt", rng.choice(4, p=[0.45, 0.25, 0.15, 0.15]), 0)
    pattern = np.where(zone == "trousers", rng.choice(4, p=[0.85, 0.05, 0.05, 0.05]), pattern)
    loose = {"shirt": rng.uniform(0, 0.012), "trousers": rng.uniform(0, 0.015)}
    loose |= {"hair": body["volume"], "shoes": 0.006}
    vertices = mesh.vertices + mesh.normals * _stand_off(mesh, zone, loose)[:, None]
    mesh = replace(mesh, vertices=vertices, normals=vertex_normals(vertices, mesh.faces))
    return mesh, Appearance(colour, pattern, second, rng.uniform(0.04, 0.14))


def _cloth(rng) -> np.ndarray:
    """A colour of clothes: mostly muted, sometimes strong."""
    value, saturation = rng.uniform(25, 235), rng.choice([0.15, 0.4, 0.9])
    return np.clip(value * (1 + saturation * rng.uniform(-1, 1, 3)), 8, 250)


def _zones(mesh: Mesh, body: dict, sleeve: float, leg: float) -> np.ndarray:
    """What covers each face (F,). sleeve, leg: how far cloth reaches, 1 elbow or knee, 2 end."""
    centre = mesh.vertices[mesh.faces].mean(1)
    joint = dict(zip(REST_JOINTS, mesh.joints, strict=True))
    part = np.array(BONES)[mesh.part]
    zone = np.full(len(centre), "skin", dtype="<U8")
    zone[np.isin(part, ["chest", "belly"])] = "shirt"
    zone[part == "pelvis"] = "trousers"
    waist = joint["Hip"][2] + 0.45 * (joint["Belly"] - joint["Hip"])[2]
    zone[(part == "belly") & (centre[:, 2] < waist)] = "trousers"
    zone[np.isin(part, ["left foot", "right foot"])] = "shoes"
    for bone, (upper, lower) in _SPANS.items():
        here = part == bone
        axis = joint[lower] - joint[upper]
        along = (centre[here] - joint[upper]) @ axis / (axis @ axis)
        along = along + (1 if bone.endswith(("forearm", "shin")) else 0)
        reach, cloth = (sleeve, "shirt") if "arm" in bone else (leg, "trousers")
        zone[here] = np.where(along < reach, cloth, "skin")
    head = part == "head"
    height = (centre[:, 2] - joint["Face"][2]) / (joint["HeadTop"] - joint["Face"])[2]
    back = centre[:, 1] - joint["SkullBase"][1]
    if not body["bald"]:
        lock = height + (14 if body["long"] else 9) * back > 0.05
        zone[(head | (part == "neck") & body["long"] & (back > 0.02)) & lock] = "hair"
    for number in (1, 2):
        eye = centre[mesh.surface == number].mean(0)
        brow = eye + [0, 0, 0.02]
        zone[head & (np.linalg.norm(centre - brow, axis=1) < 0.013)] = "hair"
    mouth = joint["Face"] - [0, 0, 0.42 * (joint["HeadTop"] - joint["Face"])[2]]
    zone[head & (np.linalg.norm(centre - mouth, axis=1) < 0.022)] = "lips"
    zone[mesh.surface > 0] = "eye"
    return zone


def _stand_off(mesh: Mesh, zone: np.ndarray, loose: dict[str, float]) -> np.ndarray:
    """How far each vertex (V,) moves outwards: the least that its faces allow."""
    each = np.array([loose.get(name, 0.0) for name in zone])
    off = np.full(len(mesh.vertices), np.inf)
    for corner in range(3):
        np.minimum.at(off, mesh.faces[:, corner], each)
    return np.where(np.isfinite(off), off, 0)
