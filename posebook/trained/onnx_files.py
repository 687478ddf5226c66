"""Trained networks as ONNX files, for programs without PyTorch; checked against what they are here.

Chapter 3: rays to relative poses and roots. Chapter 4: normalised points to bodies and viewpoints.
Chapter 2 gives three files: all crops of a window to the heatmaps of its middle frame; and, for
videos, what is computed once a frame, and what is computed of the frames of a window.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from posebook.geometry.skeleton import H36M
from posebook.storage import refuse_unwritable
from posebook.trained.networks import ROWS, load
from posebook.video import rows as video

CLOSE = 1e-4  # of the largest number of an output
ABSENT = "ONNX needs onnx, onnxscript and onnxruntime; pip install 'posebook[export]'"


@dataclass(frozen=True, eq=False)
class Graph:
    """What one file computes. Of input and output the first axis is free where `free` says so."""

    suffix: str
    module: nn.Module
    example: tuple[Tensor, ...]
    reads: tuple[str, ...]
    gives: tuple[str, ...]
    free: bool = True


class _Function(nn.Module):
    """A function of networks as a module."""

    def __init__(self, forward: Callable, *networks: nn.Module) -> None:
        super().__init__()
        self.networks, self.function = nn.ModuleList(networks), forward

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.function(*inputs)


def graphs(name: str, networks: Sequence[nn.Module], profile: str) -> list[Graph]:
    """The graphs of a row's networks, with random inputs of the right shapes."""
    random = torch.Generator().manual_seed(0)
    chapter, model = ROWS[name][1], networks[-1]
    if chapter == "video":
        N, size = video.VARIANTS[name].N, video.PROFILES[profile].base.crop

        def frame(crops):  # to maps and gates
            return model.prepare(networks[0](crops))

        def window(maps, gates):  # of 2 N + 1 frames, to the heatmaps (1, K, h, w) of the middle
            before = torch.arange(N + 1)[None]
            return model.decode(model.enhance(maps, gates, before, 2 * N - before), None)

        crops = torch.randn(2 * N + 1, 3, size, size, generator=random)
        with torch.inference_mode():
            parts = tuple(part.clone() for part in frame(crops))
        whole = _Function(lambda crops: window(*frame(crops)), *networks)
        first, second = _Function(frame, *networks), _Function(window, model)
        return [
            Graph("", whole, (crops,), ("crops",), ("heatmaps",), False),
            Graph("-frame", first, (crops[:4],), ("crops",), ("maps", "gates")),
            Graph("-window", second, parts, ("maps", "gates"), ("heatmaps",), False),
        ]
    reads = 3 if getattr(model, "confidences", False) else 2
    points = torch.rand(4, len(H36M), reads, generator=random)
    if chapter == "factorization":
        whole = _Function(model, model)
        return [Graph("", whole, (points - 0.5,), ("points",), ("bodies", "viewpoints"))]
    whole = _Function(lambda rays: (model.lift(rays), model(rays)[1]), model)
    return [Graph("", whole, (points / 3,), ("rays",), ("poses", "roots"))]


def export(name: str, path: Path) -> list[str]:
    """Write a trained row as ONNX files; returns a sentence about each.

    Raises:
        ModuleNotFoundError: in a sentence, where what it needs is not installed.
        ValueError: for an unknown name, another suffix, or where the file answers otherwise.
    """
    if path.suffix != ".onnx":
        raise ValueError(f"{path}: call the file NAME.onnx")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; choose another name")
    if not all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))):
        raise ModuleNotFoundError(ABSENT)
    refuse_unwritable(path.parent, "name another folder")
    networks, card = load(name)
    said = []
    for graph in graphs(name, networks, card["profile"]):
        part = path.with_name(f"{path.stem}{graph.suffix}.onnx")
        write(graph, part)
        off = difference(graph, part)
        if off > CLOSE:
            raise ValueError(f"{part} answers otherwise than the network, by {off:.2g} of its "
                             "largest number; take other versions of torch and onnx")  # fmt: skip
        said.append(f"written: {part} ({', '.join(graph.reads)} -> {', '.join(graph.gives)}), "
                    f"equal to {off:.1g} of the largest number by onnxruntime")  # fmt: skip
    return said


def write(graph: Graph, path: Path) -> None:
    """One file, at `path`."""
    free = {0: torch.export.Dim("batch")}
    shapes = (tuple(free for _ in graph.example),) if graph.free else None
    torch.onnx.export(
        graph.module.eval(), graph.example, str(path), dynamo=True, external_data=False,
        input_names=list(graph.reads), output_names=list(graph.gives), dynamic_shapes=shapes,
        verbose=False,
    )  # fmt: skip


def difference(graph: Graph, path: Path) -> float:
    """How far onnxruntime's answers are from the network's, in parts of the largest number."""
    from onnxruntime import InferenceSession

    given = graph.example
    if graph.free:  # of another number than the one that was written
        given = tuple(torch.cat([part, part.flip(0)])[:-1] for part in given)
    session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
    theirs = session.run(None, {name: x.numpy() for name, x in zip(graph.reads, given)})
    with torch.inference_mode():
        ours = graph.module.eval()(*given)
    ours = ours if isinstance(ours, tuple) else (ours,)
    return max(float((torch.from_numpy(a) - b).abs().max() / b.abs().max())
               for a, b in zip(theirs, ours, strict=True))  # fmt: skip
