"""A camera that shows other instants than the others is found, late or of another rate."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from posebook.data.recorded.pose2sim import load_pose2sim
from posebook.footage.health import examine
from posebook.footage.shifts import _nearest, other_rate, shifts

TAKE = load_pose2sim()


def to_and_fro(length):
    """The man of the recording walks to and fro without end."""
    at = np.resize([*range(99), *range(99, 0, -1)], length)
    return replace(TAKE, joints_2d=TAKE.joints_2d[at], confidence=TAKE.confidence[at])


def showing(take, frames, v=1):
    """The take in which camera v shows these frames."""
    at = np.clip(np.round(frames).astype(int), 0, len(take) - 1)
    joints, confidence = take.joints_2d.copy(), take.confidence.copy()
    joints[:, v], confidence[:, v] = joints[at, v], confidence[at, v]
    return replace(take, joints_2d=joints, confidence=confidence)


@pytest.mark.parametrize(("late", "length"), [(6, 100), (-4, 100), (20, 100), (60, 200)])
def test_a_camera_out_of_step_is_found(late, length):
    take = showing(to_and_fro(length), np.arange(length) - late)
    assert shifts(take).tolist() == [0, late, 0, 0]


def test_what_is_in_step_stays_so():
    assert not shifts(to_and_fro(200)).any() and not shifts(load_pose2sim("shipped")).any()


def test_of_a_step_that_repeats_the_nearest_shift_counts():
    """One step more leaves as little, and by chance less."""
    left = np.array([1, 0.3, 1, 1, 1, 1, 0.9, 0.31, 0.32, 1, 1])  # from -5 to 5
    assert _nearest(left) - 5 == 2
    assert _nearest(np.append(left[:-1], 0.1)) - 5 == 5


def test_a_camera_later_than_the_search_reaches_is_not_nothing():
    text = examine(showing(to_and_fro(120), np.arange(120) - 40)).text()
    assert "camera cam02 is at least 40 frames late" in text
    assert "looked for up to 40 frames to either side" in text


@pytest.mark.parametrize(("mine", "theirs"), [(25, 30), (60, 30)])
def test_a_camera_of_another_rate_is_not_called_late(mine, theirs):
    take = showing(to_and_fro(200), np.arange(200) * theirs / mine)
    rate = Fraction(mine, theirs)
    assert float(other_rate(take, 1)) == pytest.approx(float(rate), rel=0.05)
    found = examine(take)
    mine, theirs = found.rate[1].as_integer_ratio()
    said = f"cam02 fits best if it shows about {mine} frames in the time in which the others "
    assert found.rate[0] == 1 and said in found.text() and "frames late" not in found.text()


def test_a_late_camera_has_no_other_rate():
    late = showing(to_and_fro(200), np.arange(200) - 20)
    assert other_rate(late, 1) is None and other_rate(TAKE, 2) is None


def test_a_misplaced_camera_is_in_doubt_though_no_shift_explains_it():
    """A tenth of the person's size off is no detector."""
    joints = TAKE.joints_2d.copy()
    joints[:, 1] += 100 * np.sin(np.arange(17))[:, None]
    text = examine(replace(TAKE, joints_2d=joints)).text()
    assert "no shift that was looked for explains it" in text
