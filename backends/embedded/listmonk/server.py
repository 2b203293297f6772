"""The HTTP side: who is let in to what, and how answers and errors are written."""

import json
import re
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import format_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from backends.embedded.listmonk import api_campaigns, api_mail, api_people, api_system
from backends.embedded.listmonk.app import App
from backends.embedded.listmonk.people import BadHeader, User, credentials, known
from backends.embedded.listmonk.web import Refusal, Reply, Request, Route

LONGEST_BODY = 16 * 1024 * 1024
ROUTES: tuple[Route, ...] = (
    *api_mail.ROUTES,  # before those whose `:id` would take its words
    *api_campaigns.ROUTES,
    *api_people.ROUTES,
    *api_system.ROUTES,
)


@dataclass(slots=True)
class Faults:
    """What goes wrong on the way, while it is set.

    `status` answers every request; `slow` is seconds before the answer; `html` answers with a page, as a proxy in
    front of it does; `mute` does what is asked, then cuts the line instead of answering; `foreign` says whatever
    it refuses in another language, as `app.lang` makes it. `only` is a method, and `path` a pattern, that a request
    must match to be struck.
    """

    status: int | None = None
    slow: float = 0.0
    html: bool = False
    mute: bool = False
    foreign: bool = False
    only: str = ""
    path: str = ""

    def strike(self, method: str, path: str) -> bool:
        return self.only in ("", method) and re.search(self.path, path) is not None


class HttpSide:
    """`start`, then `port`, which stays the same over a `stop` and the next `start`."""

    def __init__(self, app: App) -> None:
        self.app, self.faults = app, Faults()
        self.port = 0
        self.requests: list[tuple[str, str, int]] = []  # method, path with its query, status
        self._server: _Server | None = None

    def start(self) -> None:
        self._server = _Server(("127.0.0.1", self.port), self)
        self.port = self._server.server_address[1]
        Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.005}, name="listmonk-http", daemon=True
        ).start()

    def stop(self) -> None:
        """Refuses connections from now on, and cuts those it has."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            server.hang_up()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], side: HttpSide) -> None:
        self.side = side
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


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together
    timeout = 30
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Kept in `requests`, not on the terminal."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """By its own clock, which may be off."""
        return format_datetime(self.server.side.app.clock().astimezone(UTC), usegmt=True)

    def _serve(self) -> None:
        side, url = self.server.side, urlsplit(self.path)
        struck = side.faults.strike(self.command, self.path)
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > LONGEST_BODY:
            self.close_connection = True
            return self._answer(bare_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request Entity Too Large"))
        body = self.rfile.read(int(length))
        if struck and side.faults.slow:
            time.sleep(side.faults.slow)
        if struck and side.faults.html:
            return self._answer(
                Reply(b"<!doctype html><title>Sign in</title>", "text/html", side.faults.status or 200)
            )
        if struck and side.faults.status:
            return self._answer(bare_error(side.faults.status, HTTPStatus(side.faults.status).phrase))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, unquote(url.path), parse_qs(url.query, True), body, headers)
        try:
            reply = answer(side.app, request, ROUTES)
        except Exception as error:  # a fault of this stand-in: the test that meets it must see it
            reply = bare_error(HTTPStatus.INTERNAL_SERVER_ERROR, f"stand-in: {error!r}")
        if (
            struck
            and side.faults.foreign
            and reply.status >= HTTPStatus.BAD_REQUEST
            and b'{"message"' in reply.body
        ):
            reply = bare_error(reply.status, "Das geht so nicht.")
        if struck and side.faults.mute:
            side.requests.append((self.command, self.path, 0))
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return None
        return self._answer(reply)

    def _answer(self, reply: Reply) -> None:
        self.server.side.requests.append((self.command, self.path, reply.status))
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        if reply.frames is None:
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)
            return
        self.close_connection = True
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        with suppress(OSError):
            for frame in reply.frames:
                self.wfile.write(frame)
                self.wfile.flush()


def answer(app: App, request: Request, routes: Sequence[Route]) -> Reply:
    """Of the first route that fits, for whoever asks."""
    try:
        for one in routes:
            match = one.path.fullmatch(request.path)
            if match is None or one.method != request.method:
                continue
            user = None if one.public else _user(app, request)
            if user is not None and one.permissions and not any(map(user.may, one.permissions)):
                raise Refusal(HTTPStatus.FORBIDDEN, f"permission denied: {one.permissions[-1]}")
            found = one.handler(app, replace(request, user=user, found=match.groupdict()))
            return found if isinstance(found, Reply) else Reply(json.dumps({"data": found}).encode())
    except Refusal as refusal:
        return bare_error(refusal.status, refusal.message)
    if request.path.startswith("/api/"):
        return bare_error(HTTPStatus.NOT_FOUND, "404 unknown endpoint")
    return Reply(b"<!doctype html><title>Not found</title>", "text/html; charset=UTF-8", HTTPStatus.NOT_FOUND)


def bare_error(status: int, message: str) -> Reply:
    return Reply(json.dumps({"message": message}).encode(), status=int(status))


def _user(app: App, request: Request) -> User:
    """Never a 401. A session cookie, good or bad, makes it overlook the header. Raises Refusal."""
    header = request.headers.get("authorization", "").strip()
    if "session=" in request.headers.get("cookie", ""):
        header = ""
    if not header:
        raise Refusal(HTTPStatus.FORBIDDEN, "invalid session")
    try:
        user = known(app.users, *credentials(header))
    except BadHeader as error:
        raise Refusal(HTTPStatus.FORBIDDEN, str(error)) from error
    if user is None:
        raise Refusal(HTTPStatus.FORBIDDEN, "invalid API credentials")
    return user
