"""The talk about one message at a time on an open, greeted and logged-in connection.

With PIPELINING, MAIL, RCPT and DATA go out in one write; without it, one after the other. Replies are counted off
in order; what comes out of turn ends the connection, so that no reply is ever taken for the next one's. There is
one future for each message and no timer: `sweep` finds what has waited for too long.

A message may follow the one before without waiting for its answer: its envelope leaves in one write with the body
before (RFC 2920 3.1 lets a message be the first of a group), so that each message costs one round trip and not two.
Its own body leaves after that answer, and after whoever waited for it had their turn of the loop: so the one before
is written down first, and a connection never has two messages of which only the server knows. A server that refuses
the body before might still hold its envelope, so what followed isn't given to it; one that says no to MAIL may mean
its being early. Both are LOST, and tell by `broke` that none should follow again.

What a break means: before the closing dot nothing was sent (LOST), after it only the server knows (UNKNOWN). Of a
large message the dot is held back until everything before it has left our memory, so that a server that stops
reading leaves no doubt.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass

from runner.channel.port import Kind, Outcome, ServerRefusesUs
from runner.channel.replies import Garbage, Replies, Reply

ENVELOPE_SECONDS = 60.0
BODY_SECONDS = 600.0  # RFC 5321 4.5.3.2.6
QUIT_SECONDS = 5.0
DOT = b".\r\n"
_HELD_FROM = 65536  # bytes from which the dot waits for the rest to have left
_WANTS_LOGIN = (530, 535)
_LINE = rb" [^\n]{0,500}\n"
_GRANT = rb"2\d\d%b2\d\d%b354%b" % (_LINE, _LINE, _LINE)
_GRANTED = re.compile(_GRANT).fullmatch
_TURNED = re.compile(rb"(2\d\d) ([^\n]{0,500})\n" + _GRANT).fullmatch  # accepted, and granted to what followed

# A pipe's phase. ENVELOPE: RSET, MAIL, RCPT, DATA; GRANTED: 354 came; BODY: the message goes out; NOBODY: 354 came
# although the recipient was refused, a lone dot goes out. Plain numbers: an enum's member takes six times as long.
IDLE, ENVELOPE, GRANTED, BODY, NOBODY, QUIT, GONE = range(7)
_RSET, _MAIL, _RCPT, _DATA = range(4)


@dataclass(slots=True)
class _Mail:
    """One message, and whoever waits for what becomes of it."""

    envelope: str  # MAIL and RCPT
    body: bytes
    begin: Callable[[], None]
    waiter: "asyncio.Future[Outcome]"


class Pipe(asyncio.Protocol):
    """Takes over a connection whose server waits for RSET or MAIL. One message at a time, and one that follows.

    `gone` is done when the connection has ended, `broke` tells that it did over a message that followed. After
    `most` messages it ends by itself.
    """

    def __init__(self, transport: asyncio.Transport, *, pipelining: bool, most: int, idle_seconds: float) -> None:
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.phase = IDLE
        self.broke = False
        self._count = 0  # messages whose envelope was its server's turn
        self._most = most
        self._loop = self.gone.get_loop()
        self._transport = transport
        self._pipelining = pipelining
        envelope, body = ENVELOPE_SECONDS, BODY_SECONDS
        self._limits = (idle_seconds, envelope, envelope, body, envelope, QUIT_SECONDS, 0.0)
        self._replies = Replies()
        self._seen = (-1, IDLE, 0.0)  # count, phase and clock of the first sweep that saw these two
        self._mail: _Mail | None = None
        self._ahead: _Mail | None = None  # the one that follows
        self._ahead_left = False  # its envelope left with the body before
        self._followed = False  # the message whose turn it is did so
        self._commands: tuple[bytes, ...] = ()
        self._stage = _MAIL  # the command whose reply is next
        self._refused: tuple[int, Reply] | None = None  # the stage and reply of the first refusal
        self._dirty = False  # the server may still hold an envelope of ours
        self._full = False  # the transport has bytes that the system didn't take yet
        self._dot_left = False
        # Any byte is too many. TLS counts from its limit on, so at 0 it would be full when it is empty.
        transport.set_write_buffer_limits(high=1 if transport.get_extra_info("sslcontext") else 0)
        transport.set_protocol(self)

    # -- what the wire asks

    @property
    def busy(self) -> bool:
        """A message is on its way."""
        return self.phase in (ENVELOPE, GRANTED, BODY, NOBODY)

    @property
    def may_follow(self) -> bool:
        """May another message be given now, to go right after the one whose body is to leave next?"""
        return (
            self._ahead is None
            and (self.phase == ENVELOPE or self.phase == GRANTED)
            and self._pipelining
            and self._count < self._most
        )

    def send(
        self, sender: str, recipient: str, body: bytes, begin: Callable[[], None]
    ) -> "asyncio.Future[Outcome]":
        """Hand over one message; both addresses are checked ASCII, `body` ends with the dot. Only when idle, or
        when it may follow.

        The future ends with an outcome, with ServerRefusesUs, or with what `begin` raised. It is never cancelled
        from here; whoever cancels it gives up the connection.
        """
        envelope = f"MAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\n"
        mail = _Mail(envelope, body, begin, self._loop.create_future())
        if self.phase == IDLE:
            self._start(mail)
        else:
            assert self.may_follow
            self._ahead, self._ahead_left = mail, False
        return mail.waiter

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
        self.broke = phase == ENVELOPE and self._unwelcome
        self._transport.abort()
        if phase == ENVELOPE and self._refused is None:
            self._settle(_lost(why))
        elif phase in (ENVELOPE, NOBODY):
            self._settle(self._refusal())
        elif phase == GRANTED:
            self._settle(_lost(why))
        elif phase == BODY and not self._dot_left:
            self._settle(Outcome(Kind.LOST, 0, f"the connection was lost before the end of the message: {why}"))
        elif phase == BODY:
            self._settle(Outcome(Kind.UNKNOWN, 0, f"no clear answer after the message: {why}"))
        self._lose_ahead(why)

    # -- what the transport tells

    def data_received(self, data: bytes) -> None:
        if not self._replies.halfway:  # nearly always: all that was asked for, in one piece
            if self.phase == BODY and self._ahead_left and (answered := _TURNED(data)):
                self._accepted(Reply(int(answered[1]), answered[2].rstrip()))
                if self.phase == ENVELOPE:
                    self._granted()
                return
            if self.phase == ENVELOPE and self._stage == _MAIL and self._pipelining and _GRANTED(data):
                self._granted()
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
            elif self.phase == IDLE or self.phase == GRANTED:  # nobody asked: a 421, or replies are out of step
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
            self._transport.write(DOT + self._next_envelope())

    # -- one message

    def _start(self, mail: _Mail) -> None:
        """Its envelope, where the server waits for one."""
        self._enter(mail, _RSET if self._dirty else _MAIL, followed=False)
        if self._pipelining:
            reset = "RSET\r\n" if self._stage == _RSET else ""
            self._transport.write(f"{reset}{mail.envelope}DATA\r\n".encode("ascii"))
        else:
            sender, recipient = mail.envelope.encode("ascii").splitlines(keepends=True)
            self._commands = (b"RSET\r\n", sender, recipient, b"DATA\r\n")
            self._transport.write(self._commands[self._stage])

    def _enter(self, mail: _Mail, stage: int, *, followed: bool) -> None:
        self._mail, self._stage, self._refused, self._followed = mail, stage, None, followed
        self._count += 1
        self._dirty = True
        self.phase = ENVELOPE

    def _next_envelope(self) -> bytes:
        """What leaves right behind the body: the envelope of the message that follows."""
        if self._ahead is None:
            return b""
        self._ahead_left = True
        return f"{self._ahead.envelope}DATA\r\n".encode("ascii")

    def _envelope_reply(self, reply: Reply, last: bool) -> None:
        stage, code = self._stage, reply.code
        if code < 300 and stage != _DATA:
            self._next()
        elif code == 354 and stage == _DATA:
            if self._refused is not None:
                self.phase = NOBODY
                self._transport.write(DOT)
            elif last:
                self._granted()
            else:
                self._garbage("an answer to the message before the message")
        elif code < 400:
            self._garbage(f"{code} in answer to {('RSET', 'MAIL', 'RCPT', 'DATA')[stage]}")
        elif self._refused is None and (_closing(stage, reply) or self._unwelcome or self._forgotten(code)):
            self.broke = self._unwelcome or self._forgotten(code)
            self._end(Outcome(Kind.LOST, code, reply.text))
        else:
            self._refused = self._refused or (stage, reply)
            if code == 421:
                self.drop("421")
            elif stage == _DATA or not self._pipelining:
                self._settle_refused()
            else:
                self._next()

    @property
    def _unwelcome(self) -> bool:
        """The first word on an envelope that followed is to come: a bad one may be for its being early."""
        return self._followed and self._stage == _MAIL

    def _forgotten(self, code: int) -> bool:
        """The envelope that followed was wiped with the message before: 503, which is about no recipient."""
        return self._followed and code == 503

    def _next(self) -> None:
        self._stage += 1
        if not self._pipelining:
            self._transport.write(self._commands[self._stage])

    def _granted(self) -> None:
        self.phase = GRANTED
        self._loop.call_soon(self._give)  # behind whoever waits for the answer before

    def _give(self) -> None:
        """354 came: mark the message as begun and hand it over."""
        if self.phase != GRANTED:
            return  # the connection has ended meanwhile
        mail = self._mail
        assert mail is not None
        try:
            mail.begin()
        except BaseException as error:
            self._fail(error, "given up")
            return
        body, mail.body = mail.body, b""
        self.phase = BODY
        if len(body) < _HELD_FROM:
            self._dot_left = True
            self._transport.write(body + self._next_envelope())
            return
        self._dot_left = False
        self._transport.write(memoryview(body)[: -len(DOT)])
        if not self._full:
            self.resume_writing()

    def _body_reply(self, reply: Reply) -> None:
        code = reply.code
        if code >= 400:
            outcome = Outcome(Kind.DEFERRED if code < 500 else Kind.FAILED, code, reply.text)
            if code == 421 or not self._dot_left or self._ahead_left:
                self._end(outcome)
            else:
                self._settle(outcome)
        elif code < 300 and self._dot_left:
            self._accepted(reply)
        else:
            self._garbage(f"{code} in answer to the message")

    def _accepted(self, reply: Reply) -> None:
        self._dirty = False
        self._settle(Outcome(Kind.ACCEPTED, reply.code, reply.text))

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
        words = f"the mail server wants another login: {outcome.code} {outcome.text}"
        self._fail(ServerRefusesUs(words), "another login is wanted")

    def _garbage(self, why: str) -> None:
        """Replies are out of step: what was refused before can't be trusted either."""
        self._refused = None if self.phase == ENVELOPE else self._refused
        self.drop(why)

    def _end(self, outcome: Outcome) -> None:
        """The message's outcome, and the end of the connection."""
        self.phase = GONE
        self._transport.abort()
        self._settle(outcome)
        self._lose_ahead("the server refused the message before")

    def _fail(self, error: BaseException, why: str) -> None:
        """The end of the connection, and the message's by an exception; provably not sent."""
        mail, self._mail = self._mail, None
        self.drop(why)
        if mail is not None and not mail.waiter.done():
            mail.waiter.set_exception(error)

    def _settle(self, outcome: Outcome) -> None:
        mail, self._mail = self._mail, None
        if self.phase != GONE:
            self.phase = IDLE
        if mail is not None:
            if mail.waiter.done():
                self.drop("given up")
            else:
                mail.waiter.set_result(outcome)
        if self.phase == GONE:
            return
        if self._ahead is not None:
            self._turn()
        elif self._count >= self._most:
            self.quit()

    def _lose_ahead(self, why: str) -> None:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            self.broke = self.broke or self._ahead_left
            if not ahead.waiter.done():
                ahead.waiter.set_result(_lost(why))

    def _turn(self) -> None:
        """To the message that followed."""
        ahead, self._ahead = self._ahead, None
        assert ahead is not None
        if self._ahead_left:
            self._ahead_left = False
            self._enter(ahead, _MAIL, followed=True)
        else:
            self._start(ahead)


def _lost(why: str) -> Outcome:
    return Outcome(Kind.LOST, 0, f"the connection was lost before the message: {why}")


def _closing(stage: int, reply: Reply) -> bool:
    """The server says goodbye and means no message: 421, or the time-out some put as 451 4.4.2."""
    return reply.code == 421 or (stage == _MAIL and reply.raw.startswith(b"4.4.2")) or stage == _RSET
