"""One view's joints in space by the networks that travel with the package."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from posebook.data.gaps import fill_missing
from posebook.footage.tracks import FEWEST
from posebook.geometry.camera import Camera, to_tensor
from posebook.geometry.skeleton import H36M
from posebook.lifting.network import global_pose
from posebook.lifting.prepare import with_confidences
from posebook.trained.networks import ROWS, load

# Confidences mean another thing to each detector, so the default reads points alone.
NETWORK = "consensus-augmented-flip-points"
LIFTERS = tuple(name for name, (_, chapter) in ROWS.items() if chapter == "lifting")
SMOOTH = 0.033  # seconds
# The camera is taken for level: x right, y down, z away become x, z up, y away.
LEVEL = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


def level_camera(name: str, resolution: tuple[int, int], focal: float) -> Camera:
    """A level camera in the origin, without distortion, that looks along +y of a world with +z up.

    Args:
        focal: pixels.
    """
    width, height = resolution
    middle = ((width - 1) / 2, (height - 1) / 2)
    R = LEVEL.T
    return Camera(name, R, np.zeros(3), (focal, focal), middle, resolution)


def lift(
    joints: np.ndarray, confidence: np.ndarray, camera: Camera, network: str = NETWORK,
    chunk: int = 4096,
) -> np.ndarray:  # fmt: skip
    """Bodies (T, 17, 3) in the camera's frame, metres; NaN in frames that do not show the person.

    At test the mean of the answers to the view and to its mirror image is taken, as in the row.
    The place of the whole body is a guess from its size.

    Args:
        joints, confidence: (T, 17, 2) pixels, NaN where missing, and (T, 17), 0 there. A joint that
            is missing for a while is interpolated along time.

    Raises:
        ValueError: for an unknown network, or where no frame shows the person.
    """
    if network not in LIFTERS:
        raise ValueError(f"no lifter {network!r}; there are {', '.join(LIFTERS)}")
    seen = (confidence > 0).sum(-1) >= FEWEST
    if not seen.any():
        raise ValueError(f"no frame shows {FEWEST} joints of the person, too few to lift")
    (model,), _ = load(network)
    X = fill_missing(camera.rays(joints), confidence)
    X, w = to_tensor(X), to_tensor(confidence)
    with torch.inference_mode():
        parts = [in_space(model, with_confidences(x, c) if model.confidences else x)
                 for x, c in zip(X.split(chunk), w.split(chunk))]  # fmt: skip
    return np.where(seen[:, None, None], torch.cat(parts).double().numpy(), np.nan)


def in_space(model, x: torch.Tensor) -> torch.Tensor:
    """Bodies (B, 17, 3) in the camera's frame: the pose of `lift`, which is mirrored at test, and
    the root of `forward`."""
    _, r = model(x)
    return global_pose(model.lift(x), r)


def smoothed(bodies: np.ndarray, fps: float, seconds: float = SMOOTH) -> np.ndarray:
    """Bodies (T, J, 3) through a Gaussian along time, each known stretch by itself."""
    out, known = bodies.copy(), np.isfinite(bodies).all((1, 2))
    if seconds <= 0:
        return out
    for frames in np.split(np.arange(len(bodies)), np.flatnonzero(np.diff(known)) + 1):
        if known[frames[0]]:
            out[frames] = gaussian_filter1d(bodies[frames], seconds * fps, axis=0, mode="nearest")
    return out


def jitter(bodies: np.ndarray) -> float:
    """Mean length in millimetres of the second differences of joints relative to the root."""
    return 1000 * shaking(bodies - bodies[:, H36M.root : H36M.root + 1])


def shaking(joints: np.ndarray) -> float:
    """Mean length of the second differences of joints (T, J, D) along time, where known."""
    second = np.linalg.norm(np.diff(joints, 2, axis=0), axis=-1)
    return float(np.nanmean(second)) if np.isfinite(second).any() else float("nan")
