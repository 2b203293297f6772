"""Who must be told, and when: once for each transition, dated to when it became true, never for what passes."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from opsconsole.attention import Attention, Event, Transition, advance
from opsconsole.board import Board, assemble
from opsconsole.observation import Counts, Observation, Report, Says
from opsconsole.policy import Policy
from opsconsole.verdict import Status
from tests.domain.words import DUE, SLUG, at, dashboard, ended, host, line

LATE = at(Policy().start_grace)  # the instant from which on it is overdue
MINUTE = timedelta(minutes=1)


def board(now: datetime, *words: Observation, heard: timedelta = timedelta(seconds=5)) -> Board:
    """The board at `now`; every source that isn't out of reach answered `heard` ago."""
    reports = {}
    for word in words:
        seen = word.observed_at if word.out_of_reach_since else now - heard
        word = replace(word, observed_at=seen)
        reports[word.source] = Report(
            source=word.source,
            looked_at=seen or now,
            fresh_for=word.fresh_for,
            observations=(word,),
            keeps_traces=word.keeps_traces,
            trouble=word.trouble,
            out_of_reach_since=word.out_of_reach_since,
        )
    return assemble(reports, Policy(), now)


class Story:
    """Looks one after another, and what each changed."""

    def __init__(self) -> None:
        self.known = Attention()

    def look(self, seen: Board, whole: bool = True) -> tuple[Transition, ...]:
        self.known, changes = advance(self.known, seen, environment="prod", policy=Policy(), whole=whole)
        return changes

    def told(self, seen: Board) -> list[tuple[str, str]]:
        return [(str(c.event), c.alarm.status) for c in self.look(seen)]


def gone(since: datetime, **more: Any) -> Observation:
    """The host, out of reach."""
    return host(observed_at=since - timedelta(seconds=5), out_of_reach_since=since, trouble="no answer", **more)


def test_m1_what_is_overdue_is_told_once_and_dated_to_the_end_of_its_grace() -> None:
    story = Story()
    assert story.told(board(at(-MINUTE), host(), dashboard())) == []
    assert story.told(board(at(MINUTE), host(), dashboard())) == [], "DUE needs nobody yet"
    (change,) = story.look(board(LATE + 7 * MINUTE, host(), dashboard()))
    assert (change.event, change.alarm.status) == (Event.TRIGGER, "OVERDUE")
    assert change.at == change.alarm.since == LATE, "not to when it was noticed"
    assert change.alarm.noticed == LATE + 7 * MINUTE
    assert change.alarm.key == f"prod/{SLUG}/OVERDUE/{DUE.instant:%Y-%m-%dT%H:%M:%SZ}"
    for later in range(8, 40):
        assert story.told(board(LATE + later * MINUTE, host(), dashboard())) == []


def test_a_start_just_in_time_is_waited_for_before_anybody_is_paged() -> None:
    story = Story()
    now = LATE + timedelta(seconds=2)
    assert story.told(board(now, host(), dashboard(), heard=timedelta(seconds=30))) == [], "seen before it was late"
    run = ended(ago=timedelta(0))
    started = host(
        Says.RUNNING, run=replace(run, started_at=LATE - MINUTE, ended_at=None, progress_at=now, rc=None)
    )
    assert story.told(board(now + timedelta(seconds=10), started, dashboard())) == []


def test_m2_a_silent_host_is_unknown_and_told_apart_from_late() -> None:
    story = Story()
    lost = at(-5 * MINUTE)
    changes = []
    for minute in range(-4, 60):
        changes += story.look(board(at(minute * MINUTE), gone(lost), dashboard()))
    (change,) = changes
    assert (change.alarm.status, change.alarm.severity) == ("UNKNOWN", "warning")
    assert change.alarm.since == lost
    assert change.alarm.thread == "prod/UNKNOWN/blast-mail-prod", "one for all campaigns of this host"
    back = story.look(board(at(60 * MINUTE), host(), dashboard()))
    assert [(c.event, c.alarm.status) for c in back] == [(Event.RESOLVE, "UNKNOWN"), (Event.TRIGGER, "OVERDUE")]
    assert back[1].at == LATE, "what was missed meanwhile is dated to when it was"


def test_a_source_that_flaps_pages_nobody() -> None:
    story = Story()
    for minute in range(0, 60, 2):
        lost = at(-2 * timedelta(hours=1) + minute * MINUTE)
        assert story.told(board(lost, gone(lost), dashboard())) == []
        assert story.told(board(lost + MINUTE, gone(lost), dashboard())) == [], "blind for less than its limit"
        assert story.told(board(lost + 2 * MINUTE - timedelta(seconds=1), host(), dashboard())) == []


def test_trouble_that_is_known_is_not_told_again_because_a_source_falls_silent() -> None:
    story = Story()
    assert story.told(board(LATE + MINUTE, host(), dashboard())) == [("trigger", "OVERDUE")]
    lost = LATE + 2 * MINUTE
    for minute in range(2, 20):
        assert story.told(board(LATE + minute * MINUTE, gone(lost), dashboard())) == []
    assert story.told(board(LATE + 20 * MINUTE, host(), dashboard())) == []


def test_m3_after_a_night_asleep_there_is_one_notice_with_the_true_instants() -> None:
    story = Story()
    story.look(board(at(-timedelta(hours=1)), host(), dashboard()))
    woke = at(timedelta(hours=1))
    asleep = host(observed_at=at(-timedelta(hours=1)))
    old = board(woke, asleep, dashboard(), heard=timedelta(hours=2))
    assert old.verdicts[0].status is Status.UNKNOWN
    assert story.told(old) == [], "being asleep is no trouble of the campaign's"
    (change,) = story.look(board(woke + timedelta(seconds=2), host(), dashboard(), heard=timedelta(seconds=1)))
    assert (change.alarm.status, change.at) == ("OVERDUE", LATE)


def test_worse_is_told_and_ends_what_was_told_before() -> None:
    story = Story()
    story.look(board(LATE + MINUTE, host(), dashboard()))
    expired = story.look(board(at(timedelta(hours=30)), host(), dashboard()))
    assert [(c.event, c.alarm.status) for c in expired] == [(Event.RESOLVE, "OVERDUE"), (Event.TRIGGER, "EXPIRED")]
    assert expired[1].at < at(timedelta(hours=30)), "dated to the last instant at which it could start"
    in_doubt = host(Says.STARTED, run=replace(ended(), ended_at=None, rc=None))
    assert story.told(board(at(timedelta(hours=31)), in_doubt, dashboard())) == [
        ("resolve", "EXPIRED"),
        ("trigger", "IN DOUBT"),
    ]


def test_what_needs_nobody_any_more_ends_with_the_key_it_began_with() -> None:
    story = Story()
    (begun,) = story.look(board(LATE + MINUTE, host(), dashboard()))
    (end,) = story.look(board(LATE + 9 * MINUTE, host(Says.CANCELLED, decided=True), dashboard(Says.CANCELLED)))
    assert (end.event, end.alarm.key) == (Event.RESOLVE, begun.alarm.key)
    assert end.at == LATE + 9 * MINUTE


def test_a_campaign_that_is_gone_ends_only_when_every_source_was_heard() -> None:
    story = Story()
    story.look(board(LATE + MINUTE, host(), dashboard()))
    empty = Board(at=LATE + 2 * MINUTE, verdicts=(), sources=())
    assert story.look(empty, whole=False) == ()
    (end,) = story.look(empty, whole=True)
    assert end.event is Event.RESOLVE


def test_a_second_attempt_that_breaks_off_is_told_though_the_first_was() -> None:
    story = Story()
    broken = Counts(total=2601, accepted=1000, failed=3)
    first = host(Says.ENDED, run=ended(broken))
    assert story.told(board(at(timedelta(hours=1)), first, dashboard())) == [("trigger", "PARTIAL")]
    second = host(Says.ENDED, run=ended(broken, attempt=2))
    assert story.told(board(at(timedelta(hours=2)), second, dashboard())) == [
        ("resolve", "PARTIAL"),
        ("trigger", "PARTIAL"),
    ]


def test_a_finding_on_what_is_done_is_told_when_it_lasts_and_each_once() -> None:
    story = Story()
    again = line(timedelta(days=300))
    sent = host(Says.ENDED, run=ended(), triggers=(again,))
    done = dashboard(Says.SENT)
    start = at(timedelta(hours=1))
    assert story.told(board(start, sent, done)) == [], "an outcome that is just being recorded looks like this too"
    (change,) = story.look(board(start + 2 * MINUTE, sent, done))
    assert (change.alarm.status, change.alarm.severity) == ("SENT", "critical")
    assert "fires again" in change.alarm.why, "not merely that it was sent"
    assert change.at == start, "when it was first seen"
    assert story.told(board(start + 9 * MINUTE, sent, done)) == []
    mended = host(Says.ENDED, run=ended())
    assert story.told(board(start + 10 * MINUTE, mended, done)) == [("resolve", "SENT")]


def test_a_finding_goes_on_being_the_same_while_its_campaign_moves_on() -> None:
    story = Story()
    twice = (line(timedelta(hours=1)), replace(line(timedelta(hours=2)), where="/etc/cron.d/other:3"))
    for minutes in (-30, -20):
        story.look(board(at(minutes * MINUTE), host(triggers=twice), dashboard()))
    assert [alarm.codes for alarm in story.known.standing.values()] == [("scheduled-twice",)]
    assert story.told(board(at(MINUTE), host(triggers=twice), dashboard())) == [], "DUE now, and no news"
    assert story.told(board(LATE + MINUTE, host(triggers=twice), dashboard()))[-1] == ("trigger", "OVERDUE")


@pytest.mark.parametrize("back", [timedelta(hours=-3), timedelta(hours=3)])
def test_a_clock_that_was_set_makes_nobody_late_before_the_sources_were_asked_again(back: timedelta) -> None:
    story = Story()
    seen = at(-MINUTE)
    story.look(board(seen, host(), dashboard()))
    moved = seen + back
    stale = board(moved, host(observed_at=seen), dashboard(), heard=moved - seen)
    assert story.told(stale) == []
