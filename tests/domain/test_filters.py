"""The query language of the board: what is kept, what a wrong word is told, and how dates are read."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from opsconsole import filters
from opsconsole.board import Board, assemble
from opsconsole.duerange import DueError, parse_due
from opsconsole.filters import FilterError, Query
from opsconsole.observation import Observation, Report, Says, Trigger
from opsconsole.policy import Policy
from tests.screens.told import FRESH, NOW, PACIFIC, campaign, due, run

AGAIN = Trigger(
    where="/etc/cron.d/mail-blasts:4",
    text="0 14 12 5 * blast /usr/local/bin/mail-blast-runner --campaign summer --mode send",
    next_fire=NOW + timedelta(hours=3),
)
ENDED = run(timedelta(days=1), 830, 830, ended_at=NOW - timedelta(hours=23), rc=0)


def reports(*campaigns: Mapping[str, Observation]) -> dict[str, Report]:
    """What blast host and dashboard say of these."""
    found = {}
    for source in ("blast-mail-prod", "dashboard"):
        words = tuple(c[source] for c in campaigns if source in c)
        found[source] = Report(
            source=source,
            looked_at=NOW,
            fresh_for=FRESH,
            observations=words,
            keeps_traces=source != "dashboard",
        )
    return found


def told(*campaigns: Mapping[str, Observation]) -> Board:
    """The board on what they say."""
    return assemble(reports(*campaigns), Policy(), NOW)


ONLY_HOST = {"blast-mail-prod": campaign("host-only", when=due("2026-05-13 09:00"))["blast-mail-prod"]}
BOARD = told(
    campaign("late", when=due("2026-05-12 10:00"), owner="Ana Ruiz", name="Paul Simon presale"),
    campaign("w1", when=due("2026-05-13 08:00"), series="Welcome", round=1, rounds=2, owner="joanna"),
    campaign("w2", when=due("2026-05-20 08:00"), series="Welcome", round=2, rounds=2),
    campaign("blind", when=due("2026-05-12 12:30"), approved=""),
    campaign("timeless"),
    campaign(
        "summer",
        when=due("2026-05-11 10:00"),
        says=Says.ENDED,
        run=ENDED,
        dashboard=Says.SENT,
        cron=AGAIN,
        rows=830,
    ),
    ONLY_HOST,
)


def query(text: str, zone: str = PACIFIC, now: datetime = NOW) -> Query:
    return filters.parse(text, zone, now)


def found(text: str) -> set[str]:
    return {v.slug for v in query(text).of(BOARD.verdicts)}


@pytest.mark.parametrize(
    ("text", "slugs"),
    [
        ("", {"late", "w1", "w2", "blind", "timeless", "summer", "host-only"}),
        ("PAUL simon", {"late"}),
        ("paul !simon", set()),
        ('"simon presale"', {"late"}),
        ('text:"presale paul"', set()),
        ("status:overdue", {"late"}),
        ("status:OVERDUE,sent", {"late", "summer"}),
        ("!status:pending,unapproved,overdue", {"summer"}),
        ("group:upcoming due:tomorrow", {"w1", "host-only"}),
        ("source:dashboard", {"late", "w1", "w2", "blind", "timeless", "summer"}),
        ("!source:dashboard", {"host-only"}),
        ("series:welcome", {"w1", "w2"}),
        ("owner:ana", {"late"}),
        ('owner:"ana ruiz"', {"late"}),
        ("owner:none series:none due:none", {"timeless"}),
        ("due:today", {"late", "blind"}),
        ("due:<now", {"late", "summer"}),
        ("due:now..2h", {"blind"}),
        ("due:>tomorrow", {"w2"}),
        ("due:2026-05-13..2026-05-20", {"w1", "w2", "host-only"}),
        ("due:..yesterday,2026-05-20..", {"summer", "w2"}),
        ("due:10:00", {"late"}),
        ("finding:fires-again", {"summer"}),
    ],
)
def test_each_condition_keeps_those_that_hold_and_no_other(text: str, slugs: set[str]) -> None:
    assert found(text) == slugs


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stauts:overdue", "There is no filter 'stauts'. Did you mean 'status'?"),
        ("http://x", "There is no filter 'http'."),
        ("status:overdu", "There is no status 'overdu'. Did you mean 'overdue'?"),
        ("group:atention", "Did you mean 'attention'?"),
        ("sort:dew", "Did you mean 'due'?"),
        ("status:", "status: what? conflict, in-doubt"),
        ("owner: ana", 'owner: what? Write owner:word, or owner:"two words".'),
        ('text:"two', "is never closed"),
        ("due:<tomorow", "Did you mean 'tomorrow'?"),
        ("due:2h", "write <2h for before it, >2h for after it"),
        ("due:2026-13-01", "is on no calendar or clock"),
        ("due:tomorrow..today", "ends before it begins"),
        ("due:2026-05-14..2026-05-01", "ends before it begins"),
        ("due:..", "A range needs a beginning or an end"),
        ("due:>9999-12-31", "too far off"),
        ("!sort:due", "sort:-due"),
    ],
)
def test_a_query_that_cannot_be_read_says_what_was_likely_meant(text: str, says: str) -> None:
    with pytest.raises(FilterError) as error:
        query(text)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("series:welcom", "No campaign here has the series 'welcom'. Did you mean 'welcome'?"),
        ("source:dashbord", "No campaign here has the source 'dashbord'. Did you mean 'dashboard'?"),
        ("status:overdue finding:fires", "No campaign here has the finding 'fires'. Did you mean 'fires-again'?"),
        ("series:welcome status:sent", ""),
        ("!series:welcom", ""),
    ],
)
def test_an_empty_answer_names_the_word_nobody_has(text: str, says: str) -> None:
    assert query(text).unknown(BOARD.verdicts) == says


@pytest.mark.parametrize(
    ("typed", "good", "says"),
    [
        ("paul status:over", "paul", "Did you mean 'overdue'?"),
        ("status:overdue  stauts:x !sent", "status:overdue !sent", "Did you mean 'status'?"),
        ('due:today text:"two words sort:due', "due:today", "never closed"),
        ("owner:,", "", "owner: what?"),
        ("paul", "paul", ""),
    ],
)
def test_what_is_half_typed_narrows_nothing_and_the_rest_holds(typed: str, good: str, says: str) -> None:
    kept, wrong = filters.readable(typed, PACIFIC, NOW)
    assert kept == good
    assert says in wrong
    assert bool(says) is bool(wrong)


def test_a_query_carries_its_order_and_another_on_top_narrows_it_further() -> None:
    view = query("group:upcoming sort:-due")
    assert [v.slug for v in view.shown(BOARD.verdicts)][:2] == ["w2", "host-only"]
    both = view.also(query("series:welcome"))
    assert [v.slug for v in both.shown(BOARD.verdicts)] == ["w2", "w1"]
    assert [v.slug for v in both.also(query("sort:slug")).shown(BOARD.verdicts)] == ["w1", "w2"]
    assert {v.slug for v in query("status:sent w").without("status").of(BOARD.verdicts)} >= {"w1", "w2"}


@pytest.mark.parametrize(
    ("typed", "grown"),
    [
        ("stat", "status:"),
        ("!stat", "!status:"),
        ("x status:overdue,pe", "x status:overdue,pending"),
        ("series:we", "series:welcome"),
        ("sort:-mo", "sort:-moved"),
        ("s", ""),
        ("", ""),
        ("status:overdue", ""),
        ("nothing:x", ""),
        ("owner:an", ""),
    ],
)
def test_the_word_being_typed_is_completed_from_the_language_and_the_board(typed: str, grown: str) -> None:
    assert filters.completed(typed, BOARD.verdicts) == grown


@pytest.mark.parametrize("series", ["we\x1b[2J", "we\u202elcome", "we lcome"])
def test_what_a_terminal_would_obey_is_never_put_into_the_field(series: str) -> None:
    board = told(campaign("x", series=series))
    assert filters.completed("series:we", board.verdicts) == ""


def test_words_are_read_in_the_operators_zone() -> None:
    """Given 17:52 UTC, in Tokyo it is the next day already."""
    assert parse_due("today", "Asia/Tokyo", NOW).first == datetime(2026, 5, 12, 15, tzinfo=UTC)
    assert parse_due("today", "", NOW).first == datetime(2026, 5, 12, tzinfo=UTC)


def test_a_day_of_a_clock_change_is_as_long_as_it_is() -> None:
    assert length("2026-03-29", "Europe/Paris") == timedelta(hours=23)
    assert length("2026-10-25", "Europe/Paris") == timedelta(hours=25)


def length(day: str, zone: str) -> timedelta:
    span = parse_due(day, zone, NOW)
    assert span.first is not None
    assert span.end is not None
    return span.end - span.first


def test_a_doubled_time_stands_for_both_and_a_midnight_that_is_skipped_is_the_change_itself() -> None:
    doubled = parse_due("2026-10-25T02:30", "Europe/Paris", NOW)
    assert doubled.holds(datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
    assert doubled.holds(datetime(2026, 10, 25, 1, 30, tzinfo=UTC))
    assert length("2026-03-29", "Asia/Beirut") == timedelta(hours=23)  # 00:00 becomes 01:00
    assert parse_due("2026-03-28", "Asia/Beirut", NOW).end == parse_due("2026-03-29", "Asia/Beirut", NOW).first


def test_a_range_that_time_has_overtaken_is_empty_and_no_error() -> None:
    """Given a view saved long ago, it still reads: an error would hide nothing less, and stop a configuration."""
    assert not parse_due("today..2026-05-01", "UTC", NOW).holds(NOW)
    assert not parse_due("10:00..1h", "UTC", NOW - timedelta(hours=12)).holds(NOW)


def test_a_range_open_on_one_side_has_no_limit_there() -> None:
    assert parse_due("today..", "UTC", NOW).end is None
    assert parse_due("..-2h", "UTC", NOW).end == NOW - timedelta(hours=2)
    with pytest.raises(DueError):
        parse_due("99999w..", "UTC", datetime(9999, 1, 1, tzinfo=UTC))
