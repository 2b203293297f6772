"""A text message over SMPP: its segments, what each status means, and what a silence leaves unknown."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from runner.channel import smpp
from runner.channel.port import Kind, Outcome, ServerRefusesUs
from runner.channel.smpp import SmppWire, smpp_wires
from runner.message import gsm
from runner.message.sms import Text
from runner.settings import Sms
from tests.runner.sms.test_gateway import Begins, until
from tests.support.smsc import Segment, Smsc

NUMBER = "+442079460123"


@pytest.fixture
async def smsc() -> AsyncIterator[Smsc]:
    async with Smsc() as made:
        yield made


@pytest.fixture
async def wire(smsc: Smsc) -> AsyncIterator[SmppWire]:
    (made,) = smpp_wires(account(smsc), 1)
    yield made
    made.abort()


def account(smsc: Smsc, binds: int = 1) -> Sms:
    return Sms("smpp", "shop", "secret", "The Shop", host="127.0.0.1", port=smsc.port, binds=binds)


def text(body: str = "Sale today", sender: str = "") -> Text:
    return Text(sender, NUMBER, "a1b2", body, gsm.encode(body))


async def test_given_a_short_text_then_it_goes_as_one_segment_over_a_bind_that_is_kept(
    smsc: Smsc, wire: SmppWire
) -> None:
    begins = Begins()
    assert await wire.deliver(text("5 € @ home"), begins) == Outcome(Kind.ACCEPTED, 0, "m1 segments=1")
    assert (await wire.deliver(text(sender="+12025550100"), begins)).kind is Kind.ACCEPTED
    assert smsc.taken[0] == Segment("The Shop", 5, "442079460123", 0, 0, b"5 \x1be \x00 home")
    assert (smsc.taken[1].source, smsc.taken[1].source_ton) == ("12025550100", 1)
    assert (smsc.binds, begins.count) == ([("shop", "secret")], 2)


@pytest.mark.parametrize(("body", "coding", "codec"), [("a" * 320, 0, "ascii"), ("ж" * 140, 8, "utf-16-be")])
async def test_given_a_long_text_then_each_segment_says_which_of_how_many_it_is(
    smsc: Smsc, wire: SmppWire, body: str, coding: int, codec: str
) -> None:
    begins = Begins()
    assert (await wire.deliver(text(body), begins)).text == "m1 segments=3"
    heads = [segment.data[:6] for segment in smsc.taken]
    assert [head[:3] + head[4:] for head in heads] == [bytes((5, 0, 3, 3, n)) for n in (1, 2, 3)]
    assert len({head[3] for head in heads}) == 1
    assert {(segment.esm_class, segment.data_coding) for segment in smsc.taken} == {(0x40, coding)}
    assert b"".join(segment.data[6:] for segment in smsc.taken).decode(codec) == body
    assert begins.count == 1


@pytest.mark.parametrize(
    ("status", "kind", "name"),
    [
        (0x0B, Kind.FAILED, "number"),
        (0xFE, Kind.FAILED, "unreachable"),
        (0x58, Kind.DEFERRED, "throttled"),
        (0x14, Kind.DEFERRED, "throttled"),
        (0x08, Kind.DEFERRED, "busy"),
        (0x0A, Kind.SENDER_REFUSED, "sender"),
        (0x4D2, Kind.SENDER_REFUSED, "other"),  # a carrier's own
    ],
)
async def test_given_a_status_then_it_means_this(
    smsc: Smsc, wire: SmppWire, status: int, kind: Kind, name: str
) -> None:
    smsc.script.append(status)
    assert await wire.deliver(text(), Begins()) == Outcome(kind, status, f"{name}: status 0x{status:02x}")
    assert (await wire.deliver(text(), Begins())).kind is Kind.ACCEPTED
    assert (len(smsc.taken), len(smsc.binds)) == (1, 1)


@pytest.mark.parametrize("course", ["cut", "garbage"])
async def test_given_no_answer_to_a_segment_then_the_message_is_unknown_and_the_next_gets_a_new_bind(
    smsc: Smsc, wire: SmppWire, course: str
) -> None:
    smsc.script.append(course)
    assert (await wire.deliver(text(), Begins())).kind is Kind.UNKNOWN
    assert (await wire.deliver(text(), Begins())).kind is Kind.ACCEPTED
    assert len(smsc.binds) == 2


async def test_given_the_line_breaks_between_segments_then_the_message_is_unknown_and_no_segment_goes_twice(
    smsc: Smsc, wire: SmppWire
) -> None:
    smsc.script += [0, "cut"]
    outcome = await wire.deliver(text("a" * 400), Begins())
    assert outcome == Outcome(Kind.UNKNOWN, 0, "no answer after the message of segment 2 of 3")
    assert len(smsc.taken) == 2


async def test_given_a_later_segment_is_refused_then_what_was_taken_makes_it_unknown(
    smsc: Smsc, wire: SmppWire
) -> None:
    smsc.script += [0, 0x45]
    outcome = await wire.deliver(text("a" * 400), Begins())
    assert outcome == Outcome(Kind.UNKNOWN, 0x45, "1 of 3 segments were taken, then: status 0x45")


async def test_given_a_later_segment_is_throttled_then_it_alone_is_offered_again(
    smsc: Smsc, wire: SmppWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smpp, "LATER_SECONDS", (0.01, 0.01))
    smsc.script += [0, 0x58, 0x14, 0]
    assert (await wire.deliver(text("a" * 400), Begins())).text == "m1 segments=3"
    assert [segment.data[5] for segment in smsc.taken] == [1, 2, 3]


async def test_given_a_nack_then_nothing_was_taken_and_the_next_gets_a_new_bind(smsc: Smsc, wire: SmppWire) -> None:
    smsc.script.append("nack")
    assert (await wire.deliver(text(), Begins())).kind is Kind.SENDER_REFUSED
    assert (await wire.deliver(text(), Begins())).kind is Kind.ACCEPTED
    assert len(smsc.binds) == 2


@pytest.mark.parametrize("status", [0x0D, 0x0E, 0x0F])
async def test_given_a_refused_bind_then_no_message_will_go_through(
    smsc: Smsc, wire: SmppWire, status: int
) -> None:
    smsc.bind_status.append(status)
    begins = Begins()
    with pytest.raises(ServerRefusesUs, match=f"refused the bind: status 0x{status:02x}"):
        await wire.deliver(text(), begins)
    assert begins.count == 0


async def test_given_a_busy_carrier_then_the_bind_is_tried_another_time(smsc: Smsc, wire: SmppWire) -> None:
    smsc.bind_status.append(0x58)
    begins = Begins()
    assert (await wire.deliver(text(), begins)).kind is Kind.UNREACHABLE
    assert begins.count == 0
    assert (await wire.deliver(text(), begins)).kind is Kind.ACCEPTED


async def test_given_the_carrier_asks_while_we_are_idle_then_it_is_answered_and_an_unbind_is_obeyed(
    smsc: Smsc, wire: SmppWire
) -> None:
    await wire.deliver(text(), Begins())
    smsc.ask(0x15)
    await until(lambda: 0x80000015 in smsc.commands)
    smsc.ask(0x06)
    await until(lambda: 0x80000006 in smsc.commands)
    begins = Begins()
    assert (await wire.deliver(text(), begins)).kind is Kind.ACCEPTED
    assert (begins.count, len(smsc.binds)) == (1, 2)


async def test_given_the_carrier_hung_up_while_we_were_idle_then_a_new_bind_carries_the_message(
    smsc: Smsc, wire: SmppWire
) -> None:
    await wire.deliver(text(), Begins())
    smsc.cut()
    await asyncio.sleep(0.05)
    assert (await wire.deliver(text(), Begins())).kind is Kind.ACCEPTED
    assert (len(smsc.taken), len(smsc.binds)) == (2, 2)


@pytest.mark.parametrize("end", ["sweep", "abort"])
async def test_given_silence_then_it_is_given_up_as_unknown(smsc: Smsc, wire: SmppWire, end: str) -> None:
    smsc.script.append("silent")
    delivery = asyncio.ensure_future(wire.deliver(text(), Begins()))
    await until(lambda: smsc.taken)
    if end == "sweep":
        wire.sweep(1000.0)
        wire.sweep(1000.0 + smpp.ANSWER_SECONDS)
        await asyncio.sleep(0)
        assert not delivery.done()
        wire.sweep(1001.0 + smpp.ANSWER_SECONDS)
    else:
        wire.abort()
    assert (await delivery).kind is Kind.UNKNOWN


async def test_given_idle_for_long_then_we_unbind_and_say_goodbye(smsc: Smsc, wire: SmppWire) -> None:
    await wire.deliver(text(), Begins())
    wire.sweep(1000.0)
    wire.sweep(1001.0 + smpp.IDLE_SECONDS)
    await until(lambda: smsc.commands[-1] == 0x06)


async def test_given_the_journal_fails_then_no_segment_goes_out(smsc: Smsc, wire: SmppWire) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        await wire.deliver(text(), full)
    assert smsc.taken == []


async def test_given_fewer_binds_than_connections_then_the_carriers_limit_is_kept(smsc: Smsc) -> None:
    assert len(smpp_wires(account(smsc, binds=2), 20)) == 2
