"""The whole status table of the design: for each story, the status, the sentence, and what may be done."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from opsconsole.campaign import Approval
from opsconsole.observation import Content, Counts, Observation, RunWord, Says
from opsconsole.verdict import NEXT_STEPS, RULES, Group, Status
from tests.domain.words import (
    ALL,
    APPROVAL,
    DUE,
    HOLD,
    NOW,
    at,
    console,
    dashboard,
    ended,
    host,
    line,
    running,
    stale,
    verdict,
)

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
UNAPPROVED = dashboard(approval=None)
HOST_ENDED = host(Says.ENDED, run=ended(), since=NOW - 20 * MINUTE)

STORIES: list[tuple[str, Sequence[Observation], Status, str]] = [
    ("approved and never started", (dashboard(), host()), Status.OVERDUE, "approved by ana"),
    ("nothing will start it", (dashboard(), host()), Status.OVERDUE, "nothing will start it"),
    (
        "a line will start it",
        (dashboard(), host(triggers=(line(HOUR),))),
        Status.OVERDUE,
        "mail-blasts:7 starts it",
    ),
    ("not approved", (UNAPPROVED, host()), Status.UNAPPROVED, "nobody has approved it"),
    (
        "the approval has run out",
        (dashboard(approval=replace(APPROVAL, expires=NOW - MINUTE)), host()),
        Status.UNAPPROVED,
        "expired",
    ),
    (
        "approved was other content",
        (dashboard(approval=replace(APPROVAL, digest="b" * 64)), host()),
        Status.UNAPPROVED,
        "other content",
    ),
    ("the host is out of reach", (dashboard(), stale(host())), Status.UNKNOWN, "blast-mail-prod is out of reach"),
    ("the dashboard is out of reach", (stale(dashboard()), host()), Status.UNKNOWN, "dashboard is out of reach"),
    ("a source never answered", (dashboard(), host(observed_at=None)), Status.UNKNOWN, "blast-mail-prod"),
    ("a word too old", (dashboard(), host(observed_at=NOW - HOUR)), Status.UNKNOWN, "has not been heard"),
    ("on hold", (dashboard(), host(), console(Says.NOTHING, holds=(HOLD,))), Status.HELD, "wrong subject"),
    ("a hold hides no blindness", (dashboard(), stale(host()), console(holds=(HOLD,))), Status.HELD, "mara"),
    ("running", (dashboard(), host(Says.RUNNING, run=running())), Status.SENDING, "1,587 of 2,601 accepted"),
    ("paused", (dashboard(), host(Says.PAUSED, run=running())), Status.PAUSED, "paused on blast-mail-prod"),
    ("no progress", (dashboard(), host(Says.RUNNING, run=running(12 * MINUTE))), Status.STALLED, "12 min"),
    (
        "waiting for its window is not stalling",
        (dashboard(), host(Says.RUNNING, run=running(12 * MINUTE, waiting=True, note="waiting for the window"))),
        Status.SENDING,
        "waiting for the window",
    ),
    ("running when last seen", (dashboard(), stale(host(Says.RUNNING, run=running()))), Status.UNKNOWN, "running"),
    (
        "started, no end, no owner",
        (dashboard(), host(Says.STARTED, run=running(HOUR))),
        Status.IN_DOUBT,
        "it may have been sent",
    ),
    ("in doubt, and then lost sight of", (stale(host(Says.STARTED, run=running())),), Status.IN_DOUBT, "no end"),
    ("all accepted", (dashboard(Says.SENT, run=ended()), HOST_ENDED), Status.SENT, "dashboard agrees"),
    ("sent, not recorded", (dashboard(), HOST_ENDED), Status.SENT, "2,601 accepted"),
    ("sent stays sent when its host is lost", (dashboard(Says.SENT), stale(HOST_ENDED)), Status.SENT, "sent"),
    (
        "some failed",
        (dashboard(), host(Says.ENDED, run=ended(Counts(total=2601, accepted=2590, failed=11), rc=1))),
        Status.PARTIAL,
        "11 failed",
    ),
    (
        "fewer than meant",
        (dashboard(), host(Says.ENDED, run=ended(Counts(total=5601, accepted=5258)))),
        Status.PARTIAL,
        "5,258 of 5,601",
    ),
    (
        "fewer than planned, though its runner left nobody out",
        (dashboard(), host(Says.ENDED, run=replace(ended(Counts(total=2600, accepted=2600)), planned=2601))),
        Status.PARTIAL,
        "2,600 accepted, but 2,601 were planned",
    ),
    (
        "fewer than planned, as somebody was suppressed since",
        (host(Says.ENDED, run=replace(ended(Counts(total=2600, accepted=2600, suppressed=1)), planned=2601)),),
        Status.SENT,
        "2,600 accepted",
    ),
    (
        "some unknown",
        (host(Says.ENDED, run=ended(Counts(total=2601, accepted=2599, unknown=2), rc=1)),),
        Status.PARTIAL,
        "may or may not",
    ),
    (
        "two count differently",
        (dashboard(Says.SENT, run=ended(Counts(total=2600, accepted=2600))), HOST_ENDED),
        Status.PARTIAL,
        "dashboard counts 2,600",
    ),
    (
        "nothing accepted",
        (dashboard(), host(Says.ENDED, run=ended(Counts(total=2601), rc=78))),
        Status.FAILED,
        "exit code 78",
    ),
    (
        "killed, and nobody counted",
        (dashboard(), host(Says.ENDED, run=ended(None, rc=137))),
        Status.FAILED,
        "how many were mailed isn't known",
    ),
    (
        "killed, and nobody counted, but the dashboard was told that it went out",
        (dashboard(Says.SENT), host(Says.ENDED, run=ended(None, rc=137))),
        Status.CONFLICT,
        "the run on blast-mail-prod ended with exit code 137",
    ),
    ("the dashboard says sent, the host nothing", (dashboard(Says.SENT), host()), Status.CONFLICT, "no trace"),
    (
        "the dashboard says sent, the host has no folder",
        (dashboard(Says.SENT), host(Says.ABSENT, content=None)),
        Status.CONFLICT,
        "no trace",
    ),
    (
        "the host sent, the dashboard says failed",
        (dashboard(Says.FAILED), HOST_ENDED),
        Status.CONFLICT,
        "says it failed",
    ),
    (
        "our own record of a run, and the host has none",
        (dashboard(), host(), console(Says.ENDED, run=ended(), own_runs=("r1",))),
        Status.CONFLICT,
        "no trace",
    ),
    (
        "marked as executed",
        (
            dashboard(),
            host(),
            console(Says.SENT, decided=True, since=NOW, run=RunWord(by="mara"), note="seen in the log"),
        ),
        Status.SENT,
        "marked as executed",
    ),
    (
        "cancelled",
        (dashboard(), host(), console(Says.CANCELLED, decided=True, since=NOW, run=RunWord(by="mara"))),
        Status.CANCELLED,
        "cancelled today",
    ),
    (
        "cancelled, yet it started",
        (host(Says.ENDED, run=ended()), console(Says.CANCELLED, decided=True, since=NOW - 3 * HOUR)),
        Status.CONFLICT,
        "yet blast-mail-prod",
    ),
    (
        "claimed, provably not started",
        (dashboard(), host(Says.CLAIMED, run=RunWord(by="ben", claimed_at=NOW - HOUR))),
        Status.CLAIMED,
        "provably nothing was sent",
    ),
    (
        "broke off, and left as it is",
        (
            host(Says.STARTED, run=running()),
            console(decided=True, closed=True, note="they know", run=RunWord(by="mara")),
        ),
        Status.PARTIAL,
        "closed by mara: they know",
    ),
    ("nobody knows it", (), Status.UNKNOWN, "no source knows"),
]


@pytest.mark.parametrize(("words", "status", "sentence"), [s[1:] for s in STORIES], ids=[s[0] for s in STORIES])
def test_a_story_gets_its_status_and_says_why(words: Sequence[Observation], status: Status, sentence: str) -> None:
    result = verdict(*words)
    assert (result.status, sentence in result.why) == (status, True), f"{result.status}: {result.why}"
    assert result.next_steps


@pytest.mark.parametrize(
    ("offset", "status"),
    [
        (-SECOND, Status.PENDING),
        (timedelta(0), Status.DUE),
        (10 * MINUTE - SECOND, Status.DUE),
        (10 * MINUTE, Status.OVERDUE),
        (8 * HOUR, Status.OVERDUE),
        (8 * HOUR + SECOND, Status.EXPIRED),
        (26 * HOUR, Status.EXPIRED),
    ],
)
def test_the_edges_of_the_due_time(offset: timedelta, status: Status) -> None:
    result = verdict(dashboard(), host(), now=at(offset))
    assert result.status is status


def test_expired_says_how_late_and_offers_no_send() -> None:
    result = verdict(dashboard(), host(), now=at(26 * HOUR))
    assert "overdue by 1 d 2 h" in result.why
    assert "nothing will start it" in result.why
    assert "send" not in result.next_steps
    assert {"mark", "reschedule", "cancel"} <= set(result.next_steps)
    assert result.obstacles


def test_every_status_of_the_table_is_reached_by_a_story() -> None:
    told = {story[2] for story in STORIES} | {Status.PENDING, Status.DUE, Status.OVERDUE, Status.EXPIRED}
    assert told == {status for status, _ in RULES}
    assert set(NEXT_STEPS) == set(Status)


def test_only_what_is_due_can_be_sent() -> None:
    assert verdict(dashboard(), host()).obstacles == ()
    for _, words, status, _ in STORIES:
        if status not in (Status.DUE, Status.OVERDUE):
            assert verdict(*words).obstacles


@pytest.mark.parametrize(
    ("words", "code", "blocks"),
    [
        ((dashboard(), stale(host())), "source-stale", True),
        ((dashboard(), host(clock_offset=45.0)), "clock-skew", True),
        ((dashboard(), host(clock_offset=-12.0)), "clock-skew", False),
        ((dashboard(), host(content=Content(missing=("blast_data.csv",)))), "missing-files", True),
        ((dashboard(), host(content=Content(digest="a" * 64, rows=2602))), "count-mismatch", True),
        ((dashboard(approval=replace(APPROVAL, digest="b" * 64)), host()), "content-changed", True),
        ((dashboard(), host(triggers=(line(HOUR), line(2 * HOUR)))), "scheduled-twice", True),
        ((dashboard(), HOST_ENDED), "executed-not-recorded", False),
        ((dashboard(), HOST_ENDED, console()), "foreign-run", False),
        ((dashboard(), host(), console(Says.ENDED, run=ended(), own_runs=("r1",))), "host-lost-records", True),
        ((dashboard(), host(Says.CLAIMED, run=RunWord(by="ben"))), "claimed", True),
        ((dashboard(), host(), console(open_intents=("send by mara (record 7)",))), "unresolved-intent", True),
        ((dashboard(), host(triggers=(line(HOUR, ignored_because="line 3: bad minute"),))), "cron-ignored", False),
        ((dashboard(), host(Says.ENDED, run=ended(None))), "unreconciled", False),
    ],
)
def test_a_finding_is_made_and_blocks_or_not(words: Sequence[Observation], code: str, blocks: bool) -> None:
    found = {f.code: f for f in verdict(*words).findings}
    assert code in found
    assert (found[code].severity == "block") == blocks


def test_a_line_that_fires_again_brings_a_sent_campaign_back_to_attention() -> None:
    quiet = verdict(dashboard(Says.SENT, run=ended()), HOST_ENDED)
    assert (quiet.status, quiet.group) == (Status.SENT, Group.DONE)
    loud = verdict(dashboard(Says.SENT, run=ended()), replace(HOST_ENDED, triggers=(line(3 * HOUR),)))
    assert (loud.status, loud.group) == (Status.SENT, Group.ATTENTION)
    again = next(f for f in loud.findings if f.code == "fires-again")
    assert "/etc/cron.d/mail-blasts:7" in again.text
    assert "13:52 PDT" in again.text


def test_sent_before_its_time_is_early_and_not_missed() -> None:
    run = ended(ago=2 * HOUR)
    result = verdict(dashboard(), host(Says.ENDED, run=run, since=run.ended_at))
    assert result.status is Status.SENT
    assert "sent-early" in {f.code for f in result.findings}


def test_a_rescheduled_campaign_is_judged_by_its_new_time() -> None:
    from opsconsole.campaign import Details
    from opsconsole.schedule import resolve_due

    later = resolve_due("2026-05-14 11:00", "America/Los_Angeles")
    moved = console(Says.NOTHING, decided=True, since=NOW, details=Details(due=later))
    result = verdict(dashboard(), host(), moved, now=at(26 * HOUR))
    assert result.status is Status.PENDING
    assert result.details.due == later


def test_an_approval_is_taken_from_whoever_gave_the_newest() -> None:
    newer = Approval(by="ben", at=DUE.instant - HOUR)
    assert verdict(dashboard(), host(approval=newer)).approval == newer
    assert ALL.accepted == 2601
