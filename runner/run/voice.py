"""When a running send speaks: at once on a change of state, four times a second at most, once at least."""

import time
from datetime import UTC, datetime

from runner.run.output import Output
from runner.run.progress import Progress

_HEARTBEAT = 1.0


class Voice:
    """Progress lines for machines, and with `verbose` once a second one for people."""

    def __init__(self, output: Output, progress: Progress, verbose: bool) -> None:
        self._output = output
        self._progress = progress
        self._verbose = verbose
        self._state = ""
        self._counts: dict[str, int] = {}
        self._spoke = self._spoke_human = 0.0

    def say(self, state: str, inflight: int, **more: object) -> bool:
        """A line if there is news or it is time; True when the state is a new one."""
        clock, now, counts = time.monotonic(), datetime.now(UTC), self._progress.counts.as_dict()
        news = state != self._state
        if not news and counts == self._counts and clock - self._spoke < _HEARTBEAT:
            return False
        self._state, self._counts, self._spoke = state, counts, clock
        self._output.line(self._progress.line(state, inflight, now, clock, **more))
        if self._verbose and (news or clock - self._spoke_human >= _HEARTBEAT):
            self._spoke_human = clock
            self._output.line(self._progress.human(state))
        return news
