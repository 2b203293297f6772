"""Ten refusals that are about everybody stop a send; ten people who don't exist do not."""

import pytest

from runner.campaign.address import Address
from runner.channel.port import Kind, Outcome
from runner.policy.refusals import ENOUGH, Refusal, Refusals, concerns_all
from runner.run.backlog import Item

FAILED, DEFERRED, SENDER = Kind.FAILED, Kind.DEFERRED, Kind.SENDER_REFUSED


def domain(number: int) -> str:
    return f"{chr(ord('a') + number)}.example.test"


def paused_by(kind: Kind, code: int, text: str, last_try: bool = False) -> bool:
    """Do ten of this answer in a row stop the send? `{n}` and `{who}` are different in each."""
    refusals = Refusals()
    for number in range(ENOUGH):
        told = text.format(n=f"4F{number}A7", who=f"ann@{domain(number)}")
        if not concerns_all(Outcome(kind, code, told), last_try):
            return False
        refusal = Refusal(Item(number, [], Address("ann@example.com", 7)), code, told, kind)
        if not refusals.fits(refusal):
            return False
        if refusals.keep(refusal):
            return True
    return False


@pytest.mark.parametrize(
    ("kind", "code", "text"),
    [
        (SENDER, 550, "5.1.8 <news@example.com>: Sender address rejected"),
        (SENDER, 554, "5.7.1 you may not send here, id {n}"),
        (FAILED, 554, "5.7.1 <{who}>: Relay access denied"),
        (FAILED, 554, "5.7.1 Message rejected as spam, queued as {n}"),
        (FAILED, 550, "5.7.26 This mail is unauthenticated {n}"),
        (FAILED, 552, "5.3.4 Message size exceeds fixed limit"),
        (FAILED, 550, "5.4.5 Daily user sending limit exceeded."),
        (FAILED, 554, "Transaction failed {n}"),
        (DEFERRED, 421, "4.7.0 [TSS04] Messages from 192.0.2.7 deferred for user complaints - {n}"),
        (DEFERRED, 451, "4.7.1 blocked by our policy, <{who}>"),
        (DEFERRED, 454, "4.7.0 Temporary authentication failure; authentication is needed"),
    ],
)
def test_the_same_refusal_for_everybody_stops_the_send(kind: Kind, code: int, text: str) -> None:
    assert paused_by(kind, code, text)


@pytest.mark.parametrize(
    ("kind", "code", "text"),
    [
        (FAILED, 550, "5.1.1 <{who}>: Recipient address rejected: User unknown"),
        (FAILED, 550, "5.1.1 User unknown"),  # word for word the same, at ten domains
        (FAILED, 550, "no"),
        (FAILED, 552, "5.2.2 mailbox is over quota"),
        (FAILED, 550, "5.1.2 <{who}>: Domain not found"),
        (FAILED, 0, "the address needs SMTPUTF8"),
        (FAILED, 21610, "unsubscribed: 21610 answered STOP"),
        (DEFERRED, 450, "4.2.0 <{who}>: Greylisted"),
        (DEFERRED, 451, "4.3.0 Temporary lookup failure"),
        (DEFERRED, 454, "Throttling failure: Maximum sending rate exceeded"),
        (Kind.UNKNOWN, 0, "no answer after the message"),
        (Kind.LOST, 421, "bye"),
        (Kind.ACCEPTED, 250, "ok"),
    ],
)
def test_refusals_of_recipients_and_of_the_moment_do_not(kind: Kind, code: int, text: str) -> None:
    assert not paused_by(kind, code, text)


def test_what_the_moment_refused_three_times_stops_the_send_instead_of_failing_everybody() -> None:
    assert paused_by(DEFERRED, 451, "4.3.0 Temporary lookup failure", last_try=True)
    assert paused_by(DEFERRED, 450, "4.2.0 <{who}>: Greylisted", last_try=True)
    assert not paused_by(DEFERRED, 452, "4.2.2 mailbox full", last_try=True)


def test_nine_are_not_enough_and_another_answer_begins_anew() -> None:
    refusals = Refusals()
    one = Refusal(Item(1, [], Address("ann@example.com", 7)), 554, "Transaction failed 12")
    for _ in range(ENOUGH - 1):
        assert refusals.fits(one)
        assert not refusals.keep(one)
    assert not refusals.fits(Refusal(one.item, 554, "5.7.1 rejected as spam"))
    assert len(refusals.take_all()) == ENOUGH - 1
    assert not refusals.kept
    assert not refusals.keep(one)
