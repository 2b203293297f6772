"""An SSH blast host on a loopback port: paramiko's server side in front of the real /bin/sh.

Every exec runs as the current user, with a home of its own below a scratch root. It is no sandbox: it is a host
for the demo and the tests, it listens on loopback only, and lets in one key made for the occasion.
"""

import hmac
import logging
import os
import socket
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread, current_thread

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_FAILED_CONNECT_FAILED,
    OPEN_SUCCEEDED,
)

from backends.embedded.keys import KeyPair, make_key_pair
from backends.embedded.shell import Shell

LOG_CHANNEL = "opsconsole.embedded.ssh"
MAX_CONNECTIONS = 32
MAX_SESSIONS = 10  # a connection, as OpenSSH's own default
AUTH_SECONDS = 10.0


class EmbeddedSshHost:
    """`start()`, then `port`, `host_key` and `login_key` say how to reach it; `stop()` ends all it started.

    `cut()` drops every connection and refuses new ones until `mend()`: a host out of reach.
    """

    def __init__(
        self,
        root: Path,
        *,
        user: str = "blast",
        host_key: KeyPair | None = None,
        login_key: KeyPair | None = None,
        max_sessions: int = MAX_SESSIONS,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.root, self.user, self.max_sessions = root, user, max_sessions
        self.host_key = host_key or make_key_pair()
        self.login_key = login_key or make_key_pair()
        self.home = root / "home" / user
        self.port = 0
        self._environment = environment or {}
        self._lock = Lock()
        self._listener: socket.socket | None = None
        self._reachable = Event()
        self._connections: list[_Connection] = []
        logger = logging.getLogger(LOG_CHANNEL)  # a peer that hangs up is no news: keep it off the terminal
        logger.addHandler(logging.NullHandler())
        logger.propagate = False

    def __enter__(self) -> "EmbeddedSshHost":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def known_hosts_line(self) -> str:
        return f"[127.0.0.1]:{self.port} {self.host_key.public}"

    def start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._reachable.set()
        Thread(target=self._accept, args=(self._listener,), name="embedded-ssh-accept", daemon=True).start()

    def stop(self) -> None:
        """Closes the port and all connections, and ends the execs that still run. Detached children live on."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes accept(); close() alone would not
            listener.close()
        for connection in self._drop():
            connection.end_children()

    def cut(self) -> None:
        """Out of reach: drops every connection and refuses new ones. What runs on the host goes on."""
        self._reachable.clear()
        self._drop()

    def mend(self) -> None:
        self._reachable.set()

    def environment(self) -> dict[str, str]:
        """What a session's shell finds in its environment: little, as with sshd."""
        return {
            "HOME": str(self.home),
            "USER": self.user,
            "LOGNAME": self.user,
            "SHELL": "/bin/sh",
            "LANG": "C.UTF-8",
            "PATH": os.environ.get("PATH") or "/usr/local/bin:/usr/bin:/bin",
            **({"TZ": os.environ["TZ"]} if "TZ" in os.environ else {}),
            **self._environment,
        }

    def _drop(self) -> "list[_Connection]":
        with self._lock:
            dropped, self._connections = self._connections, []
        for connection in dropped:
            connection.close()
        return dropped

    def _accept(self, listener: socket.socket) -> None:
        while self._listener is listener:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._connections = [one for one in self._connections if one.alive]
                full = len(self._connections) >= MAX_CONNECTIONS
                if full or not self._reachable.is_set() or self._listener is not listener:
                    peer.close()
                    continue
                # Without this every small answer waits for the peer's delayed ACK: 44 ms instead of 2.
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection = _Connection(self, peer)
                self._connections.append(connection)
            Thread(target=connection.serve, name="embedded-ssh-connection", daemon=True).start()


class _Transport(paramiko.Transport):
    """Tells when the answer to a request is out: a child that ends at once must not close before it."""

    def __init__(self, peer: socket.socket) -> None:
        super().__init__(peer)
        self.unanswered: list[Event] = []

    def _send_user_message(self, data: paramiko.Message) -> None:
        super()._send_user_message(data)  # type: ignore[misc]  # not in the stubs
        if current_thread() is self:
            while self.unanswered:
                self.unanswered.pop().set()


class _Connection(paramiko.ServerInterface):
    """One client: who it is, and the shells it started. The check_* calls come on the transport's thread."""

    def __init__(self, host: EmbeddedSshHost, peer: socket.socket) -> None:
        self._host = host
        self._shells: list[Shell] = []
        self._channels: list[paramiko.Channel] = []
        self._opening = 0
        self._lock = Lock()
        self._closed = False
        self._transport = _Transport(peer)
        self._transport.set_log_channel(LOG_CHANNEL)
        self._transport.add_server_key(host.host_key.key)

    @property
    def alive(self) -> bool:
        return not self._closed

    def serve(self) -> None:
        negotiated = Event()
        try:
            self._transport.start_server(event=negotiated, server=self)
            negotiated.wait(AUTH_SECONDS)
            while self._transport.is_active():
                channel = self._transport.accept(0.5 if self._transport.is_authenticated() else AUTH_SECONDS)
                if channel is not None:
                    with self._lock:
                        self._opening -= 1
                        self._channels.append(channel)
                elif not self._transport.is_authenticated():
                    break
        except (OSError, EOFError, paramiko.SSHException):
            pass
        finally:
            self.close()

    def close(self) -> None:
        self._closed = True
        self._transport.close()

    def end_children(self) -> None:
        with self._lock:
            shells = list(self._shells)
        for shell in shells:
            shell.end()

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        right = hmac.compare_digest(key.asbytes(), self._host.login_key.key.asbytes())
        return AUTH_SUCCESSFUL if right and username == self._host.user else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        if kind != "session":
            return OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        with self._lock:
            self._channels = [channel for channel in self._channels if not channel.closed]
            if len(self._channels) + self._opening >= self._host.max_sessions:
                return OPEN_FAILED_CONNECT_FAILED
            self._opening += 1
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        return self._start(channel, ["/bin/sh", "-c", os.fsdecode(command)])

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        return self._start(channel, ["/bin/sh"])

    def _start(self, channel: paramiko.Channel, argv: list[str]) -> bool:
        try:
            shell = Shell(channel, argv, self._host.home, self._host.environment())
        except (OSError, ValueError):  # too long for exec, a NUL in it, no more processes
            return False
        with self._lock:
            self._shells = [one for one in self._shells if not one.done] + [shell]
        answered = Event()
        self._transport.unanswered.append(answered)
        shell.run(answered)
        return True
