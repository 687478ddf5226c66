"""Poses taken apart and put together: round trips, rigid bones, hinges that stay hinges."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posebook.data.recorded import body
from posebook.data.recorded.motion import load_motion
from posebook.geometry.skeleton import H36M

HINGES = {name: H36M.index(*joints) for name, joints in {
    "right knee": ("RKnee", "RFoot"), "left knee": ("LKnee", "LFoot"),
    "right elbow": ("RElbow", "RWrist"), "left elbow": ("LElbow", "LWrist"),
}.items()}  # fmt: skip


@pytest.fixture(scope="module")
def poses():
    """All recorded poses, (N, 17, 3), float64."""
    return np.concatenate([clip.joints for clip in load_motion()]).astype(np.float64)


@pytest.fixture(scope="module")
def posture(poses):
    return body.take_apart(poses)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def flexion(posture, hinge):
    """Angle (N,) between the two bones of a hinge; 0 is a straight limb."""
    upper, lower = (posture.directions[:, joint] for joint in HINGES[hinge])
    return np.arccos(np.clip((upper * lower).sum(-1), -1, 1))


def two_sources(posture, rng, n=2000):
    return (posture.take(rng.integers(len(posture.root), size=n)) for _ in range(2))


# ---------------------------------------------------------------- apart and together


def test_round_trip(poses, posture):
    again = body.put_together(posture, body.bone_lengths(poses))
    np.testing.assert_allclose(again, poses, atol=1e-12)


def test_frames_are_rotations_that_follow_the_body(poses):
    turn = Rotation.random(rng=np.random.default_rng(1)).as_matrix()
    for before, after in zip(body.frames_of(poses), body.frames_of(poses @ turn.T), strict=True):
        identity = np.broadcast_to(np.eye(3), before.shape)
        np.testing.assert_allclose(before @ before.swapaxes(1, 2), identity, atol=1e-9)
        np.testing.assert_allclose(np.linalg.det(before), 1)
        np.testing.assert_allclose(after, turn @ before, atol=1e-9)


def test_columns_of_a_frame_are_left_back_up():
    frame = body.body_frame(left=np.array([0, 2.0, 0]), up=np.array([0, 0.3, 1.0]))
    # facing +x, the left side at +y
    np.testing.assert_allclose(frame.T, [[0, 1, 0], [-1, 0, 0], [0, 0, 1]], atol=1e-12)


def test_directions_do_not_depend_on_place_heading_or_size(poses, posture):
    turn = Rotation.from_rotvec([0.3, -0.2, 2.0]).as_matrix()
    other = body.take_apart(1.3 * poses @ turn.T + [1.0, 2.0, 3.0])
    np.testing.assert_allclose(other.directions, posture.directions, atol=1e-9)


def test_other_proportions_keep_every_direction(poses, posture, rng):
    lengths = rng.uniform(0.1, 0.5, 17)
    joints = body.put_together(posture, lengths)
    np.testing.assert_allclose(body.bone_lengths(joints)[:, 1:] - lengths[1:], 0, atol=1e-12)
    np.testing.assert_allclose(joints[:, 0], poses[:, 0])
    for parent, child in H36M.bones:
        before, after = (body.unit(p[:, child] - p[:, parent]) for p in (poses, joints))
        np.testing.assert_allclose(after, before, atol=1e-9)


def test_bone_lengths(poses):
    lengths = body.bone_lengths(poses)
    assert (lengths[:, H36M.root] == 0).all()
    for parent, child in H36M.bones:
        expected = np.linalg.norm(poses[:, child] - poses[:, parent], axis=-1)
        np.testing.assert_allclose(lengths[:, child], expected)


# ---------------------------------------------------------------- limbs of several recordings


def test_a_borrowed_limb_hangs_as_it_did(poses, posture, rng):
    """An arm's joints, seen from the thorax of their own recording and of the new pose."""
    trunk, source = two_sources(posture, rng)
    arm = body.LIMBS["left arm"]
    new = body.recombine(trunk, {"left arm": source})
    lengths = body.bone_lengths(poses[:1])[0]

    def arm_in_thorax(p):
        joints = body.put_together(p, lengths)
        local = joints[:, arm] - joints[:, H36M.index("Thorax")]
        return local @ p.thorax

    np.testing.assert_allclose(arm_in_thorax(new), arm_in_thorax(source), atol=1e-9)
    others = [j for j in range(17) if j not in arm]
    a, b = (body.put_together(p, lengths)[:, others] for p in (new, trunk))
    np.testing.assert_allclose(a, b, atol=1e-12)


def test_a_borrowed_trunk_bends_as_it_did(posture, rng):
    trunk, source = two_sources(posture, rng)
    new = body.recombine(trunk, {"trunk": source})
    bend = source.pelvis.swapaxes(1, 2) @ source.thorax
    np.testing.assert_allclose(new.pelvis.swapaxes(1, 2) @ new.thorax, bend, atol=1e-9)
    np.testing.assert_array_equal(new.pelvis, trunk.pelvis)


# ---------------------------------------------------------------- blends


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_the_ends_of_a_blend_are_its_sources(weight, posture, rng):
    a, b = two_sources(posture, rng)
    mixed = body.blend(a, b, np.full(len(a.root), weight))
    source = b if weight else a
    np.testing.assert_allclose(mixed.directions, source.directions, atol=1e-6)
    bend = source.pelvis.swapaxes(1, 2) @ source.thorax
    np.testing.assert_allclose(mixed.pelvis.swapaxes(1, 2) @ mixed.thorax, bend, atol=1e-9)
    np.testing.assert_array_equal(mixed.pelvis, a.pelvis)
    np.testing.assert_array_equal(mixed.root, a.root)


@pytest.mark.parametrize("hinge", HINGES)
def test_a_blend_never_bends_a_hinge_further_than_its_sources(hinge, posture, rng):
    a, b = two_sources(posture, rng)
    mixed = flexion(body.blend(a, b, rng.uniform(size=len(a.root))), hinge)
    low, high = np.sort([flexion(a, hinge), flexion(b, hinge)], axis=0)
    assert ((mixed > low - 1e-6) & (mixed < high + 1e-6)).all()
    assert high.max() - low.min() > 1, "the recordings bend this hinge"


def test_a_blend_of_a_bent_and_a_straight_limb_bends_half():
    """A leg in the plane x = 0: hanging straight, and with the shin 90 degrees back."""
    poses = np.repeat(load_motion()[0].joints[:1].astype(np.float64), 2, axis=0)
    a, b = (body.take_apart(poses[:1]) for _ in range(2))
    hip, knee, foot = H36M.index("RHip", "RKnee", "RFoot")
    for posture, shin in ((a, [0, 0, -1.0]), (b, [0, 1.0, 0])):
        posture.directions[:, [hip, knee, foot]] = [[-1.0, 0, 0], [0, 0, -1.0], shin]
    mixed = body.blend(a, b, np.array([0.5]))
    np.testing.assert_allclose(mixed.directions[0, foot], [0, np.sqrt(0.5), -np.sqrt(0.5)])


def test_blends_have_rigid_bones(poses, posture, rng):
    a, b = two_sources(posture, rng)
    mixed = body.blend(a, b, rng.uniform(size=len(a.root)))
    lengths = body.bone_lengths(poses[:1])[0]
    found = body.bone_lengths(body.put_together(mixed, lengths))
    np.testing.assert_allclose(found, np.broadcast_to(lengths, found.shape), atol=1e-9)


# ---------------------------------------------------------------- between frames, and mirrored


def test_whole_rows_are_the_recorded_frames(poses, posture):
    rows = np.array([0.0, 5.0, 40.0, len(poses) - 1.0])
    again = body.interpolate(posture, rows)
    joints = body.put_together(again, body.bone_lengths(poses)[rows.astype(int)])
    np.testing.assert_allclose(joints, poses[rows.astype(int)], atol=1e-6)


def test_half_rows_lie_between_their_neighbours(poses, posture):
    rows = np.arange(20) + 0.5  # inside one clip
    lengths = body.bone_lengths(poses[:1])[0]
    between = body.put_together(body.interpolate(posture, rows), lengths)
    middle = (poses[:20] + poses[1:21]) / 2
    assert np.linalg.norm(between - middle, axis=-1).max() < 0.02


def test_mirror_twice_is_the_identity(poses):
    np.testing.assert_array_equal(body.mirror(body.mirror(poses)), poses)


def test_a_mirrored_body_is_a_body(poses):
    mirrored = body.mirror(poses)
    left = [i for i, name in enumerate(H36M.names) if name in ("LHip", "LKnee", "LWrist")]
    np.testing.assert_allclose(
        body.bone_lengths(mirrored)[:, left], body.bone_lengths(poses)[:, H36M.flip[left]]
    )

    # The nose stays in front: a relabelled reflection is no back-to-front body.
    def ahead(joints):
        _, thorax = body.frames_of(joints)
        nose = joints[:, H36M.index("Nose")[0]] - joints[:, H36M.index("Thorax")[0]]
        return -(nose * thorax[:, :, 1]).sum(-1)

    np.testing.assert_allclose(ahead(mirrored), ahead(poses), atol=1e-9)
    assert ahead(poses).mean() > 0.05
