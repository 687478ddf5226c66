"""What is filmed: a moving body in its surroundings, the light, the sensor."""

from dataclasses import dataclass

import numpy as np

from posebook.data.rendered.mesh import Mesh, Pose
from posebook.data.rendered.people import Appearance
from posebook.data.rendered.scene import Backdrop, CameraPath, Occluders

SAMPLES = 5  # instants within an exposure
MIDDLE = SAMPLES // 2


@dataclass(frozen=True, eq=False)
class Light:
    """direction: (3,) unit, towards the light. sun, sky: (3,) brightness from there and from all
    sides, RGB. shadow: how much of the light the shadow on the floor takes, 0 to 1."""

    direction: np.ndarray
    sun: np.ndarray
    sky: np.ndarray
    shadow: float


@dataclass(frozen=True)
class Sensor:
    """softness: the lens' blur, pixels. noise: of the sensor, grey levels. gain: brightness.
    gamma: contrast. quality: of the JPEG, 0 to 100."""

    softness: float
    noise: float
    gain: float
    gamma: float
    quality: int


@dataclass(frozen=True, eq=False)
class Take:
    """All that is seen in T frames, at T * SAMPLES instants.

    Attributes:
        mesh: the person's body.
        look: the person's skin and clothes.
        pose: the person's at each instant.
        camera: of the same instants.
        plates: of the same instants.
        seed: of the noise.
    """

    mesh: Mesh
    look: Appearance
    pose: Pose
    camera: CameraPath
    plates: Occluders
    backdrop: Backdrop
    light: Light
    film: Sensor
    seed: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.pose) // SAMPLES

    def instants(self, frame: int) -> slice:
        """The instants of one frame's exposure."""
        return slice(frame * SAMPLES, (frame + 1) * SAMPLES)
