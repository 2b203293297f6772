"""A TCP proxy between a client and a server, as slow or as deaf as a test wants."""

import contextlib
import heapq
import socket
import threading
import time


class Proxy:
    """Listens on loopback (`host`, `port`); `delay` in seconds each way; `black_hole` swallows everything.

    Connections stay open while the hole is on, as on a line that went dead without a word.
    """

    def __init__(self, to_host: str, to_port: int) -> None:
        self._to = (to_host, to_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._listener.getsockname()[:2]
        self.delay = 0.0
        self.black_hole = False
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """End every open connection at once; new ones are taken."""
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._to, timeout=5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            for sock in (near, far):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets += [near, far]
            for one, other in ((near, far), (far, near)):
                self._carry(one, other)

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        """Two threads a direction: one notes when each piece came in, one hands it on when it is due."""
        waiting: list[tuple[float, int, bytes]] = []
        news = threading.Condition()

        def read() -> None:
            number = 0
            data = b"?"
            while data:
                try:
                    data = source.recv(65536)
                except OSError:
                    data = b""
                number += 1
                with news:
                    heapq.heappush(waiting, (time.monotonic() + self.delay, number, data))
                    news.notify()

        def write() -> None:
            while True:
                with news:
                    while not waiting:
                        news.wait()
                    due, _, data = heapq.heappop(waiting)
                time.sleep(max(0.0, due - time.monotonic()))
                if self.black_hole:
                    continue
                try:
                    if not data:
                        sink.shutdown(socket.SHUT_WR)
                        return
                    sink.sendall(data)
                except OSError:
                    return

        threading.Thread(target=read, daemon=True).start()
        threading.Thread(target=write, daemon=True).start()
