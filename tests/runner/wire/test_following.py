"""A message that follows another before its answer: what leaves when, and what a break or a refusal means."""

import asyncio

import pytest

from runner.channel.pipelining import ENVELOPE_SECONDS
from runner.channel.port import Kind, Outcome
from tests.runner.wire.conftest import Letter, Way, account, in_a_row, nothing
from tests.support.scripted_smtp import Act, ScriptedSmtp, Talk, cut, reset, take

ANN, BO, CY = "ann@example.com", "bo@example.com", "cy@example.com"
ENDS = pytest.mark.parametrize("end", [cut, reset])
Told = list[tuple[str, Kind, int]]


def row(way: Way, server: ScriptedSmtp, *people: str, contents: dict[str, bytes] | None = None) -> Told:
    """What is told of each, over one wire, and how many followed."""
    told: Told = []

    async def work() -> None:
        wire = way.wire(account(server))
        letters = [Letter(who, content=(contents or {}).get(who, Letter().content)) for who in people]
        await in_a_row(
            wire, iter(letters), lambda letter, told_of: told.append((letter.recipient, told_of.kind, told_of.code))
        )
        await wire.close()

    way.run(work())
    return told


def test_given_many_then_each_envelope_leaves_with_the_body_before(pipelined: Way, server: ScriptedSmtp) -> None:
    people = [f"p{number}@example.com" for number in range(30)]
    assert row(pipelined, server, *people) == [(who, Kind.ACCEPTED, 250) for who in people]
    assert server.recipients() == people
    envelopes = [f"\r\n.\r\nMAIL FROM:<news@example.com>\r\nRCPT TO:<{who}>\r\nDATA\r\n" for who in people[2:]]
    # the first of a connection has none behind it, for there is none yet when it is handed over
    assert [sum(text.encode() in segment for segment in server.segments) for text in envelopes] == [1] * 28


def test_given_a_large_message_then_the_envelope_after_it_leaves_with_its_dot(
    pipelined: Way, server: ScriptedSmtp
) -> None:
    large = b"Subject: large\r\n\r\n" + b"x" * 70 + (b"\r\n" + b"y" * 70) * 5_000
    told = row(pipelined, server, ANN, BO, CY, contents={ANN: large, BO: large})
    assert [kind for _, kind, _ in told] == [Kind.ACCEPTED] * 3
    assert [(mail.recipient, mail.content) for mail in server.taken] == [
        (ANN, large),
        (BO, large),
        (CY, Letter().content),
    ]


def test_given_lock_step_then_none_follows(server: ScriptedSmtp) -> None:
    row(Way(pipelining=False, fast=False), server, ANN, BO, CY)
    assert not any(b"\r\n.\r\nMAIL" in segment for segment in server.segments)


def test_given_the_last_message_of_a_connection_then_none_follows_it(pipelined: Way, server: ScriptedSmtp) -> None:
    async def work() -> int:
        wire = pipelined.wire(account(server), per_connection=3)
        letters = iter([Letter(f"p{number}@example.com") for number in range(7)])
        followed = await in_a_row(wire, letters, lambda letter, outcome: None)
        await wire.close()
        return followed

    assert pipelined.run(work()) == 2
    assert [steps.count("DOT") for steps in server.steps] == [3, 3, 1]
    assert [steps[-1] for steps in server.steps] == ["QUIT"] * 3


@ENDS
@pytest.mark.parametrize("acts", [(), (take,)])
def test_given_a_break_after_the_body_then_only_that_message_is_unknown(
    pipelined: Way, server: ScriptedSmtp, acts: tuple[Act, ...], end: Act
) -> None:
    server.on("DOT", *acts, end, recipient=BO)
    told = row(pipelined, server, ANN, BO, CY)
    assert told == [(ANN, Kind.ACCEPTED, 250), (BO, Kind.UNKNOWN, 0), (CY, Kind.LOST, 0)]
    assert server.recipients() == ([ANN, BO] if acts else [ANN])


@ENDS
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_given_a_break_in_the_envelope_that_followed_then_the_message_before_counts(
    pipelined: Way, server: ScriptedSmtp, step: str, end: Act
) -> None:
    server.on(step, "250 2.1.0 ok" if step != "DATA" else "354 go", times=2)
    server.on(step, end, times=1)
    told = row(pipelined, server, ANN, BO, CY)
    assert told[0] == (ANN, Kind.ACCEPTED, 250)
    assert told[1][1] is Kind.ACCEPTED or (end is reset and told[1] == (BO, Kind.UNKNOWN, 0))
    assert told[2] == (CY, Kind.LOST, 0)
    assert server.recipients() == [ANN, BO]


@pytest.mark.parametrize(("code", "kind"), [(450, Kind.DEFERRED), (554, Kind.FAILED), (421, Kind.DEFERRED)])
def test_given_a_body_refused_then_what_followed_is_provably_not_sent_and_none_follows_any_more(
    pipelined: Way, server: ScriptedSmtp, code: int, kind: Kind
) -> None:
    server.on("DOT", f"{code} 4.3.0 no", recipient=BO)
    again = [f"p{number}@example.com" for number in range(5)]
    told = row(pipelined, server, ANN, BO, CY, *again)
    assert told[:3] == [(ANN, Kind.ACCEPTED, 250), (BO, kind, code), (CY, Kind.LOST, 0)]
    assert told[3:] == [(who, Kind.ACCEPTED, 250) for who in again]
    assert server.recipients() == [ANN, *again]
    assert [steps.count("MAIL") for steps in server.steps] == [3, 5], "one connection was spent on it"
    before = sum(b"\r\n.\r\nMAIL" in segment for segment in server.segments)
    assert before == 1


@pytest.mark.parametrize("to_nobody", [False, True])
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_given_a_refused_envelope_then_the_next_message_begins_with_rset(
    pipelined: Way, server: ScriptedSmtp, step: str, to_nobody: bool
) -> None:
    server.data_to_nobody = to_nobody
    server.on(step, "250 2.1.0 ok" if step != "DATA" else "354 go", times=1)
    server.on(step, "550 5.7.1 not this one", times=1)
    told = row(pipelined, server, ANN, BO, CY)
    refused = Kind.FAILED if step == "RCPT" else Kind.SENDER_REFUSED
    assert told == [(ANN, Kind.ACCEPTED, 250), (BO, refused, 550), (CY, Kind.ACCEPTED, 250)]
    assert server.recipients() == [ANN, CY]
    assert server.steps[0].count("RSET") == 1


def test_given_one_called_off_then_the_one_before_counts_and_nothing_of_it_left(
    pipelined: Way, server: ScriptedSmtp
) -> None:
    def off() -> None:
        raise RuntimeError("called off")

    async def work() -> tuple[Outcome, Outcome]:
        wire = pipelined.wire(account(server))
        await wire.deliver(Letter(ANN), nothing)
        before = wire.deliver(Letter(BO), nothing)
        assert wire.follow is not None
        after = wire.follow(Letter(CY), off)
        assert wire.follow is None, "one at a time"
        told = await before
        with pytest.raises(RuntimeError, match="called off"):
            await after
        return told, await wire.deliver(Letter(CY), nothing)

    assert [outcome.kind for outcome in pipelined.run(work())] == [Kind.ACCEPTED, Kind.ACCEPTED]
    assert server.recipients() == [ANN, BO, CY]


def test_given_the_answer_before_then_its_owner_has_it_before_the_next_begins(
    pipelined: Way, server: ScriptedSmtp
) -> None:
    heard: list[str] = []

    async def work() -> None:
        wire = pipelined.wire(account(server))
        letters = iter([Letter(who) for who in (ANN, BO, CY)])
        await in_a_row(
            wire,
            letters,
            lambda letter, outcome: heard.append(f"told {letter.recipient}"),
            lambda letter: heard.append(f"begun {letter.recipient}"),
        )
        await wire.close()

    pipelined.run(work())
    assert heard == [f"{word} {who}" for who in (ANN, BO, CY) for word in ("begun", "told")]


def test_given_a_server_that_forgets_what_came_before_its_answer_then_it_is_asked_only_once(
    pipelined: Way, server: ScriptedSmtp
) -> None:
    def forget(talk: Talk) -> None:
        talk.forget()

    server.on("DOT", forget, "250 2.0.0 queued")

    async def work() -> list[Kind]:
        wire = pipelined.wire(account(server))
        await wire.deliver(Letter(ANN), nothing)
        before = wire.deliver(Letter(ANN), nothing)
        assert wire.follow is not None
        after = asyncio.ensure_future(wire.follow(Letter(BO), nothing))
        told = [(await before).kind]
        wire.sweep(0.0)
        assert not after.done()
        wire.sweep(ENVELOPE_SECONDS + 1)
        told.append((await after).kind)
        for who in (BO, CY):
            answer = asyncio.ensure_future(wire.deliver(Letter(who), nothing))
            await asyncio.sleep(0)
            assert wire.follow is None
            told.append((await answer).kind)
        await wire.close()
        return told

    assert pipelined.run(work()) == [Kind.ACCEPTED, Kind.LOST, Kind.ACCEPTED, Kind.ACCEPTED]
    assert server.recipients() == [ANN, ANN, BO, CY]


@pytest.mark.parametrize(
    "word", ["554 5.5.0 synchronization error", "421 4.7.0 too fast", "503 5.5.1 bad sequence"]
)
def test_given_a_server_that_says_no_to_what_is_early_then_the_message_isnt_refused_and_goes_when_its_turn_comes(
    pipelined: Way, server: ScriptedSmtp, word: str
) -> None:
    server.on("MAIL", "250 2.1.0 ok", times=2)
    server.on("MAIL", word, times=1)

    async def work() -> list[Kind]:
        wire = pipelined.wire(account(server))
        told = [(await wire.deliver(Letter(ANN), nothing)).kind]
        before = wire.deliver(Letter(BO), nothing)
        assert wire.follow is not None
        after = wire.follow(Letter(CY), nothing)
        told += [(await before).kind, (await after).kind]
        letters = iter([Letter(who) for who in (CY, ANN, BO)])
        assert await in_a_row(wire, letters, lambda letter, outcome: told.append(outcome.kind)) == 0
        await wire.close()
        return told

    assert pipelined.run(work()) == [Kind.ACCEPTED, Kind.ACCEPTED, Kind.LOST, *[Kind.ACCEPTED] * 3]
    assert server.recipients() == [ANN, BO, CY, ANN, BO]
    assert sum(b"\r\n.\r\nMAIL" in segment for segment in server.segments) == 1


@pytest.mark.parametrize("step", ["RCPT", "DATA"])
def test_given_a_server_that_wipes_what_came_early_then_nobody_is_refused_for_it(
    pipelined: Way, server: ScriptedSmtp, step: str
) -> None:
    server.on(step, "250 2.1.5 ok" if step == "RCPT" else "354 go", times=2)
    server.on(step, "503 5.5.1 need MAIL first", times=1)
    told = row(pipelined, server, ANN, BO, CY)
    assert [kind for _, kind, _ in told] == [Kind.ACCEPTED, Kind.ACCEPTED, Kind.LOST]
    assert server.recipients() == [ANN, BO]


def test_given_a_wire_closed_after_a_break_then_none_follows_over_the_next_connection(
    pipelined: Way, server: ScriptedSmtp
) -> None:
    server.on("DOT", cut, recipient=BO)

    async def work() -> int:
        wire = pipelined.wire(account(server))
        await in_a_row(wire, iter([Letter(ANN), Letter(BO), Letter(CY)]), lambda letter, outcome: None)
        await wire.close()
        return await in_a_row(wire, iter([Letter(ANN)] * 5), lambda letter, outcome: None)

    assert pipelined.run(work()) == 0


def test_given_a_message_too_large_for_the_server_then_the_one_before_it_and_the_next_go(
    pipelined: Way, server: ScriptedSmtp
) -> None:
    server.extensions = (*server.extensions, "SIZE 1000")
    told = row(pipelined, server, ANN, BO, CY, contents={BO: b"x" * 2000})
    assert told == [(ANN, Kind.ACCEPTED, 250), (BO, Kind.FAILED, 552), (CY, Kind.ACCEPTED, 250)]
    assert server.recipients() == [ANN, CY]


def test_given_another_account_then_none_follows_over_the_old_ones_connection(
    pipelined: Way, server: ScriptedSmtp
) -> None:
    other = ScriptedSmtp()

    async def work() -> None:
        wire = pipelined.wire(account(server))
        await wire.deliver(Letter(ANN), nothing)
        answer = wire.deliver(Letter(BO), nothing)
        wire.use(account(other))
        assert wire.follow is None
        await answer
        await wire.deliver(Letter(CY), nothing)
        await wire.close()

    try:
        pipelined.run(work())
        assert (server.recipients(), other.recipients()) == ([ANN, BO], [CY])
    finally:
        other.stop()
