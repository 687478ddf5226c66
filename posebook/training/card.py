"""What a card can do with a step, as options of a training: each is off unless it is asked for.

A published number knows none of them. Networks are told apart from what is exact: geometry, losses
and the recursion of chapter 2 compute in float32 whatever is asked for. What is measured is the
plain network: the options end with the training, and in evaluation they sleep.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import asdict, dataclass, fields
from importlib.util import find_spec

import torch
from torch import nn

from posebook.results.provenance import code_digest, data_digest
from posebook.storage import key_of
from posebook.training import processes


@dataclass(frozen=True)
class Options:
    """How networks are trained on a device.

    Attributes:
        bf16: networks compute in bfloat16, by autocast; their weights and outputs are float32.
        channels_last: kernels over pictures lie in memory with their channels last.
        compile: networks are compiled; on a card their steps are recorded as CUDA graphs as well,
            where the shapes of a batch do not change.
        deterministic: the same sums in the same order, every time.
    """

    bf16: bool = False
    channels_last: bool = False
    compile: bool = False
    deterministic: bool = False

    @property
    def on(self) -> list[str]:
        """The names of those that are asked for."""
        return [field.name for field in fields(self) if getattr(self, field.name)]


PLAIN = Options()
_chosen = ContextVar("card", default=PLAIN)


@contextmanager
def using(options: Options) -> Iterator[None]:
    """Meanwhile, with `with`, trainings are run with these options."""
    if options.deterministic:  # read when a card multiplies its first matrices
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    token = _chosen.set(options)
    try:
        yield
    finally:
        _chosen.reset(token)


def signed() -> dict[str, list[str]]:
    """The chosen options for signatures, keys of caches and records: nothing where none is on."""
    return {"card": _chosen.get().on} if _chosen.get().on else {}


def signature(model: nn.Module, variant: object, profile: object, seed: int, **more) -> str:
    """A name for everything that a training depends on; checkpoints of another are refused.

    Args:
        model: before its first step. more: what else it depends on, its data above all.
    """
    return key_of(
        variant=asdict(variant), profile=asdict(profile), seed=seed,
        start=data_digest(model.state_dict()), code=code_digest(), **more, **signed(),
    )  # fmt: skip


def check(options: Options, device: str, pictures: bool, shifts: bool) -> None:
    """Refuse, in one sentence, what cannot be had and what would change nothing.

    Args:
        pictures: whether the training has convolutions over pictures. shifts: whether it moves maps
            along offsets, `posebook.video.tce.deform`.

    Raises:
        ValueError: for such an option.
    """
    card = torch.device(device).type == "cuda"
    if options.on and processes.count() > 1:
        raise ValueError(
            f"{_flags(options)} is for one process, which sees the whole batch: leave torchrun away"
        )
    if options.channels_last and not pictures:
        raise ValueError(
            "--channels-last has no effect on this row: it says how pictures lie in memory, and "
            "only networks of chapter 2 see any"
        )
    if options.deterministic and not card and not shifts:
        raise ValueError(
            "--deterministic has no effect on this row: a processor adds up in one order anyway, "
            "and nothing is moved along offsets"
        )
    if options.bf16 and card and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ValueError("--bf16 needs a card that computes in bfloat16, and this one does not")
    if options.compile and (missing := _missing_compiler(card)):
        raise ValueError(f"--compile needs {missing}, and there is none here: install it")


def _flags(options: Options) -> str:
    return " ".join(f"--{name.replace('_', '-')}" for name in options.on)


def _missing_compiler(card: bool) -> str:
    """What torch.compile lacks on this machine; "" where nothing is missing."""
    if card and find_spec("triton") is None:
        return "the package triton"
    program = os.environ.get("CC", "gcc") if card else os.environ.get("CXX", "g++")
    return "" if shutil.which(program) else f"a {'C' if card else 'C++'} compiler ({program})"


@contextmanager
def applied(
    model: nn.Module, networks: Sequence[nn.Module] = (), exact: Sequence[nn.Module] = ()
) -> Iterator[None]:
    """Meanwhile, with `with`, a model trains as the options say; after it, it is as it was.

    Args:
        networks: the parts of the model that may compute in bfloat16. exact: parts that may be
            compiled and stay in float32. What is in neither is left as it is written.
    """
    options = _chosen.get()
    before = torch.are_deterministic_algorithms_enabled()
    parts = [(part, options.bf16) for part in networks] + [(part, False) for part in exact]
    parts = [(part, bf16) for part, bf16 in parts if bf16 or options.compile]
    try:
        if options.channels_last:
            model.to(memory_format=torch.channels_last)
        for part, bf16 in parts:
            part.forward = _in_training(part, bf16, options.compile)
        if options.deterministic:
            torch.use_deterministic_algorithms(True)
        yield
    finally:
        if options.deterministic:
            torch.use_deterministic_algorithms(before)
        for part, _ in parts:
            vars(part).pop("forward", None)
        if options.channels_last:
            model.to(memory_format=torch.contiguous_format)
        if options.compile:
            torch.compiler.reset()


def _in_training(part: nn.Module, bf16: bool, compiled: bool):
    """The part's `forward`, with the options while it is in training mode."""
    plain = part.forward
    # A graph is recorded for one shape, and frames are counted anew in each batch of chapter 2.
    graphs = {"triton.cudagraphs": True, "triton.cudagraph_skip_dynamic_graphs": True}
    on_card = any(weight.is_cuda for weight in part.parameters())
    run = torch.compile(plain, options=graphs if on_card else {}) if compiled else plain

    def forward(x, *more):
        if not part.training:
            return plain(x, *more)
        with torch.autocast(x.device.type, torch.bfloat16) if bf16 else nullcontext():
            return run(x, *more).float()

    return forward
