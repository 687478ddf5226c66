"""Chapter 2: 2D poses in video, with the help of neighbouring frames."""

from posebook.video import (
    base_network,
    conditions,
    evaluate,
    features,
    frames,
    inference,
    measures,
    offsets,
    predict,
    prepare,
    rows,
    run,
    speed,
    strips,
    train,
)
