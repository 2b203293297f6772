"""The warm-up of an account: so many messages a day from its first day on, counted on the disk for all campaigns.

Each process takes some of the day's messages ahead, on the disk before it uses them: whoever dies loses what it had
left, and nobody ever sends more. Days are UTC days, so that every campaign's day is the same.
"""

import fcntl
import json
import os
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from runner.policy.gates import Wait
from runner.run.claim import durable_write

STATE = "warm-up"
_AHEAD = 50  # messages taken at once, at most; fewer near the end of a day's
_AGAIN = 0.2  # seconds until another look when somebody else is counting
_SICK = 30.0


class Unreadable(Exception):
    """The count can't be told."""


class WarmUp:
    """A gate. `steps` are those of the account and of the campaign; on each day the lowest that has one binds, and
    after the last there is no limit."""

    def __init__(self, folder: Path, account: str, *steps: tuple[int, ...]) -> None:
        self._path = folder / f"{account}.json"
        self._steps = [step for step in steps if step]
        self._left = 0  # of what this process took for `_day`
        self._day: date | None = None
        self._free = not self._steps  # no limit any more
        self._wait: Wait | None = None
        self._since, self._until = 0.0, 0.0  # when that is so

    def wait(self, now: float) -> Wait | None:
        """None when one more message may begin at `now` (Unix seconds)."""
        if not self._steps:
            return None
        if not self._since <= now < self._until or not (self._free or self._wait or self._left > 0):
            self._look(now)
        return self._wait

    def taken(self) -> date | None:
        """A message begins; the day it counts for."""
        self._left -= 1
        return self._day

    def give_back(self, day: date | None) -> None:
        """One that counted for that day was provably not sent; it is of no use to another day."""
        if day == self._day:
            self._left += 1

    def close(self, now: float) -> None:
        """Give back what wasn't used today."""
        if self._free or not self._left or self._day != _day(now):
            return
        # Where that fails it is lost, and nobody sends more for it.
        with suppress(Unreadable, OSError), _Locked(self._path) as count:
            if count.day == self._day:
                count.save(count.first, self._day, max(0, count.sent - self._left))
                self._left = 0

    def _look(self, now: float) -> None:
        """Take some more of the day's messages, or say why there are none."""
        day = _day(now)
        tomorrow = datetime.combine(day + timedelta(days=1), time(), UTC).timestamp()
        self._since, self._until, self._wait, self._free = now, tomorrow, None, False
        try:
            with _Locked(self._path) as count:
                if count.day is not None and count.day > day:
                    raise Unreadable(f"it counts for {count.day}, and today is {day}: a clock was set wrong")
                first = count.first or day
                allowed = self._allowed((day - first).days)
                if allowed is None:
                    self._free = True
                    return
                sent = count.sent if count.day == day else 0
                if self._day == day:
                    sent = max(0, sent - self._left)
                more = max(0, min(_AHEAD, -(-(allowed - sent) // 4)))
                count.save(first, day, sent + more)
        except BlockingIOError:
            self._until = now + _AGAIN
            self._wait = Wait(STATE, "another campaign is counting today's messages", self._until)
        except (Unreadable, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            self._until = now + _SICK
            self._wait = Wait(STATE, f"how much is used can't be told: {self._path}: {why}", None)
        else:
            self._left, self._day = more, day
            if not more:
                step = (day - first).days + 1
                self._wait = Wait(STATE, f"today's {allowed} are sent, on day {step} of it", tomorrow)

    def _allowed(self, day: int) -> int | None:
        """Messages on this day from 0, None when there is no limit any more."""
        return min((step[day] for step in self._steps if day < len(step)), default=None)


class _Locked:
    """The count on the disk while nobody else may change it. Entering raises Unreadable or OSError, where somebody
    else has it BlockingIOError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self.first: date | None = None
        self.day: date | None = None
        self.sent = 0

    def __enter__(self) -> "_Locked":
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._fd = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._read()
        except BaseException:
            os.close(self._fd)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def save(self, first: date | None, day: date, sent: int) -> None:
        record = {"v": 1, "first": str(first), "day": str(day), "sent": sent}
        durable_write(self._path, json.dumps(record) + "\n")

    def _read(self) -> None:
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return  # the first day: the lowest step
        try:
            record: dict[str, Any] = json.loads(text)
            self.first, self.day = date.fromisoformat(record["first"]), date.fromisoformat(record["day"])
            self.sent = record["sent"]
            if type(self.sent) is not int or self.sent < 0 or self.first > self.day:
                raise ValueError
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Unreadable(
                'it doesn\'t hold {"first": DAY, "day": DAY, "sent": NUMBER}; mend it by hand, or remove it to '
                "begin the warm-up anew"
            ) from None


def _day(now: float) -> date:
    return datetime.fromtimestamp(now, UTC).date()
