"""Section 4.5: the hierarchical dictionary and the encoder-decoder that learns it.

Poses are row vectors: Y = Y_hat R (eq. 4.1), and the picture is Y_hat M with M = R [I_2 0]^T, the
first two columns of R.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from posebook.geometry.rotations import nearest_rotation, rotation
from posebook.geometry.skeleton import H36M
from posebook.storage import whole
from posebook.training.checkpoint import read

HEADS = ("linear", "two-layer", "svd")


def level_sizes(first: int = 125, last: int = 10, levels: int = 12) -> tuple[int, ...]:
    """K_1 to K_n, evenly spaced. The thesis prints first and last; twelve are Deep NRSfM's."""
    return tuple(np.linspace(first, last, levels).astype(int).tolist())


class Dictionary(nn.Module):
    """Levels D_1 (P x 3 x K_1), D_2 (K_1 x K_2), ..., D_n; with one level, Y_hat = D_1 phi_1.

    Attributes:
        typical: (K_n,) the mean code of the bodies it was learned from, 0 before that.
    """

    def __init__(self, sizes: Sequence[int], joints: int = len(H36M)) -> None:
        super().__init__()
        self.sizes, self.joints = tuple(sizes), joints
        shapes = [(joints, 3, sizes[0]), *zip(sizes[:-1], sizes[1:], strict=True)]
        self.D = nn.ParameterList([torch.empty(shape) for shape in shapes])
        self.biases = nn.ParameterList([torch.zeros(size) for size in sizes[:-1]])
        self.register_buffer("typical", torch.zeros(sizes[-1]))
        for level, size in zip(self.D, sizes, strict=True):
            nn.init.normal_(level, std=(2 / size) ** 0.5)
        nn.init.normal_(self.D[0], std=sizes[0] ** -0.5)  # no ReLU follows the first level

    def forward(self, phi: Tensor) -> Tensor:
        """Equation 4.6: bodies (B, P, 3) of codes phi_n (B, K_n), the pelvis in the origin."""
        for D, bias in zip(reversed(self.D[1:]), reversed(self.biases), strict=True):
            phi = F.relu(F.linear(phi, D, -bias))
        # [D_1 phi_1]_{P x 3}: the printed D_1^# phi_1 does not have the right size.
        Y = torch.einsum("pck,bk->bpc", self.D[0], phi)
        return Y - Y[:, H36M.root : H36M.root + 1]


class EncoderDecoder(nn.Module):
    """Deep NRSfM: block codes up the levels (eq. 4.5), camera and code at the top, body back down.

    Encoder and decoder share the dictionary; each has its own biases.

    Args:
        head: how the camera is read off Psi_n. "linear": omega from a linear layer (the thesis);
            "two-layer": from FC-ReLU-FC; "svd": one block-wise combination of Psi_n, a 3 x 2
            matrix, made orthonormal (Kong and Lucey 2019).
    """

    def __init__(self, dictionary: Dictionary, head: str = "linear") -> None:
        super().__init__()
        if head not in HEADS:
            raise ValueError(f"unknown camera head {head!r}; known: {', '.join(HEADS)}")
        self.dictionary, self.head = dictionary, head
        self.biases = nn.ParameterList([torch.zeros(size) for size in dictionary.sizes])
        K = dictionary.sizes[-1]
        self.code = nn.Linear(6 * K, K)
        if head == "linear":
            self.camera = nn.Linear(6 * K, 3)
        elif head == "two-layer":
            self.camera = nn.Sequential(nn.Linear(6 * K, 64), nn.ReLU(), nn.Linear(64, 3))
        else:
            self.camera = nn.Linear(K, 1, bias=False)

    def encode(self, X: Tensor) -> Tensor:
        """Equation 4.5: block codes Psi_n (B, 3, 2, K_n) of 2D poses (B, P, 2).

        The block of an atom stands in the last axis: multiplying by D kron I_3 is the same small
        matrix D for each of the 3 x 2 entries of a block, one linear layer.
        """
        D_1, *upper = self.dictionary.D
        Psi = torch.einsum("pck,bpd->bcdk", D_1, X)
        Psi = F.relu(Psi - self.biases[0])
        for D, bias in zip(upper, self.biases[1:], strict=True):
            Psi = F.relu(F.linear(Psi, D.T, -bias))
        return Psi

    def forward(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Canonical bodies (B, P, 3) and rotations (B, 3, 3) of 2D poses (B, P, 2)."""
        Psi = self.encode(X)
        Y_hat = self.dictionary(self.code(Psi.flatten(1)))
        if self.head == "svd":
            return Y_hat, nearest_rotation(self.camera(Psi).squeeze(-1))
        return Y_hat, rotation(self.camera(Psi.flatten(1)))


@torch.no_grad()
def remember_typical_code(model: EncoderDecoder, X: Tensor) -> None:
    """Store the mean code of 2D poses X (B, P, 2) in the dictionary."""
    codes = model.code(model.encode(X).flatten(1))
    model.dictionary.typical.copy_(codes.mean(0))


def principal_components(poses: Tensor, share: float = 0.99) -> Dictionary:
    """A fixed single-level dictionary: the mean of `poses` (n, P, 3) and their components.

    As many principal components as hold `share` of the variance (Tung et al. 2017 learn theirs so
    from aligned 3D poses). The mean is an atom like the others, so that bodies can change size.
    """
    flat = poses.flatten(1).double()
    mean = flat.mean(0)
    variance, vectors = torch.linalg.eigh(torch.cov((flat - mean).T))
    variance, vectors = variance.flip(0), vectors.flip(1)
    n = int((variance.cumsum(0) / variance.sum() < share).sum()) + 1
    atoms = torch.cat([mean[:, None], vectors[:, :n] * variance[:n].sqrt()], dim=1)
    dictionary = Dictionary((n + 1,), joints=poses.shape[1])
    with torch.no_grad():
        dictionary.D[0].copy_(atoms.unflatten(0, poses.shape[1:]))
        dictionary.typical[0] = 1.0
    return dictionary.requires_grad_(False)


def save_dictionary(path: Path, model: EncoderDecoder, **more) -> None:
    """Write a dictionary with its encoder, joint names and level sizes; whole or not at all."""
    state = {
        "joints": list(H36M.names),
        "sizes": list(model.dictionary.sizes),
        "state": model.state_dict(),
        **more,
    }
    with whole(path) as file:
        torch.save(state, file)


def load_dictionary(path: Path, model: EncoderDecoder) -> dict:
    """Fill `model` from a file of `save_dictionary`; returns what else the file holds.

    Raises:
        ValueError: with file and remedy, if it is no dictionary or one of other joints or sizes.
    """
    state = read(path, "joints", "sizes", "state")
    joints, sizes, weights = state.pop("joints"), state.pop("sizes"), state.pop("state")
    if tuple(joints) != H36M.names:
        raise ValueError(
            f"{path}: the dictionary is for the joints {', '.join(joints)}, not for those of "
            f"{H36M.name}; learn one on this joint set"
        )
    if tuple(sizes) != model.dictionary.sizes:
        raise ValueError(
            f"{path}: the dictionary has levels of {sizes} atoms, the network wants "
            f"{list(model.dictionary.sizes)}; choose the same, or learn another dictionary"
        )
    model.load_state_dict(weights)
    return state
