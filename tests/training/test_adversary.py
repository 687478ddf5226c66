"""The adversary: its critic raises true poses and lowers others, and the network the opposite."""

from copy import deepcopy

import pytest
import torch

from posebook import factorization, lifting
from posebook.experiments.catalogue import settings
from posebook.training.adversary import PENALTY, Adversary, gradient_penalty
from posebook.training.draws import draw, seed_everything

N = 64


def poses(n, generator, spread=0.3):
    """Poses relative to their root, of one size."""
    Y = spread * torch.randn(n, 17, 3, generator=generator)
    return Y - Y[:, :1]


def small(n, generator):
    return poses(n, generator, 0.05)


@pytest.fixture
def adversary():
    seed_everything(0)
    return Adversary(poses, 16)


def test_the_critic_learns_to_raise_true_poses_and_to_lower_predicted_ones(adversary):
    for step in range(60):
        logs = adversary.update(small(N, draw(1, step)), draw(2, step))
    with torch.no_grad():
        true, fake = (adversary.score(of(N, draw(3, 0))) for of in (poses, small))
    assert true > fake + 0.05
    assert logs["critic_gap"] > 0.05, "the log is how far true poses lie above"


def test_raising_the_score_makes_predicted_poses_more_like_true_ones(adversary):
    """Both chapters subtract the score from their loss: downhill is then towards true poses."""
    for step in range(60):
        adversary.update(small(N, draw(1, step)), draw(2, step))
    scale = torch.tensor(1.0, requires_grad=True)
    loss = -adversary.score(scale * small(N, draw(4, 0)))
    loss.backward()
    assert scale.grad < 0, "poses that are too small must grow"


@pytest.mark.parametrize("chapter", ["lifting", "factorization"])
def test_a_network_is_trained_to_raise_the_score(chapter, monkeypatch):
    """A critic that scores the mean height of poses: the row that learns from it lifts them."""
    module = {"lifting": lifting, "factorization": factorization}[chapter]

    class Height(torch.nn.Module):
        def forward(self, Y):
            return Y[..., 2].mean(-1)

    class Fixed(Adversary):
        def __init__(self, *args):
            super().__init__(*args)
            self.model = Height()

        def update(self, fake, generator):
            return {"critic_gap": fake.new_zeros(())}

    monkeypatch.setattr(module.train, "Adversary", Fixed)
    monkeypatch.setattr(module.train, "ADVERSARIAL_WEIGHT", 1e4)
    size, row = settings(chapter, "smoke", {"lifting": "reproj-adv"}.get(chapter, "adv-alone"))
    train, test, *_ = module.prepare.load(size, row)
    seed_everything(0)
    if chapter == "lifting":
        model = module.prepare.build(size, row)
        height = lambda: float(module.evaluate.predict(model, test)[..., 2].mean())  # noqa: E731
    else:
        dictionary = module.learn_dictionary.new_dictionary(size, row, train)
        model = module.prepare.build(size, row, dictionary)

        def height():
            Y_hat, R = module.evaluate.predict(model, test)
            return float((Y_hat @ R)[..., 2].mean())

    before = height()
    module.train.train(model, train, size, row, 0)
    assert height() > before + 0.05


def test_updating_the_critic_leaves_the_network_alone(adversary):
    fake = small(N, draw(1, 0)).requires_grad_(True)
    adversary.update(fake, draw(2, 0))
    assert fake.grad is None


def test_an_update_depends_on_the_seed_alone():
    found = []
    for seed in (0, 0, 1):
        seed_everything(0)
        adversary = Adversary(poses, 16)
        adversary.update(small(N, draw(1, 0)), draw(seed, 0))
        found.append(torch.cat([p.detach().flatten() for p in adversary.model.parameters()]))
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_true_poses_are_drawn_apart_from_the_batch(adversary):
    asked = []
    adversary.real = lambda n, generator: asked.append(n) or poses(n, generator)
    adversary.update(small(5, draw(1, 0)), draw(2, 0))
    assert asked == [5]


def test_a_checkpoint_holds_critic_and_optimiser(adversary):
    adversary.update(small(N, draw(1, 0)), draw(2, 0))
    state = {name: deepcopy(part.state_dict()) for name, part in adversary.state.items()}
    assert set(state) == {"critic", "critic_optimiser"}
    seed_everything(9)
    other = Adversary(poses, 16)
    for name, part in other.state.items():
        part.load_state_dict(state[name])
    for mine in (adversary, other):
        mine.update(small(N, draw(1, 1)), draw(2, 1))
    a, b = (mine.model.state_dict() for mine in (adversary, other))
    assert all(torch.equal(a[name], b[name]) for name in a)


# ---------------------------------------------------------------- the penalty


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0, 3.0])
def test_the_penalty_is_the_distance_of_the_slope_from_one(slope):
    weights = torch.randn(17, 3, generator=draw(0, 0))
    weights = slope * weights / weights.norm()
    critic = lambda Y: (Y * weights).sum((1, 2))  # noqa: E731
    real, fake, mix = poses(8, draw(1, 0)), poses(8, draw(2, 0)), torch.rand(8)
    found = gradient_penalty(critic, real, fake, mix)
    assert float(found) == pytest.approx((slope - 1) ** 2, abs=1e-5)


def test_the_slope_is_taken_between_the_two(monkeypatch):
    seen = []

    def critic(Y):
        seen.append(Y.detach())
        return Y.sum((1, 2))

    real, fake = torch.ones(3, 17, 3), torch.zeros(3, 17, 3)
    gradient_penalty(critic, real, fake, torch.tensor([0.0, 0.25, 1.0]))
    assert seen[0][:, 0, 0].tolist() == [0.0, 0.25, 1.0]


def test_the_penalty_can_be_minimised(adversary):
    assert PENALTY == 10
    real, fake, mix = poses(8, draw(1, 0)), small(8, draw(2, 0)), torch.full((8,), 0.5)
    gradient_penalty(adversary.model, real, fake, mix).backward()
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in adversary.model.parameters())


def test_a_critic_with_a_penalty_has_a_slope_near_one(adversary):
    for step in range(150):
        adversary.update(small(N, draw(1, step)), draw(2, step))
    parts = poses(N, draw(3, 0)), small(N, draw(4, 0)), torch.rand(N, generator=draw(5, 0))
    assert gradient_penalty(adversary.model, *parts) < 0.1
