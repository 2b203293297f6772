"""An HTTP gateway of Twilio's shape: one POST a message, what became of it by the answer's status and code.

httpx keeps the connection and is never asked twice: it repeats nothing by itself, and the body is a stream that can
be taken once. begin() runs inside that stream, after the headers and right before the only bytes that could make a
message; without it no body can go out. Where bytes of it went and no readable answer came, the outcome is unknown.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlencode

import httpx

from runner.channel import rejections
from runner.channel.port import Kind, Outcome, ServerRefusesUs
from runner.message.sms import Text
from runner.settings import Sms

CONNECT_SECONDS = 30.0
ANSWER_SECONDS = 120.0
_KEEP_SECONDS = 15.0  # a kept connection that the gateway closes under us would cost an unknown
_MOST_BYTES = 65536
_FAILED = ("failed", "undelivered", "canceled")


def twilio_wires(account: Sms, count: int) -> list["TwilioWire"]:
    tls = account.url.startswith("https:")  # otherwise trusted by nobody: loading them takes long
    context = ssl.create_default_context() if tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return [TwilioWire(account, context) for _ in range(count)]


class TwilioWire:
    """One connection to the gateway. One task at a time delivers."""

    def __init__(self, account: Sms, context: ssl.SSLContext) -> None:
        self._account = account
        self._context = context
        self._client: httpx.AsyncClient | None = None
        self._exchange: asyncio.Task[Outcome] | None = None
        self._begun = False
        self._against = ""  # why no message goes through
        self._since: float | None = None  # by sweep()'s clock

    async def deliver(self, message: Text, begin: Callable[[], None]) -> Outcome:
        if against := self._against:
            self._against = ""  # the one after it finds out whether a person mended it
            raise ServerRefusesUs(against)
        self._begun, self._since = False, None
        raised: list[BaseException] = []

        def mark() -> None:
            try:
                begin()
            except BaseException as error:
                raised.append(error)
                raise
            self._begun, self._since = True, None

        self._exchange = exchange = asyncio.ensure_future(self._post(message, mark))
        try:
            await asyncio.wait({exchange})
        finally:  # whoever cancels the delivery cancels the exchange
            self._exchange = None
            exchange.cancel()
        if exchange.cancelled():
            await self.close()
            return self._nothing("it was given up")
        error = exchange.exception()
        if error is None:
            return exchange.result()
        await self.close()
        if raised:
            raise raised[0]
        if isinstance(
            error, ServerRefusesUs
        ):  # this message is in the journal as begun: say first that it isn't sent
            self._against = str(error)
            return Outcome(Kind.LOST, 0, self._against)
        if not isinstance(error, httpx.HTTPError | OSError):
            raise error
        if not self._begun and (fault := _tls_fault(error)):
            raise ServerRefusesUs(f"TLS with the gateway failed: {fault}")
        return self._nothing(type(error).__name__, isinstance(error, httpx.ConnectError))

    follow = None  # one at a time

    def sweep(self, clock: float) -> None:
        if self._exchange is None:
            return
        if self._since is None:
            self._since = clock
        elif clock - self._since > (ANSWER_SECONDS if self._begun else CONNECT_SECONDS):
            self.abort()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def abort(self) -> None:
        if self._exchange is not None:
            self._exchange.cancel()

    def _nothing(self, why: str, unreachable: bool = False) -> Outcome:
        """No answer: it may have arrived from the moment on that its body began."""
        if self._begun:
            return Outcome(Kind.UNKNOWN, 0, f"no answer after the message: {why}")
        if unreachable:
            return Outcome(Kind.UNREACHABLE, 0, f"the gateway can't be reached: {why}")
        return Outcome(Kind.LOST, 0, f"the connection was lost before the message: {why}")

    async def _post(self, message: Text, mark: Callable[[], None]) -> Outcome:
        if self._client is None:
            self._client = httpx.AsyncClient(
                auth=httpx.BasicAuth(self._account.account, self._account.secret),
                verify=self._context,
                trust_env=False,
                timeout=None,  # noqa: S113 - sweep() sees to it
                limits=httpx.Limits(max_connections=1, keepalive_expiry=_KEEP_SECONDS),
            )
        body = urlencode(_form(message, self._account)).encode()

        async def once() -> AsyncIterator[bytes]:
            mark()
            yield body

        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Content-Length": str(len(body)),
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "X-Blast-Id": message.ident,
        }
        async with self._client.stream("POST", self._account.url, headers=headers, content=once()) as answer:
            return _judge(answer.status_code, answer.headers, await _start_of(answer), message.recipient)


def _tls_fault(error: BaseException | None) -> str:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return error.reason or type(error).__name__
        error = error.__cause__ or error.__context__
    return ""


async def _start_of(answer: httpx.Response) -> bytes:
    """As much of the answer's body as is looked at; what breaks off in it is told by the status all the same."""
    said = b""
    try:
        async for chunk in answer.aiter_raw():
            said += chunk
            if len(said) > _MOST_BYTES:
                break
    except httpx.HTTPError:
        pass
    return said[:_MOST_BYTES]


def _form(message: Text, account: Sms) -> dict[str, str]:
    sender = message.sender or account.sender
    pool = len(sender) == 34 and sender.startswith("MG")
    return {
        "To": message.recipient,
        ("MessagingServiceSid" if pool else "From"): sender,
        "Body": message.body,
    }


def _judge(status: int, headers: httpx.Headers, said: bytes, number: str) -> Outcome:
    """What an answer means. Raises ServerRefusesUs."""
    told = _json(said)
    code = told.get("code") or told.get("error_code")
    code = code if isinstance(code, int) and not isinstance(code, bool) else 0
    words = told.get("message") or told.get("error_message")
    text = rejections.hide(words if isinstance(words, str) else "no reason given", number)
    if 200 <= status < 300:
        return _taken(status, told, code, text)
    if status in (401, 404) or 300 <= status < 400 or code in rejections.LOGIN:
        raise ServerRefusesUs(f"the gateway refuses this account or address: {status} {code or ''} {text}")
    if status in (408, 429) or (status == 503 and "Retry-After" in headers):  # it says that it did nothing
        later = headers.get("Retry-After", "")
        wait = f", again in {later} s" if later.isdecimal() else ""
        return Outcome(Kind.DEFERRED, status, f"throttled: {code or status} {text}{wait}")
    if 400 <= status < 500:
        kind, name = rejections.gateway(code)
        return Outcome(kind, code or status, f"{name}: {code or status} {text}")
    return Outcome(Kind.UNKNOWN, status, f"the gateway failed on the message: {status} {text}")


def _taken(status: int, told: dict[str, Any], code: int, text: str) -> Outcome:
    sid, state = told.get("sid"), told.get("status")
    if not isinstance(sid, str) or not sid.isascii() or not sid.isalnum():
        return Outcome(Kind.UNKNOWN, status, "the answer is not the gateway's: no sid in it")
    if state in _FAILED:
        kind, name = rejections.gateway(code) if code else rejections.CARRIER
        return Outcome(kind, code or status, f"{name}: {code or state} {text}")
    return Outcome(Kind.ACCEPTED, status, f"{sid[:64]} {_segments(told)}".strip())


def _segments(told: dict[str, Any]) -> str:
    count = str(told.get("num_segments") or "")
    return f"segments={count}" if count.isdecimal() and len(count) < 4 else ""


def _json(said: bytes) -> dict[str, Any]:
    try:
        told = json.loads(said)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
