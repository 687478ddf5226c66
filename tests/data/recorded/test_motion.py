import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posebook.data import embedded
from posebook.data.formats.wheels import open_wheel
from posebook.data.recorded import motion
from posebook.geometry.skeleton import H36M

sys.path.insert(0, str(Path(__file__).parents[3] / "tools"))
embed_motion = importlib.import_module("embed_motion")


@pytest.fixture(scope="module")
def clips():
    return {clip.name: clip for clip in motion.load_motion()}


def joints(clip, *names):
    return (clip.joints[:, H36M.index(name)[0]].astype(float) for name in names)


def bone_lengths(clip):
    """(T, 16) metres."""
    parents, children = np.array(H36M.bones).T
    return np.linalg.norm(clip.joints[:, parents] - clip.joints[:, children], axis=-1)


def test_fifteen_clips_at_50_hz(clips):
    assert len(clips) == 15
    assert sum(len(clip) for clip in clips.values()) == 1684
    assert len(clips["walk"]) == 64  # a cycle of 1.267 s
    for clip in clips.values():
        assert clip.fps == 50.0
        assert clip.joints.shape == (len(clip), 17, 3) and clip.joints.dtype == np.float32


def test_bones_are_rigid_and_the_same_in_all_clips(clips):
    lengths = np.concatenate([bone_lengths(clip) for clip in clips.values()])
    assert np.ptp(lengths, axis=0).max() < 1e-3


def test_left_and_right_bones_are_equally_long(clips):
    names = [H36M.names[child] for _, child in H36M.bones]
    length = dict(zip(names, bone_lengths(clips["walk"])[0], strict=True))
    for name in ("Hip", "Knee", "Foot", "Shoulder", "Elbow", "Wrist"):
        assert abs(length["L" + name] - length["R" + name]) < 1e-3
    assert length["RKnee"] == pytest.approx(0.4215, abs=1e-3)  # thigh
    assert length["RFoot"] == pytest.approx(0.4099, abs=1e-3)  # shin


@pytest.mark.parametrize("name", ["walk", "run"])
def test_walk_and_run_go_forward_along_x_with_the_left_side_at_plus_y(clips, name):
    hip, left, right = joints(clips[name], "Hip", "LHip", "RHip")
    assert hip[-1, 0] - hip[0, 0] > 1.2
    assert ((left - right)[:, 1] > 0.12).all()


@pytest.mark.parametrize("name", ["walk", "run"])
def test_knees_flex_backwards(clips, name):
    for side in "LR":
        left, right, hip, knee, ankle = joints(
            clips[name], "LHip", "RHip", side + "Hip", side + "Knee", side + "Foot"
        )
        thigh, shin = knee - hip, ankle - knee
        # Thigh down and shin back make a cross product to the person's left.
        bend = (np.cross(thigh, shin) * (left - right)).sum(axis=-1)
        assert bend.max() > 0.005 and bend.min() > -1e-4


def test_nose_is_in_front_of_the_head(clips):
    for clip in clips.values():
        nose, head, thorax, left, right = joints(
            clip, "Nose", "Head", "Thorax", "LShoulder", "RShoulder"
        )
        front = np.cross(left - right, head - thorax)
        towards_nose = ((nose - head) * front).sum(axis=-1)
        assert (towards_nose > 0).mean() > 0.9, clip.name


@pytest.mark.parametrize("name", ["walk", "dance_b", "punch"])
def test_upright_clips_stand_on_the_floor(clips, name):
    head, hip, *ankles = joints(clips[name], "Head", "Hip", "LFoot", "RFoot")
    lower_ankle = np.minimum(ankles[0][:, 2], ankles[1][:, 2])
    assert 0.02 < lower_ankle.min() < 0.07
    assert (head[:, 2] > hip[:, 2] + 0.5).all()


def test_pelvis_is_centred_on_the_origin(clips):
    for clip in clips.values():
        ground = clip.joints[:, H36M.root, :2]
        assert np.abs(ground.min(axis=0) + ground.max(axis=0)).max() < 1e-3


@pytest.fixture
def copied_asset(tmp_path, monkeypatch):
    copy = tmp_path / motion.ASSET
    copy.write_bytes((embedded.ASSETS / motion.ASSET).read_bytes())
    monkeypatch.setattr(embedded, "ASSETS", tmp_path)
    return copy


@pytest.mark.parametrize("damage", [lambda b: b[:-100], lambda b: b[:5000] + b"x" + b[5001:]])
def test_damaged_file_is_refused(copied_asset, damage):
    copied_asset.write_bytes(damage(copied_asset.read_bytes()))
    with pytest.raises(ValueError, match=r"deepmimic_h36m17\.npz is damaged .*embed_motion\.py"):
        motion.load_motion()


def test_missing_file_names_the_remedy(copied_asset):
    copied_asset.unlink()
    with pytest.raises(FileNotFoundError, match=r"deepmimic_h36m17\.npz is missing.*embed_motion"):
        motion.load_motion()


def raw_frames(count):
    """Frames of a motionless figure that last one second each."""
    frames = np.zeros((count, 44))
    frames[:, 0] = 1.0
    column = 4
    for joint in embed_motion.JOINT_ORDER:
        if joint not in embed_motion.HINGES:
            frames[:, column] = 1.0  # w of the identity
        column += 1 if joint in embed_motion.HINGES else 4
    assert column == 44
    return frames


def test_resampling_takes_the_short_arc_of_unnormalised_quaternions():
    frames = raw_frames(2)
    half = np.sqrt(0.5)
    frames[1, 4:8] = -3 * np.array([half, 0, 0, half])  # 90 degrees about z, as -3 q
    frames[1, 1:4] = [2, 4, 6]
    frames[1, 0] = 0.0  # the last frame of a clip often has no duration
    pelvis, rotations = embed_motion.resample(*embed_motion.parse_motion(frames), fps=4)
    np.testing.assert_allclose(pelvis[:, 0], [0, 0.5, 1, 1.5, 2])
    angles = rotations["root"].as_rotvec(degrees=True)
    np.testing.assert_allclose(angles[:, 2], [0, 22.5, 45, 67.5, 90], atol=1e-9)
    np.testing.assert_allclose(angles[:, :2], 0, atol=1e-9)


def test_resampling_is_linear_in_hinge_angles_and_respects_uneven_durations():
    frames = raw_frames(3)
    frames[:, 0] = [0.5, 1.5, 0.0]
    frames[:, 20] = [0.0, -2.0, -0.5]  # right knee
    _, rotations = embed_motion.resample(*embed_motion.parse_motion(frames), fps=2)
    knee = rotations["right_knee"].as_rotvec()
    np.testing.assert_allclose(knee[:, 2], [0, -2, -1.5, -1, -0.5], atol=1e-9)


def test_forward_kinematics_of_three_right_angles():
    links = {
        "chest": ("root", np.array([0, 1.0, 0])),
        "neck": ("chest", np.array([0, 1.0, 0])),
        "tip": ("neck", np.array([0, 1.0, 0])),  # a fixed joint: no motion of its own
    }
    turn = Rotation.from_euler("z", [[90]], degrees=True)
    rotations = {"root": turn, "chest": turn, "neck": turn}
    placed = embed_motion.forward_kinematics(links, np.array([[5.0, 0, 0]]), rotations)
    np.testing.assert_allclose(placed["chest"][0], [[4, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(placed["neck"][0], [[4, -1, 0]], atol=1e-12)
    np.testing.assert_allclose(placed["tip"][0], [[5, -1, 0]], atol=1e-12)


def test_urdf_with_a_trailing_nul_is_read_and_scaled():
    text = (
        '<robot><joint><parent link="a"/><child link="b"/><origin xyz="0 4 -8"/></joint></robot>\0'
    )
    parent, offset = embed_motion.parse_urdf(text)["b"]
    assert parent == "a"
    np.testing.assert_allclose(offset, [0, 1, -2])


def test_world_has_forward_x_up_z_and_the_right_side_at_minus_y():
    forward, up, right = np.eye(3)
    points = np.zeros((1, 17, 3))
    points[0, 1], points[0, 2], points[0, 3] = forward, up, right
    world = embed_motion.to_world(points)
    np.testing.assert_allclose(world[0, 1:4], [[1, 0, 0], [0, 0, 1], [0, -1, 0]])


def test_quantising_refuses_what_int16_cannot_hold():
    assert embed_motion.quantise(np.array([[[1.23456]]])) == 12346
    with pytest.raises(ValueError, match=r"3\.30 m"):
        embed_motion.quantise(np.array([[[-3.3]]]))


def test_equal_arrays_give_equal_bytes(tmp_path):
    wheels = importlib.import_module("wheels")
    arrays = {"walk": np.arange(6, dtype=np.int16)}
    hashes = {wheels.save_npz(tmp_path / name, arrays) for name in ("a.npz", "b.npz")}
    assert len(hashes) == 1
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.npz", "b.npz"]


def test_another_wheel_is_refused(tmp_path):
    path = tmp_path / "some.whl"
    path.write_bytes(b"not it")
    with pytest.raises(ValueError, match="give the path of that very wheel"):
        open_wheel(str(path), "pybullet==3.2.7", embed_motion.SHA256)
