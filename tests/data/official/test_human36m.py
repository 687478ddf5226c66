"""Human3.6M's readers give back what the writers were given, and say what is wrong."""

import os
import shutil

import numpy as np
import pytest

from posebook.data.fixtures import views as fixtures_3d
from posebook.data.formats import safe_pickle
from posebook.data.official import human36m
from posebook.data.views import collect

pytestmark = pytest.mark.filterwarnings("ignore:.*officially")
PATH_3D = "data_3d_h36m.npz"
PATH_GT = "data_2d_h36m_gt.npz"
PATH_CPN = f"data_2d_h36m_{human36m.CPN}.npz"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with the 3D file and both 2D files, and what is in them."""
    folder = tmp_path_factory.mktemp("human36m")
    truths = {
        "gt": fixtures_3d.write_human36m(folder, frames=3),
        human36m.CPN: fixtures_3d.write_human36m(
            folder, 3, human36m.CPN, confidences=True, surplus=2, positions=False
        ),
    }
    return folder, truths


@pytest.fixture
def copy(written, tmp_path):
    """A copy of the folder that a test may spoil."""
    return shutil.copytree(written[0], tmp_path / "copy")


def by_take(folder, detections):
    """Sequences by subject and take, which `load_views` has already turned into actions."""
    takes = human36m.videopose3d_takes(folder, detections)
    return {(s.subject, s.action): s for s in takes}


def read_tables(folder, name=PATH_CPN):
    """The tables of a file, to be changed and written again."""
    found = safe_pickle.read_npz(folder / name, safe_pickle.fields_of(folder / name))
    return found


# ---------------------------------------------------------------- what was written comes back


@pytest.mark.parametrize("detections", ["gt", human36m.CPN])
def test_recovers_exactly_what_was_written(written, detections):
    folder, truths = written
    truth, found = truths[detections], by_take(folder, detections)
    assert set(found) == set(truth.world)
    for key, sequence in found.items():
        assert np.array_equal(sequence.joints_3d, truth.world[key])
        assert np.array_equal(sequence.joints_2d, truth.pixels[key])
        if truth.confidence:
            assert np.array_equal(sequence.confidence, truth.confidence[key])


def test_splits_and_actions(written):
    train, test = human36m.load_views(written[0])
    assert {s.subject for s in train} == set(human36m.TRAIN_SUBJECTS)
    assert {s.subject for s in test} == set(human36m.TEST_SUBJECTS)
    assert {s.action for s in train} == {s.action for s in test} == set(human36m.ACTIONS)
    assert len(train) == 5 * 30 and len(test) == 30 + 29
    assert {len(s.cameras) for s in train + test} == {4} and train[0].fps == 50


def test_true_2d_joints_lie_on_the_projections(written):
    train, _ = human36m.load_views(written[0], "gt")
    assert max(human36m.distances(s).max() for s in train) < 1e-3
    views = collect(train)
    apart = views.X - views.Y[..., :2] / views.Y[..., 2:]
    assert apart.abs().max() < 2e-6, "undistorted rays are exact: eq. 3.1 holds as it stands"


def test_detections_longer_than_the_recording_keep_the_first_frames(written):
    train, _ = human36m.load_views(written[0])
    assert len(train[0]) == 3 and "no confidences" not in train[0].source


def test_without_confidences_all_are_one_and_the_source_says_so(written):
    train, _ = human36m.load_views(written[0], "gt")
    assert (train[0].confidence == 1).all() and "no confidences" in train[0].source


def test_slipped_markers_are_kept_unless_asked(written):
    _, test = human36m.load_views(written[0])
    _, fewer = human36m.load_views(written[0], damaged=False)
    assert len(test) - len(fewer) == len(human36m.DAMAGED) == 3


def test_corrupt_take_is_left_out_where_a_file_has_it(copy):
    for name, value in ((PATH_3D, np.zeros((3, 32, 3), np.float32)),
                        (PATH_GT, [np.zeros((3, 17, 2), np.float32)] * 4)):  # fmt: skip
        tables = read_tables(copy, name)
        tables[name.replace("data", "positions")[:12]]["S11"]["Directions"] = value
        np.savez(copy / name, **tables)
    assert len(by_take(copy, "gt")) == 209


def test_swapped_tangential_distortion_is_read_right_and_named(tmp_path):
    fixtures_3d.write_human36m(tmp_path, 3, lens="swapped")
    plain = human36m.videopose3d_takes(tmp_path, "gt")
    assert max(human36m.distances(s).max() for s in plain) > 10 * human36m.EXACT
    train, _ = human36m.load_views(tmp_path, "gt")
    assert max(human36m.distances(s).max() for s in train) < 1e-3
    assert "tangential distortion swapped" in train[0].source
    assert "wrong order" in str(human36m.check(tmp_path))


def test_layout_name_may_be_absent(copy):
    tables = read_tables(copy)
    del tables["metadata"]["layout_name"]
    np.savez(copy / PATH_CPN, **tables)
    assert human36m.read_detections(copy / PATH_CPN).layout == "unnamed"


def test_a_layout_name_without_end_is_not_written_out(copy, no_hang):
    """Sixty lists, each twice in the next one: written out they would fill any disk."""
    tables, nested = read_tables(copy), []
    for _ in range(60):
        nested = [nested, nested]
    tables["metadata"] = {**tables["metadata"], "layout_name": nested}
    np.savez(copy / PATH_CPN, **tables)
    assert human36m.read_detections(copy / PATH_CPN).layout == "unnamed"


@pytest.mark.parametrize("pack", [np.stack, tuple])
def test_four_views_may_stand_in_an_array_or_a_tuple(copy, pack):
    tables = read_tables(copy)
    before = human36m.read_detections(copy / PATH_CPN).positions["S1"]["Eating"]
    tables["positions_2d"]["S1"]["Eating"] = pack(before)
    np.savez(copy / PATH_CPN, **tables)
    after = human36m.read_detections(copy / PATH_CPN).positions["S1"]["Eating"]
    assert type(after) is list and len(after) == 4
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("key", "action"),
    [("Sitting", "Sitting"), ("SittingDown 2", "SittingDown"), ("TakingPhoto 1", "Photo"),
     ("WalkingDog", "WalkDog")],
)  # fmt: skip
def test_actions_are_compared_whole(key, action):
    assert human36m.canonical(key) == action


# ---------------------------------------------------------------- mmpose's repack


def test_mmpose_repack(rare, tmp_path):
    truth = rare.write_human36m_mmpose(tmp_path, frames=3)
    found = {(s.subject, s.action): s for s in human36m.mmpose_takes(tmp_path, "gt")}
    assert set(found) == set(truth.world)
    for key, sequence in found.items():
        assert np.array_equal(sequence.joints_2d, truth.pixels[key])
        assert np.abs(sequence.joints_3d - truth.world[key]).max() < 1e-6
    train, test = human36m.load_views(tmp_path, "gt")
    assert len(train) == 150 and len(test) == 59


def test_mmpose_detections_beside_and_rows_in_any_order(rare, tmp_path):
    truth = rare.write_human36m_mmpose(tmp_path, frames=3, rate=10)
    base = tmp_path / "annotation_body3d"
    (base / "joint_2d_det_files").mkdir()
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        path = base / "fps10" / f"h36m_{split}.npz"
        fields = safe_pickle.read_npz(path, safe_pickle.fields_of(path))
        order = rng.permutation(len(fields["imgname"]))
        np.savez(path, **{name: array[order] for name, array in fields.items()})
        np.save(base / "joint_2d_det_files" / f"cpn_{split}.npy", fields["part"][order] + [2, 0, 0])
    found = list(human36m.mmpose_takes(tmp_path, "cpn"))
    assert found[0].fps == 10
    for s in found:
        shifted = truth.pixels[s.subject, s.action] + [2, 0]
        assert np.abs(s.joints_2d - shifted).max() < 1e-3


def test_mmpose_rows_of_different_length(rare, tmp_path):
    rare.write_human36m_mmpose(tmp_path, frames=2)
    path = tmp_path / "annotation_body3d" / "fps50" / "h36m_test.npz"
    fields = safe_pickle.read_npz(path, safe_pickle.fields_of(path))
    np.savez(path, **{**fields, "S": fields["S"][:-1]})
    with pytest.raises(ValueError, match=r"h36m_test\.npz: S has 471 rows, imgname 472"):
        human36m.load_views(tmp_path, "gt")


# ---------------------------------------------------------------- what is wrong is named


def spoil(folder, change, name=PATH_CPN):
    tables = read_tables(folder, name)
    change(tables)
    np.savez(folder / name, **tables)


def swap_cameras(tables):
    views = tables["positions_2d"]["S8"]["Waiting 1"]
    views[0], views[1] = views[1], views[0]


def shift(tables):
    """All views of one take beside themselves, so that none fits another camera better."""
    views = tables["positions_2d"]["S8"]["Waiting 1"]
    views[:] = [view + np.float32([0, -3000, 0]) for view in views]


def pose(tables, array, take="Eating"):
    tables["positions_2d"]["S1"][take][2] = array


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: pose(t, np.zeros((5, 2, 17), np.float32)), r"S1/Eating must be \(T, 17, 2\)"),
        (lambda t: pose(t, np.zeros((17, 5, 2), np.float32)), r"S1/Eating must be \(T, 17, 2\)"),
        (lambda t: pose(t, np.zeros((5, 17, 2), int)), "S1/Eating is no array of floating"),
        (lambda t: pose(t, [[0.0] * 17] * 5), "S1/Eating is no array"),
        (lambda t: pose(t, np.zeros((1, 17, 3), np.float32)), "S1/Eating has 1 frames, its 3D 3"),
        (lambda t: pose(t, np.full((5, 17, 3), np.nan)), "S1/Eating: joints_2d is not finite"),
        (lambda t: pose(t, np.full((5, 17, 3), 9e3)), "confidence must lie between 0 and 1"),
        (lambda t: t["positions_2d"]["S1"]["Eating"].pop(), "must be a list of 4 views"),
        (lambda t: t["positions_2d"]["S9"].pop("Photo"), "of S9 lacks Photo, which"),
        (lambda t: t["positions_2d"]["S9"].update(Juggling=[]), "Juggling.* is no action"),
        (lambda t: t["positions_2d"].pop("S11"), "lacks S11; take the whole file"),
        (lambda t: t["positions_2d"].update(S12={}), "'S12', which is no subject"),
        (lambda t: t.pop("metadata"), "no field metadata"),
        (lambda t: t.pop("positions_2d"), "no dictionary positions_2d; it has metadata"),
        (lambda t: t["metadata"].update(keypoints_symmetry=[[1, 3], [2, 4]]), "COCO"),
        (shift, r"(lie \d+ px .median. from|of camera \d+ fit)"),
        (swap_cameras, "of camera 54138969 fit camera 55011271 better"),
    ],
)
def test_bad_detections_are_named(copy, change, message):
    spoil(copy, change)
    with pytest.raises(ValueError, match=message) as problem:
        human36m.load_views(copy)
    assert "\n" not in str(problem.value) and "data_2d" in str(problem.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda takes: takes.update(Eating=takes["Eating"] * 1000), "not in metres"),
        (lambda takes: takes.update(Eating=takes["Eating"][..., [0, 2, 1]]), "axes or units"),
        (lambda takes: takes.update(Eating=takes["Eating"][:, :17]), r"must be \(T, 32, 3\)"),
        (lambda takes: takes.update(Eating=takes["Eating"] * np.nan), "not finite"),
        (lambda takes: [takes.pop(t) for t in ("Eating", "Eating 1")], "S1 lacks Eating; the ave"),
    ],
)
def test_bad_positions_are_named(copy, change, message):
    spoil(copy, lambda tables: change(tables["positions_3d"]["S1"]), PATH_3D)
    with pytest.raises(ValueError, match=message):
        human36m.load_views(copy)


def test_normalised_detections_are_refused(copy):
    def normalise(tables):
        for takes in tables["positions_2d"].values():
            for views in takes.values():
                views[:] = [np.float32(view / 500 - 1)[..., :2] for view in views]

    spoil(copy, normalise)
    with pytest.raises(ValueError, match="not of one preparation, or views, axes or units"):
        human36m.load_views(copy)


def test_the_remedy_for_joints_of_another_network_is_another_file(copy):
    spoil(copy, lambda t: t["metadata"].update(layout_name="coco", keypoints_symmetry=[[1], [2]]))
    wanted = "take data_2d_h36m_cpn_ft_h36m_dbb.npz or data_2d_h36m_gt.npz of VideoPose3D"
    with pytest.raises(ValueError, match=f"layout 'coco'.*COCO network's are others.; {wanted}$"):
        human36m.load_views(copy)
    ((what, remedy),) = human36m.check(copy).problems
    assert "layout 'coco'" in what and remedy == wanted


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("3d-baseline", r"h36m/S1/MyPoses is 3d-baseline's form .*--from-archive h36m\.zip"),
        (
            "motionbert",
            r"h36m_sh_conf_cam_source_final\.pkl is MotionBERT's form.*; write joint_2d",
        ),
        ("custom", r"data_2d_custom_mine\.npz is VideoPose3D's form of one's own.*COCO's.*; take"),
        ("cameras", r"camera-parameters\.json has camera parameters.*published numbers are used"),
    ],
)
def test_other_forms_are_named_with_what_to_do(rare, tmp_path, form, message):
    rare.write_other_human36m(tmp_path, form)
    with pytest.raises(FileNotFoundError, match=message) as problem:
        human36m.load_views(tmp_path)
    assert "\n" not in str(problem.value)
    report = human36m.check(tmp_path)
    assert len(report.problems) == 1 and report.status == 1
    assert ": ".join(["", "; ".join(report.problems[0])]) in str(problem.value)


def test_other_forms_beside_the_official_files_are_a_note(rare, copy):
    rare.write_other_human36m(copy, "cameras")
    report = human36m.check(copy)
    assert not report.problems and any("camera-parameters.json" in note for note in report.notes)
    assert human36m.load_views(copy)


def test_sixteen_joints_of_an_hourglass_are_named(rare, copy):
    rare.write_other_human36m(copy, "hourglass")
    with pytest.raises(ValueError, match=r"sh_pt_mpii\.npz: .* 16 joints.* Spine and Nose; take"):
        human36m.load_views(copy, "sh_pt_mpii")


def test_a_pointer_of_git_lfs_says_how_to_fetch_the_file(copy):
    (copy / PATH_CPN).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(ValueError, match=f"{PATH_CPN} is not the file but .*; run `git lfs pull`"):
        human36m.load_views(copy)
    assert "-> run `git lfs pull`" in str(human36m.check(copy))


def test_missing_file_dead_link_and_names_that_differ_in_case(copy):
    with pytest.raises(FileNotFoundError, match="has no data_2d_h36m_detectron"):
        human36m.load_views(copy, "detectron")
    shutil.copy(copy / PATH_3D, copy / PATH_3D.upper())
    if len(list(copy.iterdir())) == 4:  # the disk tells upper case from lower case
        with pytest.raises(ValueError, match="differ in case only; keep the one"):
            human36m.load_views(copy)
        (copy / PATH_3D).unlink()
        assert human36m.load_views(copy), "one name in another case is read"
        (copy / PATH_3D.upper()).unlink()
    (copy / PATH_3D).unlink(missing_ok=True)
    (copy / PATH_3D).symlink_to("/nowhere/positions.npz")
    with pytest.raises(FileNotFoundError, match="link to /nowhere/positions.npz"):
        human36m.load_views(copy)


def test_files_behind_links_on_a_read_only_disk(written, tmp_path):
    for path in written[0].iterdir():
        (tmp_path / path.name).symlink_to(path)
    before = {path.name: path.stat().st_mtime_ns for path in written[0].iterdir()}
    os.chmod(tmp_path, 0o555)
    try:
        assert human36m.load_views(tmp_path) and human36m.check(tmp_path).found
    finally:
        os.chmod(tmp_path, 0o755)
    assert before == {path.name: path.stat().st_mtime_ns for path in written[0].iterdir()}


@pytest.mark.filterwarnings("default:.*officially")
def test_too_few_pictures_are_warned_of(written):
    with pytest.warns(UserWarning, match="1,440 pictures of S5 to S8, officially 1,311,376"):
        human36m.load_views(written[0])


# ---------------------------------------------------------------- the check


def test_check_counts_and_shows(written):
    report = human36m.check(written[0])
    assert not report.problems and not report.missing
    assert report.status == 1, "there are fewer pictures than there should be"
    assert ("gt, pictures of S1", 360, 248_376) in report.counts
    assert len(report.samples) == 2 * 2 * 4
    assert all(p.dtype == np.uint8 and p.shape == (250, 250, 3) for _, p in report.samples)


def test_official_counts_would_pass(written, monkeypatch):
    found = {"S1": 360, "S5 to S8": 1440, "S9 and S11": 708}
    monkeypatch.setattr("posebook.data.official.human36m.load.OFFICIAL_PICTURES", found)
    assert human36m.check(written[0]).status == 0


def test_full_size_is_the_official_size(rare):
    sizes = rare.FULL_SIZE
    groups = ("S1",), human36m.TRAIN_SUBJECTS[1:], human36m.TEST_SUBJECTS
    pictures = [4 * sum(sizes[s] for s in group) for group in groups]
    assert pictures == list(human36m.OFFICIAL_PICTURES.values())


def test_check_goes_on_after_a_gap_and_lists_all(copy):
    def in_3d(tables):
        for take in ("Eating", "Eating 1", "Smoking", "Smoking 1"):
            del tables["positions_3d"]["S1"][take]
        takes = tables["positions_3d"]["S5"]
        takes["Photo 1"] = takes["Photo 1"] + np.float32([1, 0, 0])  # a metre aside

    spoil(copy, in_3d, PATH_3D)
    spoil(copy, lambda t: t["positions_2d"]["S9"].pop("Photo"), PATH_GT)
    spoil(copy, lambda t: t["positions_2d"].pop("S11"), PATH_GT)
    (copy / PATH_CPN).unlink()
    report = human36m.check(copy)
    assert report.missing == ["gt: S1 lacks Eating, Smoking", "gt: S11 lacks all 15 actions"]
    told = [what for what, _ in report.problems]
    assert len(told) == 3
    assert "positions_2d lacks S11" in told[0] and "of S9 lacks Photo, which" in told[1]
    assert "S5/Photo 1" in told[2]
    of = dict((what, found) for what, found, _ in report.counts)
    assert of["gt, pictures of S1"] == 26 * 3 * 4
    assert of["gt, pictures of S5 to S8"] == (4 * 30 - 1) * 3 * 4
    assert of["gt, pictures of S9 and S11"] == 29 * 3 * 4
    with pytest.raises(ValueError):
        human36m.load_views(copy, "gt")


def test_check_of_mmposes_form_goes_on_too(rare, tmp_path):
    rare.write_human36m_mmpose(tmp_path, frames=2)
    path = tmp_path / "annotation_body3d" / "fps50" / "h36m_train.npz"
    fields = safe_pickle.read_npz(path, safe_pickle.fields_of(path))
    keep = ~np.char.startswith(fields["imgname"], "S5/S5_Eating")
    keep &= ~np.char.startswith(fields["imgname"], "S6/S6_Photo_1.54138969")
    np.savez(path, **{name: array[keep] for name, array in fields.items()})
    report = human36m.check(tmp_path)
    assert report.missing == ["gt: S5 lacks Eating"]
    ((what, _),) = report.problems
    assert "S6/Photo 1 lacks camera 54138969" in what
    assert ("gt, pictures of S5 to S8", (4 * 30 - 3) * 2 * 4, 1_311_376) in report.counts


def test_check_says_what_is_missing_and_wrong(copy, tmp_path):
    (tmp_path / "empty").mkdir()
    assert human36m.check(tmp_path / "empty").missing
    (copy / PATH_GT).write_bytes(b"<html>please log in</html>")
    report = human36m.check(copy)
    assert len(report.problems) == 1 and "html" in report.problems[0][0]
