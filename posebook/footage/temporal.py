"""Chapter 2's network on a video of one's own: arms and legs, in boxes that are known.

`window` looks at the frames round each one, `stream` is one recursion through the whole video. The
weights that travel with the package have seen rendered people alone: on photographs they show the
method, and what is said of each clip tells how far they are from a detector.
"""

from collections.abc import Callable

import numpy as np

from posebook.footage.film import Footage
from posebook.footage.lifter import shaking
from posebook.geometry.skeleton import H36M, joint_set
from posebook.trained.networks import load
from posebook.video.inference import poses

NETWORK = "res50-tce-bc"
FORMS = {"window": "cached", "stream": "stream"}
MARGIN = 0.05  # of a box's longer side: a body reaches further than its joints
_SAME = {"RAnkle": "RFoot", "LAnkle": "LFoot"}


def limbs(
    footage: Footage, joints: np.ndarray, confidence: np.ndarray, form: str,
    say: Callable[[str], None] = print,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """A person's joints (T, 17, 2) and confidences (T, 17) with arms and legs by the network.

    Args:
        joints, confidence: by a detector, NaN and 0 where the person is not seen; they are the
            boxes, and what the network does not know (head and trunk) stays theirs.
        form: of `FORMS`.
    """
    (encoder, model), card = load(NETWORK)
    size, N = card["parameters"]["base"]["crop"], card["parameters"]["N"]
    boxes = [_box(person) for person in joints]
    found = poses(encoder, model, footage.pictures(form, say), boxes, size=size, N=N,
                  form=FORMS[form], name=str(footage.path))  # fmt: skip
    theirs, scores = (np.stack(part) for part in zip(*found))
    names = joint_set(card["parameters"]["joints"]).names
    pairs = [(H36M.names.index(ours), k) for k, name in enumerate(names)
             if (ours := _SAME.get(name, name)) in H36M.names]  # fmt: skip
    ours, k = (list(part) for part in zip(*pairs))
    joints, confidence = joints.copy(), confidence.copy()
    say(_compared(joints[:, ours], theirs[:, k], boxes, form))
    joints[:, ours], confidence[:, ours] = theirs[:, k], np.clip(scores[:, k], 0, 1)
    return joints, confidence


def _box(joints: np.ndarray) -> np.ndarray | None:
    known = joints[np.isfinite(joints).all(-1)]
    if not len(known):
        return None
    low, high = known.min(0), known.max(0)
    more = MARGIN * (high - low).max()
    return np.concatenate([low - more, high + more])


def _compared(detector: np.ndarray, network: np.ndarray, boxes: list, form: str) -> str:
    """What the network does to this clip."""
    off = np.nanmedian(np.linalg.norm(network - detector, axis=-1))
    size = np.median([max(box[2:] - box[:2]) for box in boxes if box is not None])
    return (f"arms and legs by {NETWORK} ({form}), which has seen rendered people alone: a median "
            f"{off:.0f} px, {off / size:.0%} of the person's box, from the detector's; jitter "
            f"{shaking(network):.1f} px a frame squared, the detector's {shaking(detector):.1f}"
            )  # fmt: skip
