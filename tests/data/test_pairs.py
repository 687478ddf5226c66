"""View pairs as tensors: each number is the record's, all pairs come, and fast enough."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from posebook.data.pairs import collect, draw_views, gather
from posebook.data.recorded.views import ViewsSize, make_views
from posebook.data.virtual import triangulate_labels
from posebook.geometry.camera import project, relative, rig_key, transform
from posebook.training.draws import EpochOrder, draw


@pytest.fixture(scope="module")
def takes():
    """Takes of different people, rigs and lengths, seen exactly."""
    train, test = make_views(ViewsSize(1, 6, 1), noise="none")
    return [*train[::10], *test[::6]]


@pytest.fixture(scope="module")
def collected(takes):
    return collect(takes)


def some_pairs(views, n=200, seed=0):
    generator = draw(seed, 0)
    instant = torch.randint(len(views), (n,), generator=generator)
    return instant, *draw_views(views, n, generator)


def where(takes, instant):
    """(take, frame) of a row."""
    for take in takes:
        if instant < len(take):
            return take, instant
        instant -= len(take)


# ---------------------------------------------------------------- the same numbers


def test_rows_are_the_takes_one_after_the_other(takes, collected):
    assert len(collected) == sum(map(len, takes)) and collected.views == 4
    starts = np.cumsum([0, *map(len, takes)])
    for k, take in enumerate(takes):
        part = slice(starts[k], starts[k + 1])
        assert (collected.first[part] == starts[k]).all()
        assert (collected.last[part] == starts[k + 1] - 1).all()
        assert {collected.actions[i] for i in collected.action[part]} == {take.action}
        assert {collected.subjects[i] for i in collected.subject[part]} == {take.subject}
    assert len(collected.R) == len({take.subject for take in takes}), "one table a rig"


def test_pairs_are_those_of_the_records(takes, collected):
    instant, v1, v2 = some_pairs(collected)
    batch = gather(collected, instant, v1, v2)
    for k in range(0, len(instant), 10):
        take, frame = where(takes, int(instant[k]))
        for view, X, w, Y in (
            (v1, batch.X1, batch.w1, batch.Y1),
            (v2, batch.X2, batch.w2, batch.Y2),
        ):
            v = int(view[k])
            camera = take.cameras[v]
            rays = camera.rays(take.joints_2d[frame, v].astype(np.float64))
            np.testing.assert_allclose(X[k], rays, atol=1e-6)
            np.testing.assert_array_equal(w[k], take.confidence[frame, v])
            truth = camera.to_camera(take.joints_3d[frame].astype(np.float64))
            np.testing.assert_allclose(Y[k], truth, atol=1e-5)


def test_cameras_of_a_pair_carry_its_bodies_over(takes, collected):
    instant, v1, v2 = some_pairs(collected)
    p = gather(collected, instant, v1, v2)
    torch.testing.assert_close(transform(p.Y1, p.R12, p.t12), p.Y2, atol=1e-5, rtol=0)
    torch.testing.assert_close(transform(p.Y2, p.R21, p.t21), p.Y1, atol=1e-5, rtol=0)
    take, _ = where(takes, int(instant[0]))
    one, two = (take.cameras[int(v[0])] for v in (v1, v2))
    R, t = relative(one.R, one.center, two.R, two.center)
    np.testing.assert_allclose(p.R12[0], R, atol=1e-6)
    np.testing.assert_allclose(p.t12[0], t, atol=1e-5)


def test_rays_are_undistorted(collected):
    """So that equation 3.1, which knows no lens, holds."""
    projected = project(collected.Y)
    assert (projected - collected.X).abs().max() * collected.focal < 0.01


def test_records_without_truth_give_pairs_without_truth(takes):
    views = collect([replace(take, joints_3d=None) for take in takes])
    batch = gather(views, *some_pairs(views, 3))
    assert (
        views.Y is None and batch.Y1 is None and batch.Y2 is None and batch.X1.shape == (3, 17, 2)
    )


def test_focal_length_is_the_mean_of_the_rigs(takes, collected):
    assert collected.focal == pytest.approx(1147, abs=3)


# ---------------------------------------------------------------- missing joints


def with_gap(take, frames, joint, view=1):
    """The take with a joint missing in some frames of one view."""
    joints, confidence = take.joints_2d.copy(), take.confidence.copy()
    joints[frames, view, joint], confidence[frames, view, joint] = 0, 0
    return replace(take, joints_2d=joints, confidence=confidence)


def test_a_missing_joint_is_interpolated_and_keeps_confidence_zero(takes, collected):
    (views, whole) = collect([with_gap(takes[0], [2, 3], 16)]), collect([takes[0]])
    before, after = whole.X[1, 1, 16], whole.X[4, 1, 16]
    torch.testing.assert_close(views.X[2, 1, 16], before + (after - before) / 3)
    torch.testing.assert_close(views.X[3, 1, 16], before + (after - before) * 2 / 3)
    assert (views.w[2:4, 1, 16] == 0).all() and (views.w == 0).sum() == 2
    untouched = torch.ones_like(views.w, dtype=torch.bool)
    untouched[2:4, 1, 16] = False
    torch.testing.assert_close(views.X[untouched], whole.X[untouched])


def test_a_joint_that_is_never_seen_takes_its_parents_place(takes):
    views = collect([with_gap(takes[0], slice(None), 16)])
    torch.testing.assert_close(views.X[:, 1, 16], views.X[:, 1, 15])


# ---------------------------------------------------------------- bad data


def moved(take, index, center):
    cameras = list(take.cameras)
    cameras[index] = replace(cameras[index], center=center)
    return replace(take, cameras=tuple(cameras))


def test_two_cameras_in_one_place_are_refused(takes):
    take = takes[0]
    same = moved(take, 2, take.cameras[0].center + 1e-5)
    with pytest.raises(ValueError, match="'54138969' and '58860488' of S1 stand in the same place"):
        collect([same])
    beside = moved(take, 2, take.cameras[0].center + 0.1)
    collect([beside], trust=("residual",))


def test_takes_with_different_numbers_of_views_are_refused(takes):
    take = takes[1]
    fewer = replace(
        take, joints_2d=take.joints_2d[:, :3], confidence=take.confidence[:, :3],
        cameras=take.cameras[:3], occluded=None,
    )  # fmt: skip
    with pytest.raises(
        ValueError, match=f"{take.subject}/{take.action} has 3 views, others have 4"
    ):
        collect([takes[0], fewer])


def test_nothing_to_collect():
    with pytest.raises(ValueError, match="no sequences to collect"):
        collect([])


def test_one_view_makes_no_pair(takes):
    take = takes[0]
    alone = collect([replace(
        take, joints_2d=take.joints_2d[:, :1], confidence=take.confidence[:, :1],
        cameras=take.cameras[:1], occluded=None,
    )])  # fmt: skip
    with pytest.raises(ValueError, match="needs two views, the data has 1"):
        draw_views(alone, 5, draw(0, 0))


# ---------------------------------------------------------------- which pairs


def test_all_twelve_ordered_pairs_are_equally_likely(collected):
    n = 120_000
    v1, v2 = draw_views(collected, n, draw(0, 0))
    counts = torch.bincount(4 * v1 + v2, minlength=16).reshape(4, 4)
    assert (counts.diagonal() == 0).all()
    expected, spread = n / 12, (n / 12 * 11 / 12) ** 0.5
    off = counts[~torch.eye(4, dtype=torch.bool)] - expected
    assert off.abs().max() < 4 * spread


def test_views_of_a_step_are_repeatable(collected):
    a, b, other = (draw_views(collected, 50, draw(0, step)) for step in (3, 3, 4))
    assert torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])
    assert not torch.equal(a[0], other[0])


# ---------------------------------------------------------------- windows


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


# ---------------------------------------------------------------- speed


def test_a_quarter_of_a_million_pairs_a_second():
    """The whole data side of a step, in processor time of one thread, the best of three."""
    train, _ = make_views(ViewsSize(2, 27, 1), noise="none")
    views, threads, size = collect(train), torch.get_num_threads(), 1024
    order = EpochOrder(len(views), size, seed=0)

    def seconds(steps=40):
        start = time.process_time()
        for step in range(steps):
            gather(views, order.batch(step), *draw_views(views, size, draw(0, step)))
        return (time.process_time() - start) / steps

    torch.set_num_threads(1)
    try:
        rate = size / min(seconds() for _ in range(3))
    finally:
        torch.set_num_threads(threads)
    assert rate > 250_000, f"{rate:,.0f} pairs a second"


def test_a_frame_that_nobody_sees_has_no_triangulated_label(takes):
    """Its label is NaN, and only it is left out of what training draws from."""
    first = takes[0]
    confidence = first.confidence.copy()
    confidence[1] = 0
    blind = [replace(first, confidence=confidence), *takes[1:]]
    views = triangulate_labels(collect(blind), blind, weighted=True)
    usable = views.labelled().tolist()
    assert usable == [row for row in range(len(views)) if row != 1]


@pytest.mark.parametrize(
    "lens",
    [{"distortion": [-0.1, 0, 0, 0]}, {"fisheye": [0.01, 0, 0, 0]}, {"radial": [-0.1, 0, 0]}],
)
def test_cameras_with_other_lenses_are_another_rig(takes, lens):
    like = [replace(c, radial=[0, 0, 0], tangential=[0, 0]) for c in takes[0].cameras]
    assert rig_key(like) == rig_key([replace(c) for c in like])
    assert rig_key(like) != rig_key([replace(like[0], **lens), *like[1:]])
