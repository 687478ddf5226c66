"""Seeded draws: any step may be asked for at any time, every instant comes once an epoch."""

import re

import pytest
import torch

from posebook.training.draws import EpochOrder, draw, seed_everything

BATCH = 8


@pytest.mark.parametrize("seed", [0, 5])
def test_every_instant_comes_once_an_epoch(seed):
    order = EpochOrder(40, BATCH, seed)
    epochs = [torch.cat([order.batch(5 * e + k) for k in range(5)]) for e in range(3)]
    for epoch in epochs:
        assert sorted(epoch.tolist()) == list(range(40))
    assert not torch.equal(epochs[0], epochs[1]) and not torch.equal(epochs[1], epochs[2])


def test_no_order_comes_again_in_many_epochs():
    order = EpochOrder(40, 40, 0)
    assert len({tuple(order.batch(epoch).tolist()) for epoch in range(500)}) == 500


def test_what_is_left_of_an_epoch_is_dropped_and_differs():
    order = EpochOrder(43, BATCH, 0)
    assert order.steps == 5
    seen = [set(torch.cat([order.batch(5 * e + k) for k in range(5)]).tolist()) for e in range(8)]
    assert all(len(epoch) == 40 for epoch in seen)
    assert set.union(*seen) == set(range(43))


def test_any_step_can_be_asked_for_at_any_time():
    a, b = EpochOrder(40, BATCH, 0), EpochOrder(40, BATCH, 0)
    steps = range(17)
    there = {step: a.batch(step).clone() for step in steps}
    for step in reversed(steps):
        assert torch.equal(b.batch(step), there[step])


def test_seeds_give_other_orders():
    a, b = EpochOrder(40, BATCH, 0), EpochOrder(40, BATCH, 1)
    assert not torch.equal(a.batch(0), b.batch(0))


def test_too_few_instants_for_a_batch():
    with pytest.raises(ValueError, match=re.escape("a batch of 64 needs as many instants, the")):
        EpochOrder(40, 64, 0)


def test_steps_draw_different_numbers_and_always_the_same():
    first, again, step, seed = (
        torch.rand(4, generator=draw(*key)) for key in ((0, 3), (0, 3), (0, 4), (1, 3))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, step) and not torch.equal(first, seed)


def test_everything_is_seeded():
    numbers = []
    for seed in (0, 0, 1):
        seed_everything(seed)
        numbers.append(torch.rand(4))
    assert torch.equal(numbers[0], numbers[1]) and not torch.equal(numbers[0], numbers[2])
