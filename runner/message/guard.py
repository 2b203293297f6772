"""What keeps one row's rendering from using up the process: limits on its time and its memory, at next to no cost.

A tick of processor time looks whether the same row is still being rendered, so a row that is rendered in time
costs no call of the system. The tick comes only while the processor works, and goes when no row is rendered.
"""

import atexit
import contextlib
import faulthandler
import functools
import os
import resource
import signal
import threading
from collections.abc import Iterator
from types import FrameType

ROW_SECONDS = 2.0  # of processor time: one row may take this long to render
ROW_END_SECONDS = 2 * ROW_SECONDS  # then the process ends, since it is in a call that no signal interrupts
ROW_BYTES = 256 << 20  # the process may grow so much between two ticks: a huge string is such a call too
_TICKS = 4  # in ROW_SECONDS


class RowTimeout(Exception):
    """One row took longer to render than it may."""


class Guard:
    """One for the process; it works in the main thread, where signals are handled, and elsewhere does nothing.

    `enter()` before a row, and `inside = False` after it in a `finally`: an assignment, since a call could be
    interrupted before it did anything, and the next tick would raise in somebody else's code.
    """

    def __init__(self) -> None:
        self.inside = False
        self._row = 0
        self._seconds = 0.0  # what a row may take; 0: not armed
        self._seen = 0
        self._times = 0
        self._limits: tuple[int, int] | None = None
        self._main = threading.main_thread().ident

    def enter(self, seconds: float = ROW_SECONDS) -> None:
        """From here on RowTimeout may be raised, and MemoryError for more than ROW_BYTES.

        A call that never returns to Python (two nested lists compared) can't be left: after ROW_END_SECONDS of
        processor time the process says where it is and ends. The survey renders every row, so that is before
        anything is sent."""
        if threading.get_ident() != self._main:
            return
        self._row += 1
        if self._seconds != seconds:
            self._arm(seconds)
        self.inside = True

    def _arm(self, seconds: float) -> None:
        _say_where_it_ends()
        self._seconds, self._seen, self._times = seconds, 0, 0
        signal.signal(signal.SIGPROF, self._tick)
        signal.setitimer(signal.ITIMER_VIRTUAL, ROW_END_SECONDS)
        signal.setitimer(signal.ITIMER_PROF, seconds / _TICKS, seconds / _TICKS)
        self._limit()

    def disarm(self) -> None:
        self._seconds = 0.0
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        if self._limits:
            resource.setrlimit(resource.RLIMIT_DATA, self._limits)
            self._limits = None

    def _tick(self, _signum: int, _frame: FrameType | None) -> None:
        if not self._seconds:
            return  # a late one
        signal.setitimer(signal.ITIMER_VIRTUAL, ROW_END_SECONDS)  # this is Python: no call keeps it from going on
        if self._row != self._seen:
            self._seen, self._times = self._row, 0
            self._limit()
        elif not self.inside:
            self.disarm()
        else:
            self._times += 1
            if self._times >= _TICKS:
                self._times = 0  # again, should somebody swallow it
                raise RowTimeout

    def _limit(self) -> None:
        """Memory that can be written is counted, not addresses: threads reserve a lot of those."""
        if self._limits is None:
            self._limits = resource.getrlimit(resource.RLIMIT_DATA)
        soft, hard = self._limits
        room = _size() + ROW_BYTES
        if soft == resource.RLIM_INFINITY or room < soft:
            resource.setrlimit(resource.RLIMIT_DATA, (room, hard))

    def after_fork(self) -> None:
        """A child has the handler and the limit, and not the timers."""
        self.inside, self._seconds = False, 0.0
        self._main = threading.main_thread().ident
        if self._limits:
            resource.setrlimit(resource.RLIMIT_DATA, self._limits)
            self._limits = None


GUARD = Guard()
os.register_at_fork(after_in_child=GUARD.after_fork)
atexit.register(GUARD.disarm)  # after this the handler is gone, and a tick would end the process as a crash


@contextlib.contextmanager
def row_guard(seconds: float = ROW_SECONDS) -> Iterator[None]:
    """The guard around a block. Raises RowTimeout inside it when it takes too long."""
    try:
        GUARD.enter(seconds)
        yield
    finally:
        GUARD.inside = False


@functools.cache
def _say_where_it_ends() -> None:
    """The names of the files on standard error, no values; then the signal does what it does: it ends us."""
    faulthandler.register(signal.SIGVTALRM, file=2, chain=True)


def _size() -> int:
    """Bytes of memory that can be written."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[5]) * resource.getpagesize()
