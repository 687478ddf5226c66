"""C3DPO's second network, which row `c3dpo` of Table 4.2 trains with the first."""

import torch
from torch import Tensor

from posebook.factorization import losses
from posebook.factorization.dictionary import Dictionary
from posebook.factorization.rows import Profile
from posebook.geometry.rotations import random_rotations
from posebook.geometry.skeleton import H36M
from posebook.networks.residual import ResLinear
from posebook.training.draws import send


class Canonicalizer(torch.nn.Module):
    """C3DPO's second network (Novotny et al. 2019): the canonical body of a body turned at random.

    If it can undo any rotation, then no two canonical bodies are turned copies of each other.
    """

    def __init__(self, profile: Profile, dictionary: Dictionary) -> None:
        super().__init__()
        self.network = ResLinear(
            3 * len(H36M), dictionary.sizes[-1], profile.width, profile.blocks, profile.dropout
        )

    def loss(self, Y_hat: Tensor, dictionary: Dictionary, generator: torch.Generator) -> Tensor:
        """Distance between Y_hat (B, P, 3) and what is made of it after a random rotation."""
        turned = Y_hat @ send(random_rotations(len(Y_hat), generator), Y_hat.device)
        return losses.canonicalization(Y_hat, dictionary(self.network(turned.flatten(1))))
