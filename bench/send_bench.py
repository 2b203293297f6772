"""P6: messages a second, the full path with a durable journal, against the mail software's own source and others.

    python -m bench.send_bench [messages] [rounds]
    python -m bench.send_bench growth

One message is about 10 KB with one recipient; all go to Postfix' smtp-sink on loopback. Every round runs each
sender once, one after the other; the figures are the medians of the rounds' ratios to `smtp-source -d -s 20` of
that round. The slow ways send fewer messages. The runner's time is its own, from the journal's first record to the
last answer (`send`), and that of the whole process, which also looks at every row before the first message
(`whole`).
"""

import contextlib
import importlib.util
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import trustme

from runner.campaign.address import check
from runner.campaign.files import open_campaign
from runner.message.mail import Composer

MESSAGES, ROUNDS = 40_000, 5
FAR_MESSAGES = 2_000
CONNECTIONS = 20
PARAGRAPH = (
    '<tr><td class="cell" style="padding:12px 24px;font-family:Helvetica,Arial,sans-serif;font-size:15px">'
    "This month the garden is full again: see what our growers picked for you, and what to sow before the frost."
    "</td></tr>\n"
)
HTML = (
    "<!doctype html>\n<html><head><title>News</title></head><body><table>\n"
    "<tr><td><h1>Hello {{ first_name }} {{ last_name }}!</h1></td></tr>\n"
    + PARAGRAPH * 40
    + "<tr><td>Your city is {{ city }}, your code <b>{{ code }}</b>.</td></tr>\n</table></body></html>\n"
)
TEXT = "Hello {{ first_name }}!\n\nThe news of this month are in the HTML part.\nYour code: {{ code }}\n"
METADATA = {
    "name": "Garden news",
    "subject": "News for {{ first_name }}",
    "from": "Garden <news@example.com>",
    "list_unsubscribe": "https://example.com/u/{{ code }}",
}


class Stage:
    """A campaign, a sink and what the runner needs, in a temporary folder."""

    def __init__(self, root: Path, messages: int) -> None:
        self.root, self.messages = root, messages
        self.env: dict[str, str] = {}
        self.folder = root / "campaigns" / "garden"
        self.folder.mkdir(parents=True)
        (root / "log").mkdir()
        (self.folder / "blast_template.html").write_text(HTML)
        (self.folder / "blast_template.txt").write_text(TEXT)
        (self.folder / "blast_metadata.json").write_text(json.dumps(METADATA))
        with (self.folder / "blast_data.csv").open("w") as file:
            file.write("email,first_name,last_name,city,code\n")
            for n in range(messages):
                file.write(f"user{n}@example.com,Ann{n},Miller,Little Hampton,{n:08x}\n")
        self.port = free_port()
        credentials = root / "credentials.conf"
        credentials.write_text(f"[smtp]\nhost = 127.0.0.1\nport = {self.port}\ntls = none\n")
        credentials.chmod(0o600)
        (self.folder / "mail").write_bytes(self._one_mail())

    def _one_mail(self) -> bytes:
        campaign = open_campaign(self.folder.parent, "garden")
        row = next(iter(campaign.reader()))
        reader = campaign.reader()
        composer = Composer("garden", campaign.metadata, campaign.html, campaign.text, reader.columns)
        to = check("user0@example.com")
        data: bytes = composer.compose(row.values, to, time.time()).data  # type: ignore[arg-type, union-attr]
        campaign.close()
        return data.removesuffix(b".\r\n")

    def sink(self) -> contextlib.AbstractContextManager[None]:
        user = ["-u", "nobody"] if os.getuid() == 0 else []
        return self._server([program("smtp-sink"), *user, "-4", f"127.0.0.1:{self.port}", "512"])

    def far_sink(self, milliseconds: int) -> contextlib.AbstractContextManager[None]:
        """A server that answers after so many milliseconds."""
        return self._server([sys.executable, "-m", "bench.far_sink", str(self.port), str(milliseconds)])

    def tls_sink(self) -> contextlib.AbstractContextManager[None]:
        """A server that speaks TLS, which the runner is told to speak and to trust from now on."""
        authority = trustme.CA()
        ours, theirs = self.root / "authority.pem", self.root / "certificate.pem"
        authority.cert_pem.write_to_path(str(ours))
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(theirs))
        credentials = self.root / "credentials.conf"
        credentials.write_text(credentials.read_text().replace("tls = none", "tls = tls"))
        self.env["SSL_CERT_FILE"] = str(ours)
        return self._server([sys.executable, "-m", "bench.far_sink", str(self.port), "0", str(theirs)])

    @contextlib.contextmanager
    def _server(self, command: list[str]) -> Iterator[None]:
        process = subprocess.Popen(command)
        try:
            until_open(self.port)
            yield
        finally:
            process.terminate()
            process.wait(10)

    def source(self) -> float:
        """Messages a second of smtp-source."""
        addresses = ["-f", "news@example.com", "-t", "somebody@example.com"]
        command = [program("smtp-source"), "-4", "-d", "-s", str(CONNECTIONS), "-m", str(self.messages), *addresses]
        began = time.perf_counter()
        subprocess.run(
            [*command, "-F", str(self.folder / "mail"), f"127.0.0.1:{self.port}"],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return self.messages / (time.perf_counter() - began)

    def sender(self, name: str, messages: int, *fast: str) -> float:
        """Messages a second of one of `bench.senders`."""
        command = [sys.executable, "-m", "bench.senders", name, str(self.port), str(messages), str(self.folder)]
        done = subprocess.run([*command, *fast], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return messages / float(done.stdout)

    def runner(self, *, uvloop: bool, journal: bool = True) -> tuple[float, float]:
        """Messages a second of the runner: of the send alone, and of the whole process."""
        shutil.rmtree(self.root / "state", ignore_errors=True)
        env = {
            **os.environ,
            **self.env,
            "MAIL_BLAST_CAMPAIGNS_DIR": str(self.folder.parent),
            "MAIL_BLAST_LOG_DIR": str(self.root / "log"),
            "MAIL_BLAST_STATE_DIR": str(self.root / "state" / "runs"),
            "MAIL_BLAST_CREDENTIALS": str(self.root / "credentials.conf"),
            "BENCH_NO_UVLOOP": "" if uvloop else "1",
            "BENCH_NO_JOURNAL": "" if journal else "1",
        }
        command = [sys.executable, "-m", "bench.runner_as", "--campaign", "garden", "--mode", "send"]
        began = time.perf_counter()
        done = subprocess.run([*command, "--connections", str(CONNECTIONS)], env=env, stdout=subprocess.PIPE)
        whole = time.perf_counter() - began
        summary = json.loads(done.stdout.splitlines()[-1])
        assert done.returncode == 0, done.stdout[-2000:]
        assert summary["counts"]["accepted"] == self.messages
        return self.messages / summary["duration_s"], self.messages / whole


def run(messages: int = MESSAGES, rounds: int = ROUNDS) -> list[dict[str, Any]]:
    fast = importlib.util.find_spec("uvloop") is not None
    few = max(1, messages // 40)
    found: dict[str, list[float]] = {}
    rates: dict[str, list[float]] = {}

    def note(name: str, rate: float, source: float) -> None:
        rates.setdefault(name, []).append(rate)
        found.setdefault(name, []).append(rate / source)

    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder), messages)
        with stage.sink():
            for _ in range(rounds):
                source = stage.source()
                note("smtp-source -d -s 20", source, source)
                for loop in ("uvloop", "asyncio") if fast else ("asyncio",):
                    send, whole = stage.runner(uvloop=loop == "uvloop")
                    note(f"runner, {loop}: send", send, source)
                    note(f"runner, {loop}: whole", whole, source)
                bare, _ = stage.runner(uvloop=fast, journal=False)
                note("runner, no journal", bare, source)
                note("aiosmtplib.sendmail, 20 connections", stage.sender("sendmail", messages // 8), source)
                if fast:
                    note("the same, uvloop", stage.sender("sendmail", messages // 8, "uvloop"), source)
                note("smtplib, one connection kept", stage.sender("smtplib", messages // 8), source)
                note("the naive way", stage.sender("naive", few), source)
    return figures(rates, found) + far(rounds) + tls(messages, rounds)


def far(rounds: int) -> list[dict[str, Any]]:
    """At 20 ms to the answer: what pipelining is for."""
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder), FAR_MESSAGES)
        with stage.far_sink(20):
            for _ in range(min(rounds, 3)):
                ours.append(stage.runner(uvloop=False)[0])
                theirs.append(stage.sender("sendmail", FAR_MESSAGES))
    return [
        {
            "name": "P6 at 20 ms to each answer, against aiosmtplib.sendmail",
            "ours": f"{statistics.median(ours):,.0f}",
            "reference": f"{statistics.median(theirs):,.0f}",
            "ratio": f"{statistics.median(a / b for a, b in zip(ours, theirs, strict=True)):.2f}",
            "unit": "messages/s",
            "goal": "≥ 1.9",
        }
    ]


def tls(messages: int, rounds: int) -> list[dict[str, Any]]:
    """Under TLS to a server in Python, against smtp-source in clear to smtp-sink."""
    ours, ratios = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            stage = Stage(Path(folder), messages)
            with stage.sink():
                source = stage.source()
            with stage.tls_sink():
                ours.append(stage.runner(uvloop=False)[0])
            ratios.append(ours[-1] / source)
    return [
        {
            "name": "P6 runner under TLS against smtp-source in clear",
            "ours": f"{statistics.median(ours):,.0f}",
            "reference": f"{statistics.median(ours) / statistics.median(ratios):,.0f}",
            "ratio": f"{statistics.median(ratios):.2f}",
            "unit": "messages/s",
            "goal": "≥ 0.5",
        }
    ]


def growth(small: int = 10_000, large: int = 1_000_000) -> list[dict[str, Any]]:
    """What one recipient takes among few and among many, and the memory. Not part of run(): it takes long."""
    seconds, memory = {}, {}
    for count in (small, large):
        with tempfile.TemporaryDirectory() as folder:
            stage = Stage(Path(folder), count)
            note = stage.root / "memory"
            stage.env["BENCH_MEMORY"] = str(note)
            with stage.sink():
                rates = [stage.runner(uvloop=True)[0] for _ in range(5 if count == small else 1)]
            seconds[count], memory[count] = 1 / statistics.median(rates), int(note.read_text()) / 1024
    return [
        {
            "name": f"P10 a recipient of {large:,} against one of {small:,}",
            "ours": f"{seconds[large] * 1e6:.1f}",
            "reference": f"{seconds[small] * 1e6:.1f}",
            "ratio": f"{seconds[large] / seconds[small]:.2f}",
            "unit": "µs",
            "goal": "≤ 1.1",
        },
        {
            "name": f"P10 memory of a send to {large:,} against one to {small:,}",
            "ours": f"{memory[large]:.0f}",
            "reference": f"{memory[small]:.0f}",
            "ratio": f"{memory[large] / memory[small]:.2f}",
            "unit": "MB",
            "goal": "≤ 100 MB",
        },
    ]


def figures(rates: dict[str, list[float]], found: dict[str, list[float]]) -> list[dict[str, Any]]:
    goals = {"runner, uvloop: send": "≥ 1.0", "runner, asyncio: send": "≥ 0.6"}
    made = []
    source = statistics.median(rates["smtp-source -d -s 20"])
    for name, each in rates.items():
        made.append(
            {
                "name": f"P6 {name}",
                "ours": f"{statistics.median(each):,.0f}",
                "reference": f"{source:,.0f}",
                "ratio": f"{statistics.median(found[name]):.2f}",
                "unit": "messages/s",
                "goal": goals.get(name, ""),
            }
        )

    def against(ours: str, theirs: str, goal: str) -> None:
        if ours in rates and theirs in rates:
            pairs = [a / b for a, b in zip(rates[ours], rates[theirs], strict=True)]
            made.append(
                {
                    "name": f"P6 {ours} against {theirs}",
                    "ours": f"{statistics.median(rates[ours]):,.0f}",
                    "reference": f"{statistics.median(rates[theirs]):,.0f}",
                    "ratio": f"{statistics.median(pairs):.2f}",
                    "unit": "messages/s",
                    "goal": goal,
                }
            )

    best = "runner, uvloop: send" if "runner, uvloop: send" in rates else "runner, asyncio: send"
    against("runner, uvloop: send", "aiosmtplib.sendmail, 20 connections", "≥ 4")
    against("runner, asyncio: send", "aiosmtplib.sendmail, 20 connections", "≥ 2.5")
    against(best, "the naive way", "≥ 50")
    against(best, "runner, no journal", "≥ 0.85")
    return made


def program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        raise SystemExit(f"{name} is missing: install Postfix")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until_open(port: int) -> None:
    for _ in range(500):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.01)
    raise SystemExit("the sink didn't start")


if __name__ == "__main__":
    from bench.__main__ import table

    print(table(growth() if sys.argv[1:] == ["growth"] else run(*map(int, sys.argv[1:]))))
