"""The life of a run in the records: intent first, every end once, nothing repeated."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from opsconsole.audit.outbox import Outbox
from opsconsole.audit.records import AuditUnavailable, Phase
from opsconsole.audit.store import AuditStore
from opsconsole.audit.words import ConsoleSource
from opsconsole.board import assemble
from opsconsole.decisions import Decisions, new_due
from opsconsole.delivery import Delivery
from opsconsole.observation import Counts, Observation, Report, RunWord, Says
from opsconsole.plan import Plan
from opsconsole.policy import Policy
from opsconsole.ports import Followed, MaybeStarted, OutOfReach, Refused, RunState, Started, Trouble, Verb
from opsconsole.proof import Proof
from opsconsole.rehearsal import last_dry_run
from opsconsole.runs import Identity, Runs
from opsconsole.schedule import Due
from opsconsole.verdict import Status, Verdict
from tests.domain.test_plan import plan as make_plan
from tests.domain.words import NOW, SLUG, dashboard, host, verdict

ME = Identity("mara", "s-1", "prod")
DONE = Counts(total=2601, accepted=2601)
NOTHING_LEFT = Proof(looks=())


class Host:
    """A carrier that remembers what it was asked and answers as scripted."""

    name = "blast-mail-prod"

    def __init__(self) -> None:
        self.starts: list[Plan] = []
        self.on_start: Callable[[Plan], None] = lambda plan: None
        self.state: RunState | None = None
        self.unreachable = False
        self.given_up: list[tuple[str, str]] = []
        self.late: RunState | None = None  # what has come by the time that a run is given up

    def start(self, plan: Plan, by: str) -> Started:
        self.starts.append(plan)
        self.on_start(plan)
        self.state = state(Says.RUNNING, plan.run_id)
        return Started(state=self.state, fresh=True)

    def run_state(self, slug: str, attempt: int | None = None) -> RunState | None:
        if self.unreachable:
            raise OutOfReach("no answer")
        return self.state

    def give_up(self, slug: str, run_id: str) -> RunState | None:
        self.given_up.append((slug, run_id))
        return self.late

    def follow(self, slug, attempt, offset, on_output, stop) -> Followed:  # type: ignore[no-untyped-def]
        on_output(b"2601 recipients processed\n")
        return Followed(offset=offset + 26, end=self.state)

    def signal(self, slug: str, attempt: int, verb: Verb) -> RunState:
        if self.state is None:
            raise Refused("there is no run")
        return replace(self.state, says=Says.PAUSED)

    def preflight_facts(self, slug: str):  # type: ignore[no-untyped-def]
        raise OutOfReach("not asked here")

    def dry_run(self, slug, on_output, stop):  # type: ignore[no-untyped-def]
        raise OutOfReach("not asked here")


def state(says: Says, run_id: str, counts: Counts | None = None) -> RunState:
    ended = NOW if says is Says.ENDED else None
    word = RunWord(
        run_id=run_id, started_at=NOW - timedelta(minutes=9), ended_at=ended, rc=0 if ended else None, counts=counts
    )
    return RunState(slug=SLUG, run_id=run_id, attempt=1, says=says, word=word)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AuditStore]:
    with AuditStore(tmp_path / "audit.db", bytes(32), clock=lambda: NOW) as opened:
        yield opened


@pytest.fixture
def carrier() -> Host:
    return Host()


@pytest.fixture
def runs(store: AuditStore, carrier: Host) -> Runs:
    return Runs(lambda: store, {"blast-mail-prod": carrier}, ME, lambda: NOW, ("dashboard",))


def words(store: AuditStore) -> Observation:
    return ConsoleSource(lambda: store, lambda: NOW, "prod").observe().observations[0]


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
    assert news.payload["counts"] == {"total": 2601, "accepted": 2601, "failed": 0, "unknown": 0, "deferred": 0}
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


def killed_before_the_claim(plan: Plan) -> None:
    raise KeyboardInterrupt  # the console is killed between intent and claim


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
        return Runs(lambda: store, {"blast-mail-prod": carrier}, who, lambda: NOW + later, ("dashboard",))

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


class Dashboard:
    """A recorder that may be down."""

    name = "dashboard"

    def __init__(self) -> None:
        self.down, self.heard = False, []  # type: ignore[var-annotated]

    def record(self, payload) -> None:  # type: ignore[no-untyped-def]
        if self.down:
            raise OutOfReach("The dashboard answered 503")
        self.heard.append(payload["run_id"])


def test_the_outbox_is_retried_until_acknowledged_and_sends_nothing_again(
    runs: Runs, carrier: Host, store: AuditStore
) -> None:
    plan = make_plan()
    runs.start(plan)
    runs.close(state(Says.ENDED, plan.run_id, DONE))
    board, now = Dashboard(), [NOW]
    delivery = Delivery(lambda: store, {"dashboard": board}, lambda: now[0], "prod")
    board.down = True
    assert delivery.deliver() == (0, 1)
    assert delivery.deliver() == (0, 0)  # not before its time
    (item,) = delivery.waiting()
    assert "1 try, next in" in item.says(now[0])
    board.down = False
    now[0] = NOW + timedelta(hours=1)
    assert delivery.deliver() == (1, 0)
    assert delivery.deliver() == (0, 0)
    assert board.heard == [plan.run_id]
    assert len(carrier.starts) == 1


def test_a_word_that_came_late_never_undoes_the_newer_one(store: AuditStore) -> None:
    board, now, before = Dashboard(), [NOW], verdict(dashboard(), host())
    other = verdict(replace(dashboard(), slug="may"), replace(host(), slug="may"))
    delivery = Delivery(lambda: store, {"dashboard": board}, lambda: now[0], "prod")
    decisions = decided(store)
    decisions.cancel(before, "sold out", NOTHING_LEFT)
    board.down = True
    assert delivery.deliver() == (0, 1)
    board.down = False
    decisions.reschedule(*moved(before, "2026-05-14 11:00"), "the boat is late")
    decisions.cancel(replace(other, slug="may"), "sold out", NOTHING_LEFT)
    assert delivery.deliver() == (1, 0), "what isn't about this campaign waits for nothing"
    assert [key.split(":")[0] for key in board.heard] == ["may"]
    now[0] = NOW + timedelta(hours=1)
    assert delivery.deliver() == (2, 0)
    assert [key.split(":")[1] for key in board.heard] == ["cancel", "cancel", "reschedule"]
    assert delivery.waiting() == []


def test_one_environment_never_tells_the_systems_of_another(runs: Runs, carrier: Host, store: AuditStore) -> None:
    plan = make_plan()
    runs.start(plan)
    runs.close(state(Says.ENDED, plan.run_id, DONE))
    board = Dashboard()
    assert Delivery(lambda: store, {"dashboard": board}, lambda: NOW, "staging").deliver() == (0, 0)
    assert board.heard == []
    assert Delivery(lambda: store, {"dashboard": board}, lambda: NOW, "prod").deliver() == (1, 0)


def moved(before: Verdict, local: str) -> tuple[Verdict, Due]:
    """What rescheduling to this local time rests on."""
    return before, new_due(before, local, NOW)


def decided(store: AuditStore) -> Decisions:
    return Decisions(lambda: store, ME, ("dashboard",))


def test_decisions_are_words_of_the_console_and_reach_the_dashboard(store: AuditStore) -> None:
    decisions = decided(store)
    before = verdict(dashboard(), host())
    decisions.mark(before, "the provider shows 2,601 accepted", ())
    after = verdict(dashboard(), host(), words(store))
    assert after.status is Status.SENT
    assert "the provider shows 2,601 accepted" in after.why
    decisions.cancel(before, "sold out", NOTHING_LEFT)
    assert verdict(dashboard(), host(), words(store)).status is Status.CANCELLED
    decisions.reschedule(*moved(before, "2026-05-14 11:00"), "the boat is late")
    later = verdict(dashboard(), host(), words(store))
    assert (later.status, later.details.due.text) == (Status.PENDING, "2026-05-14 11:00")  # type: ignore[union-attr]
    assert [i.payload["decided"] for i in Outbox(store).waiting()] == ["mark", "cancel", "reschedule"]


def test_each_dashboard_hears_of_each_decision(store: AuditStore) -> None:
    decisions = Decisions(lambda: store, ME, ("dashboard", "ledger"))
    before = verdict(dashboard(), host())
    decisions.cancel(before, "sold out", NOTHING_LEFT)
    decisions.cancel(before, "sold out, again", NOTHING_LEFT)
    told = sorted((i.destination, str(i.payload["reason"])) for i in Outbox(store).waiting())
    reasons = ("sold out", "sold out, again")
    assert told == [(name, why) for name in ("dashboard", "ledger") for why in reasons]


def test_a_hold_on_everything_binds_campaigns_the_store_never_heard_of(store: AuditStore) -> None:
    def status() -> Status:
        reports = {o.source: _report(o) for o in (dashboard(), host())}
        reports["console"] = ConsoleSource(lambda: store, lambda: NOW, "prod").observe()
        (only,) = assemble(reports, Policy(), NOW).verdicts
        return only.status

    decisions = decided(store)
    decisions.hold("everything", "provider down")
    assert status() is Status.HELD
    decisions.release("everything", "provider back")
    assert status() is Status.OVERDUE


def _report(o: Observation) -> Report:
    return Report(
        source=o.source, looked_at=NOW, fresh_for=o.fresh_for, observations=(o,), keeps_traces=o.keeps_traces
    )


def test_a_hold_binds_until_it_is_released(store: AuditStore) -> None:
    decisions = decided(store)
    decisions.hold(SLUG, "wrong subject")
    assert verdict(dashboard(), host(), words(store)).status is Status.HELD
    decisions.release(SLUG, "mended")
    assert verdict(dashboard(), host(), words(store)).status is Status.OVERDUE


@pytest.mark.parametrize(
    ("local", "says"),
    [
        ("2026-03-08 02:30", "doesn't exist"),
        ("2026-11-01 01:30", "happens twice"),
        ("2026-05-12 09:00", "has passed"),
    ],
)
def test_a_due_time_that_makes_no_sense_is_refused(store: AuditStore, local: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        decided(store).reschedule(*moved(verdict(dashboard(), host()), local), "why not")
    assert store.head().seq == 0


def test_an_approval_names_the_content_it_is_for(store: AuditStore) -> None:
    decisions = decided(store)
    plain = dashboard(approval=None)
    decisions.approve(verdict(plain, host()), "checked with legal", NOW + timedelta(hours=24))
    assert verdict(plain, host(), words(store)).status is Status.OVERDUE
    content = host().content
    assert content is not None
    changed = verdict(plain, host(content=replace(content, digest="c" * 64)), words(store))
    assert changed.status is Status.UNAPPROVED


def test_trouble_reads_as_sentences() -> None:
    assert str(Trouble("It broke", "Nothing was sent.", "Look")) == "It broke. Nothing was sent. Look."


def test_what_was_decided_in_another_environment_counts_there_alone(
    runs: Runs, carrier: Host, store: AuditStore
) -> None:
    staging = Identity("mara", "s-9", "staging")
    elsewhere = Decisions(lambda: store, staging, ())
    elsewhere.hold("everything", "provider down")
    elsewhere.approve(verdict(dashboard(approval=None), host()), "only a rehearsal", NOW + timedelta(hours=24))
    elsewhere.mark(verdict(dashboard(), host()), "sent to the testers", ())
    report = ConsoleSource(lambda: store, lambda: NOW, "prod").observe()
    assert (report.observations, report.holds) == ((), ())


def test_a_send_open_in_another_environment_is_not_asked_for_here(
    runs: Runs, carrier: Host, store: AuditStore
) -> None:
    plan = make_plan()
    runs.start(plan)
    carrier.state = None  # staging's host of the same name has never heard of it
    staging = Identity("mara", "s-9", "staging")
    later = NOW + timedelta(hours=1)
    there = Runs(lambda: store, {"blast-mail-prod": carrier}, staging, lambda: later, ("dashboard",))
    assert there.reconcile() == ()
    assert [r.run for r in store.unresolved()] == [plan.run_id]


def test_a_dry_run_in_another_environment_is_none_here(store: AuditStore) -> None:
    there = Identity("mara", "s-9", "staging")
    store.note(there.event("dry-run", SLUG, at=NOW.isoformat(), ok=True, digests={}, audience=1))
    assert last_dry_run(store, SLUG, "prod") is None
    assert last_dry_run(store, SLUG, "staging") is not None


def test_a_new_due_time_does_not_make_this_console_forget_that_it_sent(
    runs: Runs, carrier: Host, store: AuditStore
) -> None:
    plan = make_plan()
    runs.start(plan)
    runs.close(state(Says.ENDED, plan.run_id, DONE))
    before = verdict(dashboard(), host(), words(store))  # the host was put back from a copy: it knows of no run
    assert before.status is Status.CONFLICT
    for decide in (
        lambda: decided(store).reschedule(*moved(before, "2026-05-12 10:55"), "once more"),
        lambda: decided(store).cancel(before, "never mind", NOTHING_LEFT),
        lambda: decided(store).reschedule(*moved(before, "2026-05-12 10:56"), "on second thoughts"),
    ):
        decide()
        after = verdict(dashboard(), host(), words(store))
        assert after.obstacles
    assert after.status is Status.CONFLICT
    assert "host-lost-records" in {f.code for f in after.findings}
    assert after.details.due is not None
    assert after.details.due.text == "2026-05-12 10:56"


def test_a_new_due_time_after_a_run_that_reached_nobody_is_a_new_chance(
    runs: Runs, carrier: Host, store: AuditStore
) -> None:
    plan = make_plan()
    runs.start(plan)
    runs.close(state(Says.ENDED, plan.run_id, Counts(total=2601)))
    now = verdict(dashboard(), host(), words(store))
    decided(store).reschedule(*moved(now, "2026-05-14 11:00"), "the disk was full")
    assert verdict(dashboard(), host(), words(store)).status is Status.PENDING


def test_a_send_without_an_end_blocks_the_next_one(runs: Runs, carrier: Host, store: AuditStore) -> None:
    assert not verdict(dashboard(), host()).obstacles
    carrier.on_start = killed_before_the_claim
    with pytest.raises(KeyboardInterrupt):
        runs.start(make_plan())
    (why,) = verdict(dashboard(), host(), words(store)).obstacles
    assert "no outcome was recorded" in why
    runs.reconcile()
    assert not verdict(dashboard(), host(), words(store)).obstacles


def test_a_start_that_was_refused_hides_neither_an_earlier_run_nor_a_new_due_time(
    runs: Runs, carrier: Host, store: AuditStore
) -> None:
    runs.start(make_plan())
    runs.close(state(Says.ENDED, make_plan().run_id, DONE))
    decided(store).reschedule(*moved(verdict(dashboard(), host()), "2026-05-12 10:56"), "once more")

    def refuse(plan: Plan) -> None:
        raise Refused("It is held")

    carrier.on_start = refuse
    with pytest.raises(Refused):
        runs.start(make_plan(attempt=2))
    after = verdict(dashboard(), host(), words(store))
    assert after.status is Status.CONFLICT
    assert after.details.due is not None
    assert after.details.due.text == "2026-05-12 10:56"


def test_news_that_nobody_can_deliver_keeps_none_behind_it(store: AuditStore) -> None:
    board = Dashboard()

    class Odd(Dashboard):
        def record(self, payload) -> None:  # type: ignore[no-untyped-def]
            if payload["n"] == 1:
                raise KeyError("n")
            board.record({"run_id": payload["n"]})

    outbox = Outbox(store)
    for number in (1, 2):
        outbox.put("dashboard", f"k{number}", {"n": number})
    delivery = Delivery(lambda: store, {"dashboard": Odd()}, lambda: NOW, "prod")
    assert delivery.deliver() == (1, 1)
    assert board.heard == [2]
    (left,) = delivery.waiting()
    assert "KeyError" in left.last_error
