"""Skeletons that readers turn and play, and short films, drawn by book/_static/player.js.

Without that script (in print, in Jupyter, in an old browser) a strip of still pictures stands in
their place.
"""

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from IPython.display import HTML

from posebook.geometry.skeleton import H36M, JointSet
from posebook.palette import side_color

STRIP_ANGLES = (0, 45, 90)  # degrees
STRIP_FRAMES = 4  # of a film
SHEET_COLUMNS = 6
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
    size = _size(frames)
    strip = _strip(frames, of, joint_set, size, label)
    return _figure(frames, of, joint_set, strip, caption, label=label, fps=fps, size=size,
                   knob=knob, steps=list(steps))  # fmt: skip


def film(
    pictures: np.ndarray,
    joints: Mapping[str, np.ndarray],
    label: str,
    *,
    behind: str = "",
    fps: float = 25.0,
    joint_set: JointSet = H36M,
    caption: str = "",
    quality: int = 60,
) -> HTML:
    """The same pictures side by side, each with its own joints, as a film that plays.

    Args:
        pictures: (T, h, w, 3), uint8, RGB: small ones, for all of them are in the page, once.
        joints: name -> (T, J, 2) pixels. Where they are NaN, no bone is drawn.
        label, behind: as of `player`.
        quality: of the WebP file that holds all pictures, 1 to 100.

    Raises:
        ValueError: as of `player`, and unless there is a picture for each frame.
    """
    pictures = np.asarray(pictures)
    T, high, wide = pictures.shape[:3]
    frames = {}
    for name, points in joints.items():
        if np.shape(points) != (T, len(joint_set), 2):
            raise ValueError(
                f"joints of {name!r} must be {(T, len(joint_set), 2)}, not {np.shape(points)}"
            )
        # Tenths of a pixel about the middle, where bodies have millimetres.
        middle = np.array([wide - 1, high - 1]) / 2
        frames[name] = np.pad((np.asarray(points) - middle) / 100, [(0, 0), (0, 0), (0, 1)])
    if behind not in ("", *frames):
        raise ValueError(f"behind is {behind!r}, which is none of {', '.join(frames)}")
    of = {behind: ""} if behind else {}
    sheet = _sheet(pictures, quality)
    strip = _stills(frames, of, joint_set, sheet, (T, high, wide), label)
    return _figure(frames, of, joint_set, strip, caption, label=label, fps=fps, size=10 * high,
                   knob="Frame", steps=[f"{t + 1} of {T}" for t in range(T)],
                   film=[wide, high, SHEET_COLUMNS])  # fmt: skip


def _figure(frames, of, joint_set: JointSet, strip: str, caption: str, **data) -> HTML:
    """The strip and what the script needs: what is given, and the bodies in short."""
    first = next(iter(frames.values()))
    data |= {
        "frames": len(first), "joints": len(joint_set),
        "bones": _bones(joint_set), "colors": _colors(joint_set),
        "bodies": [
            {"name": name, "behind": name in of, "of": of.get(name, ""), "at": _packed(joints)}
            for name, joints in frames.items()
        ],
    }  # fmt: skip
    # "</" would end the element that the data stands in.
    payload = json.dumps(data).replace("</", "<\\/")
    told = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
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
    wide, high = 110, 140

    def cell(name: str, row: int, column: int) -> list[str]:
        corner = (column + 0.5) * wide, (row + 0.5) * high - 8
        angle = STRIP_ANGLES[column]
        return _bodies(frames, of, name, 0, angle, corner, wide / size, joint_set)

    names = {name: f"{name}: from 0°, 45° and 90°" for name in frames if name not in of}
    return _rows(names, len(STRIP_ANGLES), wide, high, label, cell)


def _sheet(pictures: np.ndarray, quality: int) -> str:
    """All pictures (T, h, w, 3) as one file, row by row, ready to be named in a page."""
    blank = -len(pictures) % SHEET_COLUMNS
    every = np.pad(pictures, [(0, blank), *[(0, 0)] * 3])
    rows = [np.concatenate(list(row), axis=1) for row in every.reshape(
        -1, SHEET_COLUMNS, *pictures.shape[1:])]  # fmt: skip
    sheet = cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR)
    _, content = cv2.imencode(".webp", sheet, [cv2.IMWRITE_WEBP_QUALITY, quality])
    return "data:image/webp;base64," + base64.b64encode(content.tobytes()).decode()


def _stills(frames, of, joint_set: JointSet, sheet: str, shape, label: str) -> str:
    """Some frames of a film, as one SVG; its `image` is the sheet of all."""
    T, high, wide = shape
    at = np.linspace(0, T - 1, STRIP_FRAMES).round().astype(int)
    key = "sheet-" + hashlib.sha256(sheet.encode()).hexdigest()[:8]

    def cell(name: str, row: int, column: int) -> list[str]:
        x, y = (at[column] % SHEET_COLUMNS) * wide, (at[column] // SHEET_COLUMNS) * high
        corner = x + wide / 2, y + high / 2
        drawn = _bodies(frames, of, name, at[column], 0, corner, 0.1, joint_set)
        place = f'x="{column * wide}" y="{row * (high + 20)}" width="{wide}" height="{high}"'
        used = f'<svg {place} viewBox="{x} {y} {wide} {high}"><use href="#{key}"/>'
        return [used, *drawn, "</svg>"]

    across, down = SHEET_COLUMNS * wide, -(-T // SHEET_COLUMNS) * high
    image = f'<image id="{key}" width="{across}" height="{down}" href="{sheet}"/>'
    names = {name: name for name in frames if name not in of}
    return _rows(names, STRIP_FRAMES, wide, high + 20, label, cell, f"<defs>{image}</defs>")


def _rows(
    names: Mapping[str, str], columns: int, wide: int, high: int, label: str, cell, before=""
):
    """An SVG with a row of cells for each name, which stands below with what is said of it."""
    parts = [before]
    for row, (name, text) in enumerate(names.items()):
        for column in range(columns):
            parts += cell(name, row, column)
        parts.append(
            f'<text x="{columns / 2 * wide}" y="{(row + 1) * high - 6}" font-size="11" '
            f'fill="currentColor" text-anchor="middle">{html.escape(text)}</text>'
        )
    return (
        f'<svg viewBox="0 0 {columns * wide} {len(names) * high}" role="img" '
        f'aria-label="{html.escape(label)}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def _bodies(frames, of, name, frame, angle, corner, scale, joint_set: JointSet) -> list[str]:
    """A body of a frame, and in grey what is behind it."""
    parts = []
    for grey in (b for b, front in of.items() if front in ("", name)):
        parts += _lines(frames[grey][frame], angle, corner, scale, joint_set, BEHIND)
    return parts + _lines(frames[name][frame], angle, corner, scale, joint_set)


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
