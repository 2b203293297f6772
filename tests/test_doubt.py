"""A run that broke: looked at side by side, settled by a person, finished once, or left as it is."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from opsconsole.audit.outbox import Outbox
from opsconsole.audit.records import Phase
from opsconsole.audit.store import AuditStore
from opsconsole.console import Console
from opsconsole.observation import Counts, Says
from opsconsole.plan import Plan
from opsconsole.ports import EveryUnknown, Fate, MaybeStarted, OutOfReach, Refused, Trouble
from opsconsole.runs import Identity, Runs
from opsconsole.verdict import Group, Status
from tests.domain.words import NOW, SLUG
from tests.support.console import HOST, PHRASE, Clock, Desk, FakeDashboard, FakeHost, run

REST = f"{SLUG} 1012"
SETTLED = f"{SLUG} 2"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    clock = Clock()
    with AuditStore(tmp_path / "audit.db", bytes(32), clock=clock) as store:
        yield Desk(store, FakeHost(clock), FakeDashboard(clock), clock)


def broken_off(desk: Desk) -> tuple[Console, Plan]:
    """mara's run broke off: two may have got it, 1,012 provably didn't."""
    mara = desk.sit()
    plan = desk.rehearse(mara)
    mara.send(plan, PHRASE)
    desk.host.broke_off(plan.run_id)
    mara.refresh()
    return mara, plan


def open_intents(desk: Desk) -> list[str]:
    return [record.action for record in desk.store.unresolved()]


def test_in_doubt_offers_the_evidence_first_and_what_can_be_done(desk: Desk) -> None:
    mara, plan = broken_off(desk)
    verdict = mara.verdict(SLUG)
    assert verdict.status is Status.IN_DOUBT
    assert verdict.next_steps[0] == "doubt"
    view = mara.doubt_beside(SLUG)
    assert {word.source for word in view.words} == {"blast-mail-prod", "dashboard", "console"}
    assert [choice for choice, _ in view.choices] == ["settle", "send-rest", "close"]
    document: Any = view.document()
    assert document["journal"]["unknown_total"] == 2
    assert document["journal"]["run_id"] == plan.run_id
    assert desk.host.asked_for("decide") == []


def test_every_decision_about_a_recipient_is_on_record_before_the_host_hears_of_it(desk: Desk) -> None:
    mara, plan = broken_off(desk)
    left = mara.settle(SLUG, {3: Fate.SENT, 7: Fate.RESEND}, SETTLED, "the provider shows row 3")
    assert (left.unknown_total, left.unsent) == (0, 1013)
    intent, outcome = (r for r in desk.store.for_run(plan.run_id) if r.action == "settle")
    assert intent.detail["fates"] == {"sent": [3], "resend": [7]}
    assert outcome.detail == {"result": "done", "unsent": 1013, "unknown": 0}
    assert desk.host.asked_for("decide") == [{3: Fate.SENT, 7: Fate.RESEND}]


def test_all_are_settled_as_one_decision_also_those_beyond_the_thousand_listed(desk: Desk) -> None:
    mara, plan = broken_off(desk)
    assert desk.host.left is not None
    desk.host.left = replace(desk.host.left, unknown_total=1500)
    with pytest.raises(Refused, match="asked for 'paul-simon-may12 1500'"):
        mara.settle(SLUG, EveryUnknown(fate=Fate.SENT, count=1500), SETTLED, "")
    with pytest.raises(Refused, match="1,500 recipients are unknown now, not 1,499"):
        mara.settle(SLUG, EveryUnknown(fate=Fate.SENT, count=1499), f"{SLUG} 1499", "")
    assert desk.host.asked_for("decide") == []
    assert open_intents(desk) == ["send"]
    every = EveryUnknown(fate=Fate.RESEND, count=1500)
    left = mara.settle(SLUG, every, f"{SLUG} 1500", "the provider has none of them")
    assert (left.unknown_total, left.unsent) == (0, 2512)
    assert desk.host.asked_for("decide") == [every]
    intent, _ = (r for r in desk.store.for_run(plan.run_id) if r.action == "settle")
    assert (intent.detail["all"], intent.detail["fates"]) == (1500, {"sent": [], "resend": [3, 7]})
    assert mara._mending().decided_again(plan.run_id) == 1500


def test_who_is_decided_again_in_every_rest_counts_once(desk: Desk) -> None:
    mara, plan = broken_off(desk)
    mara.settle(SLUG, {3: Fate.RESEND}, f"{SLUG} 1", "")
    mara.settle(SLUG, EveryUnknown(fate=Fate.RESEND, count=1), f"{SLUG} 1", "")
    assert mara._mending().decided_again(plan.run_id) == 2
    mara.send_rest(SLUG, f"{SLUG} 1014", "")
    desk.host.broke_off(plan.run_id)
    mara.refresh()
    mara.settle(SLUG, EveryUnknown(fate=Fate.RESEND, count=2), SETTLED, "")
    assert mara._mending().decided_again(plan.run_id) == 2


@pytest.mark.parametrize("typed", ["", PHRASE, f"{SLUG} 1", f"{SLUG} 3"])
def test_settling_asks_for_the_number_of_those_it_settles(desk: Desk, typed: str) -> None:
    mara, _ = broken_off(desk)
    with pytest.raises(Refused, match="asked for 'paul-simon-may12 2'"):
        mara.settle(SLUG, {3: Fate.SENT, 7: Fate.SENT}, typed, "")
    with pytest.raises(Refused, match="No recipient was chosen"):
        mara.settle(SLUG, {}, typed, "")
    assert desk.host.asked_for("decide") == []


@pytest.mark.parametrize(
    ("said", "result", "still_open"),
    [(Refused("row 3 is settled"), "failed", False), (Trouble("The reply was lost"), "unclear", False)],
)
def test_a_settling_that_failed_says_so_in_the_records(
    desk: Desk, said: Trouble, result: str, still_open: bool
) -> None:
    mara, plan = broken_off(desk)
    desk.host.trouble = said
    with pytest.raises(type(said)):
        mara.settle(SLUG, {3: Fate.SENT, 7: Fate.SENT}, SETTLED, "")
    outcome = desk.store.for_run(plan.run_id)[-1]
    assert (outcome.action, outcome.detail["result"]) == ("settle", result)
    assert ("settle" in open_intents(desk)) is still_open


def test_the_rest_is_sent_under_the_same_run_and_its_end_is_the_end_of_both(desk: Desk) -> None:
    mara, plan = broken_off(desk)
    mara.send_rest(SLUG, REST, "the host is back")
    assert desk.host.asked_for("send-rest") == [plan.run_id]
    assert len(desk.host.asked_for("start")) == 1
    assert open_intents(desk) == ["send", "send-rest"]
    desk.host.shows(Says.ENDED, run(Says.ENDED, plan.run_id, counts=Counts(total=2601, accepted=2601)))
    mara.refresh()
    assert open_intents(desk) == []
    ends = [(r.action, r.detail["status"]) for r in desk.store.for_run(plan.run_id) if r.phase is Phase.OUTCOME]
    assert sorted(ends) == [("send", "sent"), ("send-rest", "sent")]
    assert mara.verdict(SLUG).status is Status.SENT


def test_the_end_of_a_rest_after_a_recorded_end_is_told_again_and_once(desk: Desk) -> None:
    store, clock = desk.store, desk.clock
    mara_s = Identity("mara", "s-mara", "prod")
    runs = Runs(lambda: store, {HOST: desk.host}, mara_s, clock, lambda slug: ("dashboard",))
    mara, plan = broken_off(desk)
    first = run(Says.ENDED, plan.run_id, counts=Counts(total=2601, accepted=1587), at=NOW)
    desk.host.shows(Says.ENDED, first)
    runs.close(first)
    mara.refresh()
    assert mara.verdict(SLUG).status is Status.PARTIAL
    mara.send_rest(SLUG, REST, "")
    # The old end is still what the host tells: it isn't the end of the rest.
    desk.host.shows(Says.ENDED, first)
    assert "no end of the rest is known" in runs.reconcile()[0]
    assert open_intents(desk) == ["send-rest"]
    whole = run(Says.ENDED, plan.run_id, counts=Counts(total=2601, accepted=2601), at=NOW + timedelta(minutes=4))
    runs.close(whole)
    runs.close(whole)
    told = [item.payload for item in Outbox(store).waiting()]
    assert [(t["status"], t["completed_at"]) for t in told] == [
        ("partial", NOW.isoformat()),
        ("sent", (NOW + timedelta(minutes=4)).isoformat()),
    ]
    assert len({t["run_id"] for t in told}) == 2


def test_a_lost_reply_to_the_rest_is_asked_about_and_never_sent_again(desk: Desk) -> None:
    mara, plan = broken_off(desk)
    desk.host.trouble = MaybeStarted("The reply was lost")
    with pytest.raises(MaybeStarted):
        mara.send_rest(SLUG, REST, "")
    desk.host.trouble = None
    for _ in range(3):
        mara.refresh()
    assert len(desk.host.asked_for("send-rest")) == 1
    assert "send-rest" in open_intents(desk)
    desk.host.shows(Says.ENDED, run(Says.ENDED, plan.run_id, counts=Counts(total=2601, accepted=2601)))
    mara.refresh()
    assert open_intents(desk) == []


def test_a_rest_that_was_refused_leaves_no_intent_open(desk: Desk) -> None:
    mara, _ = broken_off(desk)
    desk.host.trouble = Refused("Somebody is sending it now")
    with pytest.raises(Refused):
        mara.send_rest(SLUG, REST, "")
    assert open_intents(desk) == ["send"]


@pytest.mark.parametrize("scope", [SLUG, f"host:{HOST}", "everything"])
def test_a_hold_binds_the_rest_too(desk: Desk, scope: str) -> None:
    mara, _ = broken_off(desk)
    if scope == SLUG:
        mara.decide("hold", SLUG, "wrong subject")
    else:
        mara.hold_scope(scope, False, "wrong subject")
    with pytest.raises(Refused, match="wrong subject"):
        mara.send_rest(SLUG, REST, "")
    assert desk.host.asked_for("send-rest") == []


def test_as_many_as_were_confirmed_and_no_others(desk: Desk) -> None:
    mara, _ = broken_off(desk)
    phrase = mara.confirmation("send-rest", SLUG).phrase
    assert desk.host.left is not None
    desk.host.left = replace(desk.host.left, unsent=1013)  # somebody decided one of the unknown meanwhile
    with pytest.raises(Refused, match="asked for"):
        mara.send_rest(SLUG, phrase, "")
    assert desk.host.asked_for("send-rest") == []


def test_what_the_journal_has_against_the_rest_is_said(desk: Desk) -> None:
    mara, _ = broken_off(desk)
    assert desk.host.left is not None
    desk.host.left = replace(desk.host.left, against="blast_data.csv was changed since")
    with pytest.raises(Refused, match=r"blast_data\.csv was changed"):
        mara.confirmation("send-rest", SLUG)


def test_what_a_dashboard_was_told_itself_speaks_against_nothing(desk: Desk) -> None:
    mara, plan = broken_off(desk)
    told = run(Says.ENDED, plan.run_id, counts=Counts(total=2601, accepted=2601)).word
    desk.board.word = replace(desk.board.word, run=told)
    mara.watch.refresh()
    assert mara.doubt(SLUG).against == ""


@pytest.mark.parametrize("source", [HOST, "dashboard"])
def test_a_journal_that_knows_less_than_another_source_proves_nobody_unsent(desk: Desk, source: str) -> None:
    mara, plan = broken_off(desk)
    more = run(Says.STARTED, plan.run_id, counts=Counts(total=2601, accepted=1590)).word  # the journal: 1,587 + 2
    if source == HOST:
        desk.host.word = replace(desk.host.word, run=more)
    else:
        desk.board.word = replace(
            desk.board.word, run=more, records=False
        )  # it counts by itself, as a provider does
    mara.watch.refresh()
    with pytest.raises(Refused, match=f"{source} tells of 1,590: the journal isn't whole"):
        mara.send_rest(SLUG, REST, "")
    assert "can't be done" in dict(mara.doubt_beside(SLUG).choices)["send-rest"]
    assert desk.host.asked_for("send-rest") == []


def test_closing_leaves_it_as_it_is_and_ends_the_alarm(desk: Desk) -> None:
    mara, _ = broken_off(desk)
    mara.decide("close", SLUG, "the client was told", typed=PHRASE)
    verdict = mara.verdict(SLUG)
    assert (verdict.status, verdict.group) == (Status.PARTIAL, Group.DONE)
    assert "the client was told" in verdict.why
    assert open_intents(desk) == []
    for action in ("settle", "send-rest", "close"):
        assert "closed" in mara.disabled_reason(action, SLUG)
    with pytest.raises(Refused):
        mara.send_rest(SLUG, REST, "")
    mara.refresh()  # nothing that is looked after later opens it again
    assert mara.verdict(SLUG).group is Group.DONE


def test_closing_when_nobody_is_left_makes_it_sent(desk: Desk) -> None:
    mara, _ = broken_off(desk)
    assert desk.host.left is not None
    counts = Counts(total=2601, accepted=2601)
    desk.host.left = replace(desk.host.left, unknown=(), unknown_total=0, unsent=0, counts=counts)
    mara.decide("close", SLUG, "all 2,601 are in the mail log", typed=PHRASE)
    verdict = mara.verdict(SLUG)
    assert (verdict.status, verdict.group) == (Status.SENT, Group.DONE)


def test_marking_ends_the_alarm_of_what_was_open(desk: Desk) -> None:
    mara, _ = broken_off(desk)
    mara.decide("mark", SLUG, "the provider counts 2,601", typed=PHRASE)
    assert open_intents(desk) == []
    assert mara.verdict(SLUG).status is Status.SENT
    assert "unresolved-intent" not in {f.code for f in mara.verdict(SLUG).findings}


def test_an_open_intent_is_resolved_by_somebody_who_looked(desk: Desk) -> None:
    mara, _ = broken_off(desk)
    (intent,) = desk.store.unresolved()
    with pytest.raises(Refused, match="needs a reason"):
        mara.resolve(intent.seq, " ")
    with pytest.raises(Refused, match="no open intent"):
        mara.resolve(intent.seq + 1, "looked")
    mara.resolve(intent.seq, "the host is gone for good")
    assert open_intents(desk) == []


@pytest.mark.parametrize(("action", "verb"), [("pause", "pause"), ("resume", "resume"), ("stop", "cancel")])
def test_a_signal_nobody_heard_of_again_is_closed_by_looking(desk: Desk, action: str, verb: str) -> None:
    mara, _ = broken_off(desk)
    event = mara.identity.event(f"run-{verb}", SLUG, "", "", attempt=1, carrier=HOST)
    desk.store.intent(replace(event, session="another"))
    mara.refresh()
    assert f"run-{verb}" in open_intents(desk)  # it may be under way in the other console
    desk.clock.pass_(timedelta(minutes=3))
    mara.refresh()
    assert f"run-{verb}" not in open_intents(desk)
    outcome = desk.store.search(action=f"run-{verb}")[0]
    assert "unclear: it is now started" in outcome.reason
    assert desk.host.asked_for("signal") == []


def test_an_open_settling_is_closed_by_what_the_journal_says_now(desk: Desk) -> None:
    mara, plan = broken_off(desk)
    event = mara.identity.event("settle", SLUG, plan.run_id, "", attempt=1, carrier=HOST, fates={})
    desk.store.intent(replace(event, session="another"))
    desk.clock.pass_(timedelta(minutes=3))
    mara.refresh()
    outcome = desk.store.search(action="settle")[0]
    assert outcome.detail["unknown"] == 2
    assert "2 unknown and 1,012 unsent" in outcome.reason
    assert desk.host.asked_for("decide") == []


def test_without_a_carrier_to_ask_everything_stays_open(desk: Desk) -> None:
    mara, _ = broken_off(desk)
    desk.host.run_state = lambda slug, attempt=None: (_ for _ in ()).throw(OutOfReach("no answer"))  # type: ignore[method-assign,assignment]
    desk.clock.pass_(timedelta(minutes=3))
    mara.refresh()
    assert open_intents(desk) == ["send"]


# Claims.


def test_a_pasted_phrase_is_on_record(desk: Desk) -> None:
    desk.sit().note_refused_paste(SLUG, "send", "terminal")
    (record,) = desk.store.search(action="refused-paste")
    assert record.detail == {"asked_for": "send", "where": "terminal"}
    assert record.campaign == SLUG
