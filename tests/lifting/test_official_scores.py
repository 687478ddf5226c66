"""The benchmarks' numbers: against their own programs written out, and on cases known by hand."""

import numpy as np
import pytest
import torch

from posebook import lifting
from posebook.data.fixtures import views as fixtures_3d
from posebook.data.official import human36m, mpi_inf_3dhp
from posebook.data.views import collect
from posebook.geometry.skeleton import PCK3D_JOINTS
from posebook.lifting import official_scores as official_evaluation
from posebook.lifting.network import LiftingNetwork

pytestmark = pytest.mark.filterwarnings("ignore:.*officially")

# The official program's joint groups, 1-based, in the order of the test files.
GROUPS = ([1], [2], [3, 6], [4, 7], [5, 8], [9, 12], [10, 13], [11, 14])


def literal(predicted, target):
    """PCK and AUC as the official MATLAB goes: loops over joints, groups and thresholds; mm."""
    order = np.argsort(mpi_inf_3dhp.OF_17)  # from the order of the book to that of the files
    predicted, target = predicted[:, order], target[:, order]
    predicted = predicted - predicted[:, 14:15]
    target = target - target[:, 14:15]
    error = np.sqrt(((predicted - target) ** 2).sum(-1))
    curves = np.zeros((len(GROUPS), 31))
    for g, group in enumerate(GROUPS):
        for t, threshold in enumerate(range(0, 151, 5)):
            for joint in group:
                curves[g, t] += (error[:, joint - 1] < threshold).mean() / len(group)
    weights = np.array([len(group) for group in GROUPS])
    pck = 100 * (weights @ curves[:, -1]) / weights.sum()
    auc = 100 * (weights @ curves.mean(axis=1)) / weights.sum()
    return pck, auc, error.mean()


@pytest.fixture
def poses():
    rng = np.random.default_rng(0)
    target = rng.normal(0, 0.4, (60, 17, 3))
    return target + rng.normal(0, 0.08, target.shape), target


def tensors(*arrays):
    return [torch.as_tensor(array) for array in arrays]


def test_agrees_with_the_official_program(poses):
    table = official_evaluation.table_3dhp(*tensors(*poses), ["TS1"] * 60, ["Sports"] * 60)
    pck, auc, mpjpe = literal(*(1000 * pose for pose in poses))
    expected = pytest.approx([pck, auc, mpjpe])
    for row in ("All", "TS1", "Sports"):
        assert table.loc[row, ["pck3d_150", "auc3d", "mpjpe_mm"]].tolist() == expected


def test_a_perfect_pose_has_the_greatest_auc_there_is(poses):
    scores = official_evaluation.pose_scores(*tensors(poses[1], poses[1]))
    assert torch.allclose(scores["auc3d"], torch.tensor(96.7741935, dtype=torch.float64))
    assert official_evaluation.BEST_AUC == pytest.approx(96.7741935)
    assert (scores["pck3d_150"] == 100).all()


def test_thresholds_are_strict():
    target = torch.zeros(1, 17, 3, dtype=torch.float64)
    predicted = target.clone()
    predicted[:, list(PCK3D_JOINTS), 0] = 0.125  # exact in binary, also in millimetres
    scores = official_evaluation.pose_scores(predicted, target)
    assert scores["auc3d"].item() == pytest.approx(100 * 5 / 31)  # 130 to 150, not 125
    predicted[:, list(PCK3D_JOINTS), 0] = 0.150
    scores = official_evaluation.pose_scores(predicted, target)
    assert scores["pck3d_150"].item() == 0


def test_pelvis_spine_and_face_count_for_mpjpe_only():
    target = torch.zeros(1, 17, 3)
    predicted = target.clone()
    predicted[:, [7, 9]] = 1.0  # spine and nose far off
    scores = official_evaluation.pose_scores(predicted, target)
    assert scores["pck3d_150"].item() == 100
    assert scores["mpjpe_mm"].item() == pytest.approx(1000 * 2 * 3**0.5 / 17)


def test_all_pools_frames_and_not_sequences(poses):
    target = torch.zeros(4, 17, 3)
    predicted = target.clone()
    predicted[3, list(PCK3D_JOINTS)] = 1.0
    table = official_evaluation.table_3dhp(
        predicted, target, ["TS1", "TS1", "TS1", "TS2"], ["a", "b", "b", "b"]
    )
    assert table["pck3d_150"].to_dict() == pytest.approx(
        {"All": 75, "TS1": 100, "TS2": 0, "a": 100, "b": 200 / 3}
    )
    assert table["frames"].to_dict() == {"All": 4, "TS1": 3, "TS2": 1, "a": 1, "b": 3}


def test_lengths_must_agree(poses):
    with pytest.raises(ValueError, match="59 activities must be as many"):
        official_evaluation.table_3dhp(*tensors(*poses), ["TS1"] * 60, ["a"] * 59)


@pytest.mark.parametrize("frames", [1, 9])
def test_both_truths_of_a_network(tmp_path, frames):
    truth = fixtures_3d.write_mpi_inf_3dhp(tmp_path, frames=1, test_frames=14)
    model = LiftingNetwork(width=16, frames=frames)
    tables = official_evaluation.evaluate_3dhp(model, tmp_path)
    valid = sum(int(flags.sum()) for flags in truth.valid.values())
    assert set(tables) == {"universal", "metric"}
    for table in tables.values():
        assert table.loc["All", "frames"] == valid
        assert set(table.index) == {
            "All",
            *(f"TS{n}" for n in range(1, 7)),
            *mpi_inf_3dhp.ACTIVITIES,
        }
    assert tables["universal"].loc["All", "mpjpe_mm"] != tables["metric"].loc["All", "mpjpe_mm"]


class Middle(torch.nn.Module):
    """A network that answers with the picture of the frame that it is asked about."""

    def __init__(self, frames):
        super().__init__()
        self.frames, self.weight = frames, torch.nn.Parameter(torch.zeros(1))

    def lift(self, rays):
        return rays if self.frames == 1 else rays[:, self.frames // 2]


def test_windows_are_centred_on_their_frame(tmp_path):
    fixtures_3d.write_mpi_inf_3dhp(tmp_path, frames=1, test_frames=14)
    recording = mpi_inf_3dhp.read_test(tmp_path, 1)
    alone, within = (official_evaluation._predict(Middle(n), recording) for n in (1, 9))
    assert len(alone) == 14 and torch.equal(alone, within)


def test_a_metric_oracle_loses_only_against_the_universal_truth(tmp_path, monkeypatch):
    truth = fixtures_3d.write_mpi_inf_3dhp(tmp_path, frames=1, test_frames=14)

    def oracle(_, recording):
        return torch.as_tensor(truth.test[int(recording.name[2:])])

    monkeypatch.setattr(official_evaluation, "_predict", oracle)
    tables = official_evaluation.evaluate_3dhp(None, tmp_path)
    assert tables["metric"].loc["All", "auc3d"] == pytest.approx(official_evaluation.BEST_AUC)
    assert tables["universal"].loc["All", "auc3d"] < 80
    assert tables["universal"].loc["All", "mpjpe_mm"] > 20


# ---------------------------------------------------------------- Human3.6M


def test_average_is_over_actions_and_not_frames():
    actions = [name for name in human36m.ACTIONS for _ in range(3 if name == "Sitting" else 1)]
    errors = torch.tensor([100.0 if name == "Sitting" else 10.0 for name in actions])
    table = official_evaluation.table_human36m(errors, actions)
    assert table.average == pytest.approx((100 + 14 * 10) / 15)
    assert "SittingDown 10.0" in str(table) and str(table).endswith("Avg 16.0")


def test_a_missing_action_is_named():
    with pytest.raises(ValueError, match="15 actions; missing or unknown: Walking"):
        official_evaluation.table_human36m(torch.ones(14), human36m.ACTIONS[:14])


def test_network_on_human36m(tmp_path):
    fixtures_3d.write_human36m(tmp_path, frames=1)
    model = LiftingNetwork(width=16)
    whole, fewer = (
        official_evaluation.evaluate_human36m(model, tmp_path, "gt", damaged)
        for damaged in (True, False)
    )
    assert set(whole) == {"mpjpe_mm", "p_mpjpe_mm", "n_mpjpe_mm"}
    changed = [a for a in human36m.ACTIONS
               if whole["mpjpe_mm"].actions[a] != fewer["mpjpe_mm"].actions[a]]  # fmt: skip
    assert changed == ["Greeting", "SittingDown", "Waiting"]


def test_agrees_with_the_experiments_own_average(tmp_path):
    fixtures_3d.write_human36m(tmp_path, frames=1)
    model = LiftingNetwork(width=16)
    _, test = human36m.load_views(tmp_path, "gt")
    overall, _ = lifting.evaluate.evaluate(model, collect(test))
    table = official_evaluation.evaluate_human36m(model, tmp_path, "gt")
    assert table["mpjpe_mm"].average == pytest.approx(overall["mpjpe_mm"])


def test_a_picture_in_which_nobody_was_found_is_left_out(tmp_path, monkeypatch):
    fixtures_3d.write_human36m(tmp_path, frames=2)
    model, predict = LiftingNetwork(width=16), lifting.evaluate.predict

    def without_one(model, views):
        poses = predict(model, views)
        poses[0, 0] = torch.nan
        return poses

    monkeypatch.setattr(lifting.evaluate, "predict", without_one)
    _, test = human36m.load_views(tmp_path, "gt")
    with pytest.warns(UserWarning, match="1 of .* poses are not measured"):
        overall, _ = lifting.evaluate.evaluate(model, collect(test))
    table = official_evaluation.evaluate_human36m(model, tmp_path, "gt")
    assert table["mpjpe_mm"].average == pytest.approx(overall["mpjpe_mm"])
