"""The student: the camera looks at the body, what is said is turned back, mirrors agree."""

from dataclasses import replace

import pytest
import torch
from scipy.spatial.transform import Rotation

from posebook.geometry.camera import project
from posebook.geometry.reflection import reflected
from posebook.lifting.student import Reading, Student, to_middle

PLACES = torch.tensor([[0.0, 0, 5], [1.5, -0.4, 4], [-2.0, 0.8, 6]])


@pytest.fixture
def bodies():
    """Bodies (24, 17, 3) some metres before the camera, and what a student reads of them."""
    random = torch.Generator().manual_seed(0)
    Y = 0.4 * torch.randn(24, 17, 3, generator=random) + PLACES.repeat(8, 1)[:, None]
    w = torch.rand(24, 17, 1, generator=random)
    return Y, torch.cat([project(Y), w], dim=-1)


def student(**reading):
    """A student whose weights say something, in evaluation mode."""
    torch.manual_seed(0)
    model = Student(17, 32, 2, 0.0, Reading(**reading))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


def test_the_turn_is_the_smallest_one_that_puts_the_body_in_the_middle(bodies):
    Y, x = bodies
    turn = to_middle(x[..., :2])
    rays = torch.nn.functional.pad(x[..., :2], (0, 1), value=1.0)
    d = torch.nn.functional.normalize(rays, dim=-1).mean(1)
    for R, direction in zip(turn.double().numpy(), d.double().numpy(), strict=True):
        angle = torch.tensor(direction / (direction**2).sum() ** 0.5)
        axis = torch.linalg.cross(angle, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
        size = torch.atan2(axis.norm(), angle[2])
        expected = Rotation.from_rotvec((axis / axis.norm() * size).numpy()).as_matrix()
        assert abs(R - expected).max() < 1e-5


def test_what_is_said_turns_with_the_camera(bodies):
    """Apart from the root's own ray, which tells where the camera looks."""
    Y, x = bodies
    model = student(flip=False)
    for layer in (model.lifting.body[0], model.rooting.body[0], model.skip):
        layer.weight.data[:, 34:36] = 0
    turn = to_middle(x[..., :2])
    elsewhere = torch.cat([project(Y @ turn.mT), x[..., 2:]], dim=-1)
    torch.testing.assert_close(model.lift(elsewhere), model.lift(x) @ turn.mT, atol=1e-4, rtol=0)
    (_, here), (_, there) = model(x), model(elsewhere)
    torch.testing.assert_close(there, (here[:, None] @ turn.mT)[:, 0], atol=1e-3, rtol=1e-4)
    assert (elsewhere - x).abs().max() > 0.1


def test_the_root_lies_so_that_the_centre_is_on_its_ray(bodies):
    _, x = bodies
    Y, r = student()(x)
    turn = to_middle(x[..., :2])
    centre = (Y.mean(1) + r)[:, None] @ turn.mT
    rays = torch.nn.functional.pad(x[..., :2], (0, 1), value=1.0) @ turn.mT
    middle = (rays[..., :2] / rays[..., 2:]).mean(1)
    torch.testing.assert_close(project(centre, 0.01)[:, 0], middle, atol=1e-4, rtol=1e-3)


def test_mirrored_at_test_a_mirror_image_gets_the_mirrored_answer(bodies):
    _, x = bodies
    both, plain = student(), student(flip=False)
    torch.testing.assert_close(both.lift(reflected(x)), reflected(both.lift(x)))
    expected = (plain.lift(x) + reflected(plain.lift(reflected(x)))) / 2
    torch.testing.assert_close(both.lift(x), expected)
    assert (plain.lift(reflected(x)) - reflected(plain.lift(x))).abs().max() > 0.01


def test_training_is_not_mirrored(bodies):
    _, x = bodies
    model = student().train()
    torch.testing.assert_close(model.lift(x), replaced(model, flip=False).lift(x))


def replaced(model, **fields):
    model.reading = replace(model.reading, **fields)
    return model


@pytest.mark.parametrize("confidences", [True, False])
def test_confidences_are_read_where_asked_for_and_nowhere_else(confidences, bodies):
    _, x = bodies
    other = torch.cat([x[..., :2], x[..., 2:].flip(0)], dim=-1)
    model = student(confidences=confidences)
    assert torch.equal(model.lift(x), model.lift(other)) != confidences


def test_the_skip_is_linear_and_can_be_left_out(bodies):
    _, x = bodies
    model = student(flip=False, centred=False)
    for parameter in model.lifting.parameters():
        torch.nn.init.zeros_(parameter)
    features, turn, *_ = model._read(x)
    said = model.skip(features).unflatten(1, (17, 3))
    torch.testing.assert_close(model.lift(x), said - said[:, :1])
    assert torch.equal(turn[0], torch.eye(3))
    assert not hasattr(student(skip=False), "skip")
