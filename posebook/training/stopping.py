"""Being told to stop: a training writes its checkpoint first, all else stops at once.

Slurm, Kubernetes and a machine that shuts down send SIGTERM, and SIGKILL some seconds later; a
keyboard, and Jupyter before it ends a kernel, send SIGINT.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from posebook.training import processes


class Stopped(KeyboardInterrupt):
    """A signal ended this; the message says what is kept.

    Attributes:
        status: what a shell says of a process that this signal has ended.
    """

    def __init__(self, number: int, kept: str) -> None:
        super().__init__(kept)
        self.status = 128 + number


@contextmanager
def stoppable() -> Iterator[None]:
    """Meanwhile SIGTERM raises `Stopped` in the main thread, the only one that hears of it.

    It may come in the middle of anything, also of an import, and what cleans up on the way out may
    then find half a module. `Stopped` leaves the block nevertheless.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    except Exception as error:
        if stopped := _stopped_before(error):
            raise stopped from error
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _stopped_before(error: BaseException | None) -> Stopped | None:
    """The `Stopped` that was on its way when this error came up, if any."""
    while error and not isinstance(error, Stopped):
        error = error.__context__
    return error


class Told(list[int]):
    """Signals that came. Of several processes all see one that came to any of them.

    They must then ask equally often, and all leave after the same step.
    """

    def __bool__(self) -> bool:
        number = processes.largest(max(self, default=0))
        if number and not len(self):
            self.append(number)
        return number > 0


@contextmanager
def patient() -> Iterator[Told]:
    """Meanwhile SIGINT, and SIGTERM in a `stoppable` block, only fill the list.

    A second SIGINT stops at once. SIGTERM may come from several sides: who ends a graph of runs, or
    a job, tells all of its processes, and each of them hands it on.

    Whoever is patient leaves the block with `Stopped` as soon as it is filled.
    """
    came = Told()

    def note(number: int, frame) -> None:
        if len(came) and number == signal.SIGINT:
            raise Stopped(number, "told so twice; the same command goes on at the last checkpoint")
        came.append(number)

    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: _stop}
    mine = [number for number, handler in usual.items() if signal.getsignal(number) is handler]
    if threading.current_thread() is not threading.main_thread():
        mine = []
    for number in mine:
        signal.signal(number, note)
    try:
        yield came
    finally:
        for number in mine:
            signal.signal(number, usual[number])
    if len(came):
        raise Stopped(came[0], "a training had just ended; the same command goes on there")


def _stop(number: int, frame) -> None:
    raise Stopped(number, "what is finished is kept; the same command goes on there")
