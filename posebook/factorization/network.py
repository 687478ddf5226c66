"""Section 4.4: the network that factorises a 2D pose into a body and a viewpoint."""

import torch
from torch import Tensor, nn

from posebook.factorization.dictionary import Dictionary
from posebook.factorization.mirror import mirror_shape, mirror_viewpoint
from posebook.geometry.rotations import nearest_rotation, rotation
from posebook.geometry.skeleton import H36M
from posebook.networks.residual import Block, dense

VIEWPOINTS = ("omega", "columns")


def head(width: int, outputs: int, std: float = 0.01) -> nn.Sequential:
    """FC, ReLU, FC: no ReLU at the end, because a rotation needs numbers of both signs.

    Args:
        std: of the last weights. Small, as in C3DPO: all viewpoints begin near one another, and far
            from the half turns at which omega jumps.
    """
    first, last = nn.Linear(width, width), nn.Linear(width, outputs)
    nn.init.kaiming_normal_(first.weight)
    nn.init.normal_(last.weight, std=std)
    for layer in (first, last):
        nn.init.zeros_(layer.bias)
    return nn.Sequential(first, nn.ReLU(), last)


class FactorizationNetwork(nn.Module):
    """Figure 4.1: backbone, one head for the code phi_n, one for the viewpoint omega.

    Args:
        dictionary: what turns a code into a body; None for the baseline, whose first head gives the
            3P coordinates themselves. sign: +1 or -1, which of the two mirror images it answers;
            chosen once, after training (see `posebook.factorization.mirror`).
    """

    def __init__(
        self,
        dictionary: Dictionary | None,
        width: int = 1024,
        blocks: int = 4,
        dropout: float = 0.25,
        viewpoint: str = "omega",
        joints: int = len(H36M),
    ) -> None:
        super().__init__()
        if viewpoint not in VIEWPOINTS:
            raise ValueError(f"unknown viewpoint {viewpoint!r}; known: {', '.join(VIEWPOINTS)}")
        self.joints, self.viewpoint = joints, viewpoint
        self.backbone = nn.Sequential(
            *dense(2 * joints, width, dropout), *[Block(width, dropout) for _ in range(blocks)]
        )
        self.shape_head = head(width, dictionary.sizes[-1] if dictionary else 3 * joints)
        if dictionary:
            # The first answer is the mean body. From a code of zero, which stands for no body at
            # all, there is often no way to the right viewpoints.
            with torch.no_grad():
                self.shape_head[-1].bias.copy_(dictionary.typical)
        self.view_head = head(width, 3 if viewpoint == "omega" else 6)
        if viewpoint == "columns":
            with torch.no_grad():
                self.view_head[-1].bias.copy_(torch.eye(3)[:, :2].flatten())
        self.dictionary = dictionary
        self.register_buffer("sign", torch.tensor(1.0))

    def forward(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Canonical bodies Y_hat (B, P, 3) and viewpoints R (B, 3, 3) of 2D poses (B, P, 2).

        X is normalised as `posebook.factorization.pictures` does; bodies are in the same unit.
        """
        features = self.backbone(X.flatten(1))
        Y_hat, R = self._shape(features), self._viewpoint(self.view_head(features))
        return mirror_shape(Y_hat, self.sign), mirror_viewpoint(R, self.sign)

    def _viewpoint(self, out: Tensor) -> Tensor:
        if self.viewpoint == "omega":
            return rotation(out)
        return nearest_rotation(out.unflatten(1, (3, 2)))

    def _shape(self, features: Tensor) -> Tensor:
        if self.dictionary:
            return self.dictionary(self.shape_head(features))
        Y_hat = self.shape_head(features).unflatten(1, (self.joints, 3))
        return Y_hat - Y_hat[:, H36M.root : H36M.root + 1]
