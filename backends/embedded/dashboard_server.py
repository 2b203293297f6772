"""A small REST dashboard on a loopback port, with faults to order.

    GET   /api/campaigns?page=1&per_page=100     {"data": […], "page", "per_page", "total"}
    GET   /api/campaigns/<slug>                  one campaign
    PATCH /api/campaigns/<slug>                  the campaign after the change
    GET   /api/tasks?page=1&per_page=100         as for campaigns
    POST  /api/operations                        201, or 200 when its run_id is known
    GET   /api/whoami                            {"name", "roles", "scopes", "expires"} of the token

A bearer token is asked for everywhere; reads carry an ETag and honour If-None-Match.
"""

import hashlib
import hmac
import json
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from backends.embedded.dashboard_state import DashboardState, Invalid, Unknown

LONGEST_BODY = 1024 * 1024
LARGEST_PAGE = 500
ACCOUNT: dict[str, Any] = {
    "name": "opsconsole",
    "roles": ["campaign-writer"],
    "scopes": ["campaigns:read", "campaigns:write", "tasks:read", "operations:write"],
    "expires": None,
}


@dataclass(slots=True)
class Faults:
    """What goes wrong, while it is set. `status` answers every request; `slow` is seconds before the answer."""

    status: int | None = None
    retry_after: str = ""
    slow: float = 0.0
    html: bool = False
    raw: bytes | None = None  # a body sent in place of the right one
    only: str = ""  # the method that is struck; "" strikes all


class DashboardServer:
    """`start()`, then `url`. `requests` counts what was asked, by method and path."""

    def __init__(self, state: DashboardState, token: str) -> None:
        self.state, self.faults = state, Faults()
        self.account = dict(ACCOUNT)  # what it tells of the token
        self.requests: list[tuple[str, str, int]] = []
        self.port = 0
        self._token = token
        self._server: _Server | None = None

    def __enter__(self) -> "DashboardServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it; a second time, after a stop, on the same port."""
        self._server = _Server(("127.0.0.1", self.port), self)
        self.port = self._server.server_address[1]
        serve = Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.05},
            name="embedded-dashboard",
            daemon=True,
        )
        serve.start()

    def stop(self) -> None:
        """Refuses connections from now on, and cuts those it has."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            server.hang_up()

    def admits(self, header: str) -> bool:
        return hmac.compare_digest(header.encode(), f"Bearer {self._token}".encode())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], dashboard: DashboardServer) -> None:
        self.dashboard = dashboard
        self._peers: set[socket.socket] = set()
        self._lock = Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._peers.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._peers.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        with self._lock:
            peers = list(self._peers)
        for peer in peers:
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news, and the terminal belongs to the console."""


class _Answer(Exception):  # an early answer, not an error of ours
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together
    timeout = 30
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Kept in `requests`, not on the terminal."""

    def _serve(self) -> None:
        try:
            body = self._body()
            self._strike()
            if not self.server.dashboard.admits(self.headers.get("Authorization", "")):
                raise _Answer(HTTPStatus.UNAUTHORIZED, "a valid bearer token is needed")
            status, document = self._route(body)
        except _Answer as answer:
            status, document = answer.status, {"error": answer.why}
        except Unknown as error:
            status, document = HTTPStatus.NOT_FOUND, {"error": f"no campaign {error}"}
        except Invalid as error:
            status, document = HTTPStatus.UNPROCESSABLE_ENTITY, {"error": str(error)}
        self._answer(status, document)

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > LONGEST_BODY:
            self.close_connection = True
            raise _Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too large")
        return self.rfile.read(int(length))

    def _strike(self) -> None:
        faults = self.server.dashboard.faults
        if faults.only in ("", self.command):
            if faults.slow:
                time.sleep(faults.slow)
            if faults.status:
                raise _Answer(faults.status, "out of order")

    def _route(self, body: bytes) -> tuple[int, Any]:
        state, url = self.server.dashboard.state, urlsplit(self.path)
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        match self.command, parts:
            case "GET", ["api", "campaigns"]:
                return HTTPStatus.OK, _page(state, False, parse_qs(url.query))
            case "GET", ["api", "tasks"]:
                return HTTPStatus.OK, _page(state, True, parse_qs(url.query))
            case "GET", ["api", "whoami"]:
                return HTTPStatus.OK, self.server.dashboard.account
            case "GET", ["api", "campaigns", slug]:
                return HTTPStatus.OK, state.campaign(slug)
            case "PATCH", ["api", "campaigns", slug]:
                return HTTPStatus.OK, state.change(slug, _json(body))
            case "POST", ["api", "operations"]:
                entry, new = state.log(_json(body))
                return (HTTPStatus.CREATED if new else HTTPStatus.OK), entry
        raise _Answer(HTTPStatus.NOT_FOUND, "no such address")

    def _answer(self, status: int, document: Any) -> None:
        faults = self.server.dashboard.faults
        struck = faults.only in ("", self.command)
        body, kind = json.dumps(document).encode(), "application/json"
        if struck and faults.html:
            body, kind = b"<!doctype html><title>Sign in</title><h1>Sign in</h1>", "text/html"
        if struck and faults.raw is not None:
            body = faults.raw
        etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
        if status == HTTPStatus.OK and self.command == "GET" and self.headers.get("If-None-Match") == etag:
            status, body = HTTPStatus.NOT_MODIFIED, b""
        self.server.dashboard.requests.append((self.command, self.path, int(status)))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.command == "GET":
            self.send_header("ETag", etag)
        if struck and faults.retry_after:
            self.send_header("Retry-After", faults.retry_after)
        self.end_headers()
        self.wfile.write(body)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise _Answer(HTTPStatus.BAD_REQUEST, "the body is not JSON") from error


def _page(state: DashboardState, tasks: bool, query: Mapping[str, list[str]]) -> dict[str, Any]:
    page, size = _number(query, "page", 1), min(_number(query, "per_page", 100), LARGEST_PAGE)
    rows, total = state.page(tasks, (page - 1) * size, page * size)
    return {"data": rows, "page": page, "per_page": size, "total": total}


def _number(query: Mapping[str, list[str]], key: str, default: int) -> int:
    text = query.get(key, [str(default)])[0]
    if not text.isdecimal() or not 0 < int(text) < 1_000_000:
        raise _Answer(HTTPStatus.BAD_REQUEST, f"{key} must be a number from 1")
    return int(text)
