"""Pictures as chapter 4 normalises them: sizes, gaps, and what the camera does."""

from dataclasses import replace

import pytest
import torch

from posebook.data.recorded.views import ViewsSize, make_views
from posebook.data.views import collect
from posebook.factorization.pictures import body_size, normalize, prepare
from posebook.geometry.rotations import angle, best_rotation
from posebook.metrics import pose3d as metrics


@pytest.fixture(scope="module")
def exact():
    train, _ = make_views(ViewsSize(1, 6, 1), noise="none")
    return collect(train[:15])


def test_a_normalised_pose_is_centred_and_of_size_one():
    X = torch.randn(5, 3, 17, 2, generator=torch.Generator().manual_seed(0))
    centred, size = normalize(X + 4)
    assert not centred[..., 0, :].any()
    torch.testing.assert_close(centred[..., 1:, :].norm(dim=-1).mean(-1), torch.ones(5, 3))
    torch.testing.assert_close(normalize(9 * X)[0], normalize(X)[0])
    torch.testing.assert_close(normalize(9 * X)[1], 9 * size)


def test_the_size_counts_found_joints_only():
    X = torch.randn(2, 17, 2)
    found = torch.ones(2, 17, dtype=torch.bool)
    found[:, 3] = False
    spoiled = X.clone()
    spoiled[:, 3] = 1e6
    size = normalize(spoiled, found)[1]
    others = [joint for joint in range(1, 17) if joint != 3]
    torch.testing.assert_close(size, (X[:, others] - X[:, :1]).norm(dim=-1).mean(-1))


def test_a_pose_without_extent_is_refused():
    X = torch.randn(2, 4, 17, 2)
    X[1, 2] = X[1, 2, :1]
    with pytest.raises(ValueError, match=r"2D pose \(1, 2\): all joints coincide"):
        normalize(X)
    found = torch.ones(2, 4, 17, dtype=torch.bool)
    found[1, 2] = False
    with pytest.raises(ValueError, match=r"2D pose \(1, 2\): no joint was found"):
        normalize(X, found)


def test_a_missing_joint_is_named():
    X = torch.randn(2, 4, 17, 2)
    X[0, 3, 2, 1] = torch.nan
    with pytest.raises(ValueError, match=r"2D pose \(0, 3\): joint RKnee is missing"):
        normalize(X)


@pytest.mark.parametrize("option", ["recentre", "projection"])
def test_an_unknown_option_is_refused(exact, option):
    with pytest.raises(ValueError, match=f"unknown {option} 'other'; known"):
        prepare(exact, **{option: "other"})


def best_orthographic_error(pictures):
    """Mean N-MPJPE, mm, of true bodies given the picture's own x and y: what the camera costs."""
    flat = pictures.X
    true = pictures.Y / body_size(pictures.Y)[..., None, None]
    residual = (true[..., :2] - flat).norm(dim=-1).mean()
    return float(residual)


def test_orthographic_pictures_are_the_bodies_own_coordinates(exact):
    pictures = prepare(exact, projection="orthographic")
    assert best_orthographic_error(pictures) < 1e-5
    assert best_orthographic_error(prepare(exact)) > 0.02


def test_looking_at_the_pelvis_takes_most_of_the_perspective_away(exact):
    shifted, centred = prepare(exact), prepare(exact, recentre="ray")
    assert best_orthographic_error(centred) < 0.7 * best_orthographic_error(shifted)


def test_the_turn_carries_the_straight_view_into_the_axes_of_the_picture(exact):
    shifted, centred = prepare(exact), prepare(exact, recentre="ray")
    torch.testing.assert_close(centred.Y @ shifted.turn, shifted.Y, atol=1e-5, rtol=0)
    identity = torch.eye(3).expand_as(centred.turn)
    torch.testing.assert_close(centred.turn, identity)
    torch.testing.assert_close(shifted.turn @ shifted.turn.mT, identity, atol=1e-5, rtol=0)
    ray = torch.nn.functional.pad(exact.X[..., 0, :], (0, 1), value=1.0)
    direction = ray / ray.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(shifted.turn[..., 2, :], direction, atol=1e-5, rtol=0)


def test_an_orthographic_fit_is_turned_by_the_angle_of_the_ray(exact):
    """Bodies that explain the shifted picture best are near the true ones seen straight on."""
    shifted, centred = prepare(exact), prepare(exact, recentre="ray")
    as_fitted = torch.cat(
        [shifted.X, centred.Y[..., 2:] / body_size(centred.Y)[..., None, None]], -1
    )
    error = lambda Y: float(metrics.n_mpjpe(Y, shifted.Y).mean())  # noqa: E731
    assert error(as_fitted @ shifted.turn) < error(as_fitted)
    wrong = best_rotation(as_fitted, shifted.Y)
    assert angle(wrong, shifted.turn).mean() < angle(wrong, torch.eye(3)).mean()


def test_orthographic_pictures_need_true_poses(exact):
    with pytest.raises(ValueError, match="made from true poses"):
        prepare(replace(exact, Y=None), projection="orthographic")
    assert prepare(replace(exact, Y=None)).heading is None
