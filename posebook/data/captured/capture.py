"""What a motion file holds, whatever its format: named points over time, in its own axes and units.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True, eq=False)
class Capture:
    """A take.

    Attributes:
        source: the file, for messages.
        names: of J points: joints, ends of bones, or markers.
        points: (T, J, 3) positions in the file's axes and unit, NaN where unknown.
        fps: frames a second.
    """

    source: Path
    names: tuple[str, ...]
    points: np.ndarray
    fps: float

    def __len__(self) -> int:
        return len(self.points)

    def error(self, problem: str) -> ValueError:
        return ValueError(f"{self.source}: {problem}")
