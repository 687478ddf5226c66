"""The rows beyond chapter 3: what each learns from, for how long, and what one leaves out."""

from dataclasses import asdict, replace

import pytest
import torch

from posebook import lifting
from posebook.data.recorded.views import make_views
from posebook.data.views import collect
from posebook.experiments.catalogue import settings
from posebook.geometry.camera import transform
from posebook.lifting.rows import EXPERIMENTS, PROFILES, VARIANTS, Variant, steps_of

WHOLE = VARIANTS["consensus-augmented-flip"]
SHORT = VARIANTS["everything"]
LEFT_OUT = {
    "without-confidences": {"student.confidences"},
    "without-centring": {"student.centred"},
    "without-skip": {"student.skip"},
    "with-squared-error": {"error"},
    "without-turns": {"changes.turn"},
    "without-scales": {"changes.body", "changes.bone"},
    "without-shifts": {"changes.aside", "changes.height"},
    "without-mirror": {"changes.mirror", "student.flip"},
    "without-exchanges": {"teacher.exchanges"},
    "without-weights": {"teacher.weighted"},
    "consensus-augmented": {"student.flip"},
    "consensus-augmented-flip-points": {"student.confidences"},
}


def flat(variant):
    fields = {}
    for name, value in asdict(variant).items():
        inner = value if isinstance(value, dict) else {"": value}
        fields |= {f"{name}.{key}".rstrip("."): v for key, v in inner.items()}
    return fields


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_row_leaves_out_what_it_says_and_nothing_else(name):
    whole, part = flat(WHOLE if VARIANTS[name].longer else SHORT), flat(VARIANTS[name])
    assert {field for field in whole if whole[field] != part[field]} == LEFT_OUT[name]


def test_every_ablation_is_listed():
    listed = {name for name in LEFT_OUT if not VARIANTS[name].longer}
    assert set(EXPERIMENTS["ablation-beyond-3"]) == {"everything", *listed}
    assert SHORT == replace(WHOLE, longer=False)


def test_only_rows_beyond_chapter_3_train_longer_and_only_on_laptop():
    long = set(EXPERIMENTS["beyond-3"])
    for name, variant in VARIANTS.items():
        for size, profile in PROFILES.items():
            more = name in long and size == "laptop"
            assert steps_of(profile, variant) == (10_000 if more else profile.steps)


def test_long_rows_are_those_of_table_3_1_and_nothing_else():
    for name in ("trans-reproj-da", "supervised"):
        assert VARIANTS[f"{name}-long"] == replace(VARIANTS[name], longer=True)


def test_a_consensus_needs_a_teacher():
    with pytest.raises(ValueError, match="the loss consensus needs a teacher"):
        Variant(loss="consensus")


@pytest.fixture(scope="module")
def records():
    return make_views(PROFILES["smoke"].size)[0][:15]


@pytest.fixture
def batches(records, monkeypatch):
    """Called with a row: the views it trains on and the first batch that its loss is given."""

    def first(name):
        size, row = settings("lifting", "smoke", name)
        monkeypatch.setattr(lifting.prepare, "load_views", lambda *_: (records, records[:2]))
        views, _ = lifting.prepare.load(size, row)
        seen = []
        real = lifting.train.pair_loss
        with monkeypatch.context() as context:
            kept = lambda *a: seen.append(a[2]) or real(*a)  # noqa: E731
            context.setattr(lifting.train, "pair_loss", kept)
            model = lifting.prepare.build(size, row)
            lifting.train.train(model, views, replace(size, steps=1), row, 0)
        return views, seen[0]

    return first


def test_the_teachers_bodies_are_the_labels_and_truth_only_where_it_is_said(batches, records):
    truth = collect(records).Y
    for name in EXPERIMENTS["beyond-3"]:
        if "da-long" not in name:
            same = torch.equal(batches(name)[0].Y, truth)
            assert same == name.startswith("supervised"), name


def test_samples_are_new_but_for_the_row_without_them(batches):
    for name, new in (("consensus", False), ("consensus-augmented", True)):
        views, b = batches(name)
        assert torch.equal(b.X1, views.X[b.instant, b.v1]) != new


def test_two_views_of_equation_3_7_see_one_body(batches):
    for name, together in (("trans-reproj-augmented-flip", True), ("consensus-augmented", False)):
        _, b = batches(name)
        off = (transform(b.Y1, b.R12, b.t12) - b.Y2).abs().max()
        assert (off < 1e-3) == together


def test_bodies_are_no_targets_of_equation_3_7(batches):
    """Without the true root or a labelled loss, only pictures decide."""
    size, row = settings("lifting", "smoke", "trans-reproj-augmented-flip")
    views, b = batches("trans-reproj-augmented-flip")
    model = lifting.prepare.build(size, row)
    loss = lambda pairs: lifting.train.pair_loss(model, views, pairs, row)[0]  # noqa: E731
    assert loss(b) == loss(replace(b, Y1=b.Y1 + 1, Y2=b.Y2 - 1))
