"""Four eyes: the approver of this very content isn't its planner, until the approval ends; or glass is broken."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from opsconsole.audit.outbox import Outbox
from opsconsole.audit.records import Phase
from opsconsole.audit.rules import StoreRules
from opsconsole.audit.store import AuditStore
from opsconsole.audit.tidings import Ear
from opsconsole.observation import Content, Says
from opsconsole.policy import Policy
from opsconsole.ports import Refused
from opsconsole.verdict import Status
from tests.domain.words import NOW, SLUG, dashboard
from tests.support.console import CONTENT, PHRASE, Clock, Desk, FakeDashboard, FakeHost, run

TWO = Policy(four_eyes=True, plan_valid_for=timedelta(hours=48), dry_run_valid_for=timedelta(hours=48))


class Pager:
    """Somebody who is notified."""

    name = "notify:pager"

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def record(self, payload: Any) -> None:
        self.heard.append(payload)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    clock = Clock()
    rules = StoreRules(four_eyes=frozenset({"prod"}), told={"prod": (Ear("pager"),)})
    with AuditStore(tmp_path / "audit.db", bytes(32), clock=clock, rules=rules) as store:
        yield Desk(store, FakeHost(clock), FakeDashboard(clock), clock, TWO)


def approved_by(desk: Desk, who: str) -> None:
    desk.sit(who, "approver").decide("approve", SLUG, "read it")


def test_an_approval_of_a_dashboard_names_no_content_and_is_none(desk: Desk) -> None:
    verdict = desk.sit().verdict(SLUG)
    assert verdict.status is Status.UNAPPROVED
    assert "names no content" in verdict.why
    content = desk.host.word.content
    assert content is not None
    desk.board.word = dashboard(approval=replace(dashboard().approval, digest=content.digest))  # type: ignore[type-var]
    assert "never expires" in desk.sit().verdict(SLUG).why


def test_what_ana_approved_mara_plans_and_sends_and_the_intent_names_both(desk: Desk) -> None:
    approved_by(desk, "ana")
    mara = desk.sit("mara")
    plan = desk.rehearse(mara)
    mara.send(plan, PHRASE)
    intent = next(r for r in desk.store.for_run(plan.run_id) if r.phase is Phase.INTENT)
    approval: Any = intent.detail["approval"]
    assert (approval["by"], approval["digest"]) == ("ana", CONTENT.digest)
    assert approval["expires"] == (NOW + timedelta(hours=24)).isoformat()
    assert intent.detail["content"] == CONTENT.digest
    assert len(desk.host.asked_for("start")) == 1


@pytest.mark.parametrize("planner", ["ana", " Ana "])
def test_nobody_sends_what_they_approved_themselves(desk: Desk, planner: str) -> None:
    approved_by(desk, "ana")
    with pytest.raises(Refused, match="approved it and plans it, and four eyes are asked for here"):
        desk.rehearse(desk.sit(planner, "approver"))
    assert desk.host.asked_for("start") == []


def test_nobody_approves_what_they_planned_themselves(desk: Desk) -> None:
    approved_by(desk, "ana")
    desk.rehearse(desk.sit("mara", "approver"))
    with pytest.raises(Refused, match="mara planned it"):
        approved_by(desk, "mara")
    approved_by(desk, "ben")


def test_an_own_approval_on_top_hides_that_of_another_from_nobody(desk: Desk) -> None:
    approved_by(desk, "ana")
    plan = desk.rehearse(desk.sit("mara"))
    desk.clock.pass_(timedelta(minutes=1))
    approved_by(desk, "ben")
    desk.sit("mara").send(plan, PHRASE)
    assert len(desk.host.asked_for("start")) == 1


def test_an_approval_that_ends_between_the_two_steps_is_refused_at_the_last(desk: Desk) -> None:
    desk.policy = replace(TWO, approval_valid_for=timedelta(minutes=10))
    approved_by(desk, "ana")
    mara = desk.sit("mara")
    plan = desk.rehearse(mara)
    desk.clock.pass_(timedelta(minutes=9, seconds=50))
    mara.refresh()
    phrase = mara.confirmation("send", SLUG, plan).phrase
    desk.clock.pass_(timedelta(seconds=11))
    with pytest.raises(Refused, match="the approval by ana expired"):
        mara.send(plan, phrase)
    assert desk.host.asked_for("start") == []


def test_without_the_policy_one_person_is_enough(desk: Desk) -> None:
    desk.policy, desk.store.rules = Policy(), StoreRules()
    approved_by(desk, "mara")
    mara = desk.sit("mara")
    mara.send(desk.rehearse(mara), PHRASE)
    assert len(desk.host.asked_for("start")) == 1


def test_break_glass_is_for_admins_with_a_reason_and_the_phrase(desk: Desk) -> None:
    with pytest.raises(Refused, match="needs the role admin"):
        desk.sit("mara", "approver").break_glass(SLUG, PHRASE, "the client waits")
    admin = desk.sit("mara", "admin")
    for typed, reason in (("", "the client waits"), (SLUG, "the client waits"), (PHRASE, " ")):
        with pytest.raises(Refused, match="Nothing was done"):
            admin.break_glass(SLUG, typed, reason)
    assert desk.store.search(action="break-glass") == []


def test_break_glass_stands_in_for_the_second_person_and_everybody_hears_of_it(desk: Desk) -> None:
    pager = Pager()
    desk.told = {pager.name: pager}
    mara = desk.sit("mara", "admin")
    record = mara.break_glass(SLUG, PHRASE, "ana is on a plane")
    assert record.detail == {
        "digest": CONTENT.digest,
        "recipients": 2601,
        "expires": (NOW + timedelta(minutes=15)).isoformat(),
    }
    (heard,) = pager.heard
    assert heard["severity"] == "critical"
    assert "mara does without a second person" in heard["text"]
    assert heard["fields"]["reason"] == "ana is on a plane"
    assert "18:07 UTC" in heard["text"]
    verdict = mara.verdict(SLUG)
    assert "approved by broken glass (mara, until " in verdict.why
    (said,) = [e.text for o in verdict.observations for e in o.evidence if e.label == "console broken glass"]
    assert said == "no second person: glass was broken by mara, until 18:07 UTC: ana is on a plane"
    plan = desk.rehearse(mara)
    assert "glass was broken by mara" in dict(mara.confirmation("send", SLUG, plan).lines)["approved"]
    mara.send(plan, PHRASE)
    assert len(desk.host.asked_for("start")) == 1


def test_a_notice_that_can_not_be_given_now_waits_until_it_can(desk: Desk) -> None:
    class Silent(Pager):
        def record(self, payload: Any) -> None:
            raise Refused("the pager answered 503")

    desk.told = {Pager.name: Silent()}
    desk.sit("mara", "admin").break_glass(SLUG, PHRASE, "ana is on a plane")
    (item,) = [item for item in Outbox(desk.store).waiting() if item.destination == "notify:pager"]
    assert (item.destination, item.tries) == ("notify:pager", 1)


def test_broken_glass_counts_for_this_content_and_a_short_time(desk: Desk) -> None:
    mara = desk.sit("mara", "admin")
    mara.break_glass(SLUG, PHRASE, "ana is on a plane")
    plan = desk.rehearse(mara)
    kept = desk.host.word
    desk.host.word = replace(kept, content=Content(digest="f" * 64, rows=2601))
    mara.refresh()
    assert "was for other content" in mara.verdict(SLUG).why
    desk.host.word = kept
    desk.clock.pass_(timedelta(minutes=16))
    mara.refresh()
    with pytest.raises(Refused, match="expired"):
        mara.send(plan, PHRASE)
    assert desk.host.asked_for("start") == []


def claimed(desk: Desk, by: str = "mara") -> None:
    desk.host.shows(Says.CLAIMED, run(Says.CLAIMED, "r1", by=by))


def test_a_claim_is_given_back_by_a_second_person(desk: Desk) -> None:
    claimed(desk)
    with pytest.raises(Refused, match="a second person must release it"):
        desk.sit("mara").release_claim(SLUG, PHRASE, "the host rebooted")
    assert desk.host.asked == []
    desk.sit("ana").release_claim(SLUG, PHRASE, "the host rebooted")
    assert desk.host.asked_for("release") == [(1, "r1", "ana")]


def test_who_is_alone_breaks_glass_to_give_a_claim_back(desk: Desk) -> None:
    claimed(desk)
    mara = desk.sit("mara", "admin")
    mara.break_glass(SLUG, PHRASE, "nobody else is up")
    mara.release_claim(SLUG, PHRASE, "the host rebooted")
    assert desk.host.asked_for("release") == [(1, "r1", "mara")]
