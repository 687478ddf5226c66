"""What onnxruntime answers is what the network answers, for each way of using one."""

import pytest
import torch

from posebook.trained import onnx_files
from posebook.trained.networks import untrained
from posebook.trained.onnx_files import CLOSE, difference, graphs, write

WAYS = [("trans-reproj", 0), ("consensus-augmented-flip", 0), ("baseline-cf", 0),
        ("res50-tce-bc", 0), ("res50-tce-bc", 1), ("res50-tce-bc", 2)]  # fmt: skip


def graph_of(name, which):
    torch.manual_seed(0)
    networks = untrained(name, "smoke", {"atoms": [125, 67, 10]})
    for network in networks:
        network.eval()
    return graphs(name, networks, "smoke")[which]


@pytest.mark.parametrize(("name", "which"), WAYS)
def test_onnxruntime_gives_the_same(name, which, tmp_path):
    graph = graph_of(name, which)
    write(graph, tmp_path / "net.onnx")
    assert difference(graph, tmp_path / "net.onnx") < CLOSE
    with torch.no_grad():
        for weight in graph.module.parameters():
            weight.mul_(1.1)
    assert difference(graph, tmp_path / "net.onnx") > CLOSE


def test_a_window_cut_in_two_gives_what_it_gives_whole():
    whole, frame, window = (graph_of("res50-tce-bc", which) for which in range(3))
    with torch.inference_mode():
        parts = frame.module.eval()(*whole.example)
        again = window.module.eval()(*parts)
        torch.testing.assert_close(again, whole.module.eval()(*whole.example))


@pytest.mark.parametrize("absent", ["onnx", "onnxscript", "onnxruntime"])
def test_what_is_not_installed_is_said_before_the_work(absent, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_files, "load", None)
    monkeypatch.setattr(onnx_files, "find_spec", lambda name: None if name == absent else name)
    with pytest.raises(ModuleNotFoundError, match="pip install 'posebook.export.'"):
        onnx_files.export("trans-reproj", tmp_path / "net.onnx")


def test_a_folder_in_its_place_is_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_files, "load", None)
    (tmp_path / "net.onnx").mkdir()
    with pytest.raises(ValueError, match="net.onnx is a folder; choose another name"):
        onnx_files.export("trans-reproj", tmp_path / "net.onnx")


def test_another_answer_and_another_suffix_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="net.pt: call the file NAME.onnx"):
        onnx_files.export("trans-reproj", tmp_path / "net.pt")
    monkeypatch.setattr(onnx_files, "write", lambda graph, path: None)
    monkeypatch.setattr(onnx_files, "difference", lambda graph, path: 0.5)
    with pytest.raises(ValueError, match="answers otherwise than the network, by 0.5 of"):
        onnx_files.export("trans-reproj", tmp_path / "net.onnx")
