"""How fast: a token bucket (GCRA) with burst, batches with pauses, and a rate that may change on the way.

Pure: clocks are arguments, monotonic seconds. Nothing is counted down by a timer, so a rate is kept to the slot.
"""

from collections import deque
from math import inf

SLOW_DOWN = frozenset({421, 454, 429, 0x58, 0x14})  # SMTP, HTTP, SMPP: by these a server asks us to go slower

_LEAST = 0.1  # messages a second; below that a send looks dead
_ONE_TROUBLE = 5.0  # seconds; what comes sooner after a halving is the same trouble, seen by another connection
_CALM = 15.0  # seconds without trouble before each step up again
_STEPS = 20  # from nothing to the full rate


class Pace:
    """`rate` in messages a second or None, `burst` how many may go at once after a lull; after each `batch`
    messages (0: never) a pause of `pause` seconds.

    Over any length of time no more than rate * seconds + burst slots are given. While `free` there is nothing to
    reserve.
    """

    def __init__(self, rate: float | None = None, burst: int = 1, batch: int = 0, pause: float = 0.0) -> None:
        self._wanted = rate
        self._cap: float | None = None
        self._slowed: float | None = None
        self._top = 0.0  # where recovering ends
        self._troubled = -inf
        self._stepped = -inf
        self._burst = max(1, burst)
        self._batch = batch
        self._pause = pause
        self._given = 0  # in this batch
        self._next = -inf
        self._ahead: deque[tuple[float, int]] = deque()  # slots still to come, and the batch before each
        self.turn = 0
        self._interval = 1.0 / rate if rate else 0.0
        self._apply(0.0)

    @property
    def rate(self) -> float | None:
        """Messages a second at most now; None when there is no limit."""
        return least(self._wanted, self._cap, self._slowed)

    @property
    def slowed(self) -> bool:
        """Is it slower than asked for, because the server complained?"""
        return self._slowed is not None

    def reserve(self, clock: float) -> float:
        """Take the next slot; how many seconds to wait for it.

        When `turn` has another value by then, the rate was changed and the slot is void: reserve again.
        """
        if self.free:
            return 0.0
        slot = self._next
        if slot < clock - self._slack:
            slot = clock - self._slack
        before = self._given
        self._next = slot + self._interval
        if self._batch:
            self._given += 1
            if self._given == self._batch:
                self._given = 0
                self._next = max(slot, clock) + self._interval + self._pause
        if slot <= clock:
            return 0.0
        while self._ahead and self._ahead[0][0] <= clock:
            self._ahead.popleft()
        self._ahead.append((slot, before))
        return slot - clock

    def change(self, rate: float | None, clock: float) -> None:
        """The operator wants another rate; what the server's complaints made of the former one is over."""
        self._wanted, self._slowed = rate, None
        self._apply(clock)

    def cap(self, rate: float | None, clock: float) -> None:
        """Others allow so much and no more, whatever the operator wants."""
        self._cap = rate
        self._apply(clock)

    def slow_down(self, clock: float, going_at: float) -> None:
        """The server asked for less: halve the limit, or where it is the less `going_at` (messages a second, 0
        when it isn't known). Several complaints within some seconds are one."""
        if clock - self._troubled < _ONE_TROUBLE:
            return
        self._troubled = clock
        limit = self.rate
        base = least(limit, going_at or None) or 1.0
        if self._slowed is None:
            self._top = limit or base
        self._slowed = max(base / 2, _LEAST)
        self._apply(clock)

    def recover(self, clock: float) -> None:
        """Go a step faster when there was no complaint for a while; may be called at any time."""
        if self._slowed is None or clock - max(self._troubled, self._stepped) < _CALM:
            return
        self._stepped = clock
        faster = self._slowed + self._top / _STEPS
        self._slowed = faster if faster < self._top else None
        self._apply(clock)

    def _apply(self, clock: float) -> None:
        """Space the slots by the rate as it is now. Those still to come are void, and the first of them keeps the
        part of its way that lies behind it, so that many changes in a row neither stop nor speed the send."""
        rate = self.rate
        interval = 1.0 / rate if rate else 0.0
        self.free = not interval and not self._batch
        self._slack = (self._burst - 1) * interval
        if interval == self._interval:
            return
        while self._ahead and self._ahead[0][0] <= clock:
            self._ahead.popleft()
        if self._ahead:
            self._next, self._given = self._ahead[0]
            self._ahead.clear()
        wait, old = self._next - clock, self._interval
        pause = max(0.0, wait - old)
        part = (wait - pause) / old if old else 0.0
        self._next = clock + pause + part * interval if interval else clock + pause
        self._interval = interval
        self.turn += 1


def least(*rates: float | None) -> float | None:
    """The lowest of several limits; None when there is none."""
    return min((rate for rate in rates if rate is not None), default=None)
