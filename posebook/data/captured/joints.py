"""Which of a file's points are the 17 joints, by name.

A map says for each joint of `h36m17` a point, "Spine1|Spine" for the first of these that is there,
or a list of points whose middle it is. What a map does not name is derived, as `to_h36m` says.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from posebook.data.captured.capture import Capture
from posebook.data.formats.files import read_json
from posebook.data.recorded.body import unit
from posebook.geometry.skeleton import H36M

Map = Mapping[str, str | list[str]]
_ARMS_AND_LEGS = ("Hip", "Knee", "Foot", "Shoulder", "Elbow", "Wrist")


def _sided(trunk: dict, limbs: tuple[str, ...], sides=("Left", "Right")) -> dict:
    """A map whose limbs are called by a side and a word, in the order hip to wrist."""
    words = dict(zip(_ARMS_AND_LEGS, limbs, strict=True))
    return trunk | {f"{side[0].upper()}{joint}": f"{side}{word}"
                    for side in sides for joint, word in words.items()}  # fmt: skip


_TRUNK = {"Hip": "Hips", "Thorax": "Neck", "Head": "Head_end", "Skull": "Head"}
# Tried from the top; the first one that a file has all points for counts.
MAPS: dict[str, Map] = {
    # As posebook writes it
    "h36m17": {name: name for name in H36M.names},
    # LAFAN1, CMU's takes as converted to BVH, Mixamo: LeftArm is the shoulder, LeftLeg the knee
    "lafan1": _sided(
        _TRUNK | {"Spine": "Spine1|Spine"},
        ("UpLeg", "Leg", "Foot", "Arm", "ForeArm", "Hand"),
    ),
    "100style": _sided(
        _TRUNK | {"Spine": "Chest2|Chest"},
        ("Hip", "Knee", "Ankle", "Shoulder", "Elbow", "Wrist"),
    ),
    # CMU's ASF: a point is where the bone of this name ends
    "cmu": _sided(
        {"Hip": "root", "Spine": "upperback", "Thorax": "thorax", "Head": "head"},
        ("hipjoint", "femur", "tibia", "clavicle", "humerus", "radius"), ("l", "r"),
    ),
    # Markers on the skin, Plug-in Gait's: joints are where they are, hips some centimetres inside
    "markers": {
        "LKnee": "LKNE", "RKnee": "RKNE", "LFoot": "LANK", "RFoot": "RANK",
        "LShoulder": "LSHO", "RShoulder": "RSHO", "LElbow": "LELB", "RElbow": "RELB",
        "LWrist": ["LWRA|LWRI", "LWRB|LWRI"], "RWrist": ["RWRA|RWRI", "RWRB|RWRI"],
        "Thorax": ["C7", "CLAV"], "Spine": ["T10", "STRN"], "Skull": ["LFHD", "RFHD"],
        "LFront": "LASI|LFWT", "RFront": "RASI|RFWT", "LBack": "LPSI|LBWT", "RBack": "RPSI|RBWT",
    },
}  # fmt: skip
# Joints that a map need not name; Skull, Front and Back only help to derive others.
_DERIVED = {"Hip", "Spine", "Thorax", "Nose", "Head"}
_HELP = ("Skull", "LFront", "RFront", "LBack", "RBack")
# Of a person's trunk, hips to neck: how far the top of the head is from the neck. Of that, how far
# up the nose is, and how far in front. As the embedded body has it.
HEAD, NOSE_UP, NOSE_FRONT = 0.604, 0.558, 0.324
# Hip joints from the waist's markers, in distances between the two in front (Bell, Pedersen and
# Brand 1990): aside from their middle, behind and below it.
_ASIDE, _BEHIND, _BELOW = 0.36, 0.19, 0.30


def read_map(path: str | Path) -> Map:
    """A map from a JSON file, such as {"Hip": "pelvis", "LWrist": ["wrist_in", "wrist_out"], …}.

    Raises:
        ValueError: naming file and joint, for what is no map.
        OSError: where there is none.
    """
    found = read_json(Path(path), "a map is a JSON object")
    known = [*H36M.names, *_HELP]
    if not isinstance(found, dict):
        raise ValueError(f"{path}: a map is one JSON object from joints to the file's names")
    for joint, made_of in found.items():
        if joint not in known:
            raise ValueError(f"{path}: there is no joint {joint}; joints are {', '.join(known)}")
        if not isinstance(made_of, str) and not (
            isinstance(made_of, list) and made_of and all(isinstance(n, str) for n in made_of)
        ):
            raise ValueError(f"{path}: {joint} must be a name or a list of names")
    if missing := [n for n in H36M.names if n not in found and n not in _DERIVED]:
        raise ValueError(f"{path}: {missing[0]} is not mapped, and cannot be derived")
    return found


def find_map(capture: Capture) -> str:
    """The name of the map that fits a file.

    Raises:
        ValueError: that names the nearest map and what it misses.
    """
    missing = {name: _missing(capture, chosen) for name, chosen in MAPS.items()}
    for name, lost in missing.items():
        if not lost:
            return name
    name = min(missing, key=lambda n: len(missing[n]))
    raise capture.error(
        f"its names are of no known skeleton ({', '.join(MAPS)}); {name} comes nearest and misses "
        f"{', '.join(missing[name][:4])}; it has {', '.join(capture.names[:8])}, …; say which are "
        "the joints with --map FILE.json"
    )


def _missing(capture: Capture, chosen: Map) -> list[str]:
    """What a file lacks of a map, but for what can be derived."""
    return [
        part
        for joint, made_of in chosen.items() if joint not in (*_DERIVED, "Skull")
        for part in _parts(made_of) if not set(part.split("|")) & set(capture.names)
    ]  # fmt: skip


def _parts(made_of: str | list[str]) -> list[str]:
    return [made_of] if isinstance(made_of, str) else list(made_of)


def to_h36m(capture: Capture, chosen: Map) -> np.ndarray:
    """The 17 joints (T, 17, 3), in the file's axes and unit.

    Hip, Thorax and Spine, where they are not named, are the middles of hips, shoulders and both;
    the top of the head lies above the neck in the direction of the skull, as far as on the embedded
    body; the nose before it, towards where the shoulders face. Markers at the waist give hips.

    Raises:
        ValueError: naming file and joint, where a joint is neither there nor derived.
    """
    if lost := _missing(capture, chosen):
        raise capture.error(f"the map names {lost[0]}, which is not there; it has "
                            f"{', '.join(capture.names)}")  # fmt: skip
    at = {joint: found for joint, made_of in chosen.items()
          if (found := _middle(capture, made_of)) is not None}  # fmt: skip
    if "LFront" in at:
        _add_hips(at)
    for joint, ends in (("Hip", ("LHip", "RHip")), ("Thorax", ("LShoulder", "RShoulder")),
                        ("Spine", ("Hip", "Thorax"))):  # fmt: skip
        at.setdefault(joint, (at[ends[0]] + at[ends[1]]) / 2)
    up = at["Thorax"] - at["Hip"]
    if "Head" not in at:
        towards = unit(at.get("Skull", at["Thorax"] + up) - at["Thorax"])
        trunk = np.nanmedian(np.linalg.norm(up, axis=-1))
        at["Head"] = at["Thorax"] + HEAD * trunk * towards
    if "Nose" not in at:
        front = unit(np.cross(at["LShoulder"] - at["RShoulder"], up))
        head = at["Head"] - at["Thorax"]
        length = np.linalg.norm(head, axis=-1, keepdims=True)
        at["Nose"] = at["Thorax"] + NOSE_UP * head + NOSE_FRONT * length * front
    return np.stack([at[name] for name in H36M.names], axis=1)


def _middle(capture: Capture, made_of: str | list[str]) -> np.ndarray | None:
    """The middle (T, 3) of a joint's points; None where one is not there."""
    places = []
    for part in _parts(made_of):
        there = [name for name in part.split("|") if name in capture.names]
        if not there:
            return None
        places.append(capture.points[:, capture.names.index(there[0])])
    return np.mean(places, axis=0)


def _add_hips(at: dict[str, np.ndarray]) -> None:
    front, back = (at["LFront"] + at["RFront"]) / 2, (at["LBack"] + at["RBack"]) / 2
    left = at["LFront"] - at["RFront"]
    width = np.nanmedian(np.linalg.norm(left, axis=-1))
    left, behind = unit(left), unit(back - front)
    down = np.cross(behind, left)
    inside = front + width * (_BEHIND * behind + _BELOW * down)
    at["LHip"], at["RHip"] = inside + _ASIDE * width * left, inside - _ASIDE * width * left
