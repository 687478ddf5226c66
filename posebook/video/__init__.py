"""Chapter 2: 2D poses in video, with the help of neighbouring frames."""

from posebook.video import (
    backbone,
    base_network,
    conditions,
    crops,
    evaluate,
    features,
    flow,
    frames,
    heads,
    heatmaps,
    inference,
    losses,
    lstm_pose_machine,
    measures,
    network,
    offsets,
    predict,
    prepare,
    rows,
    run,
    speed,
    strips,
    tce,
    train,
)

__all__ = [
    "backbone", "base_network", "conditions", "crops", "evaluate", "features", "flow", "frames",
    "heads", "heatmaps", "inference", "losses", "lstm_pose_machine", "measures", "network",
    "offsets", "predict", "prepare", "rows", "run", "speed", "strips", "tce", "train",
]  # fmt: skip
