"""Due times, windows and their edges; both nights of the clock changes."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.schedule import (
    Doubled,
    InGap,
    Moment,
    ScheduleError,
    latest_start,
    moment,
    parse_window,
    resolve_due,
    say_distance,
    say_instant,
    say_span,
)

NY = "America/New_York"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_due_time_is_the_instant_of_its_local_text() -> None:
    assert resolve_due("2026-05-12 10:00", "America/Los_Angeles").instant == utc("2026-05-12 17:00")


@pytest.mark.parametrize(
    ("text", "zone", "before", "after"),
    [
        ("2026-03-08 02:30", NY, "2026-03-08 01:30", "2026-03-08 03:30"),
        ("2026-10-04 02:15", "Australia/Lord_Howe", "2026-10-04 01:45", "2026-10-04 02:45"),
        ("2011-12-30 10:00", "Pacific/Apia", "2011-12-29 10:00", "2011-12-31 10:00"),
    ],
)
def test_a_time_that_the_clocks_skip_is_refused_with_both_neighbours(
    text: str, zone: str, before: str, after: str
) -> None:
    with pytest.raises(InGap) as caught:
        resolve_due(text, zone)
    assert (caught.value.before, caught.value.after) == (before, after)


def test_a_time_that_comes_twice_asks_which() -> None:
    with pytest.raises(Doubled, match="first, or"):
        resolve_due("2026-11-01 01:30", NY)
    first = resolve_due("2026-11-01 01:30 first", NY)
    second = resolve_due("2026-11-01 01:30 second", NY)
    assert second.instant - first.instant == timedelta(hours=1)
    assert resolve_due("2026-11-01 01:30", NY, fold=0) == first
    assert resolve_due("2026-11-01 01:30", NY, fold=1) == second
    assert resolve_due(second.text, second.zone) == second


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "2026-13-01 10:00", "first", "2026-05-12 10:00 third", "9999-12-31 23:59"]
)
def test_a_text_that_is_no_time_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ScheduleError, match="Write it as 2026-05-12 10:00"):
        resolve_due(text, NY)


@pytest.mark.parametrize("zone", ["Mars/Base", "", "../../etc/passwd", "America"])
def test_a_zone_nobody_knows_is_refused(zone: str) -> None:
    with pytest.raises(ScheduleError, match="not a time zone"):
        resolve_due("2026-05-12 10:00", zone)


@settings(deadline=None)
@given(
    zone=st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"})),
    local=st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1)),
)
def test_shown_is_what_was_stored(zone: str, local: datetime) -> None:
    """A due time that is taken shows the very local time that was typed; all others are refused by name."""
    text = local.strftime("%Y-%m-%d %H:%M")
    try:
        due = resolve_due(text, zone)
    except (InGap, Doubled):
        return
    assert due.instant.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M") == text


WEEKDAYS = parse_window(["mon", "tue", "wed", "thu", "fri"], "09:00", "18:00")
NIGHT = parse_window(None, "22:00", "03:00")


@pytest.mark.parametrize(
    ("instant", "closes"),
    [
        ("2026-05-12 16:00", "2026-05-13 01:00"),
        ("2026-05-12 15:59", None),
        ("2026-05-13 01:00", None),
        ("2026-05-16 18:00", None),
    ],
)
def test_a_window_is_open_from_its_opening_until_just_before_its_close(instant: str, closes: str | None) -> None:
    tz = ZoneInfo("America/Los_Angeles")
    assert WEEKDAYS.closing(utc(instant), tz) == (utc(closes) if closes else None)


def test_the_next_opening_skips_the_weekend() -> None:
    tz = ZoneInfo("America/Los_Angeles")
    assert WEEKDAYS.next_opening(utc("2026-05-16 03:00"), tz) == utc("2026-05-18 16:00")


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 7), 4), (date(2026, 10, 31), 6), (date(2026, 5, 1), 5)])
def test_a_window_over_midnight_is_as_long_as_that_night(day: date, hours: int) -> None:
    tz = ZoneInfo(NY)
    opening = datetime(day.year, day.month, day.day, 22, tzinfo=tz).astimezone(UTC)
    closing = NIGHT.closing(opening, tz)
    assert closing is not None
    assert closing - opening == timedelta(hours=hours)


def test_a_window_with_no_days_never_opens() -> None:
    assert parse_window([], "09:00", "18:00").next_opening(utc("2026-05-12 10:00"), ZoneInfo(NY)) is None


@pytest.mark.parametrize(("days", "opens", "closes"), [(["xday"], "09:00", "18:00"), (None, "9 am", "18:00")])
def test_a_window_that_makes_no_sense_is_refused(days: list[str] | None, opens: str, closes: str) -> None:
    with pytest.raises(ScheduleError):
        parse_window(days, opens, closes)


def test_the_latest_start_is_the_close_of_the_due_days_window() -> None:
    due = resolve_due("2026-05-12 10:00", "America/Los_Angeles")
    assert latest_start(due, WEEKDAYS, timedelta(hours=2)) == utc("2026-05-13 01:00")
    assert latest_start(due, None, timedelta(hours=2)) == due.instant + timedelta(hours=2)
    early = resolve_due("2026-05-12 07:00", "America/Los_Angeles")
    assert latest_start(early, WEEKDAYS, timedelta(hours=2)) == utc("2026-05-13 01:00")


def test_the_moments_of_a_due_time() -> None:
    due, grace = utc("2026-05-12 17:00"), timedelta(minutes=10)
    latest = due + timedelta(hours=2)
    second = timedelta(seconds=1)
    told = [moment(due, latest, grace, t) for t in (due - second, due, due + grace - second, due + grace, latest)]
    assert told == [Moment.BEFORE, Moment.DUE, Moment.DUE, Moment.LATE, Moment.LATE]
    assert moment(due, latest, grace, latest + second) is Moment.EXPIRED


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3600, "1 h"),
        (3900, "1 h 5 min"),
        (90000, "1 d 1 h"),
        (864000, "10 d"),
    ],
)
def test_spans_in_words(seconds: int, words: str) -> None:
    assert say_span(timedelta(seconds=seconds)) == words


def test_instants_in_words() -> None:
    now = utc("2026-05-12 17:52")
    la = "America/Los_Angeles"
    assert say_instant(utc("2026-05-12 17:00"), la, now) == "today 10:00 PDT"
    assert say_instant(utc("2026-05-11 17:00"), la, now) == "yesterday 10:00 PDT"
    assert say_instant(utc("2026-05-09 23:20"), la, now) == "May 9 16:20 PDT"
    assert say_instant(utc("2025-12-09 23:20"), la, now) == "2025 Dec 9 15:20 PST"
    assert say_distance(utc("2026-05-12 18:04"), now) == "in 12 min"
    assert say_distance(utc("2026-05-12 17:00"), now) == "+52 min"
