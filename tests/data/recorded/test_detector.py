"""The detector model: what hides a joint, how errors are distributed, what swaps look like."""

import numpy as np
import pytest

from posebook.data.recorded.detector import (
    DETECTORS,
    DIFFICULTY,
    Detector,
    _persistent,
    detect,
    occlusion,
)
from posebook.data.recorded.motion import load_motion
from posebook.data.recorded.rig import human36m_rig
from posebook.geometry.skeleton import H36M

J = len(H36M)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def standing() -> np.ndarray:
    """A recorded body, 4 m in front of a camera and facing it: (1, 17, 3), camera frame."""
    joints = load_motion()[-1].joints[0].astype(np.float64)
    joints = joints - joints[H36M.root]
    # forward +x, left +y, up +z  ->  towards the camera, to its right, up
    body = np.stack([joints[:, 1], -joints[:, 2], -joints[:, 0]], axis=-1)
    return body[None] + [0, 0, 4.0]


def hidden(points: np.ndarray) -> np.ndarray:
    return occlusion(points, points[..., :2] / points[..., 2:])


def with_wrist(beside: float, behind: float) -> np.ndarray:
    """The body with its right wrist that far beside and behind the chest, along the rays."""
    points = standing()
    wrist, chest = H36M.index("RWrist", "Spine")
    points[0, wrist] = points[0, chest] * (1 + behind / points[0, chest, 2]) + [beside, 0, 0]
    return points


# ---------------------------------------------------------------- occlusion


@pytest.mark.parametrize(
    ("beside", "behind", "expected"),
    [
        (0.0, 0.35, True),
        (0.0, 1.0, True),
        (0.05, 0.35, True),
        (0.0, -0.35, False),  # in front of the chest
        (0.0, 0.05, False),  # inside it: the trunk is 26 cm thick
        (0.6, 0.35, False),  # beside it
    ],
)
def test_a_wrist_behind_the_trunk_is_hidden(beside, behind, expected):
    assert hidden(with_wrist(beside, behind))[0, H36M.index("RWrist")[0]] == expected


def test_a_wrist_in_front_hides_the_chest_only_where_it_is():
    """The forearm, 4 cm thin, crosses the line of sight to the spine joint."""
    points = with_wrist(0.0, -0.35)
    spine, thorax = H36M.index("Spine", "Thorax")
    assert hidden(points)[0, spine] and not hidden(points)[0, thorax]


def test_a_bone_does_not_hide_its_own_ends():
    """A head alone, seen along the line from nose to crown."""
    points = np.tile([5.0, 0.0, 4.0], (1, J, 1))  # everything else is far to the side
    nose, head, wrist = H36M.index("Nose", "Head", "RWrist")
    points[0, nose], points[0, head] = [0, 0, 4.0], [0, 0, 4.3]
    assert not hidden(points)[0, [nose, head]].any()
    points[0, wrist] = points[0, head]
    assert hidden(points)[0, wrist], "another joint in the same place is behind the face"


def test_from_behind_the_other_things_are_hidden():
    """A hand held before the belly: seen by who stands in front, hidden from behind."""
    points = with_wrist(0.0, -0.25)
    around = points.copy()
    around[..., 2] = 8.0 - points[..., 2]
    around[..., 0] = -points[..., 0]
    wrist = H36M.index("RWrist")[0]
    assert not hidden(points)[0, wrist] and hidden(around)[0, wrist]


def test_chunks_change_nothing():
    camera = human36m_rig("S1")[0]
    points = camera.to_camera(load_motion()[0].joints.astype(np.float64))
    rays = points[..., :2] / points[..., 2:]
    np.testing.assert_array_equal(occlusion(points, rays, chunk=7), occlusion(points, rays))


# ---------------------------------------------------------------- errors and confidences


def test_no_detector_tells_the_truth(rng):
    pixels = rng.uniform(0, 1000, (5, J, 2))
    seen, confidence = detect(pixels, rng.random((5, J)) < 0.5, None, rng)
    np.testing.assert_array_equal(seen, pixels.astype(np.float32))
    assert (confidence == 1).all()


def test_errors_have_the_stated_size(rng):
    """Without spread or swaps, sigma times a joint's difficulty, three times that where hidden."""
    detector = Detector(sigma=2.0, occlusion_gain=3.0, spread=0.0, swap_rate=0.0)
    pixels = np.zeros((20, 2000, J, 2))
    is_hidden = np.zeros(pixels.shape[:-1], dtype=bool)
    is_hidden[10:] = True
    seen, _ = detect(pixels, is_hidden, detector, rng)
    np.testing.assert_allclose(seen[:10].std(axis=(0, 1, 3)), 2 * DIFFICULTY, rtol=0.05)
    np.testing.assert_allclose(seen[10:].std(axis=(0, 1, 3)), 6 * DIFFICULTY, rtol=0.05)
    assert abs(seen.mean()) < 0.05


def test_errors_last_for_some_frames(rng):
    noise = _persistent((50, 3000, J, 2), 0.8, rng)
    assert noise.std() == pytest.approx(1, abs=0.02)
    assert noise[:, 0].std() == pytest.approx(1, abs=0.05), "the first frame is like all others"
    for lag in (1, 3):
        correlation = (noise[:, lag:] * noise[:, :-lag]).mean()
        assert correlation == pytest.approx(0.8**lag, abs=0.03)
    between_joints = (noise[:, :, 0] * noise[:, :, 1]).mean()
    assert abs(between_joints) < 0.02


def test_persistence_runs_along_time_for_scores_too(rng):
    noise = _persistent((200, 500, J), 0.9, rng)
    assert (noise[:, 1:] * noise[:, :-1]).mean() == pytest.approx(0.9, abs=0.03)
    assert abs((noise[1:] * noise[:-1]).mean()) < 0.03


def test_confidence_falls_with_the_error(rng):
    pixels, is_hidden = np.zeros((4, 5000, J, 2)), np.zeros((4, 5000, J), dtype=bool)
    is_hidden[2:] = True
    seen, confidence = detect(pixels, is_hidden, DETECTORS["full"], rng)
    assert confidence.min() >= 0 and confidence.max() <= 1
    assert confidence[2:].mean() < confidence[:2].mean() - 0.2
    error = np.linalg.norm(seen, axis=-1)
    sure, unsure = error[confidence > 0.9], error[confidence < 0.5]
    assert np.median(unsure) > 2 * np.median(sure)


def test_a_swap_exchanges_whole_limbs_and_costs_confidence(rng):
    """With no noise at all, an arm is either where it is or where its mirror is."""
    detector = Detector(sigma=0.0, spread=0.0, swap_rate=0.2)
    pixels = rng.uniform(0, 1000, (3000, J, 2))
    seen, confidence = detect(pixels, np.zeros((3000, J), dtype=bool), detector, rng)
    truth = pixels.astype(np.float32)
    limbs = (("LElbow", "LWrist", "RElbow", "RWrist"), ("LHip", "LFoot", "RKnee", "RFoot"))
    for limb in limbs:
        joints = H36M.index(*limb)
        right = (seen[:, joints] == truth[:, joints]).all(axis=(1, 2))
        swapped = (seen[:, joints] == truth[:, H36M.flip[joints]]).all(axis=(1, 2))
        assert (right ^ swapped).all()
        assert swapped.mean() == pytest.approx(0.2, abs=0.05)
        assert confidence[swapped][:, joints].max() < confidence[right][:, joints].min()
    middle = H36M.index("Hip", "Spine", "Thorax", "Nose", "Head", "LShoulder", "RShoulder")
    np.testing.assert_array_equal(seen[:, middle], truth[:, middle])


def test_the_truth_is_left_alone(rng):
    pixels = rng.uniform(0, 1000, (50, J, 2))
    before = pixels.copy()
    detect(pixels, np.zeros((50, J), dtype=bool), Detector(swap_rate=0.5), rng)
    np.testing.assert_array_equal(pixels, before)


def test_the_same_source_of_randomness_gives_the_same_bits():
    pixels, is_hidden = np.zeros((50, J, 2)), np.zeros((50, J), dtype=bool)
    a, b = (detect(pixels, is_hidden, Detector(), np.random.default_rng(3)) for _ in range(2))
    for first, second in zip(a, b, strict=True):
        np.testing.assert_array_equal(first, second)
