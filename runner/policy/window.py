"""When a campaign may send: days and hours in its own zone. Pure; instants are aware UTC.

A window is what the clock on the wall says: an hour that comes twice on the night clocks go back is open both
times, and one that is skipped isn't there.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_AHEAD = 15  # days: a weekly window may be skipped once, where clocks are moved over it
_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")


@dataclass(frozen=True)
class Window:
    """Open on `days` (0 = Monday) from `opens` to `closes`; over midnight when `closes` is the earlier."""

    days: frozenset[int]
    opens: time
    closes: time
    zone: ZoneInfo

    def is_open(self, now: datetime) -> bool:
        local = now.astimezone(self.zone)
        clock, today = local.time(), local.weekday()
        if self.opens < self.closes:
            return today in self.days and self.opens <= clock < self.closes
        yesterday = (today - 1) % 7  # a night window belongs to the day it opened on
        return (today in self.days and clock >= self.opens) or (yesterday in self.days and clock < self.closes)

    def next_opening(self, now: datetime) -> datetime:
        """The first instant from `now` on at which the window is open, in UTC. Raises ValueError: never."""
        if self.is_open(now):
            return now
        if (opening := self._turns(now)) is None:
            raise ValueError("the window never opens")
        return opening

    def closes_at(self, now: datetime) -> datetime:
        """For a `now` at which it is open: the first instant after it at which it isn't, in UTC; where none is in
        sight, one two weeks away, to ask again."""
        return self._turns(now) or now + timedelta(days=_AHEAD)

    def _turns(self, now: datetime) -> datetime | None:
        """The next instant at which it opens or closes; exact, also where clocks are changed.

        It can turn only where the clock on the wall shows one of three times, once or twice or not at all that day,
        or where that clock is moved.
        """
        now = now.astimezone(UTC)
        today = now.astimezone(self.zone).date()
        marks = {now}
        for ahead in range(-1, _AHEAD + 1):
            for clock in (time(0), self.opens, self.closes):
                local = datetime.combine(today + timedelta(days=ahead), clock, self.zone)
                marks.update(local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
        coming = sorted(mark for mark in marks if mark >= now)
        moved = [
            self._moved(one, other) for one, other in pairwise(coming) if self._offset(one) != self._offset(other)
        ]
        open_now = self.is_open(now)
        return next((mark for mark in sorted(coming + moved) if self.is_open(mark) != open_now), None)

    def _offset(self, instant: datetime) -> timedelta | None:
        return instant.astimezone(self.zone).utcoffset()

    def _moved(self, before: datetime, after: datetime) -> datetime:
        """The second at which the zone's clock is moved, between two instants with different offsets."""
        low, high, old = int(before.timestamp()), int(after.timestamp()), self._offset(before)
        while high - low > 1:
            middle = (low + high) // 2
            if self._offset(datetime.fromtimestamp(middle, UTC)) == old:
                low = middle
            else:
                high = middle
        return datetime.fromtimestamp(high, UTC)


def parse(value: object, zone: ZoneInfo) -> Window:
    """A Window from its metadata form {"days": [...], "from": "09:00", "to": "18:00"}; raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError("window must be an object with days, from and to")
    days = value.get("days", list(DAYS))
    if not isinstance(days, list) or not days or not all(day in DAYS for day in days):
        raise ValueError(f"window.days must be a list of {', '.join(DAYS)}")
    clock = {}
    for name in ("from", "to"):
        text = value.get(name)
        if not isinstance(text, str) or not _CLOCK.fullmatch(text):
            raise ValueError(f'window.{name} must be a time such as "09:00"')
        clock[name] = time.fromisoformat(text)
    if clock["from"] == clock["to"]:
        raise ValueError("window.from and window.to are the same: the window never opens")
    return Window(frozenset(DAYS.index(day) for day in days), clock["from"], clock["to"], zone)
