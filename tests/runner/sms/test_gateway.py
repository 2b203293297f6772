"""A text message through an HTTP gateway: what each answer, and each silence, means for the recipient."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from runner.channel.port import Kind, Outcome, ServerRefusesUs
from runner.channel.twilio import ANSWER_SECONDS, TwilioWire, twilio_wires
from runner.message import gsm
from runner.message.sms import Text
from runner.settings import Sms
from tests.support.sms_gateway import ACCOUNT, SECRET, Cuts, Gateway, Says, Silent, refused

NUMBER = "+12025550143"


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    yield made
    made.stop()


@pytest.fixture
async def wire(gateway: Gateway) -> AsyncIterator[TwilioWire]:
    (made,) = twilio_wires(account(gateway), 1)
    yield made
    await made.close()


def account(gateway: Gateway, secret: str = SECRET, url: str = "") -> Sms:
    return Sms("twilio", ACCOUNT, secret, "+12025550100", url=url or gateway.url)


def text(body: str = "Sale today", sender: str = "") -> Text:
    return Text(sender, NUMBER, "a1b2", body, gsm.encode(body))


class Begins:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


async def test_given_a_taken_message_then_its_sid_is_known_and_the_connection_is_used_again(
    gateway: Gateway, wire: TwilioWire
) -> None:
    begins = Begins()
    outcomes = [await wire.deliver(text("Größe & Preis: 5 €"), begins) for _ in range(3)]
    assert {outcome.kind for outcome in outcomes} == {Kind.ACCEPTED}
    assert outcomes[0] == Outcome(Kind.ACCEPTED, 201, "SM00000000000000000000000000000001 segments=1")
    assert gateway.taken[0] == {"To": NUMBER, "From": "+12025550100", "Body": "Größe & Preis: 5 €"}
    assert (gateway.connections, begins.count) == (1, 3)
    assert gateway.headers[0]["x-blast-id"] == "a1b2"


async def test_given_a_pool_of_numbers_then_the_gateway_chooses_the_sender(
    gateway: Gateway, wire: TwilioWire
) -> None:
    await wire.deliver(text(sender="MG" + "0" * 32), Begins())
    assert gateway.taken[0]["MessagingServiceSid"] == "MG" + "0" * 32
    assert "From" not in gateway.taken[0]


@pytest.mark.parametrize(
    ("says", "kind", "begins_with"),
    [
        (refused(21211, f"The 'To' number {NUMBER} is not a valid phone number."), Kind.FAILED, "number: 21211"),
        (refused(21610, "Attempt to send to unsubscribed recipient"), Kind.FAILED, "unsubscribed: 21610"),
        (refused(21408, "Permission to send has not been enabled for the region"), Kind.FAILED, "region: 21408"),
        (refused(30007, "Message filtered"), Kind.FAILED, "filtered: 30007"),
        (refused(21606, "The From number is not yours"), Kind.SENDER_REFUSED, "sender: 21606"),
        (refused(30002, "Account suspended", 403), Kind.SENDER_REFUSED, "account: 30002"),
        (refused(99999, "Something new"), Kind.SENDER_REFUSED, "other: 99999"),
        (refused(20429, "Too many requests", 429), Kind.DEFERRED, "throttled: 20429"),
        (
            Says(429, "slow down", {"Retry-After": "7"}),
            Kind.DEFERRED,
            "throttled: 429 no reason given, again in 7 s",
        ),
        (Says(503, "later", {"Retry-After": "7"}), Kind.DEFERRED, "throttled: 503"),
        (Says(503, "<h1>Unavailable</h1>"), Kind.UNKNOWN, "the gateway failed on the message"),
        (Says(500, "<h1>Oops</h1>", takes=True), Kind.UNKNOWN, "the gateway failed on the message"),
        (Says(200, "<html>Please log in</html>"), Kind.UNKNOWN, "the answer is not the gateway's"),
        (Says(201, {"sid": 7}), Kind.UNKNOWN, "the answer is not the gateway's"),
        (
            Says(201, {"sid": "SM1", "status": "failed", "error_code": 30005, "error_message": "Unknown handset"}),
            Kind.FAILED,
            "number: 30005",
        ),
    ],
)
async def test_given_an_answer_then_it_means_this(
    gateway: Gateway, wire: TwilioWire, says: Says, kind: Kind, begins_with: str
) -> None:
    gateway.script.append(says)
    outcome = await wire.deliver(text(), Begins())
    assert outcome.kind is kind
    assert outcome.text.startswith(begins_with)
    assert NUMBER[1:] not in outcome.text
    assert (await wire.deliver(text(), Begins())).kind is Kind.ACCEPTED


@pytest.mark.parametrize("after", ["body", "answer"])
async def test_given_the_line_is_cut_after_the_body_then_nobody_can_tell_and_nothing_is_sent_again(
    gateway: Gateway, wire: TwilioWire, after: str
) -> None:
    gateway.script.append(Cuts(after))
    begins = Begins()
    outcome = await wire.deliver(text(), begins)
    assert (outcome.kind, begins.count) == (Kind.UNKNOWN, 1)
    assert (gateway.posts, len(gateway.taken)) == (1, 1)


async def test_given_the_line_is_cut_before_the_body_was_read_then_the_gateway_took_nothing(
    gateway: Gateway, wire: TwilioWire
) -> None:
    gateway.script.append(Cuts("headers"))
    begins = Begins()
    outcome = await wire.deliver(text(), begins)
    assert outcome.kind is (Kind.UNKNOWN if begins.count else Kind.LOST)  # the body may be on its way already
    assert (gateway.posts, gateway.taken) == (1, [])


async def test_given_nobody_listens_then_the_gateway_is_out_of_reach_and_nothing_was_begun(
    gateway: Gateway,
) -> None:
    gateway.stop()
    begins = Begins()
    (wire,) = twilio_wires(account(gateway), 1)
    outcome = await wire.deliver(text(), begins)
    assert (outcome.kind, begins.count) == (Kind.UNREACHABLE, 0)


async def test_given_the_journal_fails_then_not_a_byte_of_the_message_goes_out(
    gateway: Gateway, wire: TwilioWire
) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        await wire.deliver(text(), full)
    assert gateway.taken == []
    assert (await wire.deliver(text(), Begins())).kind is Kind.ACCEPTED


async def test_given_a_wrong_secret_then_this_message_is_not_sent_and_the_next_is_not_tried(
    gateway: Gateway,
) -> None:
    (wire,) = twilio_wires(account(gateway, secret="another"), 1)
    assert (await wire.deliver(text(), Begins())).kind is Kind.LOST
    with pytest.raises(ServerRefusesUs, match="401 20003"):
        await wire.deliver(text(), Begins())
    assert gateway.posts == 1
    await wire.close()


async def test_given_a_redirect_then_nobody_follows_it(gateway: Gateway, wire: TwilioWire) -> None:
    gateway.script.append(Says(302, "", {"Location": gateway.url}))
    assert (await wire.deliver(text(), Begins())).kind is Kind.LOST
    assert gateway.posts == 1


async def test_given_clear_text_where_tls_was_asked_for_then_the_settings_are_at_fault(gateway: Gateway) -> None:
    (wire,) = twilio_wires(account(gateway, url=gateway.url.replace("http:", "https:")), 1)
    begins = Begins()
    with pytest.raises(ServerRefusesUs, match="TLS"):
        await wire.deliver(text(), begins)
    assert begins.count == 0


@pytest.mark.parametrize("end", ["sweep", "abort"])
async def test_given_no_answer_then_it_is_given_up_as_unknown(gateway: Gateway, wire: TwilioWire, end: str) -> None:
    gateway.script.append(Silent())
    delivery = asyncio.ensure_future(wire.deliver(text(), Begins()))
    await until(lambda: gateway.taken)
    if end == "sweep":
        wire.sweep(1000.0)
        wire.sweep(1000.0 + ANSWER_SECONDS)
        await asyncio.sleep(0)
        assert not delivery.done()
        wire.sweep(1001.0 + ANSWER_SECONDS)
    else:
        wire.abort()
    assert (await delivery).kind is Kind.UNKNOWN
    assert (await wire.deliver(text(), Begins())).kind is Kind.ACCEPTED


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - the gateway lives in another thread
            await asyncio.sleep(0.005)
