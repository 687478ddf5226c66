"""Who is who in one view: paths that cross, gaps, departures, and what is said of them."""

import numpy as np

from posebook.data.recorded.pose2sim import load_pose2sim
from posebook.footage.detections import View
from posebook.footage.tracks import bodies_of, crossings, exchanges, follow, runs
from posebook.geometry.skeleton import H36M

BODY = np.random.default_rng(0).uniform(0, 1, (17, 2)) * [60, 170]


def view_of(*paths, shuffle=True):
    """People of one shape whose corner takes a path (T, 2), NaN where not seen; places shuffled."""
    T, rng = len(paths[0]), np.random.default_rng(1)
    joints = np.stack([BODY + np.asarray(path, float)[:, None] for path in paths], axis=1)
    for t in range(T if shuffle else 0):
        joints[t] = joints[t, rng.permutation(len(paths))]
    return View("v", joints, np.isfinite(joints).all(-1).astype(float), "h36m17")


def at(view, track):
    """Where a track's body is, (T,): its corner's x; NaN where it is not seen."""
    found = view.joints[np.arange(len(view)), np.maximum(track.places, 0), 0, 0] - BODY[0, 0]
    return np.where(track.places >= 0, found, np.nan)


def walk(start, step, T=60, y=0.0):
    return np.stack([start + step * np.arange(T), np.full(T, y)], axis=1)


def test_people_who_cross_go_on_in_their_own_directions():
    view = view_of(walk(0, 8), walk(472, -8, y=5))
    tracks = follow(view, 30.0)
    assert len(tracks) == 2
    for track in tracks:
        assert abs(np.abs(np.diff(at(view, track))) - 8).max() < 1e-6
        assert abs(np.diff(at(view, track), 2)).max() < 1e-6  # nobody turns round
    [said] = crossings(tracks)
    assert said.startswith("people 1 and 2 cover each other in frames 28 to 31: their paths alone")


def test_people_apart_are_not_said_to_cross():
    assert not crossings(follow(view_of(walk(0, 8), walk(0, 8, y=400)), 30.0))


def test_a_short_gap_is_bridged_and_a_long_one_is_a_departure():
    path = walk(0, 4)
    path[20:32] = np.nan
    [one] = follow(view_of(path), 30.0)
    assert one.frames == 48 and (one.places[20:32] == -1).all()
    path[20:52] = np.nan
    first, second = follow(view_of(path), 30.0)
    assert (first.frames, second.frames) == (20, 8)


def test_a_departure_is_a_second_whatever_the_rate():
    path = walk(0, 4)
    path[20:42] = np.nan  # 22 frames
    assert [len(follow(view_of(path), fps)) for fps in (15.0, 30.0)] == [2, 1]


def test_a_gap_makes_nobody_faster():
    """Speed is by frames: who comes back after ten and hides again at once is still expected where
    they are."""
    path = walk(0, 8)
    path[20:30] = path[31:38] = np.nan
    [one] = follow(view_of(path), 30.0)
    assert one.frames == 60 - 17


def test_whose_legs_are_hidden_goes_on():
    """As the man of the recording in frame 37 of its first camera, without his legs."""
    view = view_of(walk(0, 8))
    legs = BODY[:, 1] > 70
    view.joints[20:22, 0, legs], view.confidence[20:22, 0, legs] = np.nan, 0
    view.joints[25, 0, legs & (BODY[:, 0] > 20)] = np.nan
    [one] = follow(view, 30.0)
    assert one.frames == 60 and not legs.all() and (~legs).sum() >= 6
    np.testing.assert_allclose(one.boxes[21], one.boxes[19] + [16, 0, 16, 0])


def test_somebody_far_away_is_somebody_else():
    view = view_of(np.concatenate([walk(0, 1, 30), walk(900, 1, 30)]))
    assert [track.frames for track in follow(view, 30.0)] == [30, 30]


def test_a_few_joints_are_nobody():
    view = view_of(walk(0, 1))
    view.confidence[10:, :, 5:] = 0
    assert np.isnan(bodies_of(view)[10:]).all() and np.isfinite(bodies_of(view)[:10]).all()
    [track] = follow(view, 30.0)
    assert track.frames == 10


def test_a_detector_that_mistakes_left_for_right_is_caught():
    joints = load_pose2sim().joints_2d[:, 2].astype(float)
    assert not len(exchanges(joints))
    joints[20:30] = joints[20:30][:, H36M.flip]
    joints[60, 3] = np.nan
    np.testing.assert_array_equal(exchanges(joints), [20, 30])


def test_frames_in_words():
    assert runs(np.array([3])) == "frame 3"
    assert runs(np.array([3, 4, 5, 9])) == "frames 3 to 5 and 9"
    assert runs(np.arange(0, 40, 2)).endswith("8 and 15 other stretches")
