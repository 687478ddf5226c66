import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from posebook.data.fixtures import images as fixtures_2d
from posebook.data.formats.matlab import read_mat
from posebook.data.official import jhmdb
from posebook.data.official.jhmdb import contents
from posebook.data.records import VideoClip


def assert_same(found: VideoClip, written: VideoClip):
    """Bit for bit, and the paths lead to the pictures."""
    for field in ("joints", "visible", "box"):
        a, b = getattr(found, field), getattr(written, field)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b, err_msg=field)
    for field in ("joint_set", "split", "name", "action", "fps", "source", "annotated"):
        assert getattr(found, field) == getattr(written, field), field
    assert len(found.pictures) == len(written.pictures) and all(p.is_file() for p in found.pictures)


def assert_all_the_same(found, written):
    assert [clip.name for clip in found] == [clip.name for clip in written]
    for pair in zip(found, written):
        assert_same(*pair)


@pytest.fixture(scope="module")
def clips():
    return fixtures_2d.jhmdb_clips()


@pytest.fixture(scope="module")
def official(clips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("jhmdb")
    fixtures_2d.write_jhmdb(folder, clips)
    return folder


@pytest.fixture(scope="module")
def coco(rare, clips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("coco")
    rare.write_jhmdb_coco(folder, clips)
    return folder


@pytest.fixture
def copy(official, tmp_path):
    """A folder of one's own to spoil; pictures are links, so that it is made at once."""
    shutil.copytree(official, tmp_path / "jhmdb", copy_function=os.link)
    return tmp_path / "jhmdb"


def spoil(path: Path, **fields):
    """Write a .mat file with some fields changed, or left out if None."""
    whole = {k: v for k, v in loadmat(path).items() if k[:2] != "__"} | fields
    path.unlink()
    savemat(path, {k: v for k, v in whole.items() if v is not None})


def entry(clip: VideoClip) -> jhmdb.Entry:
    return jhmdb.Entry(clip.action, clip.name, clip.split)


def part_of(folder, name, clip):
    return folder / name / clip.action / clip.name / f"{name}.mat"


# ---------------------------------------------------------------- what was written comes back


@pytest.mark.parametrize("split", [1, 2, 3])
def test_the_loader_recovers_what_was_written(official, clips, split):
    for found, written in zip(
        jhmdb.load_clips(official, split), fixtures_2d.jhmdb_split(clips, split)
    ):
        assert_all_the_same(found, written)


@pytest.mark.parametrize("split", [1, 2, 3])
def test_so_does_the_reader_of_mmposes_annotations(coco, clips, split):
    written = fixtures_2d.jhmdb_split(clips, split)
    for found, those in zip(jhmdb.load_clips(coco, split), written):
        assert_all_the_same(found, sorted(those, key=lambda clip: (clip.action, clip.name)))


def test_the_release_of_2013_and_windows_lines_and_a_folder_in_itself(clips, tmp_path):
    fixtures_2d.write_jhmdb(tmp_path, clips, release=2013, newline="\r\n")
    (tmp_path / "sub_splits").rename(tmp_path / "inner")
    (tmp_path / "sub_splits").mkdir()
    (tmp_path / "inner").rename(tmp_path / "sub_splits" / "sub_splits")
    assert "scale" not in read_mat(part_of(tmp_path, "joint_positions", clips[0]))
    for found, written in zip(jhmdb.load_clips(tmp_path), fixtures_2d.jhmdb_split(clips, 1)):
        assert_all_the_same(found, written)


def test_a_split_without_a_last_newline(copy):
    path = copy / "sub_splits" / "walk_test_split_1.txt"
    text = path.read_text()
    path.unlink()
    path.write_text(text.rstrip("\n"))
    assert len(jhmdb.read_split(copy, 1)) == 36


def test_a_clip_of_one_frame(tmp_path):
    clip = fixtures_2d.jhmdb_clips(frames=1)[0]
    fixtures_2d.write_jhmdb_clip(tmp_path, clip)
    assert loadmat(part_of(tmp_path, "joint_positions", clip))["pos_img"].shape == (2, 15, 1)
    for name, field in (("joint_positions", "pos_img"), ("puppet_mask", "part_mask")):
        path = part_of(tmp_path, name, clip)  # as MATLAB saves it, without the last axis
        spoil(path, **{field: loadmat(path)[field][..., 0]})
    assert_same(jhmdb.read_clip(tmp_path, entry(clip)), clip)


def test_splits_are_never_pooled(official):
    tested = [{clip.name for clip in jhmdb.load_clips(official, split)[1]} for split in (1, 2, 3)]
    assert not tested[0] & tested[1] and not tested[1] & tested[2]
    for split, test in zip((1, 2, 3), tested):
        assert not {clip.name for clip in jhmdb.load_clips(official, split)[0]} & test
    with pytest.raises(ValueError, match="splits 1, 2 and 3, not 0"):
        jhmdb.load_clips(official, 0)


def test_links_and_read_only_folders_do(copy, clips, tmp_path):
    (tmp_path / "disk").mkdir()
    shutil.move(copy / "Rename_Images", tmp_path / "disk" / "pictures")
    (copy / "Rename_Images").symlink_to(tmp_path / "disk" / "pictures")
    (tmp_path / "link").symlink_to(copy)
    before = sorted(copy.rglob("*"))
    for folder in [*copy.glob("**/"), copy]:
        folder.chmod(0o555)
    try:
        assert_all_the_same(
            jhmdb.load_clips(tmp_path / "link")[1], fixtures_2d.jhmdb_split(clips, 1)[1]
        )
        assert len(jhmdb.check(tmp_path / "link").samples) == 8
        assert sorted(copy.rglob("*")) == before
    finally:
        for folder in [*copy.glob("**/"), copy]:
            folder.chmod(0o755)


# ---------------------------------------------------------------- boxes


def test_boxes_are_exact_to_the_border():
    """Where the body touches the last row and column the common formula is one pixel off."""
    mask = np.zeros((240, 320, 3), dtype=bool)
    mask[10:240, 5:320, 0] = True
    mask[0, 0, 1] = mask[239, 319, 1] = True
    mask[7, 9, 2] = mask[8, 11, 2] = True
    box, empty = jhmdb.mask_boxes(mask)
    assert box.tolist() == [[5, 10, 319, 239], [0, 0, 319, 239], [9, 7, 11, 8]] and not empty.any()


def test_boxes_agree_with_the_literal_search():
    rng = np.random.default_rng(0)
    mask = rng.random((24, 32, 50)) < 0.004
    box, empty = jhmdb.mask_boxes(mask)
    for t in range(50):
        y, x = np.nonzero(mask[..., t])
        if len(y) and np.ptp(x) and np.ptp(y):
            assert box[t].tolist() == [x.min(), y.min(), x.max(), y.max()] and not empty[t]
        else:
            assert empty[t]


def test_the_normaliser_of_both_readers_is_that_of_lstm_pm(official, coco):
    """The longer side from outermost pixel to outermost pixel, without the 1 that mmpose adds."""
    a, b = (jhmdb.load_clips(folder)[1][0] for folder in (official, coco))
    np.testing.assert_array_equal(a.box, b.box)


# ---------------------------------------------------------------- scale


def test_the_lost_scale_is_recovered(clips, tmp_path):
    fixtures_2d.write_jhmdb(tmp_path, clips, release=2013)
    scale, apart = jhmdb.recovered_scale(read_mat(part_of(tmp_path, "joint_positions", clips[0])))
    np.testing.assert_allclose(scale, 0.45)
    assert apart < 1e-9


def test_swapped_x_and_y_are_seen_in_the_check(copy, clips):
    path = part_of(copy, "joint_positions", clips[0])
    spoil(path, pos_img=loadmat(path)["pos_img"][::-1])
    problems = jhmdb.check(copy).problems
    assert len(problems) == 1 and re.search(r"differ by [\d.]+ px", problems[0][0])


# ---------------------------------------------------------------- bad folders and files


def test_the_splits_of_the_full_jhmdb_are_named(copy):
    shutil.rmtree(copy / "sub_splits")
    (copy / "splits").mkdir()
    (copy / "splits" / "catch_test_split1.txt").write_text("a.avi 1\n")
    with pytest.raises(FileNotFoundError, match="splits belongs to the full JHMDB.*sub_splits.zip"):
        jhmdb.load_clips(copy)
    (copy / "splits").rename(copy / "sub_splits")
    with pytest.raises(ValueError, match="catch_test_split1.txt belongs to .* full JHMDB .21 act"):
        jhmdb.load_clips(copy)


def test_more_actions_than_twelve_are_the_full_jhmdb(copy):
    (copy / "sub_splits" / "brush_hair_test_split_1.txt").write_text("a.avi 1\n")
    with pytest.raises(ValueError, match="sub_splits belongs to the splits of the full JHMDB"):
        jhmdb.load_clips(copy)


def test_a_missing_split_file_tells_what_to_do_where_the_address_is_dead(copy):
    (copy / "sub_splits" / "golf_test_split_2.txt").unlink()
    with pytest.raises(FileNotFoundError, match="lacks golf_test_split_2.txt.*no longer answers"):
        jhmdb.load_clips(copy, 2)
    assert len(jhmdb.read_split(copy, 1)) == 36
    for split in (1, 3):
        (copy / "sub_splits" / f"golf_test_split_{split}.txt").unlink()
    with pytest.raises(
        FileNotFoundError, match="is not complete: .* 12 actions and has 11; unpack"
    ):
        jhmdb.load_clips(copy)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("a.avi 3", "line 1 must be <clip>.avi and 1 .train. or 2 .test., got 'a.avi 3'"),
        ("a 1", "line 1 must be"),
        ("a.avi", "line 1 must be"),
        ("../../a.avi 1", "line 1 '../../a' is no clip's name"),
        ("a.avi 1\na.avi 2", "line 2 names a a second time"),
        ("", "names no clip"),
    ],
)
def test_a_bad_line(copy, line, problem):
    path = copy / "sub_splits" / "catch_test_split_1.txt"
    path.unlink()
    path.write_text(line)
    with pytest.raises(ValueError, match=rf"catch_test_split_1.txt:? {problem}.*; unpack"):
        jhmdb.read_split(copy, 1)


def test_mask_and_joints_of_different_clips(copy, clips):
    path = part_of(copy, "puppet_mask", clips[0])
    spoil(path, part_mask=loadmat(path)["part_mask"][..., :2])
    with pytest.raises(ValueError, match="part_mask has 2 frames and pos_img 3: files of"):
        jhmdb.read_clip(copy, entry(clips[0]))


@pytest.mark.parametrize("axes", [(1, 0, 2), (2, 0, 1)])
def test_swapped_axes_of_the_mask(copy, clips, axes):
    path = part_of(copy, "puppet_mask", clips[0])
    spoil(path, part_mask=loadmat(path)["part_mask"].transpose(axes))
    with pytest.raises(ValueError, match="part_mask must be 240 x 320 x any, got .* another order"):
        jhmdb.read_clip(copy, entry(clips[0]))


def test_a_frame_without_a_body(copy, clips):
    path = part_of(copy, "puppet_mask", clips[0])
    mask = loadmat(path)["part_mask"]
    mask[..., 1] = 0
    spoil(path, part_mask=mask)
    with pytest.raises(ValueError, match="puppet_mask.mat: part_mask shows no body in frame 2"):
        jhmdb.read_clip(copy, entry(clips[0]))


def test_a_missing_and_a_surplus_picture(copy, clips):
    place = copy / "Rename_Images" / clips[0].action / clips[0].name
    os.link(place / "00001.png", place / "00004.png")
    with pytest.raises(ValueError, match="has a picture 00004.png and the labels end at 3"):
        jhmdb.read_clip(copy, entry(clips[0]))
    (place / "00002.png").unlink()
    with pytest.raises(FileNotFoundError, match="lacks 00002.png: the labels know 3 .*tar.gz"):
        jhmdb.read_clip(copy, entry(clips[0]))


def test_an_action_twice_in_other_letters(copy):
    shutil.copytree(copy / "puppet_mask" / "catch", copy / "puppet_mask" / "Catch")
    with pytest.raises(ValueError, match="Catch and catch, which differ in case only"):
        jhmdb.load_clips(copy)


def test_a_link_that_leads_nowhere(copy, tmp_path):
    shutil.rmtree(copy / "Rename_Images")
    (copy / "Rename_Images").symlink_to(tmp_path / "unplugged")
    with pytest.raises(FileNotFoundError, match="is a link to .*unplugged, which is not there"):
        jhmdb.load_clips(copy)


# ---------------------------------------------------------------- mmpose's annotations


def test_training_and_test_of_one_split_must_not_overlap(rare, clips, tmp_path):
    rare.write_jhmdb_coco(tmp_path, clips)
    train, test = (tmp_path / "annotations" / f"Sub1_{part}.json" for part in ("train", "test"))
    shutil.copy(train, test)
    with pytest.raises(ValueError, match="is in training and test of one split"):
        jhmdb.load_clips(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"nframes": 3', '"nframes": 4', "3 frames that are not 1 to nframes"),
        ("/00002.png", "/00007.png", "3 frames that are not 1 to nframes"),
        ('"bbox"', '"box"', "the field 'bbox' is missing"),
        ('"bbox": [', '"bbox": [1.0, ', "bbox 4"),
        ('"keypoints": [', '"keypoints": [NaN, ', "keypoints must be 45 numbers"),
        ('"keypoints": [1', '"keypoints": [NaN, 1', "keypoints must be 45 numbers"),
        ("Rename_Images/", "../../", "does not lead into the data folder"),
        ('"image_id"', '"picture_id"', "the field 'image_id' is missing"),
        ("]}", "", "is no JSON or cut short"),
    ],
)
def test_bad_annotations(rare, clips, tmp_path, old, new, problem):
    rare.write_jhmdb_coco(tmp_path, clips[:6])
    path = tmp_path / "annotations" / "Sub1_train.json"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ValueError, match=f"Sub1_train.json:? .*{problem}.*; take the file"):
        jhmdb.load_clips(tmp_path)


# ---------------------------------------------------------------- check


def test_check_says_what_is_there_and_what_is_not(official, clips):
    report = jhmdb.check(official)
    text = str(report)
    assert "split 1, clips for train: 24 (official: 227)" in text and not report.problems
    assert len(report.samples) == 8 and report.samples[0][1].shape == (240, 320, 3)
    assert report.status == 1, "36 clips are not the official 316"


def test_check_of_the_official_counts_is_content(clips, official, monkeypatch):
    monkeypatch.setattr(contents, "CLIPS", {1: (24, 12), 2: (24, 12), 3: (24, 12)})
    monkeypatch.setattr(contents, "FRAMES", 108)
    assert jhmdb.check(official).status == 0


def test_check_finds_mixed_releases_and_bad_pictures(copy, clips):
    path = part_of(copy, "joint_positions", clips[0])
    spoil(path, scale=None, viewpoint=None)
    for picture in (copy / "Rename_Images").glob("catch/*/00002.png"):
        picture.unlink()
        picture.write_bytes(b"<html>not found</html>")
    report = jhmdb.check(copy)
    assert any("joint files of two releases are mixed" in what for what, _ in report.problems)
    assert any("00002.png" in what for what, _ in report.problems)
    assert "1 of 36 joint files are of the release of 2013" in str(report)


def test_check_tells_many_alike_in_few_words(copy):
    shutil.rmtree(copy / "puppet_mask")
    (copy / "puppet_mask").mkdir()
    report = jhmdb.check(copy)
    assert len(report.problems) == 9 and "more files are wrong" in report.problems[-1][0]


def test_check_tells_each_fault_once(copy, clips, monkeypatch):
    """The clip is in all three splits, and its picture is missing once."""
    (copy / "Rename_Images" / clips[0].action / clips[0].name / "00002.png").unlink()
    read, tried = jhmdb.read_clip, []
    monkeypatch.setattr(contents, "read_clip", lambda f, e: tried.append(e.name) or read(f, e))
    report = jhmdb.check(copy)
    assert len(tried) == len(set(tried)) == 36, "nor is a clip read three times"
    assert len(report.problems) == 1 and "lacks 00002.png" in report.problems[0][0]
    assert ("clips", 35, 316) in report.counts


@pytest.mark.parametrize("name", jhmdb.ARCHIVES)
def test_check_names_the_archive_of_a_missing_folder(copy, name):
    shutil.rmtree(copy / name)
    problems = jhmdb.check(copy).problems
    assert len(problems) == 1 and f"unpack {jhmdb.ARCHIVES[name]} there" in problems[0][1]


@pytest.mark.parametrize("name", ["Rename_Images", "joint_positions", "puppet_mask"])
def test_check_names_the_archive_of_a_missing_action(copy, name):
    shutil.rmtree(copy / name / "golf")
    problems = jhmdb.check(copy).problems
    assert problems and all("golf" in what for what, _ in problems)
    assert all(f"unpack {jhmdb.ARCHIVES[name]} there" in remedy for _, remedy in problems)


def test_boxes_of_actions_are_named_and_not_taken_for_joints(rare, tmp_path):
    rare.write_jhmdb_gt(tmp_path / "JHMDB-GT.pkl")
    message = "JHMDB-GT.pkl has the boxes of actions .* and no joints.*; unpack sub_splits.zip"
    with pytest.raises(FileNotFoundError, match=message):
        jhmdb.load_clips(tmp_path)
    assert "JHMDB-GT.pkl has the boxes" in str(jhmdb.check(tmp_path))


def test_check_of_mmposes_form(coco):
    report = jhmdb.check(coco)
    assert "annotations of mmpose, split 3" in report.found and len(report.samples) == 8


def test_an_unreleased_visibility_is_all_ones(official):
    clip = jhmdb.load_clips(official)[0][0]
    assert clip.visible.all() and clip.annotated is None
    assert replace(clip, split="test").joint_set == "jhmdb15"
