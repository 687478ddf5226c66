"""Frames of clips and stills as rows, their crops, their cached features, and the optical flow."""

import cv2
import numpy as np
import pytest
import torch

from posebook.data.records import ImageSet, VideoClip
from posebook.geometry.skeleton import JHMDB
from posebook.storage import key_of
from posebook.video import flow
from posebook.video.backbone import Encoder
from posebook.video.base_network import accuracy
from posebook.video.crops import apply_affine, draw_augmentation, inverse
from posebook.video.features import features
from posebook.video.frames import collect_frames, crop, labels

J = len(JHMDB)


def record(n, kind=VideoClip, pictures=None, seed=0, **fields):
    rng = np.random.default_rng(seed)
    if pictures is None:
        pictures = rng.integers(0, 255, (n, 40, 60, 3), dtype=np.uint8)
    common = dict(
        pictures=pictures, joints=rng.uniform(5, 35, (n, J, 2)).astype(np.float32),
        visible=np.ones((n, J), bool), box=np.tile([5.0, 5, 45, 35], (n, 1)),
        joint_set="jhmdb15", split="train",
    )  # fmt: skip
    if kind is VideoClip:
        common |= dict(name=f"clip{seed}", action="walk")
    return kind(**(common | fields))


def test_rows_know_their_clip_and_its_ends():
    frames = collect_frames([record(3), record(1, seed=1), record(2, seed=2)])
    assert len(frames) == 6
    assert frames.clip.tolist() == [0, 0, 0, 1, 2, 2]
    assert frames.first.tolist() == [0, 0, 0, 3, 4, 4]
    assert frames.last.tolist() == [2, 2, 2, 3, 5, 5]
    assert frames.of_clip(2) == slice(4, 6)
    assert np.array_equal(frames.picture(5), frames.records[2].pictures[1])


def test_a_still_is_a_clip_of_its_own():
    frames = collect_frames([record(3, ImageSet)])
    assert frames.first.tolist() == frames.last.tolist() == [0, 1, 2]


def test_pictures_may_be_files(tmp_path):
    rng = np.random.default_rng(0)
    paths = []
    for k in range(2):
        paths.append(tmp_path / f"{k}.png")
        cv2.imwrite(str(paths[-1]), rng.integers(0, 255, (40, 60, 3), dtype=np.uint8))
    frames = collect_frames([record(2, pictures=paths)])
    assert crop(frames, torch.tensor([0, 1]), 32).pictures.shape == (2, 32, 32, 3)
    paths[1].write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"1\.png: this is no picture"):
        crop(frames, torch.tensor([0, 1]), 32)


def test_pictures_of_several_sizes_mix():
    sizes = [(33, 47), (40, 61)]
    pictures = [np.zeros((*size, 3), np.uint8) for size in sizes]
    frames = collect_frames([record(2, pictures=pictures)])
    assert crop(frames, torch.tensor([1, 0]), 32).pictures.shape == (2, 32, 32, 3)


def test_no_clips_or_mixed_joint_sets_are_refused():
    with pytest.raises(ValueError, match="there are no clips"):
        collect_frames([])
    other = record(1, joint_set="penn13", joints=np.ones((1, 13, 2), np.float32),
                   visible=np.ones((1, 13), bool))  # fmt: skip
    with pytest.raises(ValueError, match="do not mix: jhmdb15, penn13"):
        collect_frames([record(1), other])


def test_labels_follow_the_augmentation_and_come_back():
    annotated = np.ones((4, J), bool)
    annotated[:, JHMDB.index("LWrist")] = False
    frames = collect_frames([record(4, annotated=annotated)])
    rows = torch.arange(4)
    augmentation = draw_augmentation(4, torch.Generator().manual_seed(0))
    joints, counted, M = labels(frames, rows, 64, augmentation)
    back = apply_affine(inverse(M), joints)
    left, right = JHMDB.index("LWrist", "RWrist")
    for row in range(4):
        flipped = bool(augmentation.flip[row])
        order = JHMDB.flip if flipped else np.arange(J)
        torch.testing.assert_close(back[row], frames.joints[row, order], atol=1e-4, rtol=0)
        assert bool(counted[row, right if flipped else left]) is False
        assert counted[row].sum() == J - 1
    assert augmentation.flip.any() and not augmentation.flip.all()


def test_erasing_covers_some_of_each_other_crop():
    frames = collect_frames([record(40)])
    rows = torch.arange(40)
    plain = crop(frames, rows, 32)
    erased = crop(frames, rows, 32, erasing=torch.Generator().manual_seed(0))
    changed = (plain.pictures != erased.pictures).any(-1).flatten(1).any(1)
    assert 10 < changed.sum() < 30
    assert torch.equal(plain.joints, erased.joints)


# ---------------------------------------------------------------- features


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return Encoder(4).eval()


def test_features_are_computed_once_and_kept(encoder, tmp_path, monkeypatch):
    frames = collect_frames([record(3), record(2, seed=1)])
    options = dict(copies=2, erasing=True, seed=3, folder=tmp_path)
    first = features(frames, encoder, 32, **options)
    assert first.X.shape == (10, 32, 1, 1) and first.X.dtype == torch.float16
    assert first.copies == 2 and first.joints.shape == (10, J, 2)
    monkeypatch.setattr("posebook.video.features._compute", None)
    again = features(frames, encoder, 32, **options)
    assert torch.equal(first.X, again.X) and torch.equal(first.joints, again.joints)
    assert not [path for path in tmp_path.rglob("*.writing")]


def test_features_with_erasing_are_kept_apart(encoder, tmp_path):
    frames = collect_frames([record(5)])
    options = dict(copies=2, seed=3, folder=tmp_path)
    whole, erased = (features(frames, encoder, 32, erasing=e, **options) for e in (False, True))
    assert whole.key != erased.key and not torch.equal(whole.X, erased.X)


def test_features_do_not_depend_on_the_batch(encoder, tmp_path):
    frames = collect_frames([record(5)])
    found = [
        features(frames, encoder, 32, copies=1, seed=1, folder=tmp_path / str(b), batch=b).X
        for b in (1, 2, 64)
    ]
    for other in found[1:]:
        torch.testing.assert_close(found[0], other, atol=2e-3, rtol=2e-3)


def test_a_copy_has_one_draw_a_clip(encoder, tmp_path):
    same = np.repeat(np.random.default_rng(0).integers(0, 255, (1, 40, 60, 3), np.uint8), 3, 0)
    frames = collect_frames([record(3, pictures=same), record(3, pictures=same, seed=1)])
    X = features(frames, encoder, 32, copies=2, seed=0, folder=tmp_path).X
    X = X.view(2, 2, 3, -1)  # copy, clip, frame
    assert torch.equal(X[:, :, 0], X[:, :, 2])
    assert not torch.equal(X[0, 0], X[0, 1]) and not torch.equal(X[0, 0], X[1, 0])


def test_keys_tell_settings_apart():
    assert key_of(a=1, b=(1, 2)) == key_of(b=(1, 2), a=1)
    assert key_of(a=1) != key_of(a=2)


def test_accuracy_counts_in_the_pictures():
    """A network that always says the middle of the crop: right for joints near the middle."""
    frames = collect_frames([record(6)])

    class Middle(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.nothing = torch.nn.Parameter(torch.zeros(1))

        def forward(self, pictures):
            return torch.zeros(len(pictures), J, 2)

    found = accuracy(Middle(), frames, torch.arange(6), 32, "regression")
    near = (frames.joints - torch.tensor([25.0, 20.0])).norm(dim=-1)
    assert found["pck_0.2"] == pytest.approx(100 * float((near <= 8).float().mean()), abs=1e-4)


# ---------------------------------------------------------------- flow


@pytest.fixture
def moving():
    """A textured picture that moves 3 pixels a frame to the right, and its shifted heatmaps."""
    rng = np.random.default_rng(0)
    wide = cv2.GaussianBlur(rng.integers(0, 255, (64, 160, 3), dtype=np.uint8), (0, 0), 1.5)
    wide = cv2.normalize(wide, None, 0, 255, cv2.NORM_MINMAX)
    pictures = np.stack([wide[:, 60 - 3 * t : 124 - 3 * t] for t in range(5)])
    maps = torch.zeros(5, 1, 64, 64)
    for t in range(5):
        maps[t, 0, 30, 20 + 3 * t] = 1
    return torch.from_numpy(np.ascontiguousarray(pictures)), maps


def test_flow_says_where_a_pixel_has_gone(moving):
    grey = [cv2.cvtColor(p.numpy(), cv2.COLOR_RGB2GRAY) for p in moving[0]]
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found = flow.image_flow(grey[0], grey[1], dis)[16:-16, 16:-16].mean((0, 1))
    assert found == pytest.approx([3, 0], abs=0.2)


def test_heatmaps_of_neighbours_arrive_at_the_target(moving):
    pictures, maps = moving
    out = flow.averaged(maps, pictures, torch.tensor([[0, 1, 2, 3, 4], [1, 1, 1, 1, 1]]))
    assert torch.equal(out[1], maps[1])
    peak = out[0, 0].flatten().argmax()
    assert (int(peak) % 64, int(peak) // 64) == (26, 30)
    assert out[0, 0, 28:33, 23:30].sum() > 0.9
