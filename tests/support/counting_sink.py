"""A mail server of its own process that takes nearly everything, and writes down who each mail was for before it
says so.

    python -m tests.support.counting_sink FILE

It prints its port. FILE gets a line for each mail, the address of RCPT, once the closing dot was read: also when
the sender is gone before it can be told. Every fiftieth recipient is refused for now when it is first named. It is
quick enough to stay out of the way; smtp-sink is as quick, but tells recipients apart only by keeping the mails.
"""

import asyncio
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

_RCPT = re.compile(rb"RCPT TO:<([^>]*)>", re.IGNORECASE)
_DOT = b"\r\n.\r\n"


_NOT_YET = re.compile(rb"(?:07|57)@")


class Session(asyncio.Protocol):
    """One connection. Commands may come several at once (PIPELINING). `known` are those refused once before."""

    def __init__(self, note: Callable[[bytes], object], known: set[bytes]) -> None:
        self._note = note
        self._known = known
        self._waiting = b""
        self._recipient = b""
        self._body: bytearray | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's isn't one by inheritance
        self._transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        if self._body is None:
            data = self._commands(self._waiting + data)
            if self._body is None:
                self._waiting = data
                return
        looked = max(0, len(self._body) - len(_DOT))
        self._body += data
        if (end := self._body.find(_DOT, looked)) >= 0:
            rest = bytes(self._body[end + len(_DOT) :])
            self._body = None
            self._note(self._recipient + b"\n")
            self._transport.write(b"250 2.0.0 Ok: taken\r\n")
            self._waiting = b""
            if rest:
                self.data_received(rest)

    def _commands(self, data: bytes) -> bytes:
        """Answer all whole commands, up to a body; the bytes behind them."""
        replies = []
        while self._body is None and (end := data.find(b"\r\n")) >= 0:
            line, data = data[:end], data[end + 2 :]
            verb = line[:4].upper()
            if verb == b"MAIL":
                self._recipient = b""
            if verb == b"RCPT" and (found := _RCPT.match(line)):
                replies.append(self._named(found[1]))
            elif verb == b"DATA" and not self._recipient:
                replies.append(b"554 5.5.1 no recipient\r\n")
            elif verb == b"DATA":
                self._body = bytearray(b"\r\n")  # a body may begin with its dot
                replies.append(b"354 go on\r\n")
            elif verb == b"EHLO":
                replies.append(b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
            elif verb == b"QUIT":
                replies.append(b"221 bye\r\n")
            else:
                replies.append(b"250 2.1.0 Ok\r\n")
        self._transport.write(b"".join(replies))
        return data

    def _named(self, recipient: bytes) -> bytes:
        if _NOT_YET.search(recipient) and recipient not in self._known:
            self._known.add(recipient)
            return b"450 4.2.0 later\r\n"
        self._recipient = recipient
        return b"250 2.1.5 Ok\r\n"


class CountingSink:
    """The sink from outside. `path` grows by a line for each mail."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def recipients(self) -> Counter[str]:
        return Counter(self.path.read_text().split())

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


async def serve(path: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    known: set[bytes] = set()
    server = await asyncio.get_running_loop().create_server(
        lambda: Session(lambda line: os.write(fd, line), known), "127.0.0.1", 0
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with suppress(ImportError):
        import uvloop

        uvloop.install()
    asyncio.run(serve(sys.argv[1]))
