"""Chapter 3: from 2D joints to 3D with several calibrated views and without a 3D label."""

from posebook.lifting import (
    consensus,
    evaluate,
    examples,
    implicit,
    losses,
    network,
    prepare,
    rows,
    run,
    samples,
    student,
    temporal,
    train,
)
