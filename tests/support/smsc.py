"""A carrier's SMPP server on loopback that answers as it is told.

What a submit_sm meets is the next of `script`, else it is taken: a status to answer with, "cut" (taken, and the
connection cut before the answer), "silent" (taken, never answered), "nack", "garbage". `taken` are the segments.
"""

import asyncio
import struct
from collections import deque
from dataclasses import dataclass

_HEADER = struct.Struct("!IIII")


@dataclass(frozen=True)
class Segment:
    source: str
    source_ton: int
    destination: str
    esm_class: int
    data_coding: int
    data: bytes


class Smsc:
    """Lives in the test's own event loop: `async with Smsc() as smsc`."""

    def __init__(self) -> None:
        self.script: deque[int | str] = deque()
        self.bind_status: deque[int] = deque()
        self.taken: list[Segment] = []
        self.binds: list[tuple[str, str]] = []
        self.commands: list[int] = []
        self._clients: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> "Smsc":
        self._server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        for writer in self._clients:
            writer.transport.abort()

    def ask(self, command: int) -> None:
        """A request of the carrier's own, to everybody bound."""
        for writer in self._clients:
            writer.write(_HEADER.pack(16, command, 0, 77))

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.append(writer)
        try:
            while True:
                length, command, _, sequence = _HEADER.unpack(await reader.readexactly(16))
                body = await reader.readexactly(length - 16)
                self.commands.append(command)
                if command == 0x02:
                    name, password = body.split(b"\0")[:2]
                    self.binds.append((name.decode(), password.decode()))
                    status = self.bind_status.popleft() if self.bind_status else 0
                    writer.write(_pdu(0x80000002, status, sequence, b"smsc\0"))
                elif command == 0x04:
                    self._submit(writer, sequence, body)
                elif command == 0x06:
                    writer.write(_pdu(0x80000006, 0, sequence))
                    writer.close()
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    def _submit(self, writer: asyncio.StreamWriter, sequence: int, body: bytes) -> None:
        course = self.script.popleft() if self.script else 0
        if course in (0, "cut", "silent"):
            self.taken.append(_segment(body))
        if course == "cut":
            writer.transport.abort()
        elif course == "nack":
            writer.write(_pdu(0x80000000, 3, sequence))
        elif course == "garbage":
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        elif isinstance(course, int):
            writer.write(_pdu(0x80000004, course, sequence, b"" if course else b"m%d\0" % len(self.taken)))


def _pdu(command: int, status: int, sequence: int, body: bytes = b"") -> bytes:
    return _HEADER.pack(16 + len(body), command, status, sequence) + body


def _segment(body: bytes) -> Segment:
    _, rest = body.split(b"\0", 1)  # service_type
    ton, (source, rest) = rest[0], rest[2:].split(b"\0", 1)
    destination, rest = rest[2:].split(b"\0", 1)
    esm_class = rest[0]
    _, _, rest = rest[3:].split(b"\0", 2)  # schedule and validity
    coding, length = rest[2], rest[4]
    data = rest[5:]
    assert len(data) == length
    return Segment(source.decode(), ton, destination.decode(), esm_class, coding, data)
