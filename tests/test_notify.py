"""Telling people: what they read, what a machine reads, and that no address or password shows when it fails."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from backends.notify import Email, Webhook, notifier, words
from opsconsole.audit.records import Phase, Record
from opsconsole.audit.tidings import head, message, tidings
from opsconsole.config import ConfigError, parse
from opsconsole.ports import OutOfReach, Refused
from opsconsole.redact import DEFAULT
from opsconsole.settings import Notify, SecretFrom

CANARY = "T0CANARY0X/B1CANARY1Y"
MAC = "9f" * 32
NOW = datetime(2026, 5, 12, 17, 52, tzinfo=UTC)
ENDED = {
    **message("warning", "the send ended partial: 5,258 accepted, 343 failed of 5,601", campaign="spring-offer"),
    **head(52, MAC),
}


class Channel:
    """A chat channel's webhook on loopback; answers with `status`, after `wait` seconds."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.status, self.wait, self.body = 200, threading.Event(), b"ok"
        self.slow = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((self.path, dict(self.headers), json.loads(body)))
                if outer.slow:
                    outer.wait.wait(5)
                self.send_response(outer.status)
                if outer.status == 302:
                    self.send_header("Location", outer.url.replace("/services", "/elsewhere"))
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/services/{CANARY}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.wait.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def channel() -> Iterator[Channel]:
    made = Channel()
    yield made
    made.close()


def webhook(url: str, tmp_path: Path, timeout: str = "5 s") -> Webhook:
    file = tmp_path / "url"
    file.write_text(url + "\n")
    file.chmod(0o600)
    made = notifier("ops", Notify(kind="webhook", url=SecretFrom(file=str(file)), timeout=timeout))
    assert isinstance(made, Webhook)
    return made


def test_a_channel_gets_the_words_the_fields_and_the_audit_head(channel: Channel, tmp_path: Path) -> None:
    hook = webhook(channel.url, tmp_path)
    assert hook.name == "notify:ops"
    hook.record(ENDED)
    hook.record(ENDED)
    (path, headers, body), (_, again, _) = channel.got
    assert path == f"/services/{CANARY}"
    assert body["text"] == (
        f"spring-offer: the send ended partial: 5,258 accepted, 343 failed of 5,601\nAudit head, record 52:\n{MAC}"
    )
    assert (body["severity"], body["audit"]) == ("warning", {"seq": 52, "mac": MAC})
    assert body["fields"] == {"campaign": "spring-offer"}
    assert headers["Idempotency-Key"] == again["Idempotency-Key"], "the same message is known by the same key"


@pytest.mark.parametrize(
    ("status", "error"), [(500, OutOfReach), (429, OutOfReach), (404, Refused), (403, Refused), (302, Refused)]
)
def test_a_failure_names_its_status_and_never_the_address(
    channel: Channel, tmp_path: Path, status: int, error: type[Exception]
) -> None:
    channel.status, channel.body = status, f"no such hook {CANARY}".encode()
    with pytest.raises(error, match=str(status)) as raised:
        webhook(channel.url, tmp_path).record(ENDED)
    assert "CANARY" not in str(raised.value)
    assert len(channel.got) == 1, "tried once, and led nowhere else"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/services/{}", "http://[bad/{}", "gopher://127.0.0.1/{}", "{}", "https:///{}"]
)
def test_an_address_that_leads_nowhere_is_not_shown_either(tmp_path: Path, url: str) -> None:
    with pytest.raises((OutOfReach, Refused)) as raised:
        webhook(url.format(CANARY), tmp_path).record(ENDED)
    assert "CANARY" not in repr(raised.value)
    assert raised.value.__cause__ is None, "nor in what a crash would print"
    assert "CANARY" not in DEFAULT.redact(f"posting to {url.format(CANARY)} failed")


def test_a_channel_that_does_not_answer_is_left_in_time(channel: Channel, tmp_path: Path) -> None:
    channel.slow = True
    with pytest.raises(OutOfReach, match=r"didn't answer within 0\.3 s"):
        webhook(channel.url, tmp_path, timeout="0.3 s").record(ENDED)


def test_an_answer_without_end_is_not_read_to_the_end(channel: Channel, tmp_path: Path) -> None:
    channel.body = b"x" * (8 << 20)
    webhook(channel.url, tmp_path).record(ENDED)
    assert len(channel.got) == 1


# E-mail.


class Postbox:
    """Takes mails as aiosmtpd hands them over; answers RCPT with `rcpt` and DATA with `data`."""

    def __init__(self) -> None:
        self.got: list[tuple[list[str], Message]] = []
        self.rcpt = self.data = "250 OK"
        self.tls: list[bool] = []

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        if self.data.startswith("250"):
            self.got.append((list(envelope.rcpt_tos), message_from_bytes(envelope.content)))
        self.tls.append(bool(session.ssl))
        return self.data


@contextmanager
def mail_server(box: Postbox, **options: Any) -> Iterator[int]:
    controller = Controller(box, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield int(controller.port)
    finally:
        controller.stop()


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def email(port: int, **others: Any) -> Email:
    values: dict[str, Any] = {
        "kind": "email",
        "host": "127.0.0.1",
        "port": port,
        "tls": "none",
        "sender": "opsconsole@example.com",
        "to": ["mara@example.com", "ana@example.com"],
        "timeout": "5 s",
    }
    made = notifier("team", Notify(**{**values, **others}))
    assert isinstance(made, Email)
    return made


def test_a_mail_holds_the_words_the_fields_and_the_audit_head() -> None:
    box = Postbox()
    with mail_server(box) as port:
        sender = email(port)
        sender.record({**ENDED, "title": "PROD: ended\r\nBcc: everybody@example.test"})
        sender.record({**ENDED, "title": "PROD: ended\r\nBcc: everybody@example.test"})
    (to, mail), (_, again) = box.got
    assert to == ["mara@example.com", "ana@example.com"]
    assert mail["Subject"] == "[opsconsole] PROD: ended Bcc: everybody@example.test"
    assert mail["Bcc"] is None
    text = str(mail.get_payload())
    assert f"Audit head, record 52:\n{MAC}" in text.replace("\r\n", "\n")
    assert "campaign: spring-offer" in text
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"] == again["Message-ID"], "the same message twice is one in a mailbox"
    assert mail["Message-ID"].endswith("@example.com>")


@pytest.mark.parametrize(
    ("rcpt", "data", "error"),
    [
        ("250 OK", "451 later", OutOfReach),
        ("250 OK", "554 never, canary@example.test", Refused),
        ("450 full", "250 OK", OutOfReach),
        ("550 who is canary@example.test", "250 OK", Refused),
    ],
)
def test_a_mail_refused_is_told_by_its_code(rcpt: str, data: str, error: type[Exception]) -> None:
    box = Postbox()
    box.rcpt, box.data = rcpt, data
    with mail_server(box) as port, pytest.raises(error) as raised:
        email(port).record(ENDED)
    assert "canary" not in str(raised.value)
    assert box.got == []


def test_a_mail_server_that_is_not_there_is_out_of_reach() -> None:
    with pytest.raises(OutOfReach, match="Nobody was told yet"):
        email(free_port()).record(ENDED)


def test_a_password_goes_out_under_tls_only_and_never_into_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "canary-password-1")
    asked: list[object] = []
    good = "canary-password-1"

    def authenticate(
        server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        asked.append(mechanism)
        assert isinstance(data, LoginPassword)
        return AuthResult(success=data.password.decode() == good, handled=False)

    certificate, key = self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    box = Postbox()
    login: dict[str, Any] = {
        "tls": "starttls",
        "host": "localhost",
        "ca_file": str(certificate),
        "user": "ops",
        "password": SecretFrom(env="MAIL_PASSWORD"),
    }
    options = {
        "tls_context": context,
        "authenticator": authenticate,
        "auth_required": True,
        "require_starttls": True,
    }
    with mail_server(box, **options) as port:
        email(port, **login).record(ENDED)
        assert (len(box.got), box.tls) == (1, [True])
        good = "changed"
        with pytest.raises(Refused, match=r"doesn't accept the name and password \(535\)") as raised:
            email(port, **login).record(ENDED)
        assert "canary" not in str(raised.value)
        seen = len(asked)
        with pytest.raises(OutOfReach):
            email(port, **{**login, "ca_file": ""}).record(ENDED)
        with pytest.raises(Refused, match="without encryption"):
            email(port, **{**login, "tls": "none", "host": "mail.example.com"}).record(ENDED)
    assert len(asked) == seen, "no password went to a server that didn't prove who it is"


def self_signed(folder: Path) -> tuple[Path, Path]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "server.pem", folder / "server.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate, private


# What is told of which record.


def record(action: str, phase: Phase, **detail: Any) -> Record:
    return Record(
        seq=52,
        utc=NOW,
        operator="mara",
        session="s-1",
        environment="prod",
        campaign="spring-offer",
        run="ab12",
        action=action,
        phase=phase,
        reason="the list was mended",
        detail=detail,
        prev="0" * 64,
        mac=MAC,
    )


@pytest.mark.parametrize(
    ("made", "severity", "says"),
    [
        (record("send-started", Phase.NOTE, joined=False, attempt=1), "info", "a send started, by mara"),
        (record("send-unclear", Phase.NOTE), "critical", "may have started"),
        (
            record("send", Phase.OUTCOME, result="ended", status="sent", counts={"total": 2601, "accepted": 2601}),
            "info",
            "the send ended sent: 2,601 accepted of 2,601",
        ),
        (
            record(
                "send-rest",
                Phase.OUTCOME,
                result="ended",
                status="partial",
                counts={"total": 9, "accepted": 5, "failed": 3, "unknown": 1},
            ),
            "warning",
            "the send ended partial: 5 accepted, 3 failed, 1 unknown of 9",
        ),
        (record("send", Phase.OUTCOME, result="ended", status="failed", rc=2), "warning", "exit code 2, no counts"),
        (record("settle", Phase.OUTCOME, result="done", unsent=4, unknown=0), "warning", "4 unsent and 0 unknown"),
        (record("release-claim", Phase.OUTCOME, result="done"), "warning", "gave the claim back"),
        (record("close", Phase.NOTE), "warning", "closed it as it is"),
        (
            record("break-glass", Phase.NOTE, expires="2026-05-12T18:07:00+00:00"),
            "critical",
            "without a second person until 18:07 UTC",
        ),
        (record("host-accepted", Phase.NOTE, host="blast-1"), "warning", "accepted blast-1 as it is"),
    ],
)
def test_what_others_must_know_is_told_with_the_head_of_that_very_record(
    made: Record, severity: str, says: str
) -> None:
    first, second = tidings(made, ("ops", "team"))
    assert (first.destination, second.destination) == ("notify:ops", "notify:team")
    assert first.key != second.key
    payload = first.payload
    assert payload["severity"] == severity
    assert says in str(payload["title"])
    assert payload["audit"] == {"seq": 52, "mac": MAC}
    title, text = words(payload)
    assert title.startswith("prod: spring-offer: ")
    assert text.endswith(f": the list was mended\nAudit head, record 52:\n{MAC}")


@pytest.mark.parametrize(
    "made",
    [
        record("send", Phase.INTENT),
        record("send", Phase.OUTCOME, result="not-started"),
        record("send-started", Phase.NOTE, joined=True),
        record("settle", Phase.INTENT),
        record("settle", Phase.OUTCOME, result="failed"),
        record("dry-run", Phase.NOTE),
        record("close", Phase.INTENT),
    ],
)
def test_nobody_is_bothered_with_the_rest(made: Record) -> None:
    assert tidings(made, ("ops",)) == ()


def test_a_notification_that_lacks_something_is_named_by_the_configuration() -> None:
    table = "[environments.prod.blasthost.b]\nssh = 'b'\n[environments.prod.notify.{}]\n{}\n"
    for name, text, says in (
        ("ops", "kind = 'webhook'", "kind 'webhook' needs the key 'url'"),
        ("ops", "kind = 'email'\nhost = 'mail.example.com'\nto = ['a@example.com']", "needs the key 'sender'"),
        ("ops", "kind = 'pigeon'", "must be one of"),
        ('"a b"', "kind = 'webhook'\nurl = { env = 'HOOK' }", "can't name a notification"),
        ("ops", "kind = 'webhook'\nurl = { env = 'HOOK' }\ntimeout = 'soon'", "not a span of time"),
    ):
        with pytest.raises(ConfigError, match=says):
            parse(table.format(name, text), "config.toml")
    assert parse(table.format("ops", "kind = 'webhook'\nurl = { env = 'HOOK' }"), "c").environments["prod"].notify
