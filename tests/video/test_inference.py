"""Whole videos: every form gives what it should, and never holds more than it must."""

import cv2
import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from posebook.data.formats.pictures import read_video
from posebook.video.backbone import Encoder
from posebook.video.crops import normalised
from posebook.video.inference import (
    _Buffer,
    cached,
    multiplications,
    naive,
    poses,
    recursion,
    stream,
    whole_clip,
)
from posebook.video.network import VideoNetwork

SIZE, N = 32, 3


@pytest.fixture(params=["single", "multi", "none", "separate", "residual", "zeros", "added"])
def networks(request):
    """A small encoder and each kind of video network, of which no part is trivial."""
    torch.manual_seed(0)
    encoder = Encoder(4).eval()
    kinds = {
        "separate": dict(front="multi", separate=True),
        "residual": dict(front="multi", residual=True),
        "zeros": dict(front="single", start="zeros"),
        "added": dict(front="single", added=True),
    }
    options = kinds.get(request.param, dict(front=request.param))
    model = VideoNetwork(encoder.channels, 3, 8, **options).eval()
    with torch.no_grad():
        for part in model.parameters():
            part.add_(0.3 * torch.randn_like(part))
    return encoder, model


def clip(frames):
    generator = torch.Generator().manual_seed(frames)
    return torch.randint(0, 255, (frames, SIZE, SIZE, 3), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize(("frames", "block"), [(1, 4), (2, 4), (9, 4), (8, 4), (11, 32)])
def test_cached_is_naive(networks, frames, block):
    encoder, model = networks
    pictures = clip(frames)
    reach = N if model.tce else 0
    expected = naive(encoder, model, pictures, torch.arange(frames), reach)
    found = torch.cat(list(cached(encoder, model, pictures, reach, block=block)))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_stride_reaches_further(networks):
    encoder, model = networks
    pictures = clip(9)
    if model.tce is None:
        return
    whole = torch.cat(list(cached(encoder, model, pictures, 2, stride=2, block=3)))
    # Every other frame as a video of its own, seen from its middle.
    one = naive(encoder, model, pictures[::2], torch.tensor([2]), 2)
    torch.testing.assert_close(whole[4:5], one, atol=1e-5, rtol=1e-5)


def test_every_frame_is_encoded_once(networks):
    encoder, model = networks
    seen = []
    encoder.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    list(cached(encoder, model, clip(13), N, block=4))
    assert sum(seen) == 13


@pytest.mark.parametrize("form", [cached, stream])
def test_a_long_video_is_held_a_block_at_a_time(networks, form, monkeypatch):
    encoder, model = networks
    if form is stream and model.tce is None:
        return
    held, append = [], _Buffer._append

    def watched(buffer, pictures):
        append(buffer, pictures)
        held.append((buffer.end - buffer.begin, len(buffer.parts[1])))

    monkeypatch.setattr(_Buffer, "_append", watched)
    frames = sum(len(part) for part in form(encoder, model, (p for p in clip(60)), N, block=4))
    assert frames == 60
    assert max(count for count, _ in held) <= 4 + 2 * N
    assert all(count == length for count, length in held)


def test_a_whole_clip_in_one_block_is_one_recursion_each_way(networks):
    encoder, model = networks
    if model.tce is None:
        return
    pictures = clip(7)
    with torch.no_grad():
        X = encoder(normalised(pictures))
        maps, gates = model.prepare(X)
        later = model.tce_after or model.tce
        H, _ = recursion(model.tce, maps, gates)
        back, _ = recursion(later, maps.flip(0), later.input_gates(maps.flip(0)))
        expected = model.decode(H + back.flip(0), X)
    found = torch.cat(list(stream(encoder, model, pictures, lookahead=3, block=8)))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(whole_clip(model, X), expected, atol=1e-5, rtol=1e-5)


def test_forwards_a_stream_does_not_depend_on_its_blocks():
    torch.manual_seed(0)
    encoder = Encoder(4).eval()
    model = VideoNetwork(encoder.channels, 3, 8, front="single", directions=1).eval()
    pictures = clip(10)
    one, many = (torch.cat(list(stream(encoder, model, pictures, block=b))) for b in (32, 3))
    torch.testing.assert_close(one, many, atol=1e-5, rtol=1e-5)


def test_an_empty_video_gives_nothing(networks):
    encoder, model = networks
    assert list(cached(encoder, model, iter(()), N)) == []


def test_counted_multiplications_are_those_that_are_done():
    encoder = Encoder(4).eval()
    model = VideoNetwork(encoder.channels, 3, 8).eval()
    one_each = multiplications(encoder, model, SIZE, N, "naive")
    with FlopCounterMode(display=False) as counter:
        naive(encoder, model, clip(9), torch.tensor([4]), N)
    assert 2 * sum(one_each.values()) == counter.get_total_flops()
    parts = {form: multiplications(encoder, model, SIZE, N, form) for form in ("cached", "stream")}
    assert parts["cached"]["encoder"] * 7 == one_each["encoder"]
    assert parts["stream"]["recursion"] * N == parts["cached"]["recursion"]


def test_an_unknown_form_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown form 'fast'; known: naive, cached, stream"):
        multiplications(Encoder(4), None, SIZE, N, "fast")


# ---------------------------------------------------------------- from pictures to joints


@pytest.fixture
def small():
    torch.manual_seed(0)
    encoder = Encoder(4).eval()
    return encoder, VideoNetwork(encoder.channels, 3, 8, front="single").eval()


@pytest.mark.parametrize("form", ["cached", "stream"])
def test_joints_of_a_video_lie_where_the_boxes_are(small, form):
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (50, 90, 3), dtype=np.uint8) for _ in range(40)]
    boxes = [[10 + t, 5, 40 + t, 45] for t in range(40)]
    found = list(poses(*small, pictures, boxes, size=SIZE, N=2, form=form))
    assert len(found) == 40
    for (joints, scores), (x1, y1, x2, y2) in zip(found, boxes, strict=True):
        assert joints.shape == (3, 2) and scores.shape == (3,)
        away = (joints - torch.tensor([(x1 + x2) / 2, (y1 + y2) / 2])).abs()
        assert away.max() <= 0.625 * 40  # half of the enlarged square


def test_a_video_without_boxes_is_taken_whole(small):
    pictures = (np.zeros((31, 57), np.uint8) for _ in range(3))  # grey, of odd size
    assert len(list(poses(*small, pictures, size=SIZE, N=2))) == 3


@pytest.mark.parametrize("box", [[5, 5, 5, 9], [95, 5, 99, 9], [-9, 0, -1, 9], [9, 9, 5, 5]])
def test_a_box_that_shows_nothing_is_refused_by_name_and_frame(small, box):
    pictures = [np.zeros((50, 90, 3), np.uint8)] * 3
    good = [0, 0, 40, 40]
    with pytest.raises(ValueError, match=r"gym\.avi: frame 2: the box .* has no area in the pic"):
        list(poses(*small, pictures, [good, good, box], size=SIZE, N=1, name="gym.avi"))


def never(*_):
    raise AssertionError("a frame was looked at")


def test_another_number_of_boxes_is_refused_before_the_work_where_it_is_known(small, tmp_path):
    pictures = [np.zeros((50, 90, 3), np.uint8)] * 3
    good = [0, 0, 40, 40]
    small[0].register_forward_hook(never)
    for boxes in ([good] * 2, [good] * 4):
        said = rf"gym\.avi: {len(boxes)} boxes for 3 frames; the video may be"
        with pytest.raises(ValueError, match=said):
            next(poses(*small, pictures, boxes, size=SIZE, N=1, name="gym.avi"))
    writer = cv2.VideoWriter(
        str(tmp_path / "gym.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (90, 50)
    )
    for picture in pictures:
        writer.write(picture)
    writer.release()
    with pytest.raises(ValueError, match=r"4 boxes for 3 frames"):
        next(poses(*small, read_video(tmp_path / "gym.avi"), [good] * 4, size=SIZE, N=1))


def test_boxes_of_an_unknown_number_are_counted(small):
    pictures = [np.zeros((50, 90, 3), np.uint8)] * 3
    good = [0, 0, 40, 40]
    assert len(list(poses(*small, pictures, (good for _ in range(3)), size=SIZE, N=1))) == 3
    with pytest.raises(ValueError, match=r"gym\.avi: frame 2 has no box, there are 2"):
        list(poses(*small, pictures, (good for _ in range(2)), size=SIZE, N=1, name="gym.avi"))
    with pytest.raises(ValueError, match=r"gym\.avi: 5 boxes for 3 frames"):
        list(poses(*small, pictures, (good for _ in range(5)), size=SIZE, N=1, name="gym.avi"))


@pytest.mark.parametrize("lost", [None, [np.nan] * 4, [0, 0, 0, 0]])
@pytest.mark.parametrize("form", ["cached", "stream"])
def test_where_the_person_is_lost_the_film_goes_on_and_the_frame_is_marked(small, lost, form):
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (50, 90, 3), dtype=np.uint8) for _ in range(8)]
    first, later = [5, 5, 40, 45], [30, 5, 70, 45]
    boxes = [lost, first, first, lost, lost, later, later, lost]
    # By hand: the whole picture before the first box, and then the last one again.
    filled = [[-0.5, -0.5, 89.5, 49.5], *[first] * 4, *[later] * 3]
    options = dict(size=SIZE, N=2, form=form)
    found = list(poses(*small, pictures, boxes, **options))
    expected = list(poses(*small, pictures, filled, **options))
    for at, ((joints, scores), (theirs, their_scores)) in enumerate(zip(found, expected)):
        if at in (0, 3, 4, 7):
            assert joints.isnan().all() and (scores == 0).all()
        else:
            assert torch.equal(joints, theirs) and torch.equal(scores, their_scores)


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ([5, 5, 40, 45, 0.9], r"got shape \(5,\); give scores apart, such as boxes\[:, :4\]"),
        ([5, 5, 40, np.nan], "has no area"),
        ([5, 5, np.inf, 45], "has no area"),
        ([89.6, 5, 99, 9], "has no area"),  # the picture ends at 89.5
        ([-9, 5, -0.6, 9], "has no area"),  # and begins at -0.5
    ],
)
def test_a_box_is_four_numbers_that_meet_the_picture(small, box, said):
    picture = np.zeros((50, 90, 3), np.uint8)
    with pytest.raises(ValueError, match=rf"gym\.avi: frame 0: .*{said}"):
        list(poses(*small, [picture], [box], size=SIZE, N=1, name="gym.avi"))


@pytest.mark.parametrize("box", [[89.4, 5, 99, 9], [-9, 5, -0.4, 9], [-99, -99, 300, 300]])
def test_a_box_that_meets_the_picture_by_a_part_of_a_pixel_is_taken(small, box):
    [(joints, _)] = poses(*small, [np.zeros((50, 90, 3), np.uint8)], [box], size=SIZE, N=1)
    assert joints.isfinite().all()


def test_frames_of_any_size_and_none_at_all_are_a_video(small):
    frames = [np.zeros(shape, np.uint8) for shape in ((1, 1, 3), (50, 90), (90, 50, 2))]
    found = list(poses(*small, frames, size=SIZE, N=1))
    assert len(found) == 3 and all(joints.isfinite().all() for joints, _ in found)
    assert list(poses(*small, [], [], size=SIZE, N=1)) == []


def test_an_unknown_loss_is_refused(small):
    with pytest.raises(ValueError, match="unknown loss 'l1'; known: heatmap, integral, regression"):
        next(poses(*small, [], size=SIZE, N=1, loss="l1"))


def test_an_unknown_form_of_reading_is_refused(small):
    with pytest.raises(ValueError, match="unknown form 'naive'; known: cached, stream"):
        next(poses(*small, [], size=SIZE, N=1, form="naive"))
