"""Promises that more than one part keeps: what was decided a moment ago binds, and nothing is lost on the way."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from opsconsole.audit.outbox import Outbox
from opsconsole.audit.rules import StoreRules
from opsconsole.audit.store import AuditStore
from opsconsole.audit.tidings import Ear
from opsconsole.console import Console
from opsconsole.observation import Counts, RunWord, Says
from opsconsole.ports import Refused
from opsconsole.verdict import Group, Status
from opsconsole.watching import Watcher
from tests.domain.words import DUE, NOW, SLUG, dashboard
from tests.support.console import PHRASE, Clock, Desk, FakeDashboard, FakeHost
from tests.test_watcher import HOOK, Receiver, watcher

NOBODY = Counts(total=2601, failed=2601)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    clock = Clock()
    with AuditStore(tmp_path / "audit.db", bytes(32), clock=clock) as store:
        yield Desk(store, FakeHost(clock), FakeDashboard(clock), clock)


@pytest.mark.parametrize("action", ["mark", "cancel"])
def test_a_new_due_time_rests_on_what_others_decided_while_it_was_thought_over(desk: Desk, action: str) -> None:
    mara = desk.sit()
    mara.new_due(SLUG, "2026-05-14 10:00")
    desk.sit("ana").decide(action, SLUG, "the provider has it", typed=PHRASE)
    with pytest.raises(Refused, match="already started" if action == "mark" else "decided on it meanwhile"):
        mara.decide("reschedule", SLUG, "the boat is late", local="2026-05-14 10:00")
    assert mara.verdict(SLUG).status is (Status.SENT if action == "mark" else Status.CANCELLED)


def a_run(desk: Desk, run_id: str, counts: Counts, minutes: int) -> None:
    began = NOW - timedelta(minutes=minutes)
    run = RunWord(
        run_id=run_id, by="ben", started_at=began, ended_at=began + timedelta(minutes=4), rc=0, counts=counts
    )
    desk.host.word = replace(desk.host.word, says=Says.ENDED, run=run, since=run.ended_at)


def test_adopting_a_run_that_reached_nobody_takes_back_no_mail_of_one_adopted_before(desk: Desk) -> None:
    mara = desk.sit()
    a_run(desk, "r-1", Counts(total=2601, accepted=2601), 40)
    mara.refresh()
    mara.decide("adopt", SLUG, "ben ran it")
    a_run(desk, "r-2", NOBODY, 20)
    mara.refresh()
    assert mara.verdict(SLUG).status is Status.CONFLICT
    mara.decide("adopt", SLUG, "ben tried again")
    assert mara.verdict(SLUG).status is Status.CONFLICT
    assert mara.disabled_reason("release-claim", SLUG)


def test_a_clock_that_was_ahead_keeps_no_page_back(desk: Desk) -> None:
    desk.clock.pass_(timedelta(days=1))
    Outbox(desk.store).put("notify:ops", "k", {"a": 1})
    desk.clock.pass_(-timedelta(days=1))
    assert Outbox(desk.store).due(desk.clock())


def outage(desk: Desk, console: Console, one: Watcher) -> None:
    """The host is out of reach for four minutes, and back."""
    sees = desk.host.observe
    lost = desk.clock()
    gone = replace(sees(), observations=(), trouble="gone", out_of_reach_since=lost)
    desk.host.observe = lambda: replace(gone, looked_at=desk.clock())  # type: ignore[method-assign]
    for _ in range(4):
        desk.clock.pass_(timedelta(minutes=1))
        console.refresh()
        one.turn()
    desk.host.observe = sees  # type: ignore[method-assign]


def test_a_watcher_without_memory_ends_what_an_earlier_one_told_or_the_next_outage_would_page_nobody(
    tmp_path: Path,
) -> None:
    clock, receiver = Clock(DUE.instant - timedelta(hours=5)), Receiver()
    rules = StoreRules(told={"prod": (Ear("ops"),)})
    with AuditStore(tmp_path / "audit.db", bytes(32), clock=clock, rules=rules) as store:
        desk = Desk(store, FakeHost(clock), FakeDashboard(clock), clock, told={HOOK: receiver})
        console = desk.sit()
        outage(desk, console, watcher(console, tmp_path / "told.json"))  # and this machine is never seen again
        ana = desk.sit("ana")
        other = watcher(ana, tmp_path / "elsewhere.json")
        other.turn()
        outage(desk, ana, other)
        ana.refresh()
        other.turn()
        for _ in range(4):
            ana.tidy()
    unknown = ("trigger", "UNKNOWN"), ("resolve", "UNKNOWN")
    assert receiver.heard == [*unknown, *unknown]
    assert "no longer UNKNOWN" in receiver.got[1]["title"]


def test_what_is_renewed_past_the_outbox_holds_no_more_than_what_went_through_it(tmp_path: Path) -> None:
    clock, receiver = Clock(), Receiver()
    rules = StoreRules(told={"prod": (Ear("ops"),)})
    with AuditStore(tmp_path / "audit.db", bytes(32), clock=clock, rules=rules) as store:
        host = FakeHost(clock)
        says = dashboard(note="waiting for jane.doe@example.com, password=hunter2hunter2")
        desk = Desk(store, host, FakeDashboard(clock, says), clock, told={HOOK: receiver})
        console = desk.sit()
        run = RunWord(run_id="r-1", started_at=clock(), ended_at=clock(), rc=0, counts=Counts(accepted=5))
        host.word = replace(host.word, says=Says.ENDED, run=run, since=clock())
        console.refresh()
        one = watcher(console)
        one.turn()
        clock.pass_(timedelta(minutes=2))
        console.refresh()
        one.turn()
        one.renew()
        console.tidy()
    through, (past,) = receiver.got[-1], receiver.renewed[-1]
    for message in (through, past):
        assert "jane.doe@example.com" not in str(message)
        assert "hunter2" not in str(message)
    assert (through["alarm"], through["title"]) == (past["alarm"], past["title"])


def test_a_run_that_was_adopted_while_it_went_blocks_a_send_when_its_host_forgets_it(desk: Desk) -> None:
    fresh, began = desk.host.word, NOW - timedelta(minutes=5)
    run = RunWord(
        run_id="r-9", by="ben", started_at=began, progress_at=NOW, counts=Counts(total=2601, accepted=900)
    )
    desk.host.word = replace(fresh, says=Says.RUNNING, run=run, since=began)
    mara = desk.sit()
    mara.decide("adopt", SLUG, "ben started it")
    assert mara.verdict(SLUG).status is Status.SENDING
    desk.host.word = fresh  # put back from a copy
    mara.refresh()
    for _ in range(2):
        verdict = mara.verdict(SLUG)
        assert any("has no trace of it" in obstacle for obstacle in verdict.obstacles)
        assert verdict.group is Group.ATTENTION
        mara.decide("reschedule", SLUG, "once more", local="2026-05-14 10:00")
