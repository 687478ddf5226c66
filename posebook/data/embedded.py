"""Reading the small data files that travel with the package."""

import hashlib
import io
from pathlib import Path

import numpy as np

ASSETS = Path(__file__).parent / "assets"


def read_embedded(name: str, sha256: str, remedy: str) -> dict[str, np.ndarray]:
    """The arrays of `assets/<name>`, an .npz file whose bytes must have this sha256.

    Args:
        remedy: the command that makes the file anew.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not the file that the package was made with.
    """
    path = ASSETS / name
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; restore it with `{remedy}`.")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(
            f"{path} is damaged or was changed (its sha256 is not the recorded one); "
            f"restore it with `{remedy}`."
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return dict(file)
