"""Rounds of one series: the order they go out in, one a day, each once, none left out; across time zones."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opsconsole import rounds
from opsconsole import verdict as verdict_module
from opsconsole.board import assemble, judge_one
from opsconsole.campaign import Details
from opsconsole.finding import Finding, Severity
from opsconsole.observation import Counts, Observation, Report, RunWord, Says
from opsconsole.policy import Policy
from opsconsole.present import verdict_json
from opsconsole.schedule import resolve_due
from opsconsole.verdict import Group, Status, Verdict, broken
from tests.domain.words import APPROVAL, console, host

LONDON, NOW = "Europe/London", datetime(2026, 5, 12, 9, 5, tzinfo=UTC)  # 10:05 in London
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ALL = Counts(total=830, accepted=830)


def letter(number: int, due: str, says: Says = Says.NOTHING, *, slug: str = "", **more: Any) -> Observation:
    """A round of the client letter as the host has it; one that ended began when it was due."""
    zone = more.pop("zone", LONDON)
    about = Details(due=resolve_due(due, zone), zone=zone, series=more.pop("series", "Client letter"))
    began = more.pop("began", about.due.instant if about.due else NOW)
    run = RunWord(started_at=began, ended_at=began + HOUR, counts=ALL, rc=0) if says is Says.ENDED else None
    if says in (Says.RUNNING, Says.STARTED):
        run = RunWord(started_at=began, progress_at=NOW)
    return host(
        says,
        slug=slug or f"letter-r{number}",
        observed_at=more.pop("observed_at", NOW),
        details=replace(about, round=number, rounds=more.pop("rounds", 3)),
        approval=replace(APPROVAL, recipients=None),
        content=None,
        run=run,
        since=began + HOUR if says is Says.ENDED else None,
        **more,
    )


def told(*words: Observation) -> Mapping[str, Report]:
    """What each source reports."""
    return {
        name: Report(
            source=name,
            looked_at=NOW,
            fresh_for=timedelta(seconds=90),
            keeps_traces=name != "console",
            observations=tuple(o for o in words if o.source == name),
        )
        for name in {o.source for o in words}
    }


def judged(*words: Observation) -> dict[str, Verdict]:
    """The board's verdicts by slug; one looked at alone must be the very same."""
    reports = told(*words)
    verdicts = {v.slug: v for v in assemble(reports, Policy(), NOW).verdicts}
    for slug, verdict in verdicts.items():
        assert judge_one(reports, slug, Policy(), NOW) == verdict
    return verdicts


def said(verdict: Verdict, code: str) -> Finding | None:
    return next((f for f in verdict.findings if f.code == code), None)


def codes(verdict: Verdict) -> set[str]:
    return {f.code for f in verdict.findings if f.code.startswith("round")}


def test_rounds_that_go_out_one_after_another_have_nothing_wrong() -> None:
    found = judged(
        letter(1, "2026-04-28 10:00", Says.ENDED), letter(2, "2026-05-12 10:00"), letter(3, "2026-05-26 10:00")
    )
    assert {slug: codes(v) for slug, v in found.items()} == {f"letter-r{n}": set() for n in (1, 2, 3)}
    assert (found["letter-r2"].status, found["letter-r2"].obstacles) == (Status.DUE, ())


@pytest.mark.parametrize(
    ("first", "status"),
    [
        (letter(1, "2026-05-11 10:00"), Status.EXPIRED),
        (letter(1, "2026-05-12 09:00", Says.RUNNING), Status.SENDING),
        (letter(1, "2026-05-11 10:00", Says.STARTED), Status.IN_DOUBT),
        (letter(1, "2026-05-11 10:00", observed_at=NOW - HOUR), Status.UNKNOWN),
        (replace(letter(1, "2026-05-11 10:00", Says.ENDED), says=Says.FAILED, run=None), Status.FAILED),
    ],
    ids=lambda value: str(value) if isinstance(value, Status) else "",
)
def test_round_two_waits_for_round_one_to_be_done(first: Observation, status: Status) -> None:
    found = judged(first, letter(2, "2026-05-12 10:00"))
    assert found["letter-r1"].status is status
    blocked = said(found["letter-r2"], "round-out-of-order")
    assert blocked is not None
    assert blocked.severity is Severity.BLOCK
    assert f"round 1 (letter-r1) comes first, and it is {status}" in blocked.text
    assert any("round 1 (letter-r1)" in obstacle for obstacle in found["letter-r2"].obstacles)


def test_a_round_that_was_called_off_holds_nobody_up() -> None:
    off = console(
        Says.CANCELLED, slug="letter-r1", decided=True, since=NOW - DAY, observed_at=NOW, run=RunWord(by="mara")
    )
    found = judged(letter(1, "2026-05-11 10:00"), off, letter(2, "2026-05-12 10:00"))
    assert found["letter-r1"].status is Status.CANCELLED
    assert found["letter-r2"].obstacles == ()


def test_a_round_to_come_isnt_blocked_by_one_before_it_that_is_to_come_too() -> None:
    found = judged(letter(1, "2026-05-13 10:00"), letter(2, "2026-05-20 10:00"))
    assert codes(found["letter-r2"]) == set()


def test_round_two_due_before_round_one_is_said_weeks_before() -> None:
    found = judged(letter(1, "2026-06-10 10:00"), letter(2, "2026-06-03 10:00"))
    blocked = said(found["letter-r2"], "round-out-of-order")
    assert blocked is not None
    assert "due Jun 10 10:00 BST" in blocked.text
    assert codes(found["letter-r1"]) == set()


def test_round_two_gone_before_round_one_calls_for_somebody_and_leaves_round_one_to_a_person() -> None:
    found = judged(
        letter(1, "2026-05-12 10:00"), letter(2, "2026-05-11 10:00", Says.ENDED), letter(3, "2026-05-26 10:00")
    )
    gone = said(found["letter-r2"], "round-out-of-order")
    assert gone is not None
    assert gone.alarm
    assert "went out yesterday 10:00 BST before round 1 (letter-r1), which is DUE" in gone.text
    assert (found["letter-r2"].status, found["letter-r2"].group) == (Status.SENT, Group.ATTENTION)
    left = said(found["letter-r1"], "round-out-of-order")
    assert left is not None
    assert left.severity is Severity.WARN
    assert found["letter-r1"].obstacles == ()


def test_out_of_order_long_ago_stays_on_record_and_calls_for_nobody() -> None:
    found = judged(
        letter(1, "2026-04-20 10:00", Says.ENDED, began=NOW - 5 * DAY), letter(2, "2026-04-21 10:00", Says.ENDED)
    )
    late = said(found["letter-r2"], "round-out-of-order")
    assert late is not None
    assert not late.alarm
    assert found["letter-r2"].group is Group.DONE


def test_two_rounds_on_one_day_warn_the_one_that_can_still_be_moved() -> None:
    """The third drill: somebody sent it this morning by hand, and the next round is set for today as well."""
    found = judged(letter(2, "2026-05-12 08:00", Says.ENDED), letter(3, "2026-05-12 14:00"))
    warned = said(found["letter-r3"], "rounds-same-day")
    assert warned is not None
    assert warned.severity is Severity.WARN
    assert "round 2 (letter-r2) went out today 08:00 BST, on the same day in Europe/London" in warned.text
    assert said(found["letter-r2"], "rounds-same-day") is None


def test_a_late_round_goes_out_today_whatever_day_it_was_due() -> None:
    """Round 2 was due yesterday evening and could still go out now: on the very day of round 3."""
    window = replace(letter(2, "2026-05-11 23:30"), details=_open_all_day(letter(2, "2026-05-11 23:30").details))
    found = judged(window, letter(3, "2026-05-12 14:00"))
    assert found["letter-r2"].status is Status.OVERDUE
    assert said(found["letter-r2"], "rounds-same-day") is not None
    assert said(found["letter-r3"], "rounds-same-day") is not None


def _open_all_day(details: Details) -> Details:
    return replace(details, latest_start=NOW + HOUR)


@pytest.mark.parametrize(
    ("zone", "one", "other", "same"),
    [
        # 23:30 and 00:30 are an hour apart and two days; in UTC they are one day.
        ("America/Los_Angeles", "2026-06-01 23:30", "2026-06-02 00:30", False),
        ("America/Los_Angeles", "2026-06-01 00:30", "2026-06-01 23:30", True),  # two days in UTC
        ("Pacific/Auckland", "2026-06-01 00:30", "2026-06-01 23:30", True),
        ("Europe/London", "2026-10-25 00:15", "2026-10-25 23:45", True),  # a day of 25 hours
        ("Europe/London", "2026-03-28 23:45", "2026-03-29 00:15", False),
    ],
)
def test_a_day_is_a_day_of_the_campaigns_zone(zone: str, one: str, other: str, same: bool) -> None:
    found = judged(letter(1, one, zone=zone), letter(2, other, zone=zone))
    assert (said(found["letter-r2"], "rounds-same-day") is not None) == same


def test_rounds_in_two_zones_are_on_one_day_when_they_are_so_in_either() -> None:
    """22:00 in New York is the next day in London, where both come on June 2."""
    found = judged(
        letter(1, "2026-06-01 22:00", zone="America/New_York"), letter(2, "2026-06-02 09:00", zone="Europe/London")
    )
    for slug in ("letter-r1", "letter-r2"):
        warned = said(found[slug], "rounds-same-day")
        assert warned is not None
        assert "same day in Europe/London" in warned.text


def test_the_same_round_twice_is_blocked_once_one_has_gone_out() -> None:
    found = judged(
        letter(2, "2026-05-11 10:00", Says.ENDED, slug="letter-two"), letter(2, "2026-05-12 10:00"), _first()
    )
    twice = said(found["letter-r2"], "round-twice")
    assert twice is not None
    assert twice.severity is Severity.BLOCK
    assert "has gone out already, as letter-two yesterday 10:00 BST" in twice.text
    assert (found["letter-r2"].status, found["letter-r2"].group) == (Status.DUE, Group.ATTENTION)


def test_two_that_claim_the_same_round_block_each_other_until_one_is_cancelled() -> None:
    two = (letter(2, "2026-06-11 10:00", slug="letter-two"), letter(2, "2026-06-12 10:00"), _first())
    found = judged(*two)
    assert {"letter-two", "letter-r2"} == {s for s, v in found.items() if said(v, "round-twice")}
    off = console(Says.CANCELLED, slug="letter-two", decided=True, since=NOW, observed_at=NOW)
    found = judged(*two, off)
    assert {s for s, v in found.items() if said(v, "round-twice")} == set()


@pytest.mark.parametrize(("ago", "loud"), [(HOUR, True), (25 * HOUR, False)])
def test_a_round_sent_twice_calls_for_somebody_for_a_day(ago: timedelta, loud: bool) -> None:
    again = letter(2, "2026-05-12 10:00", Says.ENDED, began=NOW - ago)
    found = judged(letter(2, "2026-05-01 10:00", Says.ENDED, slug="letter-two"), again, _first())
    for slug in ("letter-two", "letter-r2"):
        twice = said(found[slug], "round-twice")
        assert twice is not None
        assert twice.alarm is loud
        other, when = ("letter-two", "May 1 10:00") if slug == "letter-r2" else ("letter-r2", "BST")
        assert f"went out twice: also as {other} " in twice.text
        assert when in twice.text


def test_a_round_that_nobody_knows_is_missed_by_those_after_it_that_are_to_come() -> None:
    found = judged(letter(1, "2026-04-28 10:00", Says.ENDED), letter(3, "2026-05-12 10:00"))
    missing = said(found["letter-r3"], "round-missing")
    assert missing is not None
    assert missing.severity is Severity.WARN
    assert "no source knows round 2" in missing.text
    assert codes(judged(letter(2, "2026-05-12 10:00"))["letter-r2"]) == {"round-missing"}
    assert codes(judged(letter(3, "2026-04-28 10:00", Says.ENDED))["letter-r3"]) == set()


def test_rounds_that_disagree_how_many_there_are_are_told() -> None:
    found = judged(_first(), letter(2, "2026-05-12 10:00", rounds=4))
    assert said(found["letter-r2"], "rounds-disagree") is not None
    assert said(judged(_first(), letter(4, "2026-05-12 10:00"))["letter-r4"], "rounds-disagree") is not None


def test_a_series_is_one_however_it_is_spelled_and_another_series_is_another() -> None:
    found = judged(letter(1, "2026-05-11 10:00", series=" client  LETTER"), letter(2, "2026-05-12 10:00"))
    assert codes(found["letter-r2"]) == {"round-out-of-order"}
    found = judged(_first(), letter(2, "2026-05-12 08:00", series="Newsletter"), letter(2, "2026-05-12 10:00"))
    assert codes(found["letter-r2"]) <= {"round-missing"}


def test_a_series_without_numbers_is_no_series_of_rounds() -> None:
    word = letter(1, "2026-05-12 10:00")
    plain = [replace(word, slug=slug, details=replace(word.details, round=None)) for slug in ("a", "b")]
    assert all(codes(v) == set() for v in judged(*plain).values())


def test_a_round_whose_comparing_fails_is_an_error_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its row says so, shows its sources, and can't be sent; the others of its series are judged all the same."""
    whole = rounds._round

    def fragile(verdict: Verdict, now: datetime) -> Any:
        if verdict.slug == "letter-r1":
            raise ArithmeticError("surprise")
        return whole(verdict, now)

    monkeypatch.setattr(rounds, "_round", fragile)
    found = judged(_first(), letter(2, "2026-05-12 10:00"), letter(3, "2026-05-26 10:00"))
    assert (found["letter-r1"].status, found["letter-r1"].group) == (Status.ERROR, Group.ATTENTION)
    assert "surprise" in found["letter-r1"].why
    assert found["letter-r1"].observations
    assert found["letter-r1"].obstacles
    assert (found["letter-r2"].status, found["letter-r3"].status) == (Status.DUE, Status.PENDING)


@pytest.mark.parametrize("part", ["find", "RULES"])
def test_a_campaign_whose_judging_fails_is_an_error_alone(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the status or the findings fail: the row is an ERROR, the others are as they were."""
    judging: Any = verdict_module
    before = judged(_first(), letter(2, "2026-05-12 10:00"), letter(3, "2026-05-26 10:00"))

    def fails(case: Any) -> Any:
        if case.slug == "letter-r3":
            raise ZeroDivisionError("surprise")
        return None

    if part == "find":
        whole = judging.find
        monkeypatch.setattr(judging, "find", lambda case, status: fails(case) or whole(case, status))
    else:
        monkeypatch.setattr(judging, "RULES", ((Status.CONFLICT, fails), *judging.RULES))
    after = judged(_first(), letter(2, "2026-05-12 10:00"), letter(3, "2026-05-26 10:00"))
    assert after["letter-r3"].status is Status.ERROR
    assert after["letter-r3"].observations
    assert {**after, "letter-r3": None} == {**before, "letter-r3": None}


def test_a_broken_first_round_holds_up_the_second() -> None:
    """What can't be judged isn't done: its series is read from its sources."""
    first = broken("letter-r1", ValueError("surprise"), (_first(),))
    second = judged(letter(2, "2026-05-12 10:00"))["letter-r2"]
    compared = {v.slug: v for v in rounds.compared((first, replace(second, findings=())), NOW)}
    blocked = said(compared["letter-r2"], "round-out-of-order")
    assert blocked is not None
    assert "it is ERROR" in blocked.text


def test_the_json_names_series_and_round() -> None:
    told_json = verdict_json(judged(letter(2, "2026-05-12 10:00"))["letter-r2"])
    assert (told_json["series"], told_json["round"], told_json["rounds"]) == ("Client letter", 2, 3)


def test_many_rounds_take_no_longer_than_as_many_campaigns() -> None:
    """A weekly letter of ten years: compared pair by pair it would be 270,000 comparisons for each look."""
    words = [letter(n, "2026-05-12 10:00", Says.ENDED, began=NOW - (520 - n) * 7 * DAY) for n in range(1, 520)]
    verdicts = assemble(told(*words, letter(520, "2026-05-12 10:00")), Policy(), NOW).verdicts
    assert sum(len(codes(v)) for v in verdicts) == 1  # its last round doesn't fit in three
    assert len(verdicts) == 520


def _first() -> Observation:
    return letter(1, "2026-04-28 10:00", Says.ENDED)
