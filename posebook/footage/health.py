"""How healthy a rig is: residuals, shifts in time, units, which way is up, what pictures show.

Doubts and their likely causes come from `posebook.data.plausible`; here are the numbers beside
them, as a text and as a picture of cameras and people from above.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import matplotlib.figure
import numpy as np

from posebook.data.plausible import findings
from posebook.data.records import ViewSequence
from posebook.data.sampled import Finding, Fit, Sample, fit, median
from posebook.data.suspects import REACH as NARROW
from posebook.footage.calibration import UNITS
from posebook.footage.shifts import FEWEST, MOST, other_rate, reach_of, shifts
from posebook.geometry.camera import Camera
from posebook.geometry.skeleton import H36M
from posebook.palette import CYCLE

NEAR, OFF = 0.02, 0.1  # of the person's size: every detector is as far off, and none
PEOPLE = 0.8, 2.3  # metres from head to foot
ADULT = 1.35  # at least
_AXES = [(sign, axis) for axis in range(3) for sign in (1, -1)]
_CHAIN = ("Head", "Thorax", "Spine", "Hip")
_LEGS = (("Hip", "RHip", "RKnee", "RFoot"), ("Hip", "LHip", "LKnee", "LFoot"))


@dataclass(frozen=True, eq=False)
class Health:
    """What was found about V cameras.

    Attributes:
        residual: (V,) median pixels to the triangulation of all views.
        left_out: (V,) those to the triangulation of the others.
        size: (V,) of the person in the picture, pixels.
        shift: (V,) frames that the camera is late (+) or early (-).
        searched: frames to either side in which shifts were looked for; 0: in none.
        rate: of a camera that shows another number of frames a second: which, and how many of its
            frames come in the time of one of the others'.
        found: (V,) share of joints that it shows.
        reach: (V, 2, 2) where in the picture they lie, as shares: (from, to) in x and in y.
        body: metres from head to foot along the bones.
        unit: for which lengths of the calibration were taken.
        up: such as "+z".
        findings: doubts, with the likely cause.
    """

    names: tuple[str, ...]
    residual: np.ndarray
    left_out: np.ndarray
    size: np.ndarray
    shift: np.ndarray
    searched: int
    rate: tuple[int, Fraction] | None
    found: np.ndarray
    reach: np.ndarray
    body: float
    unit: str
    up: str
    findings: tuple[Finding, ...]
    joint_set: str

    def text(self) -> str:
        """The report."""
        lines = [
            "Lengths are metres; the calibration's world has "
            f"{self.up} up; joints are {self.joint_set} (posebook.geometry.skeleton).",
            f"The body measures {self.body:.2f} m from head to foot along its bones, as people "
            f"{'do' if PEOPLE[0] < self.body < PEOPLE[1] else 'do not'}.",
            self._search(),
            "",
            f"{'camera':14}{'residual':>10}{'left out':>10}{'late by':>12}{'found':>8}   picture",
        ]
        for v, name in enumerate(self.names):
            (x0, x1), (y0, y1) = 100 * self.reach[v]
            out = f"{self.left_out[v]:7.1f} px" if len(self.names) > 2 else f"{'-':>10}"
            lines.append(
                f"{name:14}{self.residual[v]:7.1f} px{out}"
                f"{self.shift[v]:+5d} frames{self.found[v]:8.0%}   "
                f"x {x0:.0f}-{x1:.0f} %, y {y0:.0f}-{y1:.0f} %"
            )
        doubts = [finding.text for finding in self.findings] + self._remedies()
        return "\n".join([*lines, "", *(doubts or ["Nothing is in doubt."])])

    def _search(self) -> str:
        more = ""
        if not self.searched:
            more = (f"; to look further takes {FEWEST} frames" if len(self.names) > 2 else
                    "; two cameras hardly show one: film a clap, and cut both to it")  # fmt: skip
        return (f"A shift in time was looked for up to {self.searched or NARROW} frames to either "
                f"side{more}.")  # fmt: skip

    def _remedies(self) -> list[str]:
        said = _size_said(self.body, self.unit)
        for v, name in enumerate(self.names):
            said += self._time_or_place(v)
            if self.found[v] < 0.5:
                said.append(f"camera {name} shows {self.found[v]:.0%} of the joints; turn it, or "
                            "leave it out")  # fmt: skip
        if self.up != "+z":
            said.append(f"the world has {self.up} up; what is written is turned so that +z is")
        return said

    def _time_or_place(self, v: int) -> list[str]:
        name, late, off = f"camera {self.names[v]}", int(self.shift[v]), self._off(v)
        if self.rate and self.rate[0] == v:
            mine, theirs = self.rate[1].as_integer_ratio()
            return [f"{name} fits best if it shows about {mine} frames in the time in which the "
                    f"others show {theirs}: it has another rate, or is off by more than "
                    f"{self.searched} frames; convert the videos to one rate, synchronise, and "
                    "detect again"]  # fmt: skip
        if late:
            most = "at least " if abs(late) >= self.searched else ""
            which, where = ("late", "it") if late > 0 else ("early", "the others")
            return [f"{name} is {most}{abs(late)} frames {which}; cut so many from the start of "
                    f"{where}, or synchronise; where extrinsics are somewhat off, --refine first"
                    ]  # fmt: skip
        if off > OFF:
            return [f"{name} is {off:.0%} of the person's size off"
                    + ", and no shift that was looked for explains it" * bool(self.searched)
                    + "; see that it filmed the same take, then calibrate it again"]  # fmt: skip
        return []

    def _off(self, v: int) -> float:
        """How far the others put the joints of a camera from where it has them, of the size."""
        off = self.left_out if len(self.names) > 2 else self.residual
        return float(off[v] / self.size[v])


def examine(take: ViewSequence, unit: str = "m") -> Health:
    """Look at one person's take of at least two views, joints in Human3.6M's order.

    Args:
        unit: for which lengths of the calibration were taken, one of `UNITS`.
    """
    sample = Sample.of([take], MOST)
    found = fit(sample)
    spots = [sample.pixels[:, v][sample.seen[:, v]] for v in range(len(sample.cameras))]
    reach = [
        (np.percentile(spot, [1, 99], axis=0) / c.resolution).T if len(spot) else np.zeros((2, 2))
        for spot, c in zip(spots, sample.cameras)
    ]
    left_out, late = _left_out(sample), shifts(take)
    worst = int(np.nan_to_num(left_out).argmax())
    far = left_out[worst] > NEAR * sample.extents[worst]
    if (rate := other_rate(take, worst) if far else None) is not None:
        late[worst] = 0
    doubts = [doubt for doubt in findings([take])  # of a late camera the wider search knows more
              if doubt.doubt != "late" or doubt.gross or not (rate or late.any())]  # fmt: skip
    return Health(
        tuple(c.name for c in take.cameras), found.levels, left_out, sample.extents, late,
        reach_of(take), (worst, rate) if rate else None, sample.seen.mean((0, 2)),
        np.array(reach), body_size(found.world), unit, up_of(found.world, take.cameras),
        tuple(doubts), take.joint_set,
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


# ---------------------------------------------------------------- the body, and which way is up


def body_size(world: np.ndarray) -> float:
    """Head to foot along the bones of bodies (T, 17, 3): the trunk and the mean of both legs."""
    legs = [_length(world, leg) for leg in _LEGS]
    return _length(world, _CHAIN) + sum(legs) / 2


def _length(world: np.ndarray, names: tuple[str, ...]) -> float:
    joints = world[:, H36M.index(*names)]
    return sum(median(part) for part in np.linalg.norm(np.diff(joints, axis=1), axis=-1).T)


def _size_said(body: float, unit: str) -> list[str]:
    """What to say of a body whose lengths were taken for this unit; nothing of an adult's."""
    if ADULT < body < PEOPLE[1]:
        return []
    said = f"the body measures {body:.2f} m"
    sizes = {name: body / UNITS[unit] * factor for name, factor in UNITS.items()}
    best = min(sizes, key=lambda name: abs(np.log(max(sizes[name], 1e-9) / 1.6)))
    if best != unit and ADULT < sizes[best] < PEOPLE[1]:
        return [f"{said}; if lengths of the calibration are not {unit} but {best}, it measures "
                f"{sizes[best]:.2f} m: give --unit {best}"]  # fmt: skip
    if PEOPLE[0] < body < PEOPLE[1]:
        return [f"{said}, as children do; if it was an adult, the calibration's unit or scale is "
                "another: give --unit, or calibrate again"]  # fmt: skip
    return [f"{said}, as people do not; see that joints and calibration are those of this take"]


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
