"""The official numbers of sub-JHMDB, and where its archives go."""

import re

SOURCE = "jhmdb"
HEIGHT, WIDTH = 240, 320
FPS = 30.0  # of HMDB51, from which the clips were cut; the files do not say
ACTIONS = 12
CLIPS = {1: (227, 89), 2: (236, 80), 3: (224, 92)}  # official clips for training and test
FRAMES = 11200
# Folder -> archive. The addresses on the data set's page were reported dead; archives are known by
# name, and whoever holds the data holds them.
ARCHIVES = {
    "Rename_Images": "Rename_Images.tar.gz",
    "joint_positions": "joint_positions.zip",
    "puppet_mask": "puppet_mask.zip",
    "sub_splits": "sub_splits.zip",
}
DEAD_LINK = (
    "if its address no longer answers, ask the authors or someone who holds the data set; the "
    "archive that mmpose gives out, with annotations/Sub1_train.json, will do as well"
)


def unpack(name: str) -> str:
    """What to do about a folder: the remedy in every message."""
    return f"unpack {ARCHIVES[name]} there anew"


def plain_name(name: str) -> bool:
    """Whether a name from a file may become part of a path."""
    return bool(name) and name.isprintable() and name[0] != "." and not re.search(r"[/\\]", name)
