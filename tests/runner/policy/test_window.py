"""Windows in many zones, on the nights clocks are changed, against the clock on the wall asked minute by minute."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from runner.policy import window
from runner.policy.gates import WindowGate

MINUTE = timedelta(minutes=1)
NIGHTS = [  # the UTC instant at which clocks are moved, and by how many minutes
    ("Europe/London", "2026-03-29 01:00", 60),
    ("Europe/London", "2026-10-25 01:00", -60),
    ("Europe/Berlin", "2026-03-29 01:00", 60),
    ("Europe/Berlin", "2026-10-25 01:00", -60),
    ("America/New_York", "2026-03-08 07:00", 60),
    ("America/New_York", "2026-11-01 06:00", -60),
    ("America/St_Johns", "2026-03-08 05:30", 60),
    ("America/Havana", "2026-11-01 05:00", -60),
    ("America/Santiago", "2026-09-06 04:00", 60),  # at midnight: there is no 00:00 that day
    ("America/Santiago", "2026-04-05 03:00", -60),  # from Sunday back into Saturday
    ("Asia/Beirut", "2025-03-29 22:00", 60),
    ("Africa/Cairo", "2025-04-24 22:00", 60),
    ("Australia/Lord_Howe", "2026-10-03 15:30", 30),
    ("Australia/Lord_Howe", "2026-04-04 15:00", -30),
    ("Pacific/Chatham", "2026-09-26 14:00", 60),
    ("Antarctica/Troll", "2026-03-29 01:00", 120),
    ("Antarctica/Troll", "2026-10-25 01:00", -120),
    ("Africa/Casablanca", "2025-02-23 02:00", -60),
    ("Pacific/Apia", "2011-12-30 10:00", 24 * 60),  # a whole day that never was
]
HOURS = [("00:00", "00:30"), ("00:30", "01:30"), ("02:30", "06:00"), ("22:00", "01:30"), ("09:00", "18:00")]
DAYS = [list(window.DAYS), ["sun"], ["sat"], ["fri"]]


Shown = list[tuple[datetime, str, int]]


def wall(zone: ZoneInfo, night: datetime) -> Shown:
    """What a clock on the wall shows, each minute of the two days around it: hour and weekday."""
    instants = [night + minutes * MINUTE for minutes in range(-24 * 60, 24 * 60)]
    return [(at, f"{local:%H:%M}", local.weekday()) for at in instants for local in [at.astimezone(zone)]]


def turns_by_the_wall(days: list[str], opens: str, closes: str, shown: Shown) -> Iterator[datetime]:
    """When a window opens or closes, by the rule in its plainest words."""
    was = None
    for instant, clock, weekday in shown:
        today, yesterday = window.DAYS[weekday] in days, window.DAYS[weekday - 1] in days
        if opens < closes:
            found = today and opens <= clock < closes
        else:
            found = (today and clock >= opens) or (yesterday and clock < closes)
        if was is not None and found != was:
            yield instant
        was = found


@pytest.mark.parametrize(("name", "night", "minutes"), NIGHTS)
def test_it_opens_and_closes_when_the_clock_on_the_wall_says_so(name: str, night: str, minutes: int) -> None:
    zone, moved = ZoneInfo(name), datetime.fromisoformat(night).replace(tzinfo=UTC)
    before, after = ((moved + by * MINUTE).astimezone(zone).utcoffset() for by in (-1, 0))
    assert before is not None
    assert after is not None
    assert after - before == minutes * MINUTE, "clocks aren't changed there: the table is wrong"
    shown = wall(zone, moved)
    for days in DAYS:
        for opens, closes in HOURS:
            made = window.parse({"days": days, "from": opens, "to": closes}, zone)
            now = moved - timedelta(days=1)
            for turn in turns_by_the_wall(days, opens, closes, shown):
                found = made.closes_at(now) if made.is_open(now) else made.next_opening(now)
                assert found == turn, f"{days} {opens}-{closes} asked at {now}"
                now = turn


def test_an_hour_that_comes_twice_is_open_twice() -> None:
    made = window.parse({"from": "00:30", "to": "01:30"}, ZoneInfo("America/New_York"))
    first = datetime(2026, 11, 1, 4, 30, tzinfo=UTC)
    turns = [first]
    for _ in range(3):
        last = turns[-1]
        turns.append(made.closes_at(last) if made.is_open(last) else made.next_opening(last))
    assert [f"{turn:%H:%M}" for turn in turns] == ["04:30", "05:30", "06:00", "06:30"]


def test_a_weekly_window_that_is_skipped_opens_a_week_later() -> None:
    made = window.parse({"days": ["sun"], "from": "02:00", "to": "03:00"}, ZoneInfo("Europe/Berlin"))
    assert made.next_opening(datetime(2026, 3, 28, 12, tzinfo=UTC)) == datetime(2026, 4, 5, 0, 0, tzinfo=UTC)


def test_seconds_count() -> None:
    made = window.parse({"from": "09:00", "to": "18:00"}, ZoneInfo("UTC"))
    assert made.is_open(datetime(2026, 5, 12, 17, 59, 59, 999_999, tzinfo=UTC))
    assert made.closes_at(datetime(2026, 5, 12, 17, 59, 59, tzinfo=UTC)) == datetime(2026, 5, 12, 18, tzinfo=UTC)
    assert not made.is_open(datetime(2026, 5, 12, 18, tzinfo=UTC))


def test_the_gate_tells_until_when_it_is_shut_in_the_campaigns_own_time() -> None:
    gate = WindowGate(window.parse({"from": "09:00", "to": "18:00"}, ZoneInfo("Asia/Kathmandu")))
    opens = datetime(2026, 5, 12, 3, 15, tzinfo=UTC).timestamp()
    waiting = gate.wait(opens - 1)
    assert waiting is not None
    assert (waiting.state, waiting.until) == ("window", opens)
    assert waiting.why == "waiting for the window, opens at 2026-05-12 09:00 +05:45 (Asia/Kathmandu)"
    assert gate.wait(opens) is None
    assert gate.wait(opens + 9 * 3600 - 0.001) is None
    assert gate.wait(opens + 9 * 3600) is not None


def test_the_gate_sees_a_clock_that_was_set_back() -> None:
    gate = WindowGate(window.parse({"from": "09:00", "to": "18:00"}, ZoneInfo("UTC")))
    noon = datetime(2026, 5, 12, 12, tzinfo=UTC).timestamp()
    assert gate.wait(noon) is None
    assert gate.wait(noon - 4 * 3600) is not None
    assert gate.wait(noon) is None
