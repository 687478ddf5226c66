import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from posebook.data import embedded
from posebook.data.recorded import pose2sim
from posebook.geometry.camera import Camera
from posebook.geometry.skeleton import H36M

sys.path.insert(0, str(Path(__file__).parents[3] / "tools"))
embed_pose2sim = importlib.import_module("embed_pose2sim")


@pytest.fixture(scope="module")
def refined():
    return pose2sim.load_pose2sim()


def triangulate(cameras, pixels, confidence):
    """DLT without lens distortion of one point: pixels (V, 2), confidence (V,)."""
    rows = []
    for camera, (u, v), weight in zip(cameras, pixels, confidence, strict=True):
        P = camera.K @ np.hstack([camera.R, camera.T[:, None]])
        rows += [weight * (u * P[2] - P[0]), weight * (v * P[2] - P[1])]
    X = np.linalg.svd(np.stack(rows))[2][-1]
    return X[:3] / X[3]


def confident_joints(sequence, frames):
    """(frame, joint, which views) of the joints that at least two views show well."""
    good = sequence.confidence > 0.3
    for frame in frames:
        for joint in range(len(H36M)):
            if good[frame, :, joint].sum() >= 2:
                yield frame, joint, good[frame, :, joint]


def reprojection_errors(sequence, frames):
    errors = []
    for frame, joint, views in confident_joints(sequence, frames):
        cameras = [c for c, shown in zip(sequence.cameras, views, strict=True) if shown]
        pixels = sequence.joints_2d[frame, views, joint]
        point = triangulate(cameras, pixels, sequence.confidence[frame, views, joint])
        missed = np.array([camera.project(point) for camera in cameras]) - pixels
        errors.append(np.linalg.norm(missed, axis=-1))
    return np.concatenate(errors)


HELD_OUT = range(1, 100, 4)  # 25 of the 75 frames that the fit did not see


def test_shapes_and_units(refined):
    assert refined.joints_2d.shape == (100, 4, 17, 2) and refined.joints_2d.dtype == np.float32
    assert refined.confidence.shape == (100, 4, 17)
    assert refined.joints_3d is None and refined.fps == 60.0 and len(refined.cameras) == 4
    assert set(HELD_OUT).isdisjoint(pose2sim.FIT_FRAMES)
    for camera in refined.cameras:
        assert camera.resolution == (1088, 1920)
        assert 1 < camera.center[2] < 3  # metres above the floor
        assert camera.focal == pytest.approx(1680, rel=0.01)


def test_missing_joints_are_zero_with_confidence_zero(refined):
    missing = refined.confidence == 0
    assert 0 < missing.mean() < 0.02
    assert (refined.joints_2d[missing] == 0).all()
    assert (refined.joints_2d[~missing] > 0).all()


def test_reprojection_errors_are_those_on_the_data_card(refined):
    errors = reprojection_errors(refined, HELD_OUT)
    assert 6.0 < np.median(errors) < 8.0
    assert errors.mean() < 9.5
    shipped = reprojection_errors(pose2sim.load_pose2sim("shipped"), HELD_OUT)
    assert 12.5 < np.median(shipped) < 15.5


def test_refined_extrinsics_stay_near_the_shipped_ones(refined):
    for new, old in zip(refined.cameras, pose2sim.load_pose2sim("shipped").cameras, strict=True):
        turn = np.degrees(np.arccos((np.trace(new.R @ old.R.T) - 1) / 2))
        assert 0.1 < turn < 1.5
        assert np.linalg.norm(new.center - old.center) < 0.06


def test_triangulated_man_is_upright_and_his_nose_is_in_front(refined):
    front = []
    for frame in HELD_OUT:
        points = {}
        for _, joint, views in confident_joints(refined, [frame]):
            cameras = [c for c, shown in zip(refined.cameras, views, strict=True) if shown]
            points[H36M.names[joint]] = triangulate(
                cameras, refined.joints_2d[frame, views, joint], np.ones(len(cameras))
            )
        assert 1.1 < points["Head"][2] < 1.8 and points["Head"][2] > points["Hip"][2] + 0.3
        assert -0.1 < min(points["LFoot"][2], points["RFoot"][2]) < 0.25
        to_left = points["LShoulder"] - points["RShoulder"]
        ahead = np.cross(to_left, points["Thorax"] - points["Hip"])
        if "Nose" in points:  # the two views from behind often miss it
            front.append((points["Nose"] - points["Thorax"]) @ ahead > 0)
    assert len(front) > 15 and np.mean(front) > 0.9


@pytest.mark.parametrize("damage", [lambda b: b[:-100], lambda b: b[:5000] + b"x" + b[5001:]])
def test_damaged_file_is_refused(tmp_path, monkeypatch, damage):
    content = (embedded.ASSETS / pose2sim.ASSET).read_bytes()
    (tmp_path / pose2sim.ASSET).write_bytes(damage(content))
    monkeypatch.setattr(embedded, "ASSETS", tmp_path)
    with pytest.raises(ValueError, match=r"pose2sim_walk\.npz is damaged .*embed_pose2sim\.py"):
        pose2sim.load_pose2sim()


def test_missing_file_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "ASSETS", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"pose2sim_walk\.npz is missing.*embed_pose2sim"):
        pose2sim.load_pose2sim()


def test_unknown_extrinsics_are_refused():
    with pytest.raises(ValueError, match="'refined' or 'shipped', not 'better'"):
        pose2sim.load_pose2sim("better")


def ring(count=4):
    """Cameras 4 m around the origin, 1.5 m up, looking at a point 1 m above the origin."""
    cameras = []
    for angle in np.arange(count) * 2 * np.pi / count + 0.3:
        center = np.array([4 * np.cos(angle), 4 * np.sin(angle), 1.5])
        z = np.array([0, 0, 1.0]) - center
        z /= np.linalg.norm(z)
        x = np.cross(z, [0, 0, 1.0])
        x /= np.linalg.norm(x)
        R = np.stack([x, np.cross(z, x), z])
        name = f"ring{len(cameras)}"
        focal, principal = [1500.0, 1500.0], [540.0, 960.0]
        cameras.append(Camera(name, R, center, focal, principal, (1080, 1920)))
    return tuple(cameras)


def detections_of(cameras, points):
    """What a perfect detector sees of points (F, K, 3): (F, V, K, 3) with confidence 1."""
    pixels = np.stack([camera.project(points) for camera in cameras], axis=1)
    return np.concatenate([pixels, np.ones((*pixels.shape[:-1], 1))], axis=-1)


@pytest.fixture
def points():
    return np.random.default_rng(0).uniform([-0.5, -0.5, 0], [0.5, 0.5, 1.8], (5, 25, 3))


def test_triangulation_of_exact_pixels_is_exact(points):
    detections = detections_of(ring(), points)
    pixels, confidence = embed_pose2sim.seen_joints(detections)
    found = embed_pose2sim.triangulate(ring(), pixels, confidence)
    np.testing.assert_allclose(found, points.reshape(-1, 3), atol=1e-9)


def test_bundle_adjustment_mends_disturbed_extrinsics_and_keeps_the_world(points):
    true = ring()
    detections = detections_of(true, points)
    change = np.random.default_rng(1).normal(size=(4, 6)) * ([0.01] * 3 + [0.01] * 3)
    disturbed = embed_pose2sim.moved(true, change)
    assert np.median(embed_pose2sim.reprojection_errors(disturbed, detections)) > 3
    refined = embed_pose2sim.refine(disturbed, detections)
    # The pull to the disturbed extrinsics leaves a trace in so few points.
    assert embed_pose2sim.reprojection_errors(refined, detections).max() < 0.5
    size = [np.linalg.norm(cameras[0].center - cameras[2].center) for cameras in (true, refined)]
    assert size[1] == pytest.approx(size[0], rel=0.01)


def test_the_person_whom_all_views_agree_on_is_chosen(points):
    cameras = ring()
    man = detections_of(cameras, points[:1])[0]
    bystander = detections_of(cameras, points[1:2] + [1.0, 0.5, 0])[0]
    hardly_seen = np.zeros((25, 3))
    people = [[bystander[0], man[0]], [man[1], hardly_seen], [man[2]], [man[3], bystander[3]]]
    np.testing.assert_array_equal(embed_pose2sim.choose_person(cameras, people), man)


def test_openpose_joints_become_h36m17():
    body = np.zeros((25, 3))
    body[11], body[12] = [100, 200, 0.9], [200, 300, 0.4]  # left and right hip
    body[5], body[6] = [100, 100, 0.8], [120, 100, 0.5]  # left and right shoulder
    body[10] = [7, 8, 0.6]  # right wrist
    pixels, confidence = embed_pose2sim.to_h36m(body)
    by_name = {n: (*pixels[i], confidence[i]) for i, n in enumerate(H36M.names)}
    assert by_name["RHip"] == pytest.approx((200, 300, 0.4))
    assert by_name["Hip"] == pytest.approx((150, 250, 0.4))
    assert by_name["Thorax"] == pytest.approx((110, 100, 0.5))
    assert by_name["Spine"] == pytest.approx((130, 175, 0.4))
    assert by_name["RWrist"] == pytest.approx((7, 8, 0.6))
    assert by_name["LWrist"] == (0, 0, 0)


def test_a_coordinate_of_zero_is_missing_however_confident():
    keypoints = [0, 436.77, 0.68, 50, 60, 0.7] + 23 * [0, 0, 0]
    (person,) = embed_pose2sim.parse_people(
        json.dumps({"people": [{"pose_keypoints_2d": keypoints}]})
    )
    assert (person[0] == 0).all() and person[1] == pytest.approx([50, 60, 0.7])


def test_half_a_midpoint_is_missing():
    body = np.zeros((25, 3))
    body[11] = [100, 200, 0.9]  # the left hip alone
    pixels, confidence = embed_pose2sim.to_h36m(body)
    assert confidence[H36M.root] == 0 and (pixels[H36M.root] == 0).all()


def test_qualisys_camera_looks_along_minus_z_of_the_stored_frame():
    """A camera 2 m up that looks straight down, its picture's right being the world's x."""
    text = """<calibration><cameras><camera serial="cam_07">
      <fov_video left="0" top="0" right="99" bottom="199"/>
      <transform r11="1" r12="0" r13="0" r21="0" r22="1" r23="0" r31="0" r32="0" r33="1"
                 x="0" y="0" z="2000"/>
      <intrinsic focalLengthU="6400" focalLengthV="6400" centerPointU="3200" centerPointV="6400"
                 radialDistortion1="0" radialDistortion2="0" radialDistortion3="0"
                 tangentalDistortion1="0" tangentalDistortion2="0"/>
    </camera></cameras></calibration>"""
    (camera,) = embed_pose2sim.read_cameras(text)
    assert camera.name == "cam07" and camera.resolution == (100, 200)
    np.testing.assert_allclose(camera.project(np.array([0.4, 0, 0])), [70, 100])
    np.testing.assert_allclose(camera.project(np.array([0, 0.4, 0])), [50, 80])
