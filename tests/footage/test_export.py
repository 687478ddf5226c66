"""What is written is read back by other readers than ours: within 1 mm, rigid bones within 5 mm."""

import csv
import sys

import bvhio
import ezc3d
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posebook.footage.export import WRITERS, write_all, write_bvh
from posebook.geometry.skeleton import H36M

RNG = np.random.default_rng(0)


def rigid(T=6):
    """Bodies of rigid bones that turn at every joint, +z up."""
    rest = RNG.normal(size=(17, 3)) * 0.25 + [0, 0, 0.1]
    world, turn = np.zeros((T, 17, 3)), {}
    for j, parent in enumerate(H36M.parents):
        own = Rotation.from_rotvec(RNG.normal(size=(T, 3)))
        turn[j] = own if parent < 0 else turn[parent] * own
        base = RNG.normal(size=(T, 3)) if parent < 0 else world[:, parent]
        world[:, j] = base if parent < 0 else base + turn[parent].apply(rest[j])
    return world


WORLD = rigid()
GAPS = WORLD.copy()
GAPS[2] = np.nan
GAPS[4, 5] = np.nan


def test_trc_is_what_opensim_reads(tmp_path):
    WRITERS[".trc"](tmp_path / "a.trc", GAPS, 50.0)
    lines = (tmp_path / "a.trc").read_text().split("\n")
    assert lines[2].split("\t")[:5] == ["50", "50", "6", "17", "m"]
    assert [name for name in lines[3].split("\t")[2:] if name] == list(H36M.names)
    rows = [[float(v) if v else np.nan for v in line.split("\t")] for line in lines[6:-1]]
    assert {len(row) for row in rows} == {2 + 51}
    read = np.array(rows)[:, 2:].reshape(6, 17, 3)
    np.testing.assert_allclose(read[..., 0], GAPS[..., 0], atol=1e-3)
    np.testing.assert_allclose(read[..., 1], GAPS[..., 2], atol=1e-3)  # up
    np.testing.assert_allclose(read[..., 2], -GAPS[..., 1], atol=1e-3)
    np.testing.assert_allclose(np.array(rows)[:, 1], np.arange(6) / 50)


def test_csv_and_npz(tmp_path):
    write_all(tmp_path / "a", GAPS, 50.0)
    with open(tmp_path / "a.csv") as file:
        rows = list(csv.DictReader(file))
    read = [[[float(row[f"{n}_{axis}_m"] or "nan") for axis in "xyz"] for n in H36M.names]
            for row in rows]  # fmt: skip
    np.testing.assert_allclose(read, GAPS, atol=1e-3)
    with np.load(tmp_path / "a.npz") as file:
        np.testing.assert_array_equal(file["joints_3d"], GAPS)
        said = [file[key].item() for key in ("unit", "up", "joint_set", "fps")]
    assert said == ["m", "+z", "h36m17", 50]


def test_c3d(tmp_path):
    WRITERS[".c3d"](tmp_path / "a.c3d", GAPS, 50.0)
    file = ezc3d.c3d(str(tmp_path / "a.c3d"))
    points = file["data"]["points"][:3].transpose(2, 1, 0)
    np.testing.assert_allclose(points / 1000, GAPS, atol=1e-3)
    point = file["parameters"]["POINT"]
    assert point["LABELS"]["value"] == list(H36M.names)
    assert point["UNITS"]["value"] == ["mm"] and point["RATE"]["value"][0] == 50
    residuals = file["data"]["meta_points"]["residuals"][0].T
    assert ((residuals < 0) == np.isnan(GAPS).any(-1)).all()


def test_without_ezc3d_the_others_are_written_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ezc3d", None)
    notes = write_all(tmp_path / "a", WORLD, 50.0)
    assert {path.suffix for path in tmp_path.iterdir()} == {".bvh", ".csv", ".npz", ".trc"}
    assert notes == ["a.c3d is not written: C3D needs ezc3d; pip install 'posebook[footage]'"]


# ---------------------------------------------------------------- BVH


def read_bvh(path):
    """Joint positions by name (T, 3) in the file's unit: a forward kinematics of its own."""
    words = iter(path.read_text().split())
    joints, stack, parents = [], [], []
    for word in words:
        if word in ("ROOT", "JOINT", "End"):
            name = next(words)
            joints.append({"name": None if word == "End" else name, "channels": []})
            parents.append(stack[-1] if stack else None)
        elif word == "{":
            stack.append(joints[-1])
        elif word == "}":
            stack.pop()
        elif word == "OFFSET":
            joints[-1]["offset"] = np.array([float(next(words)) for _ in range(3)])
        elif word == "CHANNELS":
            joints[-1]["channels"] = [next(words) for _ in range(int(next(words)))]
        elif word == "Frames:":
            T = int(next(words))
        elif word == "Time:":
            step = float(next(words))
            break
    values = np.array([float(word) for word in words]).reshape(T, -1)
    at, found = 0, {}
    for joint, parent in zip(joints, parents):
        position, turn = np.tile(joint["offset"], (T, 1)), np.tile(np.eye(3), (T, 1, 1))
        for channel in joint["channels"]:
            value, at = values[:, at], at + 1
            axis = "XYZ".index(channel[0])
            if channel.endswith("position"):
                position[:, axis] = value
            else:
                turn = turn @ Rotation.from_rotvec(
                    np.deg2rad(value)[:, None] * np.eye(3)[axis]
                ).as_matrix()
        if parent is not None:
            position = parent["at"] + np.einsum("tab,tb->ta", parent["turn"], position)
            turn = parent["turn"] @ turn
        joint |= {"at": position, "turn": turn}
        if joint["name"]:
            found[joint["name"]] = position
    return found, step


def test_bvh_of_rigid_bones_by_another_forward_kinematics(tmp_path):
    found, step = read_bvh(write_bvh(tmp_path / "a.bvh", WORLD, 50.0))
    assert list(found) != [] and set(found) == set(H36M.names) and step == pytest.approx(0.02)
    for j, name in enumerate(H36M.names):
        x, y, z = WORLD[:, j].T
        np.testing.assert_allclose(found[name] / 100, np.stack([x, z, -y], 1), atol=5e-3)


def test_bodies_whose_bones_change_length_are_near_in_bvh_and_the_report_says_how_near(tmp_path):
    growing = WORLD * np.linspace(0.9, 1.1, len(WORLD))[:, None, None]
    [said] = write_all(tmp_path / "a", growing, 50.0)
    found, _ = read_bvh(tmp_path / "a.bvh")
    places = np.stack([found[name] for name in H36M.names], 1)[..., [0, 2, 1]] * [10, -10, 10]
    off = np.linalg.norm(places - 1000 * growing, axis=-1)
    assert said.startswith("a.bvh: its bones are rigid")
    assert said.endswith(f"a median {np.median(off):.0f} mm off")
    # Bones that only kept their directions would add up their faults from the root to the foot.
    bones = np.diff(growing[:, [0, 1, 2, 3]], axis=1)
    lengths = np.linalg.norm(bones, axis=-1, keepdims=True)
    added_up = ((1 - np.median(lengths, axis=0) / lengths) * bones).sum(1)
    assert off[:, 3].mean() < 0.8 * 1000 * np.linalg.norm(added_up, axis=-1).mean()


def test_bvh_by_bvhio(tmp_path):
    root = bvhio.readAsHierarchy(str(write_bvh(tmp_path / "a.bvh", WORLD, 50.0)))
    for t, body in enumerate(WORLD):
        root.loadPose(t)
        for joint, _, _ in root.layout():
            x, y, z = body[H36M.names.index(joint.Name)]
            np.testing.assert_allclose(np.array(joint.PositionWorld) / 100, [x, z, -y], atol=5e-3)


def test_bvh_fills_gaps_and_names_a_joint_that_is_never_known(tmp_path):
    found, _ = read_bvh(write_bvh(tmp_path / "a.bvh", GAPS, 50.0))
    assert all(np.isfinite(position).all() for position in found.values())
    never = WORLD.copy()
    never[:, 3] = np.nan
    with pytest.raises(ValueError, match="joint RFoot is known in no frame"):
        write_bvh(tmp_path / "b.bvh", never, 50.0)
    said = write_all(tmp_path / "c", never, 50.0)
    assert said == ["c.bvh is not written: joint RFoot is known in no frame; BVH needs all of them"]
    there = {path.suffix for path in tmp_path.glob("c.*")}
    assert there == {".trc", ".c3d", ".npz", ".csv"}


@pytest.mark.parametrize(("world", "fps", "said"), [(WORLD[:, :5], 50, "bodies must be"),
                                                    (WORLD, 0, "must be positive")])  # fmt: skip
def test_what_cannot_be_written_is_refused(tmp_path, world, fps, said):
    with pytest.raises(ValueError, match=said):
        write_all(tmp_path / "a", world, fps)
