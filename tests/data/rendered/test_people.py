"""Persons and their clothes."""

import numpy as np
import pytest

from posebook.data.rendered import people
from posebook.data.rendered.mesh import BONES


@pytest.fixture(scope="module")
def dressed():
    rng = np.random.default_rng(4)
    bare, body = people.make_person(rng)
    return bare, body, *people.dress(bare, body, rng)


def test_the_same_seed_is_the_same_person():
    one, other = (people.make_person(np.random.default_rng(8))[0] for _ in range(2))
    np.testing.assert_array_equal(one.vertices, other.vertices)
    third = people.make_person(np.random.default_rng(9))[0]
    assert np.abs(one.vertices - third.vertices).max() > 0.005


def test_clothes_stand_off_a_little_and_move_no_joint(dressed):
    bare, _, mesh, _ = dressed
    off = np.linalg.norm(mesh.vertices - bare.vertices, axis=1)
    assert off.max() < 0.03
    np.testing.assert_array_equal(mesh.joints, bare.joints)
    np.testing.assert_array_equal(mesh.weights, bare.weights)


def test_every_face_has_a_colour_and_hands_are_bare(dressed):
    bare, body, mesh, look = dressed
    assert look.colour.shape == (len(mesh.faces), 3)
    assert (look.colour >= 0).all() and (look.colour <= 255).all()
    part = np.array(BONES)[mesh.part]
    tips = np.abs(bare.vertices[mesh.faces].mean(1)[:, 0])  # arms are spread in the rest pose
    hand = np.char.endswith(part, "forearm") & (tips > np.quantile(tips, 0.99))
    np.testing.assert_allclose(look.colour[hand], np.tile(body["skin"], (hand.sum(), 1)))


def test_wardrobes_differ():
    rng = np.random.default_rng(0)
    bare, body = people.make_person(rng)
    looks = [people.dress(bare, body, rng)[1] for _ in range(4)]
    shirts = {tuple(np.round(look.colour.mean(0), 3)) for look in looks}
    assert len(shirts) == 4
