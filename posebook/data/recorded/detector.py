"""A model of a 2D pose detector: where it errs, and how sure it says it is.

Real detections come with three kinds of error that matter to chapter 3: noise that grows where a
joint is hard to see, confidences that drop there, and left and right taken for each other. All
three last for some frames, since the pictures that cause them do.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from posebook.geometry.skeleton import H36M

# Relative difficulty of each joint: large, well-marked joints are found more exactly than the
# small ones at the ends of the limbs, in the order that detectors' error tables agree on.
_DIFFICULTY = dict.fromkeys(H36M.names, 1.0) | {
    "Nose": 0.8, "Head": 0.8, "Thorax": 0.8, "LElbow": 1.15, "RElbow": 1.15, "LWrist": 1.35,
    "RWrist": 1.35, "LFoot": 1.25, "RFoot": 1.25,
}  # fmt: skip

DIFFICULTY = np.array([_DIFFICULTY[name] for name in H36M.names])
# What hides a joint: capsules round bones and along the sides of the trunk, radius in metres.
_CAPSULES = (
    ("RHip", "RKnee", 0.075), ("RKnee", "RFoot", 0.05), ("LHip", "LKnee", 0.075),
    ("LKnee", "LFoot", 0.05), ("Hip", "Spine", 0.13), ("Spine", "Thorax", 0.13),
    ("LShoulder", "LHip", 0.08), ("RShoulder", "RHip", 0.08), ("Nose", "Head", 0.09),
    ("LShoulder", "LElbow", 0.045), ("LElbow", "LWrist", 0.04), ("RShoulder", "RElbow", 0.045),
    ("RElbow", "RWrist", 0.04),
)  # fmt: skip

_STARTS = np.array([H36M.index(a)[0] for a, _, _ in _CAPSULES])
_ENDS = np.array([H36M.index(b)[0] for _, b, _ in _CAPSULES])
_RADII = np.array([r for *_, r in _CAPSULES], dtype=np.float32)
_ARMS = H36M.index("LElbow", "LWrist", "RElbow", "RWrist")
_LEGS = H36M.index("LHip", "LKnee", "LFoot", "RHip", "RKnee", "RFoot")


@dataclass(frozen=True)
class Detector:
    """How a detector errs. Pixels are those of a picture of about 1000 pixels.

    Attributes:
        sigma: standard deviation, in pixels, for an ordinary visible joint.
        occlusion_gain: how many times larger the error of a hidden joint is.
        spread: log-normal spread of the difficulty of single pictures.
        persistence: correlation of the error from one frame to the next at 50 Hz.
        swap_rate: share of frames in which a pair of limbs is taken for its mirror.
    """

    sigma: float = 3.4
    occlusion_gain: float = 3.0
    spread: float = 0.4
    persistence: float = 0.8
    swap_rate: float = 0.01


# sigma of `full` gives a median error near 5 px, that of good detectors on Human3.6M; the two
# others part the reasons for an error: `uniform` has about the same median, hidden or not.
DETECTORS = {
    "full": Detector(),
    "uniform": Detector(sigma=4.2, occlusion_gain=1.0, spread=0.0, swap_rate=0.0),
    "strong-occlusion": Detector(occlusion_gain=8.0),
    "none": None,
}


def occlusion(points: np.ndarray, rays: np.ndarray, chunk: int = 8192) -> np.ndarray:
    """Which joints the body itself hides.

    Args:
        points: (N, J, 3) camera-frame joints, metres.
        rays: (N, J, 2) their projections. Returns (N, J) booleans: some capsule that does not hold
            the joint lies before it.
    """
    hidden = np.empty(rays.shape[:2], dtype=bool)
    for at in range(0, len(rays), chunk):
        part = slice(at, at + chunk)
        hidden[part] = _hidden(rays[part].astype(np.float32), points[part, :, 2].astype(np.float32))
    return hidden


def _hidden(rays: np.ndarray, depth: np.ndarray) -> np.ndarray:
    hidden = np.zeros(depth.shape, dtype=bool)
    for start, end, radius in zip(_STARTS, _ENDS, _RADII, strict=True):
        a, along = rays[:, start, None], rays[:, end, None] - rays[:, start, None]
        to_joint = rays - a
        t = (to_joint * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12)
        t = np.clip(t, 0, 1)
        gap2 = ((to_joint - t[..., None] * along) ** 2).sum(-1)
        z = depth[:, start, None] * (1 - t) + depth[:, end, None] * t
        # The capsule covers the joint if it passes in front by more than its own half thickness.
        covers = (gap2 * z**2 < radius**2) & (z + radius < depth)
        covers[:, [start, end]] = False
        hidden |= covers
    return hidden


def detect(
    pixels: np.ndarray, hidden: np.ndarray, detector: Detector | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Detections of one view over time.

    Args:
        pixels: (..., T, J, 2) true projections.
        hidden: (..., T, J) self-occlusion. Returns noisy pixels (float32) and confidences in [0,
            1]; `detector=None` gives the truth with confidence 1.
    """
    if detector is None:
        return pixels.astype(np.float32), np.ones(hidden.shape, dtype=np.float32)
    hardness = np.exp(detector.spread * _persistent(hidden.shape, detector.persistence, rng))
    scale = DIFFICULTY * hardness * np.where(hidden, detector.occlusion_gain, 1.0)
    noise = _persistent(pixels.shape, detector.persistence, rng)
    seen = pixels + detector.sigma * scale[..., None] * noise
    # A heatmap's peak falls as the error it stands for grows; it is an estimate, hence the jitter.
    confidence = 1 / (1 + (scale / 3) ** 2) * rng.uniform(0.9, 1.0, hidden.shape)
    for pair in (_ARMS, _LEGS):
        seen, confidence = _swap(seen, confidence, pair, detector, rng)
    return seen.astype(np.float32), np.clip(confidence, 0, 1).astype(np.float32)


def _persistent(shape: tuple[int, ...], rho: float, rng: np.random.Generator) -> np.ndarray:
    """Unit-variance noise that is correlated along the time axis.

    Time is the axis before the joints: -2 of (..., T, J), -3 of (..., T, J, 2).
    """
    from scipy.signal import lfilter  # half a second, so only where it is used

    axis = len(shape) - (2 if shape[-1] == len(H36M) else 3)
    white = rng.standard_normal(shape, dtype=np.float32)
    first = [slice(None)] * len(shape)
    first[axis] = slice(0, 1)
    white[tuple(first)] /= np.sqrt(1 - rho**2)  # start in the stationary state
    return (lfilter([np.sqrt(1 - rho**2)], [1, -rho], white, axis=axis)).astype(np.float32)


def _swap(seen, confidence, joints, detector: Detector, rng):
    if detector.swap_rate == 0:
        return seen, confidence
    doubt = _persistent(confidence.shape, 0.9, rng)[..., 0]
    swapped = doubt > -ndtri(detector.swap_rate)
    mirrored = H36M.flip[joints]
    seen[..., joints, :] = np.where(
        swapped[..., None, None], seen[..., mirrored, :], seen[..., joints, :]
    )
    confidence[..., joints] *= np.where(swapped[..., None], 0.6, 1.0)
    return seen, confidence
