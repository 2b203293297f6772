"""When a campaign is due, when it may start, and when it is too late.

Instants are UTC. Local times exist only at the edges: as typed, and as shown. A due time that a clock change
skips is refused and one that it repeats must be told apart.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FOLDS = ("first", "second")  # the two times that a local time of the night of a clock change can mean


class ScheduleError(ValueError):
    """A time, zone or window that can't be used; the text says what to write instead."""


class InGap(ScheduleError):
    """A local time that never happens, because the clocks go forward over it.

    `before` and `after` are the local texts that lie as far before and behind the change; both can be used.
    """

    def __init__(self, text: str, zone: str, before: str, after: str) -> None:
        super().__init__(
            f"{text} doesn't exist in {zone}: the clocks go forward over it. Choose {before} or {after}."
        )
        self.before, self.after = before, after


class Doubled(ScheduleError):
    """A local time that happens twice, because the clocks go back over it: at `first` and at `second`, both UTC."""

    def __init__(self, text: str, zone: str, first: datetime, second: datetime) -> None:
        tz = ZoneInfo(zone)
        one, two = (f"{at:%H:%M} UTC ({at.astimezone(tz):%Z})" for at in (first, second))
        super().__init__(
            f"{text} happens twice in {zone}: at {one} and at {two}. "
            f"Say which: write {text} first, or {text} second."
        )
        self.first, self.second = first, second


@dataclass(frozen=True, slots=True)
class Due:
    """A due time: the instant (UTC), and the local text and zone it was typed as."""

    instant: datetime
    zone: str
    text: str

    @property
    def tz(self) -> ZoneInfo:
        return ZoneInfo(self.zone)


def load_zone(name: str) -> ZoneInfo:
    """The IANA zone `name`; raises ScheduleError when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ScheduleError(
            f"{name!r} is not a time zone. Write an IANA name such as America/Los_Angeles."
        ) from error


def is_plausible(instant: datetime) -> bool:
    """Whether somebody can have meant it. At the ends of the calendar nothing can be added, nor any zone be told;
    programs write the first instant of year 1 for none."""
    return 1970 <= instant.year < 2500


def resolve_due(text: str, zone: str, fold: int | None = None) -> Due:
    """The instant of a local time such as `2026-05-12 10:00` in `zone`.

    Of a doubled time, `fold` 0 is the first and 1 the second; so are the words `first` and `second` behind it, and
    that word stays in the text of the Due, so that whoever reads it again gets the same instant. For any other time
    the choice means nothing. Raises ScheduleError (InGap, Doubled).
    """
    tz = load_zone(zone)
    words = text.split()
    choice = words.pop() if words and words[-1] in FOLDS else ""
    if fold is not None:
        choice = FOLDS[fold]
    plain = " ".join(words)
    try:
        local = datetime.fromisoformat(plain)
        if not is_plausible(local):
            raise ValueError("out of range")
    except ValueError as error:
        raise ScheduleError(
            f"{text!r} is not a time. Write it as 2026-05-12 10:00, in the campaign's zone."
        ) from error
    if local.tzinfo is not None:
        return Due(local.astimezone(UTC), zone, plain)
    first, second = (local.replace(tzinfo=tz, fold=which).astimezone(UTC) for which in (0, 1))
    if first == second:
        return Due(first, zone, plain)
    if first > second:  # PEP 495: in a gap, fold=0 reads with the offset before it and lands later
        before, after = (f"{instant.astimezone(tz):%Y-%m-%d %H:%M}" for instant in (second, first))
        raise InGap(plain, zone, before, after)
    if not choice:
        raise Doubled(plain, zone, first, second)
    return Due((first, second)[FOLDS.index(choice)], zone, f"{plain} {choice}")


@dataclass(frozen=True, slots=True)
class Window:
    """The days and hours in which a campaign may send, in its own zone.

    `days` are 0 (Monday) to 6. A window that closes at or before it opens runs over midnight and belongs to
    the day it opens on.
    """

    opens: time
    closes: time
    days: frozenset[int] = frozenset(range(7))

    def spans(self, around: datetime, tz: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
        """The (opening, closing) instants from the day before `around` to eight days on, in order."""
        today = around.astimezone(tz).date()
        for offset in range(-1, 9):
            day = today + timedelta(days=offset)
            if day.weekday() in self.days:
                last = day if self.closes > self.opens else day + timedelta(days=1)
                yield _instant(day, self.opens, tz), _instant(last, self.closes, tz)

    def closing(self, instant: datetime, tz: ZoneInfo) -> datetime | None:
        """When the window that is open at `instant` closes; None when it is shut then."""
        return next((end for start, end in self.spans(instant, tz) if start <= instant < end), None)

    def next_opening(self, instant: datetime, tz: ZoneInfo) -> datetime | None:
        """The next opening after `instant`; None for a window with no days."""
        return next((start for start, _ in self.spans(instant, tz) if start > instant), None)

    def __str__(self) -> str:
        days = "daily" if len(self.days) == 7 else ", ".join(DAYS[day] for day in sorted(self.days))
        return f"{days} {self.opens:%H:%M}–{self.closes:%H:%M}"


def parse_window(days: list[str] | None, opens: str, closes: str) -> Window:
    """A window from names of days and `HH:MM` texts. Raises ScheduleError."""
    try:
        start, end = time.fromisoformat(opens), time.fromisoformat(closes)
    except ValueError as error:
        raise ScheduleError(f"A window runs from HH:MM to HH:MM, not from {opens!r} to {closes!r}.") from error
    if start.tzinfo or end.tzinfo:
        raise ScheduleError("A window's hours are local to the campaign's zone: leave the offset out.")
    numbers = []
    for day in days if days is not None else DAYS:
        if day[:3].lower() not in DAYS:
            raise ScheduleError(f"{day!r} is not a day of the week. Write one of {', '.join(DAYS)}.")
        numbers.append(DAYS.index(day[:3].lower()))
    return Window(start, end, frozenset(numbers))


class Moment(StrEnum):
    """Where `now` lies in the life of a due time."""

    BEFORE = "before"
    DUE = "due"
    LATE = "late"
    EXPIRED = "expired"


def latest_start(due: Due, window: Window | None, latest_after: timedelta) -> datetime:
    """The last instant a start may happen: the window's close on the due day, else due + `latest_after`.

    A due time outside its window counts from the next opening.
    """
    if window is None:
        return due.instant + latest_after
    closing = window.closing(due.instant, due.tz)
    if closing is None:
        opening = window.next_opening(due.instant, due.tz)
        closing = window.closing(opening, due.tz) if opening else None
    return closing or due.instant + latest_after


def moment(due: datetime, latest: datetime, grace: timedelta, now: datetime) -> Moment:
    """Edges belong to the later state, except `latest` itself, at which a start is still in time."""
    if now < due:
        return Moment.BEFORE
    if now > latest:
        return Moment.EXPIRED
    return Moment.DUE if now < due + grace else Moment.LATE


def say_instant(instant: datetime, zone: str, now: datetime) -> str:
    """`today 10:00 PDT`, `yesterday 10:00 PDT`, `May 9 16:20 PDT`, `2025 May 9 16:20 PDT`."""
    tz = ZoneInfo(zone or "UTC")
    local, today = instant.astimezone(tz), now.astimezone(tz).date()
    near = {0: "today", 1: "tomorrow", -1: "yesterday"}.get((local.date() - today).days)
    year = "" if local.year == today.year else f"{local.year} "
    return f"{near or f'{year}{local:%b} {local.day}'} {local:%H:%M} {local:%Z}"


def say_span(span: timedelta) -> str:
    """The size of a span in one or two units: `40 s`, `12 min`, `3 h 5 min`, `1 d 2 h`, `12 d`."""
    seconds = abs(int(span.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if hours == 0:
        return f"{minutes} min"
    if days == 0:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{days} d {hours % 24} h" if hours % 24 and days < 4 else f"{days} d"


def say_distance(instant: datetime, now: datetime) -> str:
    """`in 12 min` before it, `+1 d 2 h` after it."""
    return f"in {say_span(instant - now)}" if instant > now else f"+{say_span(now - instant)}"


def say_clocks(instant: datetime, campaign_zone: str, local_zone: str) -> str:
    """One instant in the campaign's zone, the operator's and UTC; each named once."""
    texts = []
    for zone in (campaign_zone, local_zone, "UTC"):
        if zone:
            local = instant.astimezone(ZoneInfo(zone))
            text = f"{local:%b} {local.day} {local:%H:%M %Z}"
            if text not in texts:
                texts.append(text)
    return " · ".join(texts)


def _instant(day: date, clock: time, tz: ZoneInfo) -> datetime:
    return datetime.combine(day, clock, tz).astimezone(UTC)
