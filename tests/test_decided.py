"""What people decide, as words of the console: what they bind, and what they never hide."""

from dataclasses import replace
from datetime import timedelta

import pytest

from opsconsole.audit.outbox import Outbox
from opsconsole.audit.store import AuditStore
from opsconsole.audit.words import ConsoleSource
from opsconsole.board import assemble
from opsconsole.decisions import Decisions
from opsconsole.observation import Counts, Observation, Report, Says
from opsconsole.plan import Plan
from opsconsole.policy import Policy
from opsconsole.ports import Refused
from opsconsole.runs import Identity, Runs
from opsconsole.verdict import Status
from tests.domain.test_plan import plan as make_plan
from tests.domain.words import NOW, SLUG, dashboard, host, verdict
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


def _report(o: Observation) -> Report:
    return Report(
        source=o.source, looked_at=NOW, fresh_for=o.fresh_for, observations=(o,), keeps_traces=o.keeps_traces
    )


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
    decisions = Decisions(lambda: store, ME, lambda slug: ("dashboard", "ledger"))
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


def test_what_was_decided_in_another_environment_counts_there_alone(
    runs: Runs, carrier: Host, store: AuditStore
) -> None:
    staging = Identity("mara", "s-9", "staging")
    elsewhere = Decisions(lambda: store, staging)
    elsewhere.hold("everything", "provider down")
    elsewhere.approve(verdict(dashboard(approval=None), host()), "only a rehearsal", NOW + timedelta(hours=24))
    elsewhere.mark(verdict(dashboard(), host()), "sent to the testers", ())
    report = ConsoleSource(lambda: store, lambda: NOW, "prod").observe()
    assert (report.observations, report.holds) == ((), ())


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
