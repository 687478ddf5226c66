"""Drawings hold what they should: the bones, the right colours, equal scales."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

from posebook import palette
from posebook.book import plot
from posebook.experiments import catalogue
from posebook.geometry.skeleton import H36M

matplotlib.use("Agg")
plt = plot.plt


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


@pytest.fixture
def ax3d():
    figure = plt.figure()
    yield figure.add_subplot(projection="3d")
    plt.close(figure)


@pytest.fixture
def joints():
    return np.random.default_rng(0).normal(size=(17, 3))


def color_of(ax, joint):
    bones = [child for _, child in H36M.bones]
    return ax.lines[bones.index(H36M.index(joint)[0])].get_color()


def spans(ax):
    return [np.ptp(limits) for limits in (ax.get_xlim(), ax.get_ylim(), ax.get_zlim())]


def test_a_body_in_space_has_its_bones_and_sides(ax3d, joints):
    plot.plot_pose_3d(ax3d, joints, alpha=0.5)
    assert len(ax3d.lines) == 16
    assert color_of(ax3d, "LWrist") == palette.LEFT and color_of(ax3d, "RFoot") == palette.RIGHT
    assert color_of(ax3d, "Head") == palette.MIDDLE
    assert ax3d.lines[0].get_alpha() == 0.5
    assert ax3d.get_aspect() == "equal"
    np.testing.assert_allclose(max(spans(ax3d)), 1.05 * np.ptp(joints, axis=0).max())


def test_no_side_of_the_space_round_a_flat_body_is_shorter_than_half_the_longest(ax3d, joints):
    plot.plot_pose_3d(ax3d, joints * [1, 1e-3, 0.8])
    x, y, z = spans(ax3d)
    assert y == pytest.approx(max(x, z) / 2) and min(x, z) > 1.2 * y
    plot.plot_pose_3d(ax3d, np.zeros((17, 3)))
    assert min(spans(ax3d)) > 1e-3, "all joints in one place"


def test_camera_poses_are_turned_upright(ax3d):
    joints = np.zeros((17, 3))
    joints[:, 1] = 1.0  # down, in a camera
    joints[:, 2] = 5.0  # away
    plot.plot_pose_3d(ax3d, joints, frame="camera")
    x, depth, up = (values[0] for values in ax3d.lines[0].get_data_3d())
    assert (x, depth, up) == (0, 5, -1)
    with pytest.raises(ValueError, match="frame"):
        plot.plot_pose_3d(ax3d, joints, frame="image")


def test_compared_bodies_share_their_limits(ax3d, joints):
    plot.plot_pose_3d(ax3d, joints, limits=10 * joints)
    np.testing.assert_allclose(max(spans(ax3d)), 10.5 * np.ptp(joints, axis=0).max())


def test_a_body_in_a_picture_stands_upright_and_shows_trust(ax, joints):
    trust = np.linspace(0, 1, 17)
    for _ in range(2):
        plot.plot_pose_2d(ax, joints[:, :2], trust)
    assert ax.yaxis_inverted() and len(ax.lines) == 32
    widths = [line.get_linewidth() for line in ax.lines[:16]]
    assert widths[0] == 0.5 and max(widths) <= 2.0
    alphas = ax.collections[0].get_alpha()
    assert alphas[0] < alphas[-1] == 1


def test_wrong_shapes_are_refused(ax, ax3d, joints):
    with pytest.raises(ValueError, match=r"\(17, 3\), got \(16, 3\)"):
        plot.plot_pose_3d(ax3d, joints[:16])
    with pytest.raises(ValueError, match=r"\(17, 2\), got \(17, 3\)"):
        plot.plot_pose_2d(ax, joints)
    with pytest.raises(ValueError, match="confidence"):
        plot.plot_pose_2d(ax, joints[:, :2], np.ones(16))


def test_seeds_of_a_curve_share_a_colour_and_a_label(ax):
    curves = {"a#0": [[0, 1.0], [10, None]], "a#1": [[0, 2.0]], "b": [[0, 3.0]]}
    plot.plot_curves(ax, curves, ylabel="loss", log=True)
    colors = [line.get_color() for line in ax.lines]
    assert colors[0] == colors[1] != colors[2]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    assert ax.get_yscale() == "log" and np.isnan(ax.lines[0].get_ydata()[1])


def test_the_style_can_be_set():
    with matplotlib.rc_context():
        plot.use_style()
        assert plt.rcParams["axes.prop_cycle"].by_key()["color"][0] == palette.LEFT


def test_every_seed_is_a_dot_and_the_mean_a_bar(ax):
    runs = pd.DataFrame({"variant": ["a", "a", "b"], "mpjpe_mm": [50.0, 54.0, 100.0]})
    plot.plot_seeds(ax, runs, {"first": "a", "second": "b", "absent": "c"}, "mpjpe_mm", log=True)
    bar, dots, *_ = ax.lines
    assert list(bar.get_xdata()) == [52, 52]
    assert list(dots.get_xdata()) == [50, 54] and list(dots.get_ydata()) == [0, 0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["first", "second", "absent"]
    assert ax.get_xscale() == "log" and ax.yaxis_inverted()


@pytest.mark.parametrize(("title", "row", "like"), [
    ("Trans_Reproj", "", "Trans_Reproj"),
    ("Ours", "table-3.1/trans-reproj", "Trans_Reproj"),
    ("Baseline+CF, no imitation", "imitation-4.1/cf-alone", "Baseline+CF"),
    ("Res50-TCE-BC RE", "", "Res50-TCE-BC"),
    ("Trans_Reproj, target weights, root given", "", "Trans_Reproj, target weights"),
    ("Trans_Reproj+DA, label-free", "", "Trans_Reproj+DA, label-free"),
])  # fmt: skip
def test_a_method_has_one_colour(title, row, like):
    assert palette.method_color(title, row) == palette.METHODS[like]
    assert palette.method_color("a choice of ours", "tce-choices/half-width") == palette.OTHER


def test_rows_with_another_title_are_rows_and_their_methods_have_colours():
    assert palette.ROWS.keys() <= catalogue.rows().keys()
    assert set(palette.ROWS.values()) <= palette.METHODS.keys()


def test_figures_take_a_methods_colour_from_the_table(ax):
    runs = pd.DataFrame({"variant": ["a", "b"], "mpjpe_mm": [50.0, 54.0]})
    plot.plot_seeds(ax, runs, {"Baseline": "a", "Baseline+CF": "b"}, "mpjpe_mm")
    plot.plot_curves(ax, {"mine": [[0, 1]], "Baseline+CF#0": [[0, 1]]})
    colors = [line.get_color() for line in ax.lines]
    dark, blue = palette.METHODS["Baseline"], palette.METHODS["Baseline+CF"]
    assert colors == [dark, dark, blue, blue, palette.CYCLE[0], blue]


def test_motion_colors_are_white_at_rest_and_differ_by_direction():
    still = plot.motion_colors(np.zeros((2, 1, 1)), 1.0)
    assert (still == 1).all()
    right, left = (plot.motion_colors(np.array([[[x]], [[0.0]]]), 1.0)[0, 0] for x in (1.0, -1.0))
    np.testing.assert_allclose(right + left, 1)  # opposite ways have complementary colours
    half = plot.motion_colors(np.array([[[0.5]], [[0.0]]]), 1.0)[0, 0]
    np.testing.assert_allclose(half, (right + 1) / 2)
    beyond = plot.motion_colors(np.array([[[7.0]], [[0.0]]]), 1.0)[0, 0]
    np.testing.assert_allclose(beyond, right)


def test_the_key_has_at_its_rim_the_colour_of_each_direction(ax):
    plot.plot_color_wheel(ax, 3.0)
    [image] = ax.images
    disc, middle = image.get_array(), 50
    rim = {(1, 0): (50, 100), (0, 1): (100, 50), (-1, 0): (50, 0), (0, -1): (0, 50)}
    for motion, pixel in rim.items():  # x before y, row before column, y down
        color = plot.motion_colors(np.reshape(motion, (2, 1, 1)), 1.0)[0, 0]
        np.testing.assert_allclose(disc[pixel], color, atol=1e-9)
    assert (disc[middle, middle] == 1).all() and (disc[0, 0] == 1).all(), "at rest, and outside"
    low, high = ax.get_ylim()
    assert low > high and ax.get_title() == "radius 3 cells"


def test_a_photograph_has_two_pixels_for_each_that_is_shown():
    figure, _ = plt.subplots(figsize=(3, 2), dpi=100)
    content, shown = plot.photograph(figure)
    plt.close(figure)
    picture = plot.Image.open(plot.BytesIO(plot.b64decode(content)))
    wide, high = picture.size  # without the empty margin
    assert picture.format == "JPEG" and 560 < wide < 620 and 360 < high < 420
    assert shown == {"width": wide // 2, "height": high // 2}
