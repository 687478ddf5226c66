"""Chapter 3's runs: every row can be trained, repeated, interrupted and resumed, and is refused
where it makes no sense. Data derived from several views is exact where the views are."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
import torch

from posebook import lifting
from posebook.data import sources
from posebook.data.recorded.views import ViewsSize, make_views
from posebook.data.views import collect
from posebook.data.virtual import add_virtual_views, recover_rigs, triangulate_labels
from posebook.experiments.catalogue import find, settings
from posebook.experiments.run import outcome_of, record_of
from posebook.geometry.camera import meeting_point
from posebook.results.records import SCHEMA, validate
from posebook.training import card
from posebook.training.loop import Checkpoint

SIZE = ViewsSize(1, 12, 1)
ROWS = {
    variant: f"{experiment}/{variant}"
    for experiment, variants in lifting.rows.EXPERIMENTS.items()
    for variant in variants
}


def run(variant, seed=0, folder=None):
    """The network and the record of a row on the smoke profile."""
    row, dataset = find(ROWS[variant]), "embedded-views"
    outcome = outcome_of(row, "smoke", seed, dataset, folder=folder)
    [network] = outcome.networks
    return network, record_of(row, "smoke", seed, dataset, "cpu", outcome)


@cache
def one_person(size=SIZE, split="subjects", noise="full", headings="all"):
    """The smoke profile's data cut to one rig, so that a run takes a fraction of a second."""
    train, test = make_views(size, split, noise)
    return [s for s in train if s.subject == "S1"], test[:2]


@pytest.fixture
def smoke(monkeypatch):
    """The smoke profile on one person; called with fields of the profile to change."""
    monkeypatch.setattr(sources, "make_views", one_person)

    def change(**fields):
        profile = replace(lifting.rows.PROFILES["smoke"], **fields)
        monkeypatch.setitem(lifting.rows.PROFILES, "smoke", profile)

    return change


# ---------------------------------------------------------------- every row


def test_every_variant_is_a_row_of_one_experiment():
    rows = Counter(name for names in lifting.rows.EXPERIMENTS.values() for name in names)
    assert set(rows) == set(lifting.rows.VARIANTS)
    assert set(rows.values()) == {1}


def test_no_two_variants_are_the_same():
    assert len(set(lifting.rows.VARIANTS.values())) == len(lifting.rows.VARIANTS)


@pytest.mark.parametrize("variant", lifting.rows.VARIANTS)
def test_every_variant_runs(variant, smoke):
    smoke(steps=2, pretraining_steps=2)
    _, record = run(variant)
    made = {"schema": SCHEMA, "versions": {}, "commit": "", "code_digest": record["data_digest"]}
    validate(record | made)
    assert f"{record['experiment']}/{record['variant']}" == ROWS[variant]
    expected = {"mpjpe_mm", "p_mpjpe_mm", "n_mpjpe_mm", "real_distance_mm", "real_auc3d"}
    assert expected <= set(record["metrics"])
    assert record["steps"] == 2 + 2 * lifting.rows.VARIANTS[variant].pretrained
    assert ("pretraining_loss" in record["curves"]) == lifting.rows.VARIANTS[variant].pretrained


def test_epochs_become_steps_of_training_and_of_pre_training():
    paper = lifting.rows.PROFILES["paper"]
    found = lifting.rows.in_steps(paper, 7 * paper.batch + 3)
    assert found.steps == 7 * paper.epochs
    assert found.pretraining_steps == 7 * paper.pretraining_epochs
    laptop = lifting.rows.PROFILES["laptop"]
    assert lifting.rows.in_steps(laptop, 999) == laptop


def test_the_curve_shows_the_error_that_the_table_does(smoke):
    """It ends with the trained network's MPJPE over all frames and views."""
    smoke(steps=4)
    size, row = settings("lifting", "smoke", "supervised")
    data = lifting.prepare.load(size, row)
    outcome = lifting.run.run_row(size, row, 0, data=data)
    found = lifting.evaluate.errors(lifting.evaluate.predict(outcome.networks[0], data[1]), data[1])
    step, last = outcome.curves["mpjpe_mm"][-1]
    assert step == 4 and last == pytest.approx(float(found["mpjpe_mm"].mean()), rel=1e-5)


@pytest.mark.parametrize("kind", ["profile", "variant", "dataset"])
def test_an_unknown_name_is_answered_with_the_known_ones(kind):
    names = {"profile": "smoke", "variant": "reproj", "dataset": "embedded-views"}
    with pytest.raises(ValueError, match=f"unknown {kind} 'other'; known: .*{names[kind]}"):
        settings("lifting", **names | {kind: "other"})


# ---------------------------------------------------------------- the same run again


def same_weights(a, b):
    a, b = a.state_dict(), b.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


def without_clock(record):
    return {k: v for k, v in record.items() if k not in ("wall_seconds", "samples_per_second")}


def test_a_seed_gives_the_same_bits_and_another_seed_others(smoke):
    smoke(steps=6, dropout=0.25)
    (first, record), (again, repeated), (other, third) = (
        run("trans-reproj", seed) for seed in (0, 0, 1)
    )
    assert same_weights(first, again)
    assert without_clock(record) == without_clock(repeated)
    assert not same_weights(first, other)
    assert record["metrics"] != third["metrics"]
    assert record["data_digest"] == third["data_digest"]


class Killed(Exception):
    pass


@dataclass(frozen=True)
class EveryFive(Checkpoint):
    every: int = 5


class Counted:
    """`pair_loss`, counted, and the end of the process after `most` calls."""

    def __init__(self, most=10**6):
        self.real, self.most, self.calls = lifting.train.pair_loss, most, 0

    def __call__(self, *args, **kwargs):
        if self.calls == self.most:
            raise Killed
        self.calls += 1
        return self.real(*args, **kwargs)


@pytest.mark.parametrize(
    ("variant", "calls", "left"),
    [
        ("trans-reproj", 13, 10),  # of 20 steps, with a checkpoint after every fifth
        ("reproj-adv", 13, 10),
        ("root-vector-pretrained", 6, 23),  # in the first stage, of 8 steps
        ("root-vector-pretrained", 18, 10),  # in the second
    ],
)
def test_a_killed_run_ends_with_the_same_bits(variant, calls, left, smoke, tmp_path, monkeypatch):
    smoke(steps=20, pretraining_steps=8, dropout=0.25)
    whole, expected = run(variant)
    monkeypatch.setattr(lifting.train, "Checkpoint", EveryFive)
    with monkeypatch.context() as context:
        context.setattr(lifting.train, "pair_loss", Counted(calls))
        with pytest.raises(Killed):
            run(variant, folder=tmp_path)
    counted = Counted()
    monkeypatch.setattr(lifting.train, "pair_loss", counted)
    resumed, record = run(variant, folder=tmp_path)
    assert counted.calls == left
    assert same_weights(whole, resumed)
    assert without_clock(record) == without_clock(expected)


def test_the_critic_is_in_the_checkpoint(smoke, tmp_path):
    smoke(steps=3)
    run("reproj-adv", folder=tmp_path)
    parts = torch.load(tmp_path / "training.pt", weights_only=True)["parts"]
    assert set(parts) == {"model", "optimiser", "critic", "critic_optimiser", "clock", "means"}
    assert {int(s["step"]) for s in parts["critic_optimiser"]["state"].values()} == {3}


CHANGES = {
    "seed": lambda size, row: (size, row, 1),
    "loss": lambda size, row: (size, replace(row, loss="reproj"), 0),
    "lambda": lambda size, row: (size, replace(row, lam=2.0), 0),
    "steps": lambda size, row: (replace(size, steps=3), row, 0),
    "takes": lambda size, row: (replace(size, size=ViewsSize(1, 13, 1)), row, 0),
}


def test_a_test_picture_in_which_nobody_was_found_is_no_gap_in_the_curves(smoke, monkeypatch):
    predict = lifting.run.predict

    def without_one(model, views):
        poses = predict(model, views)
        poses[0, 0] = torch.nan
        return poses

    smoke(steps=2)
    _, whole = run("reproj")
    monkeypatch.setattr(lifting.run, "predict", without_one)
    _, record = run("reproj")
    for name in ("mpjpe_mm", "bone_length_mm"):
        assert np.isfinite(record["curves"][name]).all()
        assert record["curves"][name] != whole["curves"][name]


@pytest.mark.parametrize("change", CHANGES)
def test_a_checkpoint_of_another_run_is_refused(change, smoke, tmp_path):
    smoke(steps=2)
    size, row = settings("lifting", "smoke", "trans-reproj")
    lifting.run.run_row(size, row, 0, folder=tmp_path)
    before = (tmp_path / "training.pt").read_bytes()
    size, row, seed = CHANGES[change](size, row)
    with pytest.raises(ValueError, match="belongs to a run with other parameters, data or code"):
        lifting.run.run_row(size, row, seed, folder=tmp_path)
    assert (tmp_path / "training.pt").read_bytes() == before


def test_a_checkpoint_of_other_data_is_refused_whatever_the_settings_say(
    smoke, tmp_path, monkeypatch
):
    smoke(steps=2)
    run("reproj", folder=tmp_path)
    other = lambda size, split, noise, headings: one_person(SIZE, split, "none")  # noqa: E731
    monkeypatch.setattr(sources, "make_views", other)
    with pytest.raises(ValueError, match="belongs to a run with other parameters, data or code"):
        run("reproj", folder=tmp_path)


def test_a_checkpoint_of_other_code_is_refused(smoke, tmp_path, monkeypatch):
    smoke(steps=2)
    run("reproj", folder=tmp_path)
    monkeypatch.setattr(card, "code_digest", lambda: "sha256:" + "9" * 64)
    with pytest.raises(ValueError, match="belongs to a run with other parameters, data or code"):
        run("reproj", folder=tmp_path)


# ---------------------------------------------------------------- what several views give


def test_triangulated_labels_are_the_truth_without_noise():
    train, _ = one_person(noise="none")
    views = collect(train)
    labels = triangulate_labels(views, train, weighted=False)
    torch.testing.assert_close(labels.Y, views.Y, atol=1e-5, rtol=0)


@pytest.mark.parametrize("weighted", [False, True])
def test_triangulated_labels_are_not_the_truth_with_noise(weighted):
    train, _ = one_person()
    views = collect(train)
    labels = triangulate_labels(views, train, weighted)
    error = (labels.Y - views.Y).norm(dim=-1)
    assert torch.equal(labels.X, views.X)
    assert 0.005 < error.median() < 0.05


def test_a_joint_that_one_view_saw_gets_a_label_all_the_same():
    train, _ = one_person(noise="none")
    confidence = train[0].confidence.copy()
    confidence[:, 1:, 7] = 0
    blind = [replace(train[0], confidence=confidence)]
    labels = triangulate_labels(collect(blind), blind, weighted=True).Y
    others = [j for j in range(17) if j != 7]
    torch.testing.assert_close(labels[:, :, 7], labels[:, :, others].mean(2), atol=1e-5, rtol=0)


def test_recovered_cameras_are_the_true_ones_without_noise():
    train, _ = one_person(noise="none")
    views = collect(train)
    found = recover_rigs(views)
    torch.testing.assert_close(found.R, views.R, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.t, views.t, atol=1e-3, rtol=0)


def test_recovered_cameras_are_near_the_true_ones_with_noise():
    train, _ = one_person()
    views = collect(train)
    found = recover_rigs(views)
    turn = found.R @ views.R.mT
    degrees = ((turn.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).clamp(-1, 1).arccos().rad2deg()
    assert 0.01 < degrees.max() < 5
    assert (found.t - views.t).norm(dim=-1).max() < 0.5


@pytest.mark.parametrize("from_truth", [True, False])
def test_virtual_views_are_projections(from_truth):
    [sequence, *_], _ = one_person(noise="none")
    more = add_virtual_views(sequence, from_truth)
    assert more.joints_2d.shape[1] == len(more.cameras) == 12
    assert more.cameras[:4] == sequence.cameras
    np.testing.assert_array_equal(more.joints_2d[:, :4], sequence.joints_2d)
    for v in range(4, 12):
        expected = more.cameras[v].project(sequence.joints_3d)
        np.testing.assert_allclose(more.joints_2d[:, v], expected, atol=2e-3)
    assert (more.confidence[:, 4:] == 1).all()


def test_virtual_views_of_detections_know_no_truth():
    [sequence, *_], _ = one_person()
    known = add_virtual_views(sequence, from_truth=False)
    moved = replace(sequence, joints_3d=sequence.joints_3d + 1)
    unknown = replace(sequence, joints_3d=None)
    for other in (moved, unknown):
        np.testing.assert_array_equal(
            add_virtual_views(other, from_truth=False).joints_2d, known.joints_2d
        )
    with pytest.raises(ValueError, match="no joints_3d to project; use the triangulated form"):
        add_virtual_views(unknown, from_truth=True)


def test_a_joint_that_nobody_can_triangulate_is_missing_in_virtual_views():
    [sequence, *_], _ = one_person()
    confidence = sequence.confidence.copy()
    confidence[3, 1:, 7] = 0
    more = add_virtual_views(replace(sequence, confidence=confidence), from_truth=False)
    missing = np.argwhere(more.confidence[:, 4:] == 0)
    assert {(int(t), int(joint)) for t, _, joint in missing} == {(3, 7)}
    assert len(missing) == 8


def test_virtual_cameras_keep_height_distance_and_aim():
    [sequence, *_], _ = one_person()
    cameras = add_virtual_views(sequence, from_truth=True).cameras
    pivot = meeting_point(cameras[:4])
    for n, camera in enumerate(cameras[4:]):
        real = cameras[n // 2]
        assert camera.center[2] == pytest.approx(real.center[2])
        assert np.linalg.norm(camera.center - pivot) == pytest.approx(
            np.linalg.norm(real.center - pivot)
        )
        np.testing.assert_allclose(camera.to_camera(pivot), real.to_camera(pivot), atol=1e-9)
        a, b = camera.center[:2] - pivot[:2], real.center[:2] - pivot[:2]
        cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        assert np.degrees(np.arccos(cosine)) == pytest.approx(60)
