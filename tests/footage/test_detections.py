"""Every detector's files give the same people; what is wrong is named with its remedy."""

import json
from unittest.mock import Mock

import numpy as np
import pytest

from posebook.data.recorded.pose2sim import load_pose2sim
from posebook.footage.detections import aligned, read_detections
from posebook.geometry.skeleton import joint_set

RNG = np.random.default_rng(0)
PEOPLE = np.concatenate(  # 3 frames, 2 people, COCO's joints
    [RNG.uniform(10, 900, (3, 2, 17, 2)), RNG.uniform(0.1, 1, (3, 2, 17, 1))], axis=-1
)


def openpose(folder, frames, first=0):
    """A file a frame, with as many people as there are."""
    folder.mkdir()
    for t, people in enumerate(frames):
        found = [{"pose_keypoints_2d": np.ravel(person).tolist()} for person in people]
        name = f"cam2_{t + first:012d}_keypoints.json"
        (folder / name).write_text(json.dumps({"version": 1.3, "people": found}))
    return folder


def results(path, frames, name="{}.jpg", first=0):
    entries = [
        {"image_id": name.format(t + first) if name else t + first, "score": 1.0,
         "category_id": 1, "keypoints": np.ravel(person).tolist()}
        for t, people in enumerate(frames) for person in people
    ]  # fmt: skip
    path.write_text(json.dumps(entries))
    return path


def own(path, frames):
    np.savez(path, joints_2d=frames[..., :2], confidence=frames[..., 2], joint_set="coco17")
    return path


@pytest.mark.parametrize("form", ["openpose", "coco", "alphapose", "npz"])
def test_all_forms_give_the_same(tmp_path, form):
    path = {
        "openpose": lambda: openpose(tmp_path / "cam2", PEOPLE),
        "coco": lambda: results(tmp_path / "cam2.json", PEOPLE, name=""),
        "alphapose": lambda: results(tmp_path / "cam2.json", PEOPLE),
        "npz": lambda: own(tmp_path / "cam2.npz", PEOPLE),
    }[form]()
    view = read_detections(path)
    assert (view.name, view.joint_set, len(view)) == ("cam2", "coco17", 3)
    np.testing.assert_allclose(view.joints, PEOPLE[..., :2])
    np.testing.assert_allclose(view.confidence, PEOPLE[..., 2])
    mapped = view.mapped("h36m17")  # RHip is COCO's twelfth, Hip the middle of both
    np.testing.assert_allclose(mapped.joints[:, :, 1], PEOPLE[:, :, 12, :2])
    np.testing.assert_allclose(mapped.joints[:, :, 0], PEOPLE[:, :, 11:13, :2].mean(2))


def test_an_npz_says_which_joints_it_has_and_is_not_contradicted(tmp_path):
    """COCO's 17 joints fit into Human3.6M's 17 places, and bodies lay 80 cm off."""
    parts = {"joints_2d": PEOPLE[..., :2], "confidence": PEOPLE[..., 2]}
    np.savez(tmp_path / "cam2.npz", **parts)
    with pytest.raises(ValueError, match="no joint_set in it, .* or give --joints"):
        read_detections(tmp_path / "cam2.npz")
    assert read_detections(tmp_path / "cam2.npz", "coco17").joint_set == "coco17"
    with pytest.raises(ValueError, match="its joint_set is coco17, and --joints says h36m17"):
        read_detections(own(tmp_path / "cam3.npz", PEOPLE), "h36m17")


def test_frames_and_joints_without_detection_are_marked(tmp_path):
    frames = [PEOPLE[0], PEOPLE[1, :1].copy(), []]
    frames[1][0, 5, 0] = 0  # OpenPose: x = 0 with a confidence
    view = read_detections(openpose(tmp_path / "cam2", frames))
    assert view.people.tolist() == [[True, True], [True, False], [False, False]]
    assert view.confidence[1, 0, 5] == 0 and np.isnan(view.joints[1, 0, 5]).all()
    assert np.isnan(view.joints[2]).all()


def test_a_frame_whose_file_is_lost_has_nobody(tmp_path):
    folder = openpose(tmp_path / "cam2", PEOPLE)
    (folder / "cam2_000000000001_keypoints.json").unlink()
    view = read_detections(folder)
    assert view.people.any(1).tolist() == [True, False, True]
    assert view.notes == ("1 frames have no file, and so nobody",)


def test_files_without_a_frame_number_of_their_own_are_named(tmp_path):
    folder = openpose(tmp_path / "a", PEOPLE)
    first, second, *_ = sorted(folder.glob("*.json"))
    for name, said in (("frame_cam2_keypoints", "have the same frame number"),
                       ("frame", "frame.json: no frame number in its name")):  # fmt: skip
        for k, file in enumerate((first, second)):
            new = f"{k}_{name}.json" if "cam2" in name else f"{name}{'s' * k}.json"
            file.rename(folder / new)
        with pytest.raises(ValueError, match=said + ".*; keep OpenPose's names"):
            read_detections(folder)
        first, second, *_ = sorted(folder.glob("*frame*.json"))


@pytest.mark.parametrize("name", ["body25", "body25b"])
def test_the_two_sets_of_25_joints_are_told_apart(tmp_path, name):
    joints = joint_set(name).names
    place = {"LHip": (50, 100), "RHip": (30, 100), "MidHip": (40, 100), "RElbow": (10, 50)}
    frame = [[(*place.get(joint, (40, 10)), 0.9) for joint in joints]]
    assert read_detections(openpose(tmp_path / "a", [frame])).joint_set == name
    assert read_detections(tmp_path / "a", joints="body25").joint_set == "body25"


def test_the_two_sets_of_17_joints_are_told_apart(tmp_path):
    """Human3.6M's as JSON were taken for COCO's, and bodies came out folded."""
    take = load_pose2sim()
    ours = np.concatenate([take.joints_2d[:, 0], take.confidence[:, 0, :, None]], -1)[:, None]
    file = results(tmp_path / "a.json", ours)
    view = read_detections(file)
    assert view.joint_set == "h36m17" and "joint 0 lies between 1 and 4" in view.notes[0]
    assert read_detections(file, joints="coco17").joint_set == "coco17"
    there = dict(zip(joint_set("h36m17").names, ours[0, 0, :, :2]))
    same = {"LAnkle": "LFoot", "RAnkle": "RFoot"}
    face = {"LEye": (8, -9), "REye": (-6, -9), "LEar": (18, -4), "REar": (-10, -6)}
    for size in (1, 12):  # of the face: in one picture the man is near, and little else is seen
        coco = [(*(there[same.get(name, name)] if name not in face else
                   there["Nose"] + size * np.array(face[name])), 0.9)
                for name in joint_set("coco17").names]  # fmt: skip
        assert read_detections(results(tmp_path / "b.json", [[coco]])).joint_set == "coco17"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"), ("[1]", "not a list of people"), ("[]", "nobody in any of 0 frames"),
        ('[{"image_id": "a.jpg"}]', "image_id 'a.jpg' has no frame number"),
        ('[{"image_id": 1, "keypoints": [1, 2]}]', "keypoints is not a list of x, y, confidence"),
        ('[{"image_id": 1, "keypoints": [1, 2, 1]}]', "1 joints, of no known set"),
        (json.dumps([{"image_id": 1, "keypoints": [5, 5, 2] * 17}]), "confidences go up to 2"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path, text, said):
    path = tmp_path / "cam.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=said) as refused:
        read_detections(path)
    assert str(refused.value).startswith(str(path))


def test_other_files_are_named(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", joints=1)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-30])
    (tmp_path / "a.csv").write_text("x")
    for name, said in (("a.npz", "joints_2d"), ("cut.npz", "an npz of detections holds"),
                       ("a.csv", "known are a folder of OpenPose")):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            read_detections(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="b.csv: there are no such detections"):
        read_detections(tmp_path / "b.csv")
    with monkeypatch.context() as patch:
        patch.setattr(np, "load", Mock(side_effect=PermissionError(13, "Permission denied", "a")))
        with pytest.raises(PermissionError):  # and not: an npz holds joints_2d
            read_detections(tmp_path / "a.npz")
    (tmp_path / "people").mkdir()
    for people in ("3", "[3]"):
        (tmp_path / "people" / "0.json").write_text(f'{{"people": {people}}}')
        with pytest.raises(ValueError, match="no list `people`"):
            read_detections(tmp_path / "people")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no .json file"):
        read_detections(tmp_path / "empty")


# ---------------------------------------------------------------- cameras together


def test_lists_of_people_begin_and_end_where_the_other_cameras_do(tmp_path):
    """COCO's files know no frame without people."""
    a = read_detections(results(tmp_path / "a.json", PEOPLE, first=4))  # frames 4, 5, 6
    b = read_detections(results(tmp_path / "b.json", PEOPLE[:1], first=5))
    b = aligned([a, b])[1]
    assert b.people.any(1).tolist() == [False, True, False]
    np.testing.assert_allclose(b.joints[1], PEOPLE[0, ..., :2])


def test_numbers_that_run_on_from_camera_to_camera_are_taken_from_the_first(tmp_path):
    """No frame had two cameras, and nobody was found."""
    views = [read_detections(results(tmp_path / f"{k}.json", PEOPLE, name="", first=3 * k))
             for k in range(3)]  # fmt: skip
    for k, view in enumerate(aligned(views)):
        np.testing.assert_allclose(view.joints, PEOPLE[..., :2])
        assert f"its frames are numbered from {3 * k}, and no two cameras share" in view.notes[-1]
    later = read_detections(results(tmp_path / "c.json", PEOPLE, name="", first=2))
    assert [len(view) for view in aligned([views[0], later])] == [5, 5]  # they share frame 2


def test_cameras_of_different_length_are_refused_or_cut(tmp_path):
    views = [read_detections(openpose(tmp_path / "a", PEOPLE)),
             read_detections(openpose(tmp_path / "b", PEOPLE[:2]))]  # fmt: skip
    with pytest.raises(ValueError, match="different length in frames: a has 3, b has 2; cut"):
        aligned(views)
    cut = aligned(views, cut=True)
    assert [len(view) for view in cut] == [2, 2] and "cut from 3 to 2" in cut[0].notes[-1]
