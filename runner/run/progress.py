"""How far a run is: the counters and the lines made of them. Pure but for the instants it is given."""

import json
from collections import deque
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from runner.campaign.address import mask_text

_RATE_SECONDS = 10.0


@dataclass
class Counts:
    """`total` is every recipient once: accepted, failed, unknown, and those still to come.

    `accepted` holds the `decided` too, those a person took for sent. `deferred` wait for another try. `duplicates`
    are further rows of the same address and `earlier` were mailed by an earlier attempt; neither is in `total`.
    """

    total: int = 0
    accepted: int = 0
    deferred: int = 0
    failed: int = 0
    unknown: int = 0
    duplicates: int = 0
    earlier: int = 0
    decided: int = 0

    @property
    def processed(self) -> int:
        return self.accepted + self.failed + self.unknown

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


class Progress:
    """Makes progress lines: remembers the last error and the speed of the last seconds."""

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        self._at_start = counts.processed
        self._samples: deque[tuple[float, int]] = deque()
        self._error: dict[str, Any] | None = None
        self._moved: tuple[datetime, dict[str, int]] | None = None

    @property
    def done_here(self) -> int:
        """Recipients settled by this process."""
        return self.counts.processed - self._at_start

    def error(self, code: int, text: str) -> None:
        """Remember the newest error; `n` counts how often it came in a row."""
        masked = mask_text(text)[:200]
        if self._error and (self._error["code"], self._error["text"]) == (code, masked):
            self._error["n"] += 1
        else:
            self._error = {"code": code, "text": masked, "n": 1}

    def line(self, state: str, inflight: int, now: datetime, clock: float, **more: Any) -> str:
        """One JSON line; `moved` is when a counter last changed, since a heartbeat alone is no progress.

        `clock` is a monotonic clock in seconds.
        """
        rate = self._rate(clock)
        now_there = self.counts.as_dict()
        if self._moved is None or self._moved[1] != now_there:
            self._moved = (now, now_there)
        left = self.counts.total - self.counts.processed
        return json.dumps(
            {
                "v": 1,
                "t": now.isoformat(timespec="milliseconds"),
                "moved": self._moved[0].isoformat(timespec="milliseconds"),
                "state": state,
                **now_there,
                "inflight": inflight,
                "rate": round(rate, 1),
                "eta_s": round(left / rate) if rate > 0 else None,
                "last_error": self._error,
                **more,
            }
        )

    def human(self, state: str) -> str:
        c = self.counts
        share = 100 * c.processed // c.total if c.total else 100
        return (
            f"{state}: {c.processed} of {c.total} ({share} %), "
            f"{c.failed} failed, {c.unknown} unknown, {c.deferred} to be tried again"
        )

    def _rate(self, clock: float) -> float:
        self._samples.append((clock, self.counts.processed))
        while len(self._samples) > 2 and clock - self._samples[0][0] > _RATE_SECONDS:
            self._samples.popleft()
        (then, before), (_, after) = self._samples[0], self._samples[-1]
        return (after - before) / (clock - then) if clock > then else 0.0


def closing_lines(counts: Counts, seconds: float, done_here: int) -> list[str]:
    """The summary for people, in the words the hosts' logs have always used."""
    lines = [f"{counts.processed} recipients processed", f"{counts.failed} SMTP failures"]
    if counts.unknown:
        lines.append(f"{counts.unknown} unknown, not sent again; see them with --mode list-unknown")
    if left := counts.total - counts.processed:
        lines.append(f"{left} recipients not sent; --mode resume sends them")
    each = 1000 * seconds / done_here if done_here else 0
    lines.append(f"Completed in {seconds / 60:.1f} minutes (average {each:.0f} ms per recipient)")
    return lines
