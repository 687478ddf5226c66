"""Cameras and their files by name, whatever stands around it, and no camera 10 for camera 1."""

import pytest

from posebook.footage.names import matching

TEN = [f"cam{n}" for n in range(1, 11)]


@pytest.mark.parametrize("name", TEN)
@pytest.mark.parametrize("form", ["{}", "{}_json", "walk-{}", "{}_0003", "Int {} img"])
def test_of_ten_cameras_each_has_its_own(name, form):
    assert matching(form.format(name).title(), TEN) == [name]
    assert matching(name, map(form.format, TEN)) == [form.format(name)]


@pytest.mark.parametrize(
    ("name", "others", "found"),
    [
        ("Cam_01", ["cam01", "cam-01-b"], ["cam01"]),
        ("cam", ["cam1", "cam2"], ["cam1", "cam2"]),
        ("1", ["10", "21", "take 1"], ["take 1"]),
        ("front", ["back"], []),
        ("front", ["---"], []),
        ("左", ["左", "右"], ["左"]),
        ("Kamera Ä", ["kamera_ä", "kamera_ö"], ["kamera_ä"]),
    ],
)
def test_the_same_name_comes_first_and_no_name_fits_nothing(name, others, found):
    assert matching(name, others) == found
