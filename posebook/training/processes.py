"""Several processes, a card each, that train as one, as `torchrun` starts them. Else there is one.

Each sees its share of a batch. Outputs, and what batch normalisation counts, are put together, so
that losses and gradients are those of one process that sees it all. The first process alone writes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from functools import partial

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

_PATIENCE = timedelta(days=7)  # one may fill caches while the others wait
_alone = ContextVar("alone", default=False)


def count() -> int:
    return distributed.get_world_size() if distributed.is_initialized() and not _alone.get() else 1


def rank() -> int:
    return distributed.get_rank() if count() > 1 else 0


@contextmanager
def each_alone() -> Iterator[None]:
    """Meanwhile, with `with`, this process counts as the only one, and waits for no other."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


@contextmanager
def joined(device: str = "") -> Iterator[str]:
    """Meet the other processes of `torchrun`, with `with`; the device of this one.

    Args:
        device: "cpu", "cuda", or empty for a card if there is one.

    Raises:
        ValueError: where processes differ in their devices: there are fewer cards than processes.
        RuntimeError: naming the remedy, in all processes that are left when one is lost.
    """
    several = "LOCAL_RANK" in os.environ and int(os.environ.get("WORLD_SIZE", 1)) > 1
    if several and device != "cpu":
        _see_one_card(int(os.environ["LOCAL_RANK"]))
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if not several:
        yield device
        return
    cards = device.startswith("cuda")
    distributed.init_process_group("cpu:gloo,cuda:nccl" if cards else "gloo", timeout=_PATIENCE)
    try:
        if largest(cards) != -largest(-cards):
            raise ValueError(
                "there are fewer cards than processes: give torchrun an --nproc-per-node of at "
                "most the number of cards, or --device cpu"
            )
        yield device
    except RuntimeError as error:
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
            raise
        raise RuntimeError(
            f"another process of this run was lost, and process {rank()} ends as well; the same "
            "command goes on at the last checkpoint"
        ) from error
    finally:
        distributed.destroy_process_group()


def _see_one_card(which: int) -> None:
    """Before CUDA begins: every process calls its card cuda:0, and keys of caches are the same."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    cards = given.split(",") if given is not None else [str(k) for k in range(which + 1)]
    os.environ["CUDA_VISIBLE_DEVICES"] = cards[which] if which < len(cards) else ""


def largest(number: int) -> int:
    """The largest of all processes' numbers; no card is waited for."""
    if count() == 1:
        return number
    shared = torch.tensor(number)
    distributed.all_reduce(shared, distributed.ReduceOp.MAX)
    return int(shared)


@contextmanager
def first_goes_first() -> Iterator[None]:
    """The others enter the block when the first process has left it."""
    if rank() > 0:
        largest(0)
    yield
    if rank() == 0:
        largest(0)


def share(n: int) -> slice:
    """Which of n samples are this process' own; shares differ by one at most."""
    return slice(n * rank() // count(), n * (rank() + 1) // count())


class _Total(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx, part: Tensor) -> Tensor:
        total = part.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _Total.forward(ctx, gradient.contiguous())


def whole_batch(part: Tensor, n: int, mine: slice) -> Tensor:
    """All n samples' outputs, of which `part` are this process' own, for a loss over all."""
    if count() == 1:
        return part
    whole = part.new_zeros(n, *part.shape[1:])
    whole[mine] = part
    return _Total.apply(whole)


def parallel(model: nn.Module) -> nn.Module:
    """The model, or a wrapper that averages its gradients over processes; weights are the model's.

    A loss over `whole_batch` has its gradient spread over the processes as often as there are
    processes: the average is the gradient of one.
    """
    if count() == 1:
        return model
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.forward = partial(_normalise, module)
    return DistributedDataParallel(model, static_graph=True)


def _normalise(layer: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Batch normalisation over all processes' (B, C, h, w); torch's own has none on processors."""
    if not layer.training:
        return nn.BatchNorm2d.forward(layer, x)
    cells = x.new_tensor([x.numel() // x.shape[1]])
    total = _Total.apply(torch.cat([x.sum((0, 2, 3)), cells]))
    n, mean = total[-1].detach(), total[:-1] / total[-1].detach()
    centred = x - mean[:, None, None]
    variance = _Total.apply(centred.square().sum((0, 2, 3))) / n
    with torch.no_grad():
        layer.num_batches_tracked += 1
        layer.running_mean.lerp_(mean, layer.momentum)
        layer.running_var.lerp_(variance * n / (n - 1), layer.momentum)
    scale = layer.weight * (variance + layer.eps).rsqrt()
    return centred * scale[:, None, None] + layer.bias[:, None, None]
