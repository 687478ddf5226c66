"""Calibrations in every form give the same cameras; what is wrong is named with its remedy."""

import re

import cv2
import numpy as np
import pytest

from posebook.data.recorded.rig import human36m_rig
from posebook.footage.calibration import read_calibration

RIG = human36m_rig("S1")
LENS = [-0.21, 0.24, 0.002, -0.001, -0.01]
POINTS = np.array([[0.1, 0.2, 0.9], [-0.4, 0.3, 1.4], [0.5, -0.6, 0.2]])


def toml(metre=1.0, lens=LENS, more="", **changes):
    """The rig of Human3.6M with OpenCV's lens, as Pose2Sim would write it."""
    text = "[metadata]\nerror = 0.3\n"
    for k, c in enumerate(RIG):
        fields = {
            "name": f'"cam{k}"', "size": list(c.resolution), "matrix": c.K.tolist(),
            "distortions": lens, "rotation": cv2.Rodrigues(c.R)[0].ravel().tolist(),
            "translation": (c.T * metre).tolist(),
        } | changes  # fmt: skip
        lines = [f"{key} = {value}" for key, value in fields.items() if value is not None]
        text += f"[cam_{k}]\n" + "\n".join(lines) + f"\n{more}\n"
    return text


def write(folder, text, name="Calib.toml"):
    (folder / name).write_text(text)
    return folder / name


def opencv(camera, lens=LENS, fisheye=False):
    """Pixels (3, 2) by OpenCV itself."""
    rvec, T = cv2.Rodrigues(camera.R)[0], camera.T
    if fisheye:
        points = POINTS[:, None]
        return cv2.fisheye.projectPoints(points, rvec, T, camera.K, np.array(lens))[0][:, 0]
    return cv2.projectPoints(POINTS, rvec, T, camera.K, np.array(lens))[0][:, 0]


def same(cameras, **lens):
    for ours, theirs in zip(cameras, RIG, strict=True):
        np.testing.assert_allclose(ours.project(POINTS), opencv(theirs, **lens), atol=1e-6)


@pytest.mark.parametrize(("metre", "unit"), [(1, "m"), (100, "cm"), (1000, "mm")])
def test_toml_projects_as_opencv_in_every_unit(tmp_path, metre, unit):
    found = read_calibration(write(tmp_path, toml(metre)))
    same(found.cameras)
    assert found.unit == unit and len(found.notes) == 1 and "taken for" in found.notes[0]
    assert [c.name for c in found.cameras] == ["cam0", "cam1", "cam2", "cam3"]


def test_a_unit_that_is_given_is_not_guessed(tmp_path):
    found = read_calibration(write(tmp_path, toml(1)), unit="cm")
    assert found.notes == ()
    np.testing.assert_allclose(found.cameras[0].center, RIG[0].center / 100)


@pytest.mark.parametrize("number", [2, 4, 8, 14])
def test_the_other_lenses_of_opencv(tmp_path, number):
    """Radial, tangential, rational; and zeros in the place of thin prisms."""
    lens = [0.08, -0.05, 1e-3, -8e-4, 0.02, 0.03, -0.01, 0.01, *[0.0] * 6][:number]
    found = read_calibration(write(tmp_path, toml(lens=lens)))
    same(found.cameras, lens=[*lens, 0.0, 0.0] if number == 2 else lens)
    with pytest.raises(ValueError, match="camera 'cam0': distortions are 12 numbers, with thin pr"):
        read_calibration(write(tmp_path, toml(lens=[0.01] * 12)))


def test_a_fisheye_is_read_as_one(tmp_path):
    lens = [0.02, -0.01, 0.003, -0.001]
    found = read_calibration(write(tmp_path, toml(lens=lens, more="fisheye = true")))
    same(found.cameras, lens=lens, fisheye=True)


def test_swapped_width_and_height_are_turned_round_and_said(tmp_path):
    found = read_calibration(write(tmp_path, toml(size=[1920, 1080],
                             matrix=[[1600, 0, 530], [0, 1600, 955], [0, 0, 1]])))  # fmt: skip
    assert found.cameras[0].resolution == (1080, 1920)
    assert "size (1920, 1080) is height first" in found.notes[0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"matrix": None}, "camera 'cam0': matrix is missing (there is distortions, name,"),
        ({"translation": None}, "translation is missing"),
        ({"rotation": [1, 2]}, "rotation has 2 numbers, 3 or 9 are wanted"),
        ({"distortions": [1, 2, 3]}, "distortions has 3 numbers"),
        ({"distortions": '"none"'}, "distortions is not a list of numbers"),
        ({"fisheye": "true"}, "fisheye is true and distortions are 5 numbers"),
        ({"name": '"a"'}, "camera 'a': the name stands there twice"),
        ({"size": [100, 100]}, "lies outside the size 100 x 100"),
        ({"rotation": [[1, 0, 0], [0, 1, 0], [0, 0, -1]]}, "its determinant is -1"),
        ({"matrix": [[1.2, 0, 0.5], [0, 1.2, 0.5], [0, 0, 1]]}, "no principal point in pixels"),
        ({"matrix": [[1600, 9, 530], [0, 1600, 955], [0, 0, 1]]}, "a skew of 9"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path, changes, said):
    path = write(tmp_path, toml(**changes))
    with pytest.raises(ValueError, match=re.escape(said)) as refused:
        read_calibration(path)
    assert str(refused.value).startswith(str(path)) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.toml", "[a", "not TOML"), ("a.toml", "", "0 camera where depth needs two"),
        ("a.qca.txt", "hello", "not Qualisys' XML"), ("a.yml", "K: [1, 2", "OpenCV cannot read"),
        ("a.csv", "", "known are .toml, .qca.txt"),
    ],
)  # fmt: skip
def test_what_is_no_calibration_is_named(tmp_path, name, text, said):
    with pytest.raises(ValueError, match=said):
        read_calibration(write(tmp_path, text, name))


def test_a_calibration_in_another_encoding_is_named(tmp_path):
    path = tmp_path / "a.toml"
    path.write_bytes("[ä]".encode("latin-1"))
    with pytest.raises(ValueError, match="a.toml: not TOML .*; write it anew"):
        read_calibration(path)


# ---------------------------------------------------------------- Qualisys


def qualisys(viewrotation=0):
    """The rig in Qualisys' conventions, by its own description: mm, 1/64 px, R transposed, -z."""
    text = ""
    for k, c in enumerate(RIG):
        to_world = (np.diag([1, -1, -1]) @ c.R).T  # columns: the camera's axes in the world
        turn = " ".join(f'r{i + 1}{j + 1}="{to_world[j, i]!r}"' for i in range(3) for j in range(3))
        x, y, z = c.center * 1000
        (fu, fv), (cu, cv), (w, h) = c.focal * 64, c.principal * 64, c.resolution
        text += f"""<camera serial="cam_{k}" model="Miqus Video" viewrotation="{viewrotation}">
          <fov_video left="0" top="0" right="{w - 1}" bottom="{h - 1}"/>
          <transform {turn} x="{x}" y="{y}" z="{z}"/>
          <intrinsic focalLengthU="{fu}" focalLengthV="{fv}" centerPointU="{cu}"
            centerPointV="{cv}" radialDistortion1="{-0.2 * 64}" radialDistortion2="0"
            radialDistortion3="0" tangentalDistortion1="0" tangentalDistortion2="0"/></camera>"""
    text = re.sub(r"np.float64\((.*?)\)", r"\1", text)
    marker = '<camera serial="m1" model="Oqus 300"/>'
    return f"<calibration><cameras>{text}{marker}</cameras></calibration>"


def test_qualisys_projects_as_opencv(tmp_path):
    found = read_calibration(write(tmp_path, qualisys(), "Calib.qca.txt"))
    same(found.cameras, lens=[-0.2, 0, 0, 0, 0])
    assert [c.resolution for c in found.cameras] == [c.resolution for c in RIG]
    assert found.unit == "mm" and found.notes == ("1 cameras for markers are left out",)


def test_a_turned_view_of_qualisys_is_refused(tmp_path):
    with pytest.raises(ValueError, match="camera 'cam0': viewrotation is 90"):
        read_calibration(write(tmp_path, qualisys(90), "Calib.qca.txt"))


# ---------------------------------------------------------------- OpenCV


def storage(path, values):
    file = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for key, value in values.items():
        file.write(key, value)
    file.release()
    return path


@pytest.mark.parametrize("suffix", ["yml", "xml"])
def test_opencv_files_one_a_camera(tmp_path, suffix):
    paths = [
        storage(tmp_path / f"cam{k}.{suffix}", {
            "camera_matrix": c.K, "distortion_coefficients": np.array([LENS]), "R": c.R,
            "T": c.T[:, None], "image_width": c.resolution[0], "image_height": c.resolution[1],
        })
        for k, c in enumerate(RIG)
    ]  # fmt: skip
    found = read_calibration(*paths)
    same(found.cameras)
    assert [c.resolution for c in found.cameras] == [c.resolution for c in RIG]


def test_opencv_files_with_intrinsics_apart(tmp_path):
    inner, outer = {}, {"names": ["01", "02", "03", "04"]}
    for name, c in zip(outer["names"], RIG):
        inner |= {f"K_{name}": c.K, f"dist_{name}": np.array([LENS])}
        outer |= {f"R_{name}": cv2.Rodrigues(c.R)[0], f"Rot_{name}": c.R, f"T_{name}": c.T}
    paths = storage(tmp_path / "intri.yml", inner), storage(tmp_path / "extri.yml", outer)
    found = read_calibration(*paths)
    same(found.cameras)
    assert "no size" in found.notes[0] and found.cameras[0].name == "01"


def test_intrinsics_alone_have_no_pose_and_half_a_pose_is_named(tmp_path):
    inner = {"K": RIG[0].K, "D": np.zeros((1, 5))}
    paths = [storage(tmp_path / f"cam{k}.yml", inner) for k in "01"]
    found = read_calibration(*paths)
    assert not found.posed and not found.cameras[1].center.any()
    storage(paths[0], {**inner, "T": np.zeros((3, 1))})
    with pytest.raises(ValueError, match="camera 'cam0': rotation is missing"):
        read_calibration(*paths)
