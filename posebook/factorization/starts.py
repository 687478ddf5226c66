"""Which of several random starts is the best one, told after a short trial and without a label."""

from collections.abc import Callable

import numpy as np
from torch import nn

from posebook.factorization.evaluate import predict
from posebook.factorization.measures import canonical_spread
from posebook.factorization.pictures import Pictures
from posebook.factorization.rows import Variant
from posebook.training.checkpoint import Curves

TRIAL = 300  # steps after which starts are compared
INSTANTS = 2048  # on whose views bodies are asked to agree


def best_of(starts: int, seed: int, trial: Callable[[int], float]) -> tuple[int, list[float]]:
    """The start of a seed whose trial scores lowest, and the scores; no two seeds share a start."""
    tried = [seed + 100 * k for k in range(starts)]
    if starts == 1:
        return seed, []
    scores = [trial(start) for start in tried]
    return tried[int(np.argmin(scores))], scores


def score_of(model: nn.Module, curves: Curves, pictures: Pictures, variant: Variant) -> float:
    """How good a start is after its trial; smaller is better.

    By "loss": the mean over the last tenth of the curve. By "agreement": how far the bodies of an
    instant differ over its views, beside how far instants differ. A network that gives some
    pictures the mirrored body has a small loss and a large disagreement.
    """
    if variant.chosen_by == "loss":
        curve = curves["loss"]
        return float(np.mean([loss for _, loss in curve[-max(1, len(curve) // 10) :]]))
    Y_hat, _ = predict(model, pictures, thin=max(1, len(pictures) // INSTANTS))
    return canonical_spread(Y_hat)["canonical_spread_ratio"]
