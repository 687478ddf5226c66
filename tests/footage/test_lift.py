"""One video, from a file to files: what is written, what is marked, what is refused."""

import sys

import cv2
import numpy as np
import pytest

from posebook.__main__ import main
from posebook.data.recorded.pose2sim import load_pose2sim
from posebook.footage import detector, film
from posebook.footage.film import blur_head, draw, open_footage
from posebook.footage.lift import Wishes, lift_video, read_boxes
from posebook.geometry.skeleton import H36M, joint_set

TAKE, T, VIEW = load_pose2sim(), 40, 2
SIZE = (272, 480)  # a quarter of the recording's
JOINTS, CONFIDENCE = TAKE.joints_2d[:T, VIEW] / 4, TAKE.confidence[:T, VIEW]
GONE = slice(10, 16)


def write_video(path, frames=T, size=SIZE, code="mp4v"):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), 60, size)
    for t in range(frames):
        writer.write(np.full((size[1], size[0], 3), 90 + t, np.uint8))
    writer.release()
    return path


def write_detections(path, *people):
    """People (T, 17, 2) with the recording's confidences; NaN where not seen."""
    joints = np.stack(people, axis=1)
    confidence = np.where(np.isfinite(joints).all(-1), CONFIDENCE[:, None], 0.0)
    np.savez(path, joints_2d=joints, confidence=confidence, joint_set="h36m17")
    return path


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "cam03.mp4")


@pytest.fixture
def seen(tmp_path):
    joints = JOINTS.astype(float)
    joints[GONE] = np.nan
    return write_detections(tmp_path / "seen.npz", joints)


def test_the_command_writes_every_file_and_marks_frames_without_the_person(video, seen, capsys):
    out = video.parent / "out"
    assert main(["lift", str(video), "--detections", str(seen), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    report = (out / "report.txt").read_text()
    for words in ("480 px are taken, the longer side", "level and lies in the origin", "jitter",
                  "person 1: seen in 34 of 40 frames; not in frames 10 to 15",
                  "person1.bvh: frames 10 to 15 are filled along time"):  # fmt: skip
        assert words in said and words in report
    with np.load(out / "person1.npz") as file:
        world = file["joints_3d"]
        assert file["fps"] == 60 and str(file["up"]) == "+z"
    missing = ~np.isfinite(world).all((1, 2))
    np.testing.assert_array_equal(np.flatnonzero(missing), np.arange(10, 16))
    assert (world[~missing, H36M.index("Head")[0], 2] > world[~missing, 0, 2]).mean() > 0.9
    rows = (out / "person1.csv").read_text().splitlines()
    assert rows[1 + 12] == f"12,0.200000{',' * 51}" and ",," not in rows[1]
    with np.load(out / "person1_2d.npz") as file:
        np.testing.assert_allclose(file["joints_2d"][0], JOINTS[0], rtol=1e-6)
    page = (out / "player.html").read_text()
    assert '<figure class="skeletons">' in page and "requestAnimationFrame" in page
    assert "src=" not in page and "http" not in page.replace("http://www.w3.org/2000/svg", "")
    drawn = cv2.VideoCapture(str(out / "film.mp4"))
    frames = [drawn.read()[1] for _ in range(T)]
    assert not drawn.read()[0] and frames[0].shape == (480, 272, 3)
    spread = np.array([int(np.ptp(frame[200:])) for frame in frames])  # a skeleton is in it
    assert (np.delete(spread, np.arange(10, 16)) > 60).all() and (spread[GONE] < 30).all()


def test_two_people_have_files_of_their_own_and_one_can_be_asked_for(video, tmp_path):
    second = JOINTS / 2 + [150, 0]
    second[30:] = np.nan
    both = write_detections(tmp_path / "both.npz", second, JOINTS)
    people, _, out = lift_video(video, Wishes(detections=both), str)
    assert [len(person.missing) for person in people] == [0, 10]
    known = CONFIDENCE[..., None] > 0
    np.testing.assert_allclose(people[0].joints, np.where(known, JOINTS, np.nan), rtol=1e-6)
    assert (out / "person2.trc").is_file() and out.name == "cam03_posebook"
    [one], _, out = lift_video(video, Wishes(detections=both, person=2, out=tmp_path / "one"), str)
    assert one.number == 2 and not (out / "person1.trc").exists()
    with pytest.raises(ValueError, match="2 people are seen for 0.5 s or longer, so there is no"):
        lift_video(video, Wishes(detections=both, person=3), str)


def test_what_an_earlier_lift_has_left_is_no_person_of_this_one(video, tmp_path):
    second = JOINTS / 2 + [150, 0]
    two = write_detections(tmp_path / "two.npz", JOINTS, second)
    _, _, out = lift_video(video, Wishes(detections=two), str)
    (out / "person2.txt").write_text("a note of somebody's")
    assert (out / "person2.trc").exists() and (out / "person2_2d.npz").exists()
    lift_video(video, Wishes(detections=two, person=1), str)
    assert {p.name for p in out.glob("person2*")} == {"person2.txt"}


def test_a_calibration_says_where_the_camera_stands(video, seen, tmp_path):
    camera, table = TAKE.cameras[VIEW], []
    for each in TAKE.cameras:
        K = each.K * [[0.25], [0.25], [1.0]]
        table += [f'[{each.name}]\nname = "{each.name}"', "size = [272, 480]",
                  f"matrix = {K.tolist()}", "distortions = [0.0, 0.0, 0.0, 0.0]",
                  f"translation = {each.T.tolist()}",
                  f"rotation = {cv2.Rodrigues(each.R)[0].ravel().tolist()}"]  # fmt: skip
    (tmp_path / "Calib.toml").write_text("\n".join(table))
    wishes = Wishes(detections=seen, calibration=tmp_path / "Calib.toml")
    lift_video(video, wishes, str)
    with np.load(tmp_path / "cam03_posebook" / "person1.npz") as file:
        off = camera.project(file["joints_3d"]) / 4 - JOINTS
    assert np.nanmedian(np.linalg.norm(off, axis=-1)) < 10
    small = write_video(tmp_path / "cam03_small.mp4", size=SIZE[::-1])
    with pytest.raises(ValueError, match="272 x 480 pixels and the video 480 x 272 .is"):
        lift_video(small, wishes, str)
    with pytest.raises(ValueError, match="which of its cameras .cam01, .* filmed gym.mp4. Name"):
        lift_video(write_video(tmp_path / "gym.mp4"), wishes, str)


def test_a_camera_alone_and_one_without_a_place_will_do(video, seen, tmp_path):
    """Who stands upright in the picture stands upright in what is written."""
    K, up = TAKE.cameras[VIEW].K * [[0.25], [0.25], [1.0]], {}
    table = ['[gym]\nname = "gym"', "size = [272, 480]", f"matrix = {K.tolist()}",
             "distortions = [0.0, 0.0, 0.0, 0.0]"]  # fmt: skip
    turn = cv2.Rodrigues(TAKE.cameras[VIEW].R)[0].ravel().tolist()
    for name, more in (("no place", []), ("a place", [f"rotation = {turn}",
                                                      "translation = [0.0, 0.0, 3000.0]"])):
        (tmp_path / "Calib.toml").write_text("\n".join(table + more))
        notes = []
        wishes = Wishes(detections=seen, calibration=tmp_path / "Calib.toml", out=tmp_path / name)
        lift_video(video, wishes, notes.append)
        with np.load(tmp_path / name / "person1.npz") as file:
            body = np.nanmedian(file["joints_3d"], axis=0)
        up[name] = body[H36M.index("Head")[0]] - body[H36M.index("RFoot", "LFoot")].mean(0)
        said = any("does not say where camera gym stands" in note for note in notes)
        assert said is not bool(more)
    for way in up.values():
        assert way[2] > 0.75 * np.linalg.norm(way) > 1


def test_behind_the_last_box_there_is_nobody(video, tmp_path, monkeypatch):
    known = {name: name.replace("Ankle", "Foot") for name in joint_set("mediapipe33").names}
    places = [H36M.names.index(n if n in H36M.names else "Nose") for n in known.values()]

    def detect(pictures, boxes, people):
        for (t, _), wanted in zip(enumerate(pictures), boxes):
            there = np.isfinite(wanted).all(-1)[:, None]
            joints = np.where(there[..., None], JOINTS[t][places], np.nan)
            yield joints, there * CONFIDENCE[t][places]

    monkeypatch.setattr(detector, "require", lambda: None)
    monkeypatch.setattr(detector, "detect", detect)
    lines = [f"{t},1,0,0,271,479" for t in range(30)]
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("\n".join(["frame,person,x1,y1,x2,y2", *lines]))
    notes = []
    [person], _, _ = lift_video(video, Wishes(boxes=boxes), notes.append)
    assert person.missing.tolist() == list(range(30, T))
    assert f"person 1: seen in 30 of {T} frames; not in frames 30 to {T - 1}" in notes
    boxes.write_text("\n".join(["frame,person,x1,y1,x2,y2", *lines, "40,1,0,0,271,479"]))
    with pytest.raises(ValueError, match="boxes for 41 frames, and .* has 40; they are of another"):
        lift_video(video, Wishes(boxes=boxes), str)


@pytest.mark.parametrize("form", ["window", "stream"])
def test_arms_and_legs_by_the_network_of_chapter_2_and_what_that_does(video, tmp_path, form):
    joints = JOINTS.copy()
    joints[5:8] = np.nan
    seen, notes = write_detections(tmp_path / "seen.npz", joints), []
    [person], _, _ = lift_video(video, Wishes(detections=seen, temporal=form), notes.append)
    head, arms = H36M.index("Head", "Thorax", "Hip"), H36M.index("LWrist", "RFoot")
    np.testing.assert_array_equal(person.joints[:, head], joints[:, head])
    away = np.linalg.norm(person.joints[:, arms] - joints[:, arms], axis=-1)
    assert np.nanmedian(away) > 5 and (np.isnan(away).all(1) == np.isin(np.arange(T), (5, 6, 7))
                                       ).all()  # fmt: skip
    [said] = [note for note in notes if "res50-tce-bc" in note]
    assert f"person 1: arms and legs by res50-tce-bc ({form})" in said and "jitter" in said
    report = (tmp_path / "cam03_posebook" / "report.txt").read_text()
    assert said in report and person.missing.tolist() == [5, 6, 7]


# ---------------------------------------------------------------- what is wrong


def fits(tmp_path, frames, start=0):
    """Detections of so many frames."""
    path = tmp_path / "other.npz"
    np.savez(path, joints_2d=JOINTS[:1].repeat(frames, 0), confidence=np.ones((frames, 17)),
             joint_set="h36m17")  # fmt: skip
    return path


def test_detections_of_another_video_are_refused(video, tmp_path):
    with pytest.raises(ValueError, match="41 frames, and .*cam03.mp4 has 40; they are of another"):
        lift_video(video, Wishes(detections=fits(tmp_path, 41)), str)
    notes = []
    [person], _, _ = lift_video(video, Wishes(detections=fits(tmp_path, 30)), notes.append)
    assert "30 of the video's 40 frames have detections, from 0 on" in " ".join(notes)
    np.testing.assert_array_equal(person.missing, np.arange(30, 40))
    shares = tmp_path / "shares.npz"
    np.savez(shares, joints_2d=JOINTS[:1].repeat(40, 0) / 500, confidence=np.ones((40, 17)),
             joint_set="h36m17")  # fmt: skip
    with pytest.raises(ValueError, match="they are shares of the picture: multiply them"):
        lift_video(video, Wishes(detections=shares), str)
    wide = write_video(tmp_path / "wide.mp4", size=(480, 100))
    with pytest.raises(ValueError, match="of the joints lie outside its 480 x 100 pixels; they"):
        lift_video(wide, Wishes(detections=fits(tmp_path, 40)), str)


def test_joints_of_unturned_frames_are_recognised(video, seen, monkeypatch):
    monkeypatch.setattr(film.cv2, "CAP_PROP_ORIENTATION_META", film.cv2.CAP_PROP_FRAME_COUNT)
    assert open_footage(video).turned == T  # any number will do to show what is read
    turned = film.Footage(video, SIZE[::-1], 60.0, T, 90)
    monkeypatch.setattr("posebook.footage.lift.open_footage", lambda path, fps: turned)
    notes = []
    with pytest.raises(ValueError, match="before these were turned: detect on upright frames"):
        lift_video(video, Wishes(detections=seen), notes.append)
    assert "its frames are turned by 90 degrees, as its header says" in notes[0]


def test_nobody_in_the_video_is_said(video, tmp_path, monkeypatch):
    monkeypatch.setattr(detector, "require", lambda: None)
    nobody = lambda pictures, boxes: (detector._nobody() for _ in pictures)  # noqa: E731
    empty = lambda p, b, n: ([part[None] for part in found] for found in nobody(p, b))  # noqa: E731
    monkeypatch.setattr(detector, "detect", empty)
    with pytest.raises(ValueError, match="nobody is found in any of 40 frames; look at the video"):
        lift_video(video, Wishes(), str)


def test_a_video_that_cannot_be_read_is_refused_with_its_codec(tmp_path):
    video = write_video(tmp_path / "v.avi", code="MJPG")
    video.write_bytes(video.read_bytes().replace(b"MJPG", b"XQZ9"))
    with pytest.raises(ValueError, match="OpenCV does not know its codec: convert it .*libx264"):
        open_footage(video)
    with pytest.raises(FileNotFoundError, match="no.mp4: there is no such video"):
        open_footage(tmp_path / "no.mp4")


def test_of_a_video_that_is_cut_short_nothing_is_written(tmp_path, seen):
    """And what lies there of an earlier one stays whole."""
    video = write_video(tmp_path / "v.avi", code="MJPG")
    lift_video(video, Wishes(detections=seen), str)
    out = tmp_path / "v_posebook"
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    assert {"film.mp4", "person1.trc"} < set(before)
    video.write_bytes(video.read_bytes()[: 3 * video.stat().st_size // 4])
    with pytest.raises(ValueError, match="the video is cut short, has a hole or was trimmed"):
        lift_video(video, Wishes(detections=seen), str)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


def test_a_rate_that_varies_is_said(video, seen, monkeypatch):
    times = iter([0, *np.arange(T - 1) * 16.0, 2000.0])

    def read(path):
        for _ in range(T):
            yield np.zeros((480, 272, 3), np.uint8)
        import warnings
        warnings.warn(f"{path}: its frames come {next(times)} to 50 ms apart", stacklevel=1)

    monkeypatch.setattr(film, "read_video", read)
    notes = []
    lift_video(video, Wishes(detections=seen), notes.append)
    assert any("its frames come 0 to 50 ms apart" in note for note in notes)
    assert "50 ms apart" in (video.parent / "cam03_posebook" / "report.txt").read_text()


def test_what_does_not_go_together_is_refused(video, seen, tmp_path, monkeypatch):
    for wishes, said in [
        (Wishes(detections=seen, boxes=seen), "--detections take its place; give one of them"),
        (Wishes(detections=seen, calibration=seen, focal=3), "give --calibration or --focal"),
        (Wishes(detections=seen, temporal="all"), "no temporal form 'all'; there are window, st"),
        (Wishes(detections=seen, person=-1), "person, focal and smooth must not be negative"),
        (Wishes(detections=seen, people=2), "--people is for the detector, and --detections"),
    ]:
        with pytest.raises(ValueError, match=said):
            lift_video(video, wishes, str)
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(ModuleNotFoundError, match="no detector is installed: pip install --no-dep"):
        lift_video(video, Wishes(), str)


def test_boxes_are_read_by_frame_and_person(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("frame,person,x1,y1,x2,y2\n0,1,1,2,3,4\n2,2,5,6,7,8\n")
    boxes = np.array(read_boxes(path))
    assert boxes.shape == (3, 2, 4) and boxes[2, 1].tolist() == [5, 6, 7, 8]
    assert np.isnan(boxes[1]).all()
    path.write_text("frame,person,x1,y1,x2,y2\n0,0,1,2,3,4\n")
    with pytest.raises(ValueError, match="not boxes .frames count from 0, persons from 1.; write"):
        read_boxes(path)


# ---------------------------------------------------------------- pictures


def test_a_head_is_blurred_from_the_neck_up():
    picture = np.random.default_rng(0).integers(0, 255, (480, 272, 3), dtype=np.uint8)
    before = picture.copy()
    blur_head(picture, JOINTS[0])
    x, y = JOINTS[0, H36M.index("Nose")[0]].astype(int)
    face = slice(y - 5, y + 5), slice(x - 5, x + 5)
    assert picture[face].std() < before[face].std() / 3
    foot = int(JOINTS[0, :, 1].max())
    np.testing.assert_array_equal(picture[foot - 40 :], before[foot - 40 :])
    blur_head(picture, JOINTS[0] * np.nan)


def test_heads_are_blurred_in_the_film_unless_asked_otherwise(tmp_path, seen):
    path, (x, y) = tmp_path / "board.mp4", JOINTS[0, H36M.index("Nose")[0]].astype(int)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 60, SIZE)
    for _ in range(T):
        writer.write(np.tile(np.kron([[0, 255], [255, 0]], np.ones((4, 4))), (60, 34)).astype(
            np.uint8)[..., None].repeat(3, 2))  # fmt: skip
    writer.release()
    spread = {}
    for background in ("blurred", "sharp", "white"):
        wishes = Wishes(detections=seen, background=background, out=tmp_path / background)
        _, _, out = lift_video(path, wishes, str)
        frame = cv2.VideoCapture(str(out / "film.mp4")).read()[1]
        spread[background] = frame[y - 12 : y, x - 12 : x - 4].std(), frame[-40:].std()
    assert spread["blurred"][0] < 60 < spread["sharp"][0]
    assert spread["blurred"][1] > 60 and spread["white"][1] < 5


def test_a_skeleton_is_drawn_where_its_joints_are():
    picture = np.full((480, 272, 3), 255, np.uint8)
    draw(picture, JOINTS[0], 1)
    x, y = JOINTS[0, H36M.index("RKnee")[0]].round().astype(int)
    assert (picture[y - 1 : y + 2, x - 1 : x + 2] < 255).any()
    inked = np.argwhere((picture < 255).any(-1))[:, ::-1]
    low, high = JOINTS[0].min(0) - 25, JOINTS[0].max(0) + 25
    assert (inked.min(0) > low).all() and (inked.max(0) < high).all()


def test_the_detector_finds_nobody_in_an_empty_picture():
    pytest.importorskip("mediapipe", reason="the detector is no dependency: see detector.INSTALL")
    picture = np.full((240, 320, 3), 127, np.uint8)
    [(joints, confidence)] = detector.detect([picture])
    assert joints.shape == (1, 33, 2) and np.isnan(joints).all() and not confidence.any()
    boxes = np.array([[10, 10, 60, 200], [np.nan] * 4])
    [(joints, confidence)] = detector.detect([picture], [boxes])
    assert joints.shape == (2, 33, 2) and not confidence.any()
