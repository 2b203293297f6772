"""Replies, however the line cuts them, and what is no reply."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.channel.port import Kind
from runner.channel.replies import Garbage, Replies, Reply
from tests.runner.wire.conftest import Way
from tests.support.scripted_smtp import Act, ScriptedSmtp, pieces

ANN, BO = "ann@example.com", "bo@example.com"

_codes = st.integers(200, 599)
_texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20).map(str.rstrip)
_replies = st.lists(st.tuples(_codes, st.lists(_texts, min_size=1, max_size=4)), min_size=1, max_size=6)


@pytest.mark.slow
@given(_replies, st.lists(st.integers(1, 40), max_size=30))
def test_given_any_cut_then_the_same_replies_come_out_in_order(
    replies: list[tuple[int, list[str]]], cuts: list[int]
) -> None:
    data = b"".join(
        f"{code}{' ' if number == len(lines) else '-'}{line}\r\n".encode()
        for code, lines in replies
        for number, line in enumerate(lines, 1)
    )
    parser, found = Replies(), []
    for size in [*cuts, len(data)]:
        found += parser.feed(data[:size])
        data = data[size:]
    assert [(reply.code, [line.rstrip() for line in reply.text.split("\n")]) for reply in found] == [
        (code, [line.encode().rstrip().decode() for line in lines]) for code, lines in replies
    ]
    assert not parser.halfway


def test_given_bare_codes_and_bare_line_feeds_then_they_are_replies() -> None:
    assert Replies().feed(b"250\r\n354\n250-\r\n250 x\r\n") == [
        Reply(250, b""),
        Reply(354, b""),
        Reply(250, b"\nx"),
    ]


def test_given_bytes_that_are_no_text_then_the_reply_is_told_with_marks_for_them() -> None:
    (reply,) = Replies().feed(b"550 caf\xe9\r\n")
    assert reply.text == "caf\ufffd"


@pytest.mark.parametrize(
    "data",
    [
        b"what?\r\n",
        b"25\r\n",
        b"2500 ok\r\n",
        b"250_ok\r\n",
        b"099 ok\r\n",
        b"150 ok\r\n",
        b"600 ok\r\n",
        b"999 ok\r\n",
        b"-50 ok\r\n",
        b" 250 ok\r\n",
        b"250-one\r\n550 two\r\n",
        b"250-one\r\n550-two\r\n",
        b"\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\x16\x03\x01\x00\x05hello\r\n",
        b"\xb2\xb5\xb0 ok\r\n",
        b"x" * 10_000,
        b"250 " + b"x" * 10_000 + b"\r\n",
        b"250-more\r\n" * 10_000,
    ],
    ids=lambda data: repr(data[:12]),
)
def test_given_what_is_no_reply_then_it_is_garbage(data: bytes) -> None:
    with pytest.raises(Garbage):
        Replies().feed(data)


@pytest.mark.parametrize("answer", ["250 2.0.0 queued as 1", "250-2.0.0 one\r\n250-two\r\n250 three"])
@pytest.mark.parametrize("size", [1, 7])
def test_given_answers_in_small_segments_then_each_mail_gets_its_own(
    way: Way, server: ScriptedSmtp, answer: str, size: int
) -> None:
    server.on("MAIL", pieces("250-2.1.0 fine\r\n250 go on", size))
    server.on("RCPT", pieces("550 5.1.1 gone", size), recipient=BO)
    server.on("DATA", pieces("354 end with a dot", size), recipient=ANN)
    server.on("DOT", pieces(answer, size))

    kinds = [(outcome.kind, outcome.code) for outcome in way.deliver(server, ANN, BO, ANN)]

    assert kinds == [(Kind.ACCEPTED, 250), (Kind.FAILED, 550), (Kind.ACCEPTED, 250)]


def test_given_an_answer_of_several_lines_then_its_text_has_them_all(way: Way, server: ScriptedSmtp) -> None:
    server.on("RCPT", "550-5.7.1 your network is listed\r\n550 see https://example.com/listed")
    (refused,) = way.deliver(server, ANN)
    assert refused.text == "5.7.1 your network is listed\nsee https://example.com/listed"


@pytest.mark.parametrize("garbage", ["what?", "999 ok", "550-one\r\n250 two", "354 go ahead", "\x16\x03\x01"])
@pytest.mark.parametrize(
    ("step", "kind"), [("MAIL", Kind.LOST), ("RCPT", Kind.LOST), ("DATA", Kind.LOST), ("DOT", Kind.UNKNOWN)]
)
def test_given_an_answer_that_makes_no_sense_then_only_what_is_certain_is_told_and_the_connection_ends(
    way: Way, server: ScriptedSmtp, step: str, kind: Kind, garbage: Act
) -> None:
    if (step, garbage) == ("DATA", "354 go ahead"):
        garbage = "250 ok"
    server.on(step, garbage, times=1)

    odd, other = way.deliver(server, ANN, BO)

    assert (odd.kind, odd.code) == (kind, 0)
    assert other.kind is Kind.ACCEPTED
    assert server.recipients() == [BO]
    assert len(server.steps) == 2


def test_given_an_answer_to_the_message_before_the_message_then_it_is_not_sent(
    way: Way, server: ScriptedSmtp
) -> None:
    server.on("DATA", "354 go ahead\r\n250 2.0.0 queued already", times=1)
    lost, again = way.deliver(server, ANN, ANN)
    assert (lost.kind, again.kind) == (Kind.LOST, Kind.ACCEPTED)
    assert server.recipients() == [ANN]
