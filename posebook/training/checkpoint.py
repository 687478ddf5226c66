"""Checkpoints: written whole, and refused by any run but their own.

A checkpoint holds what a step cannot draw again: weights, optimisers, dropout's random state,
curves, the time spent. On a CPU a run that is resumed from it ends with the same bits. The one
before stays beside it, lest a disk damages the last.
"""

import os
import time
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch

from posebook.storage import whole
from posebook.training import processes

Curves = dict[str, list[list[float]]]


class Clock:
    """Seconds of training, those of earlier processes included; a part of a checkpoint."""

    def __init__(self) -> None:
        self._before, self._began = 0.0, time.perf_counter()

    @property
    def seconds(self) -> float:
        return self._before + time.perf_counter() - self._began

    def state_dict(self) -> dict[str, float]:
        return {"seconds": self.seconds}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        self._before, self._began = state["seconds"], time.perf_counter()


def previous(path: Path) -> Path:
    """Where the checkpoint before the one at `path` lies."""
    return path.with_name(f"previous-{path.name}")


def remove(path: Path) -> None:
    """Take away a checkpoint that is needed no longer, and the one before it."""
    for file in (path, previous(path)):
        file.unlink(missing_ok=True)


def save(path: Path, signature: str, step: int, parts: Mapping, curves: Curves) -> None:
    """Write a checkpoint. Raises OSError (one sentence, the previous one intact) if it cannot.

    Of several processes the first one does.
    """
    if processes.rank() > 0:
        return
    state = {
        "signature": signature,
        "step": step,
        "curves": curves,
        "random": torch.get_rng_state(),
        "parts": {name: part.state_dict() for name, part in parts.items()},
    }
    if torch.cuda.is_available():
        state["random_cuda"] = torch.cuda.get_rng_state_all()
    with whole(path, "make room on the disk and run again to resume", previous(path)) as file:
        torch.save(state, file)


def load(path: Path) -> dict:
    """A checkpoint's content, on the processor: a run that began on a card may go on without one.

    Raises:
        ValueError: with the remedy for a file that is damaged or no checkpoint.
    """
    return read(path, "signature", "step", "curves", "random", "parts")


def read(path: Path, *names: str) -> dict:
    """What `torch.save` wrote under these names, and what lies beside it, on the processor.

    Raises:
        ValueError: with the remedy for a file that is damaged or another one.
    """
    try:
        _check_sums(path)
        state = torch.load(path, weights_only=True, map_location="cpu")
        if missing := sorted({*names} - set(state)):
            raise ValueError(f"no {missing[0]}")
    except Exception as error:
        raise ValueError(
            f"checkpoint {path} is damaged, or no checkpoint ({_first_words(error)}); "
            "delete it and run again"
        ) from error
    return state


def _check_sums(path: Path) -> None:
    """Raise an error for a file whose bytes have changed: torch would read other weights."""
    with zipfile.ZipFile(path) as archive:
        bad = archive.testzip()
    if bad:
        raise ValueError(f"{bad} has another checksum")


def _last_good(path: Path) -> dict:
    """The checkpoint, or the one before it, which takes its place where it is damaged or gone."""
    before = previous(path)
    if before.exists() and not path.exists():  # a process ended between two namings
        os.replace(before, path)
    try:
        return load(path)
    except ValueError as problem:
        if not before.exists():
            raise
        state, said = load(before), str(problem).partition("; delete it")[0]
        warnings.warn(
            f"{said}; this run goes on from the one before it, step {state['step']}", stacklevel=4
        )
        os.replace(before, path)
        return state


def resume(path: Path | None, signature: str, parts: Mapping, curves: Curves) -> int:
    """Load a checkpoint, if there is one, into `parts` and `curves`; returns the step to go on.

    Raises:
        ValueError: if it is damaged, and the one before it as well, or of another run.
    """
    with processes.first_goes_first():
        if path is None or not (path.exists() or previous(path).exists()):
            return 0
        state = _last_good(path)
    if state["signature"] != signature:
        raise ValueError(
            f"checkpoint {path} belongs to a run with other parameters, data or code, or with "
            "other first weights (`seed_everything` before a network is built gives the same ones);"
            f" delete it or use another folder (its run: {state['signature']}; this run: "
            f"{signature})"
        )
    try:
        for name, part in parts.items():
            part.load_state_dict(state["parts"][name])
        torch.set_rng_state(state["random"])
    except (KeyError, RuntimeError, TypeError) as error:
        raise ValueError(
            f"checkpoint {path} does not fit this run ({_first_words(error)}); delete it and run "
            "again"
        ) from error
    curves.update(state["curves"])
    if "random_cuda" in state and torch.cuda.is_available():
        # A run may go on where fewer cards are seen.
        for card, random in enumerate(state["random_cuda"][: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(random, card)
    return state["step"]


def _first_words(error: Exception) -> str:
    """The first words do: torch goes on with a page of advice."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 100 else words[:100] + " …"
