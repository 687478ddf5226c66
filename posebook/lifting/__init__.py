"""Chapter 3: from 2D joints to 3D with several calibrated views and without a 3D label."""

from posebook.lifting import evaluate, examples, losses, network, prepare, rows, run, train
