"""A mail sink on a loopback port: it takes every message and delivers none.

Recipients choose its faults: `u-450@` is put off for ever, `u-450x2@` twice, `u-550@` is refused, `u-drop@` cuts
the line. With a pace it takes one message every so many seconds over all connections together, so that a send
can be watched.
"""

import asyncio
import json
import logging
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser
from pathlib import Path
from threading import Lock
from typing import Any, TextIO

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

FAULT = re.compile(r"-(?P<code>[45]\d\d)(?:x(?P<times>\d+))?@")
LONGEST_MESSAGE = 10 * 1024 * 1024


class MailSink:
    """`start()`, then `port`. `mailbox` is a file of JSON lines, one for each recipient of a message taken.

    `pace` is in seconds a message and may be changed at any time; `refuse_all`, such as `"421 4.3.2 closing"`,
    answers every recipient while it is set.
    """

    def __init__(self, mailbox: Path, *, pace: float = 0.0) -> None:
        self.mailbox, self.pace, self.refuse_all = mailbox, pace, ""
        self.port = 0
        self._counts: Counter[str] = Counter()
        self._put_off: Counter[str] = Counter()
        self._lock = Lock()
        self._next_turn = 0.0
        self._file: TextIO | None = None
        self._controller: _AnyPort | None = None

    def __enter__(self) -> "MailSink":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        logger = logging.getLogger("mail.log")  # aiosmtpd's own: a client that hangs up is no news
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
        self.mailbox.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.mailbox.open("a", encoding="utf-8")
        self._controller = _AnyPort(
            _Handler(self), hostname="127.0.0.1", port=0, data_size_limit=LONGEST_MESSAGE, ready_timeout=5
        )
        self._controller.start()
        self.port = self._controller.port

    def stop(self) -> None:
        controller, self._controller = self._controller, None
        if controller is not None:
            controller.stop()
        with self._lock:
            file, self._file = self._file, None
        if file is not None:
            file.close()

    def counts(self) -> Counter[str]:
        """Messages taken, by recipient."""
        with self._lock:
            return Counter(self._counts)

    def messages(self) -> Iterator[dict[str, Any]]:
        """The mailbox: `at`, `from`, `rcpt`, `subject`, `message_id`, `blast_id`, `bytes` of each message taken."""
        with self.mailbox.open(encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):
                    yield json.loads(line)

    def answer(self, recipient: str) -> str:
        """The reply to RCPT TO; "" to cut the line."""
        if self.refuse_all:
            return self.refuse_all
        if "-drop@" in recipient:
            return ""
        if fault := FAULT.search(recipient):
            with self._lock:
                self._put_off[recipient] += 1
                if fault["times"] is None or self._put_off[recipient] <= int(fault["times"]):
                    return f"{fault['code']} {fault['code'][0]}.7.1 refused on purpose"
        return "250 2.1.5 ok"

    async def wait_for_turn(self) -> None:
        """Turns are handed out over all connections, so that the pace is the whole sink's."""
        if self.pace > 0:
            now = asyncio.get_running_loop().time()
            self._next_turn = max(now, self._next_turn) + self.pace
            await asyncio.sleep(self._next_turn - now)

    def take(self, sender: str, recipients: list[str], content: bytes) -> None:
        lines = _entries(sender, recipients, content)
        with self._lock:
            if self._file is None:
                raise ConnectionAbortedError("the sink is closed")
            self._file.write(lines)
            self._file.flush()
            self._counts.update(recipients)


class _AnyPort(Controller):
    """aiosmtpd connects back to `self.port` to see that it is up, which port 0 is not: tell it the real one."""

    def _trigger_server(self) -> None:
        server: Any = self.server
        self.port = server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


class _Handler:
    def __init__(self, sink: MailSink) -> None:
        self._sink = sink

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = self._sink.answer(address)
        if not reply:
            transport: Any = server.transport
            transport.abort()
            return "421 4.3.2 gone"
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        await self._sink.wait_for_turn()
        try:
            self._sink.take(envelope.mail_from or "", list(envelope.rcpt_tos), envelope.original_content or b"")
        except OSError:
            return "451 4.3.0 the mailbox can't be written"
        return "250 2.0.0 taken"


def _entries(sender: str, recipients: list[str], content: bytes) -> str:
    headers = BytesHeaderParser().parsebytes(re.split(rb"\r?\n\r?\n", content, maxsplit=1)[0])
    subject = str(headers["Subject"] or "")
    with suppress(ValueError, LookupError):  # a broken encoded word is kept as it came
        subject = str(make_header(decode_header(subject)))
    entry = {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "from": sender,
        "rcpt": "",
        "subject": subject,
        "message_id": str(headers["Message-ID"] or ""),
        "blast_id": str(headers["X-Blast-Id"] or ""),
        "bytes": len(content),
    }
    return "".join(json.dumps({**entry, "rcpt": recipient}) + "\n" for recipient in recipients)
