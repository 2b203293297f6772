"""Steps are written together, and each one's answer is its own."""

import threading
from typing import Any

import pytest

from runner.worker.schema import State
from runner.worker.steps import Begin, End, Record, Tables
from runner.worker.teller import WRITTEN, Busy, Cancelled, Exists, Held, NotNow, Teller, resolved

NOW = "2026-05-12T09:00:00+00:00"
FAILED = "ConditionalCheckFailed"


def begin(who: str, campaign_id: str = "c", begin_id: str = "b1") -> Begin:
    return Begin(campaign_id, f"{who}@example.com", 0, begin_id, "w", NOW)


def end(who: str, state: State = State.SENT, **more: Any) -> End:
    return End("c", f"{who}@example.com", "b1", state, NOW, **more)


class Desk:
    """Says one prepared thing for each transaction, then takes all. `held_up`: the first one waits for `open`."""

    def __init__(self, *says: Exception, held_up: bool = False) -> None:
        self.says, self.taken = list(says), list[list[dict[str, Any]]]()
        self.reached, self.open = threading.Event(), threading.Event()
        if not held_up:
            self.open.set()

    def __call__(self, parts: list[dict[str, Any]]) -> None:
        self.reached.set()
        self.open.wait(5)
        self.taken.append(parts)
        if self.says:
            raise self.says.pop(0)


def together(desk: Desk, *steps: Any) -> list[Any]:
    """The answers of steps that all wait while another transaction is on its way."""
    teller = Teller(Tables(), desk)
    asked = [teller.ask(begin("first"))]
    assert desk.reached.wait(5)
    asked += [teller.ask(step) for step in steps]
    desk.open.set()
    found = [answer.result(5) for answer in asked]
    teller.close()
    return found


def test_what_comes_at_the_same_time_goes_in_one_transaction_by_kind_and_campaign() -> None:
    desk = Desk(held_up=True)

    found = together(desk, begin("b"), end("x"), begin("c"), begin("d", "other"), begin("b"))

    assert found == [WRITTEN] * 6
    people = [[_who(part) for part in parts[1:]] for parts in desk.taken]
    assert people == [["first"], ["b", "c"], ["x"], ["d"], ["b"]]  # nobody is twice in one


def test_counts_are_added_once_for_all_that_end_together() -> None:
    desk = Desk(held_up=True)

    together(desk, end("a"), end("b"), end("c", State.FAILED, error="no"))

    head = desk.taken[1][0]["Update"]
    assert head["ConditionExpression"] == "attribute_exists(campaign_id)"  # never makes a campaign
    assert head["ExpressionAttributeValues"][":add_sent"] == {"N": "2"}
    assert head["ExpressionAttributeValues"][":add_failed"] == {"N": "1"}


def test_one_that_somebody_has_does_not_keep_the_others_back() -> None:
    theirs = {"state": "sent", "begin_id": "b0"}
    desk = Desk(NotNow("the first comes again with them"), held_up=True)
    desk.says.append(Cancelled([("", None), ("", None), (FAILED, theirs), ("", None)]))

    assert together(desk, begin("a"), begin("b")) == [WRITTEN, Exists(theirs), WRITTEN]
    assert [len(parts) - 1 for parts in desk.taken] == [1, 3, 2]


def test_a_campaign_that_is_paused_lets_nobody_be_begun() -> None:
    paused = {"status": "processing", "paused": True}
    teller = Teller(Tables(), Desk(Cancelled([(FAILED, paused), ("", None)])))

    assert teller.ask(begin("a")).result(5) == Held(paused)
    teller.close()


def test_two_workers_on_one_campaign_are_in_each_others_way_and_try_again() -> None:
    desk = Desk(Cancelled([("TransactionConflict", None), ("", None)]), NotNow("throttled"))
    teller = Teller(Tables(), desk)

    assert teller.ask(begin("a")).result(5) is WRITTEN
    teller.close()
    assert len(desk.taken) == 3


def test_what_cannot_be_written_in_time_says_so() -> None:
    teller = Teller(Tables(), Desk(*[NotNow("away")] * 50), last=0.05)

    with pytest.raises(Busy):
        teller.ask(end("a")).result(10)
    teller.close()


def test_a_lost_answer_is_known_by_its_trace() -> None:
    ours = {"begin_id": "b1", "worker": "w", "begun_at": NOW}

    assert resolved(begin("a"), {**ours, "state": "sending"}) is WRITTEN
    assert resolved(end("a"), {**ours, "state": "sent"}) is WRITTEN
    record = Record("c", "a@example.com", 0, State.MISSING, "w", NOW)
    assert resolved(record, {**ours, "state": "missing"}) is WRITTEN
    assert isinstance(resolved(record, {**ours, "state": "missing", "worker": "other"}), Exists)


def test_the_truth_comes_late_to_one_that_was_declared_unknown() -> None:
    late = resolved(end("a"), {"state": "unknown", "begin_id": "b1"})

    assert late == end("a", former=State.UNKNOWN)
    desk = Desk()
    teller = Teller(Tables(), desk)
    assert isinstance(late, End)
    teller.ask(late).result(5)
    teller.close()
    values = desk.taken[0][0]["Update"]["ExpressionAttributeValues"]
    assert (values[":add_sent"], values[":add_unknown"]) == ({"N": "1"}, {"N": "-1"})


def test_of_another_attempt_the_end_is_not_ours_to_write() -> None:
    theirs = {"state": "sending", "begin_id": "b2"}

    assert resolved(end("a"), theirs) == Exists(theirs)
    assert resolved(end("a", State.UNKNOWN), {"state": "unknown", "begin_id": "b1"}) is WRITTEN


def test_one_that_a_person_sends_again_is_begun_again_once() -> None:
    resend = {"state": "resend", "begin_id": "b0"}
    again = resolved(begin("a"), resend)

    assert isinstance(again, Begin)
    assert again.again
    assert resolved(again, {"state": "sending", "begin_id": "b9"}) == Exists({"state": "sending", "begin_id": "b9"})


def _who(part: dict[str, Any]) -> str:
    ((_, request),) = part.items()
    return str((request.get("Item") or request["Key"])["contact_email"]["S"].partition("@")[0])
