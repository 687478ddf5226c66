"""Skeletons that readers turn and play, drawn by book/_static/player.js.

Without that script (in print, in Jupyter, in an old browser) a strip of still pictures stands in
their place.
"""

import base64
import html
import json
from collections.abc import Mapping, Sequence

import numpy as np
from IPython.display import HTML

from posebook.geometry.skeleton import H36M, JointSet
from posebook.palette import side_color

STRIP_ANGLES = (0, 45, 90)  # degrees
BEHIND = "#b0b0b0"


def player(
    bodies: Mapping[str, np.ndarray],
    label: str,
    *,
    behind: str | Mapping[str, str] = "",
    fps: float = 50.0,
    joint_set: JointSet = H36M,
    caption: str = "",
    knob: str = "",
    steps: Sequence[str] = (),
) -> HTML:
    """Bodies side by side that turn about the vertical axis, all by the same angle.

    Args:
        bodies: name -> joints (T, J, 3) or (J, 3) in metres in a camera's frame (x right, y down, z
            away), all of the same shape. At 0 degrees they are seen as that camera sees them.
        label: what is to be seen, for those who cannot see it.
        behind: the body of that name is drawn in grey behind each of the others; or, by name, the
            body behind each.
        knob, steps: the reader does not play and turn the frames, but moves a slider of that name
            through them; what it stands at is said in words, one for each frame.

    Raises:
        ValueError: shapes that differ or do not fit, no frame, a `behind` that is none of them, or
            not a step for each frame.
    """
    frames = {name: _frames(name, joints, joint_set) for name, joints in bodies.items()}
    if len({joints.shape for joints in frames.values()}) != 1:
        shapes = ", ".join(f"{name} {joints.shape}" for name, joints in frames.items())
        raise ValueError(f"bodies that are shown together must have one shape, not {shapes}")
    of = {b: name for name, b in behind.items()} if isinstance(behind, Mapping) else {behind: ""}
    of = {b: name for b, name in of.items() if b}
    if not {*of, *filter(None, of.values())} <= {*frames}:
        raise ValueError(f"behind is {behind!r}, which is none of {', '.join(frames)}")
    if steps and len(steps) != len(next(iter(frames.values()))):
        raise ValueError(f"there must be a step for each frame, not {len(steps)}")
    middle = _middle(np.concatenate([frames[name] for name in of or frames]))
    frames = {name: joints - middle for name, joints in frames.items()}
    first = next(iter(frames.values()))
    data = {
        "label": label, "fps": fps, "frames": len(first), "joints": len(joint_set),
        "knob": knob, "steps": list(steps), "size": _size(frames),
        "bones": _bones(joint_set), "colors": _colors(joint_set),
        "bodies": [
            {"name": name, "behind": name in of, "of": of.get(name, ""), "at": _packed(joints)}
            for name, joints in frames.items()
        ],
    }  # fmt: skip
    # "</" would end the element that the data stands in.
    payload = json.dumps(data).replace("</", "<\\/")
    told = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    strip = _strip(frames, of, joint_set, data["size"], label)
    return HTML(
        f'<figure class="skeletons"><div class="strip">{strip}</div>'
        f'<script type="application/json">{payload}</script>{told}</figure>'
    )


def _frames(name: str, joints, joint_set: JointSet) -> np.ndarray:
    joints = np.asarray(joints, dtype=float)
    joints = joints[None] if joints.ndim == 2 else joints
    if joints.ndim != 3 or joints.shape[1:] != (len(joint_set), 3) or not len(joints):
        raise ValueError(
            f"body {name!r} must be (T, {len(joint_set)}, 3) with at least one frame, "
            f"not {joints.shape}"
        )
    return joints


def _middle(joints: np.ndarray) -> np.ndarray:
    return (np.nanmin(joints, axis=(0, 1)) + np.nanmax(joints, axis=(0, 1))) / 2


def _size(frames: Mapping[str, np.ndarray]) -> int:
    """Side in millimetres of the square that holds all bodies at every angle."""
    every = np.concatenate(list(frames.values()))
    across = 2 * np.nanmax(np.hypot(every[..., 0], every[..., 2]))
    return int(np.ceil(1030 * max(across, 2 * np.nanmax(np.abs(every[..., 1])))))


def _bones(joint_set: JointSet) -> list[list[int]]:
    colors = _colors(joint_set)
    return [
        [int(a), int(b), colors.index(side_color(joint_set.names[b]))] for a, b in joint_set.bones
    ]


def _colors(joint_set: JointSet) -> list[str]:
    return list(dict.fromkeys(side_color(joint_set.names[b]) for _, b in joint_set.bones))


def _packed(joints: np.ndarray) -> str:
    """Millimetres as little-endian int16, 6 bytes a joint; what is not known is the lowest."""
    millimetres = (1000 * joints).round().clip(-32767, 32767)
    millimetres = np.nan_to_num(millimetres, nan=-32768)
    return base64.b64encode(millimetres.astype("<i2").tobytes()).decode()


def _strip(frames, of: Mapping[str, str], joint_set: JointSet, size: int, label: str) -> str:
    """The first frame of each body from three sides, as one SVG."""
    shown = [name for name in frames if name not in of]
    wide, high = 110, 140
    parts = []
    for row, name in enumerate(shown):
        for column, angle in enumerate(STRIP_ANGLES):
            corner = (column + 0.5) * wide, (row + 0.5) * high - 8
            for grey in (b for b, front in of.items() if front in ("", name)):
                parts += _lines(frames[grey][0], angle, corner, wide / size, joint_set, BEHIND)
            parts += _lines(frames[name][0], angle, corner, wide / size, joint_set)
        text = f"{name}: from 0°, 45° and 90°"
        parts.append(
            f'<text x="{1.5 * wide}" y="{(row + 1) * high - 6}" font-size="11" fill="currentColor" '
            f'text-anchor="middle">{html.escape(text)}</text>'
        )
    box = f"0 0 {len(STRIP_ANGLES) * wide} {len(shown) * high}"
    return (
        f'<svg viewBox="{box}" role="img" aria-label="{html.escape(label)}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def _lines(joints, degrees, corner, scale, joint_set: JointSet, color: str = "") -> list[str]:
    """One SVG path a colour."""
    turn = np.deg2rad(degrees)
    across = np.cos(turn) * joints[:, 0] + np.sin(turn) * joints[:, 2]
    at = np.stack([across, joints[:, 1]], axis=-1) * 1000 * scale + corner
    paths: dict[str, str] = {}
    for bone in map(list, joint_set.bones):
        if np.isfinite(at[bone]).all():
            ink = color or side_color(joint_set.names[bone[1]])
            (x0, y0), (x1, y1) = at[bone]
            paths[ink] = paths.get(ink, "") + f"M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}"
    look = f'stroke-width="{4 if color else 2}" stroke-linecap="round"'
    return [f'<path d="{d}" stroke="{ink}" {look}/>' for ink, d in paths.items()]
