"""Embedded human motion: 15 DeepMimic clips as joint positions, 33.6 s at 50 Hz, one skeleton.

Origin, licence and limits: assets/deepmimic_h36m17.md. Made by tools/embed_motion.py.
"""

from dataclasses import dataclass

import numpy as np

from posebook.data.embedded import read_embedded

ASSET = "deepmimic_h36m17.npz"
SHA256 = "95f82a16be100ebb6fa7acb6b75f64019af5538f1b93a46218227b2280a075f3"
REMEDY = "python tools/embed_motion.py"
UNITS_PER_METRE = 10_000  # the file holds int16 tenths of a millimetre


@dataclass(frozen=True, eq=False)
class MotionClip:
    """One recorded motion.

    Attributes:
        joints: (T, 17, 3) float32 positions in the world, metres, Z up, joint set h36m17. The floor
            is z = 0, the middle of the area that the pelvis covers is the origin of x and y.
    """

    name: str
    joints: np.ndarray
    fps: float = 50.0

    def __len__(self) -> int:
        return len(self.joints)


def load_motion() -> tuple[MotionClip, ...]:
    """All embedded clips, in alphabetical order.

    Raises:
        FileNotFoundError, ValueError: naming file and remedy, if the file is not intact.
    """
    arrays = read_embedded(ASSET, SHA256, REMEDY)
    return tuple(
        MotionClip(name, (units / UNITS_PER_METRE).astype(np.float32))
        for name, units in sorted(arrays.items())
    )
