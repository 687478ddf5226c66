"""Chapter 4's runs: every row trains, repeats, resumes, and shares its dictionary."""

from collections import Counter
from dataclasses import asdict, dataclass, replace
from functools import cache

import numpy as np
import pytest
import torch

from posebook import factorization
from posebook.book.thesis import read_claims
from posebook.data import sources
from posebook.data.recorded.views import ViewsSize, make_views
from posebook.data.views import collect
from posebook.experiments.catalogue import find, settings
from posebook.experiments.run import outcome_of, record_of
from posebook.factorization import learn_dictionary
from posebook.factorization.dictionary import EncoderDecoder, level_sizes
from posebook.factorization.learn_dictionary import best_start, new_dictionary, shared_dictionary
from posebook.factorization.network import FactorizationNetwork
from posebook.geometry.rotations import random_rotations, rotation
from posebook.results.provenance import data_digest
from posebook.results.records import SCHEMA, validate
from posebook.training import card
from posebook.training.loop import Checkpoint

ROWS = {
    variant: f"{experiment}/{variant}"
    for experiment, variants in factorization.rows.EXPERIMENTS.items()
    for variant in variants
}


def run(variant, seed=0, **more):
    """The network and the record of a row on the smoke profile."""
    row, dataset = find(ROWS[variant]), "embedded-views"
    outcome = outcome_of(row, "smoke", seed, dataset, **more)
    [network] = outcome.networks
    return network, record_of(row, "smoke", seed, dataset, "cpu", outcome)


@cache
def one_person(size=None, split="subjects", noise="full", headings="all"):
    train, test = make_views(ViewsSize(1, 12, 1), split, noise, headings=headings)
    return [s for s in train if s.subject == "S1"], test[:2]


@pytest.fixture
def smoke(monkeypatch):
    """The smoke profile on one person; called with fields of the profile to change."""
    monkeypatch.setattr(sources, "make_views", one_person)

    def change(**fields):
        profile = replace(factorization.rows.PROFILES["smoke"], **fields)
        monkeypatch.setitem(factorization.rows.PROFILES, "smoke", profile)

    return change


def test_every_variant_is_a_row_of_one_experiment_and_no_two_are_the_same():
    rows = Counter(name for names in factorization.rows.EXPERIMENTS.values() for name in names)
    assert set(rows) == set(factorization.rows.VARIANTS) and set(rows.values()) == {1}
    assert len(set(factorization.rows.VARIANTS.values())) == len(factorization.rows.VARIANTS)


ALONE = {"cf-alone": "baseline-cf", "hd-alone": "baseline-hd", "adv-alone": "baseline-adv"}


@pytest.mark.parametrize("name", ALONE)
def test_rows_alone_differ_from_those_of_the_table_in_imitation_alone(name):
    alone = asdict(factorization.rows.VARIANTS[name])
    row = asdict(factorization.rows.VARIANTS[ALONE[name]])
    assert {name for name in row if alone[name] != row[name]} == {"imitation"}
    assert row["imitation"] and not alone["imitation"]
    assert find(ROWS[name]).experiment == "imitation-4.1"
    assert set(factorization.rows.EXPERIMENTS["imitation-4.1"]) == set(ALONE)


def test_claims_of_the_chapter_are_about_rows_that_are_run():
    claims = [claim for claim in read_claims() if claim.chapter == 4]
    assert len(claims) >= 11
    for row in {row for claim in claims for row in claim.rows}:
        experiment, variant = row.split("/")
        assert variant in factorization.rows.EXPERIMENTS[experiment]


# Each loss, dictionary, camera and kind of picture once; the other rows combine or weigh these.
RUN = (
    "baseline-cf", "baseline-adv", "pca-dictionary", "c3dpo", "ours-sd", "ours-da", "literal-hd",
    "scale-free-ray-centred", "orthographic", "adv-alone", "consistent", "sequence-cf",
)  # fmt: skip


@pytest.mark.parametrize("variant", RUN)
def test_a_variant_runs(variant, smoke):
    smoke(steps=10, dictionary_steps=3)
    model, record = run(variant)
    made = {"schema": SCHEMA, "versions": {}, "commit": "", "code_digest": record["data_digest"]}
    validate(record | made | {"poses": []})
    assert f"{record['experiment']}/{record['variant']}" == ROWS[variant]
    row = factorization.rows.VARIANTS[variant]
    assert record["steps"] == 10 + 3 * (row.pretrained or row.as_long)
    assert ("dictionary_loss" in record["curves"]) == row.pretrained
    assert ("dictionary_consistency" in record["curves"]) == row.consistent_dictionary
    assert ("consistency" in record["curves"]) == (row.consistency != "none")
    assert ("critic_gap" in record["curves"]) == row.adversarial
    assert record["metrics"]["sign"] == float(model.sign) in (-1, 1)
    assert record["metrics"]["p_mpjpe_mm"] <= record["metrics"]["mpjpe_best_rotation_mm"] + 1e-3
    assert len(record["poses"]) == 3


@pytest.mark.parametrize("kind", ["profile", "variant", "dataset"])
def test_an_unknown_name_is_answered_with_the_known_ones(kind):
    names = {"profile": "smoke", "variant": "baseline", "dataset": "embedded-views"}
    with pytest.raises(ValueError, match=f"unknown {kind} 'other'; known: .*{names[kind]}"):
        settings("factorization", **names | {kind: "other"})


def test_a_single_view_is_refused(smoke, monkeypatch):
    def one(*_, **__):
        return tuple([_first_view(s) for s in part] for part in one_person())

    monkeypatch.setattr(sources, "make_views", one)
    size, row = settings("factorization", "smoke", "baseline-cf")
    with pytest.raises(ValueError, match="needs two views of an instant, the data has 1"):
        factorization.prepare.load(size, row)


def _first_view(sequence):
    return replace(
        sequence, joints_2d=sequence.joints_2d[:, :1], confidence=sequence.confidence[:, :1],
        cameras=sequence.cameras[:1], occluded=None,
    )  # fmt: skip


# ---------------------------------------------------------------- the same run again


def same_weights(a, b):
    a, b = a.state_dict(), b.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


def without_clock(record):
    clock = ("wall_seconds", "samples_per_second", "poses", "parameters")
    return {k: v for k, v in record.items() if k not in clock}


def test_a_run_is_the_same_whether_it_learns_its_dictionary_or_finds_it(smoke, tmp_path):
    smoke(steps=6, dictionary_steps=5, dropout=0.25)
    alone, record = run("baseline-cf")
    for _ in range(2):
        model, again = run("baseline-cf", cache=tmp_path)
        assert same_weights(alone, model) and without_clock(record) == without_clock(again)
        assert len(list(tmp_path.glob("[0-9a-f]*[0-9a-f].pt"))) == 1
    other, third = run("baseline-cf", 1)
    assert not same_weights(alone, other) and third["metrics"] != record["metrics"]
    assert third["data_digest"] == record["data_digest"]


def test_what_agrees_shares_a_dictionary_and_nothing_else(smoke, tmp_path):
    smoke(dictionary_steps=2)
    size, row = settings("factorization", "smoke", "baseline-cf")
    pictures, *_ = factorization.prepare.load(size, row)

    def stored_after(seed=0, pictures=pictures, **changed):
        mine = replace(row, **changed)
        shared_dictionary(pictures, size, mine, seed, tmp_path)
        return len([p for p in tmp_path.glob("*.pt") if "training" not in p.name])

    assert [stored_after(), stored_after(), stored_after(seed=1)] == [1, 1, 2]
    assert [stored_after(camera="linear"), stored_after(code=8)] == [3, 4]
    assert stored_after(starts=1) == 5
    other = replace(pictures, X=2 * pictures.X)
    assert [stored_after(pictures=other), stored_after(consistency="none")] == [6, 6]
    assert stored_after(reflected=True) == 6  # single pictures have no second view to reflect
    assert stored_after(consistent_dictionary=True) == 7
    assert stored_after(consistent_dictionary=True, reflected=True) == 8


def test_a_dictionary_is_the_best_of_several_starts_and_no_label_has_a_say(smoke):
    smoke(dictionary_steps=5)
    size, row = settings("factorization", "smoke", "baseline-cf")
    pictures, *_ = factorization.prepare.load(size, row)
    blind = replace(pictures, Y=None, heading=None)
    start, trials = best_start(blind, size, row, 2)
    assert len(set(trials)) == row.starts == 4
    assert start == 2 + 100 * trials.index(min(trials))
    chosen, record = shared_dictionary(blind, size, row, 2, None)
    assert (record["start"], record["trials"]) == (start, trials)
    # Starts are compared by the loss that they are then trained with.
    _, by_pairs = best_start(blind, size, replace(row, consistent_dictionary=True), 2)
    assert not set(by_pairs) & set(trials)
    alone = replace(row, starts=1)
    plain, record = shared_dictionary(blind, size, alone, start, None)
    assert same_weights(chosen, plain) and (record["start"], record["trials"]) == (start, [])


class Killed(Exception):
    pass


@dataclass(frozen=True)
class EveryThird(Checkpoint):
    every: int = 3


@pytest.mark.parametrize("variant", ["baseline-adv", "c3dpo"])
def test_a_killed_run_resumes_with_the_same_bits(variant, smoke, tmp_path, monkeypatch):
    smoke(steps=8, dictionary_steps=2, dropout=0.25)
    row = factorization.rows.VARIANTS[variant]
    alone = replace(row, restarts=1, chosen_by="loss", as_long=False)
    monkeypatch.setitem(factorization.rows.VARIANTS, variant, alone)  # starts are tried again
    monkeypatch.setattr(factorization.train, "IMITATION", 0.0)
    monkeypatch.setattr(factorization.train, "Checkpoint", EveryThird)
    whole, _ = run(variant)
    real, calls = factorization.train.pair_loss, []

    def dying(*args):
        calls.append(0)
        if len(calls) == 6:
            raise Killed
        return real(*args)

    monkeypatch.setattr(factorization.train, "pair_loss", dying)
    with pytest.raises(Killed):
        run(variant, folder=tmp_path / "run")
    calls.clear()
    monkeypatch.setattr(factorization.train, "pair_loss", lambda *a: calls.append(0) or real(*a))
    resumed, _ = run(variant, folder=tmp_path / "run")
    assert len(calls) < 8
    assert same_weights(whole, resumed)


CHANGES = {
    "seed": lambda size, row: (size, row, 1),
    "loss": lambda size, row: (size, replace(row, consistency="scale-free"), 0),
    "steps": lambda size, row: (replace(size, steps=3), row, 0),
    "takes": lambda size, row: (replace(size, size=ViewsSize(1, 13, 1)), row, 0),
    "noise": lambda size, row: (size, replace(row, noise="none"), 0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_checkpoint_of_another_run_is_refused(change, smoke, tmp_path):
    smoke(steps=2)
    size, row = settings("factorization", "smoke", "cf-untrained")
    run_row = factorization.run.run_row
    run_row(size, row, 0, folder=tmp_path)
    before = (tmp_path / "training.pt").read_bytes()
    size, row, seed = CHANGES[change](size, row)
    with pytest.raises(ValueError, match="belongs to a run with other parameters, data or code"):
        run_row(size, row, seed, folder=tmp_path)
    assert (tmp_path / "training.pt").read_bytes() == before


@pytest.mark.parametrize("change", ["takes", "rig", "first weights", "teacher"])
def test_the_same_folder_never_gives_the_weights_of_another_training(change, smoke, tmp_path):
    smoke(steps=2, dictionary_steps=2)
    size, row = settings("factorization", "smoke", "hd-one-start")
    train, _ = one_person()
    takes, seed, taught = train[:8], 0, 0

    def weights(folder=None):
        pictures = factorization.prepare.prepare_takes(takes, row)
        teacher, _ = shared_dictionary(pictures, size, row, taught, None)
        torch.manual_seed(seed)
        model = factorization.prepare.build(size, row, new_dictionary(size, row, pictures))
        factorization.train.train(model, pictures, size, row, 0, teacher, folder)
        return model.state_dict()

    first = weights(tmp_path)
    if change == "takes":
        takes = train[4:12]
    elif change == "rig":  # the same pixels by a lens that is a little longer
        takes = [
            replace(s, cameras=tuple(replace(c, focal=1.01 * c.focal, principal=c.principal + 2)
                                     for c in s.cameras)) for s in takes
        ]  # fmt: skip
    elif change == "first weights":
        seed = 1
    else:
        taught = 1
    with pytest.raises(ValueError, match="belongs to a run with other .* use another folder"):
        weights(tmp_path)
    other = weights()
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_where_takes_end_belongs_to_the_identity_of_a_training(smoke):
    """A sequence is drawn from one take: the same frames cut otherwise train another network."""
    _, row = settings("factorization", "smoke", "sequence-cf")
    pictures = factorization.prepare.prepare_takes(one_person()[0], row)
    first, last = torch.zeros_like(pictures.first), torch.full_like(pictures.last, len(pictures))
    other = replace(pictures, first=first, last=last - 1)
    assert data_digest(other.arrays()) != data_digest(pictures.arrays())


@pytest.mark.parametrize(
    ("option", "name", "on_own"),
    [
        ("recentre", "ray-centred", None),
        ("views", "ours-da", None),
        ("projection", "orthographic", None),
        ("noise", "exact-joints", "noise='none' is made with the embedded takes"),
    ],
)
def test_pictures_that_are_not_as_the_row_says_are_refused(option, name, on_own, smoke):
    smoke(steps=2, dictionary_steps=2)
    size, row = settings("factorization", "smoke", name)
    plain = factorization.prepare.prepare_takes(one_person()[0], settings(
        "factorization", "smoke", "baseline-cf")[1])  # fmt: skip
    model = factorization.prepare.build(size, row, new_dictionary(size, row, plain))
    remedy = "no others can be" if on_own else "prepare_takes"
    with pytest.raises(ValueError, match=f"the row wants {option}=.*{remedy}"):
        factorization.train.train(model, plain, size, row, 0)
    if on_own:
        with pytest.raises(ValueError, match=on_own):
            factorization.prepare.prepare_takes(one_person()[0], row)
    else:
        mine = factorization.prepare.prepare_takes(one_person()[0], row)
        assert mine.X.shape != plain.X.shape or not torch.equal(mine.X, plain.X)
        factorization.prepare.check_prepared(mine, row)


IDLE = [
    ({"lam": 3.0}, {"consistency": "none"}),
    ({"starts": 1}, {"pretrained": False}),
    ({"camera": "linear"}, {"pretrained": False}),
    ({"consistent_dictionary": True}, {"pretrained": False}),
    ({"code": 25}, {"dictionary": "none", "pretrained": False}),
    ({"code": 25}, {"dictionary": "components", "pretrained": False}),
    ({"levels": 6}, {"dictionary": "single"}),
]


@pytest.mark.parametrize(("option", "row"), IDLE)
def test_an_option_that_the_row_does_not_read_is_refused(option, row):
    Variant = factorization.rows.Variant
    [(name, value)] = option.items()
    with pytest.raises(ValueError, match=f"^{name}=.* has no effect on this row: it is read by"):
        Variant(**row, **option)
    Variant(**row)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"dictionary": "none"}, "pretrained needs a dictionary"),
        ({"dictionary": "none", "pretrained": False, "canonical": True}, "canonical needs a dict"),
        ({"consistency": "sequence", "reflected": True}, "sequence knows no mirror"),
    ],
)
def test_options_that_contradict_each_other_are_refused(row, said):
    with pytest.raises(ValueError, match=said):
        factorization.rows.Variant(**row)


def test_without_3d_there_are_bodies_and_no_error(smoke):
    size, row = settings("factorization", "smoke", "baseline")
    pictures, *_ = factorization.prepare.load(size, row)
    model = factorization.prepare.build(size, row, None)
    bare = replace(pictures, Y=None, heading=None)
    Y_hat, R = factorization.evaluate.predict(model, bare)
    assert Y_hat.isfinite().all() and R.isfinite().all()
    actions = ("walk",) * len(bare)
    with pytest.raises(ValueError, match="have no 3D poses to measure against; `predict` gives"):
        factorization.evaluate.evaluate(model, bare, actions)
    gaps = pictures.Y.clone()
    gaps[[3, 5], 1, 4] = torch.nan
    with pytest.raises(ValueError, match=f"poses of 2 of {len(bare)} instants are not known"):
        factorization.evaluate.evaluate(model, replace(pictures, Y=gaps), actions)


def test_instants_of_which_a_view_sees_nobody_are_left_out_and_counted():
    takes = list(one_person()[0])
    row = factorization.rows.Variant()
    whole = factorization.prepare.prepare_takes(takes, row)
    empty = takes[1].confidence.copy()
    empty[[2, 5], 3] = 0
    takes[1] = replace(takes[1], confidence=empty)
    with pytest.warns(UserWarning, match=f"2 of {len(whole)} instants are left out"):
        kept = factorization.prepare.prepare_takes(takes, row)
    at = len(takes[0])
    rows = [k for k in range(len(whole)) if k not in (at + 2, at + 5)]
    assert torch.equal(kept.X, whole.X[rows]) and torch.equal(kept.turn, whole.turn[rows])


def test_takes_stay_apart_where_instants_are_left_out():
    takes, _ = one_person()
    views = collect(takes[:2])
    w = views.w.clone()
    w[1, 0], w[len(takes[0]), 1], w[-1, 2] = 0, 0, 0  # the second is the first of its take
    with pytest.warns(UserWarning, match="3 of"):
        kept = factorization.pictures.seen_instants(replace(views, w=w))
    n = len(takes[0]) - 1
    assert kept.first.tolist() == [0] * n + [n] * (len(kept) - n)
    assert kept.last.tolist() == [n - 1] * n + [len(kept) - 1] * (len(kept) - n)
    with pytest.raises(ValueError, match="at every instant a view sees nobody"):
        factorization.pictures.seen_instants(replace(views, w=0 * w))


def test_a_checkpoint_of_other_code_is_refused(smoke, tmp_path, monkeypatch):
    smoke(steps=2)
    run("cf-untrained", folder=tmp_path)
    monkeypatch.setattr(card, "code_digest", lambda: "sha256:" + "9" * 64)
    with pytest.raises(ValueError, match="belongs to a run with other parameters, data or code"):
        run("cf-untrained", folder=tmp_path)


def test_seconds_of_earlier_processes_belong_to_a_dictionary(smoke, tmp_path, monkeypatch):
    smoke(dictionary_steps=2)
    size, row = settings("factorization", "smoke", "hd-one-start")
    pictures, *_ = factorization.prepare.load(size, row)
    real = learn_dictionary.fit

    def resumed(*args, clock=None, **more):
        if clock:
            clock.load_state_dict({"seconds": 1000.0})
        return real(*args, clock=clock, **more)

    monkeypatch.setattr(learn_dictionary, "fit", resumed)
    _, record = shared_dictionary(pictures, size, row, 0, tmp_path)
    assert record["seconds"] > 1000


def test_a_dictionary_of_other_code_is_not_taken(smoke, tmp_path, monkeypatch):
    smoke(dictionary_steps=2)
    size, row = settings("factorization", "smoke", "hd-one-start")
    pictures, *_ = factorization.prepare.load(size, row)
    shared_dictionary(pictures, size, row, 0, tmp_path)
    monkeypatch.setattr(learn_dictionary, "code_digest", lambda: "sha256:" + "9" * 64)
    shared_dictionary(pictures, size, row, 0, tmp_path)
    assert len([p for p in tmp_path.glob("*.pt") if "training" not in p.name]) == 2


# ---------------------------------------------------------------- parts


def test_the_thesis_sizes():
    size, row = settings("factorization", "paper", "baseline-cf", "human36m")
    assert (size.epochs, size.dictionary_epochs, size.batch, size.width) == (70, 40, 1024, 1024)
    assert size.schedule == (50 / 70,) and size.learning_rate == size.dictionary_rate == 1e-3
    assert level_sizes(last=row.code, levels=size.levels)[::11] == (125, 10)


def test_epochs_become_steps_by_the_size_of_the_data(smoke):
    size, row = settings("factorization", "smoke", "baseline-cf")
    pictures, *_ = factorization.prepare.load(size, row)
    counted = factorization.rows.in_steps(replace(size, epochs=3, dictionary_epochs=2), pictures)
    assert counted.steps == 3 * (len(pictures) // size.batch)
    assert counted.dictionary_steps == 2 * (4 * len(pictures) // size.dictionary_batch)
    assert factorization.rows.in_steps(size, pictures) is size


def test_random_rotations_have_no_favourite_direction():
    R = random_rotations(20000, torch.Generator().manual_seed(0))
    assert R.mean(0).abs().max() < 0.02
    torch.testing.assert_close(R @ R.mT, torch.eye(3).expand_as(R), atol=1e-5, rtol=0)


@pytest.mark.parametrize("viewpoint", ["omega", "columns"])
def test_a_new_network_looks_at_the_typical_body_from_the_front(viewpoint, smoke):
    torch.manual_seed(2)
    size, row = settings("factorization", "smoke", "baseline-cf")
    pictures, *_ = factorization.prepare.load(size, row)
    dictionary = new_dictionary(size, row, pictures)
    dictionary.typical.normal_()
    model = FactorizationNetwork(dictionary, 32, 2, 0.0, viewpoint).eval()
    Y_hat, R = model(pictures.X[:50, 0])
    torch.testing.assert_close(R, rotation(torch.zeros(50, 3)), atol=0.3, rtol=0)
    assert (Y_hat - dictionary(dictionary.typical[None])).abs().max() < 0.3 * Y_hat.abs().max()


def test_the_network_imitates_its_teacher(smoke, monkeypatch):
    smoke(steps=60, dictionary_steps=10)
    torch.manual_seed(2)  # one dictionary in four is too bad to be imitated
    size, row = settings("factorization", "smoke", "baseline-hd")
    pictures, *_ = factorization.prepare.load(size, row)
    dictionary = new_dictionary(size, row, pictures)
    teacher = EncoderDecoder(dictionary, "svd").requires_grad_(False).eval()
    model = FactorizationNetwork(dictionary, 32, 2, 0.0, "columns")
    pair = factorization.train.gather(pictures, *(torch.full((64,), i) for i in (5, 0, 1)))
    before = factorization.train.imitation(model, teacher, pair)
    monkeypatch.setattr(factorization.train, "IMITATION", 1.0)
    factorization.train.train(model, pictures, size, row, 0, teacher)
    assert factorization.train.imitation(model, teacher, pair) < 0.7 * before


def test_the_adversary_needs_true_poses(smoke):
    size, row = settings("factorization", "smoke", "baseline-adv")
    pictures, *_ = factorization.prepare.load(size, row)
    with pytest.raises(ValueError, match="learns from true 3D poses"):
        model = factorization.prepare.build(size, row, new_dictionary(size, row, pictures))
        factorization.train.train(model, replace(pictures, Y=None), size, row, 0)


def test_the_mirror_is_settled_without_labels(smoke):
    size, row = settings("factorization", "smoke", "baseline")
    pictures, *_ = factorization.prepare.load(size, row)
    blind = replace(pictures, Y=None, heading=None)
    model = factorization.prepare.build(size, row, None)
    factorization.evaluate.settle_mirror(model, blind)
    sign = float(model.sign)
    # A network that gives mirrored bodies is given the other sign.
    with torch.no_grad():
        for part in (model.shape_head[-1].weight, model.shape_head[-1].bias):
            part.view(17, 3, -1)[:, 2] *= -1
    factorization.evaluate.settle_mirror(model, blind)
    assert float(model.sign) == -sign
    factorization.evaluate.settle_mirror(model, blind)
    assert float(model.sign) == -sign, "settled once more it is the same"


def test_it_is_settled_on_pictures_of_training(smoke, monkeypatch):
    smoke(steps=1)
    size, row = settings("factorization", "smoke", "baseline")
    data = factorization.prepare.load(size, row)
    asked = []
    monkeypatch.setattr(factorization.run, "settle_mirror", lambda model, on: asked.append(on))
    factorization.run.run_row(size, row, 0, data=data)
    [on] = asked
    assert on is data[0]


def test_the_start_that_ends_with_the_least_loss_is_the_best(smoke, monkeypatch):
    losses = {0: [9.0, 8.0, 1.0], 100: [2.0, 2.0, 2.0], 200: [1.0, 1.0, 3.0], 300: [5.0, 5.0, 5.0]}
    size, row = settings("factorization", "smoke", "baseline-hd")
    pictures, *_ = factorization.prepare.load(size, row)
    monkeypatch.setattr(
        factorization.learn_dictionary, "learn_dictionary",
        lambda model, pictures, size, start, variant: {"loss": [*enumerate(losses[start])]},
    )  # fmt: skip
    assert row.starts == 4
    assert best_start(pictures, size, row, 0) == (0, [1.0, 2.0, 3.0, 5.0])


def test_a_row_without_a_learned_dictionary_may_have_several_starts_too(smoke):
    smoke(steps=6, dictionary_steps=4)
    row = factorization.rows.VARIANTS["c3dpo"]
    size, _ = settings("factorization", "smoke", "c3dpo")
    outcome = factorization.run.run_row(size, row, 3)
    assert outcome.steps == 6 + 4, "as long as those with two stages"
    trials, start = outcome.parameters["trials"], outcome.parameters["start"]
    assert len(trials) == 4 and start == 3 + 100 * int(np.argmin(trials))
    once = replace(row, restarts=1, chosen_by="loss")
    alone = factorization.run.run_row(size, once, 3)
    assert alone.parameters["trials"] == [] and alone.parameters["start"] == 3
    same = alone.metrics["p_mpjpe_mm"] == outcome.metrics["p_mpjpe_mm"]
    assert same == (start == 3), "the best start is trained, and no other"


def test_the_start_whose_bodies_agree_best_over_views_is_the_best(smoke):
    size, row = settings("factorization", "smoke", "c3dpo")
    pictures, *_ = factorization.prepare.load(size, row)
    score = factorization.starts.score_of
    torch.manual_seed(0)
    noise = torch.randn(len(pictures), pictures.views, 17, 3)

    class Bodies(torch.nn.Module):
        """The same body in all views of an instant, but for a share of noise."""

        def __init__(self, share):
            super().__init__()
            self.share = share

        def forward(self, X):
            body = noise[:, :1] + self.share * noise
            return body.flatten(0, 1), torch.eye(3).expand(len(X), 3, 3)

    scores = [score(Bodies(share), {}, pictures, row) for share in (0.1, 0.5)]
    assert scores[0] < scores[1]
    by_loss = replace(row, chosen_by="loss")
    assert score(None, {"loss": [[1, 9.0], [2, 4.0]]}, pictures, by_loss) == 4.0


def test_the_critic_is_shown_poses_as_the_camera_sees_them(smoke, monkeypatch):
    smoke(steps=2)
    size, row = settings("factorization", "smoke", "baseline-adv")
    pictures, *_ = factorization.prepare.load(size, row)
    model = factorization.prepare.build(size, row, new_dictionary(size, row, pictures))
    answers, shown, forward = [], [], model.forward
    monkeypatch.setattr(model, "forward", lambda X: answers.append(forward(X)) or answers[-1])

    class Critic:
        state = {}

        def update(self, poses, generator):
            Y_hat, R = answers[-1]
            shown.append(torch.equal(poses, factorization.train.CRITIC_UNIT * (Y_hat @ R)))
            return {}

        def score(self, poses):
            return poses.sum() * 0

    monkeypatch.setattr(factorization.train, "_adversary", lambda *_: Critic())
    factorization.train.train(model, pictures, size, row, 0)
    assert shown == [True, True]
