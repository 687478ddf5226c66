import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

from posebook.data.fixtures import images as fixtures_2d
from posebook.data.official.overlays import draw_skeleton, sample_of
from posebook.data.official.report import Report
from posebook.geometry.skeleton import PENN
from posebook.palette import LEFT, RIGHT


def has(picture, color):
    return (np.asarray(picture) == np.round(255 * np.array(to_rgb(color)))).all(-1).any()


def drawn(known=None):
    picture = Image.new("RGB", (160, 120), "white")
    draw_skeleton(picture, fixtures_2d.figure(PENN, 0, 1, (120, 160))[0], PENN, known)
    return picture


def test_left_is_blue_and_right_is_orange():
    assert has(drawn(), LEFT) and has(drawn(), RIGHT)


def test_unknown_joints_are_not_drawn():
    right = np.array([not name.startswith("R") for name in PENN.names])
    assert has(drawn(right), LEFT) and not has(drawn(right), RIGHT)
    assert (np.asarray(drawn(np.zeros(13, dtype=bool))) == 255).all()


def test_a_sample_leaves_the_record_as_it_is(tmp_path):
    clip = fixtures_2d.penn_clips(1, 2)[0]
    before = clip.pictures.copy()
    [(title, shown)] = sample_of(clip, 1, "a clip", Report("penn-action", tmp_path))
    assert title == "a clip" and shown.shape == before[1].shape and shown.dtype == np.uint8
    np.testing.assert_array_equal(clip.pictures, before)
    assert (shown != before[1]).any()
