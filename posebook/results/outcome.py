"""What a chapter hands over when it has trained and measured a row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Outcome:
    """The trained networks and what a record says of them.

    Attributes:
        data: the arrays that the numbers rest on. batch: samples a step.
        seconds: of training, with what the row had to learn before; training_seconds: of its own
            last stage, for the speed.
        parameters: what was decided on the way.
        poses: examples for figures, in the first seed.
    """

    networks: tuple[nn.Module, ...]
    metrics: Mapping[str, float]
    per_action: Mapping[str, Mapping[str, float]]
    curves: Mapping[str, list]
    data: Mapping[str, np.ndarray | Tensor]
    parameters: Mapping[str, object]
    steps: int
    samples: int
    seconds: float
    training_seconds: float
    poses: Sequence[Mapping] = field(default=())
