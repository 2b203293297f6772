"""A TCP proxy between a client and a server, as slow, as deaf or as short-lived as a test wants."""

import contextlib
import heapq
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Literal

Way = Literal["up", "down"]
"""From the client to the server, and back."""


class Proxy:
    """Listens on loopback (`host`, `port`); `delay` in seconds each way; `black_hole` swallows everything.

    Connections stay open while the hole is on, as on a line that went dead without a word. What `stopped` names
    waits here and goes on later, as on a line that hangs. `after` acts behind an exact byte.
    """

    def __init__(self, to_host: str, to_port: int) -> None:
        self._to = (to_host, to_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._listener.getsockname()[:2]
        self.delay = 0.0
        self.black_hole = False
        self.stopped: set[Way] = set()
        self.connections = 0
        self.cuts = 0
        self._sockets: list[socket.socket] = []
        self._traps: dict[Way, tuple[int, Callable[[], object]]] = {}
        self._passing = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def cut(self, *, reset: bool = False) -> None:
        """End every open connection at once, politely or with a reset; new ones are taken."""
        self.cuts += bool(self._sockets)
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                if reset:  # whoever waits for bytes here lets go, and the close says RST
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    sock.shutdown(socket.SHUT_RD)
                    sock.close()
                else:
                    sock.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def after(self, way: Way, count: int, act: Callable[[], object]) -> None:
        """Once exactly `count` more bytes have gone `way`, over all connections: `act`, before the next goes."""
        with self._passing:
            self._traps[way] = (count, act)

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
            self.connections += 1
            self._sockets += [near, far]
            self._carry(near, far, "up")
            self._carry(far, near, "down")

    def _carry(self, source: socket.socket, sink: socket.socket, way: Way) -> None:
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
                while way in self.stopped and sink in self._sockets:
                    time.sleep(0.01)
                if self.black_hole:
                    continue
                try:
                    if not data:
                        sink.shutdown(socket.SHUT_WR)
                        return
                    self._pass(sink, data, way)
                except OSError:
                    return

        threading.Thread(target=read, daemon=True).start()
        threading.Thread(target=write, daemon=True).start()

    def _pass(self, sink: socket.socket, data: bytes, way: Way) -> None:
        """Hand on `data`, stopping on the way where a trap is set; raises OSError once the line is cut."""
        while data:
            with self._passing:
                left, act = self._traps.get(way, (len(data) + 1, None))
                piece, data = data[:left], data[left:]
                sprung = act is not None and len(piece) == left
                if sprung:
                    del self._traps[way]
                elif act is not None:
                    self._traps[way] = (left - len(piece), act)
            try:
                sink.sendall(piece)
            except OSError:
                if sprung and act is not None:  # on a line that had ended: the trap is for the next one
                    self.after(way, left, act)
                raise
            if sprung and act is not None:
                act()
                while way in self.stopped and sink in self._sockets:
                    time.sleep(0.01)
                if self.black_hole:
                    return
