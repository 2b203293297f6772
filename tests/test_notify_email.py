"""Telling people by mail: the words, the codes, and that a password goes out under TLS only."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from backends.notify import Email, notifier
from opsconsole.ports import OutOfReach, Refused
from opsconsole.settings import Notify, SecretFrom
from tests.test_notify import ENDED, MAC


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
