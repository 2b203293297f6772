"""What a server may answer to MAIL, RCPT, DATA and the message, and what it means for the mail."""

import random

import pytest

from runner.channel.port import Kind, ServerRefusesUs
from tests.runner.wire.conftest import Letter, Way, account, nothing
from tests.support.scripted_smtp import ScriptedSmtp, cut

ANN, BO = "ann@example.com", "bo@example.com"


def test_given_a_willing_server_then_each_mail_arrives_once_over_one_connection(
    way: Way, server: ScriptedSmtp
) -> None:
    people = [f"p{number}@example.com" for number in range(5)]

    outcomes = way.deliver(server, *people)

    assert {(outcome.kind, outcome.code, outcome.text) for outcome in outcomes} == {
        (Kind.ACCEPTED, 250, "2.0.0 queued")
    }
    assert server.recipients() == people
    assert {(mail.sender, mail.content) for mail in server.taken} == {
        ("news@example.com", b"Subject: May\r\n\r\nDear Ann")
    }
    assert server.steps == [["CONNECT", "EHLO", *["MAIL", "RCPT", "DATA", "BODY", "DOT"] * 5, "QUIT"]]


def test_given_pipelining_then_the_envelope_is_one_write(pipelined: Way, server: ScriptedSmtp) -> None:
    pipelined.deliver(server, ANN)
    assert b"MAIL FROM:<news@example.com>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n" in server.segments


def test_given_no_pipelining_offered_then_no_command_goes_before_the_last_ones_answer(pipelined: Way) -> None:
    server = ScriptedSmtp(extensions=("8BITMIME",))
    assert [outcome.kind for outcome in pipelined.deliver(server, ANN, BO)] == [Kind.ACCEPTED] * 2
    assert all(
        segment.count(b"\n") == 1 for segment in server.segments if segment[:4] in (b"MAIL", b"RCPT", b"DATA")
    )
    assert server.recipients() == [ANN, BO]
    server.stop()


@pytest.mark.parametrize(
    ("step", "answer", "kind"),
    [
        ("RCPT", "450 4.2.0 greylisted, come back", Kind.DEFERRED),
        ("RCPT", "451 4.3.0 local trouble", Kind.DEFERRED),
        ("RCPT", "452 4.2.2 mailbox full", Kind.DEFERRED),
        ("RCPT", "454 4.7.0 throttled", Kind.DEFERRED),
        ("RCPT", "550 5.1.1 no such user", Kind.FAILED),
        ("RCPT", "552 5.2.2 mailbox full for good", Kind.FAILED),
        ("DOT", "451 4.3.0 try later", Kind.DEFERRED),
        ("DOT", "452 4.3.1 no space", Kind.DEFERRED),
        ("DOT", "454 Throttling failure: Maximum sending rate exceeded.", Kind.DEFERRED),
        ("DOT", "552 5.3.4 too big", Kind.FAILED),
        ("DOT", "554 5.7.1 spam", Kind.FAILED),
        ("MAIL", "451 4.3.2 not now", Kind.DEFERRED),
        ("MAIL", "550 5.7.1 sender not allowed", Kind.SENDER_REFUSED),
        ("DATA", "451 4.7.1 not now", Kind.DEFERRED),
        ("DATA", "554 5.7.1 not from you", Kind.SENDER_REFUSED),
    ],
)
def test_given_a_refusal_then_it_is_told_and_the_next_mail_goes_through(
    way: Way, server: ScriptedSmtp, step: str, answer: str, kind: Kind
) -> None:
    server.on(step, answer, times=1)

    refused, again = way.deliver(server, ANN, ANN)

    assert (refused.kind, refused.code, refused.text) == (kind, int(answer[:3]), answer[4:])
    assert again.kind is Kind.ACCEPTED
    assert server.recipients() == [ANN]
    assert len(server.steps) == 1, "the connection was kept"


def test_given_refusals_in_any_order_then_no_mail_gets_anothers_answer(way: Way, server: ScriptedSmtp) -> None:
    ways = {
        "fine": (Kind.ACCEPTED, None),
        "grey": (Kind.DEFERRED, ("RCPT", "450 grey")),
        "gone": (Kind.FAILED, ("RCPT", "550 gone")),
        "spam": (Kind.FAILED, ("DOT", "554 spam")),
        "busy": (Kind.DEFERRED, ("DOT", "451 busy")),
        "shut": (Kind.LOST, ("RCPT", "421 shut")),
    }
    choice = random.Random(7)
    people = [f"{choice.choice(list(ways))}-{number}@example.com" for number in range(60)]
    for person in people:
        if (rule := ways[person[:4]][1]) is not None:
            server.on(rule[0], f"{rule[1]} {person}", *([cut] if "421" in rule[1] else []), recipient=person)

    outcomes = way.deliver(server, *people, per_connection=7)

    for person, outcome in zip(people, outcomes, strict=True):
        assert outcome.kind is ways[person[:4]][0], person
        assert outcome.kind is Kind.ACCEPTED or outcome.text.endswith(person)
    assert server.recipients() == [person for person in people if person.startswith("fine")]


@pytest.mark.parametrize(
    "after", [("554 5.5.1 no valid recipients",), ("503 5.5.1 RCPT first",), ("250 ok",), (cut,)]
)
def test_given_354_although_the_recipient_was_refused_then_nobody_gets_a_mail_and_it_counts_as_refused(
    pipelined: Way, after: tuple[str, ...]
) -> None:
    server = ScriptedSmtp(data_to_nobody=True)
    server.on("RCPT", "550 5.1.1 no such user", recipient=ANN)
    server.on("DOT", *after, times=1)
    begun: list[str] = []

    async def work() -> list[Kind]:
        wire = pipelined.wire(account(server))
        outcomes = [await wire.deliver(Letter(who), lambda who=who: begun.append(who)) for who in (ANN, BO)]  # type: ignore[misc]
        await wire.close()
        return [outcome.kind for outcome in outcomes]

    assert pipelined.run(work()) == [Kind.FAILED, Kind.ACCEPTED]
    assert begun == [BO], "the refused one was never begun"
    assert [mail for mail in server.taken if mail.content] == [server.taken[-1]]
    assert server.taken[-1].recipient == BO
    server.stop()


def test_given_a_refusal_and_then_nonsense_then_the_refusal_is_not_trusted_either(
    pipelined: Way, server: ScriptedSmtp
) -> None:
    server.on("RCPT", "550 5.1.1 no such user", times=1)
    server.on("DATA", "250 2.1.5 ok", times=1)
    lost, again = pipelined.deliver(server, ANN, ANN)
    assert (lost.kind, again.kind) == (Kind.LOST, Kind.ACCEPTED)


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("code", [530, 535])
def test_given_a_server_that_wants_a_login_in_the_middle_then_everything_stops(
    way: Way, server: ScriptedSmtp, step: str, code: int
) -> None:
    server.on(step, f"{code} 5.7.0 authentication required")
    with pytest.raises(ServerRefusesUs, match=f"another login: {code}"):
        way.deliver(server, ANN)
    assert not server.taken


def test_given_a_size_limit_then_a_larger_mail_is_refused_before_mail(way: Way) -> None:
    server = ScriptedSmtp(extensions=("PIPELINING", "SIZE 1000"))

    async def work() -> list[tuple[Kind, int]]:
        wire = way.wire(account(server))
        large = Letter(content=b"x" * 1000)
        outcomes = [await wire.deliver(mail, nothing) for mail in (large, Letter())]
        await wire.close()
        return [(outcome.kind, outcome.code) for outcome in outcomes]

    assert way.run(work()) == [(Kind.FAILED, 552), (Kind.ACCEPTED, 250)]
    assert server.steps == [["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY", "DOT", "QUIT"]]
    server.stop()


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_given_421_before_the_message_then_it_is_not_sent_and_goes_again_on_a_new_connection(
    way: Way, server: ScriptedSmtp, step: str
) -> None:
    server.on(step, "421 4.3.2 shutting down", cut, times=1)
    lost, again = way.deliver(server, ANN, ANN)
    assert (lost.kind, lost.code) == (Kind.LOST, 421)
    assert again.kind is Kind.ACCEPTED
    assert server.recipients() == [ANN]
    assert len(server.steps) == 2


def test_given_421_in_answer_to_the_message_then_it_is_deferred_and_the_connection_left(
    way: Way, server: ScriptedSmtp
) -> None:
    server.on("DOT", "421 4.7.0 slow down", times=1)
    deferred, again = way.deliver(server, ANN, ANN)
    assert (deferred.kind, deferred.code) == (Kind.DEFERRED, 421)
    assert again.kind is Kind.ACCEPTED
    assert len(server.steps) == 2


@pytest.mark.parametrize("together", [True, False])
def test_given_421_right_after_250_then_the_mail_counts_and_the_next_takes_a_new_connection(
    way: Way, server: ScriptedSmtp, together: bool
) -> None:
    answer = ["250 2.0.0 queued\r\n421 4.3.2 bye"] if together else ["250 2.0.0 queued", "421 4.3.2 bye"]
    server.on("DOT", *answer, cut, times=1)
    first, second = way.deliver(server, ANN, BO)
    assert first.kind is Kind.ACCEPTED
    # Whether it is seen before or after the next envelope has left, that mail wasn't sent.
    assert second.kind is Kind.ACCEPTED or second.kind is Kind.LOST
    assert server.recipients().count(ANN) == 1


def test_given_421_while_the_next_envelope_is_on_its_way_then_that_mail_is_lost_and_sent_again(
    way: Way, server: ScriptedSmtp
) -> None:
    # The answer to the second MAIL: the server had decided before it read it.
    server.on("MAIL", "250 2.1.0 ok", times=1)
    server.on("MAIL", "421 4.4.2 timeout", cut, times=1)
    outcomes = way.deliver(server, ANN, BO, BO)
    assert [(outcome.kind, outcome.code) for outcome in outcomes] == [
        (Kind.ACCEPTED, 250),
        (Kind.LOST, 421),
        (Kind.ACCEPTED, 250),
    ]
    assert server.recipients() == [ANN, BO]


def test_given_451_4_4_2_for_a_connection_that_idled_then_the_mail_is_not_put_off(
    way: Way, server: ScriptedSmtp
) -> None:
    server.on("MAIL", "451 4.4.2 timeout waiting for data from client", cut, times=1)
    lost, again = way.deliver(server, ANN, ANN)
    assert (lost.kind, lost.code, again.kind) == (Kind.LOST, 451, Kind.ACCEPTED)


@pytest.mark.parametrize("answer", ["450 4.2.0 grey", "550 5.1.1 gone"])
def test_given_a_refusal_and_the_connection_cut_then_the_refusal_stands(
    way: Way, server: ScriptedSmtp, answer: str
) -> None:
    server.on("RCPT", answer, cut)
    (refused,) = way.deliver(server, ANN)
    assert (refused.code, refused.text) == (int(answer[:3]), answer[4:])
    assert refused.kind is (Kind.DEFERRED if answer[0] == "4" else Kind.FAILED)
