"""What is wrong, story by story: when it went out, who counted what, and who else may start it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from opsconsole.campaign import Details
from opsconsole.finding import Finding, Severity
from opsconsole.observation import Counts, Observation, RunWord, Says, Trigger
from opsconsole.policy import Policy
from opsconsole.schedule import Due, resolve_due
from opsconsole.verdict import Group, Status, Verdict
from tests.domain.words import (
    APPROVAL,
    DETAILS,
    DUE,
    NOW,
    POLICY,
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

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SENT = host(Says.ENDED, run=ended(), since=NOW - 20 * MINUTE)
RECORDED = dashboard(Says.SENT, run=ended(), since=NOW - 20 * MINUTE)


def found(told: Verdict, code: str) -> Finding | None:
    return next((f for f in told.findings if f.code == code), None)


def there(told: Verdict, code: str) -> Finding:
    finding = found(told, code)
    assert finding is not None, [f.code for f in told.findings]
    return finding


def going(for_: timedelta, **more: Any) -> RunWord:
    return replace(running(), started_at=NOW - for_, **more)


# Too long.


@pytest.mark.parametrize(
    ("rate", "took", "over"),
    [
        (5.0, 17 * MINUTE, False),  # 2,601 at 5 a second are 8 min 40 s; twice that is 17 min 20 s
        (5.0, 18 * MINUTE, True),
        (500.0, 9 * MINUTE, False),  # nothing is called too long within ten minutes
        (500.0, 11 * MINUTE, True),
        (None, 3 * HOUR, False),  # no rate is known: the policy's limit
        (None, 4 * HOUR + MINUTE, True),
    ],
)
def test_a_run_is_too_long_after_twice_the_time_its_audience_takes(
    rate: float | None, took: timedelta, over: bool
) -> None:
    told = verdict(dashboard(), host(Says.RUNNING, run=going(took), details=replace(DETAILS, max_rate=rate)))
    assert told.status is Status.SENDING
    assert (found(told, "overrun") is not None) == over
    assert told.group is (Group.ATTENTION if over else Group.IN_FLIGHT)


def test_a_run_that_waits_on_purpose_or_is_paused_is_never_too_long() -> None:
    waits = going(DAY, waiting=True, progress_at=NOW - HOUR)
    assert found(verdict(dashboard(), host(Says.RUNNING, run=waits)), "overrun") is None
    assert found(verdict(dashboard(), host(Says.PAUSED, run=going(DAY))), "overrun") is None


def test_an_overrun_names_its_source_its_beginning_and_its_limit() -> None:
    told = verdict(dashboard(), host(Says.RUNNING, run=going(5 * HOUR)))
    text = there(told, "overrun").text
    assert text == "running on blast-mail-prod for 5 h, since today 05:52 PDT: it should have ended within 4 h"


# Early, late, again.


def test_a_trigger_that_fires_before_it_is_due_calls_for_somebody() -> None:
    """The line says 09:00, the campaign 10:00: at nine it would go out an hour early."""
    early = Trigger(where="/etc/cron.d/mail-blasts:7", text="0 16 12 5 *", next_fire=at(-HOUR))
    told = verdict(dashboard(), host(triggers=(early,)), now=at(-2 * HOUR))
    wrong = there(told, "fires-off-time")
    assert wrong.alarm
    assert "fires today 09:00 PDT, in 1 h, 1 h before it is due (today 10:00 PDT)" in wrong.text
    assert (told.status, told.group) == (Status.PENDING, Group.ATTENTION)
    assert "host" in told.next_steps


def test_a_trigger_that_fires_after_its_latest_start_is_said_to() -> None:
    told = verdict(dashboard(), host(triggers=(replace(line(None), next_fire=at(9 * HOUR)),)), now=at(-HOUR))
    wrong = there(told, "fires-off-time")
    assert not wrong.alarm
    assert "9 h after it is due" in wrong.text
    assert "after its latest start (today 18:00 PDT)" in wrong.text


@pytest.mark.parametrize("off", [-30 * SECOND, timedelta(0), 60 * SECOND])
def test_a_trigger_that_fires_when_it_is_due_is_right(off: timedelta) -> None:
    told = verdict(dashboard(), host(triggers=(replace(line(None), next_fire=DUE.instant + off),)), now=at(-HOUR))
    assert found(told, "fires-off-time") is None
    assert (told.status, told.group) == (Status.PENDING, Group.UPCOMING)


def test_a_line_that_had_its_time_and_started_nothing_fires_next_year() -> None:
    """Cron has no year."""
    missed = replace(line(None), previous_fire=DUE.instant, next_fire=DUE.instant + 365 * DAY)
    told = verdict(dashboard(), host(triggers=(missed,)))
    assert told.status is Status.OVERDUE
    assert "had its time today 10:00 PDT and started nothing" in there(told, "fires-again").text
    assert found(told, "fires-off-time") is None


def test_a_send_under_way_isnt_disturbed_by_the_line_that_started_it() -> None:
    """It fires next year; that can wait for the end. One that fires within the day can't."""
    next_year = replace(line(None), next_fire=NOW + 365 * DAY)
    told = verdict(dashboard(), host(Says.RUNNING, run=running(), triggers=(next_year,)))
    assert not there(told, "fires-again").alarm
    assert told.group is Group.IN_FLIGHT
    told = verdict(dashboard(), host(Says.RUNNING, run=running(), triggers=(line(HOUR),)))
    assert told.group is Group.ATTENTION
    told = verdict(RECORDED, replace(SENT, triggers=(next_year,)))
    assert (told.status, told.group) == (Status.SENT, Group.ATTENTION)


def test_a_word_of_a_send_before_its_time_is_early_whoever_says_it() -> None:
    told = verdict(dashboard(Says.SENT, since=DUE.instant - HOUR), replace(SENT, run=ended(ago=2 * HOUR)))
    texts = [f.text for f in told.findings if f.code == "sent-early"]
    assert len(texts) == 2
    assert "dashboard says it began today 09:00 PDT, 1 h before it was due" in texts


# Twice.


def queue(says: Says = Says.SCHEDULED, **more: Any) -> Observation:
    """A job queue that starts things by itself."""
    return host(says, source="jobs", content=None, details=Details(), **({"since": NOW + HOUR} | more))


def test_two_triggers_in_two_systems_are_one_too_many() -> None:
    told = verdict(dashboard(), host(triggers=(line(HOUR),)), queue())
    twice = there(told, "scheduled-twice")
    assert twice.severity is Severity.BLOCK
    assert twice.text == (
        "2 triggers would start it: /etc/cron.d/mail-blasts:7 today 11:52 PDT, in 1 h, jobs today 11:52 PDT"
    )
    assert told.group is Group.ATTENTION


def test_a_trigger_that_was_switched_off_is_no_trigger_and_nothing_wrong() -> None:
    off = line(2 * HOUR, off=True, ignored_because="switched off by the console")
    told = verdict(dashboard(), host(triggers=(line(HOUR), off)))
    assert found(told, "scheduled-twice") is None
    assert found(told, "cron-ignored") is None


def test_a_line_that_fires_whenever_its_machine_starts_counts_as_one() -> None:
    told = verdict(dashboard(), host(triggers=(line(HOUR), line(None, at_boot=True))))
    assert "when its machine starts" in there(told, "scheduled-twice").text


def test_two_claims_in_two_places_are_one_too_many() -> None:
    claim = RunWord(by="ben", claimed_at=NOW)
    told = verdict(host(Says.CLAIMED, run=claim), queue(Says.CLAIMED, run=claim))
    assert "blast-mail-prod and jobs each hold a claim to it" in there(told, "scheduled-twice").text


def test_what_cron_has_unseen_is_said() -> None:
    told = verdict(dashboard(), host(triggers_unread="/etc/crontab can't be read"))
    assert "/etc/crontab can't be read" in there(told, "triggers-unseen").text


def test_one_machine_under_two_names_blocks_a_send() -> None:
    copy = host(source="blast-mail-2", machine="4f2c" * 8)
    told = verdict(dashboard(), host(machine="4f2c" * 8), copy)
    clone = there(told, "clone")
    assert (clone.severity, clone.alarm) == (Severity.BLOCK, True)
    assert "blast-mail-2 and blast-mail-prod have one machine id (4f2c4f2c4f2c)" in clone.text
    assert found(verdict(dashboard(), host(machine="4f2c" * 8), replace(copy, machine="77" * 16)), "clone") is None
    assert found(verdict(dashboard(), host(machine=""), replace(copy, machine="")), "clone") is None
    assert found(verdict(dashboard(), host(machine="4f2c" * 8), replace(copy, says=Says.ABSENT)), "clone") is None


# Who counted what.


def test_sources_that_count_differently_are_named_with_their_numbers() -> None:
    fewer = dashboard(Says.SENT, run=ended(Counts(total=2600, accepted=2600)))
    told = verdict(fewer, SENT)
    assert told.status is Status.PARTIAL
    mismatch = there(told, "count-mismatch").text
    assert "dashboard says 2,600 accepted" in mismatch
    assert "blast-mail-prod says 2,601 accepted" in mismatch


def test_more_people_than_were_approved_is_a_mismatch_also_after_the_end() -> None:
    told = verdict(dashboard(approval=replace(APPROVAL, recipients=2500)), SENT)
    assert there(told, "count-mismatch").text == "blast-mail-prod sent to 2,601, 2,500 were approved"


@pytest.mark.parametrize(("ago", "alarm"), [(23 * HOUR, False), (24 * HOUR, True), (3 * DAY, True)])
def test_an_end_that_nobody_counted_calls_for_somebody_after_a_day(ago: timedelta, alarm: bool) -> None:
    told = verdict(
        dashboard(Says.SENT, since=NOW - ago), host(Says.ENDED, run=ended(None, ago=ago), since=NOW - ago)
    )
    unknown = there(told, "unreconciled")
    assert (told.status, unknown.alarm) == (Status.SENT, alarm)
    assert "blast-mail-prod" in unknown.text
    assert told.group is (Group.ATTENTION if alarm else Group.DONE)
    assert "mark" in told.next_steps


def test_a_person_who_marks_it_has_reconciled_it() -> None:
    marked = console(Says.SENT, decided=True, since=NOW, run=RunWord(by="mara"), note="2,601 in the provider's log")
    told = verdict(dashboard(Says.SENT), host(Says.ENDED, run=ended(None, ago=3 * DAY)), marked)
    assert found(told, "unreconciled") is None


def test_the_dashboards_word_alone_is_reconciled_by_nobody() -> None:
    told = verdict(dashboard(Says.SENT, since=NOW - HOUR), stale(host()))
    assert told.status is Status.SENT
    assert (
        "dashboard says it went out today 09:52 PDT, but no carrier tells how many"
        in there(told, "unreconciled").text
    )


# The instant that was approved.


def test_an_approval_for_another_time_blocks_until_it_is_given_again() -> None:
    approved = replace(APPROVAL, due=DUE.instant - DAY)
    told = verdict(dashboard(approval=approved), host())
    moved = there(told, "due-moved")
    assert moved.severity is Severity.BLOCK
    assert moved.text == (
        "approved by ana for yesterday 10:00 PDT, but it is due today 10:00 PDT now: approve it again"
    )
    assert told.obstacles
    assert verdict(dashboard(approval=replace(APPROVAL, due=DUE.instant)), host()).obstacles == ()


def test_who_reschedules_after_the_approval_means_the_new_time_but_not_under_four_eyes() -> None:
    later = resolve_due("2026-05-12 10:30", DUE.zone)
    approved = dashboard(approval=replace(APPROVAL, due=DUE.instant, digest="a" * 64, expires=NOW + DAY))
    moved = console(Says.NOTHING, decided=True, since=NOW - HOUR, details=Details(due=later))
    assert found(verdict(approved, host(), moved), "due-moved") is None
    assert found(verdict(approved, host(), moved, policy=replace(POLICY, four_eyes=True)), "due-moved")
    before = replace(moved, since=(APPROVAL.at or NOW) - HOUR)
    assert found(verdict(approved, host(), before), "due-moved")


def test_clock_rules_that_changed_since_it_was_decided_block_it() -> None:
    """It was rescheduled to ten under rules by which ten was another instant: nobody may guess which was meant."""
    old = Due(DUE.instant + HOUR, DUE.zone, DUE.text)
    moved = console(Says.NOTHING, decided=True, since=NOW - DAY, details=Details(due=old))
    told = verdict(dashboard(), host(), moved)
    text = there(told, "due-moved").text
    assert "2026-05-12 10:00 in America/Los_Angeles was today 11:00 PDT when it was decided" in text
    assert "is today 10:00 PDT by the clock rules known now" in text


@pytest.mark.parametrize("fold", [0, 1])
def test_a_doubled_due_time_that_was_chosen_has_not_moved(fold: int) -> None:
    due = resolve_due("2026-11-01 01:30", "America/New_York", fold)
    about = Details(due=due, zone=due.zone)
    told = verdict(dashboard(details=about), host(details=about))
    assert found(told, "due-moved") is None


# Sentences.


def test_a_conflict_says_how_long_is_left_until_it_fires() -> None:
    """The third drill: somebody sent it yesterday, and this morning jobs for today were queued."""
    yesterday = RunWord(
        started_at=NOW - 25 * HOUR, ended_at=NOW - 24 * HOUR, counts=Counts(total=830, accepted=830)
    )
    provider = dashboard(Says.SENT, source="provider", records=False, run=yesterday, since=NOW - 24 * HOUR)
    job = Trigger(where="jobs 12 to 841", text="send", next_fire=NOW + 12 * MINUTE)
    told = verdict(provider, queue(since=NOW + 12 * MINUTE, triggers=(job,), keeps_traces=False))
    assert told.status is Status.CONFLICT
    assert told.why == (
        "provider says it was sent yesterday 10:52 PDT, 830 accepted; jobs has it scheduled today 11:04 PDT; "
        "jobs 12 to 841 starts it today 11:04 PDT, in 12 min"
    )
    assert told.obstacles
    assert "hold" in told.next_steps


@pytest.mark.parametrize(
    ("words", "now", "sentence"),
    [
        (
            (dashboard(), host(triggers=(line(HOUR),))),
            NOW,
            "approved by ana May 9 10:00 PDT (t-9a8cae17), never started by the word of blast-mail-prod; "
            "due today 10:00 PDT; /etc/cron.d/mail-blasts:7 starts it today 11:52 PDT, in 1 h",
        ),
        (
            (dashboard(), host()),
            at(-HOUR),
            "approved by ana May 9 10:00 PDT (t-9a8cae17), due today 10:00 PDT, in 1 h; nothing will start it",
        ),
        (
            (dashboard(approval=None), host()),
            at(-HOUR),
            "nobody has approved it; due today 10:00 PDT, in 1 h",
        ),
        (
            (dashboard(Says.SENT, since=at(-DAY)), host()),
            NOW,
            "dashboard says it was sent yesterday 10:00 PDT; blast-mail-prod has no trace of a run, asked today "
            "10:51 PDT",
        ),
        (
            (dashboard(), host(Says.RUNNING, run=running(12 * MINUTE))),
            NOW,
            "running on blast-mail-prod, but nothing has moved for 12 min, since today 10:40 PDT, at 1,587 of "
            "2,601 accepted",
        ),
        (
            (dashboard(), host(Says.CLAIMED, run=RunWord(by="ben", claimed_at=NOW - HOUR))),
            NOW,
            "claimed today 09:52 PDT by ben on blast-mail-prod and not started: provably nothing was sent under "
            "this claim",
        ),
        (
            (dashboard(), stale(host(triggers=(line(HOUR),)))),
            NOW,
            "blast-mail-prod is out of reach since today 10:41 PDT: a start there would not be seen; "
            "/etc/cron.d/mail-blasts:7 starts it today 11:52 PDT, in 1 h",
        ),
    ],
)
def test_a_sentence_names_sources_and_times(words: tuple[Observation, ...], now: Any, sentence: str) -> None:
    assert verdict(*words, now=now).why == sentence


def test_nothing_is_told_of_an_hour_nobody_knows() -> None:
    """A word without an instant leaves no hole in the sentence."""
    told = verdict(dashboard(Says.FAILED), host(Says.ENDED, run=replace(ended(), started_at=None, ended_at=None)))
    assert told.why.startswith("blast-mail-prod says it was sent, 2,601 accepted; dashboard says it failed")
    assert "  " not in told.why


def test_the_limits_are_the_teams() -> None:
    short = Policy(max_run=HOUR, min_max_run=MINUTE, unreconciled_after=HOUR)
    assert found(verdict(dashboard(), host(Says.RUNNING, run=going(2 * HOUR)), policy=short), "overrun")
    ago = host(Says.ENDED, run=ended(None, ago=2 * HOUR), since=NOW - 2 * HOUR)
    assert there(verdict(RECORDED, ago, policy=short), "unreconciled").alarm
