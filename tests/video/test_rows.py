"""Chapter 2's runs: every row can be trained, repeated, interrupted and resumed; the encoder stays
frozen; the feature cache says the same as fresh features."""

from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from posebook import video
from posebook.data.records import ImageSet, VideoClip
from posebook.geometry.skeleton import joint_set
from posebook.results.records import validate
from posebook.training.draws import draw
from posebook.training.loop import fit
from posebook.video import base_network as pretraining
from posebook.video.features import features
from posebook.video.frames import collect_frames, crop


def pictures_of(n, rng):
    return rng.integers(0, 255, (n, 48, 64, 3), dtype=np.uint8)


def labels_of(n, J, rng):
    joints = rng.uniform(10, 40, (n, J, 2)).astype(np.float32)
    visible = rng.random((n, J)) < 0.8
    box = np.tile([8.0, 6.0, 44.0, 44.0], (n, 1)) + rng.uniform(-2, 2, (n, 4))
    return joints, visible, box


def make_clips(size, joints="jhmdb15", split=1):
    rng = np.random.default_rng(split)
    J = len(joint_set(joints))

    def clip(k, part):
        n = 5 + k
        return VideoClip(pictures_of(n, rng), *labels_of(n, J, rng), joints, part, f"{part}{k}",
                         "walk" if k % 2 else "jump")  # fmt: skip

    return [clip(k, "train") for k in range(3)], [clip(k, "test") for k in range(2)]


def make_stills(size, joints="mpii16"):
    rng = np.random.default_rng(9)
    J = len(joint_set(joints))
    return tuple(
        ImageSet(pictures_of(n, rng), *labels_of(n, J, rng), joints, part)
        for n, part in ((12, "train"), (5, "test"))
    )


@pytest.fixture
def smoke(monkeypatch):
    """The smoke profile on noise; called with fields of the profile to change."""
    monkeypatch.setattr(video.prepare.clips, "make_clips", make_clips)
    monkeypatch.setattr(video.prepare.clips, "make_stills", make_stills)
    base = replace(video.rows.PROFILES["smoke"].base, crop=32, steps=2)

    def change(**fields):
        profile = replace(video.rows.PROFILES["smoke"], **{"base": base, "steps": 2, **fields})
        monkeypatch.setitem(video.rows.PROFILES, "smoke", profile)
        return profile

    change()
    return change


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One cache for the module: rows share their base networks, as in a real run."""
    return tmp_path_factory.mktemp("cache")


# ---------------------------------------------------------------- every row


def test_every_variant_is_a_row_of_one_experiment():
    rows = Counter(name for names in video.rows.EXPERIMENTS.values() for name in names)
    assert set(rows) == set(video.rows.VARIANTS)
    assert set(rows.values()) == {1}


def test_no_two_variants_are_the_same():
    rows = [replace(row, also=()) for row in video.rows.VARIANTS.values()]
    assert len(set(rows)) == len(rows)


@pytest.mark.parametrize("variant", video.rows.VARIANTS)
def test_every_variant_runs(variant, smoke, cache):
    _, _, record = video.run("smoke", variant, 0, cache=cache)
    validate({**record, "schema": 1, "versions": {}})
    expected = {"pck_0.2_mean13", "pck_0.1_mean7", "pck_0.05_micro", "pck_0.1_wrist",
                "mean_error_px_hidden", "accel_error_px", "gmac_per_frame_cached"}  # fmt: skip
    assert expected <= set(record["metrics"])
    also = set(video.rows.VARIANTS[variant].also)
    assert ("pck_0.2_mean13_stride9" in record["metrics"]) == ("strides" in also)
    assert ("precision_recall_0.2" in record["curves"]) == ("curves" in also)
    assert record["per_action"].keys() == {"jump", "walk"}


@pytest.mark.parametrize("kind", ["profile", "variant", "dataset"])
def test_an_unknown_name_is_answered_with_the_known_ones(kind):
    names = {"profile": "smoke", "variant": "res50", "dataset": "embedded-video"}
    with pytest.raises(ValueError, match=f"unknown {kind} 'other'; known: .*{names[kind]}"):
        settings("video", **names | {kind: "other"})


# ---------------------------------------------------------------- the same run again


def without_clock(record):
    return {k: v for k, v in record.items() if k not in ("wall_seconds", "samples_per_second")}


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values()))


def test_a_seed_gives_the_same_bits_and_another_seed_others(smoke, tmp_path):
    (_, first, record), (_, again, repeated), (_, other, _) = (
        video.run("smoke", "res50-tce-bc", seed, cache=tmp_path / name)
        for seed, name in ((0, "a"), (0, "b"), (1, "a"))
    )
    assert same_weights(first, again) and not same_weights(first, other)
    assert without_clock(record) == without_clock(repeated)


class Killed(Exception):
    pass


def counted(context, module, name, most=None):
    """A list that grows with every call of the function of this name; Killed after `most`."""
    calls, real = [], getattr(module, name)

    def counting(*args):
        if len(calls) == most:
            raise Killed
        calls.append(name)
        return real(*args)

    context.setattr(module, name, counting)
    return calls


def test_a_killed_run_ends_with_the_same_bits(smoke, cache, tmp_path, monkeypatch):
    smoke(steps=12)
    run = partial(video.run, "smoke", "res50-tce-s", 0, cache=cache)
    _, whole, expected = run()
    monkeypatch.setattr(video, "fit", partial(fit, checkpoint_every=5))
    with monkeypatch.context() as context:
        counted(context, video, "draw_batch", most=8)
        with pytest.raises(Killed):
            run(folder=tmp_path)
    calls = counted(monkeypatch, video, "draw_batch")
    _, resumed, record = run(folder=tmp_path)
    assert len(calls) == 12 - 5, "it should go on from the checkpoint of step 5"
    assert same_weights(whole, resumed)
    assert record["metrics"] == expected["metrics"] and record["curves"] == expected["curves"]
    assert {"network.pt", "predictions.npz"} <= {path.name for path in tmp_path.iterdir()}


def test_a_killed_base_network_ends_with_the_same_bits(smoke, tmp_path, monkeypatch):
    base = replace(smoke().base, steps=12, batch=4)
    train, test = (collect_frames([part]) for part in make_stills(None))
    whole, expected = pretraining.base_network(base, train, test, 0, folder=tmp_path / "a")
    monkeypatch.setattr(pretraining, "fit", partial(fit, checkpoint_every=5))
    with monkeypatch.context() as context:
        counted(context, pretraining, "loss_of", most=8)
        with pytest.raises(Killed):
            pretraining.base_network(base, train, test, 0, folder=tmp_path / "b")
    calls = counted(monkeypatch, pretraining, "loss_of")
    resumed, record = pretraining.base_network(base, train, test, 0, folder=tmp_path / "b")
    assert len(calls) == 12 - 5, "it should go on from the checkpoint of step 5"
    assert same_weights(whole, resumed) and record["curves"] == expected["curves"]


def test_a_base_network_is_trained_once_for_all_its_rows_and_seeds(smoke, tmp_path, monkeypatch):
    trained = []
    real = pretraining.train_base
    monkeypatch.setattr(
        pretraining, "train_base", lambda *a, **k: trained.append(a[4]) or real(*a, **k)
    )
    for seed, variant in enumerate(
        ("res50", "res50-tce-bc", "res50-integral", "res50-tce-bc-integral")
    ):
        video.run("smoke", variant, seed, cache=tmp_path)
    assert trained == ["heatmap", "integral"]


def test_the_encoder_is_left_as_it_was(smoke, cache):
    for variant in ("res50-tce-bc", "fresh-augmentation"):
        profile, row = settings("video", "smoke", variant)
        base, _ = video.prepare.prepare_base(profile, row, folder=cache)
        before = {name: value.clone() for name, value in base.encoder.state_dict().items()}
        encoder, _, _ = video.run("smoke", variant, 0, cache=cache)
        for name, value in encoder.state_dict().items():
            assert torch.equal(value, before[name]), name


# ---------------------------------------------------------------- batches


def test_every_frame_of_every_clip_is_a_target():
    frames = collect_frames(make_clips(None)[0])
    for length in (1, 3, 4, 6):
        starts = video.train.block_starts(frames, length)
        targets = torch.minimum(
            starts[:, None] + torch.arange(length), frames.last[starts][:, None]
        )
        assert targets.unique().tolist() == list(range(len(frames)))
        assert (frames.clip[targets] == frames.clip[starts][:, None]).all()


def test_cached_features_are_those_of_fresh_crops(smoke, cache):
    """A batch from the cache, without augmentation, against crops cut and encoded now."""
    profile, row = settings("video", "smoke", "res50-tce-bc")
    setting = video.prepare.prepare(profile, row, 0, folder=cache)
    frames, encoder = setting.train, setting.base.encoder
    plain = features(frames, encoder, profile.base.crop, key="plain", folder=cache)
    setting = replace(setting, train_features=plain)
    starts = video.train.block_starts(frames, profile.length)[:2]
    batch = video.train.draw_batch(setting, profile, row, starts, draw(0, 0))
    target = (starts[:, None] + torch.arange(profile.length)).flatten()
    fresh = crop(frames, target, profile.base.crop)
    X = video.train.encode_frozen(encoder, fresh.pictures)
    torch.testing.assert_close(batch.X[batch.before[:, -1]], X, atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(batch.joints, fresh.joints)
    assert torch.equal(batch.counted, fresh.counted)


def test_a_window_has_one_augmentation_and_fresh_ones_differ(smoke, cache):
    profile, row = settings("video", "smoke", "fresh-augmentation")
    setting = video.prepare.prepare(profile, row, 0, folder=cache)
    starts = torch.tensor([0, 0])
    b = video.train.draw_batch(setting, profile, row, starts, draw(0, 0))
    first, second = b.joints.view(2, profile.length, -1, 2)
    truth = setting.train.joints[: profile.length]

    def side(joints):  # lengths between joints scale alike in all frames of a stretch
        return (joints[:, 0] - joints[:, 1]).norm(dim=-1) / (truth[:, 0] - truth[:, 1]).norm(dim=-1)

    assert not torch.allclose(side(first), side(second), rtol=1e-3)
    assert len(b.X) == 2 * min(profile.length + row.N, len(setting.train.records[0]))


# ---------------------------------------------------------------- measuring


def test_predictions_come_back_in_the_pictures(smoke, cache):
    """A network whose heatmaps are the truth must score 100, through crop and back."""
    profile, row = settings("video", "smoke", "res50")
    setting = video.prepare.prepare(profile, row, 0, folder=cache)
    feats, size = setting.test_features, profile.base.crop

    class Oracle(torch.nn.Module):
        def forward(self, X, before, after, truncate=False):
            from posebook.video.heatmaps import encode, to_cells

            rows = self.rows[before[:, -1]]
            return encode(to_cells(feats.joints[rows], size, size // 4), size // 4, 1.0)[0]

        def parameters(self, recurse=True):
            return iter([torch.zeros(1)])

    oracle = Oracle()
    oracle.rows = torch.arange(len(setting.test))
    predicted = video.predict.predict(oracle, feats, profile, row, batch=len(setting.test))
    metrics, _ = video.measures.evaluate(predicted, setting.test)
    assert metrics["pck_0.1_micro"] == 100 and metrics["mean_error_px"] < 1.5


def test_broken_videos_show_other_frames_of_the_same_clip():
    frames = collect_frames(make_clips(None)[0])
    rows = torch.arange(len(frames))
    for kind in ("repeated", "lost"):
        shown = video.broken(frames, kind, share=0.4)
        assert torch.equal(frames.clip[shown], frames.clip)
        assert not torch.equal(shown, rows)
        assert torch.equal(shown, video.broken(frames, kind, share=0.4))
    assert (video.broken(frames, "repeated") <= rows).all()
    assert (video.broken(frames, "lost") >= rows).all()
    with pytest.raises(ValueError, match="unknown damage 'noisy'; known: repeated, lost"):
        video.broken(frames, "noisy")


def test_a_clip_with_one_frame_runs_through(smoke, cache, monkeypatch):
    def one_frame(size, joints="jhmdb15", split=1):
        rng = np.random.default_rng(0)
        train, test = make_clips(size, joints, split)
        J = len(joint_set(joints))
        short = VideoClip(pictures_of(1, rng), *labels_of(1, J, rng), joints, "test", "one", "walk")
        return [*train, short], [*test, short]

    monkeypatch.setattr(video.prepare.clips, "make_clips", one_frame)
    for variant in ("res50-of", "res50-tce-bc"):
        _, _, record = video.run("smoke", variant, 0, cache=cache)
        assert np.isfinite(record["metrics"]["pck_0.2_mean13"])


def test_epochs_count_frames():
    profile = replace(video.rows.PROFILES["paper"], epochs=50)
    assert video.rows.in_steps(profile, 240).steps == 50 * 10
    assert video.rows.in_steps(video.rows.PROFILES["laptop"], 240) == video.rows.PROFILES["laptop"]
