import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from posebook.data.fixtures import images as fixtures_2d
from posebook.data.official import penn_action
from posebook.geometry.skeleton import PENN


def assert_same(found, written):
    for field in ("joints", "visible", "box", "annotated"):
        a, b = getattr(found, field), getattr(written, field)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b, err_msg=f"{found.name}: {field}")
    for field in ("joint_set", "split", "name", "action", "source"):
        assert getattr(found, field) == getattr(written, field), field
    assert len(found.pictures) == len(written.pictures) and all(p.is_file() for p in found.pictures)


@pytest.fixture(scope="module")
def clips():
    return fixtures_2d.penn_clips()


@pytest.fixture(scope="module")
def official(clips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("penn")
    fixtures_2d.write_penn(folder, clips)
    return folder


@pytest.fixture
def copy(official, tmp_path):
    shutil.copytree(official, tmp_path / "penn", copy_function=os.link)
    return tmp_path / "penn"


def spoil(path, **fields):
    """Write a label with some fields changed, or left out if None."""
    whole = {k: v for k, v in loadmat(path).items() if k[:2] != "__"} | fields
    path.unlink()
    savemat(path, {k: v for k, v in whole.items() if v is not None})


# ---------------------------------------------------------------- what was written comes back


def test_the_loader_recovers_what_was_written(official, clips):
    train, test = penn_action.load_clips(official)
    assert [clip.split for clip in train] == ["train"] * 3 and len(test) == 3
    for found, written in zip(sorted(train + test, key=lambda clip: clip.name), clips):
        assert_same(found, written)


def test_the_files_hold_the_official_mixture_of_types(official):
    kinds = [loadmat(official / "labels" / f"000{k}.mat")["x"].dtype.name for k in (1, 2, 3)]
    assert kinds == ["float64", "uint16", "uint8"]
    label = loadmat(official / "labels" / "0001.mat")
    assert label["nframes"].dtype == np.uint8 and label["dimensions"].dtype == np.uint16


def test_the_archives_own_folder_may_be_there(official, clips, tmp_path):
    shutil.copytree(official, tmp_path / "Penn_Action", copy_function=os.link)
    assert_same(penn_action.load_clips(tmp_path)[0][0], clips[0])


def test_small_integers_do_not_wrap(tmp_path):
    """A box from 200 to 250 in uint8: its middle is 225, and 200 + 250 is 194."""
    clip = fixtures_2d.penn_clips(3)[2]
    boxes = np.tile(np.float32([199, 199, 249, 249]), (len(clip), 1))
    path = tmp_path / "0003.mat"
    fixtures_2d.write_penn_label(path, clip, boxes.astype(float) + 1, (120, 160), np.uint8)
    box = penn_action.read_label(path).box
    assert (box[:, 0] + box[:, 2] == 448).all()


def test_odd_joints_are_the_persons_right_ones():
    assert [name[0] for name in PENN.names[1:]] == ["R", "L"] * 6


# ---------------------------------------------------------------- known faults


def test_a_missing_last_box_is_that_of_the_frame_before(clips, tmp_path):
    fixtures_2d.write_penn(tmp_path, clips[:2], short=["0002"])
    assert len(loadmat(tmp_path / "labels" / "0002.mat")["bbox"]) == len(clips[1]) - 1
    label = penn_action.read_label(tmp_path / "labels" / "0002.mat")
    np.testing.assert_array_equal(label.box[:-1], clips[1].box[:-1])
    np.testing.assert_array_equal(label.box[-1], clips[1].box[-2])
    assert label.mended.tolist() == [False] * 5 + [True]


def test_void_boxes_are_those_of_the_nearest_frame(clips, tmp_path):
    fixtures_2d.write_penn(tmp_path, clips[:1], void={"0001": [0, 1, 4]})
    label = penn_action.read_label(tmp_path / "labels" / "0001.mat")
    nearest = [2, 2, 2, 3, 3, 5]
    np.testing.assert_array_equal(label.box, clips[0].box[nearest])
    assert label.mended.tolist() == [True, True, False, False, True, False]


def test_a_thin_box_is_its_frames_own(clips, tmp_path):
    """Somebody from the side on a bar: 3 px wide, 80 high, and the longer side is what counts."""
    box = np.array(clips[0].box)
    box[2] = [40, 20, 43, 100]
    box[3] = [20, 40, 100, 41]
    fixtures_2d.write_penn(tmp_path, [replace(clips[0], box=box)])
    label = penn_action.read_label(tmp_path / "labels" / "0001.mat")
    np.testing.assert_array_equal(label.box, box)
    assert not label.mended.any()


@pytest.mark.parametrize(
    "void", [(40, 20, 44, 25), (40, 20, 40, 100), (40, 100, 80, 20), (0.75, 0.75, 0, 0)]
)
def test_a_box_without_area_or_of_no_body_is_void(clips, tmp_path, void):
    fixtures_2d.write_penn(tmp_path, clips[:1])
    path = tmp_path / "labels" / "0001.mat"
    box = loadmat(path)["bbox"]
    box[2] = void
    spoil(path, bbox=box)
    label = penn_action.read_label(path)
    assert label.mended.tolist() == [False, False, True, False, False, False]
    np.testing.assert_array_equal(label.box[2], clips[0].box[1])


def test_two_official_labels_end_without_zlibs_final_block(rare, tmp_path):
    """157 frames: x alone is 16,384 bytes with its headers, one buffer of MATLAB's."""
    clip = fixtures_2d.penn_clips(1, frames=157)[0]
    path = tmp_path / "0001.mat"
    fixtures_2d.write_penn_label(path, clip, clip.box.astype(float) + 1, (135, 240), np.float64)
    assert rare.leave_out_final_blocks(path, 16_384) == 2, "x and y"
    label = penn_action.read_label(path)
    np.testing.assert_array_equal(label.joints, clip.joints)


def test_boxes_that_are_all_void_come_from_the_joints(clips, tmp_path):
    fixtures_2d.write_penn(tmp_path, clips[:1], void={"0001": range(6)})
    label = penn_action.read_label(tmp_path / "labels" / "0001.mat")
    assert label.mended.all()
    for box, joints, seen in zip(label.box, label.joints, label.visible):
        low, high = joints[seen].min(axis=0), joints[seen].max(axis=0)
        np.testing.assert_allclose(box[2:] - box[:2], 1.2 * (high - low), rtol=1e-5)
        assert (box[:2] < low).all() and (box[2:] > high).all()


def test_without_a_visible_joint_it_is_the_whole_picture(clips, tmp_path):
    hidden = replace(clips[0], visible=np.zeros_like(clips[0].visible))
    fixtures_2d.write_penn(tmp_path, [hidden], void={"0001": range(6)})
    label = penn_action.read_label(tmp_path / "labels" / "0001.mat")
    assert (label.box == [0, 0, 239, 134]).all()


def test_placeholders_are_not_annotated(official, clips):
    label = penn_action.read_label(official / "labels" / "0001.mat")
    absent = ~clips[0].annotated
    assert absent.any() and not label.visible[absent].any()
    assert (label.joints[absent] <= 0).all()
    assert label.annotated[~label.visible].any(), "a hidden joint may have a place all the same"


# ---------------------------------------------------------------- bad files


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"x": None}, r"x is missing \(its fields: action, bbox,"),
        ({"x": np.ones((13, 6))}, "x must be any x 13, got 13 x 6 .*another order"),
        ({"y": np.ones((5, 13))}, "y must be 6 x 13, got 5 x 13"),
        ({"y": np.full((6, 13), np.nan)}, "y is not finite at index"),
        ({"x": "left"}, "x must be numbers, got the text 'left'"),
        ({"visibility": np.full((6, 13), 2)}, "visibility must be 0 or 1"),
        ({"visibility": np.ones((13, 6))}, "visibility must be 6 x 13, got 13 x 6"),
        ({"bbox": np.ones((4, 6))}, "bbox must be any x 4, got 4 x 6"),
        ({"bbox": np.ones((4, 4))}, "bbox must be 6 x 4, one row a frame, got 4 x 4"),
        ({"nframes": np.uint8(5)}, "nframes must be the 6 frames of x, got 5"),
        ({"train": 0.0}, r"train must be 1 \(training\) or -1 \(test\), got 0"),
        ({"action": 3.0}, "action must be text"),
        ({"dimensions": np.ones((1, 2))}, "dimensions must be 1 x 3"),
    ],
)
def test_a_bad_field(copy, fields, problem):
    spoil(copy / "labels" / "0001.mat", **fields)
    with pytest.raises(ValueError, match=f"0001.mat: {problem}.*; unpack Penn_Action.tar.gz anew"):
        penn_action.load_clips(copy)


def test_frames_that_do_not_belong_to_the_label(copy):
    (copy / "frames" / "0002" / "000003.jpg").unlink()
    with pytest.raises(FileNotFoundError, match="0002 lacks 000003.jpg: the labels know 6 pict"):
        penn_action.load_clips(copy)


def test_missing_folders_and_conversions_are_named(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(FileNotFoundError, match="no labels .train holds somebody's conversion"):
        penn_action.load_clips(tmp_path)
    (tmp_path / "labels").mkdir()
    with pytest.raises(FileNotFoundError, match="labels holds no label such as 0001.mat"):
        penn_action.load_clips(tmp_path)


def test_a_label_twice_in_other_letters(copy):
    shutil.copy(copy / "labels" / "0001.mat", copy / "labels" / "0001.MAT")
    with pytest.raises(ValueError, match="0001.MAT and 0001.mat, which differ in case only"):
        penn_action.load_clips(copy)


def test_there_is_one_split(official):
    with pytest.raises(ValueError, match="one split, 1, not 2"):
        penn_action.load_clips(official, 2)


# ---------------------------------------------------------------- check


def test_check_counts_and_notes(clips, tmp_path):
    fixtures_2d.write_penn(tmp_path, clips, short=["0002"], void={"0004": [3]})
    spoil(tmp_path / "labels" / "0005.mat", dimensions=np.uint16([[1, 2, 6]]))
    report = penn_action.check(tmp_path)
    text = str(report)
    assert "clips, train: 3 (official: 1,258)" in text and not report.problems
    assert "clips 0002 (1), 0004 (1)" in text
    assert "dimensions of 1 clips are not those of their pictures" in text
    assert "placeholders and have annotated False" in text
    assert len(report.samples) == 6 and report.samples[0][1].dtype == np.uint8


def test_check_goes_on_after_a_bad_file(copy):
    (copy / "labels" / "0003.mat").unlink()
    (copy / "labels" / "0003.mat").write_bytes(b"")
    (copy / "frames" / "0001" / "000001.jpg").unlink()
    (copy / "frames" / "0001" / "000001.jpg").write_bytes(b"GIF89a")
    report = penn_action.check(copy)
    told = [what for what, _ in report.problems]
    assert any("0003.mat is empty" in what for what in told)
    assert any("000001.jpg" in what for what in told)
    assert "4 could be read" not in str(report) and "5 could be read with" in str(report)


# ---------------------------------------------------------------- of full size


def test_every_label_is_read_once(rare, tmp_path, monkeypatch):
    rare.write_full_penn(tmp_path)
    read, one = [], penn_action.read_label
    monkeypatch.setattr(penn_action, "read_label", lambda path: read.append(path) or one(path))
    train, test = penn_action.load_clips(tmp_path)
    assert len(read) == len(set(read)) == sum(penn_action.CLIPS)
    assert (len(train), len(test)) == penn_action.CLIPS
    assert (sum(map(len, train)), sum(map(len, test))) == penn_action.FRAMES
