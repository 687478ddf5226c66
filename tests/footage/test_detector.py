"""Several people by a detector that knows one, which is played here: it finds the first of some
white bars."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from posebook.footage import detector

BARS = (30, 100, 170)  # pixels from the left
HEIGHT, WIDTH = 120, 220


def network_of_bars():
    def process(picture):
        white = np.flatnonzero((picture == 255).all(-1).any(0))
        if not len(white):
            return SimpleNamespace(pose_landmarks=None)
        y = np.linspace(0.2, 0.8, 33)
        marks = [SimpleNamespace(x=(white[0] + 3 * (k % 2)) / WIDTH, y=y[k], visibility=0.9)
                 for k in range(33)]  # fmt: skip
        return SimpleNamespace(pose_landmarks=SimpleNamespace(landmark=marks))

    return SimpleNamespace(process=process)


@pytest.fixture
def picture(monkeypatch):
    monkeypatch.setattr(detector, "_network", lambda video: nullcontext(network_of_bars()))
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for at in BARS:
        picture[20:100, at : at + 4] = 255
    return picture


@pytest.mark.parametrize("people", [2, 3])
def test_whoever_is_found_is_painted_over_and_the_next_is_looked_for(picture, people):
    before = picture.copy()
    [(joints, confidence)] = detector.detect([picture], people=people)
    assert joints.shape == (people, 33, 2) and (confidence == 0.9).all()
    np.testing.assert_allclose(joints[:, 0, 0], np.array(BARS[:people]) - 0.5)
    np.testing.assert_array_equal(picture, before)


def test_where_fewer_are_there_the_rest_is_nobody(picture):
    [(joints, confidence)] = detector.detect([picture], people=5)
    assert (confidence[:3] == 0.9).all() and not confidence[3:].any()
    assert np.isnan(joints[3:]).all()
