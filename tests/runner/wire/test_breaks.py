"""Connections that end, hang or say something unasked: what can be told of the mail, and that the next is safe."""

import asyncio
import time

import pytest

from runner.channel.pipelining import BODY_SECONDS, ENVELOPE_SECONDS
from runner.channel.port import Kind, Outcome
from runner.channel.smtp import SmtpWire
from runner.policy.limits import Limits
from tests.runner.wire.conftest import Letter, Way, abort_after, account, nothing, until
from tests.support.scripted_smtp import Act, ScriptedSmtp, cut, hush, reset, take

ANN, BO = "ann@example.com", "bo@example.com"
ENDS = pytest.mark.parametrize("end", [cut, reset])


@ENDS
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_given_the_connection_cut_before_354_then_the_mail_is_provably_not_sent(
    way: Way, server: ScriptedSmtp, step: str, end: Act
) -> None:
    server.on(step, end, times=1)
    lost, again = way.deliver(server, ANN, ANN)
    assert (lost.kind, lost.code) == (Kind.LOST, 0)
    assert again.kind is Kind.ACCEPTED
    assert server.recipients() == [ANN]


@ENDS
@pytest.mark.parametrize(("step", "acts"), [("BODY", ()), ("DOT", ()), ("DOT", (take,))])
def test_given_the_connection_cut_in_or_after_the_message_then_only_the_server_knows(
    way: Way, server: ScriptedSmtp, step: str, acts: tuple[Act, ...], end: Act
) -> None:
    server.on(step, *acts, end, times=1)
    unknown, other = way.deliver(server, ANN, BO)
    assert (unknown.kind, unknown.code) == (Kind.UNKNOWN, 0)
    assert other.kind is Kind.ACCEPTED
    assert server.recipients() == ([ANN, BO] if acts else [BO])


@ENDS
def test_given_the_connection_cut_after_250_then_the_mail_counts_and_the_next_goes_over_a_new_one(
    way: Way, server: ScriptedSmtp, end: Act
) -> None:
    server.on("DOT", "250 2.0.0 queued", cut, times=1)

    async def work() -> list[Outcome]:
        wire = way.wire(account(server))
        first = await wire.deliver(Letter(ANN), nothing)
        await until(lambda: not server.guests)
        await asyncio.sleep(0.01)  # the end has come in
        second = await wire.deliver(Letter(BO), nothing)
        await wire.close()
        return [first, second]

    assert [outcome.kind for outcome in way.run(work())] == [Kind.ACCEPTED, Kind.ACCEPTED]
    assert server.recipients() == [ANN, BO]


async def _stuck(
    way: Way, server: ScriptedSmtp, step: str, **options: float
) -> "tuple[SmtpWire, asyncio.Task[Outcome]]":
    """A wire whose mail waits for an answer to `step` that never comes."""
    wire = way.wire(account(server), **options)
    task = asyncio.create_task(wire.deliver(Letter(ANN), nothing))
    await until(lambda: server.steps and step in server.steps[0])
    return wire, task


@pytest.mark.parametrize(
    ("step", "limit", "kind"),
    [
        ("MAIL", ENVELOPE_SECONDS, Kind.LOST),
        ("RCPT", ENVELOPE_SECONDS, Kind.LOST),
        ("DATA", ENVELOPE_SECONDS, Kind.LOST),
        ("DOT", BODY_SECONDS, Kind.UNKNOWN),
    ],
)
def test_given_a_peer_that_says_nothing_more_then_the_sweep_ends_it_after_the_limit_and_not_before(
    way: Way, server: ScriptedSmtp, step: str, limit: float, kind: Kind
) -> None:
    server.on(step, hush, times=1)

    async def work() -> tuple[Outcome, Outcome]:
        wire, task = await _stuck(way, server, step)
        clock = 5000.0
        wire.sweep(clock)
        wire.sweep(clock + limit)
        await asyncio.sleep(0.02)
        assert not task.done(), "within its time"
        wire.sweep(clock + limit + 1)
        ended = await task
        again = await wire.deliver(Letter(BO), nothing)
        await wire.close()
        return ended, again

    ended, again = way.run(work())
    assert (ended.kind, again.kind) == (kind, Kind.ACCEPTED)
    assert server.recipients() == [BO]


def test_given_an_answer_that_comes_too_late_then_it_stays_unknown_and_is_nobody_elses_answer(
    way: Way, server: ScriptedSmtp
) -> None:
    server.on("DOT", lambda talk: talk.server.stopped.wait(0.2) and None, "550 5.7.1 late", times=1)

    async def work() -> tuple[Outcome, Outcome]:
        wire, task = await _stuck(way, server, "DOT")
        wire.sweep(0.0)
        wire.sweep(BODY_SECONDS + 1)
        late = await task
        other = await wire.deliver(Letter(BO), nothing)
        await wire.close()
        return late, other

    late, other = way.run(work())
    assert (late.kind, other.kind) == (Kind.UNKNOWN, Kind.ACCEPTED)


def test_given_a_server_that_is_slow_but_moves_then_the_sweep_lets_it(way: Way, server: ScriptedSmtp) -> None:
    async def work() -> list[Kind]:
        wire = way.wire(account(server))
        kinds = []
        for second in range(0, 300, 30):
            kinds.append((await wire.deliver(Letter(ANN), nothing)).kind)
            wire.sweep(float(second))
            wire.sweep(second + 19.0)
        await wire.close()
        return kinds

    assert way.run(work()) == [Kind.ACCEPTED] * 10
    assert len(server.steps) == 1


def test_given_an_idle_connection_then_it_is_given_back_with_quit(way: Way, server: ScriptedSmtp) -> None:
    async def work() -> None:
        wire = way.wire(account(server), idle_seconds=20.0)
        await wire.deliver(Letter(ANN), nothing)
        wire.sweep(100.0)
        wire.sweep(120.0)
        await asyncio.sleep(0.02)
        assert "QUIT" not in server.steps[0]
        wire.sweep(121.0)
        await until(lambda: server.steps[0][-1] == "QUIT" and not server.guests)
        assert (await wire.deliver(Letter(BO), nothing)).kind is Kind.ACCEPTED
        await wire.close()

    way.run(work())
    assert [steps.count("QUIT") for steps in server.steps] == [1, 1]


def test_given_a_server_that_ignores_quit_then_nobody_waits_for_it(way: Way, server: ScriptedSmtp) -> None:
    server.on("QUIT", hush)

    async def work() -> None:
        wire = way.wire(account(server))
        await wire.deliver(Letter(ANN), nothing)
        wire.sweep(0.0)
        wire.sweep(21.0)
        await until(lambda: server.steps[0][-1] == "QUIT")
        wire.sweep(22.0)
        wire.sweep(28.0)
        assert (await wire.deliver(Letter(BO), nothing)).kind is Kind.ACCEPTED
        wire.abort()

    started = time.monotonic()
    way.run(work())
    assert server.recipients() == [ANN, BO]
    assert time.monotonic() - started < 25, "bounded, and not by the 5 seconds twice"


def test_given_so_many_messages_a_connection_then_the_next_one_opens_another_after_quit(
    way: Way, server: ScriptedSmtp
) -> None:
    server.room = 1
    people = [f"p{number}@example.com" for number in range(7)]
    assert {outcome.kind for outcome in way.deliver(server, *people, per_connection=3)} == {Kind.ACCEPTED}
    assert [steps.count("DOT") for steps in server.steps] == [3, 3, 1]
    assert [steps[-1] for steps in server.steps] == ["QUIT"] * 3
    assert server.recipients() == people


def test_given_an_account_that_allows_fewer_messages_a_connection_then_it_is_kept(
    way: Way, server: ScriptedSmtp
) -> None:
    async def work() -> None:
        wire = way.wire(account(server, limits=Limits(per_connection=2)), per_connection=3)
        for _ in range(5):
            await wire.deliver(Letter(ANN), nothing)
        await wire.close()

    way.run(work())
    assert [steps.count("DOT") for steps in server.steps] == [2, 2, 1]


@pytest.mark.parametrize("text", ["421 4.4.2 idle for too long", "250 2.0.0 for nobody", "what?"])
def test_given_something_unasked_while_idle_then_no_later_answer_is_shifted(
    way: Way, server: ScriptedSmtp, text: str
) -> None:
    server.on("RCPT", "550 5.1.1 gone", recipient="gone@example.com")

    async def work() -> list[Kind]:
        wire = way.wire(account(server))
        outcomes = [await wire.deliver(Letter(ANN), nothing)]
        server.say_unasked(text)
        await asyncio.sleep(0.05)
        for who in ("gone@example.com", BO):
            outcomes.append(await wire.deliver(Letter(who), nothing))
        await wire.close()
        return [outcome.kind for outcome in outcomes]

    assert way.run(work()) == [Kind.ACCEPTED, Kind.FAILED, Kind.ACCEPTED]
    assert server.recipients() == [ANN, BO]
    assert len(server.steps) == 2, "the connection that babbled was left"


@pytest.mark.parametrize("text", ["421 4.4.2 idle for too long", "250 2.0.0 for nobody"])
def test_given_something_unasked_just_before_the_envelope_then_no_mail_counts_that_did_not_arrive(
    way: Way, server: ScriptedSmtp, text: str
) -> None:
    server.on("DOT", "554 5.7.1 spam", recipient="spam@example.com")

    async def work() -> list[tuple[str, Kind]]:
        wire = way.wire(account(server))
        told = [(ANN, (await wire.deliver(Letter(ANN), nothing)).kind)]
        for who in ("spam@example.com", BO, "spam@example.com", BO):
            server.say_unasked(text)  # no turn of the loop between it and MAIL
            told.append((who, (await wire.deliver(Letter(who), nothing)).kind))
        wire.abort()
        return told

    told = way.run(work())
    assert [who for who, kind in told if kind is Kind.ACCEPTED] == server.recipients()
    assert told[1][1] is Kind.LOST


@pytest.mark.parametrize("step", ["MAIL", "DOT"])
def test_given_an_abort_then_the_delivery_ends_with_what_can_be_told(
    way: Way, server: ScriptedSmtp, step: str
) -> None:
    server.on(step, hush)

    async def work() -> Kind:
        wire, task = await _stuck(way, server, step)
        wire.abort()
        return (await task).kind

    assert way.run(work()) is (Kind.LOST if step == "MAIL" else Kind.UNKNOWN)


def test_given_an_abort_while_connecting_then_the_delivery_ends(way: Way, server: ScriptedSmtp) -> None:
    server.on("CONNECT", hush)

    async def work() -> Kind:
        wire = way.wire(account(server))
        task = asyncio.create_task(wire.deliver(Letter(ANN), nothing))
        await until(lambda: server.steps and server.steps[0] == ["CONNECT"])
        wire.abort()
        return (await task).kind

    assert way.run(work()) is Kind.UNREACHABLE


@pytest.mark.parametrize("turns", [1, 2, 3, 4, 5, 6, 8, 12, 20])
def test_given_an_abort_at_any_turn_of_connecting_then_the_delivery_ends(
    way: Way, server: ScriptedSmtp, turns: int
) -> None:
    server.on("CONNECT", hush)
    assert way.run(abort_after(turns, way.wire(account(server)))) is Kind.UNREACHABLE


def test_given_a_journal_that_fails_then_nothing_of_the_mail_leaves(way: Way, server: ScriptedSmtp) -> None:
    def begin() -> None:
        raise OSError("no space left for the begin mark")

    async def work() -> None:
        wire = way.wire(account(server))
        with pytest.raises(OSError, match="no space left"):
            await wire.deliver(Letter(ANN), begin)
        assert (await wire.deliver(Letter(BO), nothing)).kind is Kind.ACCEPTED
        await wire.close()

    way.run(work())
    assert server.recipients() == [BO]
    assert "BODY" not in server.steps[0]


@pytest.mark.parametrize("answered_later", [False, True])
def test_given_a_delivery_cancelled_from_outside_then_its_connection_is_never_used_again(
    way: Way, server: ScriptedSmtp, answered_later: bool
) -> None:
    server.on("DOT", hush, times=1)

    async def work() -> Kind:
        wire, task = await _stuck(way, server, "DOT")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if answered_later:
            server.say_unasked("250 2.0.0 taken after all")
            await asyncio.sleep(0.05)
        kind = (await wire.deliver(Letter(BO), nothing)).kind
        await wire.close()
        return kind

    assert way.run(work()) is Kind.ACCEPTED
    assert len(server.steps) == 2


def test_given_another_account_then_it_takes_the_next_mail_and_the_one_on_its_way_is_left_alone(
    way: Way, server: ScriptedSmtp
) -> None:
    other = ScriptedSmtp()

    async def work() -> list[Outcome]:
        wire = way.wire(account(server))
        first = asyncio.create_task(wire.deliver(Letter(ANN), nothing))
        await until(lambda: server.steps and "MAIL" in server.steps[0])
        wire.use(account(other))
        outcomes = [await first, await wire.deliver(Letter(BO), nothing)]
        await wire.close()
        return outcomes

    assert [outcome.kind for outcome in way.run(work())] == [Kind.ACCEPTED] * 2
    assert (server.recipients(), other.recipients()) == ([ANN], [BO])
    assert server.steps[0][-1] == "QUIT"
    other.stop()


@pytest.mark.parametrize(
    ("sender", "recipient"),
    [
        ("news@example.com", "a@example.com>\r\nRCPT TO:<b@example.com"),
        ("news@example.com", "a@example.com> SIZE=1"),
        ("news@example.com", "a@exämple.com"),
        ("news@example.com\r\n", "a@example.com"),
        ("", "a@example.com"),
    ],
)
def test_given_an_address_that_would_break_the_envelope_then_not_a_byte_is_sent(
    way: Way, server: ScriptedSmtp, sender: str, recipient: str
) -> None:
    with pytest.raises(ValueError, match="address"):
        way.run(way.wire(account(server)).deliver(Letter(recipient, sender), nothing))
    assert server.steps == []


def test_given_a_message_without_its_end_then_not_a_byte_is_sent(way: Way, server: ScriptedSmtp) -> None:
    class Endless(Letter):
        data = b"Subject: x\r\n\r\nhi\r\n"

    with pytest.raises(ValueError, match="end"):
        way.run(way.wire(account(server)).deliver(Endless(), nothing))
    assert server.steps == []
