"""Given a line of a host's table, cron's starts are foretold, also on the nights when the clocks change."""

import json
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.cron import CronLine, dst_warning, fires, fires_again, in_words, next_fire, previous_fire
from opsconsole.cronsyntax import parse_schedule

NEW_YORK = ZoneInfo("America/New_York")
TRUTH = [json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "data/cron").glob("truth_*"))]
CASES = [(table, schedule) for table in TRUTH for schedule in table["fires"]]


def job(schedule, **kwargs):
    return CronLine(number=1, schedule=schedule, user="root", command="true", **kwargs)


def local(*args, zone=NEW_YORK, fold=0):
    return datetime(*args, tzinfo=zone, fold=fold)


@pytest.mark.parametrize(
    ("table", "schedule"), CASES, ids=lambda each: each if isinstance(each, str) else each["tz"]
)
def test_starts_agree_with_the_real_daemon_on_the_night_of_a_change(table, schedule):
    zone = ZoneInfo(table["tz"])
    start = datetime.fromisoformat(table["start"]).astimezone(zone)
    end = (start.astimezone(UTC) + timedelta(minutes=table["minutes"])).astimezone(zone)
    truth = table["fires"][schedule]

    found = fires(job(schedule), start, end)

    assert [each.astimezone(zone).isoformat(timespec="minutes") for each in found] == truth
    assert all(each.tzinfo is UTC for each in found)
    if truth:
        assert previous_fire(job(schedule), end) == found[-1]
        assert next_fire(job(schedule), start) == found[0]


def test_a_jump_of_three_hours_is_a_new_clock_setting_and_nothing_is_made_up():
    # Measured with cron itself: Casey went from 02:00 to 05:00 and, in March, from 02:00 back to 23:00.
    casey = ZoneInfo("Antarctica/Casey")
    spring = local(2009, 10, 18, 1, 30, zone=casey), local(2009, 10, 18, 5, 30, zone=casey)
    autumn = local(2010, 3, 4, 22, zone=casey), local(2010, 3, 5, 2, zone=casey)

    assert fires(job("30 2,4 * * *"), *spring) == []
    assert fires(job("1 5 * * *"), *spring) == [local(2009, 10, 18, 5, 1, zone=casey)]
    assert fires(job("2 23 * * *"), *autumn) == [local(2010, 3, 4, 23, 2, zone=casey).astimezone(UTC)]
    assert len(fires(job("2 */23 * * *"), *autumn)) == 4


def test_a_change_of_half_an_hour():
    lord_howe = ZoneInfo("Australia/Lord_Howe")  # 4 October 2026, 02:00 becomes 02:30

    def clock(fire):
        return f"{fire.astimezone(lord_howe):%H:%M}"

    night = local(2026, 10, 4, 1, 50, zone=lord_howe), local(2026, 10, 4, 3, zone=lord_howe)

    assert [clock(each) for each in fires(job("*/15 * * * *"), *night)] == ["02:30", "02:45", "03:00"]
    assert [clock(each) for each in fires(job("15 2 * * *"), *night)] == ["02:30"]


def test_next_is_strictly_later_and_previous_may_be_now():
    nine = local(2026, 6, 1, 9)

    assert next_fire(job("0 9 * * *"), nine) == local(2026, 6, 2, 9)
    assert previous_fire(job("0 9 * * *"), nine) == nine
    assert previous_fire(job("0 9 * * *"), nine - timedelta(microseconds=1)) == local(2026, 5, 31, 9)


def test_a_one_off_comes_back_next_year():
    assert fires_again(job("0 10 11 5 *"), local(2026, 5, 11, 10)) == local(2027, 5, 11, 10)


@pytest.mark.parametrize("schedule", ["@reboot", "0 9 31 2 *", "0 22-2 * * *"])
def test_lines_without_a_time(schedule):
    line = job(schedule)

    assert next_fire(line, local(2026, 1, 1)) is None
    assert previous_fire(line, local(2026, 1, 1)) is None
    assert dst_warning(line, NEW_YORK, local(2026, 1, 1)) == ""


def test_a_line_cron_does_not_obey_does_not_start():
    assert next_fire(job("0 9 * * *", enabled=False), local(2026, 1, 1)) is None


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="host's zone"):
        next_fire(job("0 9 * * *"), datetime(2026, 1, 1))


@pytest.mark.parametrize(
    ("schedule", "days"),
    [
        ("0 9 13 * 5", [5, 12, 13, 19, 26]),  # either
        ("0 9 */2 * 5", [5, 19]),  # both: one begins with *
        ("0 9 13 * */5", []),  # both: */5 is Sunday and Friday, the 13th a Saturday
        ("0 9 */40 * 1", [1]),
        ("0 9 31-1 * 5", [5, 12, 19, 26]),
        ("0 9 * * mon#1", [1, 8, 15, 22, 29]),
        ("0 9 * * 5-7", [5, 6, 7, 12, 13, 14, 19, 20, 21, 26, 27, 28]),
        ("0 9 1-1/3 * *", [1]),
    ],
)
def test_days_of_june_2026(schedule, days):
    june = fires(job(schedule), local(2026, 6, 1), local(2026, 7, 1))

    assert [each.day for each in june] == days


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("30 9 * * 1-5", "At 09:30 on Monday through Friday"),
        ("@daily", "At 00:00 every day"),
        ("@reboot", "When the host starts"),
        ("0 9 31 2 *", "Never"),
        ("0 9 1 * 1", "At 09:00 on the first day of month, and also on Monday"),
        ("0 9 1 3 1", "At 09:00 on the first day of month, and also on Monday, in March"),
        ("*/90 * * * *", "At the start of every hour"),
        ("0 9 11 5 *", "At 09:00 on May 11"),
    ],
)
def test_a_schedule_in_words(schedule, words):
    assert in_words(job(schedule)) == words


def test_day_and_weekday_that_must_both_match_are_not_called_either():
    assert "if it's on Friday" in in_words(job("0 9 */2 * 5"))


@pytest.mark.parametrize(
    ("schedule", "month", "warning"),
    [
        ("30 2 * * *", 3, "there is no 02:30, cron starts this line at 03:00 instead."),
        ("0,30 1,2,3 * * *", 3, "there is no 02:00, 02:30, cron starts this line 3 times at 03:00."),
        ("*/15 * * * *", 3, "cron skips 02:00, 02:15, 02:30, 02:45."),
        ("*/30 2 * * *", 3, "cron skips 02:00, 02:30."),
        ("30 1 * * *", 3, ""),
        ("30 2 9 3 *", 3, ""),
        ("30 * * * *", 11, "cron starts this line twice at 01:30."),
        ("30 1 * * *", 11, "01:30 comes twice, cron starts this line the first time only."),
        ("0,30 1 * * *", 11, "01:00, 01:30 come twice, cron starts this line the first time only."),
        ("30 2 * * *", 11, ""),
    ],
)
def test_the_next_change_of_the_clocks_is_announced(schedule, month, warning):
    said = dst_warning(job(schedule), NEW_YORK, local(2026, month, 1) - timedelta(days=20))

    openings = {
        3: "On Sun 8 Mar 2026 the clocks of America/New_York jump from 02:00 to 03:00: ",
        11: "On Sun 1 Nov 2026 the clocks of America/New_York go back from 02:00 to 01:00: ",
    }
    assert said == (openings[month] + warning if warning else "")


def test_a_zone_that_never_changes_has_no_warning():
    assert dst_warning(job("30 2 * * *"), ZoneInfo("UTC"), local(2026, 1, 1)) == ""


def field(low, high):
    number = st.integers(low, high).map(str)
    pair = st.tuples(st.integers(low, high), st.integers(low, high)).map(sorted)
    span = pair.map(lambda two: f"{two[0]}-{two[1]}")
    step = st.tuples(span | st.just("*"), st.integers(1, 70)).map(lambda two: f"{two[0]}/{two[1]}")
    return st.just("*") | st.lists(number | span | step, min_size=1, max_size=3).map(",".join)


SCHEDULES = st.tuples(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7)).map(" ".join)
ZONES = st.sampled_from(["America/New_York", "Africa/Cairo", "Australia/Lord_Howe", "Antarctica/Troll", "UTC"])


@pytest.mark.slow
@settings(deadline=None)
@given(SCHEDULES, ZONES, st.integers(0, 400 * 24 * 60))
def test_next_and_previous_are_each_others_mirror(schedule, zone, minutes):
    line = job(schedule)
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    following = next_fire(line, now.astimezone(ZoneInfo(zone)))
    assert in_words(line)
    dst_warning(line, ZoneInfo(zone), now)
    if following is None:
        return

    assert following > now
    assert previous_fire(line, following.astimezone(ZoneInfo(zone))) == following
    before = previous_fire(line, (following - timedelta(minutes=1)).astimezone(ZoneInfo(zone)))
    assert before is None or before <= now


def daemon(schedule, start, end):
    """Starts after `start` up to `end` as the daemon's loop makes them, minute by minute (cron(8), NOTES)."""
    rule = parse_schedule(schedule)
    zone, day = start.tzinfo, timedelta(days=1)
    walls = CronSim(rule.expression, start.replace(tzinfo=None) - day) if rule.expression else iter(())
    due = set(takewhile(lambda wall: wall <= end.replace(tzinfo=None) + day, walls))
    minute, now, started = timedelta(minutes=1), start.astimezone(UTC), []
    virtual = now.astimezone(zone).replace(tzinfo=None)
    while now < end.astimezone(UTC):
        now += minute
        wall = now.astimezone(zone).replace(tzinfo=None)
        behind = (wall - virtual) // minute
        missed = [virtual + minute * each for each in range(1, behind + 1)]
        if -180 < behind <= 0:
            run = [wall] if rule.follows_clock else []
        elif 5 < behind <= 180:
            run, virtual = [wall] if rule.follows_clock else missed, wall
        else:
            run, virtual = [wall], wall
        started += [now for each in run if each in due]
    return started


@pytest.mark.slow
@settings(deadline=None)
@given(
    SCHEDULES | st.tuples(field(0, 59), field(0, 4)).map(lambda two: f"{two[0]} {two[1]} * * *"), ZONES, st.data()
)
def test_starts_agree_with_the_daemons_own_loop(schedule, zone, data):
    changes = [
        (2026, 3, 8),
        (2026, 11, 1),
        (2026, 4, 24),
        (2026, 10, 29),
        (2026, 10, 4),
        (2026, 4, 5),
        (2026, 3, 29),
    ]
    noon = datetime(*data.draw(st.sampled_from(changes)), 12, tzinfo=ZoneInfo(zone)) - timedelta(days=1)
    end = noon + timedelta(days=1, hours=8)

    assert fires(job(schedule), noon, end) == daemon(schedule, noon, end)
