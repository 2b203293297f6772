"""A blast host's folders in a temporary place, and the runner started there as a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.smtp_peer import SmtpPeer

HTML = "<html><body><p>Dear {{ first_name }},</p>\n.and a dot line\n<p>caf\u00e9 = fun</p></body></html>\n"
METADATA = {"name": "May", "subject": "For {{ first_name }}", "from": "The Shop <news@example.com>"}


@dataclass
class Ended:
    rc: int
    out: str
    err: str

    @property
    def json(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]

    @property
    def summary(self) -> dict[str, Any]:
        return self.json[-1]

    @property
    def unknown(self) -> list[int]:
        """The rows a look lists as unknown."""
        return [told["row"] for told in self.summary["rows"]]

    @property
    def states(self) -> list[str]:
        return [line["state"] for line in self.json if "state" in line]


class Host:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "campaigns" / "may"
        self.runs = root / "state" / "runs" / "may"
        self.log = root / "log" / "may.log"
        self.credentials = root / "credentials.conf"
        self.program = [sys.executable, "-m", "runner"]
        self.started: list[subprocess.Popen[bytes]] = []
        self.folder.mkdir(parents=True)
        self.log.parent.mkdir()

    def campaign(
        self,
        emails: Sequence[str] = (),
        *,
        html: str = HTML,
        csv: bytes | None = None,
        text: str | None = None,
        **metadata: Any,
    ) -> None:
        rows = "".join(f"{email},Ann{i}\n" for i, email in enumerate(emails, 1))
        (self.folder / "blast_template.html").write_text(html)
        (self.folder / "blast_data.csv").write_bytes(
            csv if csv is not None else f"email,first_name\n{rows}".encode()
        )
        (self.folder / "blast_metadata.json").write_text(json.dumps(METADATA | metadata))
        if text is not None:
            (self.folder / "blast_template.txt").write_text(text)

    def server(self, peer: SmtpPeer, extra: str = "") -> None:
        self.credentials.write_text(f"[smtp]\nhost = 127.0.0.1\nport = {peer.port}\ntls = none\n{extra}")
        self.credentials.chmod(0o600)

    def start(self, *args: str, stdout: int = subprocess.PIPE, **env: str) -> "subprocess.Popen[bytes]":
        places = {
            "MAIL_BLAST_CAMPAIGNS_DIR": self.root / "campaigns",
            "MAIL_BLAST_LOG_DIR": self.root / "log",
            "MAIL_BLAST_STATE_DIR": self.root / "state" / "runs",
            "MAIL_BLAST_CREDENTIALS": self.credentials,
        }
        process = subprocess.Popen(
            [*self.program, "--campaign", "may", "--mode", *args],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={
                **os.environ,
                "MAIL_BLAST_RETRY_BASE": "0.05",
                **{name: str(place) for name, place in places.items()},
                **env,
            },
        )
        self.started.append(process)
        return process

    def run(self, *args: str, **env: str) -> Ended:
        return self.ended(self.start(*args, **env))

    def ended(self, process: "subprocess.Popen[bytes]", seconds: float = 60) -> Ended:
        out, err = process.communicate(timeout=seconds)
        return Ended(process.returncode, (out or b"").decode(), err.decode())

    def journal(self, attempt: int = 1) -> list[str]:
        return (self.runs / str(attempt) / "journal").read_text().splitlines()

    def say(self, word: str) -> None:
        """What the console writes for pause, resume and cancel."""
        new = self.runs / "1" / "control.new"
        new.write_text(word)
        new.replace(self.runs / "1" / "control")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path)
    yield made
    for process in made.started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.communicate()


@pytest.fixture
def peer() -> Iterator[SmtpPeer]:
    server = SmtpPeer()
    yield server
    server.stop()


def wait_for(true: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never became true"
        time.sleep(0.01)
