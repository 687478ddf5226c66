"""The embedded views: repeatable, split without leaks, rigid, exact without noise."""

import sys
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest

from posebook.data.recorded import body, views
from posebook.data.recorded.detector import DETECTORS
from posebook.data.recorded.motion import load_motion
from posebook.data.recorded.rig import human36m_rig
from posebook.data.recorded.views import (
    TEST_SUBJECTS,
    TRAIN_SUBJECTS,
    UNSEEN_ACTIONS,
    ViewsSize,
    make_views,
)
from posebook.geometry.skeleton import H36M

SIZE = ViewsSize(takes=2, frames=10, test_takes=2)
SMALL = ViewsSize(takes=1, frames=5, test_takes=1)
small = cache(partial(make_views, SMALL))


@pytest.fixture(scope="module")
def made():
    """Training and test takes of the default split, full noise."""
    return make_views(SIZE)


@pytest.fixture(scope="module")
def exact():
    return make_views(SIZE, noise="none")


def bits(sequences) -> list[bytes]:
    return [
        b"".join(
            np.ascontiguousarray(a).tobytes() for a in (s.joints_2d, s.confidence, s.joints_3d)
        )
        for s in sequences
    ]


def errors(sequences) -> np.ndarray:
    """Pixels between detections and true projections, of all joints of all takes."""
    found = [
        np.linalg.norm(s.joints_2d[:, v] - c.project(s.joints_3d.astype(np.float64)), axis=-1)
        for s in sequences
        for v, c in enumerate(s.cameras)
    ]
    return np.concatenate(found)


# ---------------------------------------------------------------- what is made


def test_everybody_does_everything(made):
    train, test = made
    actions = {clip.name for clip in load_motion()}
    for subjects, sequences, takes in ((TRAIN_SUBJECTS, train, 2), (TEST_SUBJECTS, test, 2)):
        assert len(sequences) == len(subjects) * len(actions) * takes
        assert {(s.subject, s.action) for s in sequences} == {
            (subject, action) for subject in subjects for action in actions
        }
    assert {s.split for s in train} == {"train"} and {s.split for s in test} == {"test"}
    assert {len(s) for s in train} == {SIZE.frames}
    assert all(s.cameras is human36m_rig(s.subject) for s in (*train, *test))


def test_the_second_split_has_unseen_actions():
    train, test = small(split="actions", noise="none")
    assert {s.action for s in test} == set(UNSEEN_ACTIONS)
    assert {s.action for s in train} == {c.name for c in load_motion()} - set(UNSEEN_ACTIONS)
    whole = {clip.name: len(clip) for clip in load_motion()}
    assert all(len(s) == whole[s.action] for s in test)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(split="subject"), "unknown split 'subject'; known: subjects, actions"),
        (dict(noise="loud"), "unknown noise 'loud'; known: full, uniform, strong-occlusion, none"),
    ],
)
def test_an_unknown_choice_is_answered_with_the_known_ones(arguments, message):
    with pytest.raises(ValueError, match=f"embedded views: {message}"):
        make_views(SIZE, **arguments)


# ---------------------------------------------------------------- repeatable


def test_the_same_arguments_give_the_same_bits():
    first, again = small(), make_views(SMALL)
    assert bits(again[0]) == bits(first[0]) and bits(again[1]) == bits(first[1])


def test_another_seed_gives_other_takes():
    first, other = small(), make_views(SMALL, seed=1)
    assert not set(bits(other[0])) & set(bits(first[0]))
    assert not set(bits(other[1])) & set(bits(first[1]))


def test_noise_does_not_change_the_bodies(made, exact):
    """So that variants of the detector are compared on the same people."""
    for noisy, clean in zip(made[1], exact[1], strict=True):
        np.testing.assert_array_equal(noisy.joints_3d, clean.joints_3d)


def test_the_test_set_does_not_depend_on_the_size_of_the_training_set(made):
    """Take by take: the smaller set's only test takes are the first ones of the larger set."""
    _, test = small()
    assert bits(test) == bits(made[1][::2])


# ---------------------------------------------------------------- no leaks


def stretches(split):
    """Rows of the clips, put end to end, that training and the test may use."""
    train, test = views._stretches(load_motion(), split)
    rows = [set().union(*(range(s.first, s.last + 1) for s in part)) for part in (train, test)]
    return rows


@pytest.mark.parametrize("split", views.SPLITS)
def test_training_and_test_share_no_frame(split):
    train, test = stretches(split)
    assert train and test and not train & test
    if split == "subjects":  # nor neighbouring ones, which look the same
        assert min(min(abs(a - b) for b in train) for a in (min(test), max(test))) >= 3


def jumbled(rows):
    """The clips with the given rows put into another order: other motion, the same bones."""
    clips, start = [], 0
    for clip in load_motion():
        own = np.array([r - start for r in rows if start <= r < start + len(clip)], dtype=int)
        joints = clip.joints.copy()
        joints[own] = joints[own[::-1]]
        clips.append(replace(clip, joints=joints))
        start += len(clip)
    return tuple(clips)


@pytest.mark.parametrize("split", views.SPLITS)
@pytest.mark.parametrize("kept", ["train", "test"])
def test_what_one_side_does_not_touch_cannot_change_it(kept, split, monkeypatch):
    """Jumble all frames of the test: no bit of training changes, and the other way round."""
    before = small(split=split, noise="none")
    train_rows, test_rows = stretches(split)
    other = jumbled(test_rows if kept == "train" else train_rows)
    monkeypatch.setattr(views, "load_motion", lambda: other)
    after = make_views(SMALL, split, noise="none")
    same, changed = (0, 1) if kept == "train" else (1, 0)
    assert bits(after[same]) == bits(before[same])
    assert bits(after[changed]) != bits(before[changed])


def test_test_takes_are_recorded_motion_as_it_is():
    """Joint angles of a test take are those of the clip, frame by frame."""
    _, test = small(split="subjects", noise="none")
    (take,) = (s for s in test if (s.subject, s.action) == ("S9", "kick"))
    (clip,) = (c for c in load_motion() if c.name == "kick")
    first = int(0.35 * len(clip))
    recorded = body.take_apart(clip.joints[first : first + len(take)].astype(np.float64))
    worn = body.take_apart(take.joints_3d.astype(np.float64))
    np.testing.assert_allclose(worn.directions, recorded.directions, atol=1e-4)


# ---------------------------------------------------------------- bodies


def test_bones_are_rigid_in_every_take(made):
    for sequence in (*made[0], *made[1]):
        lengths = body.bone_lengths(sequence.joints_3d.astype(np.float64))
        assert np.ptp(lengths, axis=0).max() < 1e-5


def test_bodies_differ_between_subjects_and_are_the_same_in_all_their_takes(made):
    people = {}
    for sequence in (*made[0], *made[1]):
        lengths = body.bone_lengths(sequence.joints_3d[0].astype(np.float64))
        assert np.allclose(people.setdefault(sequence.subject, lengths), lengths, atol=5e-5)
    assert len(people) == 7
    table = np.stack(list(people.values()))[:, 1:]
    between = np.abs(table[:, None] / table[None] - 1).mean(-1) + np.eye(7)
    assert between.min() > 0.01, "two people have the same body"
    assert 0.02 < (table.std(0) / table.mean(0)).mean() < 0.12, "the spread among adults"


def test_bodies_are_symmetric(made):
    for sequence in made[1][:: len(made[1]) // 4]:
        lengths = body.bone_lengths(sequence.joints_3d[0].astype(np.float64))
        np.testing.assert_allclose(lengths, lengths[H36M.flip], atol=5e-5)


def test_everybody_stands_on_the_floor_and_in_the_picture(exact):
    inside = []
    for sequence in (*exact[0], *exact[1]):
        assert sequence.joints_3d[..., 2].min() == pytest.approx(0.05, abs=1e-4)
        for v, camera in enumerate(sequence.cameras):
            depth = camera.to_camera(sequence.joints_3d.astype(np.float64))[..., 2]
            assert depth.min() > 1.5, "nobody comes near the pole of equation 3.1"
            pixels = sequence.joints_2d[:, v]
            inside.append(((pixels > 0) & (pixels < 1000)).all(-1).mean())
    assert np.mean(inside) > 0.97


def test_people_face_all_ways(exact):
    heading = []
    for sequence in (*exact[0], *exact[1]):
        across = sequence.joints_3d[0, H36M.index("LHip")[0]] - sequence.joints_3d[0, 0]
        heading.append(np.arctan2(across[1], across[0]))
    quarter = np.bincount(((np.array(heading) + np.pi) // (np.pi / 2)).astype(int).clip(0, 3))
    assert quarter.min() > 0.15 * len(heading)


# ---------------------------------------------------------------- what the detector sees


def test_without_noise_the_cameras_see_exactly_the_truth(exact):
    for part in exact:
        assert errors(part).max() < 1e-3  # joints are kept as float32
        assert all((s.confidence == 1).all() for s in part)


@pytest.mark.parametrize("part", [0, 1], ids=["train", "test"])
def test_the_median_error_is_that_of_a_good_detector(part, made):
    assert 4 < np.median(errors(made[part])) < 6


def test_uniform_noise_has_the_same_median_and_no_hard_joints(made):
    uniform, full = errors(small(noise="uniform")[1]), errors(made[1])
    assert np.median(uniform) == pytest.approx(np.median(full), rel=0.15)
    assert np.quantile(uniform, 0.99) < 0.5 * np.quantile(full, 0.99)


@pytest.mark.parametrize("noise", ["full", "strong-occlusion"])
def test_hidden_joints_are_worse_and_the_detector_knows(noise):
    _, test = small(noise=noise)
    hidden = np.concatenate([s.occluded.ravel() for s in test])
    sure = np.concatenate([s.confidence.ravel() for s in test])
    wrong = np.concatenate([np.moveaxis(e, 0, 1).ravel() for e in _by_take(test)])
    assert 0.03 < hidden.mean() < 0.35
    assert sure[hidden].mean() < sure[~hidden].mean() - 0.2
    gain = DETECTORS[noise].occlusion_gain
    assert np.median(wrong[hidden]) == pytest.approx(gain * np.median(wrong[~hidden]), rel=0.25)


def _by_take(sequences):
    """Errors (V, T, J) of each take."""
    for s in sequences:
        truth = np.stack([c.project(s.joints_3d.astype(np.float64)) for c in s.cameras])
        yield np.linalg.norm(np.moveaxis(s.joints_2d, 1, 0) - truth, axis=-1)


# ---------------------------------------------------------------- time


def test_nothing_is_done_a_frame():
    """As many calls for takes of forty frames as for takes of ten."""

    def calls(frames):
        entered = []

        def note(frame, event, _):
            if event == "call" and "posebook" in frame.f_code.co_filename:
                entered.append(frame.f_code.co_name)

        sys.setprofile(note)
        try:
            make_views(ViewsSize(takes=1, frames=frames, test_takes=1))
        finally:
            sys.setprofile(None)
        return len(entered)

    assert calls(10) == calls(40) > 0


def test_in_a_studio_people_face_two_opposite_ways():
    """Two of eight sectors hold most frames, the two at right angles to them nearly none."""
    train, test = make_views(ViewsSize(4, 12), noise="none", headings="studio")
    for part, least in ((train, 0.8), (test, 0.6)):
        joints = np.concatenate([s.joints_3d for s in part])
        right, left, _ = np.moveaxis(joints[:, [1, 4, 0]], 1, 0)
        front = np.cross(left - right, [0.0, 0.0, 1.0])
        sector = np.round(np.arctan2(front[:, 1], front[:, 0]) / (np.pi / 4)).astype(int) % 8
        share = np.bincount(sector, minlength=8) / len(sector)
        assert share[0] + share[4] > least and min(share[0], share[4]) > 0.25
        assert share[2] + share[6] < 0.15


def test_unknown_headings_are_refused():
    with pytest.raises(ValueError, match="unknown headings 'north'; known: all, studio"):
        make_views(ViewsSize(1, 12, 1), headings="north")
