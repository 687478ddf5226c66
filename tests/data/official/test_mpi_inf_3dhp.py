"""MPI-INF-3DHP's readers give back what the writers were given, and name what is wrong."""

import shutil

import h5py
import numpy as np
import pytest
import torch
from scipy.io import loadmat, savemat

from posebook.data.fixtures import views as fixtures_3d
from posebook.data.official import mpi_inf_3dhp
from posebook.data.plausible import findings
from posebook.data.views import collect
from posebook.geometry.camera import project, relative, transform
from posebook.geometry.skeleton import H36M

pytestmark = pytest.mark.filterwarnings("ignore:.*officially")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mpi-inf-3dhp")
    return folder, fixtures_3d.write_mpi_inf_3dhp(folder, frames=6, test_frames=28)


@pytest.fixture
def copy(written, tmp_path):
    """S1/Seq1 and TS1 alone, in a place that a test may spoil."""
    for name in ("S1/Seq1", "TS1"):
        shutil.copytree(written[0] / name, tmp_path / name)
    return tmp_path


# ---------------------------------------------------------------- what was written comes back


def test_recovers_training_motion_with_z_up(written):
    folder, truth = written
    train, _ = mpi_inf_3dhp.load_views(folder)
    assert len(train) == 16 and {len(s.cameras) for s in train} == {5}
    for sequence in train:
        world = truth.world[int(sequence.subject[1:]), int(sequence.action[3:])]
        assert np.abs(sequence.joints_3d - world).max() < 1e-6


def test_joints_that_are_read_in_another_order_are_named(tmp_path, monkeypatch):
    place = tmp_path / "S1" / "Seq1"
    place.mkdir(parents=True)
    fixtures_3d.write_training(place, 12, 0)
    assert list(findings([mpi_inf_3dhp.read_training(tmp_path, 1, 1)])) == []
    coco = [9, 10, 10, 10, 10, 11, 14, 12, 15, 13, 16, 4, 1, 5, 2, 6, 3]
    order = [mpi_inf_3dhp.OF_28[j] for j in coco]
    monkeypatch.setattr("posebook.data.official.mpi_inf_3dhp.training.OF_28", order)
    with pytest.raises(ValueError, match=r"annot\.mat .*: S1: joint 0 lies .* COCO's order"):
        collect([mpi_inf_3dhp.read_training(tmp_path, 1, 1)])


def test_people_stand_upright_on_the_floor(written):
    train, _ = mpi_inf_3dhp.load_views(written[0])
    head, foot = H36M.index("Head", "LFoot")
    above = [s.joints_3d[:, head, 2] - s.joints_3d[:, foot, 2] for s in train]
    assert np.median(above) > 1 and min(s.joints_3d[..., 2].min() for s in train) > -0.1


def test_chest_cameras_stand_at_the_height_of_the_chest(written):
    train, _ = mpi_inf_3dhp.load_views(written[0])
    heights = [camera.center[2] for camera in train[0].cameras]
    assert np.allclose(heights, [1.53, 1.49, 1.12, 1.17, 1.39], atol=0.01)
    assert [camera.name for camera in train[0].cameras] == ["0", "2", "4", "7", "8"]


@pytest.mark.parametrize("scale", mpi_inf_3dhp.SCALES)
def test_views_agree_under_the_thesis_transform(written, scale):
    train, _ = mpi_inf_3dhp.load_views(written[0], scale)
    views = collect(train)
    there = transform(views.Y[:, 0], views.R[0, 0, 1], views.t[0, 0, 1])
    assert (project(there) - views.X[:, 1]).abs().max() < 1e-5
    assert (there - views.Y[:, 1]).abs().max() < 1e-5


def test_t_of_the_files_is_no_centre():
    a, b = fixtures_3d.training_rig()[:2]
    R, t = relative(*(torch.as_tensor(x) for x in (a.R, a.center, b.R, b.center)))
    wrong, _ = relative(*(torch.as_tensor(x) for x in (a.R, a.T, b.R, b.T)))
    point = np.array([[0.3, 1.0, 0.2]])
    seen = transform(torch.as_tensor(a.to_camera(point)), R, t).numpy()
    assert np.allclose(seen, b.to_camera(point))
    assert torch.allclose(wrong, R)
    _, t_wrong = relative(*(torch.as_tensor(x) for x in (a.R, a.T, b.R, b.T)))
    off = transform(torch.as_tensor(a.to_camera(point)), R, t_wrong).numpy()
    assert np.linalg.norm(off - b.to_camera(point)) > 1, "metres off with T in place of the centre"


def test_universal_scale_is_one_factor_and_leaves_2d_as_it_is(written):
    metric, metric_test = mpi_inf_3dhp.load_views(written[0])
    universal, universal_test = mpi_inf_3dhp.load_views(written[0], "universal")
    for a, b in zip(metric, universal):
        assert np.allclose(fixtures_3d.UNIVERSAL * a.joints_3d, b.joints_3d, atol=1e-5)
        assert np.array_equal(a.joints_2d, b.joints_2d)
        assert "metric" in a.source and "universal" in b.source
    for a, b in zip(metric_test, universal_test):
        relative_to_root = [s.joints_3d - s.joints_3d[:, :1] for s in (a, b)]
        assert np.allclose(
            fixtures_3d.UNIVERSAL * relative_to_root[0], relative_to_root[1], atol=1e-5
        )
    with pytest.raises(ValueError, match="unknown scale 'mm'; known: metric, universal"):
        mpi_inf_3dhp.load_views(written[0], "mm")


def test_only_valid_frames_count_and_activities_are_kept_apart(written):
    folder, truth = written
    _, test = mpi_inf_3dhp.load_views(folder)
    assert sum(len(s) for s in test) == sum(valid.sum() for valid in truth.valid.values())
    for sequence in test:
        n, activity = int(sequence.subject[2:]), mpi_inf_3dhp.ACTIVITIES.index(sequence.action)
        at = truth.valid[n] & (truth.activity[n] == activity)
        assert np.array_equal(sequence.joints_3d, truth.test[n][at].astype(np.float32))


def test_official_numbers():
    assert sum(mpi_inf_3dhp.OFFICIAL_VALID.values()) == 2929
    assert sorted(mpi_inf_3dhp.OF_17) == list(range(17))
    assert len(set(mpi_inf_3dhp.OF_28)) == 17


def test_cut_to_the_official_frames(copy, monkeypatch):
    monkeypatch.setitem(mpi_inf_3dhp.OFFICIAL_FRAMES, (1, 1), 4)
    assert len(mpi_inf_3dhp.read_training(copy, 1, 1)) == 4


def test_folders_train_and_test_are_found(copy):
    for part, name in (("train", "S1"), ("test", "TS1")):
        (copy / part).mkdir()
        (copy / name).rename(copy / part / name)
    assert len(mpi_inf_3dhp.read_training(copy, 1, 1)) == 6
    assert len(mpi_inf_3dhp.read_test(copy, 1).valid) == 28


# ---------------------------------------------------------------- calibration


def test_calibration_is_read_by_keyword(copy):
    path = copy / "S1" / "Seq1" / "camera.calibration"
    cameras = mpi_inf_3dhp.read_calibration(path)
    lines = path.read_text().splitlines()
    blocks = [lines[1 + 7 * i : 8 + 7 * i] for i in range(14)]
    moved = [line for b in reversed(blocks) for line in (b[0], *reversed(b[1:]), "", "  note 1 2")]
    path.write_text("\r\n".join([lines[0], *moved]))
    for name, camera in mpi_inf_3dhp.read_calibration(path).items():
        assert np.array_equal(camera.R, cameras[name].R)
        assert np.array_equal(camera.focal, cameras[name].focal)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("size        2048 2048", "size        2048 204", "lost a digit"),
        ("Skeletool", "Skeleton", "header"),
        ("name          3", "name          2", "camera 2 occurs twice"),
        ("name          3", "name          x", "called 'x' and not by a number"),
        ("name          3", "name          33", r"has cameras .* and not 0 to 13"),
        ("  intrinsic   1497", "  intrinsic   nan", "camera 0 has no 16 numbers intrinsic"),
        ("  extrinsic   0.9650164", "  extrinsic   0.9650164 1", "no 16 numbers extrinsic"),
        ("  extrinsic   0.9650164", "  extrinsic   9.9650164", "R is not a rotation"),
    ],
)
def test_bad_calibration_is_named(copy, old, new, message):
    path = copy / "S1" / "Seq1" / "camera.calibration"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ValueError, match=message) as problem:
        mpi_inf_3dhp.read_training(copy, 1, 1)
    assert "camera.calibration" in str(problem.value)


def test_calibration_of_another_sequence_is_refused(copy):
    path = copy / "S1" / "Seq1" / "camera.calibration"
    x = 1000 * fixtures_3d.training_rig()[2].T[0]
    path.write_text(path.read_text().replace(f"{x:.10g}", f"{x + 500:.10g}"))
    with pytest.raises(ValueError, match="cameras 0 and 2 differ by .* not of one sequence"):
        mpi_inf_3dhp.read_training(copy, 1, 1)


# ---------------------------------------------------------------- bad training labels


def respoil(path, change):
    fields = {name: value for name, value in loadmat(path).items() if name[0] != "_"}
    change(fields)
    savemat(path, fields)


def set_cell(field, change, camera=2):
    def changed(fields):
        fields[field][camera, 0] = change(fields[field][camera, 0])

    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda fields: fields.pop("annot3"), "annot3 is missing"),
        (lambda fields: fields.update(annot2=np.zeros((6, 56))), "annot2 must hold 14 cells"),
        (lambda fields: fields.update(annot2=fields["annot2"][:5]), "annot2 must hold 14 cells"),
        (set_cell("annot2", np.transpose), r"annot2 of camera 2 must be \(F, 56\), got \(56, 6\)"),
        (set_cell("annot2", lambda a: a[:3]), r"same frames, got \[6, 3, 6, 6, 6\]"),
        (set_cell("annot3", lambda a: a[:3]), "annot3 has not as many frames"),
        (set_cell("annot2", lambda a: a.astype(np.int16)), "must be floating-point"),
        (set_cell("annot3", lambda a: a * np.nan), "annot3 of camera 2 is not finite in row 0"),
        (set_cell("annot3", lambda a: a[:, ::-1].copy()), "camera 2: 3D joints project"),
        (set_cell("annot3", lambda a: 1.2 * a), "differ by .* not of one sequence"),
    ],
)
def test_bad_labels_are_named(copy, change, message):
    path = copy / "S1" / "Seq1" / "annot.mat"
    respoil(path, change)
    with pytest.raises(ValueError, match=message) as problem:
        mpi_inf_3dhp.read_training(copy, 1, 1)
    assert "annot.mat" in str(problem.value) and "\n" not in str(problem.value)


# ---------------------------------------------------------------- bad test labels


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("annot2", lambda a: None, "there is no annot2"),
        ("annot2", lambda a: a[:, 0], r"annot2 must be \(F, 1, 17, 2\), got \(28, 17, 2\)"),
        ("annot2", lambda a: a.T, r"annot2 must be \(F, 1, 17, 2\), got \(2, 17, 1, 28\)"),
        ("annot3", lambda a: a[:-1], "annot3 has 27 frames, annot2 28"),
        ("annot3", lambda a: a * np.nan, "annot3 is not finite in frame 0"),
        ("annot3", lambda a: a / 25.4 + 100, "3D joints project"),
        ("valid_frame", lambda a: a * 2, "valid_frame must be 0 or 1"),
        ("activity_annotation", lambda a: a + 7, "activity_annotation must be 1 to 7"),
        ("activity_annotation", lambda a: a.astype("S4"), "is no array of numbers"),
    ],
)
def test_bad_test_labels_are_named(copy, field, change, message):
    path = copy / "TS1" / "annot_data.mat"
    with h5py.File(path, "r+") as file:
        array = change(file[field][:])
        del file[field]
        if array is not None:
            file[field] = array
    with pytest.raises(ValueError, match=message) as problem:
        mpi_inf_3dhp.read_test(copy, 1)
    assert "annot_data.mat" in str(problem.value)


def test_frames_that_do_not_count_may_be_empty(copy):
    path = copy / "TS1" / "annot_data.mat"
    with h5py.File(path, "r+") as file:
        empty = file["valid_frame"][:, 0] == 0
        for field in ("annot2", "annot3", "univ_annot3"):
            file[field][:] = np.where(empty[:, None, None, None], np.nan, file[field][:])
    recording = mpi_inf_3dhp.read_test(copy, 1)
    assert recording.valid.sum() == 14 and np.isfinite(recording.pixels).all()


def test_links_inside_a_test_file_are_not_followed(copy):
    path = copy / "TS1" / "annot_data.mat"
    shutil.copy(path, copy / "other.mat")
    with h5py.File(path, "r+") as file:
        del file["annot2"]
        file["annot2"] = h5py.ExternalLink(str(copy / "other.mat"), "annot2")
    with pytest.raises(ValueError, match="there is no annot2"):
        mpi_inf_3dhp.read_test(copy, 1)


def test_formats_are_not_confused(copy):
    shutil.copy(copy / "TS1" / "annot_data.mat", copy / "S1" / "Seq1" / "annot.mat")
    with pytest.raises(ValueError, match=r"7\.3"):
        mpi_inf_3dhp.read_training(copy, 1, 1)
    (copy / "TS1" / "annot_data.mat").write_bytes(b"MATLAB 5.0 MAT-file".ljust(128))
    with pytest.raises(ValueError, match=r"cannot be read as MATLAB 7\.3"):
        mpi_inf_3dhp.read_test(copy, 1)


@pytest.mark.filterwarnings("default:.*officially")
def test_missing_frames_are_warned_of(written):
    with pytest.warns(UserWarning, match="96 training frames a camera, officially 131,"):
        mpi_inf_3dhp.load_views(written[0])


# ---------------------------------------------------------------- the check


def test_check_reports_all_parts(written):
    report = mpi_inf_3dhp.check(written[0])
    assert len(report.found) == 16 + 6 and not report.problems and not report.missing
    assert ("TS5, valid frames", 14, 276) in report.counts
    assert "1.060 times the metric one" in str(report)
    assert len(report.samples) == 10


def test_check_goes_on_after_a_fault(copy):
    (copy / "TS1" / "annot_data.mat").write_bytes(b"")
    report = mpi_inf_3dhp.check(copy)
    assert len(report.found) == 1 and len(report.problems) == 1
    assert len(report.missing) == 15 + 5
    assert "official archive" in report.problems[0][1]


def test_check_of_a_wrong_folder_is_one_line_and_what_is_there(tmp_path):
    for name in ("Videos", "readme.txt", *"abcdefgh"):
        (tmp_path / name).mkdir()
    report = mpi_inf_3dhp.check(tmp_path)
    ((what, remedy),) = report.problems
    assert not report.missing and report.status == 1
    assert "has no S1 to S8 and no TS1 to TS6, but Videos, a, b, c" in what
    assert what.endswith("and 2 more") and "folder that holds S1" in remedy
    with pytest.raises(FileNotFoundError, match="has no S1 to S8 and no TS1 to TS6, but Videos"):
        mpi_inf_3dhp.load_views(tmp_path)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("p-stmo", r"data_test_3dhp\.npz is P-STMO's form, which does not say .*; ask whoever"),
        ("poseaug", r"test_3dhp\.npz is PoseAug's form, which does not say .*; ask whoever"),
        ("mmpose", r"annotations/mpi_inf_3dhp_train\.npz is MMPose's form, .*; ask whoever"),
    ],
)
def test_forms_of_unknown_units_are_named_and_not_guessed(rare, tmp_path, form, message):
    rare.write_other_mpi_inf_3dhp(tmp_path, form)
    with pytest.raises(FileNotFoundError, match=message):
        mpi_inf_3dhp.load_views(tmp_path)
    report = mpi_inf_3dhp.check(tmp_path)
    assert len(report.problems) == 1 and "metric or universal" in report.problems[0][1]


@pytest.mark.parametrize(
    "name", ["S1/Seq1/annot.mat", "S1/Seq1/camera.calibration", "TS1/annot_data.mat"]
)
def test_a_pointer_of_git_lfs_says_how_to_fetch_the_file(copy, name):
    (copy / name).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    report = mpi_inf_3dhp.check(copy)
    ((what, remedy),) = report.problems
    assert f"{name} is not the file but a pointer" in what and remedy.startswith("run `git lfs pu")
