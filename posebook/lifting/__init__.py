"""Chapter 3: from 2D joints to 3D with several calibrated views and without a 3D label."""

from posebook.lifting import (
    evaluate,
    examples,
    implicit,
    losses,
    network,
    prepare,
    rows,
    run,
    temporal,
    train,
)

__all__ = [
    "evaluate", "examples", "implicit", "losses", "network", "prepare", "rows", "run", "temporal",
    "train",
]  # fmt: skip
