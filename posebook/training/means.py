"""Means of what a training logs, from one point of its curves to the next."""

import math
from collections.abc import Mapping

from torch import Tensor

from posebook.training.checkpoint import Curves


class Means:
    """Sums of the numbers of some steps; a part of a checkpoint, which may lie between two points.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._steps: dict[str, int] = {}  # a loss may begin between two points

    def add(self, numbers: Mapping[str, Tensor]) -> None:
        """The numbers of one step; no device is waited for."""
        for name, number in numbers.items():
            self._sums[name] = self._sums.get(name, 0) + number.detach()
            self._steps[name] = self._steps.get(name, 0) + 1

    def end(self, curves: Curves, step: int) -> None:
        """Write the means into the curves, and begin anew. Waits for the device.

        Raises:
            FloatingPointError: if one is not finite.
        """
        for name, total in self._sums.items():
            mean = float(total) / self._steps[name]
            if not math.isfinite(mean):
                raise FloatingPointError(
                    f"{name} is no longer finite at step {step}; lower the learning rate, or look "
                    "for what is not finite in the data"
                )
            curves.setdefault(name, []).append([step, mean])
        self._sums, self._steps = {}, {}

    def state_dict(self) -> dict:
        return {"sums": self._sums, "steps": self._steps}

    def load_state_dict(self, state: Mapping) -> None:
        self._sums, self._steps = dict(state["sums"]), dict(state["steps"])
