"""TLS from the start and by STARTTLS: who is trusted, and that nothing is ever sent in clear instead."""

import datetime
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from runner.channel.opening import trust
from runner.channel.port import Kind, Outcome, ServerRefusesUs
from tests.runner.wire.conftest import Letter, Way, abort_after, account, in_a_row, nothing
from tests.support.scripted_smtp import ScriptedSmtp, cut, hush, reset

ANN, BO = "ann@example.com", "bo@example.com"
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The system trusts the test's authority and nobody else."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    trust.cache_clear()
    yield
    trust.cache_clear()


def presenting(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def serving(tls: str, context: ssl.SSLContext) -> ScriptedSmtp:
    return ScriptedSmtp(tls=context) if tls == "tls" else ScriptedSmtp(start_tls=context)


def send(way: Way, server: ScriptedSmtp, tls: str, *mails: Letter, **more: str) -> list[Outcome]:
    async def work() -> list[Outcome]:
        wire = way.wire(account(server, tls=tls, **more))
        try:
            return [await wire.deliver(mail, nothing) for mail in mails or (Letter(ANN),)]
        finally:
            await wire.close()

    try:
        return way.run(work())
    finally:
        server.stop()


BOTH = pytest.mark.parametrize("tls", ["tls", "starttls"])


@BOTH
@pytest.mark.usefixtures("trusted")
def test_given_a_trusted_server_then_mails_of_any_size_arrive_whole_and_once(
    way: Way, authority: trustme.CA, tls: str
) -> None:
    server = serving(tls, presenting(authority.issue_cert("127.0.0.1")))
    large = b"Subject: large\r\n\r\n" + b"x" * 70 + (b"\r\n" + b"y" * 70) * 5_000
    server.on("RCPT", "550 5.1.1 gone", recipient="gone@example.com")

    outcomes = send(
        way, server, tls, Letter(ANN), Letter("gone@example.com"), Letter(BO, content=large), Letter(ANN)
    )

    assert [outcome.kind for outcome in outcomes] == [Kind.ACCEPTED, Kind.FAILED, Kind.ACCEPTED, Kind.ACCEPTED]
    assert server.recipients() == [ANN, BO, ANN]
    assert server.taken[1].content == large
    assert len(server.steps) == 1


@BOTH
@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("expired", "certificate has expired"),
        ("self-signed", "its certificate isn't accepted"),
        ("wrong host", "IP address mismatch"),
    ],
)
def test_given_a_certificate_that_proves_nothing_then_the_send_stops_and_no_mail_or_login_was_told(
    way: Way, authority: trustme.CA, tls: str, fault: str, words: str
) -> None:
    certificate = {
        "expired": lambda: authority.issue_cert("127.0.0.1", not_before=LONG_AGO, not_after=LONG_AGO),
        "self-signed": lambda: trustme.CA().issue_cert("127.0.0.1"),
        "wrong host": lambda: authority.issue_cert("192.0.2.1"),
    }[fault]()
    server = serving(tls, presenting(certificate))

    with pytest.raises(ServerRefusesUs, match=words):
        send(way, server, tls, username="ops", password="right")

    assert server.steps == [[] if tls == "tls" else ["CONNECT", "EHLO", "STARTTLS"]]


@pytest.mark.usefixtures("trusted")
def test_given_starttls_stripped_then_the_send_stops_and_nothing_goes_in_clear(way: Way) -> None:
    server = ScriptedSmtp(extensions=("PIPELINING", "AUTH PLAIN"))
    with pytest.raises(ServerRefusesUs, match="doesn't offer what is configured"):
        send(way, server, "starttls", username="ops", password="right")
    assert server.steps == [["CONNECT", "EHLO"]]


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("answer", ["454 4.7.0 TLS not available", "500 5.5.1 what?"])
def test_given_starttls_offered_and_refused_then_nothing_goes_in_clear(
    way: Way, authority: trustme.CA, answer: str
) -> None:
    server = serving("starttls", presenting(authority.issue_cert("127.0.0.1")))
    server.on("STARTTLS", answer)
    if answer.startswith("4"):
        (outcome,) = send(way, server, "starttls")
        assert (outcome.kind, outcome.code) == (Kind.UNREACHABLE, 454)
    else:
        with pytest.raises(ServerRefusesUs, match="refused us"):
            send(way, server, "starttls")
    assert "MAIL" not in server.steps[0]


@pytest.mark.usefixtures("trusted")
def test_given_a_server_in_clear_where_tls_is_configured_then_the_send_stops(way: Way) -> None:
    server = ScriptedSmtp()
    with pytest.raises(ServerRefusesUs, match=r"TLS with 127\.0\.0\.1:\d+ failed: .* doesn't begin with TLS"):
        send(way, server, "tls")
    assert "MAIL" not in server.steps[0]


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("end", [cut, reset])
def test_given_a_server_that_goes_away_in_the_handshake_then_it_is_unreachable_and_tried_again(
    way: Way, authority: trustme.CA, end: object
) -> None:
    server = serving("starttls", presenting(authority.issue_cert("127.0.0.1")))
    server.on("STARTTLS", "220 go ahead", end, times=1)  # type: ignore[arg-type]
    gone, there = send(way, server, "starttls", Letter(ANN), Letter(ANN))
    assert gone.kind is Kind.UNREACHABLE
    assert there.kind is Kind.ACCEPTED


@BOTH
@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(("step", "kind"), [("RCPT", Kind.LOST), ("DOT", Kind.UNKNOWN)])
@pytest.mark.parametrize("end", [cut, reset])
def test_given_a_tls_connection_cut_then_it_is_told_as_in_clear(
    way: Way, authority: trustme.CA, tls: str, step: str, kind: Kind, end: object
) -> None:
    server = serving(tls, presenting(authority.issue_cert("127.0.0.1")))
    server.on(step, end, times=1)  # type: ignore[arg-type]
    ended, other = send(way, server, tls, Letter(ANN), Letter(BO))
    assert (ended.kind, other.kind) == (kind, Kind.ACCEPTED)
    assert server.recipients() == [BO]


@BOTH
@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("size", [65_000, 70_000, 360_000])
def test_given_many_large_mails_then_none_waits_for_bytes_that_have_left(
    way: Way, authority: trustme.CA, tls: str, size: int
) -> None:
    server = serving(tls, presenting(authority.issue_cert("127.0.0.1")))
    content = b"Subject: large\r\n\r\n" + (b"y" * 70 + b"\r\n") * (size // 72) + b"end"
    kinds: list[Kind] = []

    async def work() -> None:
        wire = way.wire(account(server, tls=tls))
        letters = iter([Letter(ANN, content=content)] * 60)
        await in_a_row(wire, letters, lambda letter, outcome: kinds.append(outcome.kind))
        await wire.close()

    try:
        way.run(work())
    finally:
        server.stop()
    assert kinds == [Kind.ACCEPTED] * 60


@BOTH
@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("turns", [1, 3, 6, 20, 60, 200])
def test_given_an_abort_at_any_turn_of_connecting_by_tls_then_the_delivery_ends(
    way: Way, authority: trustme.CA, tls: str, turns: int
) -> None:
    server = serving(tls, presenting(authority.issue_cert("127.0.0.1")))
    server.on("EHLO", hush)
    try:
        assert way.run(abort_after(turns, way.wire(account(server, tls=tls)))) is Kind.UNREACHABLE
    finally:
        server.stop()


@pytest.mark.usefixtures("trusted")
def test_given_answers_injected_in_clear_before_tls_then_no_mail_takes_them_for_its_own(
    way: Way, authority: trustme.CA
) -> None:
    server = serving("starttls", presenting(authority.issue_cert("127.0.0.1")))
    server.on("STARTTLS", "220 go ahead\r\n250 injected\r\n250 injected\r\n354 injected\r\n250 injected", times=1)
    (outcome,) = send(way, server, "starttls")
    assert outcome.kind is not Kind.ACCEPTED or server.recipients() == [ANN]
    assert "injected" not in outcome.text
