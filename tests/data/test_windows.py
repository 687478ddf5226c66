"""Windows of frames: centred, and never beyond the ends of their take."""

from dataclasses import replace

import pytest
import torch


def rows_of_windows(views, instant, frames, view=0):
    """Which rows (B, frames) the windows of a view hold, and that they hold this view."""
    counted = [torch.arange(size) for size in views.X.shape[:2]]
    named = torch.stack(torch.meshgrid(counted, indexing="ij"), dim=-1).unsqueeze(2)
    found = replace(views, X=named).windows(frames).take(instant, torch.full_like(instant, view))
    assert found.shape == (len(instant), frames, 1, 2) and (found[..., 1] == view).all()
    return found[:, :, 0, 0]


def test_windows_are_centred_and_stop_at_the_ends_of_a_take(takes, collected):
    length = len(takes[0])
    instant = torch.tensor([0, 2, length - 1, length])
    last = length - 1
    for view in range(collected.views):
        assert rows_of_windows(collected, instant, 5, view).tolist() == [
            [0, 0, 0, 1, 2],
            [0, 1, 2, 3, 4],
            [last - 2, last - 1, last, last, last],
            [length, length, length, length + 1, length + 2],
        ]


@pytest.mark.parametrize("frames", [1, 27, 243])
def test_windows_never_leave_their_take(collected, frames):
    instant = torch.arange(len(collected))
    rows = rows_of_windows(collected, instant, frames, view=collected.views - 1)
    assert torch.equal(rows[:, frames // 2], instant)
    around = instant[:, None] + torch.arange(frames) - frames // 2
    ends = collected.first[:, None], collected.last[:, None]
    assert torch.equal(rows, around.clamp(*ends))


def test_windows_are_laid_out_once_and_anew_for_other_rays(collected):
    assert collected.windows(3) is collected.windows(3)
    assert replace(collected, X=-collected.X).windows(3) is not collected.windows(3)


def test_a_window_of_even_length_has_no_middle(collected):
    with pytest.raises(ValueError, match="so its length is odd, not 4"):
        collected.windows(4)
