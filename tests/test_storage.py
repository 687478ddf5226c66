"""Files are whole or not there, a folder has one process, and equal settings have one name."""

import errno
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from posebook.storage import exclusive, key_of, made_once, whole


class Killed(Exception):
    """The process ended here."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some" / "folder" / "file.bin"


def write(path, content=b"new", error=None):
    with whole(path) as file:
        file.write(content)
        if error:
            raise error


# ---------------------------------------------------------------- whole files


def test_a_file_appears_complete_with_its_folder_and_nothing_beside_it(path):
    write(path, b"old")
    write(path)
    assert path.read_bytes() == b"new" and list(path.parent.iterdir()) == [path]


def test_nobody_sees_half_a_file(path):
    write(path, b"old")
    with whole(path) as file:
        file.write(b"half")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"half"


@pytest.mark.parametrize("error", [Killed(), KeyboardInterrupt(), ValueError("bad")])
def test_an_interrupted_write_keeps_the_old_file(error, path):
    with pytest.raises(type(error)):
        write(path, error=error)
    assert not path.exists()
    write(path, b"old")
    with pytest.raises(type(error)):
        write(path, error=error)
    assert path.read_bytes() == b"old" and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
    ],
)
def test_a_full_disk_keeps_the_old_file_and_says_what_to_do(error, path):
    write(path, b"old")
    said = r"could not write .*file\.bin .*what was there before is intact: make room on the disk"
    with pytest.raises(OSError, match=said) as refusal:
        write(path, error=error)
    assert "\n" not in str(refusal.value) and refusal.value.__cause__ is error
    assert path.read_bytes() == b"old" and list(path.parent.iterdir()) == [path]
    with pytest.raises(OSError, match="intact: name another folder"):
        with whole(path, "name another folder"):
            raise error


def test_what_a_disk_takes_only_when_it_is_flushed_is_an_error_too(path, monkeypatch):
    write(path, b"old")

    def full(number):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="could not write .*intact: make room"):
        write(path)
    assert path.read_bytes() == b"old"


def test_a_file_is_on_the_disk_before_it_has_its_name(path, monkeypatch):
    order = []
    monkeypatch.setattr(os, "fsync", lambda number: order.append("forced"))
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda *args: order.append("named") or replace(*args))
    write(path)
    assert order == ["forced", "named"]


def die_while_writing(path):
    with whole(path) as file:
        file.write(b"half")
        file.flush()
        os._exit(9)


def test_a_killed_process_leaves_the_old_file(path):
    write(path, b"old")
    process = spawn(die_while_writing, path)
    process.join(60)
    assert process.exitcode == 9 and path.read_bytes() == b"old"
    write(path)
    assert path.read_bytes() == b"new"


def test_what_a_killed_process_left_half_written_is_cleared_away(path):
    """Checkpoints are large, and runs are killed again and again."""
    for _ in range(2):
        process = spawn(die_while_writing, path)
        process.join(60)
    write(path)
    assert list(path.parent.iterdir()) == [path]


# ---------------------------------------------------------------- folders of one process


def test_a_folder_has_one_run_at_a_time(tmp_path):
    with exclusive(tmp_path / "run"):
        with pytest.raises(RuntimeError, match="another process is running in .*run; wait"):
            with exclusive(tmp_path / "run"):
                pass
        with exclusive(tmp_path / "other"):
            pass
    with pytest.raises(Killed):
        with exclusive(tmp_path / "run"):
            raise Killed
    with exclusive(tmp_path / "run"):
        pass


def hold(folder, began, end):
    with exclusive(folder):
        began.set()
        end.wait(60)


def spawn(function, *args):
    process = multiprocessing.get_context("fork").Process(target=function, args=args)
    process.start()
    return process


def test_another_process_is_refused_and_a_killed_one_lets_go(tmp_path):
    began, end = multiprocessing.Event(), multiprocessing.Event()
    other = spawn(hold, tmp_path, began, end)
    assert began.wait(60)
    with pytest.raises(RuntimeError, match="another process is running in"):
        with exclusive(tmp_path):
            pass
    other.kill()
    other.join(60)
    with exclusive(tmp_path):
        pass


def test_no_folder_is_nobody_elses(tmp_path):
    with exclusive(None), exclusive(None):
        pass


def test_a_folder_that_may_not_be_written_names_the_variable(tmp_path, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(PermissionError, match="may not be written by you; set POSEBOOK_RUNS to a"):
        with exclusive(tmp_path / "theirs"):
            pass


# ---------------------------------------------------------------- made once


def test_what_is_there_is_not_made_again(path):
    with made_once(path) as missing:
        assert missing
        write(path)
    with made_once(path) as missing:
        assert not missing


def test_what_could_not_be_made_is_still_to_be_made(path):
    with pytest.raises(Killed):
        with made_once(path) as missing:
            assert missing
            raise Killed
    with made_once(path) as missing:
        assert missing


def make(path, made):
    with made_once(path) as missing:
        if missing:
            time.sleep(0.2)
            with made.get_lock():
                made.value += 1
            write(path)


def test_of_several_processes_one_makes_it_and_the_others_wait(path):
    made = multiprocessing.Value("i", 0)
    processes = [spawn(make, path, made) for _ in range(3)]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert made.value == 1 and path.read_bytes() == b"new"


# ---------------------------------------------------------------- names for settings


def test_equal_settings_have_one_name_whatever_their_order():
    assert key_of(a=1, b=(1, 2)) == key_of(b=[1, 2], a=1)
    assert key_of(a={"x": 1, "y": 2}) == key_of(a={"y": 2, "x": 1})
    assert key_of(folder=Path("a")) == key_of(folder="a")


def test_other_settings_have_other_names():
    names = [key_of(), key_of(a=1), key_of(a=2), key_of(b=1), key_of(a=1.5), key_of(a="1"),
             key_of(a=None), key_of(a=[1]), key_of(a=1, b=None)]  # fmt: skip
    assert len(set(names)) == len(names)
    assert all(name.isalnum() and len(name) == 16 for name in names)
