"""What a device does with a step of each chapter, with and without the options of a card."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from posebook import factorization, lifting, video
from posebook.bench.measure import clock
from posebook.data.recorded.views import ViewsSize
from posebook.training import card
from posebook.training.card import Options
from posebook.training.draws import seed_everything

_FEW = ViewsSize(2, 27, 1)  # how much data there is does not change a step
ALONE = (
    Options(), Options(bf16=True), Options(channels_last=True), Options(compile=True),
    Options(deterministic=True),
)  # fmt: skip
TOGETHER = (
    Options(bf16=True, compile=True), Options(bf16=True, channels_last=True, compile=True),
)  # fmt: skip


@dataclass(frozen=True)
class Training:
    """The training of a row, on data that lies ready.

    Attributes:
        begin: trains anew for so many steps, `(steps, looks, look)`, and calls `look()` so many
            times, the last time at the end. pictures, shifts: as for `card.check`.
    """

    row: str
    begin: Callable[[int, int, Callable[[], dict]], object]
    pictures: bool = False
    shifts: bool = False


def of_lifting(device: str, profile: str = "laptop") -> Training:
    """Row `trans-reproj`, with the network and the batch of a profile."""
    size = replace(lifting.rows.PROFILES[profile], size=_FEW)
    variant = lifting.rows.VARIANTS["trans-reproj"]
    views, _ = lifting.prepare.load(size, variant, device)

    def begin(steps: int, looks: int, look) -> None:
        seed_everything(0)
        model = lifting.prepare.build(size, variant).to(device)
        short = replace(size, steps=steps, evaluations=looks)
        lifting.train.train(model, views, short, variant, 0, validate=look)

    return Training("table-3.1/trans-reproj", begin)


def of_factorization(device: str, profile: str = "laptop") -> Training:
    """Row `baseline-cf`, round a dictionary that has learned nothing and without its teacher."""
    size = replace(factorization.rows.PROFILES[profile], size=_FEW)
    variant = factorization.rows.VARIANTS["baseline-cf"]
    pictures, *_ = factorization.prepare.load(size, variant, device)

    def begin(steps: int, looks: int, look) -> None:
        seed_everything(0)
        dictionary = factorization.learn_dictionary.new_dictionary(size, variant, pictures)
        model = factorization.prepare.build(size, variant, dictionary).to(device)
        short = replace(size, steps=steps, evaluations=looks)
        factorization.train.train(model, pictures, short, variant, 0, validate=look)

    return Training("table-4.1/baseline-cf", begin)


def of_video(device: str, folder: Path, profile: str = "laptop") -> Training:
    """Row `res50-tce-bc`, behind an encoder that has learned for a step. folder: for features."""
    full = video.rows.PROFILES[profile]
    base = replace(full.base, steps=1, batch=8, epochs=0, imagenet=False)
    size = replace(full, size="smoke", base=base, copies=min(full.copies, 1))
    variant = video.rows.VARIANTS["res50-tce-bc"]
    setting = video.prepare.prepare(size, variant, 0, device=device, folder=folder)
    joints = len(setting.train.joint_set)

    def begin(steps: int, looks: int, look) -> None:
        seed_everything(0)
        model = video.prepare.build(size, variant, setting.base, joints).to(device)
        short = replace(size, steps=steps, evaluations=looks)
        video.train.train(model, setting, short, variant, 0, validate=look)

    return Training("table-2.3/res50-tce-bc", begin, True, variant.shifts)


def to_try(training: Training, device: str) -> tuple[list[Options], list[str]]:
    """The options that can be timed here and change anything, and why others are not.

    Compiling takes a processor minutes, for steps of milliseconds: it is timed on a card alone.
    """
    found, left_out = [], []
    for options in (*ALONE, *TOGETHER):
        if options.compile and torch.device(device).type == "cpu":
            continue
        try:
            card.check(options, device, training.pictures, training.shifts)
            found.append(options)
        except ValueError as why:
            left_out += [str(why)] if len(options.on) == 1 else []
    return found, left_out


def seconds_of_a_step(
    training: Training, options: Options, device: str, steps: int = 10, rounds: int = 3
) -> list[float]:
    """Seconds a step, data and optimiser included, in each round; one before them sets up."""
    at = []

    def look() -> dict:
        at.append(clock(device))
        return {}

    with card.using(options):
        training.begin(steps * (rounds + 1), rounds + 1, look)
    return (np.diff(at) / steps).tolist()


def operations(training: Training) -> int:
    """Floating-point operations of a step's matrix products and convolutions, there and back."""
    with FlopCounterMode(display=False) as counter:
        training.begin(1, 1, dict)
    return counter.get_total_flops()
