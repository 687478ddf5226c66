"""Chapter 2's runs: every row can be trained, repeated, interrupted and resumed; the encoder stays
frozen; the feature cache says the same as fresh features."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
import torch

from posebook import video
from posebook.data import sources
from posebook.data.records import ImageSet, VideoClip
from posebook.experiments.catalogue import find, settings
from posebook.experiments.run import outcome_of, record_of
from posebook.geometry.skeleton import joint_set
from posebook.results.records import SCHEMA, validate
from posebook.training import card
from posebook.training.draws import draw
from posebook.training.loop import Checkpoint
from posebook.video import base_network as pretraining
from posebook.video.features import features
from posebook.video.frames import collect_frames, crop

ROWS = {
    variant: f"{experiment}/{variant}"
    for experiment, variants in video.rows.EXPERIMENTS.items()
    for variant in variants
}


def run(variant, seed=0, **more):
    """The encoder, the network and the record of a row on the smoke profile."""
    row, dataset = find(ROWS[variant]), "embedded-video"
    outcome = outcome_of(row, "smoke", seed, dataset, **more)
    return *outcome.networks, record_of(row, "smoke", seed, dataset, "cpu", outcome)


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
    monkeypatch.setattr(sources.embedded_clips, "make_clips", make_clips)
    monkeypatch.setattr(sources.embedded_clips, "make_stills", make_stills)
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
    variants = dict(video.rows.VARIANTS)
    # Once more, from the base network of the rows that are held against it.
    for again, row in {"as-built": "res50-tce-bc", "frames-longer": "res50-longer"}.items():
        assert replace(variants.pop(again), also=()) == replace(variants[row], also=())
    rows = [replace(row, also=()) for row in variants.values()]
    assert len(set(rows)) == len(rows)


@pytest.mark.parametrize("variant", video.rows.VARIANTS)
def test_every_variant_runs(variant, smoke, cache):
    _, _, record = run(variant, cache=cache)
    made = {"schema": SCHEMA, "versions": {}, "commit": "", "code_digest": record["data_digest"]}
    validate(record | made)
    assert f"{record['experiment']}/{record['variant']}" == ROWS[variant]
    expected = {"pck_0.2_mean13", "pck_0.1_mean7", "pck_0.05_micro", "pck_0.1_wrist",
                "mean_error_px_hidden", "accel_error_px", "gmac_per_frame_cached"}  # fmt: skip
    assert expected <= set(record["metrics"])
    also = set(video.rows.VARIANTS[variant].also)
    assert ("pck_0.2_mean13_stride9" in record["metrics"]) == ("strides" in also)
    assert ("precision_recall_0.2" in record["curves"]) == ("curves" in also)
    assert record["per_action"].keys() == {"jump", "walk"}
    size = video.rows.PROFILES["smoke"]
    trained = video.rows.VARIANTS[variant].trained
    frames = size.segments * size.length if trained else size.base.batch
    samples = record["samples_per_second"] * record["wall_seconds"]
    assert samples == pytest.approx(frames * record["steps"])


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
        run("res50-tce-bc", seed, cache=tmp_path / name)
        for seed, name in ((0, "a"), (0, "b"), (1, "a"))
    )
    assert same_weights(first, again) and not same_weights(first, other)
    assert without_clock(record) == without_clock(repeated)


class Killed(Exception):
    pass


@dataclass(frozen=True)
class EveryFive(Checkpoint):
    every: int = 5


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
    row = partial(run, "res50-tce-s", cache=cache)
    _, whole, expected = row()
    monkeypatch.setattr(video.train, "Checkpoint", EveryFive)
    with monkeypatch.context() as context:
        counted(context, video.train, "draw_batch", most=8)
        with pytest.raises(Killed):
            row(folder=tmp_path)
    calls = counted(monkeypatch, video.train, "draw_batch")
    _, resumed, record = row(folder=tmp_path)
    assert len(calls) == 12 - 5, "it should go on from the checkpoint of step 5"
    assert same_weights(whole, resumed)
    assert record["metrics"] == expected["metrics"] and record["curves"] == expected["curves"]
    assert {"network.pt", "predictions.npz"} <= {path.name for path in tmp_path.iterdir()}


CHANGES = {
    "seed": lambda size, row: (size, row, 1),
    "loss": lambda size, row: (size, replace(row, loss="integral"), 0),
    "neighbours": lambda size, row: (size, replace(row, N=2), 0),
    "steps": lambda size, row: (replace(size, steps=3), row, 0),
    "split": lambda size, row: (size, replace(row, split=2), 0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_checkpoint_of_another_run_is_refused(change, smoke, cache, tmp_path):
    size, row = settings("video", "smoke", "res50-tce-s")
    video.run.run_row(size, row, 0, folder=tmp_path, cache=cache)
    before = (tmp_path / "training.pt").read_bytes()
    size, row, seed = CHANGES[change](size, row)
    with pytest.raises(ValueError, match="belongs to a run with other parameters, data or code"):
        video.run.run_row(size, row, seed, folder=tmp_path, cache=cache)
    assert (tmp_path / "training.pt").read_bytes() == before


@pytest.mark.parametrize("change", ["clips", "encoder", "features", "first weights"])
def test_the_same_folder_never_gives_the_weights_of_another_training(
    change, smoke, cache, tmp_path
):
    profile, row = settings("video", "smoke", "res50-tce-s")
    setting = video.prepare.prepare(profile, row, 0, folder=cache)

    def weights(folder=None, setting=setting, seed=0):
        torch.manual_seed(seed)
        model = video.prepare.build(profile, row, setting.base, 15)
        video.train.train(model, setting, profile, row, 0, folder)
        return model.state_dict()

    first = weights(tmp_path)
    other = {}
    if change == "clips":
        moved = replace(setting.train, joints=setting.train.joints + 3)
        other["setting"] = replace(setting, train=moved)
    elif change == "encoder":
        base = pretraining.build(profile.base, 15)
        other["setting"] = replace(setting, base=base)
    elif change == "features":  # of other augmentations
        more = video.prepare.prepare(profile, row, 1, folder=cache)
        other["setting"] = replace(setting, train_features=more.train_features)
    else:
        other["seed"] = 1
    with pytest.raises(ValueError, match="belongs to a run with other .* use another folder"):
        weights(tmp_path, **other)
    assert all(torch.equal(first[name], value) for name, value in weights(tmp_path).items())


def test_features_of_another_encoder_size_or_clip_are_not_taken(smoke, cache, tmp_path):
    """One folder for all of them: each is what an empty folder gives."""
    frames = [collect_frames(make_clips(None, split=split)[0][:1]) for split in (1, 2)]
    encoders = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        encoders.append(pretraining.build(smoke().base, 15).encoder.eval())
    asked = [
        dict(frames=f, encoder=e, size=s)
        for f, e, s in ((frames[0], encoders[0], 32), (frames[0], encoders[1], 32),
                        (frames[0], encoders[0], 64), (frames[1], encoders[0], 32))
    ]  # fmt: skip
    for number, options in enumerate(asked):
        shared = features(**options, folder=tmp_path / "shared")
        alone = features(**options, folder=tmp_path / str(number))
        assert torch.equal(shared.X, alone.X)
    assert len(list((tmp_path / "shared" / "features").glob("*.npy"))) == 4


def test_a_base_network_that_watched_other_pictures_is_trained_anew(smoke, tmp_path):
    base = replace(smoke().base, steps=2, batch=4)
    train, test = (collect_frames([part]) for part in make_stills(None))
    first, record = pretraining.base_network(base, train, test, 0, folder=tmp_path)
    other, again = pretraining.base_network(base, train, train, 0, folder=tmp_path)
    assert record["key"] != again["key"] and record["curves"] != again["curves"]
    assert same_weights(first, other)  # what is watched changes curves, not weights


def test_a_checkpoint_of_other_code_is_refused(smoke, cache, tmp_path, monkeypatch):
    run("res50-tce-s", folder=tmp_path, cache=cache)
    monkeypatch.setattr(card, "code_digest", lambda: "sha256:" + "9" * 64)
    with pytest.raises(ValueError, match="belongs to a run with other parameters, data or code"):
        run("res50-tce-s", folder=tmp_path, cache=cache)


def test_a_killed_base_network_ends_with_the_same_bits(smoke, tmp_path, monkeypatch):
    base = replace(smoke().base, steps=12, batch=4)
    train, test = (collect_frames([part]) for part in make_stills(None))
    whole, expected = pretraining.base_network(base, train, test, 0, folder=tmp_path / "a")
    monkeypatch.setattr(pretraining, "Checkpoint", EveryFive)
    with monkeypatch.context() as context:
        counted(context, pretraining, "loss_of", most=8)
        with pytest.raises(Killed):
            pretraining.base_network(base, train, test, 0, folder=tmp_path / "b")
    calls = counted(monkeypatch, pretraining, "loss_of")
    resumed, record = pretraining.base_network(base, train, test, 0, folder=tmp_path / "b")
    assert len(calls) == 12 - 5, "it should go on from the checkpoint of step 5"
    assert same_weights(whole, resumed) and record["curves"] == expected["curves"]
    [done] = (tmp_path / "b").rglob("done.pt")
    done.write_bytes(done.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r"done\.pt is damaged, or no checkpoint .*; delete it"):
        pretraining.base_network(base, train, test, 0, folder=tmp_path / "b")


def test_a_base_network_is_trained_once_for_all_its_rows_and_seeds(smoke, tmp_path, monkeypatch):
    trained = []
    real = pretraining.train_base
    monkeypatch.setattr(
        pretraining, "train_base", lambda *a, **k: trained.append(a[4]) or real(*a, **k)
    )
    for seed, variant in enumerate(
        ("res50", "res50-tce-bc", "res50-integral", "res50-tce-bc-integral")
    ):
        run(variant, seed, cache=tmp_path)
    assert trained == ["heatmap", "integral"]


def test_a_base_network_is_known_by_the_weights_it_started_from(smoke, tmp_path):
    base = smoke().base
    train, test = (collect_frames([part]) for part in make_stills(None))
    first, record = pretraining.base_network(base, train, test, 0, folder=tmp_path)
    keys = [record["key"]]
    for factor in (1.0, 2.0):
        start = {name: factor * value for name, value in first.state_dict().items()}
        further = pretraining.base_network(base, train, test, 0, start=start, folder=tmp_path)
        keys.append(further[1]["key"])
    assert len(set(keys)) == 3 == len(list((tmp_path / "base").iterdir()))


def test_the_encoder_is_left_as_it_was(smoke, cache):
    for variant in ("res50-tce-bc", "fresh-augmentation"):
        profile, row = settings("video", "smoke", variant)
        base, _ = video.prepare.prepare_base(profile, row, folder=cache)
        before = {name: value.clone() for name, value in base.encoder.state_dict().items()}
        encoder, _, _ = run(variant, cache=cache)
        for name, value in encoder.state_dict().items():
            assert torch.equal(value, before[name]), name


def test_a_row_that_trains_longer_has_its_own_steps_and_copies(smoke, cache, tmp_path):
    smoke(steps=2, long_steps=4, long_copies=3)
    for variant, steps, copies in (("res50-tce-bc", 2, 2), ("res50-tce-bc-longer", 4, 3)):
        profile, row = settings("video", "smoke", variant)
        setting = video.prepare.prepare(profile, row, 0, folder=cache)
        assert setting.train_features.copies == copies
        record = run(variant, data=setting, folder=tmp_path / variant)[-1]
        assert record["steps"] == steps == record["curves"]["loss"][-1][0]


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
    plain = features(frames, encoder, profile.base.crop, folder=cache)
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


@pytest.mark.parametrize("erasing", [False, True])
def test_only_rows_with_erasing_erase_fresh_crops(erasing, smoke, cache, monkeypatch):
    profile, row = settings("video", "smoke", "fresh-augmentation")
    setting = video.prepare.prepare(profile, row, 0, folder=cache)
    calls = counted(monkeypatch, video.frames.crops, "draw_rectangles")
    starts, row = torch.tensor([0]), replace(row, erasing=erasing)
    video.train.draw_batch(setting, profile, row, starts, draw(0, 0))
    assert bool(calls) == erasing


def test_batches_are_drawn_with_the_seed_of_the_run_and_the_step(smoke, cache, monkeypatch):
    real, drawn = video.train.draw_batch, []

    def noting(*args):
        drawn.append(args[-1].initial_seed())
        return real(*args)

    monkeypatch.setattr(video.train, "draw_batch", noting)
    for seed in (0, 1):
        run("res50-tce-s", seed, cache=cache)
    assert drawn == [draw(seed, step).initial_seed() for seed in (0, 1) for step in (0, 1)]


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


def test_a_video_with_repeated_frames_shows_earlier_frames_of_the_same_clip():
    frames = collect_frames(make_clips(None)[0])
    rows = torch.arange(len(frames))
    shown = video.evaluate.repeated(frames, share=0.4)
    assert torch.equal(frames.clip[shown], frames.clip)
    assert not torch.equal(shown, rows)
    assert torch.equal(shown, video.evaluate.repeated(frames, share=0.4))
    assert (shown <= rows).all()
    # What is shown twice is shown as it is: the frame before it, or what that one shows.
    again = shown != rows
    assert torch.equal(shown[again], shown[rows[again] - 1])


def test_a_video_with_lost_frames_has_the_others_in_their_order():
    frames = collect_frames(make_clips(None)[0])
    left = video.evaluate.kept(frames, share=0.4)
    assert 0 < len(left) < len(frames)
    assert (left.diff() > 0).all()
    assert torch.equal(left, video.evaluate.kept(frames, share=0.4))
    assert set(frames.first.tolist()) <= set(left.tolist()), "each clip still begins"


def test_the_same_quarter_of_the_frames_is_repeated_or_lost():
    frames = collect_frames(make_clips(None)[0] * 40)
    rows = torch.arange(len(frames))
    hit = video.evaluate.repeated(frames) != rows
    assert torch.equal(rows[~hit], video.evaluate.kept(frames))
    later = rows != frames.first
    assert hit[later].float().mean() == pytest.approx(0.25, abs=0.04)


@pytest.mark.parametrize("variant", ["res50-tce-bc", "truncated-ends"])
def test_lost_frames_are_neither_seen_nor_asked_for(variant, smoke, cache):
    """Predictions of a video with lost frames are those of the shorter video."""
    profile, row = settings("video", "smoke", variant)
    setting = video.prepare.prepare(profile, row, 0, folder=cache)
    feats = setting.test_features
    model = video.prepare.build(profile, row, setting.base, len(setting.test.joint_set))
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.1) if weight.dim() > 1 else None
    left = video.evaluate.kept(setting.test, share=0.4)
    records = []
    for number, clip in enumerate(setting.test.records):
        rows = setting.test.of_clip(number)
        mine = [int(row) - rows.start for row in left if rows.start <= row < rows.stop]
        names = ("pictures", "joints", "visible", "box")
        records.append(replace(clip, **{name: getattr(clip, name)[mine] for name in names}))
    shorter = collect_frames(records)
    cut = video.features.Features(
        feats.X[left], feats.joints[left], feats.counted[left], feats.M[left], shorter, feats.key
    )
    expected = video.predict.predict(model, cut, profile, row)
    found = video.predict.predict(model, feats, profile, row, left=left)
    assert len(found.joints) == len(left) < len(setting.test)
    np.testing.assert_allclose(found.joints, expected.joints, atol=1e-3)
    whole = video.predict.predict(model, feats, profile, row)
    assert np.abs(whole.joints[left] - found.joints).max() > 1e-2, "neighbours should have a say"
    every = video.predict.predict(model, feats, profile, row, left=torch.arange(len(setting.test)))
    np.testing.assert_array_equal(every.joints, whole.joints)


def test_a_clip_with_one_frame_runs_through(smoke, cache, monkeypatch):
    def one_frame(size, joints="jhmdb15", split=1):
        rng = np.random.default_rng(0)
        train, test = make_clips(size, joints, split)
        J = len(joint_set(joints))
        short = VideoClip(pictures_of(1, rng), *labels_of(1, J, rng), joints, "test", "one", "walk")
        return [*train, short], [*test, short]

    monkeypatch.setattr(sources.embedded_clips, "make_clips", one_frame)
    for variant in ("res50-of", "res50-tce-bc"):
        _, _, record = run(variant, cache=cache)
        assert np.isfinite(record["metrics"]["pck_0.2_mean13"])


def test_a_quarter_of_the_training_is_one_in_steps_and_in_epochs():
    base = video.rows.PROFILES["paper"].base
    found = video.prepare.quarter(base)
    assert (found.steps, found.epochs) == (base.steps // 4, base.epochs // 4)
    assert video.prepare.quarter(replace(base, epochs=0)).epochs == 0
    assert video.prepare.quarter(replace(base, steps=2, epochs=2)).epochs == 1


def test_epochs_count_frames():
    profile = replace(video.rows.PROFILES["paper"], epochs=50)
    assert video.rows.in_steps(profile, 240).steps == 50 * 10
    assert video.rows.in_steps(video.rows.PROFILES["laptop"], 240) == video.rows.PROFILES["laptop"]
