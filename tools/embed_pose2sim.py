"""Make posebook/data/assets/pose2sim_walk.npz from the demonstration session in a pose2sim wheel.

    python tools/embed_pose2sim.py [path of pose2sim-0.7.0-py3-none-any.whl]

The session has four calibrated cameras and, for 100 instants, OpenPose BODY_25B detections of one
man who walks on a beam (and of a bystander). We pick the man, refine the extrinsics by bundle
adjustment on 25 instants and keep 17 joints. Prints reprojection errors before and after, and the
sha256 that posebook/data/recorded/pose2sim.py must state.
"""

import argparse
import itertools
import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
from scipy.optimize import least_squares
from scipy.sparse import lil_matrix
from scipy.spatial.transform import Rotation
from wheels import save_npz

from posebook.data.embedded import ASSETS
from posebook.data.formats.wheels import open_wheel
from posebook.data.joint_orders import map_confidence, map_joints
from posebook.data.recorded.pose2sim import ASSET, FIT_FRAMES
from posebook.geometry.camera import Camera
from posebook.geometry.skeleton import BODY_25B, H36M

REQUIREMENT = "pose2sim==0.7.0"
SHA256 = "12d42cdaf321ccf7a4d0f635f6e8042234d1e5a34bc2337929673dcbd327b64f"

SESSION = "Pose2Sim/S00_Demo_Session"
CALIBRATION = f"{SESSION}/S00_Calibration/Calib.qca.txt"
TRIAL = f"{SESSION}/S00_P00_SingleParticipant/S00_P00_T01_BalancingTrial/pose"

MIN_CONFIDENCE = 0.3  # detections below take no part in any fit or error
WRONG_PX = 50.0  # a joint of somebody else is this far off, or more
OUTLIER_PX = 10.0  # residuals beyond weigh less and less (soft-L1 loss)
PULL_PX = np.repeat([1 / np.deg2rad(0.1), 1 / 0.005], 3)  # 0.1 degree, 5 mm: like 1 px each


def read_cameras(text: str) -> tuple[Camera, ...]:
    """Cameras of a Qualisys calibration file, as pose2sim converts it.

    Lengths are in mm, intrinsics and distortion in 1/64 pixel. The stored rotation is the
    transpose of camera-to-world and its camera looks along -z: half a turn about x mends that.
    """
    return tuple(_camera(entry) for entry in ElementTree.fromstring(text).iter("camera"))


def _camera(entry) -> Camera:
    lens, pose, view = (entry.find(tag).attrib for tag in ("intrinsic", "transform", "fov_video"))
    stored = np.array([[float(pose[f"r{row}{col}"]) for col in "123"] for row in "123"])

    def per_64(*keys):
        return np.array([float(lens[key]) for key in keys]) / 64

    return Camera(
        entry.get("serial").replace("_", ""),
        np.diag([1.0, -1.0, -1.0]) @ stored,
        np.array([float(pose[axis]) for axis in "xyz"]) / 1000,
        per_64("focalLengthU", "focalLengthV"),
        per_64("centerPointU", "centerPointV"),
        (int(view["right"]) + 1, int(view["bottom"]) + 1),
        radial=per_64("radialDistortion1", "radialDistortion2", "radialDistortion3"),
        tangential=per_64("tangentalDistortion1", "tangentalDistortion2"),
    )


def read_people(wheel, view: str) -> list[list[np.ndarray]]:
    """Detected people of one view: per frame a list of (25, 3) arrays (x, y, confidence)."""
    folder = f"{TRIAL}/{view}_json/"
    members = sorted(name for name in wheel.namelist() if name.startswith(folder))
    return [parse_people(wheel.read(name)) for name in members if name.endswith(".json")]


def parse_people(text: str | bytes) -> list[np.ndarray]:
    """One OpenPose file. A coordinate of exactly 0 means missing, whatever the confidence says:
    the noses of six frames of cam01 have x = 0 with confidence 0.65."""
    people = [np.reshape(p["pose_keypoints_2d"], (25, 3)) for p in json.loads(text)["people"]]
    return [np.where((p[:, :2] == 0).any(axis=1, keepdims=True), 0.0, p) for p in people]


def triangulate(cameras, pixels: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Linear triangulation (DLT) of pixels (N, V, 2) with weights (N, V): (N, 3) metres."""
    rows = []
    for view, camera in enumerate(cameras):
        P = np.hstack([camera.R, camera.T[:, None]])
        rays = camera.rays(pixels[:, view])
        rows.append((rays[:, :, None] * P[2] - P[:2]) * weight[:, view, None, None])
    homogeneous = np.linalg.svd(np.concatenate(rows, axis=1))[2][:, -1]
    return homogeneous[:, :3] / homogeneous[:, 3:]


def seen_joints(detections: np.ndarray, views: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, V, 2) and confidence (N, V) of the joints that enough `views` show.

    detections: (..., V, K, 3). Confidence is 0 where the detector was unsure.
    """
    V = detections.shape[-3]
    joints = np.moveaxis(detections, -3, -2).reshape(-1, V, 3)
    confidence = joints[..., 2] * (joints[..., 2] > MIN_CONFIDENCE)
    enough = (confidence > 0).sum(axis=1) >= views
    return joints[enough, :, :2], confidence[enough]


def reproject(cameras, points: np.ndarray) -> np.ndarray:
    """Points (N, 3) to pixels (N, V, 2)."""
    return np.stack([camera.project(points) for camera in cameras], axis=1)


def reprojection_errors(cameras, detections: np.ndarray) -> np.ndarray:
    """Distances (px) between confident detections (..., V, K, 3) and their triangulation."""
    pixels, confidence = seen_joints(detections)
    points = triangulate(cameras, pixels, confidence)
    return np.linalg.norm(reproject(cameras, points) - pixels, axis=-1)[confidence > 0]


def dropped_view_shifts(cameras, detections: np.ndarray) -> np.ndarray:
    """How far (m) the triangulation of joints seen by all V views moves without one view."""
    pixels, confidence = seen_joints(detections, views=len(cameras))
    points = triangulate(cameras, pixels, confidence)
    shifts = []
    for view in range(len(cameras)):
        others = np.delete(confidence, view, axis=1)
        rest = cameras[:view] + cameras[view + 1 :]
        shifts.append(triangulate(rest, np.delete(pixels, view, axis=1), others) - points)
    return np.linalg.norm(np.concatenate(shifts), axis=-1)


def choose_person(cameras, people: list[list[np.ndarray]]) -> np.ndarray:
    """The same person in all views (V, 25, 3): the choice with the lowest reprojection error.

    people: one list of detections per view. A joint that is not detected counts as much as a
    wrong one, or else a bystander of whom little is seen would win.
    """

    def cost(choice):
        errors = np.minimum(reprojection_errors(cameras, choice), WRONG_PX)
        return errors.sum() + WRONG_PX * (choice[..., 2].size - len(errors))

    return min((np.stack(choice) for choice in itertools.product(*people)), key=cost)


def moved(cameras, change: np.ndarray) -> tuple[Camera, ...]:
    """Cameras turned by rotation vectors change[:, :3] and shifted by change[:, 3:] metres."""
    turns = Rotation.from_rotvec(change[:, :3]).as_matrix()
    return tuple(
        replace(camera, R=turn @ camera.R, center=camera.center + shift)
        for camera, turn, shift in zip(cameras, turns, change[:, 3:])
    )


def refine(cameras, detections: np.ndarray) -> tuple[Camera, ...]:
    """Bundle adjustment: the extrinsics and points that reproject best onto (F, V, K, 3).

    Intrinsics stay. Reprojection does not see where the world's origin is, how it is turned and
    how large it is; a weak pull to the given extrinsics decides that, scale included.
    """
    pixels, confidence = seen_joints(detections)
    seen, split = confidence > 0, 6 * len(cameras)

    def residuals(parameters):
        change, points = parameters[:split].reshape(-1, 6), parameters[split:].reshape(-1, 3)
        missed = reproject(moved(cameras, change), points) - pixels
        return np.concatenate([missed[seen].ravel(), (change * PULL_PX).ravel()])

    fit = least_squares(
        residuals,
        np.concatenate([np.zeros(split), triangulate(cameras, pixels, confidence).ravel()]),
        jac_sparsity=_sparsity(seen, split),
        loss="soft_l1",
        f_scale=OUTLIER_PX,
        x_scale="jac",
    )
    if not fit.success:
        raise ValueError(f"the bundle adjustment has not settled: {fit.message}")
    return moved(cameras, fit.x[:split].reshape(-1, 6))


def _sparsity(seen: np.ndarray, split: int):
    """Which residual depends on which parameter: a pixel on its camera and its point."""
    rows = 2 * int(seen.sum())
    sparsity = lil_matrix((rows + split, split + 3 * len(seen)), dtype=int)
    for pair, (point, view) in enumerate(np.argwhere(seen)):
        sparsity[2 * pair : 2 * pair + 2, 6 * view : 6 * view + 6] = 1
        first = split + 3 * point
        sparsity[2 * pair : 2 * pair + 2, first : first + 3] = 1
    sparsity[range(rows, rows + split), range(split)] = 1  # the pull
    return sparsity


def to_h36m(people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """BODY_25B (..., 25, 3) to pixels (..., 17, 2) and confidence (..., 17), joint set h36m17.

    A midpoint is as confident as the weaker of its two joints; what is missing is (0, 0) with
    confidence 0.
    """
    pixels = map_joints(people[..., :2], BODY_25B.name, H36M.name)
    confidence = map_confidence(people[..., 2], BODY_25B.name, H36M.name)
    pixels[confidence == 0] = 0
    return pixels.astype(np.float32), confidence.astype(np.float32)


def camera_arrays(shipped, refined) -> dict[str, np.ndarray]:
    """What the file says about the cameras. Rounded, because finer digits are only noise."""
    arrays = {"names": np.array([camera.name for camera in shipped])}
    for field in ("focal", "principal", "resolution", "radial", "tangential"):
        arrays[field] = np.array([getattr(camera, field) for camera in shipped])
    for name, cameras in (("shipped", shipped), ("refined", refined)):
        arrays[f"{name}_R"] = np.round([camera.R for camera in cameras], 7)
        arrays[f"{name}_center"] = np.round([camera.center for camera in cameras], 5)
    return arrays


def report(name: str, cameras, detections: np.ndarray) -> str:
    """One line: reprojection errors, and what dropping a view does to the joints."""
    px = reprojection_errors(cameras, detections)
    mm = dropped_view_shifts(cameras, detections) * 1000
    return (
        f"{name:38s} {px.mean():5.1f} {np.median(px):5.1f} {np.percentile(px, 95):5.1f} px"
        f" {np.median(mm):6.1f} {np.percentile(mm, 95):5.1f} mm"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", nargs="?", help="path of the wheel; downloaded if left out")
    wheel = open_wheel(parser.parse_args().wheel, REQUIREMENT, SHA256)
    shipped = read_cameras(wheel.read(CALIBRATION).decode())
    frames = zip(*(read_people(wheel, camera.name) for camera in shipped), strict=True)
    people = np.stack([choose_person(shipped, list(frame)) for frame in frames])
    refined = refine(shipped, people[FIT_FRAMES])
    joints_2d, confidence = to_h36m(people)

    half = len(people) // 2
    h36m = np.concatenate([joints_2d, confidence[..., None]], axis=-1)
    held_out, second_half = np.delete(h36m, FIT_FRAMES, axis=0), h36m[half:]
    print("17 joints: reprojection error mean, median, 95 %; shift without a view median, 95 %")
    print(report("shipped, frames not in the fit", shipped, held_out))
    print(report("refined, frames not in the fit", refined, held_out))
    print(report("shipped, second half", shipped, second_half))
    print(
        report("refined on first half, second half", refine(shipped, people[:half:2]), second_half)
    )

    arrays = {"joints_2d": joints_2d, "confidence": confidence, **camera_arrays(shipped, refined)}
    print(f"{ASSET}: sha256 {save_npz(ASSETS / ASSET, arrays)}")


if __name__ == "__main__":
    main()
