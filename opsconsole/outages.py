"""Which sources were out of reach while this console was open, and for how long. Nothing is recorded of it."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from opsconsole.observation import Report

KEPT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A source that didn't answer for a while, and came back."""

    source: str
    since: datetime
    until: datetime
    trouble: str = ""


class Outages:
    """Told after each look at a source; keeps the newest KEPT that are over. Safe for several threads."""

    def __init__(self, reports: Callable[[], Mapping[str, Report]]) -> None:
        self._reports, self._lock = reports, Lock()
        self._lasting: dict[str, tuple[datetime, str]] = {}
        self._over: deque[Outage] = deque(maxlen=KEPT)

    @property
    def over(self) -> tuple[Outage, ...]:
        """Those that ended, oldest first. One that lasts is told by the source's own words."""
        with self._lock:
            return tuple(self._over)

    def looked(self, name: str) -> None:
        """`name` was asked, and has answered or failed."""
        report = self._reports().get(name)
        if report is None:
            return
        with self._lock:
            if report.trouble:
                since = report.out_of_reach_since or report.looked_at
                self._lasting.setdefault(name, (since, report.trouble))
            elif begun := self._lasting.pop(name, None):
                outage = Outage(source=name, since=begun[0], until=report.looked_at, trouble=begun[1])
                self._over.append(outage)
