"""When a running send speaks: at once on a change of state, four times a second at most, once at least."""

import time
from datetime import UTC, datetime

from runner.run.output import Output
from runner.run.progress import Progress

_HEARTBEAT = 1.0
_SOONEST = 0.2  # below the tick's quarter of a second: a tick a little early isn't left out


class Voice:
    """Progress lines for machines, and with `verbose` once a second one for people."""

    def __init__(self, output: Output, progress: Progress, verbose: bool) -> None:
        self._output = output
        self._progress = progress
        self._verbose = verbose
        self._said: tuple[object, ...] = ()
        self._told: tuple[object, ...] = ()
        self._spoke = self._spoke_human = float("-inf")

    def say(self, state: str, inflight: int, why: str = "", until: float | None = None, **more: object) -> bool:
        """A line if there is news or it is time; True when the state is a new one. Call it as often as you like.

        `why` and `until` (Unix seconds) are those of a wait; a change of them is news at once, too.
        """
        clock = time.monotonic()
        new_state = not self._said or self._said[0] != state
        said, told = (state, why, until), (inflight, self._progress.counts.as_dict(), more)
        if said == self._said:
            since = clock - self._spoke
            if since < _SOONEST or (since < _HEARTBEAT and told == self._told):
                return False
        self._said, self._told, self._spoke = said, told, clock
        now = datetime.now(UTC)
        self._output.line(self._progress.line(state, inflight, now, clock, why, until, **more))
        if self._verbose and (new_state or clock - self._spoke_human >= _HEARTBEAT):
            self._spoke_human = clock
            self._output.line(self._progress.human(state, inflight, now, why, until))
        return new_state
