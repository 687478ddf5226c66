"""The command line: what each command takes, and what it refuses, in one sentence and in time."""

import errno
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from posebook import lifting, results, storage
from posebook.__main__ import main
from posebook.data.recorded.motion import load_motion
from posebook.experiments import drawn, graph
from posebook.experiments import run as runs
from posebook.footage.export import write_bvh

COMMANDS = (
    "list", "run", "results", "draw", "confirm", "bench", "check", "motion", "rig", "lift",
    "export",
)  # fmt: skip
ROW = "table-3.1/trans-reproj"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Folders of runs and results that a test may write to; data that is nowhere."""
    for name in ("results", "runs", "data"):
        monkeypatch.setenv(f"POSEBOOK_{name.upper()}", str(tmp_path / name))
    monkeypatch.setenv("POSEBOOK_MOTION", "")  # --motion sets it for the whole process
    threads = torch.get_num_threads()  # `run` chooses them for its process, which here is ours
    yield tmp_path
    torch.set_num_threads(threads)


@pytest.fixture
def never(monkeypatch):
    """Nothing may be trained, drawn or walked."""

    def fail(*args, **kwargs):
        raise AssertionError("this was to be refused before")

    monkeypatch.setattr(runs, "outcome_of", fail)
    monkeypatch.setattr(lifting.run, "run_row", fail)
    monkeypatch.setattr(graph, "snakemake", fail)
    monkeypatch.setattr(drawn, "_MAKERS", {name: fail for name in drawn._MAKERS})


def refused(capsys, *arguments):
    """The sentence with which a command is refused."""
    assert main([*arguments]) == 2
    out, said = capsys.readouterr()
    doing = {"results": "compute results"}.get(arguments[0], arguments[0])
    assert out == "" and said.startswith(f"Cannot {doing}: ")
    assert said.count("\n") == 1 and said[-2:] in (".\n", "?\n")
    assert said[-3] not in ".?", "a sentence ends once"
    return said


@pytest.mark.parametrize("where", [(), ("--out", "results")])
def test_a_run_with_options_is_not_put_among_the_published_ones(where, capsys, never, home):
    where = [str(home / part) if part == "results" else part for part in where]
    said = refused(capsys, "run", ROW, "--profile", "smoke", "--bf16", "--compile", *where)
    assert "a run with bf16, compile is none of the published ones" in said and "--out" in said


# ---------------------------------------------------------------- help


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"usage: python -m posebook {command}" in said and len(said.splitlines()) > 6


def test_the_help_has_every_command(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0 and all(f"\n    {command} " in said for command in COMMANDS)


def test_commands_that_pages_name_are_there(root):
    pages = [root / "README.md", root / "Makefile", *(root / "book").glob("*.md")]
    for folder, suffix in (("notebooks", "md"), ("posebook", "py"), ("tools", "py")):
        pages += (root / folder).rglob(f"*.{suffix}")
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    named = re.findall(r"-m posebook(\.[\w.]+)?(?: ([a-z]\w*))?", text)
    assert len(named) > 50
    assert {command for _, command in named if command} == {*COMMANDS}
    assert not [module for module, _ in named if module]


def test_the_module_can_be_run():
    command = [sys.executable, "-m", "posebook", "run", "table-3.1/trans", "--profile", "smoke"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 2 and ended.stdout == ""
    assert ended.stderr.startswith("Cannot run: there is no row table-3.1/trans; did you mean ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["walk"], ["run"], ["draw"], ["check"],
                                       ["run", ROW, "--profile", "lap"],
                                       ["run", ROW, "--seed", "one"]])  # fmt: skip
def test_what_cannot_be_parsed_ends_with_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and "usage: python -m posebook" in capsys.readouterr().err


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "table-3.1/trans"], "there is no row table-3.1/trans; did you mean"),
        (["run", "table-3.1"], "there is no row table-3.1; `python -m posebook results table-3.1`"),
        (["run", "3.1"], "there is no row 3.1; `python -m posebook results 3.1` runs all of its"),
        (["run", ROW, "--device", "gpu"], "there is no device 'gpu' on this machine; take cpu, or"),
        (["run", ROW, "--device", "cuda:77"], "there is no device 'cuda:77' on this machine"),
        (["run", ROW, "--dataset", "human36m"], "human36m: put human36m there, link it there, or"),
        (["run", "table-2.1/ours", "--dataset", "sub-jhmdb"], "/jhmdb: put jhmdb there, link it"),
        (["run", ROW, "--seed", "-1"], "seeds are 0, 1, 2, ... below 2,147,483,648, not -1"),
        (["run", ROW, "--seed", "9999999999"], "seeds are 0, 1, 2, ... below 2,147,483,648, not"),
        (["run", ROW, "--dataset", "h36m"], "unknown dataset 'h36m'; known: embedded-views"),
        (["list", "table-3.11"], "nothing is called table-3.11; did you mean"),
        (["results", "table-3.11"], "nothing is called table-3.11; did you mean"),
        (["results", "3.1", "--seeds", "0"], "seeds and jobs must be at least 1, got 0 and 2"),
        (["results", "--jobs", "0"], "seeds and jobs must be at least 1, got 5 and 0"),
        (["results", "2.1", "--dataset", "human36m"], "table-2.1 is not run on human36m; its chap"),
        (["results", "--dataset", "h36m"], "there is no data set h36m; there are"),
        (["draw", "figure-3.6"], "nothing is drawn as figure-3.6; there are figure-3.5"),
        (["draw", "conditions"], "holds no predictions.npz of the run behind the published number"),
        (["draw", "runtime", "--device", "cuda:77"], "there is no device 'cuda:77' on this mach"),
        (["draw", "figure-3.5", "--rounds", "3"], "--rounds belong to runtime, not to figure-3.5"),
        (["confirm", "table-3.11"], "nothing is called table-3.11; did you mean"),
        (["confirm", "--jobs", "0"], "jobs must be at least 1, got 0"),
        (["confirm", "table-3.1"], "no trained row of table-3.1 is published for laptop"),
        (["run", ROW, "--device", "foo"], "there is no device 'foo' on this machine"),
        (["draw", "runtime", "--device", "foo"], "there is no device 'foo' on this machine"),
        (["check", "h36m"], "unknown data set 'h36m'; known: human36m"),
        (["check", "human36m"], "there is no folder "),
        (["check", "human36m", "nowhere"], "there is no folder nowhere"),
        (["run", ROW, "--motion", "nowhere.npz"], "nowhere.npz: no such file of motion; make it"),
        (["results", "3.1", "--motion", "nowhere.npz"], "nowhere.npz: no such file of motion"),
        (["run", ROW, "--dataset", "human36m", "--motion", "a.npz"], "exclude each other"),
        (["run", ROW, "--dataset", "own-motion"], "own-motion is motion of your own: make a file"),
        (["motion", "a.fbx", "--out", "a.npz"], "a.fbx: motion is read from .bvh, .amc, .c3d"),
        (["motion", "a.bvh", "--out", "a.bvh"], "--out a.bvh is no name of an .npz file; end it"),
        (["rig", "nowhere"], "there is no folder nowhere; give one with a calibration"),
        (["rig", "nowhere", "--trust", "foo"], "there is no doubt foo to trust; there are order"),
        (["motion", "no.bvh", "--out", "m.npz"], "no.bvh: there is no such file of motion"),
        (["results", "4.4", "--dataset", "human36m"], "4.4 is drawn from the embedded data alone"),
        (["rig", "nowhere", "--steps", "0"], "steps must be at least 1, got 0"),
        (["lift", "nowhere.mp4"], "nowhere.mp4: there is no such video"),
        (["export", "trans-reproj", "net.pt"], "net.pt: call the file NAME.onnx"),
        (["run", "table-3.1/trans", "--out", "new"], "there is no row table-3.1/trans; did you"),
    ],
)  # fmt: skip
def test_a_refusal_is_one_sentence_and_does_nothing(arguments, said, never, home, capsys):
    assert said in refused(capsys, *arguments)
    assert not list(home.rglob("*.json")) and not list(home.rglob("*.pt"))
    assert not Path("new").exists()


@pytest.mark.parametrize("command", [["run", ROW], ["draw", "figure-3.5"]])
def test_a_folder_that_cannot_be_written_is_refused_before_training(command, never, home, capsys):
    (home / "file").write_text("no folder")
    said = refused(capsys, *command, "--out", str(home / "file" / "results"))
    assert "cannot be written (" in said and "; choose another with --out" in said


def test_a_folder_of_somebody_else_is_refused_before_training(never, home, capsys, monkeypatch):
    def refuse(dir):  # as the system does for anybody but root
        raise PermissionError(errno.EACCES, "Permission denied", str(dir))

    monkeypatch.setattr(storage, "TemporaryFile", refuse)
    said = refused(capsys, "run", ROW, "--out", str(home / "theirs"))
    assert "cannot be written (Permission denied); choose another with --out" in said


def test_a_loss_that_is_no_number_is_a_refusal_too(monkeypatch, capsys):
    def diverge(*args, **kwargs):
        raise FloatingPointError("loss is no longer finite at step 20; lower the learning rate")

    monkeypatch.setattr(runs, "outcome_of", diverge)
    assert "loss is no longer finite" in refused(capsys, "run", ROW, "--profile", "smoke")


def test_a_run_that_is_stopped_says_that_it_goes_on(monkeypatch, capsys):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "outcome_of", stop)
    assert main(["run", ROW, "--profile", "smoke"]) == 130
    assert capsys.readouterr().err == "Stopped; the same command goes on where it was.\n"


def test_a_run_that_is_told_to_stop_says_what_is_kept(monkeypatch, capsys):
    def told(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(runs, "outcome_of", told)
    assert main(["run", ROW, "--profile", "smoke"]) == 143
    said = "Stopped: what is finished is kept; the same command goes on there.\n"
    assert capsys.readouterr().err == said


# ---------------------------------------------------------------- what they do


def test_run_files_a_result(home, capsys):
    arguments = ["run", ROW, "--profile", "smoke", "--seed", "1", "--device", "cpu"]
    assert main([*arguments, "--out", str(home / "mine")]) == 0
    path = home / "mine" / "smoke" / f"{ROW}--seed1.json"
    said, written = capsys.readouterr().out.splitlines()
    assert said.startswith("MPJPE ") and written == f"written: {path}"
    assert results.read_result(path)["seed"] == 1
    assert list((home / "runs").rglob("training.pt")) and not (home / "results").exists()


def test_list_says_what_there_is_and_what_was_run(home, capsys):
    assert main(["list", "3.1", "--profile", "smoke"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines]
    assert {f"table-3.1/{name}" for name in lifting.rows.EXPERIMENTS["table-3.1"]} <= set(names)
    assert all("not run" in line for line in lines if line.startswith("table-3.1/"))
    results.write_result(home / "results", {
        "experiment": "table-3.1", "variant": "trans-reproj", "dataset": "embedded-views",
        "profile": "smoke", "seed": 0, "metrics": {"mpjpe_mm": 59.0}, "parameters": {},
        "data_digest": "sha256:" + "0" * 64, "device": "cpu", "steps": 1, "wall_seconds": 1.0,
    })  # fmt: skip
    main(["list", "table-3.1", "--profile", "smoke"])
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.split()[0] == ROW]
    assert line.endswith("runs: 1")


def test_list_without_a_name_has_every_row(capsys):
    from posebook.experiments import catalogue

    assert main(["list", "--profile", "smoke"]) == 0
    names = {line.split()[0] for line in capsys.readouterr().out.splitlines()}
    assert set(catalogue.rows()) <= names


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ([], "laptop", 5, 2, "", False, None)),
        (["3.3", "2.9"], (["table-3.3", "figure-2.9"], "laptop", 5, 2, "", False, None)),
        (["3.1"], (["table-3.1", "figure-3.1"], "laptop", 5, 2, "", False, None)),
        ([ROW, "--profile", "gpu", "--seeds", "7", "--jobs", "8", "--dataset", "human36m",
          "--again", "--cluster", "there"], ([ROW], "gpu", 7, 8, "human36m", True, Path("there"))),
    ],
)  # fmt: skip
def test_results_hands_on_what_was_asked_for(arguments, expected, monkeypatch):
    asked = []

    def walk(names, profile, seeds, jobs, dataset, again, cluster):
        asked.append((names, profile, seeds, jobs, dataset, again, cluster))
        return 3

    monkeypatch.setattr(graph, "walk", walk)
    assert main(["results", *arguments]) == 3 and asked == [expected]


def test_draw_says_what_it_has_written(home, monkeypatch, capsys):
    asked = []

    def draw(what, profile, out, **options):
        asked.append((what, profile, out, options))
        return iter(["one", "two"])

    monkeypatch.setattr(drawn, "draw", draw)
    assert main(["draw", "runtime", "--size", "smoke", "--rounds", "2"]) == 0
    assert asked == [("runtime", "laptop", home / "results", {"size": "smoke", "rounds": 2})]
    assert capsys.readouterr().out == "written: one\nwritten: two\n"


def test_confirm_hands_on_what_was_asked_for(monkeypatch):
    from posebook.experiments import confirm

    asked = []
    monkeypatch.setattr(confirm, "confirm_all", lambda *wanted: asked.append(wanted) or 1)
    assert main(["confirm", "3.3", "--profile", "smoke", "--jobs", "1", "--trace"]) == 1
    assert main(["confirm"]) == 1
    assert asked == [(["table-3.3"], "smoke", 1, True), ([], "laptop", 2, False)]


def test_motion_of_ones_own_is_read_and_trained_on(home, monkeypatch, capsys):
    walk = next(clip for clip in load_motion() if clip.name == "walk")
    bvh = write_bvh(home / "stroll.bvh", walk.joints.astype(float), 50.0)
    assert main(["motion", str(bvh), "--out", str(home / "mine.npz")]) == 0
    assert "stroll: 1.3 s, 50 frames a second, cm, y up" in capsys.readouterr().out
    profile = replace(lifting.rows.PROFILES["smoke"], steps=2, batch=8)
    monkeypatch.setitem(lifting.rows.PROFILES, "smoke", profile)
    run = ["run", ROW, "--profile", "smoke", "--device", "cpu"]
    assert main([*run, "--motion", str(home / "mine.npz")]) == main(run) == 0
    there = "smoke/table-3.1/trans-reproj--seed0.json"
    mine = results.read_result(home / "results" / "own-motion" / there)
    ours = results.read_result(home / "results" / there)
    assert [*mine["per_action"]] == ["stroll"] and mine["dataset"] == "own-motion"
    assert mine["data_digest"] != ours["data_digest"] and len(ours["per_action"]) == 15
