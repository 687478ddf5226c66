"""Clips and stills: the same on every call, disjoint in people and motion, made once."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from posebook.data.recorded import body
from posebook.data.recorded.motion import load_motion
from posebook.data.rendered import clips as ev
from posebook.data.rendered.store import VideoSize, clip_names, folder_of_size, generate
from posebook.data.rendered.take import SAMPLES
from posebook.data.rendered.takes import (
    CYCLES,
    _at,
    _perform,
    _recombined,
    _stretch,
    _table,
    clip_take,
)
from posebook.geometry.skeleton import JHMDB, PENN

TINY = VideoSize(people=1, clips=1, frames=(3, 3), stills=2, test_stills=2)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache folder that the tests of this module share."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POSEBOOK_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def clips(cache):
    return ev.make_clips(TINY)


def test_three_splits_test_three_groups(cache):
    tested = []
    for split in ev.SPLITS:
        train, test = ev.make_clips(TINY, split=split)
        assert {c.subject for c in train}.isdisjoint(c.subject for c in test)
        assert {c.name for c in train}.isdisjoint(c.name for c in test)
        assert {c.split for c in train} == {"train"} and {c.split for c in test} == {"test"}
        tested += [c.name for c in test]
    assert sorted(tested) == clip_names(TINY)


def test_groups_share_no_frame_of_a_recording():
    """Each third lies apart from the others; whatever a clip shows is inside its third."""
    rng = np.random.default_rng(0)
    for motion in load_motion():
        ends = [_stretch(motion, group) for group in range(3)]
        assert all(a[1] + 3 < b[0] for a, b in zip(ends, ends[1:], strict=False))
        if motion.name in CYCLES:
            continue
        for group, (first, last) in enumerate(ends):
            rows = np.arange(len(motion), dtype=float)
            ramp = replace(motion, joints=np.tile(rows[:, None, None], (1, 17, 3)))
            shown, _ = _perform(ramp, group, (15, 40), 1.0, rng)
            assert shown.min() >= first - 1e-9 and shown.max() <= last + 1e-9
            assert 15 <= len(shown) // SAMPLES <= 40


def test_a_walk_goes_on(cache):
    walk = next(m for m in load_motion() if m.name == "walk")
    rows = np.linspace(0, 3 * (len(walk) - 1), 300)
    hips = _at(walk, rows, cyclic=True)[:, 0]
    steps = np.linalg.norm(np.diff(hips[:, :2], axis=0), axis=1)
    assert steps.max() < 3 * np.median(steps)
    assert np.linalg.norm(hips[-1, :2] - hips[0, :2]) > 2


def test_records_fit_the_joint_sets(clips):
    for name, joints in (("jhmdb15", JHMDB), ("penn13", PENN)):
        train, test = ev.make_clips(TINY, joint_set=name)
        for clip in train + test:
            assert clip.joints.shape == (3, len(joints), 2)
            assert clip.pictures.shape == (3, 240, 320, 3)
            assert clip.action in {m.name for m in load_motion()}
            assert (clip.visible <= clip.annotated).all()  # what lies outside is not seen
    a, b = clips[0][0], ev.make_clips(TINY, joint_set="penn13")[0][0]
    np.testing.assert_array_equal(
        a.joints[:, JHMDB.index("LWrist")], b.joints[:, PENN.index("LWrist")]
    )


def test_boxes_hold_the_visible_joints(clips):
    for clip in clips[0] + clips[1]:
        x, y = clip.joints[..., 0], clip.joints[..., 1]
        low, high = clip.box[:, None, :2] - 2, clip.box[:, None, 2:] + 2
        held = (x >= low[..., 0]) & (y >= low[..., 1]) & (x <= high[..., 0]) & (y <= high[..., 1])
        assert held[clip.visible].mean() > 0.97


def test_generating_again_gives_the_same_bytes(clips, tmp_path, monkeypatch):
    before = clips[1][0]
    monkeypatch.setenv("POSEBOOK_CACHE", str(tmp_path))
    clip_take.cache_clear()
    again = ev.make_clips(TINY)[1][0]
    assert again.pictures.file != before.pictures.file
    np.testing.assert_array_equal(np.asarray(before.pictures), np.asarray(again.pictures))
    np.testing.assert_array_equal(before.joints, again.joints)


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setenv("POSEBOOK_CACHE", str(tmp_path))
    folder = generate(TINY, "clips")
    files = sorted(folder.glob("*.npz"))
    stamps = {f: f.stat().st_mtime_ns for f in files[1:]}
    content = files[0].read_bytes()
    files[0].unlink()
    (folder / f".{files[0].name}.writing").write_bytes(b"half")
    generate(TINY, "clips")
    assert files[0].read_bytes() == content
    assert {f: f.stat().st_mtime_ns for f in stamps} == stamps
    assert not [f for f in folder.iterdir() if f.name.endswith(".writing")]


def test_two_processes_share_the_work(tmp_path, monkeypatch):
    monkeypatch.setenv("POSEBOOK_CACHE", str(tmp_path))
    code = (
        "from tests_size import TINY; from posebook.data.rendered import clips as ev;"
        "print(len(ev.make_clips(TINY)[0]))"
    )
    (tmp_path / "tests_size.py").write_text(
        f"from posebook.data.rendered.clips import VideoSize\nTINY = {TINY!r}\n"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    assert [p.communicate(timeout=120)[0].strip() for p in both] == [b"2", b"2"]
    folder = folder_of_size(TINY) / "clips"
    assert sorted(f.stem for f in folder.glob("*.npz")) == clip_names(TINY)


def test_a_damaged_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("POSEBOOK_CACHE", str(tmp_path))
    folder = generate(TINY, "clips")
    path = folder / "A00-00.npz"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"A00-00.npz is damaged .* delete it"):
        ev.make_clips(TINY)


def test_stills(cache):
    train, test = ev.make_stills(TINY)
    assert len(train) == len(test) == 2
    assert train.joint_set == "mpii16" and train.joints.shape == (2, 16, 2)
    assert train.pictures[1].shape == (240, 320, 3)
    assert (train.pictures[0] != test.pictures[0]).any()
    assert ev.make_stills(TINY, "jhmdb15")[0].joints.shape == (2, 15, 2)


def test_stills_know_no_recorded_pose():
    """No pose of a still is a recorded one, limbs and all."""
    table = _table().directions
    for seed in range(5):
        pose = body.take_apart(_recombined(np.random.default_rng(seed)))
        apart = np.linalg.norm(table - pose.directions, axis=-1).max(-1)
        assert apart.min() > 0.1


def test_the_pictures_behave_like_an_array(clips):
    pictures = clips[0][0].pictures
    whole = np.asarray(pictures)
    assert whole.shape == pictures.shape and whole.dtype == pictures.dtype == np.uint8
    np.testing.assert_array_equal(pictures[-1], whole[2])
    np.testing.assert_array_equal(pictures[1:], whole[1:])
    np.testing.assert_array_equal(pictures[[2, 0]], whole[[2, 0]])
    assert pictures[3:].shape == (0, 240, 320, 3)
    assert len(list(pictures)) == 3
    with pytest.raises(IndexError):
        pictures[3]


def test_the_truth_beside_a_clip(clips):
    clip = clips[1][0]
    known = ev.truth(clip)
    assert known.covered.shape == known.blur.shape == (3, 15)
    states = known.covered.astype(int) + known.hidden + ~known.inside + clip.visible
    assert (states == 1).all()  # every joint is exactly one of the four
    assert (known.speed >= 0).all() and 0.3 < known.shutter <= 1


def test_blur_is_speed_times_shutter(cache):
    """Over a clip the trail is the speed's share while the shutter is open; the
    two differ where a joint changes direction within a frame."""
    size = replace(TINY, frames=(12, 12))
    for clip in ev.make_clips(size)[0]:
        known = ev.truth(clip)
        ratio = known.blur[1:-1].sum() / known.speed[1:-1].sum()
        assert ratio == pytest.approx(known.shutter, rel=0.15)


def test_the_flow_explains_the_next_frame(clips):
    clip = clips[0][0]
    flow = ev.flow(clip, 0)
    assert flow.shape == (240, 320, 2) and np.isfinite(flow).all()
    with pytest.raises(IndexError, match="no next one"):
        ev.flow(clip, 2)


def test_other_clips_have_no_truth(clips):
    stranger = replace(clips[0][0], pictures=np.zeros((3, 240, 320, 3), np.uint8))
    with pytest.raises(ValueError, match="nobody knows its truth"):
        ev.truth(stranger)


@pytest.mark.parametrize(
    "fields", [{"people": 0}, {"clips": 0}, {"frames": (5, 4)}, {"frames": (0, 4)}, {"stills": -1}]
)
def test_bad_sizes(fields):
    with pytest.raises(ValueError, match="VideoSize"):
        replace(TINY, **fields)


def test_bad_requests(cache):
    with pytest.raises(ValueError, match="unknown split 4"):
        ev.make_clips(TINY, split=4)
    with pytest.raises(ValueError, match="no joint set 'coco17'"):
        ev.make_clips(TINY, joint_set="coco17")
    with pytest.raises(ValueError, match="no stills"):
        ev.make_stills(replace(TINY, stills=0))


def test_another_size_has_another_folder(cache):
    assert folder_of_size(TINY) != folder_of_size(replace(TINY, clips=2))
    assert folder_of_size(TINY) == folder_of_size(replace(TINY))
