"""A folder of cameras, from files to files, on the embedded recording; what is wrong is named."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save

from posebook.__main__ import main
from posebook.data.recorded.pose2sim import load_pose2sim
from posebook.data.recorded.rig import human36m_rig
from posebook.data.virtual import triangulated
from posebook.footage import health, learning
from posebook.footage.learning import begin, measure
from posebook.footage.rig import EXAMPLE_RATE, Wishes, _toml, read_rig, write_example
from posebook.geometry.camera import Camera
from posebook.geometry.skeleton import H36M

TAKE = load_pose2sim()


@pytest.fixture
def folder(tmp_path):
    return write_example(tmp_path / "rig")


def test_the_example_is_the_embedded_recording(folder):
    take, found, notes = read_rig(folder, Wishes())
    for ours, theirs in zip(take.cameras, TAKE.cameras):
        points = np.array([[0.1, 0.2, 1.0], [-1, 0.5, 0.3]])
        np.testing.assert_allclose(ours.project(points), theirs.project(points), atol=0.01)
    np.testing.assert_array_equal(take.confidence, TAKE.confidence)
    np.testing.assert_array_equal(take.joints_2d, TAKE.joints_2d)
    assert found.up == "+z" and 1.5 < found.body < 1.9 and not found.shift.any()
    assert (found.residual < 15).all() and (found.left_out > found.residual).all()
    assert found.text().endswith("Nothing is in doubt.")
    assert any("taken for metres" in note for note in notes)


def test_a_rate_that_nobody_has_said_is_said(folder, tmp_path, capsys):
    said = "nobody has said the rate, so it is 30 frames a second: give --fps"
    assert said in read_rig(folder, Wishes())[2] and said not in read_rig(folder, Wishes(fps=60))[2]
    assert EXAMPLE_RATE == TAKE.fps
    assert main(["rig", str(tmp_path / "other"), "--example", "--steps", "1"]) == 0
    assert said not in capsys.readouterr().out
    with np.load(tmp_path / "other" / "posebook" / "lifted.npz") as file:
        assert file["fps"] == 60


def test_one_odd_name_leaves_the_other_cameras_theirs(folder):
    """Taken in order of names, all behind it would have had their neighbour's pictures."""
    (folder / "cam02.npz").rename(folder / "left.npz")
    take, _, notes = read_rig(folder, Wishes())
    np.testing.assert_array_equal(take.joints_2d, TAKE.joints_2d)
    assert any("taken in order: cam02 = left.npz; else rename" in note for note in notes)


def test_the_command_writes_a_report_a_picture_and_bodies(folder, capsys):
    assert main(["rig", str(folder), "--steps", "5", "--fps", "60"]) == 0
    out = folder / "posebook"
    report = (out / "report.txt").read_text()
    said = capsys.readouterr().out
    for word in ("Lengths are metres", "+z up", "h36m17", "left out", "px", "mm from"):
        assert word in report and word in said
    assert (out / "rig.png").stat().st_size > 5000
    assert "skeletons" in (out / "player.html").read_text()
    for name in ("lifted", "triangulated"):
        with np.load(out / f"{name}.npz") as file:
            assert file["joints_3d"].shape == (100, 17, 3) and file["fps"] == 60
        assert {"trc", "bvh", "csv"} <= {p.suffix[1:] for p in out.glob(f"{name}.*")}


def test_two_cameras_are_enough(folder, capsys):
    """They were examined, and then refused, because the teacher wants three."""
    for name in ("cam03", "cam04"):
        (folder / f"{name}.npz").unlink()
    (folder / "Calib.toml").write_text("\n".join(map(_toml, TAKE.cameras[:2])))
    assert main(["rig", str(folder), "--steps", "2"]) == 0
    assert "no joint is seen by three cameras, so nothing tells how" in capsys.readouterr().out
    assert (folder / "posebook" / "lifted.npz").exists()


def test_another_person_gets_a_folder_of_their_own(folder):
    """The files of person 1 were written over."""
    assert Wishes().target(folder) == Wishes(person=1).target(folder) == folder / "posebook"
    assert Wishes(person=2).target(folder) == folder / "posebook" / "person2"
    assert Wishes(person=2, out=folder / "o").target(folder) == folder / "o" / "person2"


def test_what_lies_one_folder_deeper_is_named(folder):
    with pytest.raises(FileNotFoundError, match="no calibration; .*rig holds one: give the"):
        read_rig(folder.parent, Wishes())
    (folder / "pose").mkdir()
    for file in folder.glob("cam*.npz"):
        file.rename(folder / "pose" / file.name)
    with pytest.raises(FileNotFoundError, match="no videos, but .*pose holds some; put them"):
        read_rig(folder, Wishes())


def test_a_person_who_leaves_is_marked_in_what_is_written(folder, capsys):
    for k, gone in enumerate(([40, 60], [40, 100], [40, 60], [40, 60]), 1):
        with np.load(folder / f"cam0{k}.npz") as file:
            arrays = dict(file)
        arrays["confidence"][slice(*gone)] = 0  # the second camera does not see him again
        np.savez(folder / f"cam0{k}.npz", **arrays)
    assert main(["rig", str(folder), "--steps", "3"]) == 0
    said = capsys.readouterr().out
    assert "person 1: 80 of 100 frames; 20 are without, and marked" in said
    for name in ("lifted", "triangulated"):
        with np.load(folder / "posebook" / f"{name}.npz") as file:
            gone = np.isnan(file["joints_3d"]).all((1, 2))
        np.testing.assert_array_equal(np.flatnonzero(gone), np.arange(40, 60))


def test_truth_measures_as_near_and_another_body_as_far():
    truth = triangulated(TAKE, weighted=True, least_confidence=0.3)
    world = np.repeat(truth[:, None], 4, axis=1)
    at = np.arange(100)
    near, far = measure(TAKE, world, at), measure(TAKE, world + [0, 0, 0.1], at)
    assert near["distance_mm"] < 1e-6 and far["distance_mm"] < 1e-6  # root on root
    assert near["left_out_px"] < 20 < 35 < far["left_out_px"]
    bent = world.copy()
    bent[:, :, H36M.index("LWrist")] += [0.14, 0, 0]
    assert measure(TAKE, bent, at)["distance_mm"] == pytest.approx(10, abs=0.2)  # 140 / 14


def test_a_camera_is_not_measured_in_its_own_picture():
    """Where only the first one lifts, whatever its own picture shows changes nothing."""
    truth = triangulated(TAKE, weighted=True, least_confidence=0.3)
    world = np.full((100, 4, 17, 3), np.nan)
    world[:, 0] = truth
    joints = TAKE.joints_2d.copy()
    joints[:, 0] += 500
    found, as_before = (
        measure(take, world, np.arange(100))["left_out_px"]
        for take in (replace(TAKE, joints_2d=joints), TAKE)
    )
    # The reference moves with the picture; the lifted bodies and the other cameras do not.
    assert found == pytest.approx(as_before)


def test_frames_that_were_learned_from_are_not_measured(monkeypatch):
    asked = []
    monkeypatch.setattr(learning, "train", lambda *a, **k: None)
    monkeypatch.setattr(
        learning, "measure", lambda take, world, at: asked.append(at) or measure(take, world, at)
    )
    learned = learning.learn(TAKE, steps=1, say=lambda text: None)
    assert len(asked) == 2 and all(np.array_equal(at, learned.rest) for at in asked)
    assert learned.first.max() < learned.rest.min() and len(learned.rest) == 25


def test_the_example_replaces_no_calibration_of_somebody(folder, capsys):
    (folder / "Calib.toml").write_text("# my own")
    assert main(["rig", str(folder), "--example"]) == 2
    said = capsys.readouterr().err
    assert "Calib.toml is there already, and the example would replace it" in said
    assert (folder / "Calib.toml").read_text() == "# my own"
    (folder / "Calib.toml").unlink()
    assert main(["rig", str(folder), "--example"]) == 2  # nor somebody's detections
    assert ".npz is there already" in capsys.readouterr().err


def test_weights_that_are_not_there_are_refused_before_anything_is_read(folder, capsys):
    (folder / "Calib.toml").write_text("no calibration")
    assert main(["rig", str(folder), "--weights", "trans-repro"]) == 2
    assert "no weights 'trans-repro': neither a file nor one of" in capsys.readouterr().err


# ---------------------------------------------------------------- health


@pytest.mark.parametrize(
    ("metre", "unit", "was"), [(39.37, "in", "cm"), (3.281, "ft", "m")]
)  # fmt: skip
def test_a_calibration_in_inches_or_feet_is_told_by_the_body(folder, metre, unit, was):
    """Taken for centimetres, inches made a body of 69 cm, of which nothing was in doubt."""
    cameras = [replace(c, center=c.center * metre) for c in TAKE.cameras]
    (folder / "Calib.toml").write_text("\n".join(map(_toml, cameras)))
    said = read_rig(folder, Wishes())[1].text()
    assert f"are not {was} but {unit}, it measures 1.75 m: give --unit {unit}" in said
    assert read_rig(folder, Wishes(unit=unit))[1].text().endswith("Nothing is in doubt.")


def test_a_body_of_no_size_of_a_person_is_in_doubt(folder):
    for factor, said in ((0.6, "the body measures 1.05 m, as children do"),
                         (1.5, "the body measures 2.62 m, as people do not")):  # fmt: skip
        cameras = [replace(c, center=c.center * factor) for c in TAKE.cameras]
        (folder / "Calib.toml").write_text("\n".join(map(_toml, cameras)))
        assert said in read_rig(folder, Wishes())[1].text()


def test_two_cameras_are_told_what_they_cannot_tell():
    found = health.examine(replace(
        TAKE, cameras=TAKE.cameras[:2], joints_2d=TAKE.joints_2d[:, :2],
        confidence=TAKE.confidence[:, :2],
    ))  # fmt: skip
    assert "nan" not in found.text()
    assert "up to 10 frames to either side; two cameras hardly show one: film" in found.text()


@pytest.mark.parametrize("up", ["+x", "-y", "-z", "+y"])
def test_which_way_is_up_is_found_and_put_right(up):
    turned = replace(TAKE, cameras=world_with(up))
    found = health.examine(turned)
    assert found.up == up and f"the world has {up} up" in found.text()
    again = replace(turned, cameras=health.upright(turned.cameras, up))
    assert health.examine(again).up == "+z"


def world_with(up):
    """The cameras in a world whose axis `up` is what is +z now."""
    z = np.eye(3)["xyz".index(up[1])] * (1 if up[0] == "+" else -1)
    x = np.eye(3)[("xyz".index(up[1]) + 2) % 3]
    turn = np.stack([x, np.cross(z, x), z], axis=1)
    return tuple(
        Camera(c.name, c.R @ turn.T, turn @ c.center, c.focal, c.principal, c.resolution)
        for c in TAKE.cameras
    )


# ---------------------------------------------------------------- refusals


def test_a_calibration_in_the_wrong_unit_is_refused_by_the_size_of_the_body(folder, capsys):
    assert main(["rig", str(folder), "--unit", "mm"]) == 2
    said = capsys.readouterr()
    assert "people do not" in said.out and said.err.count("\n") == 1


def test_what_is_missing_is_named(folder, capsys):
    (folder / "cam04.npz").rename(folder / "other.npz")
    assert "cam04 = other.npz" in read_rig(folder, Wishes())[2][1]
    (folder / "other.npz").unlink()
    with pytest.raises(ValueError, match="4 cameras .* and 3 with detections"):
        read_rig(folder, Wishes())
    (folder / "Calib.toml").unlink()
    with pytest.raises(FileNotFoundError, match="boards, where --board looks for photographs"):
        read_rig(folder, Wishes(board="9x6x60"))
    with pytest.raises(FileNotFoundError, match="no calibration; put one of .toml"):
        read_rig(folder, Wishes())
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        read_rig(folder / "nowhere", Wishes())


def test_a_folder_with_intrinsics_alone_gets_its_poses_from_the_person(folder):
    text = (folder / "Calib.toml").read_text().splitlines()
    bare = [line for line in text if not line.startswith(("rotation", "translation"))]
    (folder / "Calib.toml").write_text("\n".join(bare))
    take, found, notes = read_rig(folder, Wishes(height=1.8))
    assert any("no extrinsics are given" in note and "1.8 m tall" in note for note in notes)
    assert found.up == "+z" and 1.5 < found.body < 1.9 and (found.residual < 12).all()
    assert (take.confidence > 0).mean() > 0.9


def test_refinement_is_said_and_taken(folder):
    take, _, notes = read_rig(folder, Wishes(refine=True))
    [said] = [note for note in notes if "residual" in note]
    moved = np.abs(take.cameras[1].center - TAKE.cameras[1].center).max()
    assert (moved > 1e-6) == said.startswith("extrinsics refined")


def test_weights_that_do_not_fit_are_named(tmp_path):
    with pytest.raises(ValueError, match="no weights 'x': neither a file nor one of "):
        begin("x")
    (tmp_path / "w.safetensors").write_bytes(save({"a": torch.zeros(1)}))
    with pytest.raises(ValueError, match="w.safetensors: not weights of the network of trans"):
        begin(str(tmp_path / "w.safetensors"))


def test_weights_of_a_file_are_those_that_it_begins_with(tmp_path):
    model, _ = begin("trans-reproj")
    path = tmp_path / "mine.safetensors"
    path.write_bytes(save({key: value.detach() for key, value in model.state_dict().items()}))
    again, variant = begin(str(path))
    assert variant.loss == "trans-reproj" and all(p.requires_grad for p in model.parameters())
    for one, two in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)
    assert begin("consensus-augmented-flip-points")[1].student is not None


def test_a_calibration_of_other_cameras_is_refused_in_one_sentence(folder, capsys):
    other = [replace(c, R=o.R, center=o.center)
             for c, o in zip(TAKE.cameras, human36m_rig("S1"))]  # fmt: skip
    (folder / "Calib.toml").write_text("\n".join(map(_toml, other)))
    assert main(["rig", str(folder), "--steps", "1"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_turned_video_is_named(folder, capsys):
    with np.load(folder / "cam02.npz") as file:
        arrays = dict(file)
    x, y = np.moveaxis(arrays["joints_2d"], -1, 0)
    arrays["joints_2d"] = np.stack([1919 - y, x], axis=-1)
    np.savez(folder / "cam02.npz", **arrays)
    assert main(["rig", str(folder), "--steps", "1"]) == 2
    said = capsys.readouterr()
    assert "portrait" in said.out + said.err
