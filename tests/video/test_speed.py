"""What section 2.8.5 times: the LSTM Pose Machine's size, and forms that answer the same."""

import numpy as np
import pytest
import torch

from posebook import video
from posebook.video import inference
from posebook.video import speed as video_speed
from posebook.video.lstm_pose_machine import LSTMPoseMachine


@pytest.fixture(autouse=True)
def one_thread():
    """Small maps: two threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def convolution(inputs, outputs, kernel, bias=True):
    return inputs * outputs * kernel**2 + bias * outputs


def test_machine_has_the_published_number_of_weights():
    K = 14
    features = convolution(3, 128, 9) + 2 * convolution(128, 128, 9) + convolution(128, 32, 5)
    begin = features + convolution(32, 512, 9) + convolution(512, 512, 1)
    begin += convolution(512, K + 1, 1)
    seen = 32 + K + 1 + 1
    lstm = 7 * convolution(seen, 48, 3) + 4 * convolution(48, 48, 3, bias=False)
    decode = convolution(48, 128, 11) + 2 * convolution(128, 128, 11) + convolution(128, 128, 1)
    decode += convolution(128, K + 1, 1)
    model = LSTMPoseMachine(K)
    assert sum(p.numel() for p in model.parameters()) == begin + features + lstm + decode


def test_machine_gives_a_map_every_eight_pixels_as_caffe_does():
    model = LSTMPoseMachine(13, width=2).eval()
    with torch.inference_mode():
        assert model(torch.zeros(3, 3, 368, 368)).shape == (3, 14, 46, 46)


def test_machine_is_causal_and_remembers():
    torch.manual_seed(0)
    model = LSTMPoseMachine(13, width=4).eval()
    clip = torch.rand(4, 3, 32, 32)
    changed = clip.clone()
    changed[2] = 1 - changed[2]
    with torch.inference_mode():
        a, b = model(clip), model(changed)
    torch.testing.assert_close(a[:2], b[:2])
    assert not torch.equal(a[2], b[2]) and not torch.equal(a[3], b[3])


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    size = video_speed.SIZES["smoke"]
    nets = video_speed.networks(size)
    with torch.no_grad():  # untrained networks answer nearly nothing everywhere
        for part in (nets.video, nets.single):
            for weight in part.parameters():
                weight.add_(0.1 * torch.randn(weight.shape))
    return size, nets


def test_forms_answer_for_the_same_frames_and_naive_agrees_with_cached(small):
    size, nets = small
    pictures, boxes = video_speed.clip(size.frames)
    found = {name: run(pictures, boxes) for name, run in video_speed.forms(nets, size).items()}
    assert tuple(found) == video_speed.FORMS
    for name, joints in found.items():
        frames = size.few if name in ("naive", "lstm-pose-machine") else size.frames
        assert joints.shape == (frames, video_speed.JOINTS, 2), name
    torch.testing.assert_close(
        found["naive"].double(), found["cached"][-size.few :].double(), atol=0.5, rtol=0
    )


def test_counts_are_in_the_order_that_the_forms_were_made_for(small):
    counts = video_speed.counts(small[1], small[0])
    assert counts["base"] < counts["stream"] < counts["cached"] < counts["naive"]


@pytest.mark.parametrize("form", ["base", "naive", "lstm-pose-machine"])
def test_what_is_timed_is_what_is_counted(small, form):
    """A machine's first frame costs nearly twice its others, and a video has one."""
    size, nets = small
    run, video_ = video_speed.forms(nets, size)[form], video_speed.clip(size.frames)
    run(*video_)  # sets up
    joints, number = inference.counting(run, *video_)
    counted = 1e9 * video_speed.counts(nets, size)[form]
    assert number / len(joints) == pytest.approx(counted, rel=1e-4)


def test_clip_goes_to_and_fro(small):
    pictures, boxes = video_speed.clip(20)
    assert pictures.shape[0] == len(boxes) == 20
    assert np.abs(np.diff(boxes, axis=0)).max() < 40


def test_the_metrics_are_the_median_and_its_spread():
    rounds = np.array([[3.0, 1.0], [1.0, 1.0], [2.0, 5.0]])
    metrics = video_speed.metrics_of(rounds, 0.5)
    assert metrics["gmac_per_frame"] == 0.5
    assert metrics["ms_per_frame"] == 2 and metrics["process_ms_per_frame"] == 1
    assert metrics["ms_per_frame_low"] == 1.5 and metrics["ms_per_frame_high"] == 2.5


@pytest.mark.parametrize("name, profile", [("laptop", "laptop"), ("thesis", "gpu")])
def test_what_is_timed_is_what_is_trained(name, profile):
    timed, trained = video_speed.SIZES[name], video.rows.PROFILES[profile].base
    for field in ("width", "blocks", "crop", "decoder_width", "dilations"):
        assert getattr(timed, field) == getattr(trained, field), field
