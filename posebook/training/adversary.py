"""The adversary of chapters 3 and 4: a critic that has seen unpaired true poses (WGAN-GP)."""

from collections.abc import Callable

import torch
from torch import Tensor

from posebook.training.critic import Critic
from posebook.training.draws import send

PENALTY = 10.0  # of the slope, as in Gulrajani et al. 2017


class Adversary:
    """A critic and its optimiser.

    Args:
        real: draws so many true poses, `(n, generator) -> (n, J, 3)`, apart from the batch:
            unpaired.
        width: of the critic's path of bones.
    """

    def __init__(
        self, real: Callable[[int, torch.Generator], Tensor], width: int, device="cpu"
    ) -> None:
        self.real = real
        self.model = Critic(chain_width=width).to(device)
        self.optimiser = torch.optim.Adam(
            self.model.parameters(), lr=1e-3, betas=(0.5, 0.9), fused=True
        )

    @property
    def state(self) -> dict[str, object]:
        """What a checkpoint must hold of it."""
        return {"critic": self.model, "critic_optimiser": self.optimiser}

    def score(self, Y: Tensor) -> Tensor:
        """How human poses (B, J, 3) look, the batch mean: what the network wants to raise."""
        return self.model(Y).mean()

    def update(self, fake: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """One step of the critic against predicted poses (B, J, 3); returns what to log."""
        fake, n = fake.detach(), len(fake)
        real = self.real(n, generator)
        gap = self.model(fake).mean() - self.model(real).mean()
        mix = send(torch.rand(n, generator=generator), fake.device)
        value = gap + PENALTY * gradient_penalty(self.model, real, fake, mix)
        self.optimiser.zero_grad(set_to_none=True)
        value.backward()
        self.optimiser.step()
        return {"critic_gap": -gap.detach()}


def gradient_penalty(critic, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """WGAN-GP (Gulrajani et al. 2017, eq. 3): the critic's slope between real and fake is one.

    Args:
        real, fake: (B, N, 3).
        mix: (B,) in [0, 1], where between the two the slope is taken.
    """
    mix = mix[:, None, None]
    between = (mix * real + (1 - mix) * fake).requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()
