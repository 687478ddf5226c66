"""Pairs of views: drawn at every step, and a batch of them is one gather.

Nothing is done a sample: what `posebook.data.views` laid out once is picked by `index_select`.
"""

from dataclasses import dataclass
from functools import cache
from itertools import permutations

import torch
from torch import Tensor

from posebook.data.views import Views
from posebook.training.draws import send


@dataclass(frozen=True, eq=False)
class PairBatch:
    """B ordered pairs of views of one instant, 1 and 2, with the cameras from one to the other.

    Attributes:
        X1: (B, J, 2) rays of the first views; `X2` of the second ones.
        w1: (B, J) confidences of the first views; `w2` of the second ones.
        R12: (B, 3, 3) rotations that carry view 1 into view 2; `R21` back.
        t12: (B, 3) the shifts that go with `R12`; `t21` those of `R21`.
        Y1: (B, J, 3) true camera-frame poses of the first views, or None; `Y2` of the second ones.
        instant: (B,) rows of `Views`.
        v1: (B,) the first views' numbers; `v2` the second ones'.
    """

    X1: Tensor
    X2: Tensor
    w1: Tensor
    w2: Tensor
    R12: Tensor
    t12: Tensor
    R21: Tensor
    t21: Tensor
    Y1: Tensor | None
    Y2: Tensor | None
    instant: Tensor
    v1: Tensor
    v2: Tensor


def draw_views(views: Views, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """An ordered pair of different views for each of n instants, all pairs equally likely."""
    V = views.views
    if V < 2:
        raise ValueError(f"the transform re-projection loss needs two views, the data has {V}")
    chosen = torch.randint(V * (V - 1), (n,), generator=generator)
    v1, v2 = send(_ordered_pairs(V).index_select(1, chosen), views.device)
    return v1, v2


@cache
def _ordered_pairs(views: int) -> Tensor:
    """All ordered pairs of different views, (2, V (V - 1))."""
    return torch.tensor(list(permutations(range(views), 2))).T.contiguous()


def gather(views: Views, instant: Tensor, v1: Tensor, v2: Tensor) -> PairBatch:
    """The pairs (instant, v1, v2), each (B,)."""
    V = views.views
    X, w, Y, R, t, first = views.tables
    row1, row2 = torch.add(v1, instant, alpha=V), torch.add(v2, instant, alpha=V)
    rig = first.index_select(0, instant)
    there, back = rig.add(v1, alpha=V).add_(v2), rig.add(v2, alpha=V).add_(v1)
    return PairBatch(
        X1=X.index_select(0, row1),
        X2=X.index_select(0, row2),
        w1=w.index_select(0, row1),
        w2=w.index_select(0, row2),
        R12=R.index_select(0, there),
        t12=t.index_select(0, there),
        R21=R.index_select(0, back),
        t21=t.index_select(0, back),
        Y1=None if Y is None else Y.index_select(0, row1),
        Y2=None if Y is None else Y.index_select(0, row2),
        instant=instant,
        v1=v1,
        v2=v2,
    )
