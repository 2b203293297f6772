"""An HTTP gateway for text messages on loopback, of Twilio's shape, that answers as it is told.

What a POST meets is the next of `script`, else what `by_number` says for its recipient, else it is taken. `taken`
is what the gateway took responsibility for.
"""

import asyncio
import base64
import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

ACCOUNT, SECRET = "AC0000", "not-a-real-secret"
_REASONS = {200: "OK", 201: "Created", 302: "Found", 400: "Bad Request", 401: "Unauthorized"}


@dataclass(frozen=True)
class Says:
    """An answer instead of the usual one; `takes` whether the message is sent all the same."""

    status: int
    told: Mapping[str, object] | str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    takes: bool = False


@dataclass(frozen=True)
class Cuts:
    """The connection is cut after the "headers", after the "body" (so it is taken), or within the "answer"."""

    after: str


@dataclass(frozen=True)
class Silent:
    """The message is taken; the answer comes after so many seconds."""

    seconds: float = 3600.0


Course = Says | Cuts | Silent


def refused(code: int, message: str, status: int = 400) -> Says:
    return Says(status, {"code": code, "message": message, "status": status})


class Gateway:
    def __init__(self) -> None:
        self.script: deque[Course | None] = deque()
        self.by_number: dict[str, Course] = {}
        self.taken: list[dict[str, str]] = []
        self.posts = 0
        self.connections = 0
        self.headers: list[dict[str, str]] = []
        self.on_taken: Callable[[int], None] = lambda count: None
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._up.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"

    def recipients(self) -> Counter[str]:
        return Counter(form["To"] for form in self.taken)

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._client, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._up.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._exchange(reader, writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first = await reader.readexactly(1)
        if first != b"P":  # no POST: somebody speaks TLS to us
            writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            return False
        lines = (first + await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        self.posts += 1
        self.headers.append(headers)
        course = self.script.popleft() if self.script else None
        if course == Cuts("headers"):
            writer.transport.abort()
            return False
        body = (await reader.readexactly(int(headers["content-length"]))).decode()
        form = dict(parse_qsl(body, strict_parsing=True))
        course = course or self.by_number.get(form["To"])
        wanted = "basic " + base64.b64encode(f"{ACCOUNT}:{SECRET}".encode()).decode().lower()
        if headers.get("authorization") != wanted:
            course = Says(401, {"code": 20003, "message": "Authenticate", "status": 401})
        if not isinstance(course, Says) or course.takes:
            self.taken.append(form)
            self.on_taken(len(self.taken))
        if course == Cuts("body"):
            writer.transport.abort()
            return False
        if isinstance(course, Silent):
            await asyncio.sleep(course.seconds)
        says = course if isinstance(course, Says) else self._created(form)
        answer = says.told if isinstance(says.told, str) else json.dumps(says.told)
        kind = "text/html" if isinstance(says.told, str) else "application/json"
        head = [f"HTTP/1.1 {says.status} {_REASONS.get(says.status, 'Error')}", f"Content-Type: {kind}"]
        head += [f"{name}: {value}" for name, value in says.headers.items()]
        head += [f"Content-Length: {len(answer.encode())}", "", ""]
        whole = "\r\n".join(head).encode() + answer.encode()
        writer.write(whole[:20] if course == Cuts("answer") else whole)
        await writer.drain()
        return course != Cuts("answer")

    def _created(self, form: dict[str, str]) -> Says:
        sid = f"SM{len(self.taken):032x}"
        return Says(
            201, {"sid": sid, "status": "queued", "num_segments": "1", "to": form["To"], "error_code": None}
        )
