"""Walking the graph of runs: one walk at a time, and refusals before anything is trained."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from posebook.__main__ import main
from posebook.data.captured.clips import write_clips
from posebook.data.recorded.motion import load_motion
from posebook.data.sources import motion_of
from posebook.experiments import graph
from posebook.experiments.run import run_folder
from posebook.results.checks import MOVED, Check, digest_of, name_of, write_checks
from posebook.results.records import PROFILES
from posebook.training.stopping import Stopped


@pytest.fixture
def plans(tmp_path, tmp_path_factory, monkeypatch):
    """What Snakemake is asked for; nothing is run."""
    data = tmp_path_factory.mktemp("data")
    (data / "human36m").mkdir()
    monkeypatch.setenv("POSEBOOK_DATA", str(data))
    monkeypatch.setenv("POSEBOOK_RUNS", str(tmp_path))
    asked = []
    monkeypatch.setattr(graph, "snakemake", lambda *arguments: asked.append(arguments) or 0)
    return asked


def test_results_are_computed_by_one_run_at_a_time(plans, tmp_path):
    with FileLock(tmp_path / ".lock"):
        with pytest.raises(RuntimeError, match="another process is running in .*; wait"):
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
    assert plans[-1][-4:] == ("--config", "profile=gpu", "seeds=5", "dataset=human36m")


def test_on_a_cluster_jobs_are_counted_and_not_cores(plans, root):
    graph.walk(["table-3.1"], "smoke", jobs=40, cluster=root / "profiles" / "slurm")
    assert plans[-1][:2] == ("--jobs", "40") and "--cores" not in plans[-1]
    at = plans[-1].index("--workflow-profile")
    assert plans[-1][at + 1] == str(root / "profiles" / "slurm")
    with pytest.raises(FileNotFoundError, match="nowhere has no config.yaml; give a Snakemake pr"):
        graph.walk(["table-3.1"], "smoke", cluster=root / "nowhere")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("executor: slurm\ndefault-resources:\n  slurm_partition: <gpu>\n",
         "config.yaml: slurm_partition still to be filled in; replace what stands in angle"),
        ("executor: [", "config.yaml is no YAML of names and values (while parsing"),
        ("- slurm", "config.yaml is no YAML of names and values ("),
        ("executor: elsewhere",
         "asks for the executor elsewhere, and its package snakemake-executor-plugin-elsewhere is "
         "not installed; pip install snakemake-executor-plugin-elsewhere"),
    ],
)  # fmt: skip
def test_a_profile_with_which_no_job_would_start_is_refused_before_anything_is_done(
    written, said, plans, tmp_path
):
    files = files_of(tmp_path)
    cluster = tmp_path / "profile"
    cluster.mkdir()
    (cluster / "config.yaml").write_text(written)
    with pytest.raises((ValueError, ModuleNotFoundError), match=re.escape(said)):
        graph.walk([], "smoke", cluster=cluster, again=True)
    assert not plans and all(file.exists() for file in files)


def test_what_is_to_be_filled_in_is_named_in_the_profile_for_kubernetes(plans, root, capsys):
    folder = root / "profiles" / "kubernetes"
    assert main(["results", "3.1", "--profile", "smoke", "--cluster", str(folder)]) == 2
    said = capsys.readouterr().err
    names = "container-image, kubernetes-namespace, kubernetes-persistent-volumes"
    assert said.startswith(f"Cannot compute results: {folder / 'config.yaml'}: {names} still to be")
    assert not plans


def test_a_profile_may_need_no_package_and_compare_numbers(plans, tmp_path):
    for written in ("", "executor: local", "retries: 3 if attempt < 2 and jobs > 1 else 0"):
        (tmp_path / "config.yaml").write_text(written)
        assert graph.walk(["table-3.1"], "smoke", cluster=tmp_path) == 0


def test_the_status_is_that_of_snakemake(plans, monkeypatch):
    statuses = iter([0, 3])
    monkeypatch.setattr(graph, "snakemake", lambda *arguments: next(statuses))
    assert graph.walk(["table-3.1"], "smoke") == 3


@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_snakemake_keeps_lies_with_the_runs_where_these_lie_elsewhere(
    elsewhere, tmp_path, monkeypatch
):
    asked, popen = [], subprocess.Popen
    monkeypatch.setenv("POSEBOOK_RUNS", str(tmp_path) if elsewhere else "")

    def ends(command, cwd, env):
        asked.append(command)
        return popen([sys.executable, "-c", "raise SystemExit(3)"])

    monkeypatch.setattr(subprocess, "Popen", ends)
    assert graph.snakemake("--cores", "2") == 3
    there = ["--directory", str(tmp_path)] if elsewhere else []
    assert asked == [[sys.executable, "-m", "snakemake", *there, "--cores", "2"]]


RUN = """
import pathlib, signal, time
def keep(*_):
    time.sleep(0.3)
    pathlib.Path("kept").touch()
    raise SystemExit(1)
signal.signal(signal.SIGTERM, keep)
pathlib.Path("began").touch()
time.sleep(60)
"""


def test_a_walk_that_is_told_to_stop_tells_its_runs_and_waits_for_them(tmp_path, monkeypatch):
    """In the place of Snakemake a shell, which SIGTERM ends at once, and a run that takes longer.
    """
    popen = subprocess.Popen
    shell = f"{sys.executable} -c '{RUN}' & wait"
    monkeypatch.setattr(subprocess, "Popen", lambda *_, cwd, env: popen(["bash", "-c", shell]))
    monkeypatch.chdir(tmp_path)

    def tell():
        while not (tmp_path / "began").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=tell)
    thread.start()
    with pytest.raises(Stopped, match="what the runs have done is kept") as stopped:
        graph.snakemake()
    thread.join()
    assert stopped.value.status == 143 and (tmp_path / "kept").exists()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_walk_that_was_told_before_it_began_ends_at_once(tmp_path, monkeypatch):
    popen = subprocess.Popen

    def late(*_, cwd, env):
        os.kill(os.getpid(), signal.SIGTERM)
        return popen(["sleep", "60"])

    monkeypatch.setattr(subprocess, "Popen", late)
    with pytest.raises(Stopped):
        graph.snakemake()


def test_control_c_waits_for_snakemake(tmp_path, monkeypatch):
    """It has its own, from the terminal, and ends its runs: until then the folder is theirs."""
    popen = subprocess.Popen
    # Not at once: the key is to find this process waiting, and not still starting the shell.
    shell = ["bash", "-c", "sleep 0.5; touch began; sleep 1; touch kept"]
    monkeypatch.setattr(subprocess, "Popen", lambda *_, cwd, env: popen(shell))
    monkeypatch.chdir(tmp_path)

    def press():
        while not (tmp_path / "began").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    # What a shell starts in the background ignores it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=press)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            graph.snakemake()
    finally:
        signal.signal(signal.SIGINT, before)
    thread.join()
    assert (tmp_path / "kept").exists()


def test_a_number_that_has_moved_is_run_again_once(plans, root, tmp_path, monkeypatch):
    monkeypatch.setenv("POSEBOOK_RESULTS", str(tmp_path / "results"))
    folder = tmp_path / "results" / "laptop" / "table-3.1"
    folder.mkdir(parents=True)
    shutil.copy(root / "book/results/laptop/table-3.1/reproj--seed0.json", folder)
    record = folder / "reproj--seed0.json"
    executed = tmp_path / "laptop" / "table-3.1" / "reproj--seed0.ipynb"
    executed.parent.mkdir(parents=True)
    executed.touch()
    trained = executed.with_suffix("") / "code" / "training.pt"
    trained.parent.mkdir(parents=True)
    trained.touch()
    graph.walk(["table-3.1/reproj"], "laptop", seeds=1)
    assert executed.exists() and trained.exists()
    write_checks(folder.parent, {name_of(record): Check(digest_of(record), MOVED, "abc", "cpu")})
    graph.walk(["table-3.1/reproj"], "laptop", seeds=1)
    assert not executed.exists()
    assert not trained.exists(), "it would be measured again, and not trained"
    executed.touch()
    record.write_text(record.read_text().replace('"mpjpe_mm": 1', '"mpjpe_mm": 2'))  # run again
    graph.walk(["table-3.1/reproj"], "laptop", seeds=1)
    assert executed.exists(), "what was found of another record says nothing"


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


def test_again_that_was_stopped_goes_on_without_it(tmp_path, plans, monkeypatch):
    """What was finished before counts as done no more, though no run of it has begun."""
    finished = [tmp_path / "smoke" / "table-3.1" / f"reproj--seed{seed}.ipynb" for seed in range(3)]
    finished += [tmp_path / "smoke" / "floors.done"]
    finished[0].parent.mkdir(parents=True)
    for file in finished:
        file.touch()

    told = []

    def stop(*arguments):
        if "--unlock" not in arguments:
            raise told[-1]

    monkeypatch.setattr(graph, "snakemake", stop)
    for stopped, status in ((KeyboardInterrupt(), 130), (Stopped(signal.SIGTERM, ""), 143)):
        told.append(stopped)
        with pytest.raises(Stopped, match="the same command without --again goes on") as found:
            graph.walk(["table-3.1/reproj", "floors"], "smoke", seeds=2, again=True)
        assert found.value.status == status
    assert [file for file in finished if file.exists()] == finished[2:3], "not asked for"
    with pytest.raises(Stopped, match="^$"):
        graph.walk(["table-3.1/reproj"], "smoke", seeds=2)


def test_again_forgets_nothing_but_what_was_asked_for(plans, tmp_path):
    files = files_of(tmp_path)
    graph.walk(["table-3.1/reproj"], "smoke", again=True)
    gone = {file.parents[1].name for file in files if not file.exists()}
    assert gone == {"reproj--seed0", "reproj--seed1"}
    graph.walk(["table-3.1"], "smoke")
    assert sum(not file.exists() for file in files) == 4, "without `again` nothing is forgotten"
    graph.walk(["table-3.1/reproj-adv"], "smoke", seeds=1, again=True)
    gone = {file.parents[1].name for file in files if not file.exists()}
    assert gone == {"reproj--seed0", "reproj--seed1", "reproj-adv--seed0"}


@pytest.mark.parametrize("dataset", ["", "human36m"])
def test_a_finished_run_whose_record_is_lost_is_measured_again(
    dataset, plans, root, tmp_path, monkeypatch, capsys
):
    """Snakemake takes a run as done when its notebook is there."""
    monkeypatch.setenv("POSEBOOK_RESULTS", str(tmp_path / "results"))
    published = root / "book" / "results" / "laptop" / "table-3.1"
    runs, results = (
        tmp_path / folder / dataset / "laptop" / "table-3.1" for folder in ("", "results")
    )
    for folder in (runs, results):
        folder.mkdir(parents=True)
    for seed in range(4):
        (runs / f"reproj--seed{seed}.ipynb").touch()
    for seed in range(3):
        shutil.copy(published / f"reproj--seed{seed}.json", results)
    (results / "reproj--seed1.json").write_text("{")
    (results / "reproj--seed2.json").rename(results / "reproj-adv--seed2.json")
    graph.walk(["table-3.1/reproj"], "laptop", seeds=3, dataset=dataset)
    assert sorted(path.name for path in runs.iterdir()) == [
        "reproj--seed0.ipynb", "reproj--seed3.ipynb"
    ], "of the fourth seed nothing was asked"  # fmt: skip
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2 and all(line.endswith("; its run is measured again") for line in said)
    assert "reproj--seed1.json" in said[0] and "reproj--seed2.json" in said[1]


def test_what_has_lost_a_drawn_record_is_drawn_again(plans, root, tmp_path, monkeypatch):
    monkeypatch.setenv("POSEBOOK_RESULTS", str(tmp_path / "results"))
    floors = tmp_path / "results" / "laptop" / "floors"
    shutil.copytree(root / "book" / "results" / "laptop" / "floors", floors)
    (tmp_path / "laptop").mkdir()
    done = tmp_path / "laptop" / "floors.done"
    lines = ["Collecting a wheel", *(f"written: {path}" for path in sorted(floors.iterdir()))]
    done.write_text("\n".join(lines))
    graph.walk(["floors"], "laptop")
    assert done.exists()
    (floors / "mean-pose--seed0.json").unlink()
    graph.walk(["floors"], "smoke")
    assert done.exists()
    graph.walk(["floors"], "laptop")
    assert not done.exists()


def test_every_profile_asks_a_cluster_for_something(root):
    """From the smallest profile to the largest for no less; and for as long as runs have taken."""
    assert set(graph.NEEDS) == set(PROFILES)
    memory, minutes, cards = zip(*(graph.NEEDS[profile] for profile in PROFILES), strict=True)
    assert memory[0] >= 2000 and list(memory) == sorted(memory)  # MB; PyTorch alone takes some 500
    assert list(minutes) == sorted(minutes) and cards == (0, 0, 0, 1, 1)
    for record in (root / "book" / "results").glob("*/*/*.json"):
        profile = record.parts[-3]
        taken = json.loads(record.read_text())["wall_seconds"] / 60
        assert taken <= graph.NEEDS[profile][1], record


def test_data_that_is_not_there_is_refused_before_anything_is_done(plans):
    for dataset, folder in (("mpi-inf-3dhp", "mpi-inf-3dhp"), ("sub-jhmdb", "jhmdb")):
        with pytest.raises(FileNotFoundError, match=f"there is no folder .*/{folder}: put"):
            graph.walk([], "smoke", dataset=dataset)
    assert not plans


def test_pictures_that_pretrain_are_looked_for_with_the_clips(plans):
    data = Path(os.environ["POSEBOOK_DATA"])
    (data / "penn-action").mkdir()
    with pytest.raises(FileNotFoundError, match="there is no folder .*/mpii: put mpii there"):
        graph.walk(["table-2.3"], "smoke", dataset="penn-action")
    graph.walk(["base-network/base-clips"], "smoke", dataset="penn-action")
    assert len(plans) == 2


def test_results_that_could_not_be_filed_are_not_computed(plans, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("POSEBOOK_RESULTS", str(tmp_path / "file"))
    with pytest.raises(OSError, match="file cannot be written .*; set POSEBOOK_RESULTS to a fold"):
        graph.walk(["table-3.1"], "smoke")
    assert not plans


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"names": ["table-3.11"]}, "nothing is called table-3.11; did you mean"),
        ({"dataset": "h36m"}, "there is no data set h36m"),
        ({"seeds": 0}, "seeds and jobs must be at least 1, got 0 and 2"),
        ({"jobs": 0}, "seeds and jobs must be at least 1, got 5 and 0"),
    ],
)
def test_what_there_is_not_is_refused_before_anything_is_done(wanted, said, plans, tmp_path):
    files = files_of(tmp_path)
    with pytest.raises(ValueError, match=said):
        graph.walk(**{"names": [], "profile": "smoke", "again": True} | wanted)
    assert not plans and all(file.exists() for file in files)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"profile": "lap"}, "there is no profile lap; there are smoke, laptop"),
        ({"profil": "smoke", "seed": 1}, "--config has no profil, seed; there are dataset"),
        ({"seeds": 0}, "seeds must be a whole number, at least 1, not 0"),
        ({"seeds": "two"}, "seeds must be a whole number, at least 1, not 'two'"),
    ],
)
def test_what_snakemake_is_told_is_held_against_what_there_is(config, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        graph.read_config(config)


def test_what_snakemake_is_not_told_has_a_default():
    assert graph.read_config({}) == ("laptop", 5, "", [])
    # Snakemake reads only=3.1 as a number
    told = {"profile": "gpu", "seeds": 2, "dataset": "human36m", "only": 3.1}
    assert graph.read_config(told) == ("gpu", 2, "human36m", ["3.1"])


def test_folders_may_have_blanks_and_be_relative(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    for name, place in (("RUNS", "runs of mine"), ("RESULTS", "what's new"), ("CACHE", "cache")):
        monkeypatch.setenv(f"POSEBOOK_{name}", place)
    config = ("--config", "profile=smoke", "seeds=1", "only=table-3.1/reproj")
    assert graph.snakemake("--dry-run", "--printshellcmds", "--cores", "1", *config) == 0
    said = "".join(capfd.readouterr())
    run = shlex.quote(f"{tmp_path}/runs of mine/smoke/table-3.1/reproj--seed0.ipynb")
    results = shlex.quote(f"{tmp_path}/what's new")
    assert f" {run} -p profile smoke" in said and f" -p out {results} " in said
    assert f"> {run[:-7]}.log' 2>&1" in said


def test_other_motion_of_ones_own_is_another_run(tmp_path, monkeypatch):
    walk = [clip for clip in load_motion() if clip.name == "walk"]
    found = []
    for name, clips in (("a", walk), ("b", [replace(walk[0], joints=walk[0].joints[:-1])])):
        monkeypatch.setenv("POSEBOOK_MOTION", str(write_clips(tmp_path / f"{name}.npz", clips)))
        where = run_folder("table-3.1/reproj", "smoke", 0, "own-motion")
        found.append((motion_of("own-motion")["motion"], where))
    assert all(one != other for one, other in zip(*found, strict=True))
    assert motion_of("embedded-views") == {}
