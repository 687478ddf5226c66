"""Names, numbers and parts of Human3.6M, and one take of it, whatever file it comes from."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from posebook.data.recorded.rig import human36m_rig
from posebook.data.records import ViewSequence

# Where this is a list, what is wrong with one take is put into it and the others are read.
Faults = list[Exception] | None
TRAIN_SUBJECTS = ("S1", "S5", "S6", "S7", "S8")
TEST_SUBJECTS = ("S9", "S11")
ACTIONS = (
    "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases",
    "Sitting", "SittingDown", "Smoking", "Waiting", "WalkDog", "WalkTogether", "Walking",
)  # fmt: skip
_OTHER_NAMES = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog", "WalkingTogether": "WalkTogether"}
CAMERAS = tuple(camera.name for camera in human36m_rig("S1"))
FPS = 50.0
# A camera's video is corrupt, so VideoPose3D and all who compare with it leave this take out.
DROPPED = ("S11", "Directions")
# The markers of these takes slipped; their poses stand some way from the pictures (Iskakov et al.
# 2019 leave them out, most others do not).
DAMAGED = (("S9", "Greeting"), ("S9", "SittingDown 1"), ("S9", "Waiting 1"))


def tried(faults: Faults, read: Callable, *arguments: object) -> object:
    """What `read` returns; None where it raises ValueError and `faults` takes that instead."""
    try:
        return read(*arguments)
    except ValueError as problem:
        if faults is None:
            raise
        faults.append(problem)
        return None


def canonical(key: str) -> str:
    """The action of a take: "Directions 1" is of "Directions", "TakingPhoto" is "Photo".

    Raises:
        ValueError: for what is no action of Human3.6M.
    """
    name = key.split(" ")[0]
    name = _OTHER_NAMES.get(name, name)
    if name not in ACTIONS:
        raise ValueError(f"{key!r} is no action of Human3.6M; known: {', '.join(ACTIONS)}")
    return name


def check_name(path: Path, subject: str, take: str) -> None:
    """Raise a ValueError that names file and subject if a take is of no action."""
    try:
        canonical(take)
    except ValueError as problem:
        raise ValueError(f"{path}: {subject}: {problem}") from None


def check_array(where: str, array: object, *shapes: tuple[int, ...]) -> None:
    """Raise a ValueError unless an array holds numbers and is T rows of one of `shapes`, T > 0."""
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        raise ValueError(f"{where} is no array of floating-point numbers")
    if array.shape[1:] not in shapes or len(array) == 0:
        wanted = " or ".join(f"(T, {', '.join(map(str, shape))})" for shape in shapes)
        raise ValueError(f"{where} must be {wanted}, got {array.shape}")


def as_sequence(path: Path, subject: str, take: str, world, views) -> ViewSequence:
    """One take; detections are cut to the frames that have a recorded pose, first ones kept."""
    T = len(world)
    short = min(len(view) for view in views)
    if short < T:
        raise ValueError(
            f"{path}: positions_2d of {subject}/{take} has {short} frames, its 3D {T}; take both "
            "files from one preparation"
        )
    joints = np.stack([view[:T, :, :2] for view in views], axis=1).astype(np.float32, copy=False)
    if all(view.shape[-1] == 3 for view in views):
        confidence = np.stack([view[:T, :, 2] for view in views], axis=1).astype(np.float32)
        source = path.name
    else:
        confidence = np.broadcast_to(np.float32(1), joints.shape[:-1])  # takes no memory
        source = f"{path.name} (no confidences: all 1)"
    return ViewSequence(
        joints_2d=joints,
        confidence=confidence,
        cameras=human36m_rig(subject),
        subject=subject,
        action=take,
        fps=FPS,
        split="train" if subject in TRAIN_SUBJECTS else "test",
        joints_3d=world.astype(np.float32, copy=False),
        source=source,
    )
