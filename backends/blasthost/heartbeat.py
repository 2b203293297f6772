"""Notice a dead line within seconds: a tiny command at regular intervals on a shell that stays open.

paramiko's keep-alive never notices, TCP's own takes ten seconds and more. Anything the host says counts as a
sign of life, so a long answer on a slow line is never taken for a dead one.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import paramiko

from backends.blasthost import frames
from backends.blasthost.dial import Link, lost


class Wake(threading.Event):
    """Set by a channel's buffers when there is something to read or it closed; cleared by the reader only."""

    def clear(self) -> None:
        """Two buffers share it: an empty one must not hide that the other has data."""

    def reset(self) -> None:
        super().clear()

    @classmethod
    def on(cls, channel: paramiko.Channel) -> "Wake":
        wake = cls()
        channel.in_buffer.set_event(wake)
        channel.in_stderr_buffer.set_event(wake)
        return wake


class Heartbeat:
    """Watches one link from its own thread until the link ends."""

    def __init__(self, link: Link, *, every: float, limit: float, on_beat: Callable[[float], None]) -> None:
        """`every`, `limit`: seconds between beats and without a sign of life; `on_beat(milliseconds)`."""
        self._link, self._every, self._limit, self._on_beat = link, every, limit, on_beat
        self._yielded = threading.Event()
        self._channel: paramiko.Channel | None = None
        threading.Thread(target=self._run, name="opsconsole-heartbeat", daemon=True).start()

    def make_way(self) -> None:
        """Give up the shell: on hosts that allow a single session (MaxSessions 1) commands need it more."""
        self._yielded.set()
        if self._channel is not None:
            self._channel.close()

    def _run(self) -> None:
        with contextlib.suppress(paramiko.SSHException, OSError, EOFError):
            self._beat()
        # Without a shell (restricted account, one session only) TCP's own limits are all there is.
        if not self._link.transport.is_active():
            self._link.end()

    def _beat(self) -> None:
        with self._guard():
            self._channel = channel = self._link.transport.open_session(timeout=self._limit)
            wake = Wake.on(channel)
            channel.exec_command(frames.SHELL_COMMAND.format("/bin/sh"))
        nonce = frames.new_nonce()
        while not self._yielded.is_set() and not channel.closed:
            started = time.monotonic()
            with self._guard():
                channel.sendall(f"printf '{nonce}\\n'\n".encode())
                answer = b""
                while nonce.encode() not in answer:
                    wake.wait()
                    wake.reset()
                    while channel.recv_stderr_ready():
                        channel.recv_stderr(65536)
                    if channel.recv_ready():
                        answer = answer[-len(nonce) :] + channel.recv(65536)
                    elif channel.closed or channel.eof_received:
                        return
            self._on_beat((time.monotonic() - started) * 1000)
            wake.wait(self._every - (time.monotonic() - started))

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """End the link when the body is not through within the limit and the wire has been silent as long."""
        done = threading.Event()
        started = time.monotonic()

        def watch() -> None:
            while True:
                silent_since = max(started, self._link.wire.heard)
                left = silent_since + self._limit - time.monotonic()
                if left <= 0:
                    self._link.end(lost(f"The host has not answered for {self._limit:g} s."))
                    return
                if done.wait(left):
                    return

        threading.Thread(target=watch, name="opsconsole-heartbeat-limit", daemon=True).start()
        try:
            yield
        finally:
            done.set()
