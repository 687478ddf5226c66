"""Maps between joint orders, against tables of indices that were written by hand."""

import itertools

import numpy as np
import pytest

from posebook.data.joint_orders import map_confidence, map_joints, map_take, sources
from posebook.data.records import ViewSequence
from posebook.geometry.camera import Camera
from posebook.geometry.skeleton import H36M, JOINT_SETS, joint_set

# For each joint of the target the indices in the source, of which it is the mean.
BY_HAND = {
    # mmpose's and MotionBERT's way from COCO
    ("coco17", "h36m17"): (
        (11, 12), 12, 14, 16, 11, 13, 15, (5, 6, 11, 12), (5, 6), 0, (1, 2), 5, 7, 9, 6, 8, 10,
    ),
    ("body25", "h36m17"): (8, 9, 10, 11, 12, 13, 14, (1, 8), 1, 0, (15, 16), 5, 6, 7, 2, 3, 4),
    ("body25b", "h36m17"): (
        (11, 12), 12, 14, 16, 11, 13, 15, (5, 6, 11, 12), (5, 6), 0, 18, 5, 7, 9, 6, 8, 10,
    ),
    ("halpe26", "h36m17"): (19, 12, 14, 16, 11, 13, 15, (18, 19), 18, 0, 17, 5, 7, 9, 6, 8, 10),
    ("mediapipe33", "h36m17"): (
        (23, 24), 24, 26, 28, 23, 25, 27, (11, 12, 23, 24), (11, 12), 0, (2, 5), 11, 13, 15, 12,
        14, 16,
    ),
    ("mpii16", "h36m17"): (6, 2, 1, 0, 3, 4, 5, (6, 7), 7, (8, 9), 9, 13, 14, 15, 12, 11, 10),
    ("mpii16", "jhmdb15"): (7, (6, 7), (8, 9), 12, 13, 2, 3, 11, 14, 1, 4, 10, 15, 0, 5),
    ("mpii16", "penn13"): ((8, 9), 12, 13, 11, 14, 10, 15, 2, 3, 1, 4, 0, 5),
    ("h36m17", "jhmdb15"): (8, 7, 9, 14, 11, 1, 4, 15, 12, 2, 5, 16, 13, 3, 6),
    ("h36m17", "penn13"): (9, 14, 11, 15, 12, 16, 13, 1, 4, 2, 5, 3, 6),
    ("body25", "coco17"): (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11),
    ("halpe26", "coco17"): tuple(range(17)),
    ("mediapipe33", "coco17"): (
        0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28,
    ),
    ("halpe26", "body25"): (
        0, 18, 6, 8, 10, 5, 7, 9, 19, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3, 20, 22, 24, 21, 23, 25,
    ),
}  # fmt: skip
IDS = [f"{source} to {target}" for source, target in BY_HAND]


def possible(source, target):
    try:
        return sources(source, target)
    except ValueError:
        return None


PAIRS = [pair for pair in itertools.product(JOINT_SETS, repeat=2) if possible(*pair)]
THERE_AND_BACK = [(source, target) for source, target in PAIRS if (target, source) in PAIRS]


def random_points(name, *shape, dimensions=3, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(500, 100, (*shape, len(joint_set(name)), dimensions))


@pytest.mark.parametrize(("source", "target"), BY_HAND, ids=IDS)
def test_points_and_confidences_are_those_of_the_table_by_hand(source, target):
    points = random_points(source, 4, 2)
    sure = np.random.default_rng(1).random((4, 2, len(joint_set(source))))
    found, how_sure = map_joints(points, source, target), map_confidence(sure, source, target)
    assert found.shape == (4, 2, len(BY_HAND[source, target]), 3)
    for joint, at in enumerate(BY_HAND[source, target]):
        if isinstance(at, int):
            np.testing.assert_array_equal(found[..., joint, :], points[..., at, :])
            np.testing.assert_array_equal(how_sure[..., joint], sure[..., at])
        else:
            middle = sum(points[..., k, :] for k in at) / len(at)
            np.testing.assert_allclose(found[..., joint, :], middle, rtol=1e-12)
            np.testing.assert_array_equal(how_sure[..., joint], sure[..., list(at)].min(axis=-1))


@pytest.mark.parametrize(("source", "target"), BY_HAND, ids=IDS)
def test_what_each_joint_is_made_of_is_stated(source, target):
    stated = list(sources(source, target).items())
    assert tuple(joint for joint, _ in stated) == joint_set(target).names
    for (_, names), at in zip(stated, BY_HAND[source, target], strict=True):
        assert sorted(joint_set(source).index(*names)) == list(np.atleast_1d(at))


@pytest.mark.parametrize(
    ("source", "target", "lacking"),
    [
        ("h36m17", "coco17", "gives no LEye, REye, LEar, REar of 'coco17'"),
        ("coco17", "mpii16", "gives no UpperNeck, HeadTop of 'mpii16'"),
        ("penn13", "h36m17", "gives no Head of 'h36m17'"),
        ("h36m17", "mpii16", "gives no UpperNeck of 'mpii16'"),
    ],
)
def test_what_cannot_be_derived_is_refused_by_name(source, target, lacking):
    with pytest.raises(ValueError, match=f"joint set '{source}' {lacking}"):
        map_joints(random_points(source, 1), source, target)


def test_each_detector_feeds_a_network_that_reads_human36ms_joints():
    feeds = {source for source, target in PAIRS if target == "h36m17"}
    assert feeds == {"h36m17", "mpii16", "coco17", "body25", "body25b", "halpe26", "mediapipe33"}


@pytest.mark.parametrize(("source", "target"), THERE_AND_BACK)
def test_there_and_back_keeps_what_was_only_copied(source, target):
    there, back = sources(source, target), sources(target, source)
    points = random_points(source, 3)
    returned = map_joints(map_joints(points, source, target), target, source)
    copied = [len(names) == 1 and there[names[0]] == (name,) for name, names in back.items()]
    joints = np.flatnonzero(copied)
    assert len(joints) >= 12  # the limbs; all joints of a set that is mapped onto itself
    assert source != target or len(joints) == len(joint_set(source))
    np.testing.assert_array_equal(returned[:, joints], points[:, joints])


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_left_and_right_stay_what_they_are(source, target):
    """The map of the mirrored body is the mirrored map of the body."""
    points = random_points(source, 3)
    first = map_joints(points[:, joint_set(source).flip], source, target)
    last = map_joints(points, source, target)[:, joint_set(target).flip]
    np.testing.assert_allclose(first, last, rtol=1e-12)


# ---------------------------------------------------------------- takes


def take_of(name, T=3):
    cameras = tuple(
        Camera(k, np.eye(3), [x, 0, 0], (1000, 1000), (500, 500), (1000, 1000))
        for k, x in (("left", 0.0), ("right", 1.0))
    )
    J = len(joint_set(name))
    return ViewSequence(
        random_points(name, T, 2, dimensions=2).astype(np.float32),
        np.random.default_rng(1).uniform(0.1, 1, (T, 2, J)).astype(np.float32),
        cameras, "me", "walk", 50.0, "train", joints_3d=random_points(name, T, seed=2),
        occluded=np.zeros((T, 2, J), bool), joint_set=name,
    )  # fmt: skip


def test_a_take_is_mapped_in_all_its_fields():
    take = take_of("coco17")
    take.occluded[0, 0, 11] = True  # the left hip
    found = map_take(take, "h36m17")
    assert found.joint_set == "h36m17" and found.joints_2d.dtype == np.float32
    assert (found.subject, found.action, found.cameras) == ("me", "walk", take.cameras)
    for field, mapped in (("joints_2d", map_joints), ("joints_3d", map_joints),
                          ("confidence", map_confidence)):  # fmt: skip
        expected = mapped(getattr(take, field), "coco17", "h36m17")
        np.testing.assert_array_equal(getattr(found, field), expected)
    hidden = [H36M.names[joint] for joint in np.flatnonzero(found.occluded[0, 0])]
    assert hidden == ["Hip", "LHip", "Spine"] and found.occluded.sum() == 3


def test_what_is_derived_from_a_joint_not_found_is_not_found():
    take = take_of("coco17")
    take.confidence[1, 0, 6] = 0  # the right shoulder
    found = map_take(take, "h36m17")
    absent = [H36M.names[joint] for joint in np.flatnonzero(found.confidence[1, 0] == 0)]
    assert absent == ["Spine", "Thorax", "RShoulder"] and (found.confidence == 0).sum() == 3
    np.testing.assert_array_equal(found.joints_2d[1, 0, H36M.index("Spine", "Thorax")], 0)
    np.testing.assert_array_equal(found.joints_2d[1, 0, 14], take.joints_2d[1, 0, 6])


def test_a_take_without_truth_has_none_afterwards():
    take = take_of("coco17")
    bare = map_take(
        ViewSequence(take.joints_2d, take.confidence, take.cameras, "me", "walk", 50.0, "train",
                     joint_set="coco17"), "h36m17")  # fmt: skip
    assert bare.joints_3d is None and bare.occluded is None


def test_points_of_another_set_are_refused_with_their_shape():
    with pytest.raises(ValueError, match=r"joints of 'body25' have 25 along axis -2, got .*17, 3"):
        map_joints(random_points("coco17", 2), "body25", "h36m17")
    with pytest.raises(ValueError, match="unknown joint set 'coco'; known: body25, body25b, coco"):
        map_joints(random_points("coco17", 2), "coco", "h36m17")
