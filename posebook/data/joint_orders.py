"""Takes and poses from one joint set's order into another's: COCO's into Human3.6M's, and so on.

A joint that both sets have is copied. The rest is derived, as `DERIVED` says line by line, and
what cannot be is refused. `sources("coco17", "h36m17")` shows of what each joint is made.

Where names agree, places may still differ, and no map mends that:

* Human3.6M's hips are the joints' centres found from markers. COCO's annotators clicked where the
  leg begins, some centimetres lower and further out, and MediaPipe learned from such clicks.
* Human3.6M's Head is the top of the head. COCO, BODY_25 and MediaPipe have none; the middle of the
  eyes, which stands in for it as in mmpose and MotionBERT, lies a hand's breadth lower and in
  front. A network that was trained on the one reads the other as a bowed head.
* Human3.6M's Thorax lies between the shoulders. So does the Neck of BODY_25, of Halpe-26 and of
  JHMDB and the Thorax of MPII, to a few centimetres; the upper neck of MPII and BODY_25B is the
  skull's base.
* JHMDB's Face and Penn Action's Head are the middle of the face, which here is taken for the nose.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from posebook.data.records import ViewSequence
from posebook.geometry.skeleton import joint_set

# Of the joints of a set, those that other sets call otherwise.
_SAME = {
    "h36m17": {"Hip": "Pelvis", "RFoot": "RAnkle", "LFoot": "LAnkle"},
    "jhmdb15": {"Neck": "Thorax", "Belly": "Spine"},
    "penn13": {"Head": "Face"},
    "body25": {"Neck": "Thorax", "MidHip": "Pelvis"},
    "halpe26": {"Head": "HeadTop", "Neck": "Thorax", "Hip": "Pelvis"},
}
# A joint that a set lacks, and the joints of which it then is the middle. Read from the top: the
# first line that fits counts, and what it gives may serve the lines below it.
DERIVED = (
    ("Pelvis", ("LHip", "RHip")),
    ("Thorax", ("LShoulder", "RShoulder")),
    ("Spine", ("Pelvis", "Thorax")),
    ("Face", ("UpperNeck", "HeadTop")),
    ("Face", ("Nose",)),
    ("Nose", ("Face",)),
    ("HeadTop", ("Head",)),
    ("Head", ("HeadTop",)),
    ("Head", ("LEye", "REye")),
    ("Head", ("LEar", "REar")),
)


def sources(source: str, target: str) -> dict[str, tuple[str, ...]]:
    """Joint of `target` -> the joints of `source` that it is made of: one, or two or more.

    Raises:
        ValueError: for an unknown set, and naming the joints that `source` has nothing for.
    """
    own = {point: (name,) for point, name in zip(_points(source), joint_set(source).names)}
    found = _derive(own, lambda parts: sum(parts, ()))
    wanted = dict(zip(joint_set(target).names, _points(target)))
    missing = [name for name, point in wanted.items() if point not in found]
    if missing:
        raise ValueError(
            f"joint set {source!r} gives no {', '.join(missing)} of {target!r}, and nothing that "
            "they could be derived from; take a detector that has them, or another target"
        )
    return {name: found[point] for name, point in wanted.items()}


def map_joints(points: np.ndarray, source: str, target: str) -> np.ndarray:
    """Joints (..., J, D), in pixels or in space, in the order of `target`.

    A derived joint is the middle of its sources, NaN where one of them is.

    Raises:
        ValueError: for points that are not of `source`; else as `sources`.
    """
    return _mapped(points, -2, source, target, lambda parts: np.mean(parts, axis=0))


def map_confidence(confidence: np.ndarray, source: str, target: str) -> np.ndarray:
    """Confidences (..., J) in the order of `target`: a derived joint has its least sure source's.

    Raises as `map_joints`.
    """
    return _mapped(confidence, -1, source, target, lambda parts: np.min(parts, axis=0))


def map_take(take: ViewSequence, target: str) -> ViewSequence:
    """The take in the order of `target`. What is derived from a joint not found is not found.

    Raises as `sources`.
    """
    names = take.joint_set, target
    joints_2d = map_joints(take.joints_2d, *names)
    confidence = map_confidence(take.confidence, *names)
    derived = np.array([len(made_of) > 1 for made_of in sources(*names).values()])
    joints_2d[(confidence == 0) & derived] = 0
    truth, hidden = take.joints_3d, take.occluded
    if hidden is not None:
        hidden = _mapped(hidden, -1, *names, lambda parts: np.any(parts, axis=0))
    return replace(
        take,
        joints_2d=joints_2d,
        confidence=confidence,
        joints_3d=None if truth is None else map_joints(truth, *names),
        occluded=hidden,
        joint_set=target,
    )


def _mapped(array: np.ndarray, axis: int, source: str, target: str, combine: Callable):
    sources(source, target)
    array, J = np.asarray(array), len(joint_set(source))
    if array.ndim < -axis or array.shape[axis] != J:
        raise ValueError(
            f"joints of {source!r} have {J} along axis {axis}, got an array of {array.shape}; "
            "name the set that they are of"
        )
    own = dict(zip(_points(source), np.moveaxis(array, axis, 0)))
    found = _derive(own, combine)
    return np.stack([found[point] for point in _points(target)], axis=axis)


def _points(name: str) -> list[str]:
    """The joints of a set by the names that are the same for all."""
    return [_SAME.get(name, {}).get(joint, joint) for joint in joint_set(name).names]


def _derive(own: dict, combine: Callable) -> dict:
    """What a set has, with what can be derived from it by `combine`."""
    found = dict(own)
    for joint, parts in DERIVED:
        if joint not in found and all(part in found for part in parts):
            found[joint] = combine([found[part] for part in parts])
    return found
