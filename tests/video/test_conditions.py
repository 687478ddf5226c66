"""Where chapter 2's errors are: classes of joints, their means and gains, protocols."""

from dataclasses import replace

import numpy as np
import pytest

from posebook import video
from posebook.data.rendered import clips as embedded_video
from posebook.experiments.catalogue import settings
from posebook.video import conditions, measures
from posebook.video.conditions import EDGES


@pytest.fixture(scope="module")
def frames():
    return video.prepare.clips(*settings("video", "smoke", "res50"))[1]


def test_frames_away_counts_to_the_nearest_frame_in_which_a_joint_is_seen():
    seen = np.array([[1, 0, 0], [0, 0, 0], [0, 0, 1], [1, 0, 0]], bool)
    expected = [[0, 4, 2], [1, 4, 1], [1, 4, 0], [0, 4, 1]]
    assert conditions.frames_away(seen).tolist() == expected


def test_the_error_near_is_that_of_hidden_joints_which_the_window_shows(frames):
    away = conditions.conditions(frames)["away"]
    near, far = (away > 0) & (away < 4), away == 4  # classes of 1 to 6 frames, and of 7 and more
    assert near.any()
    for moved, expected in ((near, 5.0), (far, 0.0), (away == 0, 0.0)):
        wrong = frames.joints.numpy() + 5.0 * moved[..., None] * [0.6, 0.8]
        found = conditions.error_near(wrong, frames)["mean_error_px_near"]
        assert found == pytest.approx(expected, abs=1e-4)


def test_the_last_frame_of_the_window_is_near(frames):
    away = np.concatenate([
        conditions.frames_away((frames.visible & frames.annotated)[frames.of_clip(k)].numpy())
        for k in range(len(frames.records))
    ])  # fmt: skip
    edge = (away == 2) & frames.annotated.numpy()
    wrong = frames.joints.numpy() + 5.0 * edge[..., None] * [0.6, 0.8]
    within, beyond = (conditions.error_near(wrong, frames, N) for N in (2, 1))
    assert within["mean_error_px_near"] > 0.5 and beyond["mean_error_px_near"] < 1e-4


def test_classes_begin_at_their_edges():
    found = conditions.classes_of(np.array([0, 0.4, 0.5, 3.9, 100]), (0, 0.5, 1, 4))
    assert found.tolist() == [0, 0, 1, 2, 3]


def test_every_counted_joint_is_in_one_class_of_hiding_and_every_visible_one_in_blur(frames):
    found = conditions.conditions(frames)
    visible = (frames.visible & frames.annotated).numpy()
    assert ((found["away"] >= 0) == frames.annotated.numpy()).all()
    assert ((found["away"] == 0) == visible).all()
    assert ((found["cover"] >= 0) == frames.annotated.numpy()).all()
    assert ((found["cover"] == 0) == visible).all()
    behind = np.concatenate([embedded_video.truth(clip).covered for clip in frames.records])
    assert behind.any() and (found["cover"] == 2).sum() == (behind & frames.annotated.numpy()).sum()
    for name in ("blur", "speed"):
        assert ((found[name] >= 0) == visible).all()
        assert found[name].max() < len(EDGES[name])


def test_sums_by_clip_and_class():
    error = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    classes = np.array([[0, 1], [1, 1], [-1, 0]])
    sums = conditions.by_class(error, classes, 2, np.array([0, 0, 1]))
    assert sums.tolist() == [[[1, 1], [9, 3]], [[6, 1], [0, 0]]]


def test_gain_of_clips_that_all_gain_the_same_has_no_width():
    single = np.stack([np.full((5, 2), 30.0), np.full((5, 2), 10.0)], axis=-1)
    other = single - [[[20.0, 0.0]]]
    np.testing.assert_allclose(conditions.mean_gain(single, other), 2.0)


def test_interval_of_a_gain_holds_its_mean_and_grows_with_the_spread_of_clips():
    random = np.random.default_rng(0)
    number = np.full((40, 1), 10.0)
    widths = []
    for spread in (1.0, 3.0):
        other = np.stack([random.normal(0, 10 * spread, (40, 1)), number], axis=-1)
        single = np.stack([np.full((40, 1), 20.0), number], axis=-1)
        [[mean, low, high]] = conditions.mean_gain(single, other)
        assert low < mean < high
        widths.append(high - low)
    expected = 2 * 1.96 / np.sqrt(40)
    assert widths[0] == pytest.approx(expected, rel=0.3) and widths[1] > 2 * widths[0]


def test_error_and_gain_of_shifted_joints_are_the_shifts(frames):
    single, other = (frames.joints.numpy() + np.array([off, 0], np.float32) for off in (8.0, 6.0))
    for joints, off in ((single, 8), (other, 6)):
        metrics = conditions.errors_by_condition(joints, single, frames)
        joints = sum(n for name, n in metrics.items() if name.startswith("joints_away"))
        assert joints == int(frames.annotated.sum())
        for name, value in metrics.items():
            if name.startswith("error_px"):
                assert value == pytest.approx(off, abs=1e-3)
            if name.startswith("gain"):
                assert value == pytest.approx(8 - off, abs=1e-3)


# ---------------------------------------------------------------- protocols


def test_protocols_of_perfect_joints_differ_by_what_nobody_annotated(frames):
    annotated = frames.annotated.clone()
    annotated[:, frames.joint_set.names.index("LWrist")] = False
    part = replace(frames, annotated=annotated)
    found = conditions.by_protocol(frames.joints.numpy(), part)
    assert found["pck_0.2_micro_visible"] == found["pck_0.2_micro_annotated"] == 100
    assert found["pck_0.2_micro_all"] == pytest.approx(100 * annotated.float().mean().item())
    lost = found["pck_0.2_mean13_annotated"] - found["pck_0.2_mean13_all"]
    assert lost == pytest.approx(100 / 13, abs=2)


def test_only_what_is_hidden_separates_visible_from_annotated(frames):
    joints = frames.joints.numpy().copy()
    joints[~frames.visible.numpy()] += 1000
    found = conditions.by_protocol(joints, frames)
    assert found["pck_0.2_mean13_visible"] == 100 > found["pck_0.2_mean13_annotated"]


def test_a_joint_without_a_place_is_neither_visible_nor_hidden(frames):
    annotated = frames.annotated.clone()
    lost = (~frames.visible).nonzero()[0]
    annotated[tuple(lost)] = False
    masks = measures.masks(replace(frames, annotated=annotated))
    assert not masks["_hidden"][tuple(lost)] and not masks["_visible"][tuple(lost)]
    assert ((masks["_hidden"] | masks["_visible"]) == annotated.numpy()).all()
