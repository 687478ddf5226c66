"""The first steps of a run, written down: what today's code must give again for a number to hold.

A trace has a stage for each call of `posebook.training.loop.fit`: the digest of the weights at the
start, the digest of the batches' indices, and the loss and the gradient's norm of every step. While
one is recorded, each stage ends after so many steps of its own schedule.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from torch import Tensor, nn

STEPS = 20  # later, processors that round differently part: 1e-6 here, 2e-4 at 40, chaos at 150


@dataclass
class Stage:
    """What one stage has recorded so far; numbers stay on the device until `finished`."""

    name: str
    weights: str
    batches: dict[int, Tensor] = field(default_factory=dict)
    losses: list[Tensor] = field(default_factory=list)
    norms: list[Tensor] = field(default_factory=list)

    def finished(self) -> dict:
        """The stage as plain data. Nine digits tell any two float32 apart."""
        order = [self.batches[step].tolist() for step in sorted(self.batches)]
        return {
            "name": self.name,
            "weights": self.weights,
            "batches": f"sha256:{hashlib.sha256(json.dumps(order).encode()).hexdigest()}",
            "loss": [float(f"{float(x):.9g}") for x in self.losses],
            "gradient_norm": [float(f"{float(x):.9g}") for x in self.norms],
        }


@dataclass
class Recorder:
    """The stages of a run, at most `steps` steps each."""

    steps: int = STEPS
    stages: list[dict] = field(default_factory=list)
    stage: Stage | None = None

    def begin(self, name: str, parts: Mapping[str, nn.Module]) -> None:
        self.stage = Stage(name, _digest_of_weights(parts))

    def step(self, loss: Tensor, norm: Tensor) -> None:
        self.stage.losses.append(loss.detach())
        self.stage.norms.append(norm.detach())

    def end(self) -> None:
        self.stages.append(self.stage.finished())
        self.stage = None


_current: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


def recorder() -> Recorder | None:
    """The recorder of the trace that is being made, if any."""
    return _current.get()


@contextmanager
def recording(steps: int = STEPS) -> Iterator[Recorder]:
    """Record, with `with`, the first steps of everything that is trained in it, and no more."""
    token = _current.set(Recorder(steps))
    try:
        yield _current.get()
    finally:
        _current.reset(token)


def saw_batch(step: int, chosen: Tensor) -> None:
    """Note a step's batch, if a trace is being recorded."""
    now = recorder()
    if now and now.stage and step < now.steps:
        now.stage.batches[step] = chosen


def _digest_of_weights(parts: Mapping[str, nn.Module]) -> str:
    digest = hashlib.sha256()
    for name in sorted(parts):
        for key, value in sorted(parts[name].state_dict().items()):
            array = value.detach().cpu().contiguous().numpy()
            digest.update(f"{name}.{key}:{array.dtype.str}:{array.shape}".encode())
            digest.update(array.tobytes())
    return f"sha256:{digest.hexdigest()}"
