"""The one training loop: schedule, progress, curves, checkpoints and exact resumption.

Randomness never lives in the loop: a step draws what it needs from `draw(seed, step)`, so that a
run which is killed and resumed sees the same batches. A checkpoint holds the rest (weights,
optimisers, dropout's random state, curves), and on a CPU a resumed run ends with the same bits.
"""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn
from tqdm.auto import tqdm

Curves = dict[str, list[list[float]]]
SCHEDULES = ("one-cycle", "thirds", "constant")


def draw(seed: int, step: int) -> torch.Generator:
    """The random source of one step of one run."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


def seeded(seed: int) -> None:
    """Seed the global source, which initialises weights and drives dropout."""
    torch.manual_seed(seed)


class EpochOrder:
    """Batches of instants: each epoch a new random order of all, the remainder dropped.

    `batch(step)` depends on seed and step alone, so any step can be asked for at any time.
    """

    def __init__(self, instants: int, size: int, seed: int, device="cpu") -> None:
        if instants < size:
            raise ValueError(
                f"a batch of {size} needs as many instants, the data has {instants}; "
                "choose a smaller batch or a larger profile"
            )
        self.instants, self.size, self.seed, self.device = instants, size, seed, device
        self.steps = instants // size
        self._epoch, self._order = -1, torch.empty(0)

    def batch(self, step: int) -> Tensor:
        """Instants (size,) of this step."""
        epoch, at = divmod(step, self.steps)
        if epoch != self._epoch:
            order = torch.randperm(self.instants, generator=draw(self.seed + 1, -1 - epoch))
            self._epoch, self._order = epoch, order.to(self.device)
        return self._order[at * self.size : (at + 1) * self.size]


def rate(schedule: str | Sequence[float], progress: float) -> float:
    """Factor of the learning rate at `progress` in [0, 1).

    "one-cycle": up in the first fifth, down along a cosine (Smith 2018); "thirds": a tenth after
    each third, as in section 3.6.2; "constant"; or a sequence of shares of the whole run, after
    each of which the rate drops to a tenth: (90 / 140, 120 / 140) in section 2.8.2.
    """
    if not isinstance(schedule, str):
        return 0.1 ** sum(progress >= share for share in schedule)
    if schedule == "one-cycle":
        if progress < 0.2:
            return 0.04 + 0.96 * progress / 0.2
        return 0.5 * (1 + math.cos(math.pi * (progress - 0.2) / 0.8)) + 1e-4
    if schedule == "thirds":
        return 0.1 ** int(3 * progress)
    if schedule == "constant":
        return 1.0
    raise ValueError(f"unknown schedule {schedule!r}; known: {', '.join(SCHEDULES)}")


def fit(
    model: nn.Module,
    loss: Callable[[int], tuple[Tensor, Mapping[str, Tensor]]],
    *,
    steps: int,
    learning_rate: float,
    schedule: str | Sequence[float] = "one-cycle",
    slow: Sequence[nn.Parameter] = (),
    slow_factor: float = 0.1,
    max_norm: float | None = None,
    before_step: Callable[[int], Mapping[str, Tensor]] | None = None,
    evaluate: Callable[[], Mapping[str, float]] | None = None,
    evaluate_every: int = 0,
    log_every: int = 50,
    checkpoint: Path | None = None,
    checkpoint_every: int = 1000,
    signature: str = "",
    companions: Mapping[str, object] | None = None,
    description: str = "training",
) -> Curves:
    """Minimise `loss(step) -> (loss, logs)` over `steps` steps of Adam; returns the curves.

    Parameters that need no gradient (a frozen encoder) are left alone.

    slow: parameters whose learning rate is `slow_factor` of the others', such as pre-trained ones.
    max_norm: clip the gradient to this norm; one joint near the pole of eq. 3.1 otherwise spoils
    Adam's running means for a thousand steps.
    before_step: updates what is trained beside the model (a critic) and returns its logs.
    evaluate: numbers to log every `evaluate_every` steps and at the end, in evaluation mode.
    checkpoint: file to write about every `checkpoint_every` steps and to resume from; it is
    refused if it was written under another `signature`. companions: what else it must hold.

    Raises FloatingPointError if the loss stops being finite, ValueError for a foreign checkpoint,
    OSError (one sentence, the previous checkpoint intact) if a checkpoint cannot be written.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.Adam(_groups(trained, slow, slow_factor), lr=learning_rate, fused=True)
    parts = {"model": model, "optimiser": optimiser, **(companions or {})}
    curves: Curves = {}
    start = saved = _resume(checkpoint, signature, parts, curves)
    sums, counted = {}, 0
    # A bar for whoever waits longer than five seconds, a line in the log every ten.
    with tqdm(total=steps, initial=start, desc=description, delay=5, mininterval=10) as bar:
        for step in range(start, steps):
            model.train()
            for group in optimiser.param_groups:
                group["lr"] = learning_rate * group["factor"] * rate(schedule, step / steps)
            logs = dict(before_step(step)) if before_step else {}
            value, more = loss(step)
            optimiser.zero_grad(set_to_none=True)
            value.backward()
            if max_norm:
                nn.utils.clip_grad_norm_(trained, max_norm)
            optimiser.step()
            for name, number in {"loss": value, **more, **logs}.items():
                sums[name] = sums.get(name, 0) + number.detach()
            counted += 1
            bar.update()
            # The only place that waits for the device: once every `log_every` steps.
            if (step + 1) % log_every == 0 or step + 1 == steps:
                _log(curves, step + 1, sums, counted)
                bar.set_postfix(loss=f"{curves['loss'][-1][1]:.4g}", refresh=False)
                sums, counted = {}, 0
            if evaluate and _due(step + 1, evaluate_every, steps):
                _evaluate(model, evaluate, curves, step + 1)
            # Only between two log points, so that no half-summed curve is lost in a resumption.
            due = step + 1 - saved >= checkpoint_every or step + 1 == steps
            if checkpoint and counted == 0 and due:
                _save(checkpoint, signature, step + 1, parts, curves)
                saved = step + 1
    return curves


def _groups(trained: Sequence[nn.Parameter], slow: Sequence[nn.Parameter], factor: float):
    slow_ones = {id(parameter) for parameter in slow}
    groups = [
        {"params": [p for p in trained if id(p) not in slow_ones], "factor": 1.0},
        {"params": [p for p in trained if id(p) in slow_ones], "factor": factor},
    ]
    return [group for group in groups if group["params"]]


def _due(step: int, every: int, steps: int) -> bool:
    return step == steps or (every > 0 and step % every == 0)


def _log(curves: Curves, step: int, sums: Mapping[str, Tensor], counted: int) -> None:
    for name, total in sums.items():
        mean = float(total) / counted
        if not math.isfinite(mean):
            raise FloatingPointError(
                f"{name} is no longer finite at step {step}; lower the learning rate"
            )
        curves.setdefault(name, []).append([step, mean])


def _evaluate(model: nn.Module, evaluate, curves: Curves, step: int) -> None:
    model.eval()
    with torch.inference_mode():
        for name, value in evaluate().items():
            curves.setdefault(name, []).append([step, float(value)])
    model.train()


def _save(path: Path, signature: str, step: int, parts: Mapping, curves: Curves) -> None:
    """Write a checkpoint beside `path` and rename it, so that a failure leaves the old one."""
    state = {
        "signature": signature,
        "step": step,
        "curves": curves,
        "random": torch.get_rng_state(),
        "parts": {name: part.state_dict() for name, part in parts.items()},
    }
    if torch.cuda.is_available():
        state["random_cuda"] = torch.cuda.get_rng_state_all()
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".writing")
    try:
        with open(beside, "wb") as file:
            torch.save(state, file)
        os.replace(beside, path)
    except (OSError, RuntimeError) as error:  # torch's zip writer turns a full disk into the latter
        beside.unlink(missing_ok=True)
        raise OSError(
            f"could not write the checkpoint {path} ({error}); what was there before is intact: "
            "make room on the disk and run again to resume"
        ) from error


def _resume(path: Path | None, signature: str, parts: Mapping, curves: Curves) -> int:
    """Load a checkpoint, if there is one, into `parts` and `curves`; returns the step to go on."""
    if path is None or not path.exists():
        return 0
    try:
        # To the processor first: a run that began on a card may go on without one.
        state = torch.load(path, weights_only=True, map_location="cpu")
        belongs_to = state["signature"]
    except Exception as error:
        # The first words do: torch goes on with a page of advice.
        raise ValueError(
            f"checkpoint {path} is damaged, or no checkpoint ({_first_words(error)}); "
            "delete it and run again"
        ) from error
    if belongs_to != signature:
        raise ValueError(
            f"checkpoint {path} belongs to a run with other parameters; delete it or use another "
            f"folder (its run: {belongs_to}; this run: {signature})"
        )
    for name, part in parts.items():
        part.load_state_dict(state["parts"][name])
    curves.update(state["curves"])
    torch.set_rng_state(state["random"])
    if "random_cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["random_cuda"])
    return state["step"]


def _first_words(error: Exception) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 100 else words[:100] + " …"


@contextmanager
def only_run_in(folder: Path | None) -> Iterator[None]:
    """Hold a run's folder, with `with`: two runs must not share checkpoints. None: no folder.

    Raises RuntimeError at once if another run holds it.
    """
    if folder is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RuntimeError(
            f"another process is running in {folder}; wait for it, or choose another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()
