"""How fast a worker goes, when it takes nothing for a while, and which campaigns are refused in a row."""

import threading
import time
from collections.abc import Callable
from typing import Final

from runner.policy.pacer import Pace
from runner.policy.refusals import ENOUGH, likeness

_STEP_SECONDS: Final = 0.2


class Turns:
    """Slots of one pace for many threads."""

    def __init__(self, rate: float | None) -> None:
        self._pace, self._lock = Pace(rate), threading.Lock()

    def wait(self, may_begin: Callable[[], bool]) -> bool:
        """Wait for a slot; False when nothing may be begun any more."""
        while may_begin():
            clock = time.monotonic()
            with self._lock:
                self._pace.recover(clock)
                due, turn = clock + self._pace.reserve(clock), self._pace.turn
            while (left := due - time.monotonic()) > 0 and turn == self._pace.turn:
                if not may_begin():
                    return False
                time.sleep(min(left, _STEP_SECONDS))
            if turn == self._pace.turn:
                return True
        return False

    def limit(self, rate: float) -> None:
        """So many a second at most from now on."""
        with self._lock:
            self._pace.cap(rate, time.monotonic())

    def slow_down(self, going_at: float) -> None:
        """The other side asked for less; `going_at` in messages a second, 0 when it isn't known."""
        with self._lock:
            self._pace.slow_down(time.monotonic(), going_at)


class Hold:
    """Nothing is taken while it lasts; longer each time, until a mail goes through."""

    def __init__(self, first: float = 5.0, longest: float = 60.0) -> None:
        self._first, self._longest = first, longest
        self._until, self._next, self.why = 0.0, first, ""
        self._lock = threading.Lock()

    def put(self, why: str) -> float:
        """Seconds from now; several at the same time are one."""
        with self._lock:
            now = time.monotonic()
            if now >= self._until:
                self._until, self.why = now + self._next, why
                self._next = min(2 * self._next, self._longest)
            return self._until - now

    def lift(self) -> None:
        """A mail went through."""
        if self._next != self._first:
            with self._lock:
                self._next = self._first

    @property
    def left(self) -> float:
        """Seconds it still lasts; 0.0 when it doesn't."""
        return max(0.0, self._until - time.monotonic())


class Rows:
    """Answers in a row that may be about everybody, by campaign: ten alike are enough to ask a person."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[tuple[int, str], int]] = {}
        self._lock = threading.Lock()

    def more(self, campaign_id: str, code: int, text: str) -> bool:
        """One more; True when it is enough, and then it begins anew."""
        like = likeness(code, text)
        with self._lock:
            known, times = self._rows.get(campaign_id, (like, 0))
            times = times + 1 if known == like else 1
            self._rows[campaign_id] = (like, times)
            if times < ENOUGH:
                return False
            del self._rows[campaign_id]
            return True

    def end(self, campaign_id: str) -> None:
        """A mail of it went through."""
        if self._rows:
            with self._lock:
                self._rows.pop(campaign_id, None)
