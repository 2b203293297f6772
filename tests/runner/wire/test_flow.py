"""Servers that stop reading: what is in memory, what is certain, and that the others go on."""

import asyncio
import socket
import tracemalloc

from runner.channel.pipelining import BODY_SECONDS
from runner.channel.port import Kind, Outcome
from tests.runner.wire.conftest import Letter, Way, account, nothing, until
from tests.support.scripted_smtp import ScriptedSmtp, Talk, hush, reset

ANN, BO = "ann@example.com", "bo@example.com"
LARGE = (
    b"Subject: large\r\n\r\n" + b"x" * 70 + (b"\r\n" + b"y" * 70) * 200_000
)  # 14 MB: no socket takes that at once


def test_given_a_server_that_stops_reading_then_others_go_on_and_memory_holds_one_message(
    way: Way, server: ScriptedSmtp
) -> None:
    server.on("BODY", hush, recipient=ANN)
    mail = Letter(ANN, content=LARGE)
    data = mail.data

    class Ready(Letter):
        data = property(lambda self: data)

    async def work() -> tuple[Outcome, list[Outcome], int]:
        deaf, well = way.wire(account(server)), way.wire(account(server))
        tracemalloc.start()
        task = asyncio.create_task(deaf.deliver(Ready(ANN), nothing))
        await until(lambda: server.steps and "BODY" in server.steps[0])
        others = [await well.deliver(Letter(BO), nothing) for _ in range(20)]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert not task.done()
        deaf.sweep(0.0)
        deaf.sweep(BODY_SECONDS + 1)
        ended = await task
        await well.close()
        return ended, others, peak

    ended, others, peak = way.run(work())
    assert {outcome.kind for outcome in others} == {Kind.ACCEPTED}
    assert peak < 2 * len(data) + 2_000_000
    # The dot never left: this one is certain.
    assert ended.kind is Kind.LOST
    assert server.recipients() == [BO] * 20


def test_given_a_large_mail_then_it_arrives_whole_and_once(way: Way, server: ScriptedSmtp) -> None:
    content = LARGE[:300_000]

    async def work() -> Outcome:
        wire = way.wire(account(server))
        outcome = await wire.deliver(Letter(ANN, content=content), nothing)
        await wire.close()
        return outcome

    assert way.run(work()).kind is Kind.ACCEPTED
    assert [mail.content for mail in server.taken] == [content]


def test_given_a_large_mail_cut_in_the_middle_then_it_is_provably_not_sent(way: Way, server: ScriptedSmtp) -> None:
    server.on("BODY", reset, times=1)

    async def work() -> Outcome:
        wire = way.wire(account(server))
        outcome = await wire.deliver(Letter(ANN, content=LARGE), nothing)
        wire.abort()
        return outcome

    assert way.run(work()).kind is Kind.LOST
    assert server.taken == []


def test_given_a_server_that_closes_and_reads_no_more_then_the_mail_ends_at_once(
    way: Way, server: ScriptedSmtp
) -> None:
    def half_close(talk: Talk) -> None:
        talk.sock.shutdown(socket.SHUT_WR)

    server.on("BODY", half_close, hush, times=1)

    async def work() -> Outcome:
        wire = way.wire(account(server))
        outcome = await wire.deliver(Letter(ANN, content=LARGE), nothing)  # no sweep: nothing else would end it
        wire.abort()
        return outcome

    assert way.run(work()).kind is Kind.LOST


def test_given_a_refusal_in_the_middle_of_a_large_mail_then_it_is_taken_as_the_answer(
    way: Way, server: ScriptedSmtp
) -> None:
    server.on("BODY", "552 5.3.4 too big", hush, times=1)

    async def work() -> list[Outcome]:
        wire = way.wire(account(server))
        outcomes = [
            await wire.deliver(Letter(ANN, content=LARGE), nothing),
            await wire.deliver(Letter(BO), nothing),
        ]
        await wire.close()
        return outcomes

    refused, other = way.run(work())
    assert (refused.kind, refused.code) == (Kind.FAILED, 552)
    assert other.kind is Kind.ACCEPTED
