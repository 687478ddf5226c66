"""The pictures of the check: cut to the body, coloured by side, and apart where labels are."""

from dataclasses import replace

import numpy as np
import pytest

from posebook.data.fixtures import views as fixtures_3d
from posebook.data.official import human36m
from posebook.data.official.overlays import SIDE, overlays


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
