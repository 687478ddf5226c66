import pytest

from posebook.data import sources as official_video
from posebook.data.fixtures import images as fixtures_2d
from posebook.data.records import ImageSet


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("data")
    fixtures_2d.write_jhmdb(home / "jhmdb", fixtures_2d.jhmdb_clips(frames=2))
    fixtures_2d.write_penn(home / "penn-action", fixtures_2d.penn_clips(2, 3))
    stills = fixtures_2d.mpii_stills(4), fixtures_2d.mpii_stills(2, "valid", 4)
    fixtures_2d.write_mpii_json(home / "mpii", *stills)
    return home


@pytest.fixture(autouse=True)
def data(home, monkeypatch):
    monkeypatch.setenv("POSEBOOK_DATA", str(home))


@pytest.mark.parametrize(
    ("dataset", "joints", "lengths"), [("sub-jhmdb", 15, (24, 12)), ("penn-action", 13, (1, 1))]
)
def test_clips_by_the_names_of_the_experiments(dataset, joints, lengths):
    parts = official_video.load_clips(dataset, "clips")
    assert tuple(map(len, parts)) == lengths
    assert all(clip.joints.shape[1] == joints for part in parts for clip in part)


def test_splits_are_handed_on():
    tests = [official_video.load_clips("sub-jhmdb", "clips", split)[1] for split in (1, 2)]
    assert not {c.name for c in tests[0]} & {c.name for c in tests[1]}


def test_stills_are_those_of_mpii_for_either():
    for dataset in official_video.FOLDERS:
        [train], [valid] = official_video.load_clips(dataset, "stills")
        assert isinstance(train, ImageSet) and (len(train), len(valid)) == (4, 2)


def test_unknown_names_are_answered_with_the_known_ones(home):
    with pytest.raises(ValueError, match="'jhmdb' is no official .* known: sub-jhmdb, penn-action"):
        official_video.load_clips("jhmdb", "clips")
    with pytest.raises(ValueError, match="unknown kind 'all'; known: clips, stills"):
        official_video.load_clips("sub-jhmdb", "all")


def test_a_missing_folder_is_named_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("POSEBOOK_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no folder .*jhmdb: put jhmdb there, link it"):
        official_video.load_clips("sub-jhmdb", "clips")
