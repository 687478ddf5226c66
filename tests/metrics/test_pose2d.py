"""PCK as the benchmarks count it: the limit counts, masks, means, curves."""

import numpy as np
import pytest

from posebook.geometry.skeleton import JHMDB, PENN
from posebook.metrics import pose2d as pck

F, J = 6, len(JHMDB)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def truth(rng):
    return rng.integers(0, 200, (F, J, 2)).astype(float)


@pytest.fixture
def box():
    return np.tile([10.0, 20.0, 60.0, 120.0], (F, 1))  # 50 x 100: the longer side is 100


EVERYWHERE = np.ones((F, J), dtype=bool)


def test_the_limit_itself_counts_as_found(truth, box):
    for offset, found in ((20.0, F), (20.0 + 1e-6, 0)):
        predicted = truth + [offset, 0]
        counts = pck.count(predicted, truth, box, 0.2, EVERYWHERE)
        assert (counts.found == found).all() and (counts.counted == F).all()


def test_the_normaliser_is_the_longer_side_of_the_box_of_each_frame():
    box = np.array([[0, 0, 30, 80], [0, 0, 90, 20.0]])
    assert pck.longer_side(box).tolist() == [80, 90]


def test_masks():
    visible = np.array([[True, False, False]])
    annotated = np.array([[True, True, False]])
    assert pck.mask("visible", visible, annotated).sum() == 1
    assert pck.mask("annotated", visible, annotated).sum() == 2
    assert pck.mask("all", visible, annotated).sum() == 3
    assert pck.mask("annotated", visible).sum() == 3
    with pytest.raises(ValueError, match="unknown mask 'seen'; known: visible, annotated, all"):
        pck.mask("seen", visible)


FLAGS = np.array([[2] * 4 + [1] * 4 + [0] * 5])  # COCO's: visible, hidden but labelled, neither


def test_coco_s_flags_are_counted_right_or_refused():
    """By hand: joints 0 to 5 are right. 4 of 4 visible ones are found, 6 of 8 labelled ones."""
    truth = np.zeros((1, 13, 2))
    predicted = truth.copy()
    predicted[0, 6:] += 100
    box = np.array([[0, 0, 100, 100.0]])
    visible, annotated = FLAGS == 2, FLAGS > 0

    def rate(mask):
        counts = pck.count(predicted, truth, box, 0.2, mask)
        return int(counts.found.sum()), int(counts.counted.sum())

    for kind in (bool, int, float, np.uint8):
        given = visible.astype(kind), annotated.astype(kind)
        assert rate(pck.mask("visible", *given)) == rate(given[0]) == (4, 4)
        assert rate(pck.mask("annotated", *given)) == (6, 8)
        assert rate(pck.mask("all", *given)) == (6, 13)
    for given in ((FLAGS, annotated), (FLAGS - 1, None), (FLAGS, None)):
        with pytest.raises(ValueError, match="visible must be True or False .* flags == 2 as vis"):
            pck.mask("visible", *given)
    with pytest.raises(ValueError, match="annotated must be True or False"):
        pck.mask("annotated", visible, FLAGS)
    with pytest.raises(ValueError, match="looked_for must be True or False"):
        rate(FLAGS)


def test_every_count_refuses_flags_for_a_mask():
    joints, box = np.zeros((3, 13, 2)), np.tile([0, 0, 9, 9.0], (3, 1))
    flags, scores = np.repeat(FLAGS, 3, axis=0), np.ones((3, 13))
    counts = (
        lambda mask: pck.precision_recall(joints, scores, joints, box, 0.2, mask, [0.5]).tolist(),
        lambda mask: np.stack(pck.error_over_time([scores], [mask])).tolist(),
        lambda mask: pck.acceleration_error(joints, joints, mask),
        lambda mask: pck.count(joints, joints, box, 0.2, scores, mask).found.tolist(),
    )
    for count in counts:
        assert count((flags == 2).astype(int)) == count(flags == 2)
        with pytest.raises(ValueError, match="must be True or False"):
            count(flags)


@pytest.mark.parametrize(
    "box", [[50, 50, 10, 10], [5, 5, 5, 5], [0, 0, np.nan, 9], [0, 0, np.inf, 9]]
)
def test_a_box_without_a_side_measures_nothing(truth, box):
    with pytest.raises(ValueError, match=r"of row 0 has no longer side; it must be x1, y1, x2, y2"):
        pck.count(truth, truth, np.tile(np.float64(box), (F, 1)), 0.2, EVERYWHERE)


def test_a_placeholder_is_never_found(truth, box):
    annotated = EVERYWHERE.copy()
    annotated[:2, 3] = False
    counts = pck.count(truth, truth, box, 0.2, pck.mask("all", EVERYWHERE), annotated)
    assert pck.rates(counts)[3] == pytest.approx(100 * (F - 2) / F)
    assert counts.found.sum() == F * J - 2


def test_the_three_means_of_the_thesis(truth, box):
    """Neck and belly in no column, the head once and every other column twice in mean13."""
    predicted = truth.copy()
    wrong = JHMDB.index("RWrist", "Neck")
    predicted[:, wrong] += 1000
    means = pck.averages(pck.count(predicted, truth, box, 0.2, EVERYWHERE), JHMDB)
    assert means["wrist"] == 50 and means["head"] == 100
    assert means["mean13"] == pytest.approx(100 * 12 / 13)
    assert means["mean7"] == pytest.approx(100 * 6.5 / 7)
    assert means["micro"] == pytest.approx(100 * 13 / 15)


def test_mean13_of_penn_is_the_mean_of_all_its_joints(rng):
    counted = rng.integers(1, 50, 13)
    counts = pck.Counts(rng.integers(0, counted), counted)
    means = pck.averages(counts, PENN)
    assert means["mean13"] == pytest.approx(pck.rates(counts).mean())
    assert means["micro"] == pytest.approx(100 * counts.found.sum() / counted.sum())


def test_a_joint_that_is_never_looked_for_has_no_rate(truth, box):
    looked_for = EVERYWHERE.copy()
    looked_for[:, JHMDB.index("LKnee", "RKnee", "LHip")] = False
    means = pck.averages(pck.count(truth, truth, box, 0.2, looked_for), JHMDB)
    assert np.isnan(means["knee"]) and means["hip"] == 100 and means["mean13"] == 100


def test_counts_of_clips_add_up(truth, box, rng):
    predicted = truth + rng.normal(0, 20, truth.shape)
    whole = pck.count(predicted, truth, box, 0.2, EVERYWHERE)
    parts = [pck.count(predicted[s], truth[s], box[s], 0.2, EVERYWHERE[s])
             for s in (slice(0, 2), slice(2, F))]  # fmt: skip
    total = parts[0] + parts[1]
    assert (total.found == whole.found).all() and (total.counted == whole.counted).all()


def test_wrong_shapes_are_refused(truth):
    with pytest.raises(ValueError, match=r"joints must both be \(F, J, 2\)"):
        pck.distances(truth[:, :3], truth)


# ---------------------------------------------------------------- curves


def test_recall_at_threshold_zero_is_pooled_pck(truth, box, rng):
    predicted, scores = truth + rng.normal(0, 15, truth.shape), rng.uniform(0, 1, (F, J))
    counts = pck.count(predicted, truth, box, 0.2, EVERYWHERE)
    curve = pck.precision_recall(
        predicted, scores, truth, box, 0.2, EVERYWHERE, np.array([0, 0.5, 2.0])
    )
    pooled = 100 * counts.found.sum() / counts.counted.sum()
    assert curve[0] == pytest.approx([pooled, pooled])
    assert curve[2].tolist() == [0, 100]  # nothing reported: no recall, nothing wrong


def test_precision_rises_if_scores_know_the_errors(truth, box, rng):
    off = rng.uniform(0, 60, (F, J))
    predicted = truth + np.stack([off, 0 * off], -1)
    curve = pck.precision_recall(
        predicted, 1 - off / 60, truth, box, 0.2, EVERYWHERE, np.linspace(0, 1, 20)
    )
    assert (np.diff(curve[:, 1]) >= -1e-9).all() and (np.diff(curve[:, 0]) <= 1e-9).all()


def test_a_joint_that_is_not_looked_for_is_on_no_curve():
    """By hand: one joint is right and sure, one wrong and unsure; the third is sure, too."""
    truth, box = np.zeros((1, 3, 2)), np.array([[0, 0, 100, 100.0]])
    scores, looked_for = np.array([[0.9, 0.4, 0.9]]), np.array([[True, True, False]])
    for third in (0, 100):
        predicted = truth + np.array([0, 100, third])[:, None]
        curve = pck.precision_recall(predicted, scores, truth, box, 0.2, looked_for, [0, 0.5])
        assert curve.tolist() == [[50, 50], [50, 100]]


def test_error_over_time_counts_the_clips_that_last_so_long():
    errors = [np.full((3, 2), 4.0), np.full((2, 2), 8.0)]
    masks = [np.ones((3, 2), bool), np.array([[True, True], [True, False]])]
    mean, clips = pck.error_over_time(errors, masks)
    assert mean == pytest.approx([6, 16 / 3, 4]) and clips.tolist() == [2, 2, 1]


def test_acceleration_error_sees_jitter_and_not_a_steady_offset(truth):
    looked_for = EVERYWHERE
    steady = truth + 7 + 3 * np.arange(F)[:, None, None]
    assert pck.acceleration_error(steady, truth, looked_for)[0] == pytest.approx(0, abs=1e-9)
    shaken = truth.copy()
    shaken[::2, :, 0] += 1
    total, number = pck.acceleration_error(shaken, truth, looked_for)
    assert total / number == pytest.approx(2) and number == (F - 2) * J
    assert pck.acceleration_error(truth[:2], truth[:2], looked_for[:2]) == (0.0, 0)


@pytest.mark.parametrize(("frame", "lost"), [(0, 1), (1, 2), (3, 3), (F - 1, 1)])
def test_an_acceleration_counts_where_a_joint_is_looked_for_in_all_three_frames(truth, frame, lost):
    predicted, looked_for = truth.copy(), EVERYWHERE.copy()
    predicted[frame, 2] += 1000
    looked_for[frame, 2] = False
    assert pck.acceleration_error(predicted, truth, looked_for) == (0, (F - 2) * J - lost)
