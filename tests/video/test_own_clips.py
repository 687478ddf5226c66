"""Clips of one's own as a row starts from: prepared as the row says, or refused in a sentence."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from posebook import video
from posebook.data.records import ImageSet, VideoClip
from posebook.geometry.skeleton import joint_set
from posebook.video.frames import collect_frames
from posebook.video.prepare import prepare_clips
from posebook.video.rows import PROFILES, Variant

SMOKE = PROFILES["smoke"]
SIZE = replace(SMOKE, base=replace(SMOKE.base, crop=32, steps=4, batch=4), steps=2, copies=1)
SINGLE = Variant(front="none", pretrained="clips")


def fields(n, joints, seed):
    rng = np.random.default_rng(seed)
    J = len(joint_set(joints))
    return (
        rng.integers(0, 255, (n, 48, 64, 3), dtype=np.uint8),
        rng.uniform(10, 40, (n, J, 2)).astype(np.float32), rng.random((n, J)) < 0.8,
        np.tile([8.0, 6.0, 44.0, 44.0], (n, 1)), joints,
    )  # fmt: skip


def own(part, joints="jhmdb15", count=2):
    return [
        VideoClip(*fields(6, joints, seed), part, f"{part}{seed}", "jump", source="mine")
        for seed in range(count)
    ]


def stills(joints="mpii16"):
    return [[ImageSet(*fields(12, joints, 7), part)] for part in ("train", "test")]


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    return prepare_clips(own("train"), own("test"), SIZE, SINGLE, 0, folder=folder)


def test_a_row_runs_on_clips_of_one_s_own(setting, tmp_path):
    outcome = video.run.run_row(SIZE, SINGLE, 0, data=setting, cache=tmp_path)
    assert outcome.per_action.keys() == {"jump"}
    same = [collect_frames(own(part)) for part in ("train", "test")]
    assert torch.equal(setting.train.joints, same[0].joints)
    assert torch.equal(setting.test.box, same[1].box)


def test_the_base_network_learns_on_the_stills_that_are_given(tmp_path):
    row = replace(SINGLE, pretrained="stills")

    def weights(pictures):
        made = prepare_clips(own("train"), own("test"), SIZE, row, 0, pictures, folder=tmp_path)
        return torch.cat([v.flatten() for v in made.base.encoder.state_dict().values()])

    one = weights(stills())
    assert torch.equal(weights(stills()), one)
    assert not torch.equal(weights(stills("jhmdb15")), one)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (Variant(front="none"), r"pretrained='stills': .* give stills=\(train, test\)"),
        (replace(SINGLE, split=2), "split=2 is one of a data set's own"),
        (replace(SINGLE, joints="penn13"), "joints='penn13' and mine: train0 has .* jhmdb15"),
    ],
)
def test_what_own_clips_cannot_have_is_refused(row, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        prepare_clips(own("train"), own("test"), SIZE, row, 0, folder=tmp_path)
    assert not list(tmp_path.rglob("*.pt"))  # before the work


@pytest.mark.parametrize(
    "change",
    [{"loss": "integral"}, {"erasing": False}, {"cached": False}, {"pretrained": "stills"}],
    ids=lambda change: next(iter(change)),
)
def test_a_setting_of_another_row_is_refused(change, setting, tmp_path):
    [name] = change
    with pytest.raises(ValueError, match=f"the row wants {name}=.*prepare_clips"):
        video.run.run_row(SIZE, replace(SINGLE, **change), 0, data=setting, cache=tmp_path)


@pytest.mark.parametrize(
    "option",
    [{"N": 4}, {"stride": 3}, {"ends": "truncate"}, {"directions": 1}, {"aggregation": "sum"},
     {"start": "zeros"}, {"offsets": "none"}, {"separate": True}, {"reduce": 2}],
    ids=lambda option: next(iter(option)),
)  # fmt: skip
def test_an_option_that_a_row_does_not_read_is_refused(option):
    [name] = option
    with pytest.raises(ValueError, match=f"^{name}=.* has no effect on this row: it is read by a"):
        Variant(front="pyramid", **option)
    Variant(**option)


def test_what_begins_with_zeros_has_no_frame_to_be_truncated_at():
    with pytest.raises(ValueError, match="ends='truncate' needs start='features'"):
        Variant(start="zeros", ends="truncate")
