"""A dashboard that is killed, stands still, drips, loops, floods or answers nonsense blocks nothing: the look ends
within its time limit, its line on the board says what happened, and the other sources' rows are there meanwhile."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backends.dashboard import LOOK, DashboardBackend
from opsconsole.board import assemble
from opsconsole.observation import Observation, Report, Says
from opsconsole.policy import Policy
from opsconsole.ports import OutOfReach, Trouble
from opsconsole.settings import Dashboard
from opsconsole.watch import Watch, Watched
from tests.faults.support import report

pytestmark = pytest.mark.slow

LIMIT = timedelta(seconds=1)  # as configured; everything below is measured in it
SLACK = 4  # times LIMIT, for a machine that is busy
FRESH = timedelta(seconds=90)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
HOG = 200 * 1024 * 1024


def drip_body(line: socket.socket) -> None:
    """A byte of the body each second, of a thousand."""
    line.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
    _drip(line, b" " * 1000)


def drip_head(line: socket.socket) -> None:
    """Not even the headers come faster: no limit on a single read notices."""
    _drip(line, HEAD + b"X-Long: " + b"x" * 1000)


def _drip(line: socket.socket, data: bytes) -> None:
    for number in range(len(data)):
        line.sendall(data[number : number + 1])
        time.sleep(LIMIT.total_seconds() / 3)


def flood(line: socket.socket) -> None:
    """As much as the other side takes, and it never said how much that would be."""
    line.sendall(HEAD + b"Connection: close\r\n\r\n")
    for _ in range(HOG // 65536):
        line.sendall(b" " * 65536)


def announced_flood(line: socket.socket) -> None:
    line.sendall(HEAD + f"Content-Length: {HOG}\r\n\r\n".encode())
    for _ in range(HOG // 65536):
        line.sendall(b" " * 65536)


def half(line: socket.socket) -> None:
    line.sendall(HEAD + b'Content-Length: 1000\r\n\r\n{"data": [')


def error(line: socket.socket) -> None:
    line.sendall(b"HTTP/1.1 500 Oh\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")


def circle(line: socket.socket) -> None:
    """To itself with another number each time, so that no address comes twice."""
    here = f"/round?{time.monotonic_ns()}"
    line.sendall(f"HTTP/1.1 302 Found\r\nLocation: {here}\r\nContent-Length: 0\r\n\r\n".encode())


def page(line: socket.socket) -> None:
    html = b"<!doctype html><title>Sign in</title>"
    line.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(html), html))


def garbage(line: socket.socket) -> None:
    line.sendall(os.urandom(64) + b"\r\n\r\n")


def silent(line: socket.socket) -> None:
    """Takes the request, and that is all."""
    while line.recv(65536):
        pass


CASES: list[tuple[Callable[[socket.socket], None], str]] = [
    (drip_body, "didn't answer within 1 s"),
    (drip_head, "didn't answer within 1 s"),
    (silent, "didn't answer within 1 s"),
    (flood, "answered with more than 32 MiB"),
    (announced_flood, "answered with more than 32 MiB"),
    (half, "broke off"),
    (error, "failed by itself (500)"),
    (circle, "round in a circle (302"),
    (page, "text/html and not JSON"),
    (garbage, "broke off"),
]


class Answering:
    """A server that does `act` to every request; `fired` counts how often."""

    def __init__(self, act: Callable[[socket.socket], None]) -> None:
        self._act, self.fired = act, 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self._lines: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._server.accept()
                self._lines.append(line)
                threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        with suppress(OSError), line:
            while data := line.recv(65536):
                if not data.startswith((b"GET ", b"POST ", b"PATCH ")):
                    continue  # the body of a request whose head came alone
                self.fired += 1
                self._act(line)
                if self._act in (half, flood, garbage):
                    return

    def close(self) -> None:
        self._server.close()
        for line in self._lines:
            line.close()


@contextmanager
def answering(act: Callable[[socket.socket], None]) -> Iterator[Answering]:
    server = Answering(act)
    try:
        yield server
    finally:
        server.close()


def reach(url: str) -> DashboardBackend:
    return DashboardBackend("dashboard", Dashboard(url=url), fresh_for=FRESH, timeout=LIMIT)


class Quick:
    """Another source, which answers at once."""

    name = "blast-1"

    def observe(self) -> Report:
        now = datetime.now(UTC)
        word = Observation(
            source=self.name, slug="spring-offer", observed_at=now, fresh_for=FRESH, says=Says.NOTHING
        )
        return Report(source=self.name, looked_at=now, fresh_for=FRESH, observations=(word,))

    def close(self) -> None: ...


def took(work: Callable[[], object]) -> float:
    """In LIMITs."""
    began = time.monotonic()
    work()
    return (time.monotonic() - began) / LIMIT.total_seconds()


def watched(url: str, within: float) -> tuple[list[str], str]:
    """What was wrong on the way, and what the dashboard's line says at the end."""
    backend = reach(url)
    sources = (Watched(backend, timedelta(minutes=5)), Watched(Quick(), timedelta(minutes=5)))
    watch = Watch(sources, lambda: datetime.now(UTC), None)
    wrong, answered = [], threading.Event()
    watch.on_change(lambda name: answered.set() if name == "dashboard" else None)
    began = time.monotonic()
    watch.start()

    def rows() -> list[str]:
        reports, unheard = watch.heard()
        return [v.slug for v in assemble(reports, Policy(), datetime.now(UTC), unheard).verdicts]

    while not rows() and not answered.is_set() and time.monotonic() - began < within:
        time.sleep(0.01)
    if rows() != ["spring-offer"]:
        wrong.append("the other source's row had to wait")
    if not answered.wait(within):
        wrong.append("the look didn't end")
    reports, unheard = watch.heard()
    lines = {s.name: s for s in assemble(reports, Policy(), datetime.now(UTC), unheard).sources}
    watch.stop()
    backend.close()
    if not lines["blast-1"].fresh:
        wrong.append("the other source isn't fresh")
    return wrong, lines["dashboard"].trouble if "dashboard" in lines else ""


@pytest.mark.parametrize(("act", "words"), CASES, ids=[act.__name__ for act, _ in CASES])
def test_whatever_a_dashboard_does_the_look_ends_in_time_and_says_what_it_was(
    act: Callable[[socket.socket], None], words: str
) -> None:
    with answering(act) as server:
        wrong, says = watched(server.url, (LOOK + SLACK) * LIMIT.total_seconds())
        backend = reach(server.url)
        told: list[Trouble] = []

        def record() -> None:
            try:
                backend.record({"slug": "spring-offer", "run_id": "r1", "status": "sent"})
            except Trouble as trouble:
                told.append(trouble)

        before = server.fired
        if took(record) > 1 + SLACK:
            wrong.append("writing took too long")
        backend.close()
        if server.fired - before > 1:
            wrong.append("a write was repeated")
        fired = server.fired
    if words not in says:
        wrong.append(f"says {says!r}")
    if not told:
        wrong.append("a write counted as done")
    report(f"slow sources: {act.__name__}", 2, fired, len(wrong))
    assert not wrong


SERVE = """
import sys, pathlib, time
from backends.embedded.dashboard_server import DashboardServer
from backends.embedded.dashboard_state import DashboardState
rows = [{"slug": f"campaign-{n}", "status": "draft"} for n in range(20)]
with DashboardServer(DashboardState(pathlib.Path(sys.argv[1]), rows, []), "t") as server:
    print(server.url, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A dashboard in a process of its own, that can be stopped and killed."""
    command = [sys.executable, "-c", SERVE, str(tmp_path / "state.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            yield child, child.stdout.readline().strip()
        finally:
            child.kill()


def test_a_dashboard_that_is_stopped_and_then_killed(process: tuple[subprocess.Popen[str], str]) -> None:
    """SIGSTOP: it accepts, and never answers. SIGCONT: it is back by itself. SIGKILL: nobody is there."""
    child, url = process
    backend = reach(url)
    heard: list[str] = []
    wrong = []

    def look() -> None:
        heard.append(backend.observe().trouble)

    look()
    child.send_signal(signal.SIGSTOP)
    if took(look) > LOOK + SLACK:
        wrong.append("stopped: the look took too long")
    child.send_signal(signal.SIGCONT)
    look()
    child.kill()
    child.wait(10)
    if took(look) > LOOK + SLACK:
        wrong.append("killed: the look took too long")
    backend.close()

    running, stopped, again, killed = heard
    report("slow sources: stopped and killed", 2, (stopped != running) + (killed != again), len(wrong))
    assert not wrong
    assert "401" in running, "it asks for a token, which is an answer"
    assert "401" in again
    assert "didn't answer within 1 s" in stopped
    assert "can't be reached" in killed


def test_a_line_that_was_given_up_is_not_left_open() -> None:
    """Ten looks at a dashboard that drips: neither threads nor lines pile up."""
    with answering(drip_head) as server:
        backend = DashboardBackend(
            "dashboard", Dashboard(url=server.url), fresh_for=FRESH, timeout=timedelta(seconds=0.2)
        )
        for _ in range(10):
            assert "didn't answer" in backend.observe().trouble
        ends = time.monotonic() + 10 * LIMIT.total_seconds()

        def left() -> int:
            return sum(thread.name == "rest" for thread in threading.enumerate())

        while left() and time.monotonic() < ends:
            time.sleep(0.05)
        still, fired = left(), server.fired
        backend.close()
    report("slow sources: given up", 10, fired, still)
    assert not still


def test_a_write_that_was_given_up_is_not_sent_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is resolved after the call gave up: nothing may be written then, where a newer word may be."""
    resolve, asked = socket.getaddrinfo, threading.Event()

    def slowly(*args: object, **named: object) -> object:
        asked.set()
        time.sleep(0.6)
        return resolve(*args, **named)  # type: ignore[arg-type, call-overload]

    with answering(silent) as server:
        monkeypatch.setattr(socket, "getaddrinfo", slowly)
        backend = DashboardBackend(
            "dashboard", Dashboard(url=server.url), fresh_for=FRESH, timeout=timedelta(seconds=0.2)
        )
        with pytest.raises(OutOfReach, match=r"didn't answer within 0\.2 s"):
            backend.record({"slug": "spring-offer", "run_id": "r1", "status": "sent"})
        ends = time.monotonic() + 10 * LIMIT.total_seconds()
        while any(thread.name == "rest" for thread in threading.enumerate()) and time.monotonic() < ends:
            time.sleep(0.05)
        backend.close()
        report("slow sources: late write", 1, int(asked.is_set()), server.fired)
        assert server.fired == 0
