import pytest

from posebook.data import sources
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
    parts = sources.load_clips(dataset, "full")
    assert tuple(map(len, parts)) == lengths
    assert all(clip.joints.shape[1] == joints for part in parts for clip in part)


def test_splits_are_handed_on():
    tests = [sources.load_clips("sub-jhmdb", "full", split=split)[1] for split in (1, 2)]
    assert not {c.name for c in tests[0]} & {c.name for c in tests[1]}


def test_stills_are_those_of_mpii_for_either():
    for dataset in sources.OFFICIAL_CLIPS:
        [train], [valid] = sources.load_stills(dataset, "full")
        assert isinstance(train, ImageSet) and (len(train), len(valid)) == (4, 2)


def test_unknown_names_are_answered_with_the_known_ones(home):
    said = "'jhmdb' is no data set of clips; known: embedded-video, sub-jhmdb, penn-action"
    for load in (sources.load_clips, sources.load_stills):
        with pytest.raises(ValueError, match=said):
            load("jhmdb", "full")


def test_a_missing_folder_is_named_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("POSEBOOK_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no folder .*jhmdb: put jhmdb there, link it"):
        sources.load_clips("sub-jhmdb", "full")
