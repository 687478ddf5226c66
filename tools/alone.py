"""Run a command unless another one, started in the same way, is at work in this folder.

    python tools/alone.py COMMAND ...

Two runs of make would install into one .venv and write the same pages, each over the other. The
lock goes with the processes that were started under it, so none is left behind when they end or are
killed. Readable to an old Python, since it comes before tools/preflight.py.
"""

import errno
import fcntl
import os
import sys

LOCK = ".make.lock"
BUSY = (errno.EAGAIN, errno.EACCES)  # any other error: a file system without locks


def take_lock(path, what):
    """Take the lock, or say in a sentence who has it; the lock's file then names `what`."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except (IOError, OSError) as error:
        sys.exit(
            "Cannot start: {0} cannot be written in {1} ({2}); make builds in its own folder, so "
            "clone the book into one of yours (runs alone may lie elsewhere, in the folder that "
            "POSEBOOK_RUNS names).".format(path, os.getcwd(), error.strerror)
        )
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (IOError, OSError) as error:
        if error.errno in BUSY:
            other = os.read(lock, 200).decode("utf-8", "replace").strip() or "make"
            sys.exit(
                "Cannot start: {0} is at work in this folder already; give the same command "
                "again once it has ended.".format(other)
            )
    os.ftruncate(lock, 0)
    os.write(lock, "{0} (process {1})\n".format(what, os.getpid()).encode("utf-8"))
    return lock


def main(command):
    lock = take_lock(LOCK, "make {0}".format(command[-1]))
    if hasattr(os, "set_inheritable"):  # an old Python lets every file be inherited
        os.set_inheritable(lock, True)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
