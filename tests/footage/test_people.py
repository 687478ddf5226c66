"""People are told apart across views by their rays, and a bystander is named and left out."""

import numpy as np
import pytest

from posebook.data.recorded.pose2sim import load_pose2sim
from posebook.data.recorded.rig import human36m_rig
from posebook.data.virtual import triangulated
from posebook.footage.detections import View
from posebook.footage.people import find_people, left_out, take_of, unconfirmed

RIG = human36m_rig("S1")
T = 12


@pytest.fixture(scope="module")
def bodies():
    """Two people a metre apart who walk past each other: (2, T, 17, 3)."""
    take = load_pose2sim()
    body = triangulated(take, weighted=True)[: 3 * T : 3]
    body = np.where(np.isnan(body), np.nanmedian(body, axis=1, keepdims=True), body)
    body = body - body[:1, :1] + [0, 0, 0.9]
    step = np.linspace(-0.6, 0.6, T)[:, None, None] * np.array([1.0, 0, 0])
    return np.stack([body + step, body[::-1] - step + [0, 1.0, 0]])


def views_of(bodies, order):
    """What the rig sees; `order` (V, T, 2) is who stands in which place of each view."""
    rng = np.random.default_rng(0)
    found = []
    for v, camera in enumerate(RIG):
        pixels = camera.project(bodies) + rng.normal(0, 3, (*bodies.shape[:3], 2))
        joints = np.stack([[pixels[who, t] for who in order[v, t]] for t in range(T)])
        found.append(View(camera.name, joints, np.ones(joints.shape[:3]), "h36m17"))
    return found


def test_two_who_cross_are_followed_whatever_their_order(bodies):
    rng = np.random.default_rng(1)
    order = rng.permuted(np.tile([0, 1], (4, T, 1)), axis=-1)
    people = find_people(RIG, views_of(bodies, order))
    assert len(people) == 2
    for person in people:
        who = np.take_along_axis(order, person.places.T[..., None], axis=-1)[..., 0]
        assert (person.places >= 0).all() and len(np.unique(who)) == 1


def test_two_who_run_past_each_other_are_followed_by_where_they_would_be(bodies):
    """A step is three times as long as they are apart, so the nearest body is the other's."""
    step = np.linspace(-2.4, 2.4, T)[:, None, None] * np.array([1.0, 0, 0])
    still = bodies[0, :1]
    runners = np.stack([still + step, still - step + [0, 0.15, 0]])
    order = np.tile([0, 1], (4, T, 1))
    people = find_people(RIG, views_of(runners, order))
    assert [person.frames for person in people] == [T, T]
    for person in people:
        assert (person.places == person.places[0, 0]).all()


def test_a_bystander_of_one_camera_is_named_and_left_out(bodies):
    views = views_of(bodies, np.tile([0, 1], (4, T, 1)))
    for view in views[1:]:
        view.confidence[:, 1] = 0
    views[2].confidence[3:5] = 0  # and nobody is in two frames of another
    views[0].confidence[:2, 0] = 0  # in two the first camera sees the bystander alone
    people = find_people(RIG, views)
    assert len(people) == 1 and people[0].frames == T
    assert not unconfirmed(people[0], views)  # there is somebody else
    said = left_out(people[0], people, views)
    assert said == [f"camera {RIG[0].name}: somebody whom no other camera confirms is left out in "
                    "12 frames"]  # fmt: skip
    take = take_of(people[0], RIG, views, 50, "here")
    assert (take.confidence[:, 2].any(-1) == ~np.isin(np.arange(T), (3, 4))).all()
    assert (take.confidence[:, 0].any(-1) == ~np.isin(np.arange(T), (0, 1))).all()
    np.testing.assert_allclose(take.joints_2d[2:, 0], views[0].joints[2:, 0], rtol=1e-5)
