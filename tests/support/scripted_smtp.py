"""A mail server on loopback that does at each step what the test says, and otherwise what RFC 5321 asks.

`server.on("RCPT", "450 4.2.0 later", times=1)` replaces the answer at a step; an answer is a line (or lines) or a
deed from below, and several are done one after the other. Steps: CONNECT, EHLO, HELO, STARTTLS, AUTH, RSET, MAIL,
RCPT, DATA, BODY (the first bytes after 354 are there), DOT (the message is complete), QUIT.
"""

import contextlib
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

Deed = Callable[["Talk"], str | None]  # what it answered, if it did
Act = str | Deed
_ADDRESS = re.compile(r"<([^>]*)>")


class Ended(Exception):
    """This connection is over."""


def cut(talk: "Talk") -> None:
    """Close the connection politely."""
    raise Ended


def reset(talk: "Talk") -> None:
    """Close it with RST: what was on its way is lost."""
    talk.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Ended


def hush(talk: "Talk") -> None:
    """Say nothing and read nothing any more until the other side has gone or the server stops."""
    talk.server.stopped.wait(60)
    raise Ended


def take(talk: "Talk") -> None:
    """Take responsibility for the message without a word."""
    talk.server.taken.append(Taken(talk.sender or "", talk.valid[0] if talk.valid else "", talk.content))


def pieces(text: str, size: int) -> Deed:
    """An answer in segments of `size` bytes."""

    def act(talk: "Talk") -> str:
        data = text.encode() + b"\r\n"
        for start in range(0, len(data), size):
            talk.sock.sendall(data[start : start + size])
            time.sleep(0.001)  # so that each is a segment, mostly
        return text

    return act


@dataclass(frozen=True)
class Taken:
    sender: str
    recipient: str
    content: bytes


@dataclass
class _Rule:
    step: str
    acts: tuple[Act, ...]
    times: int | None
    recipient: str | None


@dataclass
class ScriptedSmtp:
    """`taken` is what the server took responsibility for, `steps` what each connection said, `segments` what each
    read gave. `data_to_nobody`: DATA gets 354 even without a valid recipient. `room`: connections at a time."""

    extensions: tuple[str, ...] = ("PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME")
    tls: ssl.SSLContext | None = None
    start_tls: ssl.SSLContext | None = None
    data_to_nobody: bool = False
    room: int = 1000
    family: socket.AddressFamily = socket.AF_INET
    port: int = 0
    taken: list[Taken] = field(default_factory=list)
    steps: list[list[str]] = field(default_factory=list)
    segments: list[bytes] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()
        self._socks: list[socket.socket] = []
        self.guests: list[list[str]] = []  # the connections there are
        host = "::1" if self.family == socket.AF_INET6 else "127.0.0.1"
        self._listener = socket.create_server((host, self.port), family=self.family, backlog=100)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def on(self, step: str, *acts: Act, times: int | None = None, recipient: str | None = None) -> None:
        """At `step` (of that recipient's message only), for so many times: these acts in place of the answer."""
        self._rules.append(_Rule(step, acts, times, recipient))

    def recipients(self) -> list[str]:
        return [mail.recipient for mail in self.taken]

    def say_unasked(self, text: str) -> None:
        """To every open connection."""
        for sock in list(self._socks):
            with contextlib.suppress(OSError):
                sock.sendall(text.encode() + b"\r\n")

    def stop(self) -> None:
        self.stopped.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # a close alone lets one more in
        self._listener.close()
        for sock in list(self._socks):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def rule(self, step: str, recipient: str) -> tuple[Act, ...] | None:
        with self._lock:
            for rule in self._rules:
                if rule.step == step and rule.recipient in (None, recipient) and rule.times != 0:
                    if rule.times is not None:
                        rule.times -= 1
                    return rule.acts
        return None

    def leave(self, steps: list[str]) -> None:
        """That connection is none any more."""
        with self._lock:
            self.guests = [guest for guest in self.guests if guest is not steps]

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        steps: list[str] = []
        with self._lock:
            self.guests.append(steps)
            self.steps.append(steps)
            full = len(self.guests) > self.room
        try:
            if self.tls is not None:
                sock = self.tls.wrap_socket(sock, server_side=True)
            self._socks.append(sock)
            if full:
                sock.sendall(b"421 4.7.0 too many connections\r\n")
            else:
                Talk(self, sock, steps).run()
        except (OSError, Ended) as error:
            self.alerts.append(f"{type(error).__name__}: {error}")
        finally:
            self.leave(steps)
            with contextlib.suppress(ValueError):
                self._socks.remove(sock)
            sock.close()


class Talk:
    """One connection."""

    def __init__(self, server: ScriptedSmtp, sock: socket.socket, steps: list[str]) -> None:
        self.server = server
        self.sock = sock
        self.sender: str | None = None
        self.valid: list[str] = []
        self.content = b""
        self._steps = steps
        self._rest = b""
        self._asked = ""  # the recipient last named

    def run(self) -> None:
        self._step("CONNECT", "220 script.example.test ESMTP")
        while True:
            line = self._line()
            verb = line.split(" ")[0].split(":")[0].upper()
            if verb == "DATA":
                self._data()
            elif verb == "QUIT":
                self.server.leave(self._steps)  # before the word is out
                self._step("QUIT", "221 2.0.0 bye")
                return
            else:
                self._command(verb, line)

    def forget(self) -> None:
        """What was read and not looked at yet."""
        self._rest = b""

    def _command(self, verb: str, line: str) -> None:
        named = _ADDRESS.search(line)
        address = named[1] if named else ""
        if verb == "EHLO":
            offered = list(self.server.extensions) + (["STARTTLS"] if self.server.start_tls else [])
            lines = ["script.example.test", *offered]
            marks = ["-"] * (len(lines) - 1) + [" "]
            self._step(verb, "\r\n".join(f"250{mark}{text}" for mark, text in zip(marks, lines, strict=True)))
        elif verb == "STARTTLS":
            if self._step(verb, "220 2.0.0 go ahead") and self.server.start_tls is not None:
                self.sock = self.server.start_tls.wrap_socket(self.sock, server_side=True)
        elif verb == "RSET":
            self.sender, self.valid = None, []
            self._step(verb, "250 2.0.0 ok")
        elif verb == "MAIL":
            fine = self.sender is None
            if self._step(verb, "250 2.1.0 ok" if fine else "503 5.5.1 nested MAIL") and fine:
                self.sender = address
        elif verb == "RCPT":
            self._asked = address
            fine = self.sender is not None
            if self._step(verb, "250 2.1.5 ok" if fine else "503 5.5.1 MAIL first") and fine:
                self.valid.append(address)
        elif verb in ("HELO", "AUTH"):
            self._step(verb, "250 ok" if verb == "HELO" else "235 2.7.0 welcome")
        else:
            self._step(verb, "500 5.5.2 what?")

    def _data(self) -> None:
        if not self.valid and not self.server.data_to_nobody:
            self._step("DATA", "554 5.5.1 no valid recipients")
            return
        if not self._step("DATA", "354 go ahead"):
            return
        self._more()
        self._step("BODY", "")
        while not (self._rest.startswith(b".\r\n") or b"\r\n.\r\n" in self._rest):
            self._more()
        if self._rest.startswith(b".\r\n"):
            self.content, self._rest = b"", self._rest[3:]
        else:
            self.content, _, self._rest = self._rest.partition(b"\r\n.\r\n")
        self._step("DOT", "250 2.0.0 queued" if self.valid else "554 5.5.1 no valid recipients")
        self.sender, self.valid = None, []

    def _step(self, step: str, usual: str) -> bool:
        """Answer; whether the usual went out, or another 2xx or 354 in its place."""
        self._steps.append(step)
        acts = self.server.rule(step, self._asked)
        if acts is None:
            acts = (usual,) if usual else ()
        told = "250"
        for act in acts:
            if callable(act):
                told = act(self) or told
            else:
                told = act
                if step == "DOT" and act.startswith("2"):  # before the word is out
                    take(self)
                self.sock.sendall(act.encode() + b"\r\n")
        return told[0] in "23"

    def _line(self) -> str:
        while b"\n" not in self._rest:
            self._more()
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode("latin-1").rstrip("\r")

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise Ended
        self.server.segments.append(data)
        self._rest += data
