"""A claim left behind: who may give it back, and what is known when the answer to that is lost."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from opsconsole.audit.store import AuditStore
from opsconsole.console import Console
from opsconsole.observation import Counts, Says
from opsconsole.plan import Plan
from opsconsole.ports import MaybeStarted, Refused, Trouble
from opsconsole.verdict import Group, Status
from tests.domain.words import SLUG
from tests.support.console import PHRASE, Clock, Desk, FakeDashboard, FakeHost, run


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    clock = Clock()
    with AuditStore(tmp_path / "audit.db", bytes(32), clock=clock) as store:
        yield Desk(store, FakeHost(clock), FakeDashboard(clock), clock)


def open_intents(desk: Desk) -> list[str]:
    return [record.action for record in desk.store.unresolved()]


def claimed(desk: Desk) -> tuple[Console, Plan]:
    """mara's start was claimed and never got further: the host went down in between."""
    mara = desk.sit()
    plan = desk.rehearse(mara)
    desk.host.trouble = MaybeStarted("The reply was lost")
    with pytest.raises(MaybeStarted):
        mara.send(plan, PHRASE)
    desk.host.trouble = None
    desk.host.shows(Says.CLAIMED, run(Says.CLAIMED, plan.run_id))
    mara.refresh()
    return mara, plan


def test_a_claim_left_behind_is_seen_said_to_be_unsent_and_offers_its_release(desk: Desk) -> None:
    mara, _ = claimed(desk)
    verdict = mara.verdict(SLUG)
    assert (verdict.status, verdict.group) == (Status.CLAIMED, Group.ATTENTION)
    assert "provably nothing was sent" in verdict.why
    assert "release-claim" in verdict.next_steps
    assert mara.disabled_reason("release-claim", SLUG) == ""
    assert verdict.obstacles


def test_a_claim_just_made_is_in_flight(desk: Desk) -> None:
    mara, plan = claimed(desk)
    young = run(Says.CLAIMED, plan.run_id, at=desk.clock.now + timedelta(minutes=8, seconds=30))
    desk.host.shows(Says.CLAIMED, young)
    mara.refresh()
    assert mara.verdict(SLUG).group is Group.IN_FLIGHT


def test_after_a_release_the_next_attempt_is_planned_and_nothing_of_the_old_run_blocks(desk: Desk) -> None:
    _, first = claimed(desk)
    ana = desk.sit("ana")
    ana.release_claim(SLUG, PHRASE, "the host rebooted before it started")
    assert open_intents(desk) == []
    assert ana.verdict(SLUG).status is Status.OVERDUE
    second = desk.rehearse(ana)
    assert (first.attempt, second.attempt) == (1, 2)
    assert second.run_id != first.run_id
    with pytest.raises(Refused, match="attempt was 1"):
        ana.send(first, PHRASE)
    ana.send(second, PHRASE)
    assert [plan.attempt for plan in desk.host.asked_for("start")] == [1, 2]


def test_an_end_that_reached_nobody_can_be_released_one_that_reached_somebody_can_not(desk: Desk) -> None:
    mara, plan = claimed(desk)
    for counts, reason in (
        (Counts(total=2601), ""),
        (Counts(total=2601, accepted=1), "It is PARTIAL"),
        (Counts(total=2601, unknown=1), "It is PARTIAL"),
        (None, "can't be proven"),
    ):
        failed = run(Says.ENDED, plan.run_id, counts=counts)
        failed = replace(failed, word=replace(failed.word, rc=78))
        desk.host.shows(Says.ENDED, failed)
        desk.host.asked.clear()
        mara.watch.refresh()
        assert reason in mara.disabled_reason("release-claim", SLUG)
        assert bool(reason) == bool(mara.disabled_reason("release-claim", SLUG)), counts


def test_after_an_end_that_reached_nobody_is_released_its_record_blocks_no_more(desk: Desk) -> None:
    mara, plan = claimed(desk)
    failed = run(Says.ENDED, plan.run_id, counts=Counts(total=2601))
    desk.host.shows(Says.ENDED, replace(failed, word=replace(failed.word, rc=78)))
    mara.refresh()
    assert mara.verdict(SLUG).status is Status.FAILED
    desk.sit("ana").release_claim(SLUG, PHRASE, "no space was left")
    mara.refresh()
    assert mara.verdict(SLUG).status is Status.OVERDUE
    assert mara.verdict(SLUG).obstacles == ()


def test_a_release_that_the_host_refuses_changes_nothing(desk: Desk) -> None:
    _, plan = claimed(desk)
    desk.host.trouble = Refused("its owner is alive")
    with pytest.raises(Refused, match="owner is alive"):
        desk.sit("ana").release_claim(SLUG, PHRASE, "it looks dead")
    assert open_intents(desk) == ["send"]
    assert desk.store.for_run(plan.run_id)[-1].detail["result"] == "failed"


LOST = (Trouble("The answer was lost"), KeyboardInterrupt())


@pytest.mark.parametrize("lost", LOST, ids=("lost", "console-killed"))
def test_a_release_that_never_arrived_stays_open_until_it_is_repeated(desk: Desk, lost: Any) -> None:
    claimed(desk)
    ana = desk.sit("ana")
    desk.host.trouble, desk.host.releases = lost, False
    with pytest.raises(type(lost)):
        ana.release_claim(SLUG, PHRASE, "the host rebooted")
    desk.clock.pass_(timedelta(minutes=5))
    ben = desk.sit("ben")
    assert open_intents(desk) == ["send", "release-claim"]
    assert any("its claim stands" in found for found in ben.found_at_start)
    assert ben.verdict(SLUG).obstacles
    assert len(desk.host.asked_for("release")) == 1
    desk.host.trouble, desk.host.releases = None, True
    ana.refresh()
    ana.release_claim(SLUG, PHRASE, "the host rebooted")
    assert open_intents(desk) == []


@pytest.mark.parametrize("lost", LOST, ids=("lost", "console-killed"))
def test_a_release_whose_answer_was_lost_is_found_out_by_asking_and_told_as_whose_it_was(
    desk: Desk, lost: Any
) -> None:
    _, plan = claimed(desk)
    ana = desk.sit("ana")
    desk.host.trouble = lost
    with pytest.raises(type(lost)):
        ana.release_claim(SLUG, PHRASE, "the host rebooted")
    assert open_intents(desk) == ["send", "release-claim"]
    desk.host.trouble = None
    ben = desk.sit("ben")
    assert len(desk.host.asked_for("release")) == 1, "nothing is repeated by itself"
    assert open_intents(desk) == []
    outcome = next(r for r in desk.store.for_run(plan.run_id) if r.detail.get("result") == "released")
    assert (outcome.operator, outcome.detail["by"], outcome.reason) == ("ben", "ana", "the host rebooted")
    assert ben.verdict(SLUG).status is Status.OVERDUE
    assert desk.rehearse(ben).attempt == 2
