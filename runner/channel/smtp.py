"""One connection to the mail server: hands over one mail at a time and says what became of it.

aiosmtplib does the connection, STARTTLS, AUTH and the commands. Its data() can't be used: it raises the same
error for a connection lost before and after the closing dot, and there is no moment between 354 and the body
for the journal. So DATA goes out as a command and the body through the public write() and read_response() of
`client.protocol`, the next lower public layer.
"""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

import aiosmtplib

from runner.channel.port import Kind, Outcome, ServerRefusesUs
from runner.settings import Smtp

COMMAND_SECONDS = 60.0
BODY_SECONDS = 600.0  # RFC 5321 4.5.3.2.6
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


def _our_name() -> str:
    """The name for EHLO, without asking DNS."""
    name = socket.gethostname()
    return name if name.isascii() and name.replace("-", "").replace(".", "").isalnum() else "localhost"


def _name(error: BaseException) -> str:
    return type(error).__name__


def _reason(error: BaseException) -> str:
    return f"{_name(error)}: {error}"[:200]
