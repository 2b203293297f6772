"""P3: lines per second into the run screen, with the longest stall of its loop and the memory it takes.

    python -m bench.log_bench [lines]

Beside it, in the same run: Textual's own Log fed in batches of 2,000 lines, and the SSH session's stream with
nobody behind it. Without sshd only the figures without SSH are given.
"""

import asyncio
import json
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

from textual.app import App, ComposeResult
from textual.widgets import Log

from backends.blasthost.follow import follow
from backends.blasthost.session import HostSession
from backends.blasthost.sshconfig import Target
from opsconsole.ports import Followed
from screens.run import RunScreen
from tests.screens.stage import SLUG, Stage
from tests.support.programs import missing
from tests.support.sshd import Sshd

LINES = 300_000
BATCH = 2_000
TICK = 0.01
OPENING = 1.0  # seconds
SIZE = (160, 50)


def line(number: int) -> str:
    return (
        f"2026-05-12T17:52:{number % 60:02d}Z INFO delivered <user{number:07d}@example.com> 250 2.0.0 Ok: "
        f"queued as 4ABC{number:07d} in 0.032 s"
    )


class Ticker:
    """Notes how late a 10 ms tick of the loop comes: the longest is the longest stall."""

    def __init__(self) -> None:
        self.stall = 0.0
        self._task = asyncio.ensure_future(self._tick())

    async def _tick(self) -> None:
        before = time.perf_counter()
        while True:
            await asyncio.sleep(TICK)
            now = time.perf_counter()
            self.stall, before = max(self.stall, now - before - TICK), now

    def stop(self) -> float:
        self._task.cancel()
        return self.stall


class Plain(App[None]):
    """The reference: Textual's Log and nothing else."""

    def compose(self) -> ComposeResult:
        yield Log(max_lines=20_000)


async def plain_log(lines: list[str]) -> tuple[float, float]:
    """Seconds and the longest stall for Textual's Log, fed by a thread in batches."""
    app = Plain()
    async with app.run_test(size=SIZE) as pilot:
        log = app.query_one(Log)

        def feed() -> None:
            for start in range(0, len(lines), BATCH):
                app.call_from_thread(log.write_lines, lines[start : start + BATCH])

        await pilot.pause()
        ticker, begun = Ticker(), time.perf_counter()
        await asyncio.to_thread(feed)
        await pilot.pause()
        return time.perf_counter() - begun, ticker.stop()


async def run_screen(folder: Path, bring: Callable[..., Followed], count: int) -> tuple[float, float, float]:
    """Seconds from the log's first byte to its last line on the screen, longest stall, and megabytes it took.

    The screen stands open for a moment before the log begins: what is measured is the log.
    """
    stage, begin = Stage(folder), threading.Event()
    stage.host.running()

    def wait_and_bring(*asked: Any) -> Followed:
        begin.wait()
        return bring(*asked)

    stage.host.follow = wait_and_bring  # type: ignore[method-assign]
    async with stage.open(SIZE) as pilot:
        screen = RunScreen(SLUG, None)
        before = resident()
        pilot.app.push_screen(screen)
        await pilot.pause(OPENING)
        ticker, begun = Ticker(), time.perf_counter()
        begin.set()
        while screen.log_view.pane.shown < count:  # noqa: ASYNC110 - the screen has no event for it
            await asyncio.sleep(TICK)
        return time.perf_counter() - begun, ticker.stop(), resident() - before


def resident() -> float:
    """Resident memory of this process, in megabytes."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096 / 1e6


def from_memory(data: bytes) -> Callable[..., Followed]:
    def bring(slug: str, attempt: int, offset: int, on_output: Callable[[bytes], None], stop: Event) -> Followed:
        for start in range(offset, len(data), 32_768):
            on_output(data[start : start + 32_768])
        stop.wait()
        return Followed(offset=len(data), end=None)

    return bring


@contextmanager
def over_ssh(folder: Path, data: bytes) -> Iterator[tuple[HostSession, str]]:
    """A session to a real sshd, and the state folder there with this log in it, of a run that is over."""
    server = Sshd(folder / "sshd")
    state = folder / "runs"
    attempt = state / SLUG / "1"
    attempt.mkdir(parents=True)
    (attempt / "out").write_bytes(data)
    (attempt / "abandoned").touch()
    server.write_known_hosts()
    target = Target(
        alias="bench",
        hostname=server.host,
        port=server.port,
        user=server.user,
        identity_files=(server.key,),
        identities_only=True,
    )
    try:
        with HostSession(target, known_hosts=(server.known_hosts,)) as session:
            yield session, str(state)
    finally:
        server.stop()


def run(count: int = LINES) -> list[dict[str, Any]]:
    """Rates in lines a second (more is better), stalls in milliseconds, memory in megabytes."""
    lines = [line(number) for number in range(count)]
    data = "\n".join(lines).encode() + b"\n"
    folder = Path(tempfile.mkdtemp(prefix="opsconsole-log-bench-"))
    try:
        reference, reference_stall = asyncio.run(plain_log(lines))
        took, stall, memory = asyncio.run(run_screen(folder / "one", from_memory(data), count))
        _, _, more = asyncio.run(run_screen(folder / "two", from_memory(data * 4), count * 4))
        rows = [
            _row("run screen against Textual's Log", count / took, count / reference, "lines/s"),
            _row("longest stall", stall * 1000, reference_stall * 1000, "ms", "≤ 50 ms"),
            _row(f"memory, {count * 4:,} lines against {count:,}", more, memory, "MB"),
        ]
        if not missing("sshd"):
            rows += _ssh_rows(folder, data, count)
        return rows
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ssh_rows(folder: Path, data: bytes, count: int) -> list[dict[str, Any]]:
    with over_ssh(folder, data) as (session, state):
        session.ensure()
        begun = time.perf_counter()
        follow(session, state, SLUG, 1, 0, lambda piece: None, threading.Event(), lambda: None)
        alone = time.perf_counter() - begun

        def bring(
            slug: str, attempt: int, offset: int, on_output: Callable[[bytes], None], stop: Event
        ) -> Followed:
            follow(session, state, slug, attempt, offset, on_output, stop, lambda: None)
            stop.wait()
            return Followed(offset=len(data), end=None)

        took, stall, _ = asyncio.run(run_screen(folder / "three", bring, count))
    return [
        _row(
            "run screen over SSH against the stream alone",
            count / took,
            count / alone,
            "lines/s",
            "≥ 100,000 lines/s",
        ),
        _row("longest stall over SSH", stall * 1000, None, "ms", "≤ 50 ms"),
    ]


def _row(name: str, ours: float, reference: float | None, unit: str, goal: str = "") -> dict[str, Any]:
    row: dict[str, Any] = {"name": f"P3 {name}", "ours": round(ours, 1), "unit": unit}
    if reference:
        row |= {"reference": round(reference, 1), "ratio": round(ours / reference, 2)}
    return row | {"goal": goal}


if __name__ == "__main__":
    for figure in run(*map(int, sys.argv[1:])):
        print(json.dumps(figure, ensure_ascii=False))
