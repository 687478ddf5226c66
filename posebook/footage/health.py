"""How healthy a rig is: residuals, shifts in time, units, which way is up, what pictures show.

Doubts and their likely causes come from `posebook.data.plausible`; here are the numbers beside
them, as a text and as a picture of cameras and people from above.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.figure
import numpy as np

from posebook.data.plausible import findings
from posebook.data.records import ViewSequence
from posebook.data.sampled import Finding, Fit, Sample, fit, median
from posebook.geometry.camera import Camera
from posebook.geometry.skeleton import H36M
from posebook.palette import CYCLE

MOST = 400  # instants that are looked at
REACH = 15  # frames to either side in which a shift is looked for
CLEAR = 0.8  # a shift counts where it leaves less than this of the residual
_AXES = [(sign, axis) for axis in range(3) for sign in (1, -1)]
_CHAIN = ("Head", "Thorax", "Spine", "Hip")
_LEGS = (("Hip", "RHip", "RKnee", "RFoot"), ("Hip", "LHip", "LKnee", "LFoot"))


@dataclass(frozen=True, eq=False)
class Health:
    """What was found about V cameras.

    Attributes:
        residual: (V,) median pixels to the triangulation of all views.
        left_out: (V,) those to the triangulation of the others.
        shift: (V,) frames that the camera is late (+) or early (-).
        found: (V,) share of joints that it shows.
        reach: (V, 2, 2) where in the picture they lie, as shares: (from, to) in x and in y.
        body: metres from head to foot along the bones.
        up: such as "+z".
        findings: doubts, with the likely cause.
    """

    names: tuple[str, ...]
    residual: np.ndarray
    left_out: np.ndarray
    shift: np.ndarray
    found: np.ndarray
    reach: np.ndarray
    body: float
    up: str
    findings: tuple[Finding, ...]
    joint_set: str

    def text(self) -> str:
        """The report."""
        lines = [
            "Lengths are metres; the calibration's world has "
            f"{self.up} up; joints are {self.joint_set} (posebook.geometry.skeleton).",
            f"The body measures {self.body:.2f} m from head to foot along its bones "
            f"({_size_said(self.body)}).",
            "",
            f"{'camera':14}{'residual':>10}{'left out':>10}{'late by':>12}{'found':>8}   picture",
        ]
        for v, name in enumerate(self.names):
            (x0, x1), (y0, y1) = 100 * self.reach[v]
            lines.append(
                f"{name:14}{self.residual[v]:7.1f} px{self.left_out[v]:7.1f} px"
                f"{self.shift[v]:+5d} frames{self.found[v]:8.0%}   "
                f"x {x0:.0f}-{x1:.0f} %, y {y0:.0f}-{y1:.0f} %"
            )
        doubts = [finding.text for finding in self.findings] + self._remedies()
        return "\n".join([*lines, "", *(doubts or ["Nothing is in doubt."])])

    def _remedies(self) -> list[str]:
        said = []
        for v, name in enumerate(self.names):
            if self.shift[v]:
                said.append(f"camera {name} is {abs(self.shift[v])} frames "
                            f"{'late' if self.shift[v] > 0 else 'early'}; cut so many from the "
                            f"start of {'it' if self.shift[v] > 0 else 'the others'}, or "
                            "synchronise; where extrinsics are somewhat off, --refine first"
                            )  # fmt: skip
            if self.found[v] < 0.5:
                said.append(f"camera {name} shows {self.found[v]:.0%} of the joints; turn it, or "
                            "leave it out")  # fmt: skip
        if self.up != "+z":
            said.append(f"the world has {self.up} up; what is written is turned so that +z is")
        return said


def examine(take: ViewSequence) -> Health:
    """Look at one person's take of at least two views, joints in Human3.6M's order."""
    sample = Sample.of([take], MOST)
    found = fit(sample)
    spots = [sample.pixels[:, v][sample.seen[:, v]] for v in range(len(sample.cameras))]
    reach = [
        (np.percentile(spot, [1, 99], axis=0) / c.resolution).T if len(spot) else np.zeros((2, 2))
        for spot, c in zip(spots, sample.cameras)
    ]
    return Health(
        tuple(c.name for c in take.cameras), found.levels, _left_out(sample), shifts(take),
        sample.seen.mean((0, 2)), np.array(reach), body_size(found.world),
        up_of(found.world, take.cameras), tuple(findings([take])), take.joint_set,
    )  # fmt: skip


def _left_out(sample: Sample) -> np.ndarray:
    """(V,) median pixels from where the other views put a joint; NaN with fewer than three."""
    views = range(len(sample.cameras))
    if len(views) < 3:
        return np.full(len(views), np.nan)
    return np.array([
        _off(c, fit(sample.without(v)), sample.pixels[:, v], sample.seen[:, v])
        for v, c in enumerate(sample.cameras)
    ])  # fmt: skip


def _off(camera: Camera, others: Fit, pixels: np.ndarray, counts: np.ndarray) -> float:
    off = np.linalg.norm(camera.project(others.world) - pixels, axis=-1)
    return median(np.where(counts, off, np.nan))


def shifts(take: ViewSequence) -> np.ndarray:
    """(V,) frames by which each camera is late against the others; 0 where that is not clear.

    Joints that move are predicted by the other cameras and looked for in the frames around. The
    camera for which that gains most is put right first, because it spoils the others' answers.
    With two cameras, or in a take that is too short, nothing is said.
    """
    T, V = take.confidence.shape[:2]
    late = np.zeros(V, dtype=int)
    if V < 3 or T < 3 * REACH:
        return late
    first = max(REACH, (T - MOST) // 2)
    at = np.arange(first, min(first + MOST, T - REACH))
    for _ in range(V):
        curves = np.array([_curve(take, at, late, v) for v in range(V)])
        gain = np.nan_to_num(curves.min(1) / curves[:, REACH], nan=1.0)
        v = int(gain.argmin())
        if gain[v] > CLEAR:
            break
        late[v] += int(curves[v].argmin()) - REACH
    return late - int(np.median(late))


def _curve(take: ViewSequence, at: np.ndarray, late: np.ndarray, v: int) -> np.ndarray:
    """(2 REACH + 1,) pixels that camera v is off if it is so many frames later than thought."""
    index = np.clip(at[:, None] + late, 0, len(take) - 1), np.arange(len(late))
    sample = Sample(take.cameras, take.joints_2d[index].astype(float), take.confidence[index],
                    0 * at, at)  # fmt: skip
    others = fit(sample.without(v))
    steps = [np.clip(at + late[v] + n, 0, len(take) - 1) for n in range(-REACH, REACH + 1)]
    moved = np.linalg.norm(take.joints_2d[steps[-1], v] - take.joints_2d[steps[0], v], axis=-1)
    moving = moved >= np.median(moved)
    return np.array([
        _off(take.cameras[v], others, take.joints_2d[t, v], moving & (take.confidence[t, v] > 0))
        for t in steps
    ])  # fmt: skip


# ---------------------------------------------------------------- the body, and which way is up


def body_size(world: np.ndarray) -> float:
    """Head to foot along the bones of bodies (T, 17, 3): the trunk and the mean of both legs."""
    legs = [_length(world, leg) for leg in _LEGS]
    return _length(world, _CHAIN) + sum(legs) / 2


def _length(world: np.ndarray, names: tuple[str, ...]) -> float:
    joints = world[:, H36M.index(*names)]
    return sum(median(part) for part in np.linalg.norm(np.diff(joints, axis=1), axis=-1).T)


def _size_said(body: float) -> str:
    if 0.8 < body < 2.3:
        return "as people do"
    factors = {"cm": 0.01, "mm": 0.001, "m": 1.0, "feet": 0.3048, "inches": 0.0254}
    unit = min(factors, key=lambda name: abs(np.log(max(body, 1e-9) * factors[name] / 1.6)))
    if unit == "m":
        return "people do not; are these the joints, and the cameras, that the files say?"
    return f"people do not; if lengths were read as metres they are {unit}; give --unit"


def up_of(world: np.ndarray, cameras: tuple[Camera, ...]) -> str:
    """The world's axis along which people's trunks and cameras' pictures stand."""
    hip, thorax = H36M.index("Hip", "Thorax")
    trunk = world[:, thorax] - world[:, hip]
    trunk = np.array([median(part) for part in trunk.T])
    mean = trunk / max(np.linalg.norm(trunk), 1e-9) - np.mean([c.R[1] for c in cameras], axis=0)
    sign, axis = max(_AXES, key=lambda pair: pair[0] * mean[pair[1]])
    return f"{'+' if sign > 0 else '-'}{'xyz'[axis]}"


def upright(cameras: tuple[Camera, ...], up: str) -> tuple[Camera, ...]:
    """The cameras in a world that is turned so that its +z is what was `up`."""
    z = np.eye(3)["xyz".index(up[1])] * (1 if up[0] == "+" else -1)
    x = np.eye(3)[("xyz".index(up[1]) + 1) % 3]
    turn = np.stack([x, np.cross(z, x), z])  # rows: the new axes in the old world
    return tuple(replace(c, R=c.R @ turn.T, center=turn @ c.center) for c in cameras)


def draw(take: ViewSequence, path: Path) -> Path:
    """Cameras, where they look and where the person went, from above; metres."""
    world = fit(Sample.of([take], MOST)).world
    figure = matplotlib.figure.Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    hip = world[:, 0]
    axes.plot(hip[:, 0], hip[:, 1], color=CYCLE[-1], label="person (hip)")
    length = 0.3 * np.ptp([c.center for c in take.cameras], axis=0).max()
    for c, color in zip(take.cameras, CYCLE * len(take.cameras)):
        look = c.center[:2] + length * c.R[2, :2]
        axes.plot(*zip(c.center[:2], look), color=color)
        axes.plot(*c.center[:2], "s", color=color)
        axes.annotate(c.name, c.center[:2], textcoords="offset points", xytext=(6, 6))
    axes.set(xlabel="x (m)", ylabel="y (m)", aspect="equal", title="The rig from above")
    axes.legend()
    figure.savefig(path, dpi=120)
    return path
