"""The one training loop: schedule, progress, curves, checkpoints and exact resumption.

Randomness never lives in the loop: a step draws what it needs from `draw(seed, step)`, so that a
run which is killed and resumed sees the same batches. A checkpoint holds the rest.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from posebook.training import trace
from posebook.training.checkpoint import Clock, Curves, resume, save
from posebook.training.means import Means
from posebook.training.stopping import Stopped, patient

SHAPES = ("one-cycle", "thirds", "constant")


@dataclass(frozen=True)
class Schedule:
    """How far a training goes, and how fast at each step; see `learning_rate_factor` for its shape.

    Attributes:
        max_norm: clip the gradient to this norm; one joint near the pole of eq. 3.1 otherwise
            spoils Adam's running means for a thousand steps.
        pretrained_factor: of the learning rate of parameters that were trained before.
    """

    steps: int
    learning_rate: float
    shape: str | Sequence[float] = "one-cycle"
    max_norm: float | None = None
    pretrained_factor: float = 0.1


@dataclass(frozen=True)
class Checkpoint:
    """Where a training is kept, every so many steps, and under which name.

    Attributes:
        signature: of everything that makes this run what it is; a file of another one is refused.
    """

    path: Path
    signature: str
    every: int = 1000


def learning_rate_factor(shape: str | Sequence[float], progress: float) -> float:
    """Factor of the learning rate at `progress` in [0, 1).

    "one-cycle": up in the first fifth, down along a cosine (Smith 2018); "thirds": a tenth after
    each third, as in section 3.6.2; "constant"; or a sequence of shares of the whole run, after
    each of which the rate drops to a tenth: (90 / 140, 120 / 140) in section 2.8.2.
    """
    if not isinstance(shape, str):
        return 0.1 ** sum(progress >= share for share in shape)
    if shape == "one-cycle":
        if progress < 0.2:
            return 0.04 + 0.96 * progress / 0.2
        return 0.5 * (1 + math.cos(math.pi * (progress - 0.2) / 0.8)) + 1e-4
    if shape == "thirds":
        return 0.1 ** int(3 * progress)
    if shape == "constant":
        return 1.0
    raise ValueError(f"unknown schedule {shape!r}; known: {', '.join(SHAPES)}")


def fit(
    model: nn.Module,
    loss: Callable[[int], tuple[Tensor, Mapping[str, Tensor]]],
    schedule: Schedule,
    *,
    pretrained_parameters: Sequence[nn.Parameter] = (),
    before_step: Callable[[int], Mapping[str, Tensor]] | None = None,
    extra_state: Mapping[str, object] | None = None,
    evaluate: Callable[[], Mapping[str, float]] | None = None,
    evaluations: int = 1,
    points: int = 200,
    checkpoint: Checkpoint | None = None,
    clock: Clock | None = None,
    description: str = "training",
) -> Curves:
    """Minimise `loss(step) -> (loss, logs)` by Adam; returns the curves, of about `points` points.

    Parameters that need no gradient (a frozen encoder) are left alone.

    Args:
        before_step: updates what is trained beside the model (a critic) and returns its logs.
        extra_state: that critic and its optimiser, which a checkpoint must hold as well.
        evaluate: numbers to log so many times (`evaluations`), in evaluation mode, the end
            included.
        clock: counts the seconds, also those of the processes before a resumption.

    Raises:
        FloatingPointError: if the loss stops being finite.
        ValueError: for a foreign checkpoint.
        OSError: (one sentence, the previous checkpoint intact) if a checkpoint cannot be written.
        Stopped: after the step and a checkpoint, if SIGINT or SIGTERM came.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = _groups(trained, pretrained_parameters, schedule.pretrained_factor)
    optimiser = torch.optim.Adam(groups, lr=schedule.learning_rate, fused=True)
    recorder, steps = trace.recorder(), schedule.steps
    if recorder:
        beside = {k: v for k, v in (extra_state or {}).items() if isinstance(v, nn.Module)}
        recorder.begin(description, {"model": model, **beside})
        evaluate, checkpoint = None, None
    parts = {"model": model, "optimiser": optimiser, "clock": clock or Clock()}
    parts |= {"means": (means := Means()), **(extra_state or {})}
    curves: Curves = {}
    path, signature = (checkpoint.path, checkpoint.signature) if checkpoint else (None, "")
    start = saved = resume(path, signature, parts, curves)
    last = min(steps, recorder.steps) if recorder else steps
    log_every, evaluate_every = max(1, steps // points), max(1, steps // evaluations)
    # A bar for whoever waits longer than five seconds, a line in the log every ten.
    bar = tqdm(total=last, initial=start, desc=description, delay=5, mininterval=10)
    with bar, patient() as told:
        for step in range(start, last):
            model.train()
            for group in optimiser.param_groups:
                highest = schedule.learning_rate * group["factor"]
                group["lr"] = highest * learning_rate_factor(schedule.shape, step / steps)
            logs = dict(before_step(step)) if before_step else {}
            value, more = loss(step)
            optimiser.zero_grad(set_to_none=True)
            value.backward()
            if schedule.max_norm:
                norm = nn.utils.clip_grad_norm_(trained, schedule.max_norm)
            if recorder:
                recorder.step(value, norm if schedule.max_norm else _norm(trained))
            optimiser.step()
            means.add({"loss": value, **more, **logs})
            bar.update()
            # The only place that waits for the device: once every `log_every` steps.
            if (step + 1) % log_every == 0 or step + 1 == last:
                means.end(curves, step + 1)
                bar.set_postfix(loss=f"{curves['loss'][-1][1]:.4g}", refresh=False)
            if evaluate and (step + 1 == last or (step + 1) % evaluate_every == 0):
                _evaluate(model, evaluate, curves, step + 1)
            stop = bool(told)  # asked once: the signal may come between two lines
            if checkpoint and (stop or step + 1 == last or step + 1 - saved >= checkpoint.every):
                save(path, signature, step + 1, parts, curves)
                saved = step + 1
            if stop:
                raise Stopped(told[0], _kept(description, step + 1, path))
    if recorder:
        recorder.end()
    return curves


def _groups(trained: Sequence[nn.Parameter], pretrained: Sequence[nn.Parameter], factor: float):
    slow = {id(parameter) for parameter in pretrained}
    groups = [
        {"params": [p for p in trained if id(p) not in slow], "factor": 1.0},
        {"params": [p for p in trained if id(p) in slow], "factor": factor},
    ]
    return [group for group in groups if group["params"]]


def _norm(trained: Sequence[nn.Parameter]) -> Tensor:
    return nn.utils.get_total_norm([p.grad for p in trained if p.grad is not None])


def _kept(description: str, step: int, path: Path | None) -> str:
    if path is None:
        return f"{description} ended after step {step}, and no checkpoint was asked for"
    return f"{description} is kept in {path} after step {step}; the same command goes on there"


def _evaluate(model: nn.Module, evaluate, curves: Curves, step: int) -> None:
    model.eval()
    with torch.inference_mode():
        for name, value in evaluate().items():
            curves.setdefault(name, []).append([step, float(value)])
    model.train()
