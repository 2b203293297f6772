"""A dashboard for tests: its rows, a backend that reaches it, and one that answers whatever a story needs."""

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from backends.dashboard import DashboardBackend
from backends.embedded.dashboard_server import DashboardServer
from opsconsole.observation import Observation
from opsconsole.settings import Dashboard, SecretFrom

NOW = datetime(2026, 5, 12, 17, 52, tzinfo=UTC)
TOKEN = "tok-for-tests-4711"

CAMPAIGNS: list[dict[str, Any]] = [
    {
        "slug": "paul-simon-may12", "name": "Paul Simon", "status": "approved", "task_token": "t-9a8cae17",
        "due_at": "2026-05-12 10:00", "timezone": "America/Los_Angeles", "recipient_count": 2601,
        "approved_by": "ana", "approved_at": "2026-05-09T16:20:00-07:00",
    },
    {
        "slug": "harbor-lights", "status": "sent", "completion_timestamp": "2026-05-10T17:09:12Z",
        "recipient_count": 1204, "failure_count": 4, "execution_duration_seconds": 552.0, "session_id": "s-17",
    },
    {"slug": "winter-letter", "status": "draft", "task_token": "t-2", "approved_by": "ben"},
    {"slug": "regatta", "status": "cancelled", "completion_timestamp": "2026-05-11T08:00:00Z"},
    {"slug": "dock-news", "status": "failed", "completion_timestamp": "2026-05-11T09:00:00Z"},
    {"slug": "crew-brunch", "status": "scheduled"},
]  # fmt: skip
TASKS = [
    {"token": "t-9a8cae17", "title": "Send Paul Simon", "status": "done", "campaign": "paul-simon-may12"},
    {"token": "t-2", "title": "Winter letter", "status": "doing", "campaign": "winter-letter"},
]


def reach(url: str, tmp_path: Path, token: str = TOKEN, timeout: float = 5, **tables: Any) -> DashboardBackend:
    file = tmp_path / "token"
    file.write_text(token + "\n")
    return DashboardBackend(
        "dashboard",
        Dashboard(url=url, token=SecretFrom(file=str(file)), **tables),
        fresh_for=timedelta(seconds=90),
        timeout=timedelta(seconds=timeout),
        clock=lambda: NOW,
    )


def seen(backend: DashboardBackend) -> dict[str, Observation]:
    report = backend.observe()
    assert report.trouble == ""
    return {observation.slug: observation for observation in report.observations}


def completion(**changes: Any) -> dict[str, Any]:
    return {
        "slug": "paul-simon-may12",
        "run_id": "0123456789abcdef",
        "status": "SENT",
        "completed_at": "2026-05-12T18:01:12+00:00",
        "counts": {"total": 2601, "accepted": 2601, "failed": 0, "unknown": 0, "deferred": 0},
        "duration_s": 552.0,
        "session": "s-42",
        "operator": "mara",
    } | changes


def rewrite(server: DashboardServer, **document: Any) -> None:
    server.faults.raw = json.dumps(document).encode()


@dataclass(frozen=True)
class Asked:
    """One request: `body` is its JSON, None without one."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


Answer = tuple[int, Mapping[str, str], Any]
"""Status, headers, and the body as a JSON value."""


@dataclass
class Peer:
    """Some team's dashboard: answers as `answer` says, and remembers what it was asked."""

    url: str
    asked: list[Asked] = field(default_factory=list)

    def paths(self) -> list[str]:
        return [one.path for one in self.asked]


@contextmanager
def peer(answer: Callable[[Asked], Answer]) -> Iterator[Peer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            asked = Asked(self.command, self.path, dict(self.headers), json.loads(raw) if raw else None)
            there.asked.append(asked)
            status, headers, document = answer(asked)
            body = b"" if document is None else json.dumps(document).encode()
            self.send_response_only(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = serve  # noqa: N815

        def log_message(self, *args: object) -> None: ...

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        address_family = socket.AF_INET

    server = Server(("127.0.0.1", 0), Handler)
    there = Peer(f"http://127.0.0.1:{server.server_address[1]}")
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield there
    finally:
        server.shutdown()
        server.server_close()
