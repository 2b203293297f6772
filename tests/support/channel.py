"""What is told over HTTP, taken on loopback: a chat channel, a pager, a dead-man switch."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CANARY = "T0CANARY0X/B1CANARY1Y"


class Channel:
    """Remembers what it was asked; answers with `status` and `body`, when `slow` only after a while."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.status, self.wait, self.body = 200, threading.Event(), b"ok"
        self.slow = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.got.append((self.path, dict(self.headers), json.loads(body or b"null")))
                if outer.slow:
                    outer.wait.wait(5)
                self.send_response(outer.status)
                if outer.status == 302:
                    self.send_header("Location", outer.url.replace("/services", "/elsewhere"))
                self.end_headers()
                self.wfile.write(outer.body)

            do_GET = do_POST  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/services/{CANARY}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def bodies(self) -> list[Any]:
        return [body for _, _, body in self.got]

    def close(self) -> None:
        self.wait.set()
        self.server.shutdown()
        self.server.server_close()
