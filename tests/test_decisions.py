"""What a decision rests on: the evidence of a mark, the proof of a cancel, the choice behind a due time."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from opsconsole.audit.records import Record
from opsconsole.audit.store import AuditStore
from opsconsole.deeds import say_record
from opsconsole.grounds import OWN_WORD, named
from opsconsole.observation import Counts, Evidence, Mark, Observation, RunWord, Says
from opsconsole.ports import NotThere, Refused
from opsconsole.proof import StillTriggered, Unproven
from opsconsole.safety import Confirmation
from opsconsole.schedule import say_clocks
from opsconsole.timeline import timeline
from opsconsole.verdict import Status
from tests.domain.words import ALL, NOW, SLUG, dashboard, line
from tests.support.console import HOST, PHRASE, Clock, Desk, FakeDashboard, FakeHost

SOLD_OUT = "sold out"


class Told(FakeDashboard):
    """A dashboard that is told of decisions."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.heard: list[Any] = []

    def record(self, payload: Any) -> None:
        self.heard.append(payload)


@pytest.fixture
def board() -> Told:
    return Told(Clock())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    clock = Clock()
    with AuditStore(tmp_path / "audit.db", bytes(32), clock=clock) as store:
        yield Desk(store, FakeHost(clock), Told(clock), clock)


def heard(desk: Desk) -> list[Any]:
    assert isinstance(desk.board, Told)
    return desk.board.heard


def said_of(record: Record) -> str:
    """The record as a line of the timeline; its sources in the order of their names."""
    head, by, names = say_record(record)[1].partition(" by a look at ")
    return head + by + ", ".join(sorted(names.split(", ")))


def told_in(asked: Confirmation, label: str) -> list[str]:
    return [text for head, text in asked.lines if head == label]


def log_says(desk: Desk, says: Says, text: str, mark: Mark = Mark.YES, counts: Counts | None = ALL) -> None:
    """The host tells of a run by hand, in its log."""
    run = RunWord(attempt=0, by="ben", started_at=NOW - timedelta(minutes=30), ended_at=NOW, counts=counts)
    log = Evidence(letter="L", label="host log", mark=mark, text=text, at=NOW - timedelta(minutes=1))
    files = Evidence(letter="F", label="host files", mark=Mark.YES, text="complete, 2,601 rows")
    desk.host.word = replace(desk.host.word, says=says, run=run, since=NOW, evidence=(files, log))


# Marked as executed.


def test_a_mark_rests_on_the_most_telling_evidence_and_says_so_everywhere(desk: Desk) -> None:
    log_says(desk, Says.STARTED, "ends in the middle", Mark.BAD)
    mara = desk.sit()
    asked = mara.confirmation("mark", SLUG)
    assert told_in(asked, "rests on")[0].startswith(f"{HOST} host log: ends")
    assert "only known that it started" in asked.warnings[0]

    record = mara.decide("mark", SLUG, "ben did it", typed=PHRASE)

    at = (NOW - timedelta(minutes=1)).isoformat()
    told = [{"source": HOST, "label": "host log", "text": "ends in the middle", "at": at}]
    assert record.detail["evidence"] == told
    assert f"on the word of {HOST} (host log: ends in the middle)" in said_of(record)
    verdict = mara.verdict(SLUG)
    assert verdict.status is Status.SENT
    assert f"ben did it (on the word of {HOST} (host log: ends in the middle))" in verdict.why
    assert any("host log: ends in the middle" in entry.text for entry in timeline(verdict))
    assert (heard(desk)[-1]["decided"], heard(desk)[-1]["evidence"]) == ("mark", told)


def test_where_no_source_knows_of_anything_the_question_says_so_in_so_many_words(desk: Desk) -> None:
    asked = desk.sit().confirmation("mark", SLUG)
    assert ("rests on", "nothing but your word") in asked.lines
    assert "No source has any evidence that it went out" in asked.warnings[0]


def test_evidence_is_named_by_its_words_by_its_source_or_in_ones_own(desk: Desk) -> None:
    log_says(desk, Says.ENDED, "2,601 processed")
    verdict, now = desk.sit().verdict(SLUG), desk.clock()
    (by_words,) = named(verdict, now, ["2,601 PROCESSED"], [], "mara") or ()
    (by_source,) = named(verdict, now, [], [HOST], "mara") or ()
    assert by_words == by_source
    (own,) = named(verdict, now, ["the provider shows it"], [], "mara") or ()
    assert (own.source, own.label, own.text) == ("mara", OWN_WORD, "the provider shows it")
    assert named(verdict, now, [], [], "mara") is None
    with pytest.raises(NotThere, match="No source 'provider'"):
        named(verdict, now, [], ["provider"], "mara")
    with pytest.raises(Refused, match="dashboard doesn't say"):
        named(verdict, now, [], ["dashboard"], "mara")


def test_evidence_that_changes_while_it_is_confirmed_is_not_recorded_as_it_was(desk: Desk) -> None:
    log_says(desk, Says.STARTED, "1,000 processed")
    mara = desk.sit()
    chosen = mara.grounds(SLUG)[:1]
    log_says(desk, Says.STARTED, "1,001 processed")
    with pytest.raises(Refused, match="now says '1,001 processed'"):
        mara.decide("mark", SLUG, "ben did it", typed=PHRASE, evidence=chosen)
    assert desk.store.search(action="mark") == []


def test_neither_files_nor_what_is_to_come_nor_an_earlier_decision_tells_that_it_went_out(desk: Desk) -> None:
    log_says(desk, Says.NOTHING, "none", Mark.NO)
    desk.host.word = replace(desk.host.word, triggers=(line(timedelta(hours=1), previous_fire=NOW),))
    mara = desk.sit()
    assert {(g.label, int(g.weight)) for g in mara.grounds(SLUG)} >= {("host files", 0), ("fired", 0)}
    mara.decide("mark", SLUG, "on my word", typed=PHRASE)
    assert all(not g.weight for g in mara.grounds(SLUG))


# Called off.


def test_a_cancel_holds_the_proof_that_nothing_starts_it(desk: Desk) -> None:
    mara = desk.sit()
    asked = mara.confirmation("cancel", SLUG)
    assert "dashboard: no trigger, looked at 0 s ago" in told_in(asked, "nothing left")
    record = mara.decide("cancel", SLUG, SOLD_OUT, typed=PHRASE)
    proof: Any = record.detail["proof"]
    assert proof["live_triggers"] == 0
    assert {look["source"] for look in proof["looks"]} >= {HOST, "dashboard"}
    assert heard(desk)[-1]["proof"] == proof
    assert f"nothing was left to start it, by a look at {HOST}, console, dashboard" in said_of(record)
    assert mara.verdict(SLUG).status is Status.CANCELLED


def test_with_a_live_trigger_it_is_refused_until_a_new_look_finds_it_off(desk: Desk) -> None:
    fires = line(timedelta(hours=3), key="k1")
    desk.host.word = replace(desk.host.word, triggers=(fires,))
    mara = desk.sit()
    with pytest.raises(
        StillTriggered, match=r"can still start it: today 13:52 PDT, /etc/cron.d/mail-blasts:7"
    ) as no:
        mara.confirmation("cancel", SLUG)
    assert no.value.switchable
    assert f"trigger off {SLUG}" in no.value.next_step

    desk.host.word = replace(desk.host.word, triggers=(replace(fires, off=True, next_fire=None),))
    mara.refresh()
    record = mara.decide("cancel", SLUG, SOLD_OUT, typed=PHRASE)
    proof: Any = record.detail["proof"]
    left = next(look["left"] for look in proof["looks"] if look["source"] == HOST)
    assert left == ["/etc/cron.d/mail-blasts:7 can't fire: switched off"]


def test_a_line_that_comes_between_the_two_steps_is_seen_at_the_last_moment(desk: Desk) -> None:
    mara = desk.sit()
    mara.confirmation("cancel", SLUG)
    desk.host.word = replace(desk.host.word, triggers=(line(timedelta(hours=3)),))
    with pytest.raises(StillTriggered, match="by hand"):
        mara.decide("cancel", SLUG, SOLD_OUT, typed=PHRASE)
    assert desk.store.search(action="cancel") == []


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("stale", "was not heard just now"),
        ("half read", "can't be read"),
        ("schedules itself", "will start it by itself"),
    ],
)
def test_what_can_not_be_proven_is_held_instead_of_called_off(desk: Desk, what: str, says: str) -> None:
    word: dict[str, Observation] = {
        "stale": replace(desk.board.word, out_of_reach_since=NOW, trouble="503"),
        "half read": replace(dashboard(), triggers_unread="its schedule can't be read"),
        "schedules itself": dashboard(Says.SCHEDULED),
    }
    desk.board.word = word[what]
    with pytest.raises((Unproven, StillTriggered), match=says) as refused:
        desk.sit().decide("cancel", SLUG, SOLD_OUT, typed=PHRASE)
    assert "old it" in refused.value.next_step
    assert desk.store.search(action="cancel") == []


# A new due time.


@pytest.mark.parametrize(
    ("local", "fold", "utc", "text"),
    [
        ("2026-11-01 01:30", 0, "2026-11-01T08:30:00+00:00", "2026-11-01 01:30 first"),
        ("2026-11-01 01:30", 1, "2026-11-01T09:30:00+00:00", "2026-11-01 01:30 second"),
        ("2026-05-14 10:00", None, "2026-05-14T17:00:00+00:00", "2026-05-14 10:00"),
    ],
)
def test_a_new_due_time_is_kept_with_all_it_was_worked_out_from(
    desk: Desk, local: str, fold: int | None, utc: str, text: str
) -> None:
    mara = desk.sit()
    before = mara.new_due(SLUG, local, fold)
    record = mara.decide("reschedule", SLUG, "the boat is late", local=local, fold=fold)
    assert (record.detail["due"], record.detail["local"], record.detail["fold"]) == (utc, text, fold)
    assert record.detail["tzdata"]
    assert record.detail["before"] == "2026-05-12T17:00:00+00:00"
    assert mara.verdict(SLUG).details.due == before
    assert (heard(desk)[-1]["due"], heard(desk)[-1]["zone"]) == (utc, "America/Los_Angeles")


def test_a_gap_names_both_neighbours_and_a_doubled_time_both_choices(desk: Desk) -> None:
    mara = desk.sit()
    with pytest.raises(Refused, match="Choose 2027-03-14 01:30 or 2027-03-14 03:30"):
        mara.decide("reschedule", SLUG, "later", local="2027-03-14 02:30")
    with pytest.raises(Refused, match=r"08:30 UTC \(PDT\) and at 09:30 UTC \(PST\)"):
        mara.decide("reschedule", SLUG, "later", local="2026-11-01 01:30")
    assert desk.store.search(action="reschedule") == []
    assert say_clocks(mara.new_due(SLUG, "2026-05-14 10:00").instant, "Europe/London", "UTC")


# Held.


def test_a_hold_and_its_release_are_written_back_without_another_status(desk: Desk) -> None:
    mara = desk.sit()
    mara.decide("hold", SLUG, "wrong subject")
    mara.decide("release", SLUG, "mended")
    assert [(told["decided"], told["reason"]) for told in heard(desk)] == [
        ("hold", "wrong subject"),
        ("release", "mended"),
    ]
    assert all("status" not in told for told in heard(desk))
    mara.hold_scope("everything", False, "the provider is down")
    assert len(heard(desk)) == 2
