"""Pairs of pictures of one instant, and their reflections, which are views that cost nothing.

What a camera sees of a person in a mirror is a picture of a person as well: one whose left is the
right. People do with one side what others do with the other, so that a reflected picture belongs
to the same data, and its canonical body is the reflected body: x changes sign, left and right
joints change places. A network that knows this can hold neither of two wrong views of people: a
body whose left leg always leads, which turned half round is its own mirror image in depth, and
a sign of depth that changes from picture to picture.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from posebook.factorization.pictures import Pictures
from posebook.geometry.places import once
from posebook.geometry.reflection import OTHER_SIDE, reflected
from posebook.training.draws import send


@dataclass(frozen=True, eq=False)
class Pair:
    """B pairs of pictures of one instant: X1, X2 (B, P, 2), found1, found2 (B, P).

    Attributes:
        reflected: (B,) where the second picture is a reflected one; None for nowhere.
    """

    X1: Tensor
    X2: Tensor
    found1: Tensor
    found2: Tensor
    reflected: Tensor | None = None

    def same_body(self, Y2: Tensor) -> Tensor:
        """The second pictures' bodies (B, P, 3) as bodies of the first, reflected back."""
        if self.reflected is None:
            return Y2
        return torch.where(self.reflected[:, None, None], reflected(Y2), Y2)


def gather(pictures: Pictures, instant: Tensor, v1: Tensor, v2: Tensor) -> Pair:
    """The pairs (instant, v1, v2), each (B,)."""
    row1, row2 = instant * pictures.views + v1, instant * pictures.views + v2
    X, found = pictures.X.flatten(0, 1), pictures.found.flatten(0, 1)
    return Pair(*(table.index_select(0, row) for table in (X, found) for row in (row1, row2)))


def sequences(
    pictures: Pictures, instant: Tensor, length: int, generator: torch.Generator
) -> Tensor:
    """Rows (S * length,): each instant (S,), and behind it others of its take, by chance."""
    first, last = (rows.index_select(0, instant) for rows in (pictures.first, pictures.last))
    chance = send(torch.rand(len(instant), length - 1, generator=generator), instant.device)
    others = first[:, None] + (chance * (last - first + 1)[:, None]).long()
    return torch.cat([instant[:, None], others.minimum(last[:, None])], 1).flatten()


def reflect_half(pair: Pair, generator: torch.Generator) -> Pair:
    """The pair with every other second picture, by chance, reflected."""
    chosen = send(torch.rand(len(pair.X2), generator=generator) < 0.5, pair.X2.device)
    other = once(OTHER_SIDE, chosen.device)
    return replace(
        pair, reflected=chosen,
        X2=torch.where(chosen[:, None, None], reflected(pair.X2), pair.X2),
        found2=torch.where(chosen[:, None], pair.found2[:, other], pair.found2),
    )  # fmt: skip
