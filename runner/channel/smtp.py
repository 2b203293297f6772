"""Mails to one mail server over one connection at a time: opened, used, given back.

aiosmtplib opens it: STARTTLS, EHLO, login (`opening`). From then on the transport belongs to a protocol of our own
(`pipelining`), since aiosmtplib can't write a command before the last one's reply, and raises the same error for a
connection lost before and after the closing dot. QUIT is ours too: aiosmtplib is never put back.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Protocol

from runner.channel.opening import ERRORS, Opening, unreachable
from runner.channel.pipelining import IDLE, QUIT_SECONDS, Pipe
from runner.channel.port import Kind, Message, Outcome
from runner.settings import Smtp

_PATH = re.compile(r"[\x21-\x3b=\x3f-\x7e]+").fullmatch  # printable ASCII without space and angle brackets
_END = b"\r\n.\r\n"


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
    """One connection at a time, opened when needed, given back after `per_connection` messages (fewer where the
    account's limits say so) or `idle_seconds` without one. `pipelining=False` never sends a command before the last
    one's answer."""

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
        self._chains = True  # may a message follow another before its answer?

    def use(self, smtp: Smtp) -> None:
        """The account from the next message on."""
        self._smtp = smtp

    def deliver(self, mail: SmtpMail, begin: Callable[[], None]) -> Awaitable[Outcome]:
        """As port.Wire has it. Raises ValueError when the message isn't fit for the wire; nothing was sent then."""
        _check(mail)
        if (pipe := self._idle()) and not 0 < self._size < mail.size:
            return pipe.send(mail.sender, mail.recipient, mail.data, begin)  # no coroutine of ours between the two
        return self._deliver(mail, begin)

    @property
    def follow(self) -> Callable[[SmtpMail, Callable[[], None]], Awaitable[Outcome]] | None:
        """As port.Wire has it. Not any more once a connection ended over it: a server that forgets what came early,
        forbids it or refuses bodies would cost a connection each time."""
        pipe = self._pipe
        if pipe is None or not pipe.may_follow or not self._chains or self._account is not self._smtp:
            return None
        return self._follow

    def _follow(self, mail: SmtpMail, begin: Callable[[], None]) -> Awaitable[Outcome]:
        _check(mail)
        assert self._pipe is not None
        if 0 < self._size < mail.size:
            return self._too_large(mail)
        return self._pipe.send(mail.sender, mail.recipient, mail.data, begin)

    async def _too_large(self, mail: SmtpMail) -> Outcome:
        return Outcome(Kind.FAILED, 552, f"the message has {mail.size} bytes, the server takes {self._size}")

    async def _deliver(self, mail: SmtpMail, begin: Callable[[], None]) -> Outcome:
        """Where a connection has to be opened first, or the message is too large for its server."""
        pipe = self._idle() or await self._open()
        if isinstance(pipe, Outcome):
            return pipe
        if 0 < self._size < mail.size:
            return await self._too_large(mail)
        return await pipe.send(mail.sender, mail.recipient, mail.data, begin)

    def _idle(self) -> Pipe | None:
        """The connection there is, when it can take a message."""
        pipe = self._pipe
        return pipe if pipe is not None and pipe.phase == IDLE and self._account is self._smtp else None

    def sweep(self, clock: float) -> None:
        """As port.Wire has it."""
        if self._pipe is not None:
            self._pipe.sweep(clock)

    async def close(self) -> None:
        """As port.Wire has it."""
        pipe, self._pipe = self._pipe, None
        if pipe is None:
            return
        if pipe.broke:
            self._chains = False
        if pipe.busy:  # whoever waited for the answer was cancelled
            pipe.drop("given up")
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
            opened.transport,
            pipelining=opened.pipelining and self._pipelining,
            most=min(self._per_connection, smtp.limits.per_connection or self._per_connection),
            idle_seconds=self._idle_seconds,
        )
        self._account, self._size = smtp, opened.size
        return pipe


def _check(mail: SmtpMail) -> None:
    if not (_PATH(mail.sender) and _PATH(mail.recipient)):
        raise ValueError("an address that would break the envelope")
    if not mail.data.endswith(_END):
        # a dot before that is the composer's to keep out: looking costs as much as sending
        raise ValueError("a message without its end")
