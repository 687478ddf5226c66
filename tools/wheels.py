"""What the `embed_*.py` tools share: one reproducible .npz file."""

import hashlib
import os
from pathlib import Path

import numpy as np


def save_npz(path: Path, arrays: dict[str, np.ndarray]) -> str:
    """Write `arrays` so that equal arrays give equal bytes; returns the file's sha256.

    NumPy stamps every member of an .npz with the same fixed date. Nothing is compressed,
    because the bytes of a deflated stream depend on the zlib that made it.
    """
    beside = path.with_name(path.name + ".part")
    with open(beside, "wb") as file:
        np.savez(file, **arrays)
    os.replace(beside, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()
