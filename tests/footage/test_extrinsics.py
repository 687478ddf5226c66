"""Extrinsics by bundle adjustment, and from the person who walks: known rigs are found again."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posebook.data.recorded.pose2sim import load_pose2sim
from posebook.data.sampled import Sample, fit
from posebook.data.virtual import triangulated
from posebook.footage import refinement
from posebook.footage.health import body_size, up_of
from posebook.footage.refinement import refine
from posebook.footage.walking import ALONG, cameras_of

TAKE = load_pose2sim()


def off(cameras, truth):
    """Degrees and millimetres by which relative poses to the first camera are wrong, at most."""
    degrees, far = [], []
    for c, t in zip(cameras[1:], truth[1:]):
        turn = (c.R @ cameras[0].R.T) @ (t.R @ truth[0].R.T).T
        degrees.append(np.degrees(Rotation.from_matrix(turn).magnitude()))
        at = [r[0].R @ (k.center - r[0].center) for k, r in ((c, cameras), (t, truth))]
        far.append(1000 * np.linalg.norm(at[0] / np.linalg.norm(at[0]) -
                                         at[1] / np.linalg.norm(at[1])))  # fmt: skip
    return max(degrees), max(far)


def exact(noise):
    """The embedded body as its cameras would see it with so many pixels of noise."""
    world = triangulated(TAKE, weighted=True)
    pixels = np.stack([c.project(world) for c in TAKE.cameras], axis=1)
    seen = np.isfinite(pixels).all(-1)
    pixels = np.nan_to_num(pixels) + np.random.default_rng(0).normal(0, noise, pixels.shape)
    return replace(TAKE, joints_2d=pixels, confidence=seen.astype(float))


def perturbed(cameras, degrees=1.0, metres=0.03):
    random = np.random.default_rng(1)
    turns = Rotation.from_rotvec(np.deg2rad(random.normal(0, degrees, (len(cameras), 3))))
    return cameras[:1] + tuple(
        replace(c, R=turn @ c.R, center=c.center + random.normal(0, metres, 3))
        for c, turn in zip(cameras[1:], turns.as_matrix()[1:])
    )


def test_a_perturbed_rig_is_found_again():
    cameras = perturbed(TAKE.cameras)
    assert off(cameras, TAKE.cameras)[0] > 1
    found = refine(replace(exact(1.0), cameras=cameras))
    degrees, far = off(found.cameras, TAKE.cameras)
    assert degrees < 0.1 and far < 3
    assert found.before.mean() > 10 and found.after.mean() < 2
    assert found.text().startswith("extrinsics refined: residual")
    first = found.cameras[0]
    np.testing.assert_allclose(first.R, TAKE.cameras[0].R)
    np.testing.assert_allclose(first.center, TAKE.cameras[0].center)
    size = [sum(np.linalg.norm(c.center - rig[0].center) for c in rig)
            for rig in (cameras, found.cameras)]  # fmt: skip
    assert size[0] == pytest.approx(size[1])


def test_it_is_as_good_as_the_refinement_that_came_with_the_recording():
    """Fitted by tools/embed_pose2sim.py, with a pull to where the cameras were, on 25 instants."""
    found, theirs = refine(load_pose2sim("shipped")), fit(Sample.of([TAKE], 80)).levels.mean()
    assert found.before.mean() > 1.5 * theirs
    assert found.after.mean() < 1.1 * theirs


def test_the_instants_that_judge_were_not_fitted(monkeypatch):
    fitted, judged = [], []
    monkeypatch.setattr(refinement, "adjusted", lambda s: fitted.append(s) or s.cameras)
    monkeypatch.setattr(refinement, "fit", lambda s: judged.append(s) or fit(s))
    refine(TAKE)
    [mine], frames = fitted, {*judged[0].frame}
    assert len(judged) == 2 and len(mine.frame) > 20 and len(frames) > 20
    assert not frames & {*mine.frame}


def test_what_is_no_better_is_not_taken(monkeypatch):
    worse = perturbed(TAKE.cameras, 3.0, 0.3)
    monkeypatch.setattr("posebook.footage.refinement.adjusted", lambda sample: worse)
    found = refine(TAKE)
    assert found.cameras is TAKE.cameras and "not taken" in found.text()


def test_too_few_joints_are_named():
    with pytest.raises(ValueError, match="too few to refine a rig"):
        refine(replace(TAKE, confidence=TAKE.confidence * 0.2))


# ---------------------------------------------------------------- no extrinsics at all


def without_poses(take):
    return replace(take, cameras=tuple(replace(c, R=np.eye(3), center=np.zeros(3))
                                       for c in take.cameras))  # fmt: skip


def test_a_known_rig_is_found_from_the_person_who_walks():
    found = cameras_of(without_poses(exact(1.0)), height=1.8)
    degrees, far = off(found, TAKE.cameras)
    assert degrees < 0.3 and far < 10
    world = fit(Sample.of([replace(exact(1.0), cameras=found)], 50)).world
    assert body_size(world) == pytest.approx(1.8 * ALONG, rel=0.01)
    assert up_of(world, found) == "+z"


def test_real_detections_give_a_rig_in_which_rays_cross_as_well():
    found = cameras_of(without_poses(TAKE))
    theirs = fit(Sample.of([TAKE], 80)).levels.mean()
    assert fit(Sample.of([replace(TAKE, cameras=found)], 80)).levels.mean() < 1.2 * theirs


def test_a_camera_that_the_person_does_not_place_is_named():
    take = without_poses(exact(0.0))
    take.confidence[:, 2] = 0
    with pytest.raises(ValueError, match="camera cam03: the person does not tell where it stands"):
        cameras_of(take)
