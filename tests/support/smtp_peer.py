"""A mail server on loopback whose answer is chosen by the recipient's address.

ann@            accepted
ann-550@        refused at RCPT with that code (4xx or 5xx), always
ann-450x2@      refused at RCPT with that code twice, then accepted
ann-554dot@     refused after the message, always; ann-451dotx1@ once
ann-cutrcpt@    the connection is cut at RCPT, always; ann-cutrcptx1@ once
ann-cutdot@     the message is accepted, and the connection cut before the answer
ann-slow300@    the answer to RCPT comes after so many milliseconds
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

_CODE = re.compile(r"-([45]\d\d)(dot)?(?:x(\d+))?@")
_CUT = re.compile(r"-cut(rcpt|dot)(?:x(\d+))?@")
_SLOW = re.compile(r"-slow(\d+)@")


@dataclass(frozen=True)
class Delivered:
    sender: str
    recipient: str
    content: bytes


class _AnyPort(Controller):
    """aiosmtpd connects back to self.port when it starts, so it must learn the real one first."""

    connections = 0

    def factory(self) -> SMTP:
        self.connections += 1
        return super().factory()

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class SmtpPeer:
    """`delivered` is what the peer took responsibility for. `delay` (seconds) slows each message; `refuse_mail`
    answers every MAIL; `login` demands AUTH with (user, password)."""

    def __init__(self, login: tuple[str, str] | None = None) -> None:
        self.delivered: list[Delivered] = []
        self.tries: Counter[str] = Counter()
        self.mails = 0
        self.delay = 0.0
        self.refuse_mail: str | None = None
        self.on_delivery: Callable[[int], None] = lambda count: None
        self._login = login
        self._stopped = False
        self._controller = _AnyPort(
            self,
            hostname="127.0.0.1",
            port=0,
            ready_timeout=10,
            authenticator=self._authenticate,
            auth_required=login is not None,
            auth_require_tls=False,
        )
        self._controller.start()
        self._own = self._controller.connections  # the controller's own look whether it is up

    @property
    def port(self) -> int:
        return int(self._controller.port)

    @property
    def connections(self) -> int:
        return self._controller.connections - self._own

    def recipients(self) -> Counter[str]:
        return Counter(mail.recipient for mail in self.delivered)

    def stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._controller.stop()

    def _authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        return AuthResult(success=given == self._login, handled=False)

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.mails += 1
        if self.refuse_mail:
            return self.refuse_mail
        envelope.mail_from = address
        return "250 2.1.0 ok"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.tries[address] += 1
        if slow := _SLOW.search(address):
            await asyncio.sleep(int(slow[1]) / 1000)
        if (cut := _CUT.search(address)) and cut[1] == "rcpt" and self._still(address, cut[2]):
            server.transport.abort()
            return "421 gone"
        if (code := _CODE.search(address)) and not code[2] and self._still(address, code[3]):
            return f"{code[1]} {code[1][0]}.1.1 <{address}>: refused by the test"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        address = envelope.rcpt_tos[0]
        if self.delay:
            await asyncio.sleep(self.delay)
        if (code := _CODE.search(address)) and code[2] and self._still(address, code[3]):
            return f"{code[1]} {code[1][0]}.7.1 refused by the test"
        self.delivered.append(Delivered(envelope.mail_from or "", address, bytes(envelope.original_content or b"")))
        self.on_delivery(len(self.delivered))
        if (cut := _CUT.search(address)) and cut[1] == "dot":
            server.transport.abort()
        return "250 2.0.0 queued"

    def _still(self, address: str, times: str | None) -> bool:
        return times is None or self.tries[address] <= int(times)
