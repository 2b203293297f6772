"""What `due:` asks for: a range of instants, from words in the operator's own time. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

NEAR = {"yesterday": -1, "today": 0, "tomorrow": 1}
WORDS = (*NEAR, "now", "none")
_UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SPAN = re.compile(r"([+-]?)(\d{1,6}(?:\.\d{1,3})?)(s|min|m|h|d|w)")


class DueError(ValueError):
    """Words that name no range; the text says what to write instead."""


@dataclass(frozen=True, slots=True)
class DueRange:
    """From `first` on and before `end`; None is open on that side."""

    first: datetime | None = None
    end: datetime | None = None

    def holds(self, instant: datetime) -> bool:
        return (self.first is None or instant >= self.first) and (self.end is None or instant < self.end)


def parse_due(text: str, zone: str, now: datetime) -> DueRange:
    """`today`, `2026-05-01`, `10:30`, `<2h`, `>tomorrow`, `2026-05-01..2026-05-14`, `now..2h`, `..today`.

    A day runs from midnight to midnight in `zone` (IANA, "" is UTC), a clock time for its minute; `<` is before it
    begins and `>` after it has ended. A time that the clocks repeat stands for both. Raises DueError.
    """
    try:
        return _parse(text.strip(), ZoneInfo(zone or "UTC"), now)
    except OverflowError as error:
        raise DueError(f"{text!r} is too far off for any calendar.") from error


def _parse(text: str, tz: ZoneInfo, now: datetime) -> DueRange:
    if text.startswith("<"):
        return DueRange(end=_period(text[1:], tz, now)[0])
    if text.startswith(">"):
        return DueRange(first=_period(text[1:], tz, now)[1])
    left, dots, right = text.partition("..")
    if not dots:
        first, end = _period(text, tz, now)
        if first == end:
            raise DueError(f"{text!r} is an instant: write <{text} for before it, >{text} for after it.")
        return DueRange(first, end)
    if not (left or right):
        raise DueError("A range needs a beginning or an end: 2026-05-01..2026-05-14, or today.., or ..2h.")
    begins = _period(left, tz, now)[0] if left else None
    ends = _period(right, tz, now)[1] if right else None
    if begins is not None and ends is not None and ends <= begins and _kind(left) == _kind(right):
        raise DueError(f"{text!r} ends before it begins.")
    return DueRange(begins, ends)


def _period(word: str, tz: ZoneInfo, now: datetime) -> tuple[datetime, datetime]:
    """What one word stands for, from and to; twice the same where it is an instant."""
    word = word.strip().casefold()
    if word == "now":
        return now, now
    if span := _SPAN.fullmatch(word):
        length = timedelta(seconds=float(span[2]) * _UNITS[span[3]])
        instant = now - length if span[1] == "-" else now + length
        return instant, instant
    today = now.astimezone(tz).date()
    if word in NEAR:
        return _day(today + timedelta(days=NEAR[word]), tz)
    try:
        if re.fullmatch(r"\d{1,2}:\d{2}", word):
            return _minute(datetime.combine(today, time.fromisoformat(word.zfill(5))), tz)
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", word):
            return _day(date.fromisoformat(word), tz)
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}[t ]\d{2}:\d{2}", word):
            return _minute(datetime.fromisoformat(word), tz)
    except ValueError as error:
        raise DueError(f"{word!r} is on no calendar or clock.") from error
    raise DueError(_not_a_time(word))


def _kind(word: str) -> str:
    """Two words of one kind stand in the same order whenever they are read; others may change places with time."""
    word = word.strip().casefold()
    if word in NEAR:
        return "day"
    return "from now" if word == "now" or _SPAN.fullmatch(word) else "clock" if ":" in word[:3] else "date"


def _not_a_time(word: str) -> str:
    import difflib

    if close := difflib.get_close_matches(word, WORDS, n=1):
        return f"{word!r} is no time. Did you mean {close[0]!r}?"
    shown = repr(word) if word else "Nothing"
    return f"{shown} is no time. Write today, tomorrow, 2026-05-12, 10:30, 2026-05-12T10:30, or 2h from now."


def _day(day: date, tz: ZoneInfo) -> tuple[datetime, datetime]:
    """From midnight to the next; from the change of the clocks where that skips midnight, the first of two."""
    begins, ends = (datetime.combine(d, time(), tz).astimezone(UTC) for d in (day, day + timedelta(days=1)))
    return begins, ends


def _minute(local: datetime, tz: ZoneInfo) -> tuple[datetime, datetime]:
    first, last = _instants(local, tz)
    return first, last + timedelta(minutes=1)


def _instants(local: datetime, tz: ZoneInfo) -> tuple[datetime, datetime]:
    """The earliest and the latest instant a local time may mean, where the clocks skip or repeat it."""
    first, last = sorted(local.replace(tzinfo=tz, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first, last
