"""Which takes there are: people, motion, surroundings and camera of every clip and still, by name.
"""

from functools import lru_cache

import numpy as np
from scipy.spatial.transform import Rotation

from posebook.data.recorded import body
from posebook.data.recorded.motion import MotionClip, load_motion
from posebook.data.rendered import people, scene
from posebook.data.rendered.mesh import REST_JOINTS, Mesh, Pose, pose_mesh
from posebook.data.rendered.take import MIDDLE, SAMPLES, Light, Sensor, Take

FPS = 25.0
GROUPS = ("A", "B", "C")
# One cycle each, too short to cut in three: all groups walk and run the same steps.
CYCLES = ("run", "walk")
CAMERAS = ("tripod", "pan", "hand")
STILL_PEOPLE = 48
_SEED = 2


@lru_cache(maxsize=4)
def clip_take(name: str, frames: tuple[int, int]) -> tuple[Take, str, float]:
    """What is seen in a clip, its action, and the share of time that the shutter is open."""
    group, person, number = GROUPS.index(name[0]), int(name[1:3]), int(name[4:])
    rng = np.random.default_rng([_SEED, 1, group, person, number])
    mesh, about = _person((_SEED, 0, group, person))
    mesh, look = people.dress(mesh, about, rng)
    motions = load_motion()
    motion = motions[(number + 4 * person + 9 * group) % len(motions)]
    shutter = rng.uniform(0.35, 1.0)
    joints, time = _perform(motion, group, frames, shutter, rng)
    if rng.random() < 0.5:
        joints = body.mirror(joints)
    pose = _on_the_floor(mesh, _turn(pose_mesh(mesh, joints), rng.uniform(0, 2 * np.pi)))
    way = mesh.locate(pose)[:, REST_JOINTS.index("Hip")]
    camera = _camera(mesh, pose, time, CAMERAS[int(rng.integers(len(CAMERAS)))], rng)
    events = int(rng.choice(3, p=[0.3, 0.5, 0.2]))
    plates = scene.make_occluders(way, time, camera.center, events, rng)
    backdrop = scene.make_backdrop(camera, way.mean(0), rng)
    seed = (_SEED, 2, group, person, number)
    take = Take(mesh, look, pose, camera, plates, backdrop, _light(rng), _film_of(rng), seed)
    return take, motion.name, shutter


@lru_cache(maxsize=64)
def _person(seed: tuple[int, ...]) -> tuple[Mesh, dict]:
    return people.make_person(np.random.default_rng(seed))


def _perform(motion: MotionClip, group: int, frames: tuple[int, int], shutter: float, rng):
    """Recorded joints (N, 17, 3) of a group's stretch of a motion at N = T * SAMPLES instants, and
    when these are (N,), in frames.

    The speed is drawn; a stretch that is too short for the shortest clip is slowed down to fit.
    """
    first, last = _stretch(motion, group)
    rows_a_frame = motion.fps / FPS * rng.uniform(0.55, 1.1)
    wanted = int(rng.integers(frames[0], frames[1] + 1))
    if motion.name in CYCLES:
        start, time = rng.uniform(0, len(motion)), _instants(wanted, shutter)
        return _at(motion, start + rows_a_frame * time, cyclic=True), time
    T = int(np.clip((last - first) / rows_a_frame, frames[0], wanted))
    rows_a_frame = min(rows_a_frame, (last - first) / T)
    start = first + rng.uniform(0, 1) * (last - first - rows_a_frame * T)
    time = _instants(T, shutter)
    rows = np.clip(start + rows_a_frame * (0.5 + time), first, last)
    return _at(motion, rows, cyclic=False), time


def _stretch(motion: MotionClip, group: int) -> tuple[float, float]:
    """First and last row of a group's third of a motion; between two thirds 0.08 s are left out."""
    third = len(motion) / len(GROUPS)
    return group * third + 2, (group + 1) * third - 2


def _instants(T: int, shutter: float) -> np.ndarray:
    """Times (T * SAMPLES,) of the instants, in frames; frame t is exposed about time t."""
    within = ((np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5) * shutter
    return (np.arange(T)[:, None] + within).reshape(-1)


def _at(motion: MotionClip, rows: np.ndarray, cyclic: bool) -> np.ndarray:
    """Joints at fractional rows, between the recorded neighbours; a cycle goes on and on."""
    joints = motion.joints.astype(float)
    last = len(joints) - 1
    way = np.zeros((len(rows), 1, 3))
    if cyclic:
        turns, rows = np.divmod(rows, last)
        way = turns[:, None, None] * (joints[-1, :1] - joints[0, :1]) * [1, 1, 0]
    low = np.minimum(rows.astype(int), last - 1)
    w = (rows - low)[:, None, None]
    return (1 - w) * joints[low] + w * joints[low + 1] + way


def _turn(pose: Pose, heading: float) -> Pose:
    """The pose turned about the world's z axis."""
    R = Rotation.from_euler("z", heading).as_matrix()
    return Pose(R @ pose.turn, pose.shift @ R.T)


def _on_the_floor(mesh: Mesh, pose: Pose) -> Pose:
    """The pose moved so that the lowest points of its frames lie on the floor, mostly.

    The recordings sink in by some centimetres here and there, and a longer arm by more.
    """
    lowest = mesh.place(pose)[..., 2].min(1)
    return Pose(pose.turn, pose.shift - [0, 0, float(np.quantile(lowest, 0.1))])


def _camera(mesh: Mesh, pose: Pose, time: np.ndarray, kind: str, rng) -> scene.CameraPath:
    """A camera that keeps the person in view: on a tripod, following, or held by hand.

    Args:
        time: of the pose's instants (N,), in frames.
    """
    joints = mesh.locate(pose)
    way = joints[:, REST_JOINTS.index("Hip")]
    N = len(way)
    azimuth, distance = rng.uniform(0, 2 * np.pi), rng.uniform(3.2, 7)
    center = way.mean(0) + distance * np.array([np.cos(azimuth), np.sin(azimuth), 0])
    center[2] = rng.uniform(0.5, 2.4)
    target = np.broadcast_to((joints.min((0, 1)) + joints.max((0, 1))) / 2, way.shape)
    if kind != "tripod":
        target = _follow((joints.min(1) + joints.max(1)) / 2, time)
    shake = np.zeros((N, 3))
    zoom = np.ones(N)
    if kind == "hand":
        rate, phase = rng.uniform(0.03, 0.16, (4, 3)), rng.uniform(0, 2 * np.pi, (4, 3))
        swing = np.sin(2 * np.pi * rate[:, None] * time[:, None] + phase[:, None])
        shake = swing.mean(0) * rng.uniform(0.01, 0.035)
        zoom = np.exp((time - time.mean()) * rng.uniform(-0.018, 0.018))
    turn = scene.look_at(center, target, shake[:, 2])
    turn = Rotation.from_euler("xy", shake[:, :2]).as_matrix() @ turn
    aside = Rotation.from_euler("xy", rng.normal(0, 0.025, 2)).as_matrix()
    camera = scene.CameraPath(aside @ turn, center, zoom * 300.0)
    return _frame_up(camera, joints, rng.uniform(110, 200))


def _follow(points: np.ndarray, time: np.ndarray, width: int = 5) -> np.ndarray:
    """Points (N, 3) as a camera follows them: their mean over `width` frames about each instant."""
    middle = points[MIDDLE :: SAMPLES]
    padded = np.pad(middle, ((width // 2, width // 2), (0, 0)), mode="edge")
    mean = np.stack([padded[k : k + len(middle)] for k in range(width)]).mean(0)
    frames = np.arange(len(middle))
    return np.stack([np.interp(time, frames, axis) for axis in mean.T], axis=-1)


def _frame_up(camera: scene.CameraPath, joints: np.ndarray, extent: float) -> scene.CameraPath:
    """Zoom so that the person is `extent` pixels tall or wide, and less where limbs leave view."""
    pixels, _ = camera.project(joints)
    spans = (pixels.max(1) - pixels.min(1)).max(-1)
    focal = camera.focal * extent / np.median(spans)
    for _ in range(12):
        camera = scene.CameraPath(camera.turn, camera.center, focal)
        pixels, _ = camera.project(joints)
        outside = (pixels < 0) | (pixels > [scene.WIDTH - 1, scene.HEIGHT - 1])
        if outside.any(-1).mean() < 0.02:
            break
        focal = focal * 0.93
    return camera


def _light(rng) -> Light:
    height, side = rng.uniform(0.6, 1.35), rng.uniform(0, 2 * np.pi)
    direction = np.array(
        [np.cos(height) * np.cos(side), np.cos(height) * np.sin(side), np.sin(height)]
    )
    sun = rng.uniform(0.3, 0.85) * (1 + rng.uniform(-0.08, 0.08, 3))
    sky = rng.uniform(0.35, 0.6) * (1 + rng.uniform(-0.06, 0.06, 3))
    return Light(direction, sun, sky, shadow=float(np.mean(sun) / np.mean(sun + sky)) * 0.8)


def _film_of(rng) -> Sensor:
    return Sensor(
        softness=rng.uniform(0.2, 0.9),
        noise=rng.uniform(1, 8),
        gain=rng.uniform(0.85, 1.25),
        gamma=rng.uniform(0.75, 1.2),
        quality=int(rng.integers(55, 93)),
    )


@lru_cache(maxsize=1)
def _table() -> body.Posture:
    return body.take_apart(np.concatenate([m.joints for m in load_motion()]).astype(float))


def still_take(part: str, number: int) -> Take:
    """What is seen in a still: a person in a pose put together from several recordings."""
    test = int(part == "test")
    rng = np.random.default_rng([_SEED, 3, test, number])
    person = int(rng.integers(STILL_PEOPLE)) + STILL_PEOPLE * test
    mesh, about = _person((_SEED, 4, person))
    mesh, look = people.dress(mesh, about, rng)
    joints = _recombined(rng)
    if rng.random() < 0.5:
        joints = body.mirror(joints)
    if rng.random() < 0.15:
        tilt = Rotation.from_rotvec(rng.normal(0, 0.5, 3) * [1, 1, 0]).as_matrix()
        joints = (joints - joints[:, :1]) @ tilt.T + joints[:, :1]
    pose = _turn(pose_mesh(mesh, joints), rng.uniform(0, 2 * np.pi))
    pose = Pose(*(np.repeat(part, SAMPLES, axis=0) for part in (pose.turn, pose.shift)))
    pose = _on_the_floor(mesh, pose)
    way = mesh.locate(pose)[:, REST_JOINTS.index("Hip")]
    time = _instants(1, rng.uniform(0.35, 1.0))
    camera = _camera(mesh, pose, time, CAMERAS[int(rng.integers(len(CAMERAS)))], rng)
    events = int(rng.choice(2, p=[0.6, 0.4]))
    plates = scene.make_occluders(way, time, camera.center, events, rng, still=True)
    backdrop = scene.make_backdrop(camera, way.mean(0), rng)
    seed = (_SEED, 5, test, number)
    return Take(mesh, look, pose, camera, plates, backdrop, _light(rng), _film_of(rng), seed)


def _recombined(rng) -> np.ndarray:
    """One pose (1, 17, 3): the arms, mostly also legs, head and the bend of the trunk, are those of
    recordings chosen apart."""
    table = _table()
    pick = [table.take(rng.integers(len(table.root), size=1)) for _ in range(5)]
    groups = (("trunk",), ("right leg", "left leg"), ("left arm",), ("right arm",), ("head",))
    limbs = {
        limb: source
        for group, source in zip(groups, pick, strict=True)
        if rng.random() < 0.6 or "arm" in group[0]
        for limb in group
    }
    trunk = table.take(rng.integers(len(table.root), size=1))
    lengths = np.median(body.bone_lengths(load_motion()[0].joints), axis=0)
    return body.put_together(body.recombine(trunk, limbs), lengths)
