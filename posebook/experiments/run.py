"""The one path of every run: a row of the catalogue, a profile and a seed become a record."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb

import torch
from torch import nn

from posebook import factorization, lifting, video
from posebook.data.sources import motion_of
from posebook.experiments import catalogue
from posebook.paths import folder_of, runs_folder
from posebook.results.outcome import Outcome
from posebook.results.provenance import (
    code_digest,
    commit,
    data_digest,
    device_name,
    versions,
)
from posebook.storage import exclusive, key_of, refuse_unwritable
from posebook.training import card, processes
from posebook.training.stopping import stoppable

CHAPTERS = {"video": video, "lifting": lifting, "factorization": factorization}
# What calls the loop of training, and the setting of a profile that says how much memory it takes.
LOOP = "posebook.training.loop"
BATCHES = {
    "posebook.video.base_network.train_base": "base.batch",
    "posebook.video.train.train": "segments",
    "posebook.lifting.train.train": "batch",
    "posebook.factorization.learn_dictionary.learn_dictionary": "dictionary_batch",
    "posebook.factorization.train.train": "batch",
}


def run(
    row: str,
    profile: str,
    seed: int,
    *,
    dataset: str = "",
    device: str = "cpu",
    keep: bool = False,
    options: card.Options = card.PLAIN,
    out: str = "",
) -> tuple[tuple[nn.Module, ...], dict]:
    """Train and measure a row; returns its networks and the record for `write_result`.

    Args:
        out: the folder into which the record will be written, if that is known.
        options: of the training, all off for a number that is published. The base network and the
            dictionary that a row starts from are trained with them as well.
        keep: checkpoints and networks go to the run's own folder, and a killed run goes on from
            there; a second process in it is refused.

    Raises:
        ValueError, OSError, RuntimeError: for an unknown name or device, a negative seed, data that
            is not there and a folder of somebody else or another run's: before anything is trained.
            So is a chapter that has no training for several processes.
    """
    found = catalogue.find(row)
    if not 0 <= seed < 2**31:
        raise ValueError(f"seeds are 0, 1, 2, ... below {2**31:,}, not {seed}")
    _, variant = catalogue.settings(found.chapter, profile, found.variant, dataset)
    if processes.count() > 1 and found.chapter != "video":
        raise ValueError(
            f"only rows of chapter 2 train in several processes, and {row} is none: leave torchrun "
            "away"
        )
    dataset = dataset or catalogue.CHAPTERS[found.chapter].DATASETS[0]
    catalogue.refuse_absent(found, dataset)
    check_device(device)
    if out:
        refuse_unwritable(Path(out), "choose another folder")
    video_row, shifts = found.chapter == "video", getattr(variant, "shifts", False)
    card.check(options, device, pictures=video_row, shifts=shifts)
    folder = run_folder(row, profile, seed, dataset, options) if keep else None
    # Before the training, during which somebody may edit or commit.
    made_by = {"commit": commit(), "code_digest": code_digest()}
    held = folder if processes.rank() == 0 else None
    with exclusive(held), stoppable(), _enough_memory(found, profile), card.using(options):
        processes.largest(0)  # the first process holds the folder before any goes on
        if held:
            _say_what_is_left_alone(row, held)
        outcome = outcome_of(found, profile, seed, dataset, device, folder, keep=keep)
        record = record_of(found, profile, seed, dataset, device, outcome)
        return outcome.networks, record | made_by


@contextmanager
def _enough_memory(row: catalogue.Row, profile: str) -> Iterator[None]:
    """A card that is full, with `with`, becomes one sentence that names the setting to lower."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        setting = _batch_of(error)
        lower = f"lower `{setting}` of PROFILES[{profile!r}] in posebook/{row.chapter}/rows.py, "
        raise RuntimeError(
            f"the card has too little memory for {row.name} at {profile}: "
            f"{lower if setting else ''}take a smaller --profile, or --device cpu"
        ) from error


def _batch_of(error: torch.OutOfMemoryError) -> str:
    """The setting that says how large the batch is for which there was no memory.

    Empty outside the steps of a training: data lie there as a whole, and features and evaluation
    come in pieces of a fixed size.
    """
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    called = [f"{frame.f_globals.get('__name__')}.{frame.f_code.co_name}" for frame in frames]
    if f"{LOOP}.fit" not in called or f"{LOOP}._evaluate" in called:
        return ""
    return BATCHES.get(called[called.index(f"{LOOP}.fit") - 1], "")


def check_device(device: str) -> None:
    """Raise ValueError where torch has no such device."""
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter from a torch without CUDA
        raise ValueError(
            f"there is no device {device!r} on this machine; take cpu, or cuda where there is an "
            "NVIDIA card with its driver"
        ) from error


def run_folder(
    row: str, profile: str, seed: int, dataset: str, options: card.Options = card.PLAIN
) -> Path:
    """Where a run's files lie; those of other code, packages or options are no obstacle beside it.
    """
    digests = [digest[7:15] for digest in (code_digest(), *motion_of(dataset).values())]
    mine = "-".join([*digests, key_of(**versions())[:8], *options.on])
    return folder_of(dataset, runs_folder()) / profile / f"{row}--seed{seed}" / mine


def _say_what_is_left_alone(row: str, mine: Path) -> None:
    """Whoever expects a killed run to go on learns why it begins anew."""
    left = {checkpoint.parent for checkpoint in mine.parent.glob("*/*training.pt")}
    if left and mine not in left:
        last = max(left, key=lambda folder: folder.stat().st_mtime)
        print(
            f"A training of {row} by other code, packages or options lies in {last}; it is left "
            "alone, and this one begins anew.",
            file=sys.stderr,
        )


def outcome_of(
    row: catalogue.Row,
    profile: str,
    seed: int,
    dataset: str,
    device: str = "cpu",
    folder: Path | None = None,
    *,
    keep: bool = False,
    cache: Path | None = None,
    data=None,
) -> Outcome:
    """What the row's chapter makes of it. cache, data: as for the `run_row` of the chapter."""
    size, variant = catalogue.settings(row.chapter, profile, row.variant, dataset)
    more = {"data": data} if data is not None else {}
    if row.chapter == "factorization":
        shared = folder_of(dataset, runs_folder()) / profile / "dictionaries" if keep else None
        more["cache"] = cache or shared
    elif row.chapter == "video":
        more["cache"] = cache
    run_row = CHAPTERS[row.chapter].run.run_row
    return run_row(size, variant, seed, dataset=dataset, device=device, folder=folder, **more)


def record_of(
    row: catalogue.Row, profile: str, seed: int, dataset: str, device: str, outcome: Outcome
) -> dict:
    """The record of an outcome."""
    record = {
        "experiment": row.experiment,
        "variant": row.variant,
        "dataset": dataset,
        "profile": profile,
        "seed": seed,
        "metrics": outcome.metrics,
        "per_action": outcome.per_action,
        "curves": outcome.curves,
        "parameters": {**outcome.parameters, **card.signed()},
        "data_digest": data_digest(outcome.data),
        "device": device_name(device),
        "steps": outcome.steps,
        "samples_per_second": outcome.samples / max(outcome.training_seconds, 1e-9),
        "wall_seconds": outcome.seconds,
    }
    return record | ({"poses": list(outcome.poses)} if outcome.poses else {})
