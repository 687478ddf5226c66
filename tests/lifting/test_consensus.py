"""The teacher: known noise is found again, exchanged limbs are put back, outliers do not pull."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from posebook.data.recorded.views import ViewsSize, make_views
from posebook.data.views import collect
from posebook.geometry.camera import stack
from posebook.geometry.skeleton import H36M
from posebook.lifting import consensus
from posebook.lifting.consensus import Detections, Noise, Teacher, consensus_labels

CONFIDENCES = np.linspace(0.2, 1.0, 81)
KNOWN = Noise(CONFIDENCES, (0.002 / CONFIDENCES) ** 2)  # 0.01 rays at 0.2, 0.002 at 1


@pytest.fixture(scope="module")
def exact():
    """Records of one person without noise."""
    return make_views(ViewsSize(1, 24, 1), noise="none")[0][:15]


@pytest.fixture(scope="module")
def noisy(exact):
    """One rig's detections with Gaussian noise by confidence, and the bodies behind them."""
    world = np.concatenate([s.joints_3d for s in exact]).astype(float)
    R, center = stack(exact[0].cameras)
    points = np.einsum("vab,njvb->njva", R, world[..., None, :] - center)
    rng = np.random.default_rng(0)
    w = rng.uniform(0.2, 1.0, points.shape[:-1])
    noise = np.sqrt(KNOWN(w))[..., None] * rng.standard_normal((*w.shape, 2))
    return Detections(points[..., :2] / points[..., 2:] + noise, w, R, center), world


def off(world, truth):
    return np.linalg.norm(world - truth, axis=-1)


def test_known_variances_are_recovered(noisy):
    rig, _ = noisy
    found = consensus.learn_noise([rig])
    w = np.linspace(0.25, 0.95, 8)
    np.testing.assert_allclose(np.sqrt(found(w)), 0.002 / w, rtol=0.12)


def test_two_views_do_not_tell_how_a_detector_errs(noisy):
    rig, _ = noisy
    two = replace(rig, w=np.where(np.arange(rig.w.shape[-1]) < 2, rig.w, 0.0))
    with pytest.raises(ValueError, match="at least three views saw, and there are none; give"):
        consensus.learn_noise([two])


def test_weights_by_variance_are_near_the_best_that_can_be_done(noisy):
    rig, world = noisy
    learned = off(consensus.agreed(rig, consensus.learn_noise([rig])), world)
    known = off(consensus.agreed(rig, KNOWN), world)
    alike = off(consensus.agreed(rig, None), world)
    assert learned.mean() < 1.03 * known.mean()
    assert learned.mean() < 0.9 * alike.mean()


def test_one_view_that_is_far_off_hardly_pulls(noisy):
    rig, world = noisy
    rig = replace(rig, w=np.full_like(rig.w, 0.5))
    spoilt = replace(rig, X=rig.X.copy())
    spoilt.X[:, 13, 2] += 0.1
    before = off(consensus.agreed(rig, KNOWN), world)[:, 13]
    after = off(consensus.agreed(spoilt, KNOWN, steps=8), world)[:, 13]
    alike = off(consensus.agreed(spoilt, None), world)[:, 13]
    assert np.median(after) < 1.6 * np.median(before)
    assert np.median(alike) > 5 * np.median(after)


@pytest.mark.parametrize("limb", consensus.LIMBS, ids=["arms", "legs"])
def test_exchanged_limbs_are_found_and_no_others(limb, noisy):
    rig, world = noisy
    rng = np.random.default_rng(1)
    where = rng.random((len(rig.X), 4)) < 0.05
    spoilt = replace(rig, X=rig.X.copy(), w=rig.w.copy())
    other = H36M.flip[limb]
    spoilt.X[:, limb] = np.where(where[:, None, :, None], rig.X[:, other], rig.X[:, limb])
    spoilt.w[:, limb] = np.where(where[:, None], rig.w[:, other], rig.w[:, limb])
    found = consensus.put_back(spoilt, world, KNOWN)
    # Where both sides lie nearly upon each other in the picture, nobody can tell.
    apart = np.linalg.norm(rig.X[:, limb] - rig.X[:, other], axis=-1).mean(1) > 0.05
    changed = (found.X != spoilt.X).any((1, 3))
    assert (where & apart).sum() > 10
    assert changed[where & apart].mean() > 0.9
    assert changed[~where].mean() < 0.01
    right = (found.X == rig.X).all((1, 3))
    assert right[where & apart].mean() > 0.9
    assert (found.w == rig.w).all(1)[right].all(), "confidences go with their detections"
    rest = [j for j in range(17) if j not in limb]
    np.testing.assert_array_equal(found.X[:, rest], rig.X[:, rest])


def test_without_noise_the_teacher_says_the_truth_in_every_view(exact):
    views = collect(exact)
    for teacher in (Teacher(), Teacher(weighted=False), Teacher(exchanges=False)):
        labels = consensus_labels(replace(views, Y=None), teacher)
        torch.testing.assert_close(labels.Y, views.Y, atol=1e-4, rtol=0)
        assert labels.X is views.X


def test_each_part_of_the_teacher_helps_on_modelled_detections():
    sequences = make_views(ViewsSize(1, 12, 1))[0][10:20]
    views = collect(sequences)

    def error(teacher):
        return float((consensus_labels(views, teacher).Y - views.Y).norm(dim=-1).mean())

    whole = error(Teacher())
    assert whole < error(Teacher(exchanges=False))
    assert whole < 0.8 * error(Teacher(weighted=False))


def test_a_joint_that_one_view_saw_lies_in_the_middle_and_spoils_no_other(exact):
    confidence = exact[0].confidence.copy()
    confidence[:, 1:, 7] = 0
    blind = [replace(exact[0], confidence=confidence)]
    Y, truth = consensus_labels(collect(blind), Teacher()).Y, collect(blind).Y
    others = [j for j in range(17) if j != 7]
    torch.testing.assert_close(Y[:, :, others], truth[:, :, others], atol=1e-4, rtol=0)
    torch.testing.assert_close(Y[:, :, 7], Y[:, :, others].mean(2), atol=1e-5, rtol=0)
