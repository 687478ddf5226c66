"""Embedded views: recorded motion seen by the cameras of Human3.6M, made the same on any machine.

Seven people of different build perform the fifteen embedded clips. Five are for training: their
takes recombine and blend the recorded limbs. Two are for the test: they perform the recorded
motion as it is, on stretches of each clip that no training take has used. A detector model turns
the exact projections into 2D points with confidences.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from posebook.data.recorded import body
from posebook.data.recorded.detector import DETECTORS, detect, occlusion
from posebook.data.recorded.motion import MotionClip, load_motion
from posebook.data.recorded.rig import human36m_rig
from posebook.data.records import ViewSequence
from posebook.geometry.camera import Camera, meeting_point
from posebook.geometry.skeleton import H36M

TRAIN_SUBJECTS = ("S1", "S5", "S6", "S7", "S8")
TEST_SUBJECTS = ("S9", "S11")
SPLITS = ("subjects", "actions")
HEADINGS = ("all", "studio")
# The second split: whole actions that training never sees, one each of walking, dancing,
# striking and getting up.
UNSEEN_ACTIONS = ("walk", "dance_b", "kick", "getup_faceup")
# Limbs that are exchanged together: legs share a balance, arms do not.
_GROUPS = (("trunk",), ("right leg", "left leg"), ("left arm",), ("right arm",), ("head",))
SOURCE = "embedded-views"
FPS = 50.0


@dataclass(frozen=True)
class ViewsSize:
    """How much is generated: training takes for each subject and action, and frames a take."""

    takes: int
    frames: int
    test_takes: int = 2


@dataclass(frozen=True, eq=False)
class _Stretch:
    """Frames of one clip that a take may use: rows [first, last] of the posture table."""

    action: str
    first: int
    last: int


def make_views(
    size: ViewsSize,
    split: str = "subjects",
    noise: str = "full",
    seed: int = 0,
    headings: str = "all",
    clips: tuple[MotionClip, ...] | None = None,
) -> tuple[list[ViewSequence], list[ViewSequence]]:
    """Training and test sequences of the embedded views.

    Args:
        split: "subjects" (the thesis': same actions, unseen bodies and unseen stretches of each
            clip) or "actions" (unseen bodies and four unseen actions).
        noise: a key of `DETECTORS`; "none" gives exact geometry. The same arguments give the same
            bits.
        headings: "all" ways alike, or "studio": whole takes face one of two opposite eighths of the
            circle, as people do who are recorded between the cameras of a studio.
        clips: the motion; None for the embedded one. People's bones are those of its first clip
            times each person's own proportions.

    Raises:
        ValueError: for an unknown split, noise or kind of headings, or a split of which the clips
            leave a part empty.
    """
    _check(split, SPLITS, "split")
    _check(headings, HEADINGS, "headings")
    _check(noise, tuple(DETECTORS), "noise")
    clips = load_motion() if clips is None else clips
    table = body.take_apart(np.concatenate([clip.joints for clip in clips]).astype(np.float64))
    reference = np.median(body.bone_lengths(clips[0].joints), axis=0)
    train_part, test_part = _stretches(clips, split)
    if not train_part or not test_part:
        raise ValueError(
            f"the split {split!r} tests the actions {', '.join(UNSEEN_ACTIONS)} and trains on all "
            f"others, and the motion's are {', '.join(clip.name for clip in clips[:6])}; choose a "
            "row that is split by subjects"
        )
    people = {s: _proportions(reference, s) for s in (*TRAIN_SUBJECTS, *TEST_SUBJECTS)}
    train = [
        sequence
        for subject in TRAIN_SUBJECTS
        for sequence in _training_takes(
            subject, table, train_part, people[subject], size, noise, seed, headings
        )
    ]
    test = [
        _test_take(subject, take, table, stretch, people[subject], noise, seed, headings)
        for subject in TEST_SUBJECTS
        for stretch in test_part
        for take in range(size.test_takes)
    ]
    return train, test


def _check(value: str, known: tuple[str, ...], field: str) -> None:
    if value not in known:
        raise ValueError(f"embedded views: unknown {field} {value!r}; known: {', '.join(known)}")


def _stretches(clips: tuple[MotionClip, ...], split: str) -> tuple[list[_Stretch], list[_Stretch]]:
    """Parts of the clips for training and for the test, with a gap of 0.16 s between them."""
    train, test, start = [], [], 0
    for clip in clips:
        T = len(clip.joints)
        whole = _Stretch(clip.name, start, start + T - 1)
        if split == "actions":
            (test if clip.name in UNSEEN_ACTIONS else train).append(whole)
        else:
            gap = min(8, T // 12)
            low, high = int(0.35 * T), int(0.65 * T)  # the middle, so that both sides are trained
            test.append(_Stretch(clip.name, start + low, start + high))
            train.append(_Stretch(clip.name, start, start + low - gap))
            train.append(_Stretch(clip.name, start + high + gap, start + T - 1))
        start += T
    return train, test


def _proportions(reference: np.ndarray, subject: str) -> np.ndarray:
    """Bone lengths (17,) of a subject: stature and segments drawn from the adult spread.

    Stature varies by about 5 % among adults of both sexes, single segments by another 4 % for
    people of the same stature, left and right alike (coefficients of variation in the range of
    published surveys; Drillis and Contini 1964, Winter 2009).
    """
    rng = np.random.default_rng([17, int(subject[1:])])
    stature = 1.06 * (1 + 0.05 * np.clip(rng.standard_normal(), -2, 2))
    segment = 1 + 0.04 * np.clip(rng.standard_normal(len(H36M)), -2, 2)
    segment = segment[np.minimum(np.arange(len(segment)), H36M.flip)]  # both sides alike
    return reference * stature * segment


def _training_takes(
    subject, table, stretches, lengths, size, noise, seed, headings
) -> list[ViewSequence]:
    """All training takes of one subject, generated as one batch of frames."""
    rng = np.random.default_rng([seed, int(subject[1:]), 0])
    actions = sorted({s.action for s in stretches})
    n = len(actions) * size.takes
    owner = np.repeat(np.arange(len(actions)), size.takes)
    by_action = [[s for s in stretches if s.action == action] for action in actions]
    own = [by_action[k][int(rng.integers(len(by_action[k])))] for k in owner]
    trunk = body.interpolate(table, _play(own, size.frames, rng))
    mixed = _mix(trunk, table, stretches, n, size.frames, rng)
    joints = body.put_together(mixed, lengths).reshape(n, size.frames, len(H36M), 3)
    flips = rng.random(n) < 0.5
    joints[flips] = body.mirror(joints[flips])
    joints = _place(_tilt(joints, 1 / 3, rng), subject, rng, headings)
    return _see(joints, [actions[k] for k in owner], subject, "train", noise, rng)


def _play(stretches: list[_Stretch], frames: int, rng) -> np.ndarray:
    """Rows (n * frames,) of the table: each stretch played back and forth from a random instant."""
    first = np.array([s.first for s in stretches])[:, None]
    span = np.array([s.last - s.first for s in stretches])[:, None]
    speed = rng.uniform(0.7, 1.3, (len(stretches), 1))
    phase = rng.uniform(0, 2, (len(stretches), 1)) * span + speed * np.arange(frames)
    phase = np.mod(phase, 2 * span)
    return (first + np.minimum(phase, 2 * span - phase)).reshape(-1)


def _mix(trunk: body.Posture, table, stretches, n: int, frames: int, rng) -> body.Posture:
    """Limbs of other recordings on the trunk, in three takes of four; blends in half of those."""
    limbs = {}
    for group in _GROUPS:
        chosen = [stretches[i] for i in rng.integers(len(stretches), size=n)]
        other = body.interpolate(table, _play(chosen, frames, rng))
        # weight 0 keeps the recorded limb, 1 replaces it, anything between is a blend
        weight = np.where(rng.random(n) < 0.5, rng.random(n), 1.0) * (rng.random(n) < 0.75)
        mixed = body.blend(trunk, other, np.repeat(weight, frames))
        limbs |= dict.fromkeys(group, mixed)
    return body.recombine(trunk, limbs)


def _tilt(joints: np.ndarray, share: float, rng) -> np.ndarray:
    """A `share` of the takes (n, T, 17, 3) leaned about a horizontal axis by up to half a turn.

    Recorded flips and falls pass through attitudes that the clips visit only once; a limb does not
    care which way is up, and the floor is put right afterwards.
    """
    n = len(joints)
    angle = rng.uniform(0, np.pi, n) * (rng.random(n) < share)
    heading = rng.uniform(0, 2 * np.pi, n)
    axis = np.stack([np.cos(heading), np.sin(heading), np.zeros(n)], -1)
    turn = Rotation.from_rotvec(axis * angle[:, None]).as_matrix()
    root = joints[:, :, :1]
    return (joints - root) @ turn.swapaxes(-1, -2)[:, None] + root


def _place(joints: np.ndarray, subject: str, rng, headings: str = "all") -> np.ndarray:
    """Takes (n, T, 17, 3) turned to a random heading about a random spot of the studio."""
    n = len(joints)
    angle = rng.uniform(0, 2 * np.pi, n)
    if headings == "studio":
        side, within = np.divmod(angle, np.pi)
        angle = np.pi * side + (within / np.pi - 0.5) * np.pi / 4 - _facing(joints)
    c, s, zero, one = np.cos(angle), np.sin(angle), np.zeros(n), np.ones(n)
    turn = np.stack([c, -s, zero, s, c, zero, zero, zero, one], -1).reshape(n, 1, 3, 3)
    spot = meeting_point(human36m_rig(subject))[:2] + rng.uniform(-0.8, 0.8, (n, 2))
    centre = joints[:, :, :1, :2].mean(1, keepdims=True)
    joints = joints - np.concatenate([centre, np.zeros_like(centre[..., :1])], -1)
    joints = joints @ turn.swapaxes(-1, -2)
    joints[..., :2] += spot[:, None, None]
    # Whoever has longer legs does not sink into the floor: the lowest joint of a take is put on it.
    lowest = joints[..., 2].min(axis=(1, 2), keepdims=True)
    joints[..., 2] -= lowest - 0.05
    return joints


def _facing(joints: np.ndarray) -> np.ndarray:
    """The way (n,) that takes (n, T, 17, 3) face as a whole, radians about the vertical."""
    left_hip, right_hip = H36M.index("LHip", "RHip")
    left = (joints[:, :, left_hip] - joints[:, :, right_hip]).mean(1)
    return np.arctan2(-left[:, 0], left[:, 1])  # a quarter turn to the right of the left side


def _test_take(subject, take, table, stretch, lengths, noise, seed, headings) -> ViewSequence:
    """A recorded stretch as it is, on the subject's body, at a heading and place of its own."""
    rng = np.random.default_rng([seed, int(subject[1:]), 1, stretch.first, take])
    rows = np.arange(stretch.first, stretch.last + 1)
    joints = body.put_together(table.take(rows), lengths)[None]
    if take % 2:
        joints = body.mirror(joints)
    joints = _place(joints, subject, rng, headings)
    return _see(joints, [stretch.action], subject, "test", noise, rng)[0]


def see_clips(clips: Sequence[MotionClip], noise: str = "full") -> list[ViewSequence]:
    """Clips as they are, on their own bodies, before the rigs of the test people: one take a rig,
    the second in the mirror, each at a heading and place of its own."""
    takes = []
    for subject in TEST_SUBJECTS:
        for number, clip in enumerate(clips):
            rng = np.random.default_rng([2, int(subject[1:]), number])
            joints = clip.joints[None].astype(np.float64)
            if subject != TEST_SUBJECTS[0]:
                joints = body.mirror(joints)
            takes += _see(_place(joints, subject, rng), [clip.name], subject, "test", noise, rng)
    return takes


def _see(joints, actions, subject, split, noise, rng) -> list[ViewSequence]:
    """Takes (n, T, 17, 3) through the subject's rig and the detector, as records."""
    rig = human36m_rig(subject)
    seen = [_one_view(joints, camera, noise, rng) for camera in rig]
    pixels, confidence, hidden = (np.stack(parts, axis=2) for parts in zip(*seen, strict=True))
    return [
        ViewSequence(
            pixels[i], confidence[i], rig, subject, actions[i], FPS, split,
            joints_3d=joints[i].astype(np.float32), occluded=hidden[i], source=SOURCE,
        )
        for i in range(len(joints))
    ]  # fmt: skip


def _one_view(joints: np.ndarray, camera: Camera, noise: str, rng):
    shape = joints.shape[:-1]
    points = camera.to_camera(joints).reshape(-1, *joints.shape[2:])
    rays = points[..., :2] / points[..., 2:]
    hidden = occlusion(points, rays).reshape(shape)
    pixels = camera.pixels(rays).reshape(*shape, 2)
    return *detect(pixels, hidden, DETECTORS[noise], rng), hidden
