"""Drawings: one function each, on axes that the caller makes.

Left limbs are blue, right limbs orange, the middle dark: see `posebook.palette`.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython import get_ipython
from IPython.core.pylabtools import print_figure
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MultipleLocator, NullFormatter
from matplotlib_inline.backend_inline import set_matplotlib_formats
from mpl_toolkits.mplot3d import Axes3D
from PIL import Image

from posebook.geometry.skeleton import H36M, JointSet
from posebook.palette import CYCLE, METHODS, method_color, side_color

_LINES = ("-", "--", ":", "-.")


def use_style() -> None:
    """Set the book's look for all figures that follow: small, without a frame, readable colours.

    In a notebook they have two pixels for each that is shown, so that they are crisp on a phone and
    in print.
    """
    if get_ipython():
        set_matplotlib_formats("retina")
    plt.rcParams.update(
        {
            "figure.figsize": (6.0, 3.4),
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "font.size": 9,
            "axes.prop_cycle": plt.cycler(color=CYCLE),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.alpha": 0.25,
            "lines.linewidth": 1.6,
            "legend.frameon": False,
        }
    )


def use_photographs() -> None:
    """As JPEG, all figures that follow in a notebook: pictures from a camera are large as PNG.

    They keep the two pixels for each that is shown.
    """
    shell = get_ipython()
    if shell:
        set_matplotlib_formats("jpeg")
        shell.display_formatter.formatters["image/jpeg"].for_type(Figure, photograph)


def photograph(figure: Figure, quality: int = 70) -> tuple[str, dict[str, int]]:
    """A figure as JPEG in base64, and the width and height at which it is shown."""
    wanted = {"dpi": 2 * figure.dpi, "pil_kwargs": {"quality": quality}}
    content = print_figure(figure, fmt="jpeg", base64=True, **wanted)
    wide, high = Image.open(BytesIO(b64decode(content))).size
    return content, {"width": wide // 2, "height": high // 2}


def plot_pose_3d(
    ax: Axes3D,
    joints: np.ndarray,
    joint_set: JointSet = H36M,
    frame: str = "world",
    limits: np.ndarray | None = None,
    **line,
) -> None:
    """Draw a skeleton (J, 3) in metres, with the same scale along all axes.

    Args:
        frame: "world" (z up) or "camera" (y down, z away from the camera), which is turned upright
            for display.
        limits: (N, 3) points, in the same frame, that shall be in view: give the same ones to
            pictures that are compared. Default: the joints.
        line: passed on to each bone's line, such as ``alpha=0.4`` or ``linestyle=":"``.
    """
    joints = _checked(joints, joint_set, 3)
    shown = joints if limits is None else np.asarray(limits, dtype=float)
    joints, shown = _upright(joints, frame), _upright(shown, frame)
    for parent, child in joint_set.bones:
        bone = joints[[parent, child]]
        ax.plot(*bone.T, **{"color": side_color(joint_set.names[child]), "linewidth": 2, **line})
    _equal_axes(ax, shown)
    names = ("x", "y", "z") if frame == "world" else ("x", "depth", "up")
    ax.set(**{f"{axis}label": f"{name} (m)" for axis, name in zip("xyz", names, strict=True)})


def plot_pose_2d(
    ax: Axes,
    joints: np.ndarray,
    confidence: np.ndarray | None = None,
    joint_set: JointSet = H36M,
    **line,
) -> None:
    """Draw a skeleton (J, 2) in pixels or rays, y down as in the picture.

    Args:
        confidence: (J,) in [0, 1]; a joint is drawn the fainter and a bone the thinner, the less
            it is trusted.
        line: passed on to each bone's line.
    """
    joints = _checked(joints, joint_set, 2)
    trust = np.ones(len(joints)) if confidence is None else np.clip(confidence, 0, 1)
    if trust.shape != (len(joints),):
        raise ValueError(f"confidence must be ({len(joints)},), got {trust.shape}")
    for parent, child in joint_set.bones:
        bone, sure = joints[[parent, child]], min(trust[parent], trust[child])
        look = {"color": side_color(joint_set.names[child]), "linewidth": 0.5 + 1.5 * sure, **line}
        ax.plot(*bone.T, **look)
    colors = [side_color(name) for name in joint_set.names]
    ax.scatter(*joints.T, s=14, c=colors, alpha=0.15 + 0.85 * trust, zorder=3)
    ax.set_aspect("equal")
    if not ax.yaxis_inverted():
        ax.invert_yaxis()


def plot_curves(
    ax: Axes,
    curves: Mapping[str, Sequence],
    xlabel: str = "step",
    ylabel: str = "",
    log: bool = False,
) -> None:
    """Draw named curves, each a list of [step, value] as result files hold them.

    Lines differ in colour and in pattern, so that they can be told apart in grey; a method has its
    own colour. Curves of the same name with a ``#`` and a seed behind it, "reproj#0" and
    "reproj#1", share both and one entry of the legend. A value of None leaves a gap.
    """
    order = list(dict.fromkeys(name.split("#")[0] for name in curves))
    labelled = set()
    for name, points in curves.items():
        title = name.split("#")[0]
        place = order.index(title)
        label = None if title in labelled else title
        labelled.add(title)
        steps, values = np.array(points, dtype=float).reshape(-1, 2).T
        color = METHODS.get(title, CYCLE[place % len(CYCLE)])
        look = {"color": color, "linestyle": _LINES[place % len(_LINES)]}
        ax.plot(steps, values, label=label, **look)
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    ax.legend()


def plot_seeds(
    ax: Axes, runs: pd.DataFrame, rows: Mapping[str, str], metric: str, log: bool = False
) -> None:
    """Draw every run of some table rows: a line a row, a dot a seed, a bar at their mean.

    Args:
        runs: as from `posebook.results.records.read_rows`.
        rows: title -> name in the column `variant`, from top to bottom.
    """
    for place, (title, row) in enumerate(rows.items()):
        mine = runs[runs["variant"] == row]
        values = mine[metric].dropna().to_numpy(float) if metric in mine else np.empty(0)
        color = method_color(title, row)
        if len(values):
            ax.plot([values.mean()] * 2, [place - 0.3, place + 0.3], color=color, linewidth=2)
        ax.plot(values, np.full(len(values), place), "o", color=color, markersize=5, alpha=0.7)
    ax.set(yticks=range(len(rows)), yticklabels=list(rows), ylim=(len(rows) - 0.5, -0.5))
    if log:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:,.0f}")
        ax.xaxis.set_minor_formatter(NullFormatter())


def motion_colors(field: np.ndarray, top: float) -> np.ndarray:
    """Colours (h, w, 3) in [0, 1] of a field (2, h, w), x before y: hue is direction.

    White is no motion, and full colour a motion of length `top` or more (after Baker et al. 2011).
    """
    x, y = np.asarray(field, dtype=float)
    hue = (np.arctan2(y, x) / (2 * np.pi)) % 1
    strength = np.clip(np.hypot(x, y) / max(top, 1e-12), 0, 1)
    return hsv_to_rgb(np.stack([hue, strength, np.ones_like(hue)], axis=-1))


def plot_color_wheel(ax: Axes, top: float, unit: str = "cells") -> None:
    """The key to `motion_colors`: a disc whose rim is a motion of length `top`, y down."""
    y, x = np.mgrid[-1:1:101j, -1:1:101j]
    disc = motion_colors(np.stack([x, y]), 1.0)
    ax.imshow(np.where((np.hypot(x, y) <= 1)[..., None], disc, 1.0))
    ax.set(title=f"radius {top:.2g} {unit}", aspect="equal")
    ax.axis("off")


def _upright(points: np.ndarray, frame: str) -> np.ndarray:
    if frame == "world":
        return points
    if frame == "camera":
        return np.stack([points[:, 0], points[:, 2], -points[:, 1]], axis=-1)
    raise ValueError(f"frame must be 'world' or 'camera', not {frame!r}")


def _equal_axes(ax: Axes3D, points: np.ndarray) -> None:
    """The same metres an inch, and the same ticks, along all axes; no side shorter than half."""
    low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
    middle, half = (low + high) / 2, (high - low) / 2
    half = 1.05 * np.maximum(half, max(half.max() / 2, 1e-3))
    step = next((step for step in (0.1, 0.25, 0.5, 1, 2, 5) if step >= half.max() / 3), 10)
    for axis, m, h in zip((ax.xaxis, ax.yaxis, ax.zaxis), middle, half, strict=True):
        axis.axes.set(**{f"{axis.axis_name}lim": (m - h, m + h)})
        axis.set_major_locator(MultipleLocator(step))
    ax.set_aspect("equal", adjustable="box")


def _checked(joints: np.ndarray, joint_set: JointSet, dimensions: int) -> np.ndarray:
    joints = np.asarray(joints, dtype=float)
    if joints.shape != (len(joint_set), dimensions):
        raise ValueError(
            f"a pose of {joint_set.name} must be ({len(joint_set)}, {dimensions}), "
            f"got {joints.shape}"
        )
    return joints
