"""The one path of every run: refusals before training, folders of their own, the right weights."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from posebook import factorization, lifting, results, video
from posebook.data import sources
from posebook.data.recorded.views import ViewsSize, make_views
from posebook.experiments import run as runs
from posebook.experiments.catalogue import find
from posebook.experiments.run import outcome_of, record_of, run, run_folder
from posebook.training.card import Options

ROW, SIZE = "table-3.1/trans-reproj", ViewsSize(1, 12, 1)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where the runs of a test lie; chapter 3's and 4's have two steps."""
    monkeypatch.setenv("POSEBOOK_RUNS", str(tmp_path / "runs"))
    for module, fields in ((lifting, {"steps": 2}), (factorization, {"dictionary_steps": 2})):
        short = replace(module.rows.PROFILES["smoke"], steps=2) if fields else None
        monkeypatch.setitem(module.rows.PROFILES, "smoke", replace(short, **fields))
    return tmp_path / "runs"


@pytest.fixture
def never(monkeypatch):
    """Nothing may be loaded or trained."""

    def fail(*args, **kwargs):
        raise AssertionError("this was to be refused before")

    for module in (lifting, factorization, video):
        monkeypatch.setattr(module.run, "run_row", fail)


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


def calls(monkeypatch):
    """A list that grows with every step of chapter 3."""
    made, real = [], lifting.train.pair_loss
    monkeypatch.setattr(lifting.train, "pair_loss", lambda *a: made.append(1) or real(*a))
    return made


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("row", "where", "setting"),
    [
        ("figure-3.6/root-vector-pretrained", "lifting.losses.pretraining", "batch"),
        (ROW, "lifting.train.pair_loss", "batch"),
        ("table-4.1/baseline-cf", "factorization.losses.structure_from_motion", "dictionary_batch"),
        ("table-4.1/baseline-cf", "factorization.train.pair_loss", "batch"),
        ("table-4.2/c3dpo", "factorization.train.pair_loss", "batch"),  # in a trial of its starts
        ("table-2.3/res50", "video.base_network.loss_of", "base.batch"),
        ("table-2.3/res50", "video.train.loss_of", "segments"),
        (ROW, "lifting.run.load", ""),
        (ROW, "lifting.run.predict", ""),  # which looks at the test people in training, too
        (ROW, "lifting.run.evaluate_real", ""),
        ("table-2.3/res50", "video.features.encode", ""),
    ],
)
def test_a_card_without_memory_says_which_setting_to_lower(
    row, where, setting, monkeypatch, tmp_path
):
    def full(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    monkeypatch.setenv("POSEBOOK_CACHE", str(tmp_path / "cache"))
    smoke = video.rows.PROFILES["smoke"]
    monkeypatch.setitem(
        video.rows.PROFILES, "smoke", replace(smoke, base=replace(smoke.base, steps=1))
    )
    monkeypatch.setattr(f"posebook.{where}", full)
    with pytest.raises(RuntimeError) as refused:
        run(row, "smoke", 0)
    chapter = find(row).chapter
    lower = (
        f"lower `{setting}` of PROFILES['smoke'] in posebook/{chapter}/rows.py, " if setting else ""
    )
    said = f"the card has too little memory for {row} at smoke: {lower}take a smaller --profile, or"
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ((ROW, "smoke", -1, ""), "seeds are 0, 1, 2, ... below 2,147,483,648, not -1"),
        ((ROW, "lap", 0, ""), "unknown profile 'lap'; known: smoke, laptop"),
        (("table-3.1/trans", "smoke", 0, ""), "there is no row table-3.1/trans; did you mean"),
        ((ROW, "smoke", 0, "h36m"), "unknown dataset 'h36m'; known: embedded-views"),
        ((ROW, "smoke", 0, "sub-jhmdb"), "unknown dataset 'sub-jhmdb'; known: embedded-views"),
    ],
)
def test_what_there_is_not_is_refused_before_training(wanted, said, keep, never, folder):
    row, profile, seed, dataset = wanted
    with pytest.raises(ValueError, match=said):
        run(row, profile, seed, dataset=dataset, keep=keep)
    assert not folder.exists()


def test_a_folder_that_will_not_hold_the_record_is_refused_before_training(never, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="choose another folder"):
        run(ROW, "smoke", 0, out=str(tmp_path / "file" / "results"))


def test_a_second_process_in_the_same_folder_is_refused():
    folder = run_folder(ROW, "smoke", 0, "embedded-views")
    folder.mkdir(parents=True)
    hold = (
        "import sys; from filelock import FileLock\n"
        "with FileLock(sys.argv[1]): print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, folder / ".lock"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(RuntimeError, match="another process is running in"):
            run(ROW, "smoke", 0, keep=True)
        assert not (folder / "training.pt").exists()
        other.stdin.close()
    run(ROW, "smoke", 0, keep=True)
    assert (folder / "training.pt").exists()


# ---------------------------------------------------------------- records


@pytest.mark.parametrize("row", [ROW, "table-4.1/baseline-cf"])
def test_a_record_can_be_written_and_says_what_it_is_of(row, tmp_path):
    networks, record = run(row, "smoke", 1)
    back = results.read_result(results.write_result(tmp_path / "results", record))
    assert f"{back['experiment']}/{back['variant']}" == row
    assert (back["profile"], back["seed"], back["dataset"]) == ("smoke", 1, "embedded-views")
    assert back["steps"] == (2 if row == ROW else 4) and back["wall_seconds"] > 0
    assert back["device"] == results.device_name("cpu")
    assert back["code_digest"] == results.code_digest()
    assert all(isinstance(network, torch.nn.Module) for network in networks)
    assert back["samples_per_second"] > 0


def test_a_rate_is_over_the_rows_own_training():
    """Not over what it had to learn before, which `wall_seconds` holds too."""
    row = find(ROW)
    outcome = outcome_of(row, "smoke", 0, "embedded-views")
    outcome = replace(outcome, samples=100, seconds=8.0, training_seconds=2.0)
    record = record_of(row, "smoke", 0, "embedded-views", "cpu", outcome)
    assert (record["samples_per_second"], record["wall_seconds"]) == (50, 8)


def test_a_run_is_the_same_kept_or_not(folder):
    [alone], record = run(ROW, "smoke", 0)
    assert not folder.exists()
    [kept], again = run(ROW, "smoke", 0, keep=True)
    assert same(alone, kept) and record["metrics"] == again["metrics"]
    assert list(folder.rglob("training.pt"))


def test_a_finished_run_is_not_trained_again(monkeypatch):
    [first], record = run(ROW, "smoke", 0, keep=True)
    made = calls(monkeypatch)
    [again], repeated = run(ROW, "smoke", 0, keep=True)
    assert not made and same(first, again) and record["metrics"] == repeated["metrics"]
    assert repeated["wall_seconds"] > 0.3 * record["wall_seconds"], "seconds of training count"


# ---------------------------------------------------------------- other runs, other weights


def test_every_run_has_a_folder_of_its_own(monkeypatch):
    folders = {
        run_folder(*wanted)
        for wanted in (
            (ROW, "smoke", 0, "embedded-views"), (ROW, "smoke", 1, "embedded-views"),
            (ROW, "laptop", 0, "embedded-views"), (ROW, "smoke", 0, "human36m"),
            ("table-3.1/reproj", "smoke", 0, "embedded-views"),
        )
    }  # fmt: skip
    assert len(folders) == 5
    monkeypatch.setattr(runs, "code_digest", lambda: "sha256:" + "9" * 64)
    assert run_folder(ROW, "smoke", 0, "embedded-views") not in folders


def test_what_other_code_left_is_no_obstacle(monkeypatch, folder):
    [expected], _ = run(ROW, "smoke", 0)
    other = folder / "smoke" / f"{ROW}--seed0" / "12345678"
    other.mkdir(parents=True)
    (other / "training.pt").write_bytes(b"of other code")
    [found], _ = run(ROW, "smoke", 0, keep=True)
    assert same(found, expected)
    assert (other / "training.pt").read_bytes() == b"of other code", "it lies beside, untouched"


def test_a_training_that_begins_anew_beside_another_says_so_once(monkeypatch, capsys):
    run(ROW, "smoke", 0, keep=True)
    run(ROW, "smoke", 0, keep=True)
    assert "begins anew" not in capsys.readouterr().err
    left = run_folder(ROW, "smoke", 0, "embedded-views")
    monkeypatch.setattr(runs, "code_digest", lambda: "sha256:" + "9" * 64)
    run(ROW, "smoke", 0, keep=True)
    [said] = [line for line in capsys.readouterr().err.splitlines() if "anew" in line]
    assert said == (
        f"A training of {ROW} by other code, packages or options lies in {left}; it is left alone, "
        "and this one begins anew."
    )
    run(ROW, "smoke", 0, keep=True)
    assert "begins anew" not in capsys.readouterr().err, "it goes on at its own checkpoint"


def test_a_run_with_options_says_so_and_has_a_folder_of_its_own():
    [plain], record = run(ROW, "smoke", 0, keep=True)
    [found], other = run(ROW, "smoke", 0, keep=True, options=Options(bf16=True))
    assert other["parameters"] == record["parameters"] | {"card": ["bf16"]}
    assert not same(plain, found)
    mine = run_folder(ROW, "smoke", 0, "embedded-views", Options(bf16=True))
    assert (mine / "training.pt").is_file() and mine.name.endswith("-bf16")
    [again], _ = run(ROW, "smoke", 0, keep=True)
    assert same(again, plain)


@pytest.mark.usefixtures("never")
def test_an_option_without_effect_is_refused_before_anything_is_trained(folder):
    with pytest.raises(ValueError, match="--channels-last has no effect on this row"):
        run(ROW, "smoke", 0, keep=True, options=Options(channels_last=True))
    with pytest.raises(ValueError, match="--deterministic has no effect on this row"):
        run("table-2.3/res50", "smoke", 0, keep=True, options=Options(deterministic=True))
    assert not folder.exists()


def test_another_seed_has_other_weights():
    [first], _ = run(ROW, "smoke", 0, keep=True)
    [second], _ = run(ROW, "smoke", 1, keep=True)
    [alone], _ = run(ROW, "smoke", 1)
    assert same(second, alone) and not same(first, second)


CHANGES = {
    "takes": ("PROFILES", "smoke", {"size": ViewsSize(1, 13, 1)}),
    "steps": ("PROFILES", "smoke", {"steps": 3}),
    "rate": ("PROFILES", "smoke", {"learning_rate": 1e-3}),
    "loss": ("VARIANTS", "trans-reproj", {"loss": "reproj"}),
    "weight": ("VARIANTS", "trans-reproj", {"weight": "target"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_row_or_profile_that_was_edited_does_not_get_the_weights_from_before(change, monkeypatch):
    """The digest of the code stands still here, as for an edit while a process runs: the checkpoint
    itself must know what it is of."""
    run(ROW, "smoke", 0, keep=True)
    table, name, fields = CHANGES[change]
    known = getattr(lifting.rows, table)
    monkeypatch.setitem(known, name, replace(known[name], **fields))
    with pytest.raises(ValueError, match="belongs to a run with other parameters, data or code"):
        run(ROW, "smoke", 0, keep=True)


def test_takes_that_have_changed_do_not_get_the_weights_from_before(monkeypatch):
    run(ROW, "smoke", 0, keep=True)
    other = lambda size, split, noise, headings: make_views(size, split, "none")  # noqa: E731
    monkeypatch.setattr(sources, "make_views", other)
    with pytest.raises(ValueError, match="belongs to a run with other parameters, data or code"):
        run(ROW, "smoke", 0, keep=True)


def test_rows_of_a_seed_share_a_dictionary_and_seeds_do_not(folder):
    def dictionaries():
        found = (folder / "smoke/dictionaries").glob("*.pt")
        return {path.name for path in found if path.suffixes == [".pt"]}

    run("table-4.1/baseline-cf", "smoke", 0, keep=True)
    first = dictionaries()
    assert len(first) == 1
    run("table-4.1/baseline-hd", "smoke", 0, keep=True)
    assert dictionaries() == first
    run("table-4.1/baseline-hd", "smoke", 1, keep=True)
    assert len(dictionaries()) == 2
