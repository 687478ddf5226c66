"""Right rigs drawn at random: what `posebook.data.plausible` says of views with nothing wrong.

    python tools/random_rigs.py 1000                  counts of errors and warnings, and each text
    python tools/random_rigs.py 1000 --motion FILE    with other motion: an npz of (T, 17, 3) in mm

Two to eight cameras at 3 to 12 m, rolled, aimed beside the person, with 2 to 15 px of noise and up
to 30 % of the joints missing; one to three people from 0.9 to 2 m, some of them lying.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from posebook.data.plausible import findings
from posebook.data.recorded.motion import load_motion
from posebook.data.records import ViewSequence
from posebook.data.rendered.scene import look_at
from posebook.geometry.camera import Camera

HEIGHT = 1.6  # of the people in the motion, metres


def camera_at(name: str, place, target, roll: float, focal: float, size) -> Camera:
    """A camera at `place` that looks at `target`, turned by `roll` radians about its axis."""
    R = look_at(place, target[None], roll)[0]
    middle = np.array(size) / 2
    return Camera(name, R, place, [focal, focal], middle, size)


def draw_rig(rng: np.random.Generator) -> tuple[Camera, ...]:
    """Two to eight cameras, no two of them nearer to each other than half a metre."""
    cameras: list[Camera] = []
    count = rng.integers(2, 9)
    while len(cameras) < count:
        angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(3, 12)
        place = np.array([away * np.cos(angle), away * np.sin(angle), rng.uniform(0.3, 3.5)])
        if all(np.linalg.norm(place - c.center) > 0.5 for c in cameras):
            size = [(1000, 1000), (1280, 720), (1920, 1080), (1080, 1920)][rng.integers(4)]
            hung = rng.choice([0, 0, 0, np.pi / 2, -np.pi / 2, np.pi])  # some upside down
            target, roll = rng.normal([0, 0, 0.9], [0.4, 0.4, 0.3]), hung + rng.normal(0, 0.15)
            focal = rng.uniform(0.8, 1.3) * max(size)
            cameras.append(camera_at(f"c{len(cameras)}", place, target, roll, focal, size))
    return tuple(cameras)


def draw_person(motions: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Joints (T, 17, 3) of a stretch of motion on a body of 0.9 to 2 m, one in six lying."""
    motion = motions[rng.integers(len(motions))].astype(np.float64)
    length = int(rng.integers(20, 80))
    start = int(rng.integers(max(1, len(motion) - length)))
    joints = motion[start : start + length] * rng.uniform(0.9, 2.0) / HEIGHT
    joints = joints - joints[:, :1].mean(0) * [1, 1, 0]
    turn = Rotation.from_euler("z", rng.uniform(0, 2 * np.pi))
    if rng.random() < 1 / 6:
        turn = turn * Rotation.from_euler("x", rng.choice([-np.pi / 2, np.pi / 2]))
    joints = joints @ turn.as_matrix().T
    joints[..., 2] -= joints[..., 2].min() - 0.05
    return joints + [*rng.uniform(-0.5, 0.5, 2), 0]


def see(joints, cameras, subject: str, rng: np.random.Generator) -> ViewSequence:
    """The person as the cameras see it: noisy, with gaps, and only what lies in the picture."""
    noise = rng.uniform(2, 15, len(cameras)) if rng.random() < 0.5 else rng.uniform(2, 15)
    pixels = np.stack([c.project(joints) for c in cameras], axis=1)
    ahead = np.stack([c.to_camera(joints)[..., 2] > 0.1 for c in cameras], axis=1)
    pixels = pixels + rng.normal(size=pixels.shape) * np.reshape(noise, (-1, 1, 1))
    size = np.array([c.resolution for c in cameras])[:, None]
    seen = ahead & ((pixels >= 0) & (pixels < size)).all(-1)
    seen &= rng.random(seen.shape) >= rng.uniform(0, 0.3)
    confidence = np.where(seen, rng.uniform(0.3, 1, seen.shape), 0)
    pixels = np.where(seen[..., None], pixels, 0)
    return ViewSequence(
        pixels.astype(np.float32), confidence.astype(np.float32), cameras, subject, "moves", 50.0,
        "train", source="random rig",
    )  # fmt: skip


def draw_takes(motions: list[np.ndarray], seed: int) -> list[ViewSequence]:
    """Takes of one to three people in one rig, each person seen by every camera."""
    rng = np.random.default_rng(seed)
    while True:
        rig = draw_rig(rng)
        people = range(rng.integers(1, 4))
        takes = [see(draw_person(motions, rng), rig, f"P{k}", rng) for k in people]
        if all(take.confidence.any(axis=(0, 2)).all() for take in takes):
            return takes


def load_motions(path: Path | None = None) -> list[np.ndarray]:
    """Clips (T, 17, 3) in metres: the embedded ones, or those of an npz in millimetres."""
    if path is None:
        return [clip.joints for clip in load_motion()]
    with np.load(path, allow_pickle=False) as file:
        return [file[name] / 1000 for name in file.files]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rigs", type=int)
    parser.add_argument("--motion", type=Path)
    parser.add_argument("--first", type=int, default=0, help="seed of the first rig (default: 0)")
    given = parser.parse_args()
    motions, counts = load_motions(given.motion), Counter()
    for seed in range(given.first, given.first + given.rigs):
        found = list(findings(draw_takes(motions, seed)))
        counts["errors"] += any(f.gross for f in found)
        counts["warnings"] += any(not f.gross for f in found)
        for finding in found:
            print(f"rig {seed}: {'error' if finding.gross else 'warning'}: {finding.text}")
    print(f"{given.rigs} right rigs: {counts['errors']} errors, {counts['warnings']} with warnings")
    return int(counts["errors"] > 0 or counts["warnings"] > given.rigs / 100)


if __name__ == "__main__":
    sys.exit(main())
