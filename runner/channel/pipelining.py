"""The talk about one message at a time on an open, greeted and logged-in connection.

With PIPELINING, MAIL, RCPT and DATA go out in one write; without it, one after the other. Replies are counted off
in order; what comes out of turn ends the connection, so that no reply is ever taken for the next one's. The body
follows 354 at once, from inside the callback, and there is one future for each message and no timer: `sweep` finds
what has waited for too long.

What a break means: before the closing dot nothing was sent (LOST), after it only the server knows (UNKNOWN). Of a
large message the dot is held back until everything before it has left our memory, so that a server that stops
reading leaves no doubt.
"""

import asyncio
import re
from collections.abc import Callable

from runner.channel.port import Kind, Outcome, ServerRefusesUs
from runner.channel.replies import Garbage, Replies, Reply

ENVELOPE_SECONDS = 60.0
BODY_SECONDS = 600.0  # RFC 5321 4.5.3.2.6
QUIT_SECONDS = 5.0
DOT = b".\r\n"
_HELD_FROM = 65536  # bytes from which the dot waits for the rest to have left
_WANTS_LOGIN = (530, 535)
_GRANTED = re.compile(rb"2\d\d [^\n]{0,500}\n2\d\d [^\n]{0,500}\n354 [^\n]{0,500}\n").fullmatch

# A pipe's phase. ENVELOPE: RSET, MAIL, RCPT, DATA; BODY: 354 came, the message goes out; NOBODY: 354 came although
# the recipient was refused, a lone dot goes out. Plain numbers: an enum's member takes six times as long to read.
IDLE, ENVELOPE, BODY, NOBODY, QUIT, GONE = range(6)
_RSET, _MAIL, _RCPT, _DATA = range(4)
_COMMANDS = (b"RSET\r\n", b"", b"", b"DATA\r\n")


class Pipe(asyncio.Protocol):
    """Takes over a connection whose server waits for RSET or MAIL. One message at a time.

    `gone` is done when the connection has ended. After `most` messages it ends by itself.
    """

    def __init__(self, transport: asyncio.Transport, *, pipelining: bool, most: int, idle_seconds: float) -> None:
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.phase = IDLE
        self._count = 0  # messages begun
        self._most = most
        self._loop = self.gone.get_loop()
        self._transport = transport
        self._pipelining = pipelining
        self._limits = (idle_seconds, ENVELOPE_SECONDS, BODY_SECONDS, ENVELOPE_SECONDS, QUIT_SECONDS, 0.0)
        self._replies = Replies()
        self._seen = (-1, IDLE, 0.0)  # count, phase and clock of the first sweep that saw these two
        self._waiter: asyncio.Future[Outcome] | None = None
        self._begin: Callable[[], None] = lambda: None
        self._body = b""
        self._envelope: tuple[bytes, ...] = ()
        self._stage = _MAIL  # the command whose reply is next
        self._refused: tuple[int, Reply] | None = None  # the stage and reply of the first refusal
        self._dirty = False  # the server may still hold an envelope of ours
        self._full = False  # the transport has bytes that the system didn't take yet
        self._dot_left = False
        transport.set_write_buffer_limits(high=0)
        transport.set_protocol(self)

    # -- what the wire asks

    @property
    def busy(self) -> bool:
        """A message is on its way."""
        return self.phase in (ENVELOPE, BODY, NOBODY)

    def send(
        self, sender: str, recipient: str, body: bytes, begin: Callable[[], None]
    ) -> "asyncio.Future[Outcome]":
        """Hand over one message; both addresses are checked ASCII, `body` ends with the dot. Only when idle.

        The future ends with an outcome, with ServerRefusesUs, or with what `begin` raised. It is never cancelled
        from here; whoever cancels it gives up the connection.
        """
        assert self.phase == IDLE
        self._count += 1
        self._waiter = waiter = self._loop.create_future()
        self._begin, self._body = begin, body
        self._refused = None
        mail, rcpt = f"MAIL FROM:<{sender}>\r\n", f"RCPT TO:<{recipient}>\r\n"
        self._stage = _RSET if self._dirty else _MAIL
        self._dirty = True
        self.phase = ENVELOPE
        if self._pipelining:
            text = f"RSET\r\n{mail}{rcpt}DATA\r\n" if self._stage == _RSET else f"{mail}{rcpt}DATA\r\n"
            self._transport.write(text.encode("ascii"))
        else:
            self._envelope = (_COMMANDS[_RSET], mail.encode("ascii"), rcpt.encode("ascii"), _COMMANDS[_DATA])
            self._transport.write(self._envelope[self._stage])
        return waiter

    def sweep(self, clock: float) -> None:
        """End what has waited for too long; `clock` is monotonic, in seconds."""
        if self._seen[:2] != (self._count, self.phase):
            self._seen = (self._count, self.phase, clock)
        elif clock - self._seen[2] > (limit := self._limits[self.phase]) and self.phase != GONE:
            if self.phase == IDLE:
                self.quit()
            else:
                self.drop(f"no answer within {limit:.0f} s")

    def quit(self) -> None:
        """Say goodbye if nothing is going on; `gone` is done once the server has answered."""
        if self.phase == IDLE:
            self.phase = QUIT
            self._transport.write(b"QUIT\r\n")

    def drop(self, why: str) -> None:
        """End the connection at once; a message on its way ends with what can be told of it."""
        if self.phase == GONE:
            return
        phase = self.phase
        self.phase = GONE
        self._transport.abort()
        if phase == ENVELOPE and self._refused is None:
            self._settle(Outcome(Kind.LOST, 0, f"the connection was lost before the message: {why}"))
        elif phase in (ENVELOPE, NOBODY):
            self._settle(self._refusal())
        elif phase == BODY and not self._dot_left:
            self._settle(Outcome(Kind.LOST, 0, f"the connection was lost before the end of the message: {why}"))
        elif phase == BODY:
            self._settle(Outcome(Kind.UNKNOWN, 0, f"no clear answer after the message: {why}"))

    # -- what the transport tells

    def data_received(self, data: bytes) -> None:
        asked = self.phase == ENVELOPE and self._stage == _MAIL and self._pipelining and not self._replies.halfway
        if asked and _GRANTED(data):
            self._give()  # nearly always: all that was asked for, in one piece
            return
        try:
            replies = self._replies.feed(data)
        except Garbage as error:
            self._garbage(str(error))
            return
        left = len(replies)
        for reply in replies:
            left -= 1
            if self.phase == ENVELOPE:
                self._envelope_reply(reply, last=not left and not self._replies.halfway)
            elif self.phase == BODY:
                self._body_reply(reply)
            elif self.phase == NOBODY:
                self._nobody_reply(reply)
            elif self.phase == QUIT:
                self.phase = GONE
                self._transport.close()
            elif self.phase == IDLE:  # nobody asked: a 421, or replies are out of step
                self.drop("an answer that nobody asked for")

    def eof_received(self) -> None:
        self.drop("the server closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        self.drop(f"{type(exc).__name__}" if exc else "closed")
        if not self.gone.done():
            self.gone.set_result(None)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        if self.phase == BODY and not self._dot_left:
            self._dot_left = True
            self._transport.write(DOT)

    # -- one message

    def _envelope_reply(self, reply: Reply, last: bool) -> None:
        stage, code = self._stage, reply.code
        if code < 300 and stage != _DATA:
            self._next()
        elif code == 354 and stage == _DATA:
            if self._refused is not None:
                self.phase = NOBODY
                self._transport.write(DOT)
            elif last:
                self._give()
            else:
                self._garbage("an answer to the message before the message")
        elif code < 400:
            self._garbage(f"{code} in answer to {('RSET', 'MAIL', 'RCPT', 'DATA')[stage]}")
        elif self._refused is None and _closing(stage, reply):
            self._end(Outcome(Kind.LOST, code, reply.text))
        else:
            self._refused = self._refused or (stage, reply)
            if code == 421:
                self.drop("421")
            elif stage == _DATA or not self._pipelining:
                self._settle_refused()
            else:
                self._next()

    def _next(self) -> None:
        self._stage += 1
        if not self._pipelining:
            self._transport.write(self._envelope[self._stage])

    def _give(self) -> None:
        """354 came: mark the message as begun and hand it over."""
        try:
            self._begin()
        except BaseException as error:
            waiter, self._waiter = self._waiter, None
            self.drop("given up")
            if waiter is not None and not waiter.done():
                waiter.set_exception(error)
            return
        body, self._body = self._body, b""
        self.phase = BODY
        if len(body) < _HELD_FROM:
            self._dot_left = True
            self._transport.write(body)
            return
        self._dot_left = False
        self._transport.write(memoryview(body)[: -len(DOT)])
        if not self._full:
            self.resume_writing()

    def _body_reply(self, reply: Reply) -> None:
        code = reply.code
        if code >= 400:
            outcome = Outcome(Kind.DEFERRED if code < 500 else Kind.FAILED, code, reply.text)
            if code == 421 or not self._dot_left:
                self._end(outcome)
            else:
                self._settle(outcome)
        elif code < 300 and self._dot_left:
            self._dirty = False
            self._settle(Outcome(Kind.ACCEPTED, code, reply.text))
        else:
            self._garbage(f"{code} in answer to the message")

    def _nobody_reply(self, reply: Reply) -> None:
        if reply.code < 400 or reply.code == 421:  # it took an empty message for nobody: not one to go on with
            self.drop("an odd server")
        else:
            self._settle_refused()

    def _refusal(self) -> Outcome:
        assert self._refused is not None
        stage, reply = self._refused
        for_good = Kind.FAILED if stage == _RCPT else Kind.SENDER_REFUSED
        kind = Kind.DEFERRED if reply.code < 500 else for_good
        return Outcome(kind, reply.code, reply.text)

    def _settle_refused(self) -> None:
        outcome = self._refusal()
        if outcome.code not in _WANTS_LOGIN:
            self._settle(outcome)
            return
        waiter, self._waiter = self._waiter, None
        self.drop("another login is wanted")
        if waiter is not None and not waiter.done():
            waiter.set_exception(
                ServerRefusesUs(f"the mail server wants another login: {outcome.code} {outcome.text}")
            )

    def _garbage(self, why: str) -> None:
        """Replies are out of step: what was refused before can't be trusted either."""
        self._refused = None if self.phase == ENVELOPE else self._refused
        self.drop(why)

    def _end(self, outcome: Outcome) -> None:
        """The message's outcome, and the end of the connection."""
        self.phase = GONE
        self._transport.abort()
        self._settle(outcome)

    def _settle(self, outcome: Outcome) -> None:
        waiter, self._waiter = self._waiter, None
        self._body = b""
        if self.phase != GONE:
            self.phase = IDLE
            if self._count >= self._most:
                self.quit()
        if waiter is None:
            return
        if waiter.done():
            self.drop("given up")
        else:
            waiter.set_result(outcome)


def _closing(stage: int, reply: Reply) -> bool:
    """The server says goodbye and means no message: 421, or the time-out some put as 451 4.4.2."""
    return reply.code == 421 or (stage == _MAIL and reply.raw.startswith(b"4.4.2")) or stage == _RSET
