"""Run a command with the environment that every kernel of the book gets.

    python tools/fixed_environment.py COMMAND ...

What a shell happens to have set must not change a page: MPLBACKEND=Agg would take its figures
away, PYTHONPATH would bring other code, PYTHONOPTIMIZE would skip its checks. What somebody sets on
purpose passes: POSEBOOK_*, CUDA_VISIBLE_DEVICES, and MKL_CBWR and ATEN_CPU_CAPABILITY, which make
one processor compute like another.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIXED = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYTHONPATH": str(ROOT),  # the posebook of this clone, whichever one is installed
    "PYTHONHASHSEED": "0",
    "LC_ALL": "C.UTF-8",
    "MATPLOTLIBRC": str(ROOT / "tools" / "matplotlibrc"),  # else that of the user's home
}
DROPPED = ("PYTHON", "IPYTHON", "LC_", "LANG", "MPL")  # every name that begins so
# How many threads is decided by whoever starts the kernel (make: one), and said by the first.
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def fixed(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without what could change a page, and with what every kernel gets."""
    kept = {k: v for k, v in environment.items() if not k.startswith(DROPPED) and k not in THREADS}
    count = environment.get(THREADS[0])
    threads = dict.fromkeys(THREADS, count) if count else {}
    return {**kept, **threads, **FIXED}


def main() -> None:
    command = sys.argv[1:]
    if not command:
        sys.exit(f"Cannot run: give a command.\n{__doc__}")
    try:
        os.execvpe(command[0], command, fixed(os.environ))
    except FileNotFoundError:
        sys.exit(f"Cannot run: there is no command {command[0]}.")


if __name__ == "__main__":
    main()
