"""Notice a dead line within seconds: a tiny command at regular intervals on a shell that stays open.

paramiko's keep-alive never notices, TCP's own takes ten seconds and more. Anything the host says counts as a
sign of life, so a long answer on a slow line is never taken for a dead one.

The same thread keeps one channel ready for the next command: that command then takes one round trip instead
of three, and doesn't wait for the start-up files of the account's login shell.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import paramiko

from backends.blasthost import frames
from backends.blasthost.dial import Link, close_quietly
from backends.blasthost.trouble import lost


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
        self.link, self._every, self._limit, self._on_beat = link, every, limit, on_beat
        self._yielded = threading.Event()
        self._channel: paramiko.Channel | None = None
        self._spare: paramiko.Channel | None = None
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name="opsconsole-heartbeat", daemon=True).start()

    def make_way(self) -> None:
        """Give up both sessions: on hosts that allow very few (MaxSessions 1) commands need them more."""
        self._yielded.set()
        for channel in (self._channel, self.take_spare()):
            if channel is not None:
                close_quietly(channel)

    def take_spare(self) -> paramiko.Channel | None:
        """The channel that stands ready, with frames.COMMAND running on it; the caller closes it."""
        with self._lock:
            channel, self._spare = self._spare, None
        return None if channel is None or channel.closed or channel.eof_received else channel

    def _run(self) -> None:
        while self.link.transport.is_active() and not self._yielded.is_set():
            try:
                self._beat()
                break
            except paramiko.ChannelException:  # no session free just now
                time.sleep(self._every)
            except (paramiko.SSHException, OSError, EOFError):
                break
        # Without a shell (restricted account, one session only) TCP's own limits are all there is.
        if not self.link.transport.is_active():
            self.link.end()

    def _beat(self) -> None:
        self._channel = channel = self._open()
        wake = Wake.on(channel)
        channel.sendall(b"exec /bin/sh -s\n")
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
            self._keep_spare()
            wake.wait(self._every - (time.monotonic() - started))

    def _keep_spare(self) -> None:
        if self._spare is not None and not self._spare.closed:
            return
        with contextlib.suppress(paramiko.ChannelException):  # all sessions taken: do without
            spare = self._open()
            with self._lock:
                self._spare = spare
            if self._yielded.is_set():  # make_way() came while we opened it
                close_quietly(spare)

    def _open(self) -> paramiko.Channel:
        with self._guard():
            channel = self.link.transport.open_session(timeout=self._limit)
            channel.exec_command(frames.COMMAND)
            return channel

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """End the link when the body is not through within the limit and the wire has been silent as long."""
        done = threading.Event()
        started = time.monotonic()

        def watch() -> None:
            while True:
                silent_since = max(started, self.link.wire.heard)
                left = silent_since + self._limit - time.monotonic()
                if left <= 0:
                    self.link.end(lost(f"The host has not answered for {self._limit:g} s."))
                    return
                if done.wait(left):
                    return

        threading.Thread(target=watch, name="opsconsole-heartbeat-limit", daemon=True).start()
        try:
            yield
        finally:
            done.set()
