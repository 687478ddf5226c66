"""Extrinsics from the person who walks about, where a calibration has only intrinsics.

Page "Without extrinsics" takes it step by step: the joints are the calibration targets. Each
camera's pose relative to the first comes from the joints both saw, up to a length; depths of
common joints tie the lengths together, and the person's height says how large all of it is. Which
way is up is told by how the person stands, so it is known to a few degrees.
"""

from dataclasses import replace

import numpy as np

from posebook.data.records import ViewSequence
from posebook.data.sampled import Sample, fit, median
from posebook.footage.health import body_size
from posebook.footage.refinement import adjusted, moved
from posebook.geometry.camera import Camera
from posebook.geometry.multiview import estimate_relative_pose, triangulate
from posebook.geometry.skeleton import H36M

MOST = 200  # instants
SURE = 0.6  # of both detections of a joint, to be a target
HEIGHT = 1.7  # metres, where nobody has said it
ALONG = 0.95  # of a person's height: from head to ankles along the bones of H36M


def cameras_of(take: ViewSequence, height: float = HEIGHT) -> tuple[Camera, ...]:
    """Cameras of a take of one person, whose own have intrinsics alone; +z is up.

    Args:
        height: of the person, metres.

    Raises:
        ValueError: in one sentence, naming the camera, where joints do not tell where it stands.
    """
    sample = Sample.of([take], MOST)
    rays = [c.rays(sample.pixels[:, v]) for v, c in enumerate(take.cameras)]
    poses, depths = [(np.eye(3), np.zeros(3))], []
    for v in range(1, len(take.cameras)):
        R, t, depth = _relative(rays, sample.weights, v, take.cameras[v].name)
        if depths:
            t = t * median(depths[0] / depth)
        depths.append(depth)
        poses.append((R, t))
    R, center = (np.stack(part) for part in zip(*poses))
    sure = np.where(sample.weights > SURE, sample.weights, 0.0)
    sample = replace(sample, cameras=moved(take.cameras, R, center), weights=sure)
    return _upright(replace(sample, cameras=adjusted(sample)), height)


def _relative(
    rays: list[np.ndarray], weights: np.ndarray, v: int, name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rotation, centre and depths (N, J) before the first camera, in distances of both cameras."""
    sure = np.minimum(weights[:, 0], weights[:, v]) > SURE
    try:
        R, t = estimate_relative_pose(rays[0][sure], rays[v][sure], baseline=1.0)
    except ValueError as problem:
        raise ValueError(f"camera {name}: the person does not tell where it stands ({problem}); "
                         "film a longer walk, or calibrate extrinsics") from None  # fmt: skip
    pair = np.stack([rays[0], rays[v]], axis=-2)
    world = triangulate(pair, np.stack([np.eye(3), R]), np.stack([0 * t, t]),
                        np.repeat(sure[..., None], 2, axis=-1).astype(float))  # fmt: skip
    return R, t, world[..., 2]


def _upright(sample: Sample, height: float) -> tuple[Camera, ...]:
    """The cameras in metres, with +z along the person and the origin in the middle of the walk."""
    world = fit(sample).world
    head, feet = world[:, H36M.index("Head")], world[:, H36M.index("LFoot", "RFoot")].mean(1)
    z = np.array([median(axis) for axis in (head - feet).T])
    z /= np.linalg.norm(z)
    x = np.cross(z, sample.cameras[0].R[2])  # no camera looks straight down at who walks
    x /= np.linalg.norm(x)
    turn, scale = np.stack([x, np.cross(z, x), z]), ALONG * height / body_size(world)
    middle = np.nanmedian(world, axis=(0, 1))
    R = np.stack([c.R @ turn.T for c in sample.cameras])
    center = np.stack([scale * turn @ (c.center - middle) for c in sample.cameras])
    return moved(sample.cameras, R, center)
