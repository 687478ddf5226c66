"""The names of the experiments lead to the right files, and a run on them goes to its end."""

from dataclasses import replace

import numpy as np
import pytest

from posebook import lifting
from posebook.data import sources
from posebook.data.fixtures import views as fixtures_3d
from posebook.data.official import folders, human36m
from posebook.data.recorded.views import ViewsSize, make_views
from posebook.experiments.run import run

SIZE = ViewsSize(1, 12, 1)  # of the embedded views alone
pytestmark = pytest.mark.filterwarnings("ignore:.*officially")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A data folder with both sets."""
    home = tmp_path_factory.mktemp("data")
    for name in ("human36m", "mpi-inf-3dhp"):
        (home / name).mkdir()
    fixtures_3d.write_human36m(home / "human36m", frames=2)
    fixtures_3d.write_human36m(home / "human36m", 2, human36m.CPN, positions=False)
    fixtures_3d.write_mpi_inf_3dhp(home / "mpi-inf-3dhp", frames=12, test_frames=14)
    return home


@pytest.fixture(autouse=True)
def data(home, monkeypatch):
    monkeypatch.setenv(folders.VARIABLE, str(home))


def test_every_official_data_set_of_chapter_3_is_known():
    for dataset in sources.OFFICIAL_VIEWS:
        train, test = sources.load_views(dataset, SIZE)
        assert {s.split for s in train} == {"train"} and {s.split for s in test} == {"test"}


def test_detected_and_true_joints_are_not_confused():
    detected, true = (sources.load_views(d, SIZE)[0][0] for d in ("human36m", "human36m-gt"))
    assert human36m.distances(detected).max() > 1 > human36m.distances(true).max()


def test_the_embedded_views_go_by_their_own_name():
    found, expected = (
        load(*args)
        for load, args in (
            (sources.load_views, ("embedded-views", SIZE, "actions", "none")),
            (make_views, (SIZE, "actions", "none")),
        )
    )
    for mine, theirs in zip(found, expected, strict=True):
        assert [(s.subject, s.action) for s in mine] == [(s.subject, s.action) for s in theirs]
        np.testing.assert_array_equal(mine[0].joints_2d, theirs[0].joints_2d)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="'coco' is no data set of views; known: embedded-views"):
        sources.load_views("coco", SIZE)


def test_missing_folders_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv(folders.VARIABLE, str(tmp_path))
    with pytest.raises(FileNotFoundError, match="put human36m there, link it there"):
        sources.load_views("human36m", SIZE)


@pytest.mark.parametrize("dataset", sources.OFFICIAL_VIEWS)
def test_two_steps_of_table_3_1_at_the_thesis_schedule(dataset, monkeypatch):
    """The `paper` profile, narrow and cut after two steps: the path is whole."""
    paper = replace(lifting.rows.PROFILES["paper"], width=16, batch=64, evaluations=1)
    monkeypatch.setitem(lifting.rows.PROFILES, "paper", paper)
    counted = lifting.run.in_steps

    def two_steps(profile, instants):
        assert counted(profile, instants).steps == 300 * (instants // 64)
        return replace(profile, steps=2, pretraining_steps=0, epochs=0)

    monkeypatch.setattr(lifting.run, "in_steps", two_steps)
    _, record = run("table-3.1/trans-reproj", "paper", 0, dataset=dataset)
    assert record["steps"] == 2 and record["dataset"] == dataset
    assert record["parameters"]["lam"] == (1.5 if dataset == "mpi-inf-3dhp" else 1.0)
    assert set(record["per_action"]) >= ({"Sitting"} if "mpi" in dataset else {"SittingDown"})
