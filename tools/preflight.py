"""Say in one plain sentence what this machine lacks, before minutes are spent on an installation.

Runs under any Python from 2.7 on, because the wrong Python is the first thing it looks for.
Usage: python tools/preflight.py [installed-venv]
"""

import os
import re
import sys
import tempfile

GIB = 1024.0**3
VENV_GIB = 7.0  # torch with its CUDA libraries, and the tools around it
DOWNLOAD_GIB = 3.5  # the wheels, which pip unpacks from the temporary folder


def supported_python(pyproject):
    """First supported and first unsupported version, e.g. ((3, 11), (3, 12))."""
    with open(pyproject) as file:
        found = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', file.read())
    return (3, int(found.group(1))), (3, int(found.group(2)))


def python_problem(version, first, unsupported):
    """A sentence if `version` is not in [first, unsupported), else None."""
    if first <= tuple(version[:2]) < unsupported:
        return None
    age = "older" if tuple(version[:2]) < first else "newer"
    return (
        "Python {0}.{1} is {2} than this book supports: install Python {3}.{4} "
        "and point to it, for example  make book PYTHON=python{3}.{4}"
    ).format(version[0], version[1], age, first[0], first[1])


def venv_problem():
    """A sentence if this Python cannot make virtual environments, else None."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return (
            "this Python has no venv module: install it (on Debian and Ubuntu: "
            "apt install python{0}.{1}-venv) and run the same command again"
        ).format(*sys.version_info[:2])
    return None


def space_problem(needs, free_gib, device):
    """A sentence if the folders of one disk want more than it has, else None.

    needs: {folder: GiB wanted there}; free_gib and device map a folder to its free GiB and its
    disk, since the temporary folder often lies on another one.
    """
    for folder in needs:
        neighbours = [other for other in needs if device(other) == device(folder)]
        wanted = sum(needs[other] for other in neighbours)
        free = free_gib(folder)
        if free < wanted:
            return (
                "the disk of {0} has {1:.1f} GB free and the installation needs about {2:.1f} GB: "
                "make room there{3}, then run the same command again"
            ).format(
                folder,
                free,
                wanted,
                " or point TMPDIR to a larger disk" if tempfile.gettempdir() in neighbours else "",
            )
    return None


def disk_needs(venv):
    """What the installation still has to write: nothing once torch is there."""
    library = os.path.join(venv, "lib", "python{0}.{1}".format(*sys.version_info[:2]))
    if os.path.isdir(os.path.join(library, "site-packages", "torch")):
        return {}
    return {os.getcwd(): VENV_GIB, tempfile.gettempdir(): DOWNLOAD_GIB}


def free_gib(folder):
    import shutil  # disk_usage is younger than the oldest Python that reads this file

    return shutil.disk_usage(folder).free / GIB


def main(venv=".venv"):
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    first, unsupported = supported_python(os.path.join(root, "pyproject.toml"))
    problem = (
        python_problem(sys.version_info, first, unsupported)
        or venv_problem()
        or space_problem(disk_needs(venv), free_gib, lambda folder: os.stat(folder).st_dev)
    )
    if problem:
        sys.exit("Cannot start: " + problem + ".")


if __name__ == "__main__":
    main(*sys.argv[1:2])
