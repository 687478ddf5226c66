"""Pairs of pictures: people in the mirror, and what two views say that one cannot."""

import pytest
import torch
from scipy.spatial.transform import Rotation

from posebook.factorization import losses
from posebook.factorization.learn_dictionary import dictionary_loss
from posebook.factorization.mirror import mirror_shape, mirror_viewpoint
from posebook.factorization.pairs import Pair, gather, reflect_half, sequences
from posebook.factorization.pictures import Pictures
from posebook.factorization.rows import VARIANTS
from posebook.factorization.train import pair_loss
from posebook.geometry.reflection import reflected
from posebook.geometry.skeleton import H36M
from posebook.training.draws import draw

B = 64
F = torch.diag(torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64))


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def turns(n, seed):
    return torch.as_tensor(Rotation.random(n, rng=seed).as_matrix())


@pytest.fixture
def seen():
    """Bodies, two viewpoints of each, and their exact pictures."""
    Y, R1, R2 = random(B, 17, 3), turns(B, 1), turns(B, 2)
    found = random(2, B, 17, seed=3) > -1
    return Y, R1, R2, Pair(losses.picture(Y, R1), losses.picture(Y, R2), *found)


def test_the_picture_of_the_body_in_the_mirror_is_the_picture_in_the_mirror(seen):
    Y, R, _, pair = seen
    torch.testing.assert_close(losses.picture(reflected(Y), F @ R @ F), reflected(pair.X1))
    torch.testing.assert_close(torch.linalg.det(F @ R @ F), torch.ones(B).double())
    assert torch.equal(reflected(reflected(Y)), Y)
    left, right = H36M.index("LWrist", "RWrist")
    assert torch.equal(reflected(Y)[:, left], Y[:, right] * torch.tensor([-1, 1, 1]))


def test_half_of_the_second_pictures_are_reflected_with_what_was_found(seen):
    *_, pair = seen
    other = reflect_half(pair, draw(0, 0))
    chosen = other.reflected
    assert B / 4 < chosen.sum() < 3 * B / 4
    assert torch.equal(other.X1, pair.X1) and torch.equal(other.found1, pair.found1)
    assert torch.equal(other.X2[chosen], reflected(pair.X2[chosen]))
    assert torch.equal(other.found2[chosen], pair.found2[chosen][:, H36M.flip.tolist()])
    assert torch.equal(other.X2[~chosen], pair.X2[~chosen])
    assert torch.equal(other.found2[~chosen], pair.found2[~chosen])
    assert torch.equal(reflect_half(pair, draw(0, 0)).reflected, chosen)
    assert not torch.equal(reflect_half(pair, draw(0, 1)).reflected, chosen)


def answering(Y1, R1, Y2, R2):
    """A model that answers these bodies and viewpoints of the two pictures of a batch."""
    return lambda X: (torch.cat([Y1, Y2]), torch.cat([R1, R2]))


def losses_of(model, pair):
    """Equation 4.7, that of pairs, and equation 4.8."""
    value, logs = dictionary_loss(model, pair)
    return logs["reprojection"], value, pair_loss(model, pair, VARIANTS["consistent"])[0]


def test_a_dictionary_that_mixes_the_signs_of_depth_costs_more_by_pairs_alone(seen):
    Y, R1, R2, pair = seen
    sign = torch.where(torch.arange(B) % 2 == 0, 1.0, -1.0).double()[:, None, None]
    mixed = mirror_shape(Y, sign), torch.where(sign > 0, R2, mirror_viewpoint(R2))
    assert max(losses_of(answering(Y, R1, Y, R2), pair)) < 1e-12
    by_pictures, by_pairs, later = losses_of(answering(Y, R1, *mixed), pair)
    assert by_pictures < 1e-12 and min(by_pairs, later) > 0.1


def test_a_reflected_picture_costs_nothing_only_where_its_body_is_the_reflected_one(seen):
    Y, R1, R2, pair = seen
    half = reflect_half(pair, draw(0, 0))
    chosen = half.reflected[:, None, None]
    right = torch.where(chosen, reflected(Y), Y), torch.where(chosen, F @ R2 @ F, R2)
    assert max(losses_of(answering(Y, R1, *right), half)) < 1e-12
    # The mirror in depth has the same picture, and is the other sign of a reflected body.
    wrong = mirror_shape(right[0]), mirror_viewpoint(right[1])
    by_pictures, by_pairs, later = losses_of(answering(Y, R1, *wrong), half)
    assert by_pictures < 1e-12 and min(by_pairs, later) > 0.1
    stuck = losses_of(answering(Y, R1, Y, R2), half)
    assert min(stuck) > 0.1 and max(losses_of(answering(Y, R1, Y, R2), pair)) < 1e-12


def test_pairs_are_gathered_from_their_rows():
    X, found = random(5, 3, 17, 2), random(5, 3, 17) > 0
    pictures = Pictures(X, found, None, torch.eye(3), None, {})
    instant, v1, v2 = torch.tensor([4, 0]), torch.tensor([0, 2]), torch.tensor([1, 0])
    pair = gather(pictures, instant, v1, v2)
    assert torch.equal(pair.X1, X[instant, v1]) and torch.equal(pair.X2, X[instant, v2])
    assert torch.equal(pair.found1, found[instant, v1])
    assert torch.equal(pair.found2, found[instant, v2])
    assert pair.reflected is None and pair.same_body(X) is X


def test_a_sequence_is_its_instant_and_others_of_the_same_take():
    first, last = torch.tensor([0, 0, 0, 3, 4, 4]), torch.tensor([2, 2, 2, 3, 5, 5])
    X, found = random(6, 2, 17, 2), random(6, 2, 17) > 0
    pictures = Pictures(X, found, None, torch.eye(3), None, {}, first, last)
    drawn = torch.stack(
        [sequences(pictures, torch.arange(6), 4, draw(0, step)).view(6, 4) for step in range(50)]
    )
    assert (drawn[..., 0] == torch.arange(6)).all()
    assert ((drawn >= first[:, None]) & (drawn <= last[:, None])).all()
    assert set(drawn[:, 1].flatten().tolist()) == {0, 1, 2} and (drawn[:, 3] == 3).all()
