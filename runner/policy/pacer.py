"""How fast: a rate limit (GCRA) and pauses between batches. Pure; clocks are arguments, in seconds."""


class Pacer:
    """`rate` in mails a second or None; after each `batch` mails (0: never) a pause of `pause` seconds."""

    def __init__(self, rate: float | None, batch: int = 0, pause: float = 0.0) -> None:
        self._interval = 1.0 / rate if rate else 0.0
        self._batch = batch
        self._pause = pause
        self._next = 0.0
        self._given = 0

    def reserve(self, clock: float) -> float:
        """Take the next slot; how long to wait for it."""
        slot = max(clock, self._next)
        self._given += 1
        self._next = slot + self._interval
        if self._batch and self._given % self._batch == 0:
            self._next += self._pause
        return slot - clock
