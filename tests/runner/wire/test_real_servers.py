"""The wire against servers that others wrote: aiosmtpd, Postfix's smtp-sink in its moods, and Postfix itself."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from runner.channel.port import Kind, Outcome
from runner.settings import Smtp
from tests.runner.wire.conftest import Letter, Way, in_a_row, nothing
from tests.support.postfix import Postfix
from tests.support.smtp_peer import SmtpPeer
from tests.support.smtp_sink import SmtpSink

ACCEPTED = (Kind.ACCEPTED, 250)


def crowd(way: Way, port: int, people: list[str], connections: int = 8) -> dict[str, Outcome]:
    """Each person once, over so many wires at a time, in a row; those lost over another one once more, alone."""
    left = iter(people)
    found: dict[str, Outcome] = {}

    def told(letter: Letter, outcome: Outcome) -> None:
        assert letter.recipient not in found
        found[letter.recipient] = outcome

    async def work() -> None:
        wire = way.wire(Smtp("127.0.0.1", port, "none"), per_connection=20)
        await in_a_row(wire, (Letter(person) for person in left), told)
        await wire.close()

    async def again() -> None:
        wire = way.wire(Smtp("127.0.0.1", port, "none"), per_connection=20)
        for person in [person for person, outcome in found.items() if outcome.kind is Kind.LOST]:
            found[person] = await wire.deliver(Letter(person), nothing)
        await wire.close()

    async def everybody() -> None:
        await asyncio.gather(*[work() for _ in range(connections)])
        await again()

    way.run(everybody())
    return found


def people(count: int) -> list[str]:
    return [f"person{number}@example.com" for number in range(count)]


@pytest.fixture(params=["pipelined-uvloop", "lock-step"])
def either(request: pytest.FixtureRequest) -> Way:
    return Way(pipelining="pipelined" in request.param, fast="uvloop" in request.param)


@pytest.fixture
def peer() -> Iterator[SmtpPeer]:
    made = SmtpPeer()
    yield made
    made.stop()


def test_given_aiosmtpd_then_each_outcome_is_what_the_server_did(way: Way, peer: SmtpPeer) -> None:
    moods = {
        "": ACCEPTED,
        "-550": (Kind.FAILED, 550),
        "-450": (Kind.DEFERRED, 450),
        "-554dot": (Kind.FAILED, 554),
        "-451dot": (Kind.DEFERRED, 451),
        "-cutrcpt": (Kind.LOST, 0),
        "-cutdot": (Kind.UNKNOWN, 0),
    }
    expected = {f"p{number}{mood}@example.com": told for number in range(10) for mood, told in moods.items()}

    outcomes = crowd(way, peer.port, list(expected))

    assert {who: (outcome.kind, outcome.code) for who, outcome in outcomes.items()} == expected
    arrived = [who for who, told in expected.items() if told[0] in (Kind.ACCEPTED, Kind.UNKNOWN)]
    assert peer.recipients() == Counter(arrived)


@pytest.mark.slow
@pytest.mark.needs("smtp-sink")
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), ACCEPTED),
        (("-p",), ACCEPTED),  # without PIPELINING
        (("-e",), ACCEPTED),  # without EHLO
        (("-8",), ACCEPTED),
        (("-f", "mail"), (Kind.SENDER_REFUSED, 500)),
        (("-f", "rcpt"), (Kind.FAILED, 500)),
        (("-f", "data"), (Kind.SENDER_REFUSED, 500)),
        (("-f", "."), (Kind.FAILED, 500)),
        (("-r", "mail"), (Kind.DEFERRED, 450)),
        (("-r", "rcpt"), (Kind.DEFERRED, 450)),
        (("-r", "data"), (Kind.DEFERRED, 450)),
        (("-r", "."), (Kind.DEFERRED, 450)),
        (("-q", "connect"), (Kind.UNREACHABLE, 0)),
        (("-q", "ehlo"), (Kind.UNREACHABLE, 0)),
        (("-q", "mail"), (Kind.LOST, 0)),
        (("-q", "rcpt"), (Kind.LOST, 0)),
        (("-q", "data"), (Kind.LOST, 0)),
        (("-q", "."), (Kind.UNKNOWN, 0)),
        (("-Q", "connect"), (Kind.UNREACHABLE, 421)),
        (("-Q", "mail"), (Kind.LOST, 421)),
        (("-Q", "rcpt"), (Kind.LOST, 421)),
        (("-Q", "data"), (Kind.LOST, 421)),
        (("-Q", "."), (Kind.DEFERRED, 421)),
    ],
    ids=lambda value: " ".join(map(str, value)) or "-",
)
def test_given_postfixs_sink_in_a_mood_then_that_is_what_is_told(
    either: Way, options: tuple[str, ...], told: tuple[Kind, int]
) -> None:
    sink = SmtpSink(*options)
    try:
        outcomes = crowd(either, sink.port, people(40), connections=4)
        assert {(outcome.kind, outcome.code) for outcome in outcomes.values()} == {told}
        if told == ACCEPTED:
            assert sink.mailed() == Counter(people(40))
    finally:
        sink.stop()


@pytest.mark.slow
@pytest.mark.needs("postfix")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a Postfix")
def test_given_a_real_postfix_then_each_mail_goes_through_its_queue_once(either: Way) -> None:
    postfix = Postfix()
    try:
        outcomes = crowd(either, postfix.port, people(300))
        assert {(outcome.kind, outcome.code) for outcome in outcomes.values()} == {ACCEPTED}
        end = time.monotonic() + 60
        while postfix.sent() != Counter(people(300)):
            assert time.monotonic() < end, postfix.sent()
            time.sleep(0.1)
    finally:
        postfix.stop()


@pytest.mark.slow
@pytest.mark.needs("postfix")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a Postfix")
def test_given_a_real_postfix_that_refuses_some_then_the_others_go_through_once(either: Way) -> None:
    postfix = Postfix(
        smtpd_recipient_restrictions="check_recipient_access inline:{{gone.example.com = 550 5.1.1 gone},"
        " {later.example.com = 450 4.2.0 later}, {shut.example.com = 421 4.3.2 shut}}, permit",
        smtpd_error_sleep_time="0",
    )
    kinds = {
        "example.com": Kind.ACCEPTED,
        "gone.example.com": Kind.FAILED,
        "later.example.com": Kind.DEFERRED,
        "shut.example.com": Kind.LOST,
    }
    crowded = [f"p{number}@{domain}" for number in range(20) for domain in kinds]
    try:
        outcomes = crowd(either, postfix.port, crowded, connections=4)
        for who, outcome in outcomes.items():
            assert outcome.kind is kinds[who.partition("@")[2]], (who, outcome)
        fine = Counter(who for who in crowded if who.endswith("@example.com"))
        end = time.monotonic() + 60
        while postfix.sent() != fine:
            assert time.monotonic() < end, postfix.sent()
            time.sleep(0.1)
    finally:
        postfix.stop()
