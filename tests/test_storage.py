"""Files are whole or not there, a folder has one process, and equal settings have one name."""

import errno
import multiprocessing
import os
import resource
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

import pytest
import torch

from posebook.storage import exclusive, key_of, made_once, refuse_unwritable, whole


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


def test_a_folder_in_its_place_is_named_before_anything_is_written(path):
    path.mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match="it is a folder; choose another name"):
        write(path)
    assert list(path.parent.iterdir()) == [path] and not list(path.iterdir())


def test_what_was_there_stays_by_another_name(path):
    before = path.with_name("before.bin")
    for content in (b"first", b"second", b"third"):
        with whole(path, keep=before) as file:
            file.write(content)
    assert path.read_bytes() == b"third" and before.read_bytes() == b"second"


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
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 768 vs 662"),
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


def save_on_a_disk_of(room, path, said):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    try:
        with whole(path) as file:
            torch.save({"weights": torch.zeros(50_000)}, file)
    except OSError as error:
        said.put(str(error))


@pytest.mark.parametrize("room", [1000, 100_000, 200_640])
def test_torchs_writer_is_understood_wherever_the_room_ends(room, path):
    write(path, b"old")
    said = multiprocessing.Queue()
    spawn(save_on_a_disk_of, room, path, said).join(60)
    assert "what was there before is intact: make room on the disk" in said.get(timeout=1)
    assert path.read_bytes() == b"old" and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError("walk/00001.png: there is no such picture"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "walk/00001.png"),
        RuntimeError("shapes do not fit"),
    ],
)
def test_what_fails_beside_the_writing_is_not_called_a_full_disk(error, path):
    with pytest.raises(type(error)) as refusal:
        write(path, error=error)
    assert refusal.value is error


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
    assert order == ["forced", "named", "forced"], "the name must be on the disk as well"


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


def test_two_who_write_a_file_take_turns(path):
    begun, go = Event(), Event()

    def first():
        with whole(path) as file:
            file.write(b"one")
            begun.set()
            go.wait(30)
            file.write(b" after the other")

    def second():
        with whole(path) as file:
            file.write(b"other")

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first)
        begun.wait(30)
        other = pool.submit(second)
        with suppress(TimeoutError):
            other.result(timeout=0.5)
        assert not path.exists() and not other.done()
        go.set()
        one.result(), other.result()
    assert path.read_bytes() == b"other" and list(path.parent.iterdir()) == [path]


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


# ---------------------------------------------------------------- somebody else's


@pytest.fixture
def shared():
    """A folder that all may enter, unlike those of pytest."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)
        Path(name).chmod(0o755)


def said_to_another(function, *args) -> str:
    """What a user who owns none of our files is told; where we are no root, what we are told."""

    def become_another(answer):
        if os.geteuid() == 0:
            os.setgroups([])
            os.setegid(65534)
            os.seteuid(65534)
        try:
            function(*args)
            answer.put("nothing")
        except Exception as error:
            answer.put(f"{type(error).__name__}: {error}")

    answer = multiprocessing.Queue()
    process = spawn(become_another, answer)
    said = answer.get(timeout=60)
    process.join(60)
    return said


def enter(context):
    with context:
        pass


def test_a_folder_that_may_not_be_written_names_the_variable(shared):
    shared.chmod(0o555)
    said = said_to_another(lambda: enter(exclusive(shared / "run")))
    assert said == (
        f"OSError: {shared}/run cannot be written (Permission denied); set POSEBOOK_RUNS to a "
        "folder of your own"
    )
    said = said_to_another(lambda: enter(exclusive(shared)))
    assert said.startswith(f"OSError: {shared} cannot be written (Permission denied); set POSEB")


def test_a_lock_of_somebody_else_names_the_variable(shared):
    (shared / ".lock").touch(mode=0o400)
    shared.chmod(0o777)
    said = said_to_another(lambda: enter(exclusive(shared)))
    assert said == (
        f"OSError: {shared}/.lock cannot be written (Permission denied); set POSEBOOK_RUNS to a "
        "folder of your own"
    )


def test_a_cache_of_somebody_else_is_read_and_not_written(shared):
    (shared / "there.npy").touch()
    shared.chmod(0o555)
    assert said_to_another(lambda: enter(made_once(shared / "there.npy"))) == "nothing"
    said = said_to_another(lambda: enter(made_once(shared / "missing.npy")))
    assert said == (
        f"OSError: {shared} cannot be written (Permission denied); set POSEBOOK_CACHE to a folder "
        "of your own"
    )


def test_a_file_in_a_folder_of_somebody_else_needs_another_folder_and_no_room(shared):
    shared.chmod(0o555)
    for path in (shared / "file", shared / "new" / "file"):
        said = said_to_another(write, path)
        assert said.startswith(f"OSError: could not write {path} ([Errno 13] Permission denied")
        assert said.endswith("intact: take a folder of your own")


def test_a_file_in_place_of_a_folder_is_refused_too(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file/runs cannot be written \(Not a directory\); take"):
        refuse_unwritable(tmp_path / "file" / "runs", "take another")
    refuse_unwritable(tmp_path / "a" / "b", "take another")
    assert list((tmp_path / "a" / "b").iterdir()) == []


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
