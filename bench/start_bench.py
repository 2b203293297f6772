"""Start, memory and bytes on the wire (P1, P8): `opsconsole` against a minimal Textual app, each behind a pty.

The minimal app has one DataTable of the same 30 rows and nothing else. Both are started in turn, so that a busy
machine slows both; what counts is the ratio of the medians.
"""

import fcntl
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from opsconsole import snapshot
from opsconsole.campaign import Approval, Details
from opsconsole.observation import Evidence, Mark, Observation, Report
from opsconsole.schedule import Due

ROWS, ROUNDS, WIDTH, HEIGHT = 30, 9, 140, 40
LAST_SEEN = "campaign-012"  # a row that both show on their first screen

MINIMAL = f"""
from textual.app import App
from textual.widgets import DataTable
class Minimal(App):
    def compose(self):
        yield DataTable(cursor_type="row")
    def on_mount(self):
        table = self.query_one(DataTable)
        table.add_columns("STATUS", "CAMPAIGN", "DUE", "AUDIENCE", "SAYS", "MOVED", "WHY")
        for n in range({ROWS}):
            table.add_row("OVERDUE", f"campaign-{{n:03}}", "today 10:00 PDT +22 min", "1,204", "D+F+C-L-", "-",
                          "approved, never started; nothing will start it")
Minimal().run()
"""

CONFIG = """
data_dir = "{folder}"
[operator]
name = "mara"
timezone = "America/Los_Angeles"
[environments.prod]
label = "PROD"
[environments.prod.blasthost.blast-mail-prod]
ssh = "ops@127.0.0.1:1"
ssh_config = "{folder}/none"
refresh_every = "1 h"
fresh_for = "1 d"
"""

OTHERS = """
[environments.prod.dashboard]
url = "http://127.0.0.1:1"
[environments.prod.listmonk.lists-prod]
url = "http://127.0.0.1:1"
user = "ops"
token = { env = "OPSCONSOLE_BENCH_TOKEN" }
[environments.prod.serverless.pipeline-prod]
region = "eu-central-1"
endpoint = "http://127.0.0.1:1"
"""

CARRIERS = ("blast-mail-prod", "lists-prod", "pipeline-prod")


@dataclass
class Painted:
    """One app behind a pty, from its start on."""

    command: list[str]
    began: float = 0.0
    written: int = 0
    seen: bytes = b""
    _child: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)
    _master: int = -1

    def start(self) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
        env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.began = time.perf_counter()
        self._child = subprocess.Popen(
            self.command, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True
        )
        os.close(slave)

    def until(self, text: bytes, limit: float = 60.0) -> float:
        """Seconds from the start until this text was written. Raises TimeoutError."""
        while time.perf_counter() - self.began < limit:
            self._read(0.2)
            if text in self.seen:
                return time.perf_counter() - self.began
        raise TimeoutError(f"{self.command} never wrote {text!r}: {self.seen[-400:]!r}")

    def quiet(self, seconds: float = 0.5, limit: float = 30.0) -> int:
        """Bytes written until nothing came for so long."""
        before, end = self.written, time.perf_counter() + limit
        while time.perf_counter() < end and self._read(seconds):
            pass
        return self.written - before

    def for_a_while(self, seconds: float) -> int:
        before, end = self.written, time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self._read(left)
        return self.written - before

    def press(self, keys: bytes) -> int:
        os.write(self._master, keys)
        return self.quiet(0.3)

    def peak_mb(self) -> float:
        assert self._child is not None
        status = Path(f"/proc/{self._child.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def stop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        os.close(self._master)

    def _read(self, wait: float) -> bool:
        if not select.select([self._master], [], [], wait)[0]:
            return False
        try:
            data = os.read(self._master, 1 << 16)
        except OSError:
            return False
        self.written += len(data)
        self.seen += data
        return True


def remember(folder: Path, carriers: tuple[str, ...] = CARRIERS[:1]) -> Path:
    """The path of a configuration; beside it the last known state of 30 campaigns, on these carriers in turn."""
    now = datetime.now(UTC)
    carried: dict[str, list[Observation]] = {name: [] for name in carriers}
    dashboard = []
    for number in range(ROWS):
        slug = f"campaign-{number:03}"
        due = Due(now - timedelta(minutes=22), "America/Los_Angeles", "today")
        files = (
            Evidence(letter="F", label="host files", mark=Mark.YES, text="complete, 1,204 rows"),
            Evidence(letter="C", label="host cron", mark=Mark.NO, text="no line"),
            Evidence(letter="L", label="host log", mark=Mark.NO, text="none"),
        )
        details = Details(name=slug, due=due, zone=due.zone, expected_recipients=1204)
        common: dict[str, Any] = {"slug": slug, "observed_at": now, "fresh_for": timedelta(days=1)}
        name = carriers[number % len(carriers)]
        carried[name].append(Observation(source=name, keeps_traces=True, details=details, evidence=files, **common))
        approved = (Evidence(letter="D", label="approval", mark=Mark.YES, text="approved by ana (t-71c0)"),)
        approval = Approval(by="ana", at=now - timedelta(days=2), reference="t-71c0")
        dashboard.append(
            Observation(source="dashboard", details=details, approval=approval, evidence=approved, **common)
        )
    day = timedelta(days=1)
    reports = [
        *(
            Report(source=name, looked_at=now, fresh_for=day, observations=tuple(words), keeps_traces=True)
            for name, words in carried.items()
        ),
        Report(source="dashboard", looked_at=now, fresh_for=day, observations=tuple(dashboard)),
    ]
    snapshot.save(folder / "last-known-prod.json", reports)
    path = folder / "config.toml"
    path.write_text(CONFIG.format(folder=folder) + (OTHERS if len(carriers) > 1 else ""))
    return path


def figure(name: str, ours: float, reference: float, unit: str, goal: str, digits: int = 0) -> dict[str, Any]:
    ratio = f"{ours / reference:.2f}" if reference else "–"
    return {
        "name": name,
        "ours": round(ours, digits),
        "reference": round(reference, digits),
        "ratio": ratio,
        "unit": unit,
        "goal": goal,
    }


def _starts(commands: dict[str, list[str]]) -> dict[str, tuple[list[float], list[float]]]:
    """Milliseconds and peak megabytes of each, in turn, the first round thrown away."""
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in commands}
    for number in range(ROUNDS + 1):
        for name, command in commands.items():
            app = Painted(command)
            app.start()
            try:
                milliseconds = app.until(LAST_SEEN.encode()) * 1000
                megabytes = app.peak_mb()
            finally:
                app.stop()
            if number:
                found[name][0].append(milliseconds)
                found[name][1].append(megabytes)
    return found


def _wire(command: list[str]) -> tuple[float, float, float]:
    """Bytes of the first paint, of an arrow key (median of seven), and of 3 s without a key."""
    app = Painted(command)
    app.start()
    try:
        app.until(LAST_SEEN.encode())
        app.for_a_while(0.05)
        first = app.written
        app.quiet(1.5)
        arrow = statistics.median(app.press(b"\x1b[B") for _ in range(7))
        idle = statistics.median(app.for_a_while(3.0) for _ in range(3))
    finally:
        app.stop()
    return first, arrow, idle


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as other:
        ours, four = (
            [sys.executable, "-m", "opsconsole.cli", "--config", str(config)]
            for config in (remember(Path(name)), remember(Path(other), CARRIERS))
        )
        minimal = [sys.executable, "-c", MINIMAL]
        starts = _starts({"ours": ours, "minimal": minimal, "four": four})
        wire = {"ours": _wire(ours), "minimal": _wire(minimal)}
    median: Callable[[list[float]], float] = statistics.median
    return [
        figure(
            "P1 start to painted board",
            median(starts["ours"][0]),
            median(starts["minimal"][0]),
            "ms",
            "≤ 1.3 × a minimal Textual app",
        ),
        figure(
            "P1 the same with four systems",
            median(starts["four"][0]),
            median(starts["minimal"][0]),
            "ms",
            "≤ 1.3 × a minimal Textual app",
        ),
        figure(
            "P1 peak memory at that moment",
            median(starts["ours"][1]),
            median(starts["minimal"][1]),
            "MB",
            "≤ 2 ×",
            1,
        ),
        figure("P8 bytes of the first paint", wire["ours"][0], wire["minimal"][0], "B", "≤ 1.2 ×"),
        figure("P8 bytes of an arrow key", wire["ours"][1], wire["minimal"][1], "B", "≤ 1.2 ×"),
        figure("P8 bytes in 3 idle seconds", wire["ours"][2], wire["minimal"][2], "B", "0"),
    ]


if __name__ == "__main__":
    for line in run():
        print(line)
