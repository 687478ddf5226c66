"""A rig's own videos are looked at by the detector; what does not belong together is refused."""

import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from posebook.data.recorded.pose2sim import load_pose2sim
from posebook.footage import detector, film
from posebook.footage.rig import Wishes, _toml, read_rig
from posebook.geometry.skeleton import H36M, MEDIAPIPE

TAKE = load_pose2sim()
T, SIZE = 20, (272, 480)  # a quarter of the recording's pictures
NAMES = ("LShoulder", "LElbow", "LWrist", "LHip", "LKnee")
SEEN = [name for left in NAMES for name in (left, f"R{left[1:]}")] + ["Nose"]
FEET = {"LFoot": "LAnkle", "RFoot": "RAnkle"}


def write_video(path, frames=T, fps=60, size=SIZE, code="mp4v"):
    out = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), fps, size)
    for _ in range(frames):
        out.write(np.full((*size[::-1], 3), 200, np.uint8))
    out.release()
    return path


def found(v):
    """Joints (T, 1, 33, 2) and confidences as MediaPipe gives them, of the recording's man."""
    joints, confidence = np.full((T, 1, 33, 2), np.nan), np.zeros((T, 1, 33))
    for ours, theirs in {**{name: name for name in SEEN}, **FEET}.items():
        j, k = H36M.names.index(ours), MEDIAPIPE.names.index(theirs)
        joints[:, 0, k], confidence[:, 0, k] = TAKE.joints_2d[:T, v, j] / 4, 0.9
    return joints, confidence


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A calibration and four videos, and a detector that knows what is in them."""
    small = [replace(c, focal=c.focal / 4, principal=c.principal / 4, resolution=SIZE)
             for c in TAKE.cameras]  # fmt: skip
    (tmp_path / "Calib.toml").write_text("\n".join(map(_toml, small)))
    for camera in TAKE.cameras:
        write_video(tmp_path / f"{camera.name}.mp4")
    monkeypatch.setattr(detector, "require", lambda: None)
    monkeypatch.setattr(detector, "detect", Detector())
    return tmp_path


class Detector:
    """Answers for the cameras in their order."""

    def __init__(self):
        self.called = -1

    def __call__(self, pictures, people):
        assert people == 1
        self.called += 1
        joints, confidence = found(self.called)
        for t, picture in enumerate(pictures):
            assert picture.shape[0] == SIZE[1] and picture.shape[2] == 3
            yield joints[t], confidence[t]


def test_videos_give_what_their_detections_would(folder):
    take, health, notes = read_rig(folder, Wishes())
    assert take.fps == 60 and len(take) == T and health.up == "+z"
    j = H36M.index(*SEEN, *FEET)
    np.testing.assert_allclose(take.joints_2d[:, :, j], TAKE.joints_2d[:T][:, :, j] / 4, rtol=1e-5)
    kept = folder / "posebook" / "detections"
    said = f"joints by MediaPipe 0.10.14, one person (more with --people), kept as {kept}"
    assert any(f"{said}/cam02.npz" in note for note in notes)
    for path in kept.glob("*.npz"):
        path.rename(folder / path.name)
    assert len(list(folder.glob("*.npz"))) == 4
    again, _, _ = read_rig(folder, Wishes())  # in the folder, they spare the detector its work
    np.testing.assert_array_equal(again.joints_2d, take.joints_2d)
    assert detector.detect.called == 3 and again.fps == 30


@pytest.mark.parametrize(
    ("changes", "wishes", "said"),
    [
        ({"frames": T + 3}, {}, "different length in frames: .*cam02.mp4 has 23"),
        ({"fps": 50}, {}, "of different rate .*cam02.mp4 has 50.*; convert them"),
        ({"size": (480, 272)}, {}, r"272 x 480 pixels and the video 480 x 272 \(is it turned"),
        ({"size": (100, 200)}, {}, "the video 100 x 200; calibrate at"),
    ],
)  # fmt: skip
def test_videos_that_do_not_belong_together_are_refused_before_they_are_looked_at(
    folder, changes, wishes, said
):
    write_video(folder / "cam02.mp4", **changes)
    with pytest.raises(ValueError, match=said):
        read_rig(folder, Wishes(**wishes))
    assert detector.detect.called == -1


def test_rates_and_lengths_that_are_known_better_are_taken(folder, monkeypatch):
    write_video(folder / "cam02.mp4", fps=50)
    assert read_rig(folder, Wishes(fps=60))[0].fps == 60
    write_video(folder / "cam02.mp4", frames=15)
    monkeypatch.setattr(detector, "detect", Detector())
    assert len(read_rig(folder, Wishes(cut=True))[0]) == 15


def test_a_codec_that_is_not_known_is_named(folder):
    (folder / "cam02.mp4").write_bytes(b"\0\0\0\x18ftypmp42 and nothing more")
    with pytest.raises(ValueError, match="cam02.mp4: no frame .* codec: convert it"):
        read_rig(folder, Wishes())


def test_a_rate_that_varies_is_refused(folder, monkeypatch):
    def pictures(self, doing, say):
        yield from np.zeros((T, *SIZE[::-1], 3), np.uint8)
        if self.path.stem == "cam03":
            say(f"{self.path}: its frames come 16 to 50 ms apart")

    monkeypatch.setattr(film.Footage, "pictures", pictures)
    with pytest.raises(ValueError, match="cam03.mp4: its frames come 16 to 50 ms apart"):
        read_rig(folder, Wishes())


def test_turned_and_cropped_videos_are_said(folder, monkeypatch):
    write_video(folder / "cam01.mp4", size=(SIZE[0] - 2, SIZE[1]))
    monkeypatch.setattr(film.cv2, "CAP_PROP_ORIENTATION_META", film.cv2.CAP_PROP_FRAME_COUNT)
    notes = " ".join(read_rig(folder, Wishes())[2])
    assert f"camera cam04: frames are turned by {T} degrees" in notes
    assert "camera cam01: the video has 270 x 480 pixels and the calibration 272 x 480" in notes


def test_a_camera_that_shows_nobody_is_named(folder, monkeypatch):
    nobody = lambda frames, people: (  # noqa: E731
        [part[None] for part in detector._nobody()] for _ in frames
    )
    monkeypatch.setattr(detector, "detect", nobody)
    with pytest.raises(ValueError, match="cam01.mp4: nobody is found in any of 20 frames"):
        read_rig(folder, Wishes())


def test_without_a_detector_the_command_is_told(folder, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(ModuleNotFoundError, match="no detector is installed: pip install"):
        read_rig(folder, Wishes())
