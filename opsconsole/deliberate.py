"""Tells keys that are meant from keys that are held, pasted or pressed before there was anything to read. Pure but
for its clock: for a question on a screen and one on a bare terminal alike.
"""

import time
from collections import deque
from collections.abc import Callable

SETTLE = 0.5  # seconds in which a new step takes no key: nobody has read it yet
REPEAT = 0.15  # seconds between two presses of one key; a held key comes faster
HELD = 1.2  # seconds of silence after which the same key is a new press: slow keyboards wait 1 s before they repeat
BURST_GAP = 0.010  # seconds between two characters; nobody types faster
BURST = 5  # so many characters in one burst are a paste, even without its brackets
PACE = 0.015  # seconds a character at the least, over PACED of them: a paste handed out slowly is one too
PACED = 8
ASLEEP = 2.0  # seconds without a beat: the process was stopped or the machine slept, and nobody was reading
ACTIVATING = frozenset({"enter", "space"})


def awake_clock() -> float:
    """Seconds that go on while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Guard:
    """Times are those at which keys arrived, in seconds of the monotonic clock that events carry.

    `beat` must be called at least every second while the question is open; `clock` is what it is held against.
    """

    def __init__(self, clock: Callable[[], float] = awake_clock) -> None:
        self.opened = 0.0
        self._clock = clock
        self._beat = clock()
        self._last: dict[str, float] = {}
        self._before = ("", float("-inf"))  # the newest key of all, and when it came
        self._typed: deque[float] = deque(maxlen=PACED)
        self._typed_at = float("-inf")
        self._burst = 0

    def open(self, now: float) -> None:
        """A new step is on the screen from `now` on, or the same one is looked at again."""
        self.opened = now
        self._typed.clear()

    def beat(self) -> None:
        self._beat = self._clock()

    def settled(self, at: float) -> bool:
        """Whether somebody can have read what is on the screen."""
        if self._clock() - self._beat > ASLEEP:
            self.open(at)
        self.beat()
        return at - self.opened >= SETTLE

    def accepts(self, key: str, at: float, *, presses: bool = True) -> bool:
        """Whether this key may do its work; the rules are harder where it presses a button. Each look counts as a
        press."""
        same, (newest, newest_at) = self._last.get(key, float("-inf")), self._before
        self._last[key], self._before = at, (key, at)
        if not self.settled(at):
            return False
        if key not in ACTIVATING:
            return True
        if at - same < REPEAT or at - newest_at < BURST_GAP:
            return False
        return not presses or newest != key or at - newest_at >= HELD

    def pasted(self, key: str, at: float) -> bool:
        """Whether the character that came at `at` belongs to text that no hand types."""
        self._before = (key, at)
        self._burst = self._burst + 1 if at - self._typed_at < BURST_GAP else 1
        self._typed_at = at
        self._typed.append(at)
        paced = len(self._typed) == PACED and at - self._typed[0] < PACE * (PACED - 1)
        if self._burst >= BURST or paced:
            self.open(at)  # what is left of it, a line's end too, falls on deaf ears
            return True
        return False
