"""ASF and AMC, the formats of the CMU database: a person's skeleton, and the angles of one take.

A bone is a direction with a length, and its own axes; a point is called after the bone that ends in
it: "lfemur" is the left knee.
"""

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from posebook.data.captured.capture import Capture

FPS = 120.0  # CMU's; the files do not say


def skeleton_of(amc: Path) -> Path:
    """The skeleton that belongs to a take: its name's beginning, "01.asf" of "01_01.amc", or the
    only one in the folder.

    Raises:
        FileNotFoundError: where neither is there.
    """
    there = sorted(amc.parent.glob("*.asf")) + sorted(amc.parent.glob("*.ASF"))
    mine = [path for path in there if path.stem == amc.stem.split("_")[0]]
    if not mine and len(there) != 1:
        raise FileNotFoundError(f"{amc}: put {amc.stem.split('_')[0]}.asf, its skeleton, beside it")
    return mine[0] if mine else there[0]


def read_amc(path: str | Path) -> Capture:
    """The ends of a take's bones over time, with the skeleton that lies beside it.

    Raises:
        ValueError: naming file, bone or line, for what is not understood.
        OSError: where file or skeleton is not there.
    """
    path = Path(path)
    bones, children, order = _skeleton(skeleton_of(path))
    frames = _frames(path)
    values = _values(path, frames, "root", len(order))
    moves = [order.index(f"T{axis}") for axis in "XYZ"]
    turns = [n for n, channel in enumerate(order) if channel[0] == "R"]
    axes = "".join(order[n][1].lower() for n in turns)  # small letters: fixed axes
    placed = {"root": (values[:, moves], Rotation.from_euler(axes, values[:, turns], degrees=True))}
    for parent, child in children:
        if parent not in placed or child not in bones:
            raise ValueError(f"{path}: its skeleton hangs {child} on {parent}, which it lacks")
        at, turn = placed[parent]
        bone = bones[child]
        own = np.zeros((len(frames), 3))
        if bone["dof"]:
            own[:, bone["dof"]] = _values(path, frames, child, len(bone["dof"]))
        # Angles are about the bone's own axes: there, turned, and back.
        turn = turn * bone["axes"] * Rotation.from_euler("xyz", own, degrees=True)
        turn = turn * bone["axes"].inv()
        placed[child] = (at + turn.apply(bone["along"]), turn)
    points = np.stack([at for at, _ in placed.values()], axis=1)
    return Capture(path, tuple(placed), points, FPS)


def _skeleton(path: Path) -> tuple[dict[str, dict], list[tuple[str, str]], list[str]]:
    """Bones by name, (parent, child) from the root outwards, the order of the root's channels."""
    bones: dict[str, dict] = {"root": {}}
    children, order, section, bone = [], [], "", {}
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if words[0].startswith(":"):
            section = words[0]
            continue
        try:
            if section == ":root" and words[0] == "order":
                order = [word.upper() for word in words[1:]]
            elif section == ":bonedata":
                bone = _bone_line(words, bone, bones)
            elif section == ":hierarchy" and words[0] not in ("begin", "end"):
                children += [(words[0], child) for child in words[1:]]
        except (ValueError, IndexError, KeyError):
            raise ValueError(f"{path}: line {number}, {line.strip()[:60]!r}, is not understood"
                             ) from None  # fmt: skip
    if sorted(order) != sorted(f"{kind}{axis}" for kind in "TR" for axis in "XYZ") or not children:
        raise ValueError(f"{path}: no order of the root's six channels or no hierarchy; it is cut "
                         "short or no ASF file")  # fmt: skip
    return bones, children, order


def _bone_line(words: list[str], bone: dict, bones: dict[str, dict]) -> dict:
    match words:
        case ["begin"]:
            return {"dof": [], "direction": np.zeros(3), "length": 0.0,
                    "axes": Rotation.identity()}  # fmt: skip
        case ["name", name]:
            bones[name] = bone
        case ["direction", *xyz]:
            bone["direction"] = np.array(xyz, dtype=float)
        case ["length", length]:
            bone["length"] = float(length)
        case ["axis", x, y, z, order]:
            angles = [float(x), float(y), float(z)]
            bone["axes"] = Rotation.from_euler(order.lower(), angles, degrees=True)
        case ["dof", *names]:
            turns = [name.lower() for name in names if name[0] in "rR"]
            bone["dof"] = ["xyz".index(name[1:]) for name in turns]
        case ["end"]:
            bone["along"] = bone["direction"] * bone["length"]
    return bone


def _frames(path: Path) -> list[dict[str, list[str]]]:
    """Each frame's numbers by bone."""
    frames: list[dict[str, list[str]]] = []
    for line in path.read_text(errors="replace").splitlines():
        words = line.split()
        if len(words) == 1 and words[0].isdigit():
            frames.append({})
        elif words and words[0][0] not in ":#" and frames:
            frames[-1][words[0]] = words[1:]
    if not frames:
        raise ValueError(f"{path}: no frame in it, so it is no AMC file")
    return frames


def _values(path: Path, frames: list[dict], bone: str, count: int) -> np.ndarray:
    """A bone's channels (T, count)."""
    try:
        values = np.array([frame[bone] for frame in frames], dtype=float)
    except (KeyError, ValueError):
        values = np.empty(0)
    if values.shape != (len(frames), count):
        raise ValueError(
            f"{path}: {bone} has not the {count} numbers in every frame that its skeleton asks "
            "for; take the skeleton of the same person"
        )
    return values
