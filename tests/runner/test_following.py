"""Whole sends to servers that take a message behind another in ways of their own."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.runner.conftest import Host
from tests.support.scripted_smtp import ScriptedSmtp, Talk, cut


@pytest.fixture
def server() -> Iterator[ScriptedSmtp]:
    made = ScriptedSmtp()
    yield made
    made.stop()


def people(count: int) -> list[str]:
    return [f"u{number}@example.com" for number in range(count)]


def _was_early(talk: Talk) -> bool:
    """Did the envelope that is being answered come with the message before?"""
    return b"\r\n.\r\nMAIL" in talk.server.segments[-1]


def test_given_a_server_that_closes_after_each_message_then_only_what_was_on_the_wire_counts_as_lost(
    host: Host, server: ScriptedSmtp
) -> None:
    # Each connection takes one and loses the next, so the last of 16 is lost four times; five would defer it.
    server.on("DOT", "250 2.0.0 queued", cut)
    host.campaign(people(16))
    host.server(server)
    ended = host.run("send", "--connections", "1")
    assert ended.rc == 0, ended.out
    assert Counter(server.recipients()) == Counter(people(16))
    assert not [line for line in host.journal() if line.startswith("D ")]


@pytest.mark.parametrize(
    ("step", "word"),
    [
        ("MAIL", "554 5.5.0 synchronization error"),
        ("RCPT", "503 5.5.1 need MAIL first"),
        ("DATA", "503 5.5.1 need RCPT first"),
    ],
)
def test_given_a_server_that_wants_nothing_early_then_nobody_is_failed_for_it(
    host: Host, server: ScriptedSmtp, step: str, word: str
) -> None:
    early = 0

    def answer(talk: Talk) -> str:
        nonlocal early
        early += _was_early(talk)
        text = word if _was_early(talk) else "354 go" if step == "DATA" else "250 2.1.0 ok"
        talk.sock.sendall(f"{text}\r\n".encode())
        return text

    server.on(step, answer)
    host.campaign(people(60))
    host.server(server)
    ended = host.run("send", "--connections", "2")
    assert ended.rc == 0, ended.out
    assert ended.summary["counts"]["accepted"] == 60
    assert Counter(server.recipients()) == Counter(people(60))
    assert early == 2, "each connection tried it once"
