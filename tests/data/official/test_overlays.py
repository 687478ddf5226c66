"""The pictures of the check: cut to the body, coloured by side, and apart where labels are."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from posebook.data.fixtures import images as fixtures_2d
from posebook.data.fixtures import views as fixtures_3d
from posebook.data.official import human36m
from posebook.data.official.overlays import SIDE, draw_skeleton, overlays, sample_of
from posebook.data.official.report import Report
from posebook.geometry.skeleton import PENN
from posebook.palette import LEFT, RIGHT


@pytest.fixture(scope="module")
def sequence(tmp_path_factory):
    folder = tmp_path_factory.mktemp("human36m")
    fixtures_3d.write_human36m(folder, frames=1)
    return next(human36m.videopose3d_takes(folder, "gt"))


def drawn(picture):
    """Rows and columns (4,) between which something is drawn: first and last of each."""
    rows, columns = np.nonzero((picture != 255).any(axis=-1))
    return np.array([rows.min(), rows.max(), columns.min(), columns.max()])


def test_a_picture_a_view_that_the_body_fills(sequence):
    samples = overlays(sequence, "gt ")
    assert [title.split("\n")[0] for title, _ in samples] == ["gt S1 Directions"] * 4
    for _, picture in samples:
        assert picture.shape == (SIDE, SIDE, 3) and picture.dtype == np.uint8
        first_row, last_row, first, last = drawn(picture)
        assert 0.8 * SIDE < max(last_row - first_row, last - first) < SIDE


def test_two_bodies_where_labels_do_not_fit(sequence):
    moved = replace(sequence, joints_2d=sequence.joints_2d + np.float32([300, 0]))
    for (_, fits), (_, apart) in zip(overlays(sequence, ""), overlays(moved, "")):
        assert drawn(apart)[3] - drawn(apart)[2] > drawn(fits)[3] - drawn(fits)[2]


def has(picture, color):
    return (np.asarray(picture) == np.round(255 * np.array(to_rgb(color)))).all(-1).any()


def skeleton(known=None):
    picture = Image.new("RGB", (160, 120), "white")
    draw_skeleton(picture, fixtures_2d.figure(PENN, 0, 1, (120, 160))[0], PENN, known)
    return picture


def test_left_is_blue_and_right_is_orange():
    assert has(skeleton(), LEFT) and has(skeleton(), RIGHT)


def test_unknown_joints_are_not_drawn():
    right = np.array([not name.startswith("R") for name in PENN.names])
    assert has(skeleton(right), LEFT) and not has(skeleton(right), RIGHT)
    assert (np.asarray(skeleton(np.zeros(13, dtype=bool))) == 255).all()


def test_a_sample_leaves_the_record_as_it_is(tmp_path):
    clip = fixtures_2d.penn_clips(1, 2)[0]
    before = clip.pictures.copy()
    [(title, shown)] = sample_of(clip, 1, "a clip", Report("penn-action", tmp_path))
    assert title == "a clip" and shown.shape == before[1].shape and shown.dtype == np.uint8
    np.testing.assert_array_equal(clip.pictures, before)
    assert (shown != before[1]).any()
