"""A connection to the mail server, made ready for the first message: TCP, TLS, EHLO and login are aiosmtplib's."""

import asyncio
import errno
import functools
import os
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import aiosmtplib

from runner.channel.port import Kind, Outcome, ServerRefusesUs
from runner.settings import Smtp

COMMAND_SECONDS = 60.0
_ADDRESS_SECONDS = 5.0  # for each address of the host but the last: one family is often a dead end
ERRORS = (aiosmtplib.SMTPException, OSError, UnicodeError)  # UnicodeError: a host name that is none


@dataclass(frozen=True, slots=True)
class Opened:
    """`size` is the largest message the server takes, 0 when it doesn't say."""

    transport: asyncio.Transport
    pipelining: bool
    size: int


class Opening:
    """One attempt to connect; `abort` may be called beside it."""

    def __init__(self, smtp: Smtp) -> None:
        self._smtp = smtp
        self._client: aiosmtplib.SMTP | None = None
        self._sock: socket.socket | None = None
        self._aborted = False

    async def open(self) -> Opened:
        """Connect, greet, log in. Raises one of ERRORS, which `unreachable` puts into words."""
        self._check()
        self._sock = sock = await _dial(self._smtp.host, self._smtp.port)
        self._client = client = aiosmtplib.SMTP(
            hostname=self._smtp.host,
            sock=sock,
            username=self._smtp.username,
            password=self._smtp.password,
            oauth_token_generator=self._token if self._smtp.token_file else None,
            use_tls=self._smtp.tls == "tls",
            start_tls=self._smtp.tls == "starttls",
            tls_context=trust() if self._smtp.tls != "none" else None,
            local_hostname=_our_name(),
            timeout=COMMAND_SECONDS,
        )
        try:
            self._check()
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                await _greet(client)
            self._check()
            if (transport := client.transport) is None or transport.is_closing():
                raise ConnectionAbortedError("the connection ended right after the greeting")
        except BaseException:
            client.close()
            sock.close()
            raise
        limit = client.esmtp_extensions.get("size", "")
        size = int(limit) if limit.isascii() and limit.isdecimal() else 0
        return Opened(cast(asyncio.Transport, transport), client.supports_extension("pipelining"), size)

    async def _token(self) -> str:
        """Read anew for each connection: whoever keeps it fresh replaces the file about once an hour."""
        assert self._smtp.token_file is not None
        try:
            return self._smtp.token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeError) as error:
            raise ServerRefusesUs(f"{self._smtp.token_file} can't be read: {type(error).__name__}") from None

    def _check(self) -> None:
        if self._aborted:
            raise ConnectionAbortedError("the connection was given up")

    async def quit(self) -> None:
        """Say goodbye, where nobody took the transport over."""
        if (client := self._client) is not None:
            with suppress(*ERRORS):
                await client.quit(timeout=5)
            client.close()

    def abort(self) -> None:
        """End the attempt: it raises soon, at the latest when the address it tries has had its time."""
        self._aborted = True
        if self._sock is not None:
            with suppress(OSError):  # it may have ended by itself
                # not the client's close(), which does nothing until its connection is made
                self._sock.shutdown(socket.SHUT_RDWR)


def unreachable(smtp: Smtp, error: BaseException) -> Outcome:
    """Why there is no connection. Raises ServerRefusesUs when trying again can't help."""
    code = error.code if isinstance(error, aiosmtplib.SMTPResponseException) else 0
    causes = (error, error.__cause__, error.__context__)
    # A handshake that just ended is a server that went away; what else TLS complains of stays as it is.
    cut = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
    for cause in causes:
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, cut):
            raise ServerRefusesUs(f"TLS with {smtp.host}:{smtp.port} failed: {_tls_fault(cause)}") from None
    if type(error) in (aiosmtplib.SMTPException, aiosmtplib.SMTPNotSupported):  # no STARTTLS, no AUTH
        raise ServerRefusesUs(f"{smtp.host} doesn't offer what is configured: {error}") from None
    if isinstance(error, aiosmtplib.SMTPAuthenticationError) and code >= 500:
        raise ServerRefusesUs(
            f"the mail server refused the login: {code}. Mend the account in the credentials file"
        ) from None
    if code in (530, 535):
        raise ServerRefusesUs(f"the mail server wants another login: {code}") from None
    if code >= 500 and not isinstance(error, aiosmtplib.SMTPConnectResponseError):  # EHLO, STARTTLS
        raise ServerRefusesUs(f"{smtp.host} refused us: {_reason(error)}") from None
    return Outcome(Kind.UNREACHABLE, max(code, 0), f"{smtp.host}:{smtp.port}: {_reason(error)}")


@functools.cache
def trust() -> ssl.SSLContext:
    """The system's certificates (or SSL_CERT_FILE's), read once: for each connection it would cost 10 ms."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


async def _greet(client: aiosmtplib.SMTP) -> None:
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError:
        if not client.is_connected:
            raise
        await client.helo()


async def _dial(host: str, port: int) -> socket.socket:
    """A connected socket to the first of the host's addresses that answers; neither event loop's own way to connect
    goes on to the next one before the system gives the first up, after minutes."""
    loop = asyncio.get_running_loop()
    found = sorted(await _resolve(host, port), key=lambda info: info[4] in _dead_ends)
    for last, (family, kind, proto, _, address) in enumerate(found, 1 - len(found)):
        sock = socket.socket(family, kind, proto)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(COMMAND_SECONDS if last == 0 else _ADDRESS_SECONDS):
                await loop.sock_connect(sock, address)
        except BaseException as error:
            sock.close()
            if last == 0 or not isinstance(error, OSError):
                raise
            _dead_ends.add(address)
        else:
            return sock
    raise OSError(f"{host} has no address")


async def _resolve(host: str, port: int) -> list[tuple[Any, ...]]:
    return list(await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM))


_dead_ends: set[object] = set()  # addresses that didn't answer while others of their host did: tried last


def _our_name() -> str:
    """The name for EHLO, without asking DNS."""
    name = socket.gethostname()
    return name if name.isascii() and name.replace("-", "").replace(".", "").isalnum() else "localhost"


def _tls_fault(error: ssl.SSLError) -> str:
    if error.reason == "WRONG_VERSION_NUMBER":
        return "what answers there doesn't begin with TLS; perhaps tls should be starttls, or the port another"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate isn't accepted: {error.verify_message}"
    return str(error)[:200]


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH):
        return os.strerror(error.errno)  # without the loop's words around it, which name address and port again
    return f"{type(error).__name__}: {error}"[:200]
