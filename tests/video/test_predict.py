"""Which frames a network is shown for each target."""

from types import SimpleNamespace

import pytest
import torch

from posebook import video
from posebook.experiments.catalogue import settings
from posebook.video import predict
from posebook.video.evaluate import repeated


@pytest.fixture
def windows_of(monkeypatch):
    """A function that gives the rows (F, 2, N + 1) that a network is shown: before and after."""
    size, row = settings("video", "smoke", "res50-tce-bc")
    frames = video.prepare.clips(size, row)[1]
    eye = torch.eye(2, 3).expand(len(frames), 2, 3)
    feats = SimpleNamespace(frames=frames, M=eye, take=lambda rows, device: rows)
    found = []

    class Network(torch.nn.Linear):
        def forward(self, rows, before, after, truncate):
            found.append(torch.stack([rows[before], rows[after]], dim=1))
            return rows[before[:, -1]]

    nothing = torch.zeros(len(frames), 15, 2)
    monkeypatch.setattr(
        predict, "joints_of", lambda _, rows, __: (nothing[: len(rows)], nothing[: len(rows), :, 0])
    )

    def windows(**options):
        found.clear()
        predict.predict(Network(1, 1), feats, size, row, **options)
        return frames, torch.cat(found)

    return windows


def test_with_repeated_frames_the_target_is_still_its_own(windows_of):
    frames, whole = windows_of()
    rows, shown = torch.arange(len(frames)), repeated(frames, share=0.4)
    assert (whole[:, :, -1] == rows[:, None]).all()
    _, found = windows_of(shown=shown)
    assert torch.equal(found[:, :, -1], whole[:, :, -1])
    assert torch.equal(found[:, :, :-1], shown[whole[:, :, :-1]])
    assert (found != whole).any()
