"""Figures 3.1c and 3.5: examples chosen by a rule that knows no network."""

import numpy as np
import pytest
import torch

from posebook.data.recorded.views import ViewsSize, make_views
from posebook.data.views import collect
from posebook.geometry.camera import project
from posebook.lifting import examples
from posebook.metrics.pose3d import root_relative


@pytest.fixture(scope="module")
def sequences():
    return make_views(ViewsSize(1, 12, 1))[1]


def test_places_are_ordinary_most_hidden_and_furthest(sequences):
    chosen = examples.choose(sequences)
    assert list(chosen) == ["ordinary", "hidden", "far"]
    [(walk, frame, view)] = chosen["ordinary"]
    assert sequences[walk].action == "walk" and (frame, view) == (0, 0)
    hidden = [sequences[i].occluded[frame, view].sum() for i, frame, view in chosen["hidden"]]
    assert hidden == sorted(hidden, reverse=True)
    assert hidden[0] == max(s.occluded.sum(-1).max() for s in sequences)
    depth = [
        sequences[i].cameras[view].to_camera(sequences[i].joints_3d[frame, :1])[0, 2]
        for i, frame, view in chosen["far"]
    ]
    assert depth[0] == pytest.approx(max(
        c.to_camera(s.joints_3d[:, 0])[:, 2].max() for s in sequences for c in s.cameras
    ))  # fmt: skip
    for places in chosen.values():
        actions = [sequences[i].action for i, _, _ in places]
        assert len(set(actions)) == len(actions), "each from an action of its own"


class Right(torch.nn.Module):
    """A network that knows the pose behind each picture, and says it too large by a twentieth."""

    def __init__(self, views):
        super().__init__()
        self.X, self.Y = views.X.flatten(0, 1), views.Y.flatten(0, 1)

    def forward(self, X):
        at = [int((self.X == x).flatten(1).all(1).nonzero()[0]) for x in X]
        return 1.05 * root_relative(self.Y[at]), self.Y[at][:, 0]


def test_examples_hold_what_a_network_says_at_these_places(sequences):
    views = collect(sequences)
    poses, metrics = examples.predictions(Right(views), sequences)
    places = [place for some in examples.choose(sequences).values() for place in some]
    assert len(poses) == len(places)
    for pose, (i, frame, view) in zip(poses, places, strict=True):
        sequence, camera = sequences[i], sequences[i].cameras[view]
        truth = root_relative(camera.to_camera(sequence.joints_3d[frame]))
        found = pose["predicted_mm"].numpy()
        np.testing.assert_allclose(pose["truth_mm"], 1000 * truth, atol=0.51)
        np.testing.assert_allclose(found, 1050 * truth, atol=0.6)
        error = np.linalg.norm(50 * truth, axis=-1).mean()
        assert pose["mpjpe_mm"] == pytest.approx(error, rel=1e-3)
        assert (pose["subject"], pose["action"]) == (sequence.subject, sequence.action)
        assert pose["hidden_joints"] == sequence.occluded[frame, view].sum()
        root = camera.to_camera(sequence.joints_3d[frame, :1])
        seen = project(torch.from_numpy(root + 1.05 * truth)).numpy()
        np.testing.assert_allclose(pose["projected_2d"], camera.pixels(seen), atol=0.1)
    assert metrics == {"mpjpe_mm": pytest.approx(np.mean([pose["mpjpe_mm"] for pose in poses]))}
