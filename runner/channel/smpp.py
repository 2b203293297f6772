"""SMPP 3.4: one bind, one segment at a time, each answered before the next.

aiosmpplib only encodes what goes out. Its ESME can't be used: it queues behind a lost connection and sends when it
is back, tells nobody of requests that were never answered, and drops the connection at a status code of a carrier's
own. What comes in has a header of four numbers, which are read here.
"""

import asyncio
import ssl
import struct
from collections.abc import Callable
from typing import NamedTuple

from aiosmpplib import NPI, TON, BindTransmitter, EnquireLinkResp, PhoneNumber, SubmitSm, Unbind, UnbindResp

from runner.channel import rejections
from runner.channel.port import Kind, Outcome, ServerRefusesUs
from runner.message.sms import Text
from runner.settings import Sms

CONNECT_SECONDS = 30.0
ANSWER_SECONDS = 120.0
IDLE_SECONDS = 30.0
LATER_SECONDS = (1.0, 2.0, 4.0, 8.0)  # waits for a throttled segment when those before it were taken
_HEADER = struct.Struct("!IIII")
_MOST_BYTES = 70_000  # of one PDU
_SUBMIT_RESP, _BIND_RESP, _NACK = 0x80000004, 0x80000002, 0x80000000
_UNBIND, _ENQUIRE = 0x06, 0x15
_BIND_LATER = (0x05, 0x08, 0x14, 0x58)  # already bound, system error, queue full, throttled: another time
_NOT_BOUND = 0x04
_UDH = 0x40


class Pdu(NamedTuple):
    command: int
    status: int
    sequence: int
    body: bytes


def smpp_wires(account: Sms, count: int) -> list["SmppWire"]:
    """No more than the carrier allows binds."""
    return [SmppWire(account) for _ in range(min(count, account.binds))]


class SmppWire:
    """One bind, made when needed. One task at a time delivers; what the carrier asks is answered at any time."""

    def __init__(self, account: Sms) -> None:
        self._account = account
        self._session: _Session | None = None
        self._connecting: asyncio.Task[_Session] | None = None
        self._reference = 0
        self._since: float | None = None  # the start of what is waited for, or of idling, by sweep()'s clock
        self._delivering = False

    async def deliver(self, message: Text, begin: Callable[[], None]) -> Outcome:
        self._delivering, self._since = True, None
        try:
            session = await self._bound()
            return session if isinstance(session, Outcome) else await self._submit(session, message, begin)
        finally:
            self._delivering, self._since = False, None

    follow = None  # one at a time

    def sweep(self, clock: float) -> None:
        if self._since is None:
            self._since = clock
            return
        waited = clock - self._since
        if self._delivering and waited > (CONNECT_SECONDS if self._connecting else ANSWER_SECONDS):
            self.abort()
        elif not self._delivering and self._session and waited > IDLE_SECONDS:
            session, self._session = self._session, None
            session.leave()

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.leave()
            await session.ended(5.0)

    def abort(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
        session, self._session = self._session, None
        if session is not None:
            session.drop()

    async def _bound(self) -> "_Session | Outcome":
        if self._session is not None and self._session.alive:
            return self._session
        self.abort()
        where = f"{self._account.host}:{self._account.port}"
        self._connecting = connecting = asyncio.ensure_future(_bind(self._account))
        try:
            await asyncio.wait({connecting})
        finally:
            self._connecting = None
            connecting.cancel()
        if connecting.cancelled():
            return Outcome(Kind.UNREACHABLE, 0, f"{where}: no bind in time, or given up")
        error = connecting.exception()
        if error is None:
            self._session = connecting.result()
            return self._session
        if isinstance(error, ssl.SSLError):
            raise ServerRefusesUs(f"TLS with {where} failed: {error.reason or type(error).__name__}")
        if not isinstance(error, OSError | EOFError):
            raise error
        return Outcome(Kind.UNREACHABLE, 0, f"{where}: {type(error).__name__}")

    async def _submit(self, session: "_Session", message: Text, begin: Callable[[], None]) -> Outcome:
        self._reference = self._reference % 255 + 1
        requests = _requests(message, self._account, self._reference)
        begin()
        taken: list[str] = []
        for request in requests:
            answer = await self._answer(session, request, bool(taken))
            if answer is None or answer.command not in (_SUBMIT_RESP, _NACK):
                self.abort()
                of = f" of segment {len(taken) + 1} of {len(requests)}" if len(requests) > 1 else ""
                return Outcome(Kind.UNKNOWN, 0, f"no answer after the message{of}")
            if answer.status or answer.command == _NACK:
                return self._refused(answer, len(taken), len(requests))
            taken.append(_printable(answer.body.split(b"\0")[0]))
        return Outcome(Kind.ACCEPTED, 0, f"{taken[0]} segments={len(taken)}")

    async def _answer(self, session: "_Session", request: bytes, going_on: bool) -> Pdu | None:
        """The answer to one segment; None when there is none. A segment that is throttled was provably not taken,
        so where others of its message were, it is offered again."""
        for wait in (*(LATER_SECONDS if going_on else ()), None):
            self._since = None
            answer = await session.ask(request)
            throttled = answer is not None and rejections.smpp(answer.status) is rejections.THROTTLED
            if wait is None or not throttled or not session.alive:
                return answer
            await session.ended(wait)
        raise AssertionError

    def _refused(self, answer: Pdu, taken: int, segments: int) -> Outcome:
        if taken:
            why = f"{taken} of {segments} segments were taken, then: status 0x{answer.status:02x}"
            return Outcome(Kind.UNKNOWN, answer.status, why)
        if answer.status == _NOT_BOUND or answer.command == _NACK:
            self.abort()  # out of step: the next message gets a new bind
        kind, name = rejections.smpp(answer.status)
        return Outcome(kind, answer.status, f"{name}: status 0x{answer.status:02x}")


class _Session:
    """A bound connection. It ends at the first thing that isn't SMPP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._sequence = 1
        self._waiting: tuple[int, asyncio.Future[Pdu | None]] | None = None
        self._reading = asyncio.ensure_future(self._read())

    @property
    def alive(self) -> bool:
        return not self._reading.done() and not self._writer.is_closing()

    async def ask(self, request: bytes) -> Pdu | None:
        """The answer to one request, which gets its number here; None when the connection ended before it."""
        if not self.alive:
            return None
        self._sequence += 1
        future: asyncio.Future[Pdu | None] = asyncio.get_running_loop().create_future()
        self._waiting = (self._sequence, future)
        self._writer.write(request[:12] + self._sequence.to_bytes(4, "big") + request[_HEADER.size :])
        try:
            return await future
        finally:
            self._waiting = None

    def leave(self) -> None:
        """Unbind; the carrier's answer ends the connection, or the second after it does."""
        if self.alive:
            self._sequence += 1
            self._writer.write(Unbind(self._sequence).pdu())
            asyncio.get_running_loop().call_later(1.0, self.drop)

    def drop(self) -> None:
        self._writer.transport.abort()
        self._reading.cancel()

    async def ended(self, seconds: float) -> None:
        """Wait so long, or until the connection has ended."""
        await asyncio.wait({self._reading}, timeout=seconds)

    async def _read(self) -> None:
        try:
            while self._take(await _next(self._reader)):
                pass
        except (OSError, EOFError, ValueError):
            pass
        finally:
            if self._waiting and not self._waiting[1].done():
                self._waiting[1].set_result(None)
            self._writer.close()

    def _take(self, pdu: Pdu) -> bool:
        """False when the connection is over."""
        if pdu.command == _ENQUIRE:
            self._writer.write(EnquireLinkResp(pdu.sequence).pdu())
        elif pdu.command == _UNBIND:
            self._writer.write(UnbindResp(pdu.sequence).pdu())
            return False
        elif pdu.command & _NACK:
            if self._waiting is None:
                return False  # the answer to our unbind, or to nothing we asked
            sequence, future = self._waiting
            if pdu.sequence != sequence and not (pdu.command == _NACK and pdu.sequence == 0):
                return False  # an answer to something else: what it is about can't be told
            if not future.done():
                future.set_result(pdu)
        return True


async def _bind(account: Sms) -> _Session:
    """Raises OSError, EOFError, ServerRefusesUs."""
    context = ssl.create_default_context() if account.tls == "tls" else None
    reader, writer = await asyncio.open_connection(account.host, account.port, ssl=context)
    session = _Session(reader, writer)
    try:
        request = BindTransmitter(
            system_id=account.account, password=account.secret, system_type=account.system_type
        )
        answer = await session.ask(request.pdu())
        if answer is None:
            raise EOFError("the connection ended during the bind")
        if answer.status in _BIND_LATER:
            raise ConnectionRefusedError(f"status 0x{answer.status:02x}")
        if answer.status or answer.command != _BIND_RESP:
            raise ServerRefusesUs(f"{account.host} refused the bind: status 0x{answer.status:02x}")
    except BaseException:
        session.drop()
        raise
    return session


async def _next(reader: asyncio.StreamReader) -> Pdu:
    """Raises EOFError, OSError, and ValueError for what is no PDU."""
    length, command, status, sequence = _HEADER.unpack(await reader.readexactly(_HEADER.size))
    if not _HEADER.size <= length <= _MOST_BYTES:
        raise ValueError("no PDU")
    return Pdu(command, status, sequence, await reader.readexactly(length - _HEADER.size))


def _requests(message: Text, account: Sms, reference: int) -> list[bytes]:
    """One for each segment, with a user data header that joins them when there are several."""
    parts = message.encoded.parts
    made = []
    for number, part in enumerate(parts, 1):
        pdu = SubmitSm(
            short_message=message.body,
            source=_address(message.sender or account.sender),
            destination=_address(message.recipient),
            esm_class=_UDH if len(parts) > 1 else 0,
            registered_delivery=0,
            encoding="ucs2" if message.encoded.ucs2 else None,
        )
        head = bytes((5, 0, 3, reference, len(parts), number)) if len(parts) > 1 else b""
        pdu.set_encoded_message(head + part)
        made.append(pdu.pdu())
    return made


def _address(text: str) -> PhoneNumber:
    if text.startswith("+"):
        return PhoneNumber(text[1:], TON.INTERNATIONAL, NPI.ISDN)
    if text.isdecimal():
        return PhoneNumber(text, TON.UNKNOWN, NPI.ISDN)
    return PhoneNumber(text, TON.ALPHANUMERIC, NPI.UNKNOWN)


def _printable(name: bytes) -> str:
    text = name[:65].decode("ascii", "replace").strip()
    return text if text.isprintable() and text else "-"
