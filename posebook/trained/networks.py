"""Trained networks of published rows: reading and writing them, each with its card.

`load("consensus-augmented-flip")` is the network, ready to answer. Weights are safetensors, which
cannot run code. The card beside them is JSON: row and seed, data and code, the published scores and
those of these very weights, and what they are not good for. `make weights` makes both anew.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load as tensors_of
from safetensors.torch import save
from torch import Tensor, nn

from posebook import factorization, lifting, video
from posebook.factorization.dictionary import Dictionary
from posebook.geometry.skeleton import joint_set
from posebook.storage import whole

FOLDER = Path(__file__).parent / "weights"
LARGEST = 3_000_000  # bytes of one file
# Name -> the published row whose seed 0 it is, and its chapter.
ROWS = {
    "consensus-augmented-flip": ("beyond-3", "lifting"),
    "consensus-augmented-flip-points": ("beyond-3", "lifting"),
    "trans-reproj": ("table-3.1", "lifting"),
    "baseline-cf": ("table-4.1", "factorization"),
    "res50-tce-bc": ("table-2.3", "video"),
}
PARTS = {"video": ("-encoder", "")}  # of chapter 2 the encoder has a file of its own
_RESTORE = "restore it with `git checkout posebook/trained`, or make it anew with `make weights`"


def load(name: str, folder: Path = FOLDER) -> tuple[tuple[nn.Module, ...], dict]:
    """A trained row's networks, in evaluation mode on the processor, and their card.

    Raises:
        ValueError: for an unknown name, and for a file that is not the one its card describes.
        FileNotFoundError: where the files are not there.
    """
    path = files_of(name, folder)[-1].with_suffix(".json")
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; {_RESTORE}")
    card = json.loads(path.read_text(encoding="utf-8"))
    networks = untrained(name, card["profile"], card["parameters"])
    for part, network in zip(files_of(name, folder), networks, strict=True):
        _fill(network, part, card["files"].get(part.name))
    return networks, card


def files_of(name: str, folder: Path = FOLDER) -> list[Path]:
    """The files of a trained row's networks, in their order."""
    if name not in ROWS:
        raise ValueError(f"no trained weights {name!r}; there are {', '.join(ROWS)}")
    return [folder / f"{name}{part}.safetensors" for part in PARTS.get(ROWS[name][1], ("",))]


def untrained(name: str, profile: str, parameters: Mapping) -> tuple[nn.Module, ...]:
    """The networks of a row as they are before training; parameters: those of its record."""
    chapter = {"lifting": lifting, "factorization": factorization, "video": video}[ROWS[name][1]]
    size, variant = chapter.rows.PROFILES[profile], chapter.rows.VARIANTS[name]
    if chapter is lifting:
        return (lifting.prepare.build(size, variant),)
    if chapter is factorization:
        return (factorization.prepare.build(size, variant, Dictionary(parameters["atoms"])),)
    joints = len(joint_set(variant.joints))
    base = video.base_network.build(size.base, joints)
    return base.encoder, video.prepare.build(size, variant, base, joints)


def _fill(network: nn.Module, path: Path, sha256: str | None) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; {_RESTORE}")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path} is damaged, or not the file of its card; {_RESTORE}")
    try:
        network.load_state_dict(tensors_of(content))
    except RuntimeError as problem:
        first = str(problem).splitlines()[-1].strip()
        raise ValueError(f"{path} does not fit the network that today's code builds ({first}); "
                         "make it anew with `make weights`") from None  # fmt: skip
    network.eval().requires_grad_(False)


def keep(name: str, networks: tuple[nn.Module, ...], card: Mapping, folder: Path = FOLDER) -> None:
    """Write a row's networks and their card, which gets the files' digests.

    Raises:
        ValueError: for a file above `LARGEST`.
    """
    digests = {}
    for path, network in zip(files_of(name, folder), networks, strict=True):
        content = save(_tensors(network, half=path.stem.endswith("-encoder")))
        if len(content) > LARGEST:
            raise ValueError(f"{path.name} would have {len(content)} bytes, and {LARGEST} are the "
                             "most; take a smaller profile")  # fmt: skip
        with whole(path) as file:
            file.write(content)
        digests[path.name] = hashlib.sha256(content).hexdigest()
    with whole(files_of(name, folder)[-1].with_suffix(".json")) as file:
        text = json.dumps({**card, "files": digests}, indent=1, sort_keys=True, allow_nan=False)
        file.write((text + "\n").encode())


def _tensors(network: nn.Module, half: bool) -> dict[str, Tensor]:
    """Weights; half: those of convolutions in half precision, which `load` widens again."""
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    return {key: value.half() if half and value.ndim > 1 else value for key, value in state.items()}
