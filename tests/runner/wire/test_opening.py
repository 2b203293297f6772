"""Getting to a connection that takes mail: addresses, greetings, logins, limits, and what a failure means."""

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.channel import opening
from runner.channel.choose import Email
from runner.channel.port import Kind, Outcome, ServerRefusesUs
from runner.channel.probe import probe
from runner.cli import parser
from runner.errors import Refused
from runner.settings import Smtp, from_args, read_credentials
from tests.runner.wire.conftest import Letter, Way, account, nothing
from tests.support.scripted_smtp import Act, ScriptedSmtp, cut, reset

ANN = "ann@example.com"


def one(way: Way, smtp: Smtp) -> Outcome:
    async def work() -> Outcome:
        wire = way.wire(smtp)
        try:
            return await wire.deliver(Letter(ANN), nothing)
        finally:
            await wire.close()

    return way.run(work())


@pytest.mark.parametrize(
    ("acts", "code"),
    [
        (("421 4.7.0 try later", cut), 421),
        (("554 5.7.1 blocked using a list", cut), 554),
        ((cut,), 0),
        ((reset,), 0),
        (("SSH-2.0-OpenSSH_9.2",), 0),
    ],
)
def test_given_a_server_that_greets_with_something_else_then_it_is_unreachable_and_nothing_was_sent(
    way: Way, server: ScriptedSmtp, acts: tuple[Act, ...], code: int
) -> None:
    server.on("CONNECT", *acts, times=1)
    first, second = way.deliver(server, ANN, ANN)
    assert (first.kind, first.code) == (Kind.UNREACHABLE, code)
    assert str(server.port) in first.text
    assert second.kind is Kind.ACCEPTED


def test_given_nobody_there_then_it_is_unreachable(way: Way, server: ScriptedSmtp) -> None:
    server.stop()
    assert one(way, account(server)).kind is Kind.UNREACHABLE


@pytest.mark.parametrize("host", ["no-such-host.invalid", "two..dots.example", "x" * 70 + ".example"])
def test_given_a_host_that_has_no_address_then_it_is_unreachable(way: Way, host: str) -> None:
    assert one(way, Smtp(host, 25, "none")).kind is Kind.UNREACHABLE


def test_given_no_ehlo_then_helo_and_lock_step(way: Way, server: ScriptedSmtp) -> None:
    server.on("EHLO", "500 5.5.1 what?")
    assert one(way, account(server)).kind is Kind.ACCEPTED
    assert server.steps == [["CONNECT", "EHLO", "HELO", "MAIL", "RCPT", "DATA", "BODY", "DOT", "QUIT"]]
    assert b"MAIL FROM:<news@example.com>\r\n" in server.segments


def test_given_no_pipelining_asked_for_on_the_command_line_then_the_wires_of_a_send_keep_to_it(
    server: ScriptedSmtp,
) -> None:
    args = parser().parse_args(["--campaign", "may", "--mode", "send", "--no-pipelining"])
    settings = from_args(args, {})

    async def work() -> Outcome:
        (wire,) = Email().wires(account(server), 1, settings.pipelining)
        outcome: Outcome = await wire.deliver(Letter(ANN), nothing)
        await wire.close()
        return outcome

    assert asyncio.run(work()).kind is Kind.ACCEPTED
    assert b"MAIL FROM:<news@example.com>\r\n" in server.segments
    assert settings.connections == 20


def test_given_neither_ehlo_nor_helo_then_the_send_stops(way: Way, server: ScriptedSmtp) -> None:
    for step in ("EHLO", "HELO"):
        server.on(step, "550 5.7.1 your name isn't welcome")
    with pytest.raises(ServerRefusesUs, match="your name isn't welcome"):
        one(way, account(server))


def test_given_twenty_asked_and_room_for_five_then_five_send_and_the_others_know_why_not(way: Way) -> None:
    server = ScriptedSmtp(room=5)

    async def work() -> list[Outcome]:
        wires = [way.wire(account(server)) for _ in range(20)]
        outcomes = await asyncio.gather(*[wire.deliver(Letter(ANN), nothing) for wire in wires])
        for wire in wires:
            await wire.close()
        return list(outcomes)

    outcomes = way.run(work())
    server.stop()
    assert Counter((outcome.kind, outcome.code) for outcome in outcomes) == {
        (Kind.ACCEPTED, 250): len(server.taken),
        (Kind.UNREACHABLE, 421): 20 - len(server.taken),
    }
    # A connection that was refused holds its place until it is closed.
    assert 1 <= len(server.taken) <= 5


@pytest.fixture
def dead_ends() -> Iterator[set[object]]:
    opening._dead_ends.clear()
    yield opening._dead_ends
    opening._dead_ends.clear()


def _addresses(
    monkeypatch: pytest.MonkeyPatch, *addresses: tuple[socket.AddressFamily, tuple[object, ...]]
) -> None:
    async def resolve(host: str, port: int) -> list[tuple[object, ...]]:
        return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in addresses]

    monkeypatch.setattr(opening, "_resolve", resolve)


def test_given_a_host_whose_first_address_refuses_then_the_second_is_taken(
    way: Way, server: ScriptedSmtp, monkeypatch: pytest.MonkeyPatch, dead_ends: set[object]
) -> None:
    six = (socket.AF_INET6, ("::1", server.port, 0, 0))
    _addresses(monkeypatch, six, (socket.AF_INET, ("127.0.0.1", server.port)))
    assert one(way, account(server, host="mail.example.test")).kind is Kind.ACCEPTED
    assert dead_ends == {six[1]}


def test_given_a_host_whose_first_address_is_a_dead_end_then_the_second_is_taken_and_comes_first_from_then_on(
    way: Way, server: ScriptedSmtp, monkeypatch: pytest.MonkeyPatch, dead_ends: set[object]
) -> None:
    hole = socket.create_server(("127.0.0.1", 0), backlog=0)
    fillers = [socket.socket() for _ in range(3)]  # its queue is full: the next SYN gets no answer
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(hole.getsockname())
    _addresses(monkeypatch, (socket.AF_INET, hole.getsockname()), (socket.AF_INET, ("127.0.0.1", server.port)))
    monkeypatch.setattr(opening, "_ADDRESS_SECONDS", 0.05)
    smtp = account(server, host="mail.example.test")

    assert one(way, smtp).kind is Kind.ACCEPTED
    assert dead_ends == {hole.getsockname()}
    monkeypatch.setattr(opening, "_ADDRESS_SECONDS", 30.0)
    assert one(way, smtp).kind is Kind.ACCEPTED

    for sock in (hole, *fillers):
        sock.close()


AUTH = ("PIPELINING", "AUTH PLAIN LOGIN")


def _secured(*acts: Act, extensions: tuple[str, ...] = AUTH) -> ScriptedSmtp:
    server = ScriptedSmtp(extensions=extensions)
    if acts:
        server.on("AUTH", *acts)
    return server


def test_given_the_right_login_then_mail_goes_out(way: Way) -> None:
    server = _secured()
    assert one(way, account(server, username="ops", password="right")).kind is Kind.ACCEPTED
    assert server.steps[0][:4] == ["CONNECT", "EHLO", "AUTH", "MAIL"]
    server.stop()


def test_given_a_wrong_password_then_the_send_stops_without_telling_it(way: Way) -> None:
    server = _secured("535 5.7.8 bad credentials canary-secret")
    with pytest.raises(ServerRefusesUs) as refused:
        one(way, account(server, username="ops", password="canary-secret"))
    assert str(refused.value) == "the mail server refused the login: 535. Mend the account in the credentials file"
    server.stop()


def test_given_a_login_that_fails_for_now_then_it_is_tried_again(way: Way) -> None:
    server = _secured("454 4.7.0 temporary authentication failure")
    outcome = one(way, account(server, username="ops", password="right"))
    assert (outcome.kind, outcome.code) == (Kind.UNREACHABLE, 454)
    server.stop()


def test_given_a_server_without_login_then_the_send_stops_before_a_password_is_told(way: Way) -> None:
    server = _secured(extensions=("PIPELINING",))
    with pytest.raises(ServerRefusesUs, match="doesn't offer what is configured"):
        one(way, account(server, username="ops", password="right"))
    assert server.steps == [["CONNECT", "EHLO"]]
    server.stop()


def test_given_a_token_file_then_each_connection_logs_in_with_what_is_in_it_now(way: Way, tmp_path: Path) -> None:
    server = _secured(extensions=("PIPELINING", "AUTH XOAUTH2"))
    token = tmp_path / "token"
    smtp = account(server, username="ops", token_file=token)
    for text in ("first", "second"):
        token.write_text(f"{text}-token\n")
        assert one(way, smtp).kind is Kind.ACCEPTED
    logins = [segment for segment in server.segments if segment.startswith(b"AUTH XOAUTH2 ")]
    assert len(logins) == len(set(logins)) == 2
    server.stop()


def test_given_an_expired_token_then_the_send_stops(way: Way, tmp_path: Path) -> None:
    server = _secured("334 eyJzdGF0dXMiOiI0MDEifQ==", extensions=("PIPELINING", "AUTH XOAUTH2"))
    server.on("", "535 5.7.8 token expired")
    (tmp_path / "token").write_text("stale-token")
    with pytest.raises(ServerRefusesUs, match="refused the login: 535"):
        one(way, account(server, username="ops", token_file=tmp_path / "token"))
    server.stop()


@pytest.mark.parametrize(
    "lines",
    [
        "token_file = token",
        "token_file = /run/token\nusername =",
        "token_file = /run/token\nusername = ops\npassword = x",
    ],
)
def test_given_a_token_file_that_leaves_a_choice_then_credentials_are_refused(tmp_path: Path, lines: str) -> None:
    file = tmp_path / "credentials.conf"
    file.write_text(f"[smtp]\nhost = mail.example.test\n{lines}\n")
    file.chmod(0o600)
    with pytest.raises(Refused, match="token_file is a full path"):
        read_credentials(file)
    file.write_text("[smtp]\nhost = mail.example.test\nusername = ops\ntoken_file = /run/token\n")
    assert read_credentials(file).token_file == Path("/run/token")


def test_given_no_token_file_then_a_probe_says_so(server: ScriptedSmtp, tmp_path: Path) -> None:
    server.extensions = ("AUTH XOAUTH2",)
    told = asyncio.run(probe(account(server, username="ops", token_file=tmp_path / "token")))
    assert "can't be read" in told["trouble"]


def test_given_no_token_file_then_the_send_stops_and_names_it(way: Way, tmp_path: Path) -> None:
    server = _secured(extensions=("PIPELINING", "AUTH XOAUTH2"))
    with pytest.raises(ServerRefusesUs, match="token can't be read"):
        one(way, account(server, username="ops", token_file=tmp_path / "token"))
    server.stop()
