"""Make one connection: socket, jumps, host-key check, then authentication, each with its own limit."""

import contextlib
import logging
import queue
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import paramiko

from backends.blasthost import hostkeys, keys
from backends.blasthost.errors import HostError, HostKeyRefused
from backends.blasthost.sshconfig import Target
from backends.blasthost.trouble import lost, unreachable

# Without a handler Python prints paramiko's errors on the terminal, in the middle of a screen.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr")
_TCP_OPTIONS = (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 10_000))


class Wire:
    """A socket that remembers when it last heard something: traffic is as good as a heartbeat's answer."""

    def __init__(self, sock: "socket.socket | paramiko.Channel") -> None:
        self._sock = sock
        self.heard = time.monotonic()

    def recv(self, size: int) -> bytes:
        data = self._sock.recv(size)
        self.heard = time.monotonic()
        return data

    def __getattr__(self, name: str) -> object:
        return getattr(self._sock, name)


class Link:
    """One live connection to a target; `identity` and `fingerprint` are read from it, not from the config."""

    def __init__(self, transports: list[paramiko.Transport], wire: Wire, identity: str) -> None:
        self.transport = transports[-1]
        self.wire = wire
        self.identity = identity
        self.fingerprint = hostkeys.fingerprint(self.transport.get_remote_server_key().asbytes())
        self.on_end: Callable[[Link], None] = lambda link: None
        self._transports = transports
        self._why: HostError | None = None
        self._lock = threading.Lock()
        self._ended = False

    @property
    def alive(self) -> bool:
        return not self._ended and self.transport.is_active()

    @property
    def why(self) -> HostError:
        """Why the connection ended, as far as anybody knows."""
        return self._why or lost("The connection was closed from the other side.")

    def end(self, why: HostError | None = None) -> None:
        """Close everything; calls that wait on a channel wake up at once. Later calls do nothing."""
        with self._lock:
            if self._ended:
                return
            self._ended, self._why = True, why
        for transport in reversed(self._transports):
            close_quietly(transport)
        self.on_end(self)


def close_quietly(thing: paramiko.Transport | paramiko.Channel | socket.socket) -> None:
    """Close it; saying goodbye over a line that is dead already is no error of anybody's."""
    with contextlib.suppress(EOFError, OSError, paramiko.SSHException):
        thing.close()


def dial(target: Target, known_hosts: Sequence[Path], *, timeout: float, compression: bool = True) -> Link:
    """Connect and authenticate to `target` through its jumps, or raise a HostError.

    `timeout` (seconds) bounds each of: name lookup, TCP connect, key exchange, authentication; for each hop.
    """
    transports: list[paramiko.Transport] = []
    wire: Wire | None = None
    agent = keys.Agent()
    try:
        for hop in (*target.proxy_jump, target):
            sock = _next_socket(hop, transports, timeout)
            wire = Wire(sock)
            transport = paramiko.Transport(wire)  # type: ignore[arg-type]  # it needs recv, send, close only
            transports.append(transport)
            _greet(transport, hop, known_hosts, timeout, compression)
            keys.authenticate(transport, hop, agent)
        assert wire is not None
        peer = (target.hostname, target.port) if target.proxy_jump else _peer(wire, target)
        host = f"[{peer[0]}]" if ":" in peer[0] else peer[0]
        return Link(transports, wire, f"{transports[-1].get_username()}@{host}:{peer[1]}")
    except BaseException as error:
        for transport in reversed(transports):
            # A transport that never started ignores close(); its socket does not.
            close_quietly(transport)
            close_quietly(transport.sock)
        if isinstance(error, (OSError, EOFError, paramiko.SSHException)):
            raise unreachable(target, f"broke off: {error or type(error).__name__}") from None
        raise
    finally:
        agent.close()


def _next_socket(
    hop: Target, before: list[paramiko.Transport], timeout: float
) -> "socket.socket | paramiko.Channel":
    if before:
        try:
            return before[-1].open_channel(
                "direct-tcpip", (hop.hostname, hop.port), ("127.0.0.1", 0), timeout=timeout
            )
        except paramiko.ChannelException as error:
            raise unreachable(hop, f"can't be reached from the jump host: {error.text}") from None
    if hop.proxy_command:
        return _proxy(hop.proxy_command)
    return _connect(hop, timeout)


def _connect(hop: Target, timeout: float) -> socket.socket:
    """Every address in turn, sharing `timeout`, so that a dead IPv6 route doesn't hide a working IPv4 one."""
    addresses = _lookup(hop, timeout)
    end = time.monotonic() + timeout
    problem: OSError | None = None
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        share = max(0.1, (end - time.monotonic()) / (len(addresses) - number))
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(share)
            sock.connect(address)
            # Without NODELAY a command takes 17 times as long on a short line and twice on a long one.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _TCP_OPTIONS:
                if hasattr(socket, name):
                    sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
            return sock
        except OSError as error:
            sock.close()
            problem = error
    if isinstance(problem, TimeoutError):
        raise unreachable(hop, f"did not answer within {timeout:g} s")
    if isinstance(problem, ConnectionRefusedError):
        raise unreachable(hop, "refused the connection: nothing listens on that port")
    raise unreachable(hop, f"can't be reached: {problem.strerror if problem else 'no address'}")


def _lookup(hop: Target, timeout: float) -> list[tuple[int, int, int, str, tuple[str | int, ...]]]:
    """getaddrinfo knows no limit, so it runs in a thread that may be left behind."""
    answers: queue.SimpleQueue[object] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(hop.hostname, hop.port, type=socket.SOCK_STREAM))
        except OSError as error:
            answers.put(error)

    threading.Thread(target=ask, name="opsconsole-lookup", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout)
    except queue.Empty:
        raise unreachable(hop, f"could not be looked up within {timeout:g} s") from None
    if isinstance(answer, list):
        return answer
    raise unreachable(hop, f"is not a name anybody knows: {getattr(answer, 'strerror', answer)}")


def _proxy(command: str) -> socket.socket:
    """The operator's own ProxyCommand on one end of a socket pair, which ends when the program does."""
    ours, theirs = socket.socketpair()
    with theirs:
        program = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {command}"],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    # It ends when our end closes; somebody has to collect it then.
    threading.Thread(target=program.wait, name="opsconsole-proxy", daemon=True).start()
    return ours


def _greet(
    transport: paramiko.Transport, hop: Target, known_hosts: Sequence[Path], timeout: float, compression: bool
) -> None:
    """Agree on algorithms and check who answers; nothing of ours is sent before that."""
    name, port = hop.key_name
    files = [*known_hosts, *hop.known_hosts_files]
    transport.banner_timeout = transport.handshake_timeout = timeout
    transport.auth_timeout = transport.channel_timeout = timeout
    options = transport.get_security_options()
    options.ciphers = _CIPHERS
    options.digests = tuple(digest for digest in options.digests if "sha2" in digest)
    try:
        options.key_types = hostkeys.preferred_algorithms(name, port, files, options.key_types)
    except OSError as error:
        raise HostKeyRefused(
            f"{error.filename} can't be read: {error.strerror}.",
            f"Whether {hop.alias} is the right host can't be checked; nothing was sent.",
            "Make the file readable for you, then press retry.",
        ) from None
    transport.use_compression(compression)
    try:
        transport.start_client(timeout=timeout)  # returns without a word when the time is up
        if not transport.initial_kex_done:
            raise paramiko.SSHException(f"no agreement within {timeout:g} s")
    except paramiko.ssh_exception.IncompatiblePeer as error:
        raise unreachable(hop, f"shares no algorithm with the console: {error}") from None
    except (paramiko.SSHException, EOFError, OSError) as error:
        said = str(error) or "it hung up"
        raise unreachable(hop, f"did not greet as an SSH server: {said}") from None
    hostkeys.check(name, port, transport.get_remote_server_key(), files)


def _peer(wire: Wire, target: Target) -> tuple[str, int]:
    with contextlib.suppress(OSError):
        address = wire._sock.getpeername()
        if isinstance(address, tuple):
            return address[0], address[1]
    return target.hostname, target.port
