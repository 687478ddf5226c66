"""What is measured of a run's predictions: which joints count, for all frames and an action."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from posebook import video
from posebook.experiments.catalogue import settings
from posebook.video import base_network
from posebook.video.crops import apply_affine
from posebook.video.measures import Predictions, curves, evaluate, masks


@pytest.fixture(scope="module")
def frames():
    return video.prepare.clips(*settings("video", "smoke", "res50"))[1]


def test_joints_that_do_not_count_change_no_error(frames):
    annotated = frames.annotated.clone()
    annotated[:, 3] = annotated[::5, 7] = False
    frames = replace(frames, annotated=annotated)
    off = np.where(masks(frames)[""], 3.0, 1000.0)[..., None] * [0.6, 0.8]
    joints = (frames.joints.numpy() + off).astype(np.float32)
    predicted = Predictions(joints, np.ones(joints.shape[:2]))
    overall, per_action = evaluate(predicted, frames)
    errors = [overall["mean_error_px"], *(row["mean_error_px"] for row in per_action.values())]
    assert len(errors) > 2 and errors == pytest.approx([3.0] * len(errors), abs=1e-3)
    assert overall["accel_error_px"] == pytest.approx(0, abs=1e-3)
    found = curves(predicted, frames)
    assert found["precision_recall_0.2"][0] == [overall["pck_0.2_micro"]] * 2 == [100, 100]
    over_time = [e for name, points in found.items() if "time" in name for _, e in points]
    assert over_time == pytest.approx([3.0] * len(over_time), abs=1e-3)


def test_hidden_joints_count_in_the_base_networks_curve(frames, monkeypatch):
    """A network that finds what is in sight and nothing else finds its share."""
    rows = torch.arange(len(frames.joints))
    wrong = frames.joints[rows] + 1000.0 * ~frames.visible[rows, :, None]
    found = apply_affine(base_network.crop(frames, rows, 64).M, wrong)
    monkeypatch.setattr(base_network, "joints_of", lambda *_: (found, None))
    network = torch.nn.Conv2d(3, 3, 1)
    seen, labelled = (
        (part & frames.annotated)[rows].sum(0) for part in (frames.visible, frames.annotated)
    )
    expected = 100 * float((seen / labelled)[labelled > 0].mean())
    rates = base_network.accuracy(network, frames, rows, 64, "heatmap")
    assert expected < 95 and rates["pck_0.1"] == pytest.approx(expected)
