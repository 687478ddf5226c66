"""Where a number comes from: digests of the code and the data behind it, versions, device."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import platform
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from subprocess import DEVNULL

import numpy as np
import torch

PACKAGE = Path(__file__).resolve().parents[1]
# What draws a number, or asks for it, cannot change it.
_BYSTANDERS = ("__main__.py", "book", "experiments", "data/fixtures", "data/official/check.py")


def code_digest(modules: Iterable[str] | None = None) -> str:
    """Digest of the named modules' code: "sha256:" and 64 hexadecimal digits.

    Default: all of posebook that computes. Comments, docstrings and layout do not count. The order
    of `modules` does not count either. What a number is worth does not hang on it (see
    `posebook.experiments.confirm`): it says which code made a number, and that a checkpoint or a
    cached file is not another code's. A process goes on with the code that it has begun with, so
    what is edited meanwhile does not count: the digest is that of the first call.

    Raises:
        ValueError: a name is not an importable module with Python source.
    """
    return _digest(None if modules is None else frozenset(modules))


@cache
def _digest(modules: frozenset[str] | None) -> str:
    paths = _package() if modules is None else {name: _source_path(name) for name in modules}
    digest = hashlib.sha256()
    for name, path in sorted(paths.items()):
        digest.update(f"{name}:{_source_digest(path)}\n".encode())
    return f"sha256:{digest.hexdigest()}"


@cache
def commit() -> str:
    """The commit of the clone that posebook runs from, with a "+" where its code was edited since.

    "unknown" outside a clone; a repository round an installed package is none of its code. As it
    was at the first call.
    """
    # Of a clone that several people use git would else say that it is not this user's.
    git = ["git", "-c", f"safe.directory={PACKAGE.parent}", "-C", str(PACKAGE)]
    try:
        root = subprocess.check_output([*git, "rev-parse", "--show-toplevel"], stderr=DEVNULL)
        if Path(root.decode().strip()) != PACKAGE.parent:
            return "unknown"
        head = subprocess.check_output([*git, "rev-parse", "--short=12", "HEAD"], stderr=DEVNULL)
        edited = subprocess.check_output([*git, "status", "--porcelain", "."], stderr=DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.decode().strip() + "+" * bool(edited.strip())


def data_digest(arrays: Mapping[str, np.ndarray | torch.Tensor]) -> str:
    """Digest of named arrays: their names, types, shapes and values.

    Raises:
        ValueError: an array holds Python objects, whose bytes mean nothing.
    """
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        if isinstance(array, torch.Tensor):
            array = array.detach().cpu().numpy()
        array = np.asarray(array)
        if array.dtype.hasobject:
            raise ValueError(f"data_digest: array {name!r} holds objects; give numbers or text")
        # Fixed byte order: the same data must give the same digest on every machine.
        array = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
        digest.update(f"{name}:{array.dtype.str}:{array.shape}\n".encode())
        digest.update(array.tobytes())
    return f"sha256:{digest.hexdigest()}"


def versions() -> dict[str, str]:
    """Versions of what computes: Python, PyTorch, NumPy, and CUDA where there is a card."""
    found = {"python": platform.python_version(), "torch": torch.__version__}
    found["numpy"] = version("numpy")
    if torch.cuda.is_available():
        found["cuda"] = str(torch.version.cuda)
    return found


def device_name(device: torch.device | str) -> str:
    """The device in words: the card's own name, or the processor with its vector unit and threads.

    Processors with other vector units round differently, and differ in speed by factors.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        unit = torch.backends.cpu.get_cpu_capability()
        threads = torch.get_num_threads()
        return f"cpu ({unit}), {threads} thread{'s' * (threads > 1)}"
    return device.type


@cache
def arithmetic(device: torch.device | str = "cpu") -> str:
    """A short digest of how this machine rounds: of products, convolutions, roots and random draws.

    Where it is the same, a run gives the same bits, or nearly; a processor's name does not say.
    """
    random = torch.Generator().manual_seed(0)
    a, b = torch.randn(70, 130, generator=random), torch.randn(130, 50, generator=random)
    pictures = torch.randn(2, 8, 16, 16, generator=random)
    kernel = torch.randn(8, 8, 3, 3, generator=random)
    a, b, pictures, kernel = (x.to(device) for x in (a, b, pictures, kernel))
    made = [a @ b, torch.conv2d(pictures, kernel), torch.linalg.svdvals(a[:40, :40]), a.exp().sin()]
    made += [a.var(0), torch.softmax(a, 1), a]
    digest = hashlib.sha256()
    for array in made:
        digest.update(array.cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


def _package() -> dict[str, Path]:
    found = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    return {name: path for name, path in found.items() if not name.startswith(_BYSTANDERS)}


def _source_path(name: str) -> Path:
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise ValueError(f"code_digest: no module {name!r} with Python source is installed")
    return Path(spec.origin)


@cache
def _source_digest(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return hashlib.sha256(repr(_canonical(tree)).encode()).hexdigest()


def _canonical(node: object) -> object:
    """The syntax tree as nested tuples, without docstrings.

    ``ast.unparse`` and ``ast.dump`` print differently from one Python to the next; leaving out
    empty fields ourselves keeps the digest the same.
    """
    if isinstance(node, list):
        return tuple(_canonical(item) for item in node)
    if not isinstance(node, ast.AST):
        return node
    fields = dict(ast.iter_fields(node))
    if _has_docstring(node):
        fields["body"] = fields["body"][1:]
    kept = [(name, _canonical(value)) for name, value in fields.items() if value not in (None, [])]
    return (type(node).__name__, *kept)


def _has_docstring(node: ast.AST) -> bool:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return ast.get_docstring(node, clean=False) is not None
