"""The graph of runs, interrupted and on a cluster: a killed walk, profiles, a Slurm of one node."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import gettempdir
from types import SimpleNamespace

import pytest
import yaml
from filelock import FileLock

from posebook.paths import CLONE
from posebook.results import read_result, write_result

NODE = CLONE / "tools" / "one_node_slurm.sh"


def profile(name):
    return yaml.safe_load((CLONE / "profiles" / name / "config.yaml").read_text(encoding="utf-8"))


def interrupted(home, *more):
    """What tools/interrupted.py says of a row whose results are the same."""
    command = [sys.executable, CLONE / "tools" / "interrupted.py", "table-3.1/supervised"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(CLONE), *sys.path])}
    ended = subprocess.run(
        [*command, "--home", home / "home", *more],
        env=environment | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[-1] == "1 results, 0 others: none"
    [path] = (home / "home" / "disturbed" / "results").rglob("*.json")
    assert read_result(path)["variant"] == "supervised"
    return ended.stdout


@pytest.mark.skipif("POSEBOOK_LONG_TESTS" not in os.environ, reason="one to two minutes; "
                    "after a change of Snakefile or graph.py set POSEBOOK_LONG_TESTS=1")
def test_a_walk_that_is_killed_and_started_again_files_the_same(tmp_path):
    """tools/interrupted.py does it with as many rows and as often as one likes."""
    assert "SIGKILL after" in interrupted(tmp_path, "--kills", "2")


def test_what_is_disturbed_finds_nothing_of_what_was_not(load_tool, monkeypatch, tmp_path):
    """A cache that both had would be full before the first kill."""
    tool = load_tool("interrupted")
    monkeypatch.setenv("POSEBOOK_CACHE", str(tmp_path / "everybody's"))
    monkeypatch.setattr(tool.subprocess, "Popen", lambda command, env, **more: env)
    wanted = SimpleNamespace(names=["table-3.1"])
    one, other = (tool.begin(wanted, tmp_path / name) for name in ("undisturbed", "disturbed"))
    for name in ("POSEBOOK_RUNS", "POSEBOOK_RESULTS", "POSEBOOK_CACHE"):
        assert Path(one[name]).parent == tmp_path / "undisturbed"
        assert Path(other[name]).parent == tmp_path / "disturbed"


def test_results_are_the_same_but_for_what_a_clock_and_git_say(load_tool, tmp_path):
    """Somebody who commits while a long walk runs does not change its numbers."""
    tool = load_tool("interrupted")
    record = {
        "experiment": "table-3.1", "variant": "supervised", "dataset": "embedded-views",
        "profile": "smoke", "seed": 0, "metrics": {"mpjpe_mm": 59.0}, "parameters": {},
        "data_digest": "sha256:" + "0" * 64, "device": "cpu", "steps": 10, "wall_seconds": 1.5,
    }  # fmt: skip
    later = record | {"commit": "0123456789ab", "wall_seconds": 2.5}
    other = record | {"metrics": {"mpjpe_mm": 59.1}}
    for name, filed in (("before", record), ("later", later), ("other", other)):
        write_result(tmp_path / name / "results", filed)
    before = tool.results(tmp_path / "before")
    assert list(before) == ["smoke/table-3.1/supervised--seed0.json"]
    assert tool.results(tmp_path / "later") == before != tool.results(tmp_path / "other")


@pytest.mark.parametrize("name", ["slurm", "kubernetes"])
def test_a_profile_has_options_that_snakemake_knows(name):
    """Those of its plugin carry its name; only Slurm's can be asked here."""
    options = subprocess.run(
        [sys.executable, "-m", "snakemake", "--help"], capture_output=True, text=True, check=True
    ).stdout
    found = profile(name)
    assert found["executor"] == name and found["default-resources"]["mem_mb"] > 0
    for option in found:
        own = option.startswith(f"{name}-") or option in ("container-image",)
        if not own or name == "slurm":
            assert f"--{option} " in options, option


# ---------------------------------------------------------------- Slurm


def why_not() -> str:
    """Why there can be no Slurm of one node here; empty if there can."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    programs = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")
    if missing := [name for name in programs if not shutil.which(name, path=path)]:
        return f"no {missing[0]} here; apt-get install slurmctld slurmd slurm-client munge"
    if os.geteuid() != 0 or Path("/etc/slurm/slurm.conf").exists():
        return "/etc/slurm/slurm.conf is somebody else's, or may not be written"
    return ""


@pytest.fixture
def slurm(tmp_path):
    """The folder of a Slurm that runs. A machine has one: tests side by side take turns."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with FileLock(Path(gettempdir()) / "posebook-slurm.lock"):
        subprocess.run([NODE, "start", tmp_path / "slurm"], env=environment, check=True)
        yield tmp_path / "slurm"
        subprocess.run([NODE, "stop", tmp_path / "slurm"], check=True)


@pytest.fixture
def one_node(tmp_path):
    """The profile for Slurm, filled in for a node without accounts."""
    filled = profile("slurm") | {
        "slurm-no-account": True, "slurm-status-command": "squeue", "latency-wait": 5,
        "seconds-between-status-checks": 2, "slurm-init-seconds-before-status-checks": 2,
    }  # fmt: skip
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile" / "config.yaml").write_text(yaml.safe_dump(filled))
    return tmp_path / "profile"


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_a_row_on_slurm_has_the_result_of_one_without(slurm, one_node, tmp_path):
    """A job is killed and the node is lost on the way: tools/interrupted.py."""
    said = interrupted(tmp_path, "--cluster", one_node, "--slurm", slurm)
    assert "killed" in said and "the node was lost, and is back" in said


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_the_node_has_every_core_however_many_threads_a_run_may_use(slurm):
    """A row that asks for two would wait for ever on a node of one."""
    cores = subprocess.check_output(["sinfo", "-h", "-o", "%c"], text=True)
    assert int(cores) == os.cpu_count()


def test_without_slurm_it_is_said_what_to_install(tmp_path):
    (tmp_path / "bin").mkdir()
    for program in ("bash", "realpath"):
        (tmp_path / "bin" / program).symlink_to(shutil.which(program))
    script = NODE.read_text().replace(":/usr/sbin", "")
    ended = subprocess.run(
        ["bash", "-c", script, "script", "start", tmp_path / "slurm"],
        env={"PATH": str(tmp_path / "bin")}, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 2
    said = "there is no munged; install slurmctld, slurmd, slurm-client and munge"
    assert ended.stderr == f"Cannot start Slurm: {said}\n"
