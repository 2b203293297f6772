"""One connection to the mail server: hands over one mail at a time and says what became of it.

aiosmtplib does the connection, STARTTLS, AUTH and the commands. Its data() can't be used: it raises the same
error for a connection lost before and after the closing dot, and there is no moment between 354 and the body
for the journal. So DATA goes out as a command and the body through the public write() and read_response() of
`client.protocol`, the next lower public layer.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import aiosmtplib

from runner.channel.opening import ERRORS, Opening, unreachable
from runner.channel.pipelining import QUIT_SECONDS, Phase, Pipe
from runner.channel.port import Kind, Message, Outcome, ServerRefusesUs
from runner.settings import Smtp

COMMAND_SECONDS = 60.0
BODY_SECONDS = 600.0  # RFC 5321 4.5.3.2.6
_PATH = re.compile(r"[\x21-\x3b=\x3f-\x7e]+")  # printable ASCII without space and angle brackets
_END = b"\r\n.\r\n"
_ERRORS = (aiosmtplib.SMTPException, OSError)  # TimeoutError is an OSError


class Wire:
    """Owns one client; connects when needed. One task at a time."""

    def __init__(self, smtp: Smtp) -> None:
        self._smtp = smtp
        self._client: aiosmtplib.SMTP | None = None

    async def deliver(self, sender: str, recipient: str, body: bytes, begin: Callable[[], None]) -> Outcome:
        """Hand over one mail; both addresses are strict ASCII, `body` is dot-stuffed and ends with the dot.

        `begin` is called after 354 and before the first byte of the body; when it raises, nothing was sent.
        Raises ServerRefusesUs.
        """
        try:
            client = await self._connected()
        except _ERRORS as error:
            self.abort()
            return self._unreachable(error)
        try:
            refused = await self._envelope(client, sender, recipient, len(body))
        except _ERRORS as error:
            self.abort()
            return Outcome(Kind.LOST, 0, f"the connection was lost before the message: {_name(error)}")
        if refused is not None:
            return refused
        protocol = client.protocol
        if self._client is not client or protocol is None or not protocol.is_connected:
            self.abort()
            return Outcome(Kind.LOST, 0, "the connection was lost before the message")
        try:
            begin()
        except BaseException:
            self.abort()
            raise
        try:
            protocol.write(body)
            reply = await protocol.read_response(timeout=BODY_SECONDS)
        except _ERRORS as error:
            self.abort()
            return Outcome(Kind.UNKNOWN, 0, f"no answer after the message: {_name(error)}")
        if reply.code == 421:
            self.abort()
        kinds = {2: Kind.ACCEPTED, 4: Kind.DEFERRED, 5: Kind.FAILED}
        kind = kinds.get(reply.code // 100, Kind.UNKNOWN)
        if kind is Kind.UNKNOWN:
            self.abort()
        return Outcome(kind, reply.code, reply.message)

    async def close(self) -> None:
        """Say goodbye if there is somebody to say it to."""
        client, self._client = self._client, None
        if client is not None and client.is_connected:
            with suppress(*_ERRORS):
                await client.quit(timeout=5)
        if client is not None:
            client.close()

    def abort(self) -> None:
        """Drop the connection at once; a delivery that waits for an answer gets an error."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    async def _envelope(self, client: aiosmtplib.SMTP, sender: str, recipient: str, size: int) -> Outcome | None:
        """MAIL, RCPT and DATA up to 354; None when the body may follow."""
        limit = client.esmtp_extensions.get("size", "")
        if limit.isdecimal() and 0 < int(limit) < size:
            return Outcome(Kind.FAILED, 552, f"the message has {size} bytes, the server takes {limit}")
        try:
            await client.mail(sender)
        except aiosmtplib.SMTPSenderRefused as error:
            return await self._refused(client, error, Kind.SENDER_REFUSED)
        try:
            await client.rcpt(recipient)
        except aiosmtplib.SMTPRecipientRefused as error:
            return await self._refused(client, error, Kind.FAILED)
        reply = await client.execute_command(b"DATA")
        if reply.code == 354:
            return None
        refusal = aiosmtplib.SMTPResponseException(reply.code, reply.message)
        return await self._refused(client, refusal, Kind.SENDER_REFUSED)

    async def _refused(
        self, client: aiosmtplib.SMTP, error: aiosmtplib.SMTPResponseException, for_good: Kind
    ) -> Outcome:
        """A refusal before the body; the connection is made ready for the next mail."""
        code = error.code
        if code in (530, 535):
            self.abort()
            raise ServerRefusesUs(f"the mail server wants another login: {code} {error.message}")
        if code == 421 or not 400 <= code <= 599:
            self.abort()
            return Outcome(Kind.LOST, code, error.message)
        try:
            await client.rset()
        except _ERRORS:
            self.abort()
        return Outcome(Kind.DEFERRED if code < 500 else for_good, code, error.message)

    async def _connected(self) -> aiosmtplib.SMTP:
        if self._client is not None and self._client.is_connected:
            return self._client
        self.abort()
        self._client = client = aiosmtplib.SMTP(
            hostname=self._smtp.host,
            port=self._smtp.port,
            username=self._smtp.username,
            password=self._smtp.password,
            use_tls=self._smtp.tls == "tls",
            start_tls=self._smtp.tls == "starttls",
            local_hostname=_our_name(),
            timeout=COMMAND_SECONDS,
        )
        await client.connect()
        if self._client is not client:  # aborted meanwhile
            client.close()
            raise ConnectionAbortedError("the connection was given up")
        return client

    def _unreachable(self, error: BaseException) -> Outcome:
        """Why there is no connection: raises when trying again can't help."""
        code = error.code if isinstance(error, aiosmtplib.SMTPResponseException) else 0
        causes = (error, error.__cause__, error.__context__)
        if any(isinstance(cause, ssl.SSLError) for cause in causes):
            raise ServerRefusesUs(f"TLS with {self._smtp.host} failed: {_reason(error)}") from None
        if isinstance(error, aiosmtplib.SMTPNotSupported):
            raise ServerRefusesUs(f"{self._smtp.host} doesn't offer what is configured: {error}") from None
        if isinstance(error, aiosmtplib.SMTPAuthenticationError) and not 400 <= code < 500:
            raise ServerRefusesUs(f"the mail server refused the login: {code}") from None
        if code in (530, 535):
            raise ServerRefusesUs(f"the mail server wants another login: {code}") from None
        return Outcome(Kind.UNREACHABLE, code, f"{self._smtp.host}:{self._smtp.port}: {_reason(error)}")


class SmtpMail(Message, Protocol):
    """A message with its envelope; both addresses are strict ASCII."""

    @property
    def sender(self) -> str: ...

    @property
    def recipient(self) -> str: ...

    @property
    def data(self) -> bytes:
        """What follows 354: CRLF, dot-safe, the closing dot included."""


class SmtpWire:
    """One connection at a time, opened when needed, given back after `per_connection` messages or `idle_seconds`
    without one. `pipelining=False` never sends a command before the last one's answer."""

    def __init__(
        self, smtp: Smtp, *, pipelining: bool = True, per_connection: int = 100, idle_seconds: float = 20.0
    ) -> None:
        self._smtp = smtp
        self._pipelining = pipelining
        self._per_connection = per_connection
        self._idle_seconds = idle_seconds
        self._pipe: Pipe | None = None
        self._account: Smtp | None = None  # the pipe's
        self._size = 0  # the largest message its server takes; 0: any
        self._opening: Opening | None = None

    def use(self, smtp: Smtp) -> None:
        """The account from the next message on."""
        self._smtp = smtp

    async def deliver(self, mail: SmtpMail, begin: Callable[[], None]) -> Outcome:
        """As port.Wire has it. Raises ValueError when the message isn't fit for the wire; nothing was sent then."""
        data = mail.data
        if not (_PATH.fullmatch(mail.sender) and _PATH.fullmatch(mail.recipient)):
            raise ValueError("an address that would break the envelope")
        if data.find(_END) != len(data) - len(_END):
            raise ValueError("a message that doesn't end where it ends")
        pipe = self._pipe
        if pipe is None or pipe.phase is not Phase.IDLE or self._account is not self._smtp:
            opened = await self._open()
            if isinstance(opened, Outcome):
                return opened
            pipe = opened
        if 0 < self._size < mail.size:
            return Outcome(Kind.FAILED, 552, f"the message has {mail.size} bytes, the server takes {self._size}")
        try:
            return await pipe.send(mail.sender, mail.recipient, data, begin)
        except asyncio.CancelledError:
            pipe.drop("given up")
            raise
        finally:
            if pipe.count >= self._per_connection:
                pipe.quit()

    def sweep(self, clock: float) -> None:
        """As port.Wire has it."""
        if self._pipe is not None:
            self._pipe.sweep(clock)

    async def close(self) -> None:
        """As port.Wire has it."""
        pipe, self._pipe = self._pipe, None
        if pipe is None:
            return
        pipe.quit()
        await asyncio.wait([pipe.gone], timeout=QUIT_SECONDS)
        pipe.drop("closing")

    def abort(self) -> None:
        """As port.Wire has it."""
        if self._opening is not None:
            self._opening.abort()
        if self._pipe is not None:
            self._pipe.drop("given up")

    async def _open(self) -> Pipe | Outcome:
        """A new connection, once the old one has ended: a server may count both."""
        self._opening = opening = Opening(smtp := self._smtp)
        try:
            await self.close()
            opened = await opening.open()
        except ERRORS as error:
            return unreachable(smtp, error)
        finally:
            self._opening = None
        self._pipe = pipe = Pipe(
            opened.transport, pipelining=opened.pipelining and self._pipelining, idle_seconds=self._idle_seconds
        )
        self._account, self._size = smtp, opened.size
        return pipe


def _our_name() -> str:
    """The name for EHLO, without asking DNS."""
    name = socket.gethostname()
    return name if name.isascii() and name.replace("-", "").replace(".", "").isalnum() else "localhost"


def _name(error: BaseException) -> str:
    return type(error).__name__


def _reason(error: BaseException) -> str:
    return f"{_name(error)}: {error}"[:200]
