import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from posebook.data.fixtures import images as fixtures_2d
from posebook.data.official import mpii


def assert_same(found, written):
    for field in ("joints", "visible", "box", "annotated"):
        a, b = getattr(found, field), getattr(written, field)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b, err_msg=field)
    for field in ("joint_set", "split", "source"):
        assert getattr(found, field) == getattr(written, field), field
    assert all(path.is_file() for path in found.pictures)


@pytest.fixture(scope="module")
def stills():
    return fixtures_2d.mpii_stills(8), fixtures_2d.mpii_stills(6, "valid", 8)


@pytest.fixture(scope="module")
def converted(stills, tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted")
    fixtures_2d.write_mpii_json(folder, *stills)
    return folder


@pytest.fixture(scope="module")
def original(stills, tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    fixtures_2d.write_mpii_mat(folder, *stills)
    return folder


@pytest.fixture(scope="module")
def pytorch_pose(rare, stills, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pytorch_pose")
    rare.write_mpii_pytorch_pose(folder, *stills)
    return folder


@pytest.fixture(params=["converted", "original", "pytorch_pose"])
def copy(request, tmp_path):
    shutil.copytree(request.getfixturevalue(request.param), tmp_path / request.param)
    return tmp_path / request.param


def write_release(folder, annolist, in_training=None):
    """An original file of these pictures."""
    in_training = np.ones((1, len(annolist))) if in_training is None else in_training
    release = {"annolist": fixtures_2d.structs(annolist), "img_train": in_training}
    savemat(folder / mpii.ORIGINAL, {"RELEASE": release})
    return folder / mpii.ORIGINAL


def person(**fields):
    point = fixtures_2d.structs([{"x": 5.0, "y": 6.0, "id": 0.0, "is_visible": 1.0}])
    usual = {"scale": 1.0, "objpos": {"x": 50.0, "y": 60.0}, "annopoints": {"point": point}}
    return usual | fields


def one_picture(*people):
    return [{"image": {"name": "a.jpg"}, "annorect": fixtures_2d.structs(people)}]


# ---------------------------------------------------------------- what was written comes back


def test_the_original_form(original, stills):
    for found, written in zip(mpii.load_stills(original), stills, strict=True):
        assert_same(found, written)


def test_the_converted_form_lost_what_can_be_seen(converted, stills):
    for found, written in zip(mpii.load_stills(converted), stills, strict=True):
        assert_same(found, replace(written, visible=written.annotated))
        assert (found.visible != written.visible).any()


def test_pytorch_poses_form_keeps_what_can_be_seen(pytorch_pose, stills):
    for found, written in zip(mpii.load_stills(pytorch_pose), stills, strict=True):
        assert_same(found, written)


def test_a_real_entry_of_pytorch_poses_form(tmp_path):
    """The third person of the file: joints 0, 1, 4, 5 nobody labelled, 7 and 12 are hidden."""
    joints = [
        [0, 0, 0], [0, 0, 0], [806, 543, 1], [720, 593, 1], [0, 0, 0], [0, 0, 0], [763, 568, 1],
        [683, 290, 0], [682, 256, 1], [676, 68, 1], [563, 296, 1], [555, 410, 1], [647, 281, 0],
        [719, 299, 1], [711, 516, 1], [545, 466, 1],
    ]  # fmt: skip
    entry = {
        "dataset": "MPI", "isValidation": 0.0, "img_paths": "015599452.jpg", "img_width": 1280.0,
        "img_height": 720.0, "objpos": [619.0, 329.0], "joint_self": joints,
        "scale_provided": 5.641, "annolist_index": 6.0, "people_index": 1.0,
    }  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps([entry]))
    ((name, found, labelled, visible, box),), valid = mpii.read_pytorch_pose(tmp_path / "a.json")
    assert name == "015599452.jpg" and valid == []
    assert np.flatnonzero(~labelled).tolist() == [0, 1, 4, 5]
    assert np.flatnonzero(labelled & ~visible).tolist() == [7, 12]
    assert found[2].tolist() == [805, 542], "counted from 0"
    np.testing.assert_array_equal(box, mpii.person_box(np.array([618.0, 328.0]), 5.641))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"isValidation": 2.0}, "isValidation must be 0 or 1, got 2"),
        ({"isValidation": None}, "isValidation is missing"),
        ({"joint_self": [[1, 2, 1]] * 15}, "joint_self must be 16 x 3 numbers"),
        ({"joint_self": [[1, 2, 2]] * 16}, "joint_self must have 0 or 1 in its third column"),
        ({"objpos": [1]}, "objpos must be 2 numbers"),
        ({"scale_provided": []}, "scale_provided must be a number"),
        ({"scale_provided": 0.0}, "scale must be a person's height in 200 px, got 0"),
        ({"img_paths": "a/b.jpg"}, "'a/b.jpg' is no picture's name"),
    ],
)
def test_a_bad_person_of_pytorch_poses_form(pytorch_pose, tmp_path, fields, problem):
    people = json.loads((pytorch_pose / "annot" / mpii.PYTORCH_POSE).read_text())
    people[1] = {k: v for k, v in (people[1] | fields).items() if v is not None}
    (tmp_path / "a.json").write_text(json.dumps(people))
    with pytest.raises(ValueError, match=f"a.json: person 1: {problem}; take the annotations"):
        mpii.read_pytorch_pose(tmp_path / "a.json")


def test_the_other_names_of_the_converted_form(converted, stills, tmp_path):
    shutil.copytree(converted, tmp_path, dirs_exist_ok=True)
    (tmp_path / "annot").rename(tmp_path / "annotations")
    for old, new in (("train", "mpii_train"), ("valid", "mpii_val")):
        (tmp_path / "annotations" / f"{old}.json").rename(tmp_path / "annotations" / f"{new}.json")
    assert len(mpii.load_stills(tmp_path)[0]) == len(stills[0])


def test_both_forms_count_from_one(original, stills):
    release = loadmat(original / mpii.ORIGINAL, simplify_cells=True)["RELEASE"]
    point = release["annolist"][0]["annorect"][0]["annopoints"]["point"][0]
    joint = stills[0].joints[0, int(point["id"])]
    assert (point["x"], point["y"]) == (joint[0] + 1, joint[1] + 1)


def test_a_persons_box_is_the_square_of_the_thesis_base_code():
    """There c_y += 15 s and s *= 1.25; the 1.25 is the crop's, as for every data set here."""
    box = mpii.person_box(np.array([100.0, 50.0]), 0.5)
    assert box.tolist() == [50.0, 7.5, 150.0, 107.5]


def test_pictures_with_a_held_out_person_train_nobody(stills, tmp_path):
    """As in the split of Tompson et al.: who shares a picture with one is in neither part."""
    fixtures_2d.write_mpii_mat(tmp_path, *stills)
    index = loadmat(tmp_path / "detections.mat")
    keep = [k for k in range(6) if k != 3]
    savemat(
        tmp_path / "detections.mat",
        {name: index[name][:, keep] for name in ("RELEASE_img_index", "RELEASE_person_index")},
    )
    train, valid = mpii.load_stills(tmp_path)
    assert len(train) == 8 and len(valid) == 5


def test_without_the_list_every_tenth_picture_is_held_out(tmp_path):
    names = [f"{k:09d}.jpg" for k in range(300)]
    pictures = [{"image": {"name": n}, "annorect": person()} for n in names]
    (tmp_path / "images").mkdir()
    for name in names:
        (tmp_path / "images" / name).touch()
    write_release(tmp_path, pictures)
    train, valid = mpii.load_stills(tmp_path)
    assert len(train) + len(valid) == 300 and 15 < len(valid) < 50
    assert not set(train.pictures) & set(valid.pictures)
    assert "not the split of the published numbers" in str(mpii.check(tmp_path))


@pytest.mark.parametrize(
    ("form", "seen"),
    [
        (1.0, True), (0.0, False), ("1", True), ("0", False), (np.zeros((0, 0)), True),
        (np.uint8(1), True), (np.uint8(0), False), (np.bool_(False), False),
    ],
)  # fmt: skip
def test_all_forms_of_is_visible(tmp_path, form, seen):
    points = [{"x": 5.0, "y": 6.0, "id": 3.0, "is_visible": form}]
    points = fixtures_2d.structs(points)
    path = write_release(tmp_path, one_picture(person(annopoints={"point": points})))
    ((*_, labelled, visible, _),) = [p for part in mpii.read_original(path)[:2] for p in part]
    assert np.flatnonzero(labelled).tolist() == [3] and visible[3] == seen


def test_an_absent_is_visible(tmp_path):
    points = fixtures_2d.structs([{"x": 5.0, "y": 6.0, "id": 3.0}])
    path = write_release(tmp_path, one_picture(person(annopoints={"point": points})))
    (found,) = [p for part in mpii.read_original(path)[:2] for p in part]
    assert found[3][3]


@pytest.mark.parametrize("field", ["scale", "objpos", "annopoints"])
def test_people_without_place_or_joints_are_left_out(tmp_path, field):
    people = [person(), {k: v for k, v in person().items() if k != field}]
    found = mpii.read_original(write_release(tmp_path, one_picture(*people)))
    assert sum(map(len, found[:2])) == 1
    alone = write_release(tmp_path, one_picture(people[1]))
    assert mpii.read_original(alone) == ([], [], 1)


def test_pictures_of_the_test_set_train_nobody(tmp_path):
    pictures = one_picture(person()) + one_picture(person())
    path = write_release(tmp_path, pictures, np.uint8([[1, 0]]))
    train, valid, pictures = mpii.read_original(path)
    assert pictures == 2
    assert len(train) + len(valid) == 1


# ---------------------------------------------------------------- bad files


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"image": None}, "person 1: image is missing"),
        ({"image": "../a.jpg"}, "person 1: '../a.jpg' is no picture's name"),
        ({"joints": [[1, 2]] * 15}, "person 1: joints must be 16 x 2 numbers"),
        ({"joints": [[1, 2]] * 15 + [[1]]}, "person 1: joints must be 16 x 2 numbers"),
        ({"joints": [[1, "2"]] * 16}, "person 1: joints must be 16 x 2 numbers"),
        ({"joints": [[float("nan"), 2]] * 16}, "person 1: joints is not finite"),
        ({"joints": np.ones((2, 16)).tolist()}, "person 1: joints must be 16 x 2 numbers"),
        ({"joints_vis": [2] * 16}, "person 1: joints_vis must be 0 or 1"),
        ({"center": [1]}, "person 1: center must be 2 numbers"),
        ({"scale": -1}, "person 1: scale must be a person's height in 200 px, got -1"),
        ({"scale": [1]}, "person 1: scale must be a number"),
    ],
)
def test_a_bad_person_of_the_converted_form(converted, tmp_path, fields, problem):
    people = json.loads((converted / "annot" / "train.json").read_text())
    people[1] = {k: v for k, v in (people[1] | fields).items() if v is not None}
    (tmp_path / "train.json").write_text(json.dumps(people))
    with pytest.raises(ValueError, match=f"train.json: {problem}; take the annotations from"):
        mpii.read_converted(tmp_path / "train.json")


@pytest.mark.parametrize("content", ["{}", "[]", "[1]", "", "[" * 100000, "\x00"])
def test_what_is_no_converted_file(tmp_path, content):
    (tmp_path / "train.json").write_text(content)
    with pytest.raises(ValueError, match="train.json.* (must be|is no JSON)"):
        mpii.read_converted(tmp_path / "train.json")


def point(**fields):
    usual = {"x": 5.0, "y": 6.0, "id": 3.0, "is_visible": 1.0} | fields
    return {"annopoints": {"point": fixtures_2d.structs([usual])}}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (point(id=16.0), r"annolist\(1\): point.id must be 0 to 15, got 16"),
        (point(id=2.5), "point.id must be 0 to 15, got 2.5"),
        (point(x=np.nan), "x is not finite"),
        (point(x="5"), "x must be one number, got the text '5'"),
        (point(y=np.ones((1, 2))), "y must be one number, got 1 x 2 of float64"),
        (point(is_visible=3.0), "is_visible must be 1, 0, '1', '0' or empty"),
        ({"scale": 0.0}, "scale must be a person's height in 200 px, got 0"),
        ({"objpos": {"x": 1.0}}, "y must be one number, got NoneType"),
    ],
)
def test_a_bad_person_of_the_original_form(tmp_path, fields, problem):
    path = write_release(tmp_path, one_picture(person(**fields)))
    with pytest.raises(ValueError, match=f"u12_1.mat: RELEASE .*{problem}.*; take the annotations"):
        mpii.read_original(path)


def test_counts_that_do_not_fit(tmp_path):
    path = write_release(tmp_path, one_picture(person()), np.ones((1, 2)))
    with pytest.raises(ValueError, match="has 1 pictures in annolist and 2 in img_train"):
        mpii.read_original(path)
    savemat(path, {"RELEASE": {"annolist": 1.0}})
    with pytest.raises(ValueError, match="RELEASE must be a struct with annolist and img_train"):
        mpii.read_original(path)


def test_missing_pictures_are_named(copy):
    (copy / "images" / fixtures_2d.mpii_name(0)).unlink()
    with pytest.raises(FileNotFoundError, match=r"images lacks 010000000.jpg and 0 other pictures"):
        mpii.load_stills(copy)
    shutil.rmtree(copy / "images")
    with pytest.raises(FileNotFoundError, match="has no images; unpack mpii_human_pose_v1.tar.gz"):
        mpii.load_stills(copy)


def test_people_who_are_trained_on_and_tested_on_are_noticed(converted, tmp_path):
    shutil.copytree(converted, tmp_path, dirs_exist_ok=True)
    shutil.copy(tmp_path / "annot" / "valid.json", tmp_path / "annot" / "train.json")
    message = "training and validation share 3 pictures, such as 010000004.jpg.*; take both"
    with pytest.raises(ValueError, match=message):
        mpii.load_stills(tmp_path)
    report = mpii.check(tmp_path)
    assert len(report.problems) == 1 and "share 3 pictures" in report.problems[0][0]
    assert ("people, train", 6, 22246) in report.counts, "the counts are told all the same"


def test_a_folder_without_annotations(tmp_path):
    with pytest.raises(FileNotFoundError, match="neither annot/train.json .* nor mpii_human_pose"):
        mpii.load_stills(tmp_path)
    (tmp_path / "annot").mkdir()
    (tmp_path / "annot" / "train.json").write_text("[]")
    with pytest.raises(FileNotFoundError, match="has no valid.json"):
        mpii.load_stills(tmp_path)


# ---------------------------------------------------------------- check


def test_check_counts_and_draws(copy):
    report = mpii.check(copy)
    assert "people, valid: 6 (official: 2,958)" in str(report) and not report.problems
    assert report.status == 1
    assert len(report.samples) == 8 and report.samples[0][1].shape == (180, 240, 3)


def test_check_counts_pictures_where_nobody_is_held_out(stills, tmp_path):
    """Without detections.mat no number of people is official, but that of all pictures is."""
    fixtures_2d.write_mpii_mat(tmp_path, *stills, detections=False)
    report = mpii.check(tmp_path)
    assert report.counts == [("pictures in annolist", 9, 24_987)] and report.status == 1


@pytest.mark.parametrize("form", ["original", "converted", "pytorch_pose"])
def test_check_of_the_official_counts_is_content(form, request, monkeypatch):
    monkeypatch.setattr("posebook.data.official.mpii.load.PEOPLE", (8, 6))
    monkeypatch.setattr("posebook.data.official.mpii.load.PICTURES", 9)
    assert mpii.check(request.getfixturevalue(form)).status == 0


def test_check_goes_on_after_a_bad_picture(copy):
    path = copy / "images" / fixtures_2d.mpii_name(0)
    path.write_bytes(path.read_bytes()[:300])
    report = mpii.check(copy)
    assert any(path.name in what for what, _ in report.problems) and report.samples


def test_check_of_an_empty_folder(tmp_path):
    report = mpii.check(tmp_path)
    assert report.problems and report.status == 1


def test_links_do(original, stills, tmp_path):
    for name in os.listdir(original):
        (tmp_path / name).symlink_to(original / name)
    assert_same(mpii.load_stills(tmp_path)[1], stills[1])
