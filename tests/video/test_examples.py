"""What the pages of chapter 2 draw: conditions, strips and offset fields."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from posebook.video.kept import EDGES, SINGLE, joints_of

from posebook import results, video
from posebook.data.rendered import clips as embedded_video
from posebook.video import base_network as pretraining
from posebook.video import conditions as video_examples
from posebook.video import crops
from posebook.video.crops import crop_matrix
from posebook.video.network import VideoNetwork
from posebook.video.offsets import correlation, motion_in_cells, offset_field, offsets_record
from posebook.video.strips import as_picture, choose, strips_record


@pytest.fixture(scope="module")
def frames():
    size, row = settings("video", "smoke", "res50")
    return video.prepare.clips(size, row, video.SOURCE)[1]


@pytest.fixture
def runs(tmp_path, monkeypatch, frames):
    """Predictions off by known lengths, and an untrained network, as runs leave them."""
    monkeypatch.chdir(tmp_path)
    offs = {row: off for row, off in zip(video_examples.ROWS, (8.0, 6.0, 4.0, 2.0), strict=True)}
    for row, off in offs.items():
        folder = tmp_path / "runs" / "smoke" / f"{row}--seed0" / "code"
        folder.mkdir(parents=True)
        joints = frames.joints.numpy() + np.array([off, 0], np.float32)
        np.savez(folder / "predictions.npz", joints=joints, scores=np.ones(joints.shape[:2]))
    size, row = settings("video", "smoke", "res50-tce-bc")
    torch.manual_seed(0)
    base = pretraining.build(size.base, 15)
    model = video.prepare.build(size, row, base, 15)
    torch.nn.init.normal_(model.tce.W_of.weight, std=0.05)
    state = {"encoder": base.encoder.state_dict(), "model": model.state_dict()}
    folder = tmp_path / "runs" / "smoke" / "table-2.3" / "res50-tce-bc--seed0" / "code"
    torch.save(state, folder / "network.pt")
    return tmp_path


# ---------------------------------------------------------------- conditions


def test_frames_away_counts_to_the_nearest_frame_in_which_a_joint_is_seen():
    seen = np.array([[1, 0, 0], [0, 0, 0], [0, 0, 1], [1, 0, 0]], bool)
    expected = [[0, 4, 2], [1, 4, 1], [1, 4, 0], [0, 4, 1]]
    assert video_examples.frames_away(seen).tolist() == expected


def test_classes_begin_at_their_edges():
    found = video_examples.classes_of(np.array([0, 0.4, 0.5, 3.9, 100]), (0, 0.5, 1, 4))
    assert found.tolist() == [0, 0, 1, 2, 3]


def test_every_counted_joint_is_in_one_class_of_hiding_and_every_visible_one_in_blur(frames):
    found = video_examples.conditions(frames)
    visible = (frames.visible & frames.annotated).numpy()
    assert ((found["away"] >= 0) == frames.annotated.numpy()).all()
    assert ((found["away"] == 0) == visible).all()
    assert ((found["cover"] >= 0) == frames.annotated.numpy()).all()
    assert ((found["cover"] == 0) == visible).all()
    behind = np.concatenate([embedded_video.truth(clip).covered for clip in frames.records])
    assert behind.any() and (found["cover"] == 2).sum() == (behind & frames.annotated.numpy()).sum()
    for name in ("blur", "speed"):
        assert ((found[name] >= 0) == visible).all()
        assert found[name].max() < len(EDGES[name])


def test_sums_by_clip_and_class():
    error = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    classes = np.array([[0, 1], [1, 1], [-1, 0]])
    sums = video_examples.by_class(error, classes, 2, np.array([0, 0, 1]))
    assert sums.tolist() == [[[1, 1], [9, 3]], [[6, 1], [0, 0]]]


def test_gain_of_clips_that_all_gain_the_same_has_no_width():
    single = np.stack([np.full((5, 2), 30.0), np.full((5, 2), 10.0)], axis=-1)
    other = single - [[[20.0, 0.0]]]
    np.testing.assert_allclose(video_examples.mean_gain(single, other), 2.0)


def test_interval_of_a_gain_holds_its_mean_and_grows_with_the_spread_of_clips():
    random = np.random.default_rng(0)
    number = np.full((40, 1), 10.0)
    widths = []
    for spread in (1.0, 3.0):
        other = np.stack([random.normal(0, 10 * spread, (40, 1)), number], axis=-1)
        single = np.stack([np.full((40, 1), 20.0), number], axis=-1)
        [[mean, low, high]] = video_examples.mean_gain(single, other)
        assert low < mean < high
        widths.append(high - low)
    expected = 2 * 1.96 / np.sqrt(40)
    assert widths[0] == pytest.approx(expected, rel=0.3) and widths[1] > 2 * widths[0]


def test_error_and_gain_of_shifted_joints_are_the_shifts(runs, frames):
    records = list(video_examples.condition_records("smoke", frames))
    assert [record["variant"] for record in records] == [
        r.split("/")[1] for r in video_examples.ROWS
    ]
    for record, off in zip(records, (8, 6, 4, 2), strict=True):
        metrics = record["metrics"]
        joints = sum(n for name, n in metrics.items() if name.startswith("joints_away"))
        assert joints == int(frames.annotated.sum())
        for name, value in metrics.items():
            if name.startswith("error_px"):
                assert value == pytest.approx(off, abs=1e-3)
            if name.startswith("gain"):
                assert value == pytest.approx(8 - off, abs=1e-3)


# ---------------------------------------------------------------- protocols


def test_protocols_of_perfect_joints_differ_by_what_nobody_annotated(frames):
    annotated = frames.annotated.clone()
    annotated[:, frames.joint_set.names.index("LWrist")] = False
    part = replace(frames, annotated=annotated)
    found = video_examples.by_protocol(frames.joints.numpy(), part)
    assert found["pck_0.2_micro_visible"] == found["pck_0.2_micro_annotated"] == 100
    assert found["pck_0.2_micro_all"] == pytest.approx(100 * annotated.float().mean().item())
    lost = found["pck_0.2_mean13_annotated"] - found["pck_0.2_mean13_all"]
    assert lost == pytest.approx(100 / 13, abs=2)


def test_only_what_is_hidden_separates_visible_from_annotated(frames):
    joints = frames.joints.numpy().copy()
    joints[~frames.visible.numpy()] += 1000
    found = video_examples.by_protocol(joints, frames)
    assert found["pck_0.2_mean13_visible"] == 100 > found["pck_0.2_mean13_annotated"]


def test_protocols_are_filed_for_the_rows_that_ran(runs):
    records = list(video_examples.protocol_records("smoke"))
    assert [record["variant"] for record in records] == ["res50-ms-tce-bc-re"]


# ---------------------------------------------------------------- strips


def test_worst_median_and_best_clips_are_found(frames):
    error = torch.zeros(frames.joints.shape[:2]).numpy()
    clips = len(frames.records)
    for clip in range(clips):
        error[frames.of_clip(clip)] = 10.0 * ((clip + 1) % clips)
    side = (frames.box[:, 2:] - frames.box[:, :2]).amax(1).numpy()
    chosen = choose(error * side[:, None], frames)
    assert chosen["worst"] == clips - 2 and chosen["best"] == clips - 1


def test_strips_hold_pictures_and_joints_of_all_rows(runs, frames, tmp_path):
    record = strips_record("smoke", frames)
    path = results.write_result(tmp_path / "results", record)
    assert path.stat().st_size < 300_000
    kinds = {pose["kind"] for pose in record["poses"]}
    assert kinds == {"worst", "median", "best", "hidden"}
    pose = results.read_result(path)["poses"][0]
    assert as_picture(pose["jpeg"]).shape == (96, 96, 3)
    truth, found = np.array(pose["truth"]), np.array(pose["joints"][SINGLE])
    shift = (found - truth)[:, 0]
    assert shift.std() < 0.1 and shift.mean() > 0 and np.abs((found - truth)[:, 1]).max() < 0.11


# ---------------------------------------------------------------- offset fields


def test_motion_of_a_shifted_picture_says_where_its_content_came_from():
    flow = np.zeros((240, 320, 2))
    flow[..., 0] = 16.0  # everything goes right by 16 pixels
    M = crop_matrix(torch.tensor([[100.0, 60.0, 200.0, 160.0]]), 125)[0]  # one pixel is one pixel
    motion = motion_in_cells(flow, M, M, 125, 5)
    np.testing.assert_allclose(motion[0], -16 / 25, atol=1e-9)
    np.testing.assert_allclose(motion[1], 0, atol=1e-9)


def test_a_crop_that_follows_the_person_takes_the_motion_out():
    flow = np.zeros((240, 320, 2))
    flow[..., 1] = 7.0
    box = torch.tensor([[100.0, 60.0, 200.0, 160.0]])
    M, M_next = crop_matrix(box, 125)[0], crop_matrix(box + torch.tensor([0, 7.0, 0, 7.0]), 125)[0]
    motion = motion_in_cells(flow, M, M_next, 125, 5)
    np.testing.assert_allclose(motion, 0, atol=1e-9)


def test_correlation_of_equal_opposite_and_independent_fields():
    a = np.random.default_rng(0).standard_normal((30, 2, 4, 4))
    b = np.random.default_rng(1).standard_normal((30, 2, 4, 4))
    assert correlation(a, 3 * a + 1)[0] == pytest.approx(1)
    assert correlation(a, -a)[0] == pytest.approx(-1)
    mean, low, high = correlation(a, b)
    assert low < 0 < high and abs(mean) < 0.15
    assert correlation(a, 0 * b)[0] == 0


def test_offset_field_is_that_of_the_last_step():
    torch.manual_seed(0)
    size, row = settings("video", "smoke", "res50-tce-bc")
    encoder = pretraining.build(size.base, 15).encoder.eval()
    model = VideoNetwork(encoder.channels, 15, 16, front="single", directions=1).eval()
    torch.nn.init.normal_(model.tce.W_of.weight, std=0.05)
    pictures = torch.randint(0, 255, (4, 64, 64, 3), dtype=torch.uint8)
    seen = []
    shift = model.tce.shift
    model.tce.shift = lambda H, X: seen.append(model.tce.offset_field(H, X)) or shift(H, X)
    with torch.inference_mode():
        X = encoder(crops.normalised(pictures))
        rows = torch.arange(4)[None]
        model(X, rows, rows)
        found = offset_field(encoder, model, pictures, N=3)
    torch.testing.assert_close(found, seen[2][0, 0], atol=1e-5, rtol=1e-4)
    assert found.abs().max() > 0


def test_offsets_of_a_trained_run_are_filed(runs, frames, tmp_path):
    record = offsets_record("smoke", frames)
    results.write_result(tmp_path / "results", record)
    metrics = record["metrics"]
    assert metrics["clips"] == len(frames.records) and metrics["offset_cells"] > 0
    assert -1 <= metrics["correlation_to_target_low"] <= metrics["correlation_to_target_high"] <= 1
    assert len(record["poses"]) == 2


def test_what_was_not_run_is_no_error(tmp_path, monkeypatch, frames):
    monkeypatch.chdir(tmp_path)
    assert not list(video_examples.condition_records("smoke", frames, range(2)))
    assert strips_record("smoke", frames) is None
    assert offsets_record("smoke", frames) is None


def test_predictions_of_other_clips_are_refused(runs, frames):
    other = replace(frames, joints=frames.joints[:-1])
    with pytest.raises(ValueError, match="run it again"):
        joints_of(SINGLE, "smoke", 0, other)
