"""The life of a run in the records: intent first, every end once, nothing repeated."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from opsconsole.audit.outbox import Outbox
from opsconsole.audit.records import Phase
from opsconsole.audit.store import AuditStore
from opsconsole.errors import AuditUnavailable
from opsconsole.observation import Counts, Says
from opsconsole.plan import Plan
from opsconsole.ports import MaybeStarted, OutOfReach, Refused, RunState, Trouble, Verb
from opsconsole.rehearsal import last_dry_run
from opsconsole.runs import Identity, Runs
from tests.domain.test_plan import plan as make_plan
from tests.domain.words import NOW, SLUG
from tests.support.scripted import (  # noqa: F401 - fixtures
    DONE,
    ME,
    NOTHING_LEFT,
    Host,
    a_carrier,
    a_store,
    decided,
    killed_before_the_claim,
    moved,
    some_runs,
    state,
    words,
)


def test_the_intent_is_on_disk_before_the_carrier_hears_of_it(runs: Runs, carrier: Host, store: AuditStore) -> None:
    seen = []
    carrier.on_start = lambda plan: seen.extend(store.for_run(plan.run_id))
    runs.start(make_plan())
    assert [(r.action, r.phase) for r in seen] == [("send", Phase.INTENT)]
    assert seen[0].detail["plan"]["audience"] == 2601  # type: ignore[index,call-overload]


def test_without_an_intent_there_is_no_send(carrier: Host, tmp_path: Path) -> None:
    def broken() -> AuditStore:
        raise OSError("disk full")

    runs = Runs(broken, {"blast-mail-prod": carrier}, ME, lambda: NOW)
    with pytest.raises(OSError, match="disk full"):
        runs.start(make_plan())
    assert carrier.starts == []


def test_a_carrier_that_is_not_configured_is_refused_before_anything_is_recorded(store: AuditStore) -> None:
    runs = Runs(lambda: store, {}, ME, lambda: NOW)
    with pytest.raises(Refused, match="no carrier 'blast-mail-prod'"):
        runs.start(make_plan())
    assert store.head().seq == 0


def test_an_end_is_recorded_once_and_told_to_the_dashboard_once(
    runs: Runs, carrier: Host, store: AuditStore
) -> None:
    plan = make_plan()
    runs.start(plan)
    carrier.state = state(Says.ENDED, plan.run_id, DONE)
    stop = threading.Event()
    for _ in range(2):
        runs.follow(SLUG, 1, 0, lambda data: None, stop, "blast-mail-prod")
    runs.close(carrier.state)
    outcomes = [r for r in store.for_run(plan.run_id) if r.phase is Phase.OUTCOME]
    assert [r.detail["status"] for r in outcomes] == ["sent"]
    assert store.unresolved() == []
    (news,) = Outbox(store).waiting()
    assert news.payload["counts"] == {
        "total": 2601,
        "accepted": 2601,
        "failed": 0,
        "unknown": 0,
        "deferred": 0,
        "suppressed": 0,
    }
    assert (news.payload["session"], news.payload["duration_s"]) == ("s-1", 540.0)
    assert words(store).says is Says.ENDED


def test_the_dashboard_is_told_of_those_nobody_knows(runs: Runs, carrier: Host, store: AuditStore) -> None:
    plan = make_plan()
    runs.start(plan)
    runs.close(state(Says.ENDED, plan.run_id, Counts(total=2601, accepted=2600, unknown=1)))
    (news,) = Outbox(store).waiting()
    assert (news.payload["status"], news.payload["note"]) == ("partial", "1 unknown: may have been accepted")


def test_a_refusal_closes_the_intent_as_not_started(runs: Runs, carrier: Host, store: AuditStore) -> None:
    def refuse(plan: Plan) -> None:
        raise Refused("The plan is stale: data was 1, is 2")

    carrier.on_start = refuse
    with pytest.raises(Refused):
        runs.start(make_plan())
    assert store.unresolved() == []
    assert words(store).says is Says.NOTHING


def test_a_lost_reply_leaves_the_intent_open_and_starts_nothing_again(
    runs: Runs, carrier: Host, store: AuditStore
) -> None:
    def lose(plan: Plan) -> None:
        carrier.state = state(Says.RUNNING, plan.run_id)
        raise MaybeStarted("The reply was lost")

    carrier.on_start = lose
    plan = make_plan()
    with pytest.raises(MaybeStarted):
        runs.start(plan)
    assert [r.run for r in store.unresolved()] == [plan.run_id]
    runs.reconcile()
    assert len(carrier.starts) == 1
    assert [r.run for r in store.unresolved()] == [plan.run_id]
    carrier.state = state(Says.ENDED, plan.run_id, DONE)
    assert "ended while nobody watched" in runs.reconcile()[0]
    assert store.unresolved() == []
    assert len(carrier.starts) == 1


def test_a_plan_confirmed_again_after_a_failed_start_gets_its_end_too(
    runs: Runs, carrier: Host, store: AuditStore
) -> None:
    def lose(plan: Plan) -> None:
        raise OutOfReach("The line was cut")

    carrier.on_start = lose
    plan = make_plan()
    with pytest.raises(OutOfReach):
        runs.start(plan)
    carrier.on_start = lambda plan: None
    for _ in range(2):  # and once more, by somebody who joins it
        runs.start(plan)
    carrier.state = state(Says.ENDED, plan.run_id, DONE)
    runs.close(carrier.state)
    outcomes = [r.detail["result"] for r in store.for_run(plan.run_id) if r.phase is Phase.OUTCOME]
    assert sorted(outcomes) == ["ended", "ended", "not-started"]
    assert store.unresolved() == []
    assert len(Outbox(store).waiting()) == 1


def test_an_intent_without_a_trace_on_a_host_that_answers_was_not_started(
    runs: Runs, carrier: Host, store: AuditStore
) -> None:
    def die(plan: Plan) -> None:
        raise KeyboardInterrupt  # the console is killed between intent and claim

    carrier.on_start = die
    with pytest.raises(KeyboardInterrupt):
        runs.start(make_plan())
    carrier.unreachable = True
    assert "can't be asked now" in runs.reconcile()[0]
    assert len(store.unresolved()) == 1
    carrier.unreachable = False
    assert "was not started" in runs.reconcile()[0]
    assert store.unresolved() == []


def test_what_was_never_started_is_made_impossible_before_it_is_called_so(
    runs: Runs, carrier: Host, store: AuditStore
) -> None:
    plan = make_plan()
    carrier.on_start = killed_before_the_claim
    with pytest.raises(KeyboardInterrupt):
        runs.start(plan)
    runs.reconcile()
    assert carrier.given_up == [(SLUG, plan.run_id)]


def test_a_start_that_came_late_after_all_is_found_and_stays_open(
    runs: Runs, carrier: Host, store: AuditStore
) -> None:
    plan = make_plan()
    carrier.on_start = killed_before_the_claim
    with pytest.raises(KeyboardInterrupt):
        runs.start(plan)
    carrier.late = state(Says.RUNNING, plan.run_id)  # claimed between the look and the giving up
    assert "it is running" in runs.reconcile()[0]
    assert [r.run for r in store.unresolved()] == [plan.run_id]


def test_a_start_under_way_in_this_console_is_left_alone(runs: Runs, carrier: Host, store: AuditStore) -> None:
    plan, found = make_plan(), list[str]()
    carrier.on_start = lambda plan: found.extend(runs.reconcile())  # the tidying thread, in the middle of it
    runs.start(plan)
    assert found == []
    assert carrier.given_up == []
    assert [r.run for r in store.unresolved()] == [plan.run_id]
    assert carrier.state is not None
    runs.close(state(Says.ENDED, plan.run_id, DONE))
    assert words(store).says is Says.ENDED


def test_a_start_just_begun_by_another_console_is_left_alone_for_a_while(
    runs: Runs, carrier: Host, store: AuditStore
) -> None:
    plan = make_plan()
    carrier.on_start = killed_before_the_claim
    with pytest.raises(KeyboardInterrupt):
        runs.start(plan)

    def other(later: timedelta) -> Runs:
        who = Identity("ana", "s-2", "prod")
        carriers = {"blast-mail-prod": carrier}
        return Runs(lambda: store, carriers, who, lambda: NOW + later, lambda slug: ("dashboard",))

    assert "may be starting" in other(timedelta(seconds=5)).reconcile()[0]
    assert carrier.given_up == []
    assert "was not started" in other(timedelta(minutes=5)).reconcile()[0]
    assert carrier.given_up == [(SLUG, plan.run_id)]


class Full:
    """A store whose disk is full once `full` is set."""

    def __init__(self, store: AuditStore) -> None:
        self._store, self.full = store, False

    def __getattr__(self, name: str) -> object:
        if self.full and name in ("note", "outcome", "intent"):
            raise AuditUnavailable("The disk is full.", "No action will be taken.", "Make room.")
        return getattr(self._store, name)


@pytest.fixture
def full(store: AuditStore, carrier: Host) -> tuple[Full, Runs]:
    full = Full(store)
    give = cast(Callable[[], AuditStore], lambda: full)
    return full, Runs(give, {"blast-mail-prod": carrier}, ME, lambda: NOW)


def test_a_store_that_fails_after_the_start_does_not_hide_it(full: tuple[Full, Runs], carrier: Host) -> None:
    disk, runs = full
    carrier.on_start = lambda plan: setattr(disk, "full", True)
    assert runs.start(make_plan()).fresh


@pytest.mark.parametrize("said", [MaybeStarted("The reply was lost"), Refused("The plan is stale")])
def test_a_store_that_fails_meanwhile_does_not_hide_what_the_host_said(
    full: tuple[Full, Runs], carrier: Host, store: AuditStore, said: Trouble
) -> None:
    disk, runs = full

    def answer(plan: Plan) -> None:
        disk.full = True
        raise said

    carrier.on_start = answer
    with pytest.raises(type(said)):
        runs.start(make_plan())
    assert len(store.unresolved()) == 1


def test_an_end_that_can_not_be_recorded_is_told_and_recorded_later(
    full: tuple[Full, Runs], carrier: Host, store: AuditStore
) -> None:
    disk, runs = full
    plan = make_plan()
    runs.start(plan)
    carrier.state = state(Says.ENDED, plan.run_id, DONE)
    disk.full = True
    followed = runs.follow(SLUG, 1, 0, lambda data: None, threading.Event(), "blast-mail-prod")
    assert followed.end is carrier.state
    disk.full = False
    assert "ended while nobody watched" in runs.reconcile()[0]
    assert store.unresolved() == []


def test_a_signal_whose_answer_was_lost_is_not_called_failed(runs: Runs, carrier: Host, store: AuditStore) -> None:
    def lost(slug: str, attempt: int, verb: Verb) -> RunState:
        raise Trouble("The answer was lost")

    carrier.signal = lost  # type: ignore[method-assign]
    with pytest.raises(Trouble):
        runs.signal(SLUG, 1, Verb.CANCEL, "blast-mail-prod")
    assert store.search(action="run-cancel")[0].detail["result"] == "unclear"


def test_a_run_in_doubt_stays_open_for_a_person(runs: Runs, carrier: Host, store: AuditStore) -> None:
    plan = make_plan()
    runs.start(plan)
    carrier.state = state(Says.STARTED, plan.run_id)
    runs.reconcile()
    assert [r.run for r in store.unresolved()] == [plan.run_id]


def test_somebody_elses_run_gets_no_record_of_ours(runs: Runs, store: AuditStore) -> None:
    assert runs.close(state(Says.ENDED, "somebody", DONE)) is None
    assert store.head().seq == 0


@pytest.mark.parametrize(
    ("counts", "rc", "status"),
    [
        (DONE, 0, "sent"),
        (Counts(total=2601, accepted=2600, failed=1), 1, "partial"),
        (Counts(total=2601, accepted=2600), 0, "partial"),
        (Counts(total=2601, accepted=2600, unknown=1), 1, "partial"),
        (Counts(total=2601), 78, "failed"),
        (None, 0, "sent"),
        (None, 1, "failed"),
    ],
)
def test_the_status_told_is_that_of_the_counts(
    runs: Runs, carrier: Host, store: AuditStore, counts: Counts | None, rc: int, status: str
) -> None:
    plan = make_plan()
    runs.start(plan)
    end = state(Says.ENDED, plan.run_id, counts)
    runs.close(replace(end, word=replace(end.word, rc=rc)))
    assert Outbox(store).waiting()[0].payload["status"] == status


def test_a_signal_is_recorded_before_and_after(runs: Runs, carrier: Host, store: AuditStore) -> None:
    with pytest.raises(Refused):
        runs.signal(SLUG, 1, Verb.PAUSE, "blast-mail-prod")
    carrier.state = state(Says.RUNNING, "r1")
    runs.signal(SLUG, 1, Verb.PAUSE, "blast-mail-prod")
    told = [(r.phase, r.detail.get("result")) for r in reversed(store.search(action="run-pause"))]
    assert told == [(Phase.INTENT, None), (Phase.OUTCOME, "failed"), (Phase.INTENT, None), (Phase.OUTCOME, "done")]
    assert store.unresolved() == []


def test_trouble_reads_as_sentences() -> None:
    assert str(Trouble("It broke", "Nothing was sent.", "Look")) == "It broke. Nothing was sent. Look."


def test_a_send_open_in_another_environment_is_not_asked_for_here(
    runs: Runs, carrier: Host, store: AuditStore
) -> None:
    plan = make_plan()
    runs.start(plan)
    carrier.state = None  # staging's host of the same name has never heard of it
    staging = Identity("mara", "s-9", "staging")
    later = NOW + timedelta(hours=1)
    there = Runs(lambda: store, {"blast-mail-prod": carrier}, staging, lambda: later, lambda slug: ("dashboard",))
    assert there.reconcile() == ()
    assert [r.run for r in store.unresolved()] == [plan.run_id]


def test_a_dry_run_in_another_environment_is_none_here(store: AuditStore) -> None:
    there = Identity("mara", "s-9", "staging")
    store.note(there.event("dry-run", SLUG, at=NOW.isoformat(), ok=True, digests={}, audience=1))
    assert last_dry_run(store, SLUG, "prod") is None
    assert last_dry_run(store, SLUG, "staging") is not None
