"""When a campaign may send: days and hours in its own zone. Pure; instants are aware UTC."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
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
        """The first instant from `now` on at which the window is open (to the minute), in UTC."""
        if self.is_open(now):
            return now
        today = now.astimezone(self.zone).date()
        for ahead in range(9):
            day = today + timedelta(days=ahead)
            if day.weekday() not in self.days:
                continue
            opening = datetime.combine(day, self.opens, self.zone).astimezone(UTC)
            for _ in range(180):  # on the night clocks are changed it may open a little earlier than that
                earlier = opening - timedelta(minutes=1)
                if earlier < now or not self.is_open(earlier):
                    break
                opening = earlier
            if opening >= now and self.is_open(opening):
                return opening
        raise ValueError("the window never opens")


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
