"""The check command: where it looks, what it prints, and that it writes nothing it should not."""

import os
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from posebook.__main__ import main
from posebook.data.fixtures import views as fixtures_3d
from posebook.data.formats.files import names_in
from posebook.data.official import folders
from posebook.data.official.report import Report, write_sheet


@pytest.fixture
def report(tmp_path):
    made = Report("human36m", tmp_path, found=["a.npz"])
    made.samples = [(f"sample {i}", np.full((20, 30, 3), 255, np.uint8)) for i in range(5)]
    return made


# ---------------------------------------------------------------- reports


def test_status_is_the_worst_of_all(report):
    assert report.status == 0 and "All as it should be." in str(report)
    report.counts.append(("frames", 1000, 1000))
    assert report.status == 0 and "frames: 1,000 (as official)" in str(report)
    report.counts.append(("takes", 3, 4))
    assert report.status == 1 and "takes: 3 (official: 4)" in str(report)


@pytest.mark.parametrize("change", ["missing", "problem", "found"])
def test_what_makes_it_fail(report, change):
    if change == "missing":
        report.missing.append("b.npz")
    elif change == "problem":
        report.problem(ValueError("b.npz is damaged"), "copy it again")
        assert "b.npz is damaged\n    -> copy it again" in str(report)
    else:
        report.found.clear()
    assert report.status == 1 and "Something is missing or wrong." in str(report)


def test_the_same_error_is_told_once(tmp_path):
    report = Report("jhmdb", tmp_path)
    report.add_errors([ValueError("a is bad; mend it"), OSError("a is bad; mend it")] * 3)
    assert report.problems == [("a is bad", "mend it")]


def test_many_errors_are_told_in_few_words(tmp_path):
    report = Report("jhmdb", tmp_path)
    report.add_errors([ValueError(f"file {k} is bad; mend it") for k in range(11)])
    assert report.problems[0] == ("file 0 is bad", "mend it")
    assert len(report.problems) == 9 and report.problems[-1][0] == "3 more files are wrong"


def test_sheet_is_a_picture_of_all_samples(report, tmp_path):
    (tmp_path / "out").mkdir()
    report.folder = tmp_path / "data"
    write_sheet(report, tmp_path / "out" / "sheet.png")
    with Image.open(tmp_path / "out" / "sheet.png") as picture:
        assert picture.format == "PNG" and picture.width > picture.height
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["sheet.png"]


def test_sheet_is_never_written_into_the_data(report, tmp_path):
    with pytest.raises(ValueError, match="data folder, where nothing is written"):
        write_sheet(report, tmp_path / "sheet.png")
    report.folder = tmp_path / "data"
    with pytest.raises(FileNotFoundError, match="no folder .*gone to write sheet.png into"):
        write_sheet(report, tmp_path / "gone" / "sheet.png")
    report.samples.clear()
    with pytest.raises(ValueError, match="no samples"):
        write_sheet(report, tmp_path / "sheet.png")
    assert not list(tmp_path.iterdir()), "nothing is left behind"


# ---------------------------------------------------------------- folders


def test_folder_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv(folders.VARIABLE, str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f"put jhmdb there, .* or set {folders.VARIABLE}"):
        folders.data_folder("jhmdb")
    (tmp_path / "jhmdb").mkdir()
    assert folders.data_folder("jhmdb") == tmp_path / "jhmdb"
    with pytest.raises(ValueError, match="unknown data set 'h36m'; known: human36m"):
        folders.data_folder("h36m")


def test_default_folder_is_in_the_clone(root, monkeypatch):
    monkeypatch.delenv(folders.VARIABLE, raising=False)
    assert folders.CLONE == root
    assert "/data/" in (root / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_a_name_in_another_case_is_found(tmp_path):
    (tmp_path / "Annot.MAT").write_text("")
    assert folders.find(tmp_path, "annot.mat").read_text() == ""
    with pytest.raises(FileNotFoundError, match="has no camera.calibration"):
        folders.find(tmp_path, "camera.calibration")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        folders.find(tmp_path / "gone", "annot.mat")


# ---------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    home = tmp_path_factory.mktemp("data")
    (home / "human36m").mkdir()
    fixtures_3d.write_human36m(home / "human36m", frames=1)
    return home


def test_command_prints_the_report_and_its_status(data, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv(folders.VARIABLE, str(data))
    sheet = tmp_path / "sheet.png"
    assert main(["check", "human36m", "--sheet", str(sheet)]) == 1
    printed = capsys.readouterr().out
    assert "gt: 209 takes of 4 views" in printed and f"written: {sheet}" in printed
    assert sheet.stat().st_size > 1000
    assert sorted(os.listdir(data / "human36m")) == ["data_2d_h36m_gt.npz", "data_3d_h36m.npz"]


def test_command_takes_a_folder(data, capsys):
    assert main(["check", "mpi-inf-3dhp", str(data)]) == 1
    assert "has no S1" in capsys.readouterr().out


@pytest.mark.parametrize("name", folders.DATASETS)
def test_command_without_data_says_what_to_do(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(folders.VARIABLE, str(tmp_path))
    assert main(["check", name]) == 2
    assert capsys.readouterr().err.startswith("Cannot check: there is no folder")


@pytest.mark.parametrize("name", folders.DATASETS)
def test_an_empty_folder_of_each_data_set_is_reported(name, tmp_path, capsys):
    assert main(["check", name, str(tmp_path)]) in (1, 2)
    assert "".join(capsys.readouterr()).strip()


@pytest.mark.parametrize("name", folders.DATASETS)
def test_a_sheet_of_nothing_leaves_the_status_as_it_is(name, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    arguments = ["check", name, str(tmp_path / "empty")]
    assert main(arguments) == 1
    without = capsys.readouterr().out
    assert main([*arguments, "--sheet", str(tmp_path / "sheet.png")]) == 1
    told = capsys.readouterr()
    assert told.out.startswith(without) and "No sheet" in told.out and not told.err
    assert not (tmp_path / "sheet.png").exists()


def test_sheet_in_the_data_folder_is_refused(data, capsys):
    folder = str(data / "human36m")
    assert main(["check", "human36m", folder, "--sheet", f"{folder}/a.png"]) == 2
    assert "where nothing is written" in capsys.readouterr().err


@pytest.mark.parametrize("sheet", ["nowhere/a.png", "file/a.png"])
def test_a_place_for_no_sheet_is_refused_before_the_check(sheet, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["check", "jhmdb", "data", "--sheet", sheet]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("Cannot check: there is no folder ")


@pytest.mark.parametrize("name", ["h36m", "report", "", "json"])
@pytest.mark.parametrize("with_folder", [False, True])
def test_an_unknown_data_set_is_refused_with_the_known_ones(name, with_folder, tmp_path, capsys):
    assert main(["check", name, *([str(tmp_path)] if with_folder else [])]) == 2
    said = capsys.readouterr().err
    assert said.startswith("Cannot check: ") and said.count("\n") == 1
    assert "human36m, mpi-inf-3dhp, jhmdb, penn-action, mpii" in said


def test_data_one_folder_deeper_are_named(tmp_path, capsys):
    (deeper := tmp_path / "Human3.6M").mkdir()
    fixtures_3d.write_human36m(deeper, frames=1)
    assert main(["check", "human36m", str(tmp_path)]) == 1
    assert f"But {deeper} holds human36m: give that folder" in capsys.readouterr().out


def test_a_folder_that_may_not_be_read_is_not_called_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "listdir", Mock(side_effect=PermissionError(13, "Permission denied")))
    with pytest.raises(PermissionError, match="may not be read by you; change its rights, or"):
        names_in(tmp_path)


def test_what_may_not_be_read_is_said_with_the_remedy(tmp_path, monkeypatch, capsys):
    refused = PermissionError(13, "Permission denied", str(tmp_path / "Calib.toml"))
    monkeypatch.setattr("posebook.footage.rig.run_rig", Mock(side_effect=refused))
    assert main(["rig", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said == (f"Cannot rig: you may not read or write {tmp_path / 'Calib.toml'}; change its "
                    "rights, or take a copy or a folder of your own.\n")  # fmt: skip
