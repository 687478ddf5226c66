"""Figure 2.6's strips: clips chosen by rule, frames with the joints that rows find."""

import numpy as np
import pytest
import torch

from posebook import video
from posebook.experiments.catalogue import settings
from posebook.video.strips import SHOWN, as_picture, as_text, choose, strips


@pytest.fixture(scope="module")
def frames():
    return video.prepare.clips(*settings("video", "smoke", "res50"))[1]


def test_worst_median_and_best_clips_are_found(frames):
    error = torch.zeros(frames.joints.shape[:2]).numpy()
    clips = len(frames.records)
    for clip in range(clips):
        error[frames.of_clip(clip)] = 10.0 * ((clip + 1) % clips)
    side = (frames.box[:, 2:] - frames.box[:, :2]).amax(1).numpy()
    chosen = choose(error * side[:, None], frames)
    assert chosen["worst"] == clips - 2 and chosen["best"] == clips - 1


def test_strips_hold_pictures_and_joints_of_all_rows(frames):
    truth = frames.joints.numpy()
    joints = {f"table-2.3/{n}": truth + np.float32([n, 0]) for n in (8, 2)}
    poses, metrics = strips(joints, "table-2.3/2", frames)
    assert {pose["kind"] for pose in poses} == {"worst", "median", "best", "hidden"}
    assert len(poses) == 4 * SHOWN
    for pose in poses:
        assert as_picture(pose["jpeg"]).shape == (96, 96, 3)
        shown = {name: values - np.array(pose["truth"]) for name, values in pose["joints"].items()}
        for shift in shown.values():
            assert shift[:, 0].std() < 0.1 and shift[:, 0].mean() > 0
            assert np.abs(shift[:, 1]).max() < 0.11
        assert shown["table-2.3/8"][:, 0].mean() > 2 * shown["table-2.3/2"][:, 0].mean()
    for kind in ("worst", "median", "best", "hidden"):
        for off in (8, 2):
            assert metrics[f"error_px_{kind}_{off}"] == pytest.approx(off, abs=1e-3)


def test_a_picture_survives_as_text():
    picture = np.tile(np.arange(96, dtype=np.uint8)[:, None, None], (1, 96, 3))
    text = as_text(torch.from_numpy(picture), quality=95)
    assert text.isascii()
    assert np.abs(as_picture(text).astype(int) - picture).max() < 6
