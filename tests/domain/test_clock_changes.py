"""Both nights of the clock changes, for every zone and every change there is in 2026 and 2027."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest

from opsconsole.schedule import (
    Doubled,
    InGap,
    Moment,
    latest_start,
    moment,
    parse_window,
    resolve_due,
    say_clocks,
    say_distance,
    say_instant,
)

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
YEARS = (2026, 2027)


@dataclass(frozen=True)
class Change:
    """The instant at which a zone's offset changes, with the offsets on both sides."""

    zone: str
    at: datetime
    before: timedelta
    after: timedelta

    @property
    def forward(self) -> bool:
        return self.after > self.before

    @property
    def size(self) -> timedelta:
        return abs(self.after - self.before)

    @property
    def first_wrong(self) -> datetime:
        """The first local time that is skipped, or repeated: without a zone."""
        return (self.at + min(self.before, self.after)).replace(tzinfo=None)


def offset(instant: datetime, tz: ZoneInfo) -> timedelta:
    found = instant.astimezone(tz).utcoffset()
    assert found is not None
    return found


def found_in(zone: str) -> Iterator[Change]:
    """By looking at the offset every week, and halving the weeks in which it differs: no zone's rules are known."""
    tz = ZoneInfo(zone)
    week = datetime(YEARS[0], 1, 1, tzinfo=UTC)
    while week.year <= YEARS[-1]:
        low, high = week, week + 7 * DAY
        if offset(low, tz) != offset(high, tz):
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) // 2
                middle = middle.replace(microsecond=0)
                low, high = (middle, high) if offset(middle, tz) == offset(low, tz) else (low, middle)
            yield Change(zone, high, offset(low, tz), offset(high, tz))
        week += 7 * DAY


@cache
def changes() -> tuple[Change, ...]:
    zones = sorted(available_timezones() - {"localtime", "Factory"})
    return tuple(change for zone in zones for change in found_in(zone))


def text(local: datetime) -> str:
    return f"{local:%Y-%m-%d %H:%M}"


def each(*, forward: bool) -> tuple[Change, ...]:
    return tuple(change for change in changes() if change.forward is forward)


def test_there_are_changes_of_both_kinds_to_look_at() -> None:
    """Half-hour and two-hour ones too, and a zone that changes twice around Ramadan."""
    assert len({change.zone for change in changes()}) > 100
    assert {change.size for change in changes()} >= {timedelta(minutes=30), timedelta(hours=1)}
    assert {c.forward for c in changes() if c.zone == "Africa/Casablanca"} == {True, False}
    newyork = [change.at for change in changes() if change.zone == "America/New_York"]
    assert newyork[:2] == [datetime(2026, 3, 8, 7, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC)]


def test_a_skipped_time_is_refused_from_its_first_minute_to_its_last_with_both_neighbours() -> None:
    for change in each(forward=True):
        for local in (
            change.first_wrong,
            change.first_wrong + change.size / 2,
            change.first_wrong + change.size - MINUTE,
        ):
            with pytest.raises(InGap) as caught:
                resolve_due(text(local), change.zone)
            for fold in (0, 1):  # no choice makes it exist
                with pytest.raises(InGap):
                    resolve_due(text(local), change.zone, fold)
            before, after = (resolve_due(t, change.zone) for t in (caught.value.before, caught.value.after))
            assert before.instant < change.at <= after.instant, change
            assert after.instant - before.instant == change.size, change
            assert caught.value.before in str(caught.value)
            assert caught.value.after in str(caught.value)


def test_a_repeated_time_asks_which_from_its_first_minute_to_its_last_and_keeps_the_answer() -> None:
    for change in each(forward=False):
        for local in (
            change.first_wrong,
            change.first_wrong + change.size / 2,
            change.first_wrong + change.size - MINUTE,
        ):
            with pytest.raises(Doubled) as caught:
                resolve_due(text(local), change.zone)
            first, second = (resolve_due(text(local), change.zone, fold) for fold in (0, 1))
            assert (first.instant, second.instant) == (caught.value.first, caught.value.second), change
            assert first.instant < change.at <= second.instant, change
            assert second.instant - first.instant == change.size, change
            for due in (first, second):  # what is stored says which it was, and is read as the same instant
                assert resolve_due(due.text, due.zone) == due, change


def test_the_minutes_before_and_after_a_change_and_the_days_around_it_mean_one_instant_each() -> None:
    for change in changes():
        tz = ZoneInfo(change.zone)
        edge = change.first_wrong
        sure = [edge - MINUTE, edge + change.size, edge - DAY, edge + DAY, edge + change.size + DAY]
        for local in sure:
            if any(near(local, other) for other in changes_of(change.zone) if other is not change):
                continue  # another change of the same zone a day away speaks for itself
            due = resolve_due(text(local), change.zone)
            assert due.instant.astimezone(tz).replace(tzinfo=None) == local, change
            assert due.instant == resolve_due(text(local), change.zone, fold=1).instant, change


@cache
def changes_of(zone: str) -> tuple[Change, ...]:
    return tuple(change for change in changes() if change.zone == zone)


def near(local: datetime, change: Change) -> bool:
    return change.first_wrong <= local < change.first_wrong + change.size


def test_what_is_shown_is_what_was_stored_on_both_nights() -> None:
    """The very minute, with the name of its half where it comes twice; and no two instants look the same."""
    for change in changes():
        tz = ZoneInfo(change.zone)
        around = [change.at + n * change.size / 2 for n in range(-4, 5)]
        shown = [say_instant(instant, change.zone, change.at) for instant in around]
        for instant, words in zip(around, shown, strict=True):
            assert f"{instant.astimezone(tz):%H:%M}" in words, change
        named = change.at.astimezone(tz).tzname() != (change.at - MINUTE).astimezone(tz).tzname()
        assert len(set(shown)) == len(around) or not named, (change, shown)
        clocks = [say_clocks(instant, change.zone, "") for instant in around]
        assert len(set(clocks)) == len(around), change  # UTC stands beside it, which never repeats


def test_how_far_it_is_counts_instants_and_not_hands_of_the_clock() -> None:
    for change in changes():
        local = change.first_wrong - MINUTE
        if any(near(local, other) for other in changes_of(change.zone)):
            continue
        due = resolve_due(text(local), change.zone)
        assert say_distance(due.instant + 3 * timedelta(hours=1), due.instant) == "in 3 h", change


def test_the_grace_and_the_latest_start_are_as_long_on_both_nights_as_on_any_other() -> None:
    """An hour that is skipped makes nothing late, and one that comes twice gives nobody an hour more."""
    grace, second = timedelta(minutes=10), timedelta(seconds=1)
    for change in changes():
        local = change.first_wrong - MINUTE
        if any(near(local, other) for other in changes_of(change.zone)):
            continue
        due = resolve_due(text(local), change.zone)
        latest = latest_start(due, None, timedelta(hours=2))
        assert latest - due.instant == timedelta(hours=2), change
        edges = [due.instant - second, due.instant, due.instant + grace - second, due.instant + grace, latest]
        assert [moment(due.instant, latest, grace, t) for t in (*edges, latest + second)] == [
            Moment.BEFORE,
            Moment.DUE,
            Moment.DUE,
            Moment.LATE,
            Moment.LATE,
            Moment.EXPIRED,
        ], change


def test_a_window_over_the_change_opens_and_closes_at_its_hands_of_the_clock() -> None:
    """It is longer or shorter by the change, and a due time in it has its close as latest start."""
    whole_day = parse_window(None, "00:00", "00:00")
    for change in changes():
        tz = ZoneInfo(change.zone)
        local = change.first_wrong.replace(hour=12, minute=0, second=0)
        if abs(local - change.first_wrong) < 2 * change.size:
            continue
        due = resolve_due(text(local), change.zone)
        closing = latest_start(due, whole_day, timedelta(hours=2))
        midnight = closing.astimezone(tz)
        following = midnight.date() == (local + DAY).date()
        assert following, change
        # Some zones change at midnight, which then is skipped or comes twice.
        assert (midnight.hour, midnight.minute) == (0, 0) or near(midnight.replace(hour=0, tzinfo=None), change), (
            change
        )
