"""Walking the graph of runs: one walk at a time, and refusals before anything is trained."""

import pytest
from filelock import FileLock

from posebook.experiments import graph


@pytest.fixture
def plans(tmp_path, monkeypatch):
    """What Snakemake is asked for; nothing is run."""
    monkeypatch.setenv("POSEBOOK_RUNS", str(tmp_path))
    asked = []
    monkeypatch.setattr(graph, "snakemake", lambda *arguments: asked.append(arguments) or 0)
    return asked


def test_results_are_computed_by_one_run_at_a_time(plans, tmp_path):
    with FileLock(tmp_path / ".lock"):
        with pytest.raises(RuntimeError, match="another process is computing results in .*; wait"):
            graph.walk(["table-3.1"], "smoke")
    assert not plans
    assert graph.walk(["table-3.1"], "smoke") == 0 and plans


def test_snakemake_is_told_what_was_asked_for(plans):
    graph.walk(["table-3.1", "no-extrinsics"], "smoke", seeds=2, jobs=4)
    unlock, last = plans
    config = ("--config", "profile=smoke", "seeds=2", "only=table-3.1,no-extrinsics")
    assert unlock == ("--unlock", *config)
    assert last[-len(config) :] == config and last[:2] == ("--cores", "4")
    assert "--forceall" not in last
    graph.walk([], "gpu", dataset="human36m")
    assert plans[-1][-4:] == ("--config", "profile=gpu", "seeds=3", "dataset=human36m")


def test_the_status_is_that_of_snakemake(plans, monkeypatch):
    statuses = iter([0, 3])
    monkeypatch.setattr(graph, "snakemake", lambda *arguments: next(statuses))
    assert graph.walk(["table-3.1"], "smoke") == 3


def files_of(folder):
    files = []
    for profile in ("smoke", "laptop"):
        for row in ("table-3.1/reproj", "table-3.1/reproj-adv", "no-extrinsics/recovered-cameras"):
            for seed in range(2):
                run = folder / profile / f"{row}--seed{seed}" / "code"
                run.mkdir(parents=True)
                names = ("training.pt", "pretraining.pt", "network.pt", "predictions.npz")
                files += [run / name for name in names]
    for file in files:
        file.touch()
    return files


@pytest.mark.parametrize("dataset", ["", "human36m"])
def test_again_forgets_checkpoints_and_keeps_networks(dataset, plans, tmp_path):
    files = files_of(tmp_path / dataset)
    graph.walk([], "smoke", dataset=dataset, again=True)
    gone = [file for file in files if not file.exists()]
    assert gone == [f for f in files if "/smoke/" in str(f) and f.name.endswith("training.pt")]
    assert "--forceall" in plans[-1]


def test_again_forgets_nothing_but_what_was_asked_for(plans, tmp_path):
    files = files_of(tmp_path)
    graph.walk(["table-3.1/reproj"], "smoke", again=True)
    gone = {file.parents[1].name for file in files if not file.exists()}
    assert gone == {"reproj--seed0", "reproj--seed1"}
    graph.walk(["table-3.1"], "smoke")
    assert sum(not file.exists() for file in files) == 4, "without `again` nothing is forgotten"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"names": ["table-3.11"]}, "nothing is called table-3.11; did you mean"),
        ({"dataset": "h36m"}, "there is no data set h36m"),
        ({"seeds": 0}, "seeds and jobs must be at least 1, got 0 and 2"),
        ({"jobs": 0}, "seeds and jobs must be at least 1, got 3 and 0"),
    ],
)
def test_what_there_is_not_is_refused_before_anything_is_done(wanted, said, plans, tmp_path):
    files = files_of(tmp_path)
    with pytest.raises(ValueError, match=said):
        graph.walk(**{"names": [], "profile": "smoke", "again": True} | wanted)
    assert not plans and all(file.exists() for file in files)
