"""Where randomness comes from: seed and step alone, so that any step can be repeated."""

import torch
from torch import Tensor

from posebook.training import trace


def draw(seed: int, step: int) -> torch.Generator:
    """The random source of one step of one run."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


def send(drawn: Tensor, device: torch.device | str) -> Tensor:
    """What was drawn on the processor, on the device; a step does not wait until it is there."""
    if torch.device(device).type == "cuda":
        drawn = drawn.pin_memory()
    return drawn.to(device, non_blocking=True)


def seed_everything(seed: int) -> None:
    """Seed the global source, which initialises weights and drives dropout."""
    torch.manual_seed(seed)


class EpochOrder:
    """Batches of instants: each epoch a new random order of all, the remainder dropped.

    `batch(step)` depends on seed and step alone, so any step can be asked for at any time.

    Raises:
        ValueError: if the data has fewer instants than a batch.
    """

    def __init__(self, instants: int, size: int, seed: int, device="cpu") -> None:
        if instants < size:
            raise ValueError(
                f"a batch of {size} needs as many instants, the data has {instants}; choose a "
                "smaller batch, or a profile with one (smoke)"
            )
        self.instants, self.size, self.seed, self.device = instants, size, seed, device
        self.steps = instants // size
        self._epoch, self._order = -1, torch.empty(0)

    def batch(self, step: int) -> Tensor:
        """Instants (size,) of this step."""
        epoch, at = divmod(step, self.steps)
        if epoch != self._epoch:
            order = torch.randperm(self.instants, generator=draw(self.seed + 1, -1 - epoch))
            self._epoch, self._order = epoch, send(order, self.device)
        chosen = self._order[at * self.size : (at + 1) * self.size]
        trace.saw_batch(step, chosen)
        return chosen
