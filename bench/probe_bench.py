"""P4: what a host says about many campaigns over one connection, beside one `ssh host cat` of the same bytes.

    python -m bench.probe_bench          # P4
    python -m bench.probe_bench growth   # P10: 100, 1,000 and 10,000 campaigns with small tables, near

OPSCONSOLE_BENCH_CAMPAIGNS (1000) and OPSCONSOLE_BENCH_ROWS (2600) make it smaller; OPSCONSOLE_BENCH_REPEATS (5).
Needs a real sshd. Far is a proxy that holds everything back 25 ms each way.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from backends.blasthost.hashcache import HashCache
from backends.blasthost.probe import Probe
from backends.blasthost.session import HostSession
from backends.blasthost.sshconfig import Target
from backends.blasthost.words import report
from opsconsole.policy import Policy
from opsconsole.settings import BlastHost
from tests.support.proxy import Proxy
from tests.support.sshd import Sshd

CAMPAIGNS = int(os.environ.get("OPSCONSOLE_BENCH_CAMPAIGNS", "1000"))
ROWS = int(os.environ.get("OPSCONSOLE_BENCH_ROWS", "2600"))
REPEATS = int(os.environ.get("OPSCONSOLE_BENCH_REPEATS", "5"))
FAR = 0.025  # seconds each way


def run() -> list[dict[str, Any]]:
    """One row for each figure; times in seconds, ratio = ours / reference."""
    folder = Path(tempfile.mkdtemp(prefix="opsconsole-bench-"))
    server = Sshd(folder / "sshd")
    try:
        settings = make_host(folder / "host")
        with Proxy(server.host, server.port) as proxy:
            rows: list[dict[str, Any]] = []
            for name, delay in (("near", 0.0), ("50 ms", FAR)):
                proxy.delay = delay
                rows += _measure(server, proxy, settings, name)
            return rows
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def growth() -> list[dict[str, Any]]:
    """The look and what it says at 1x, 10x and 100x; the reference of each is 1x times as many campaigns."""
    folder = Path(tempfile.mkdtemp(prefix="opsconsole-bench-"))
    server = Sshd(folder / "sshd")
    rows: list[dict[str, Any]] = []
    smallest: dict[str, float] = {}
    try:
        with Proxy(server.host, server.port) as proxy:
            for campaigns in (100, 1_000, 10_000):
                settings = make_host(folder / f"host-{campaigns}", campaigns=campaigns, rows=20)
                for name, seconds in _grown(server, proxy, settings):
                    share = smallest.setdefault(name, seconds) * campaigns / 100
                    rows.append(_row(f"{campaigns} campaigns, {name}", seconds, share, None))
                shutil.rmtree(folder / f"host-{campaigns}")
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return rows


def _grown(server: Sshd, proxy: Proxy, settings: BlastHost) -> Iterator[tuple[str, float]]:
    for how in ("auto", "never"):
        chosen = msgspec.structs.replace(settings, python=how)
        with _session(server, proxy) as session:
            session.ensure()
            probe = Probe(session, chosen, HashCache())
            name = "python3" if how == "auto" else "sh"
            yield f"cold, {name}", _once(probe.look)
            yield f"unchanged, {name}", _median(probe.look)
            if how == "auto":
                say = _saying(probe, settings)
                yield "facts to observations, first", _once(say)
                yield "facts to observations, again", _median(say)


def make_host(root: Path, *, campaigns: int = CAMPAIGNS, rows: int = ROWS) -> BlastHost:
    """Folders, each with a table of `rows` recipients, a template of 21 KB, metadata, a log, a cron line."""
    folders, log, state = root / "campaigns", root / "log", root / "runs"
    for path in (folders, log, state):
        path.mkdir(parents=True)
    data = "email,first_name,last_name,city\n" + "".join(
        f"recipient{n:06d}@example.com,Ann{n},Example{n},Springfield of the many towns of that name\n"
        for n in range(rows)
    )
    template = "<p>{{ first_name }}</p>\n" * 875
    lines = ["SHELL=/bin/sh\n"]
    then = time.time() - 3600
    for n in range(campaigns):
        slug = f"campaign-{n:05d}"
        (folders / slug).mkdir()
        metadata = {
            "name": slug,
            "subject": "Hello",
            "timezone": "America/Los_Angeles",
            "due_at": "2026-05-12 10:00",
        }
        (folders / slug / "blast_data.csv").write_text(data + f"last{n}@example.com,A,B,C\n")
        (folders / slug / "blast_template.html").write_text(template + slug)
        (folders / slug / "blast_metadata.json").write_text(json.dumps(metadata, indent=2))
        (log / f"{slug}.log").write_text("Starting send\n2,601 recipients processed\n0 failures\nin 4.0 minutes\n")
        when = f"{n % 60} {n % 24} {n % 28 + 1} 5 *"
        lines.append(f"{when} root /usr/local/bin/mail-blast-runner --campaign {slug} --mode send\n")
    (root / "cron").write_text("".join(lines))
    for path in root.rglob("*"):
        os.utime(path, (then, then))
    return BlastHost(
        ssh="bench",
        campaigns_dir=str(folders),
        cron_files=[str(root / "cron")],
        log_dir=str(log),
        state_dir=str(state),
        credentials=str(root / "credentials"),
    )


def _measure(server: Sshd, proxy: Proxy, settings: BlastHost, where: str) -> Iterator[dict[str, Any]]:
    floor = _median(lambda: _cat(server, proxy, settings))
    never = msgspec.structs.replace(settings, python="never")
    far = where != "near"
    for how, chosen, goal in (("python3", settings, 1.0), ("sh", never, 3.0)):
        with _session(server, proxy) as session:
            session.ensure()
            cold = _median(lambda session=session, chosen=chosen: Probe(session, chosen, HashCache()).look())
            yield _row(f"{CAMPAIGNS} campaigns, cold, {how}, {where}", cold, floor, goal if far else None)
            probe = Probe(session, chosen, HashCache())
            probe.look()
            unchanged = _median(lambda probe=probe: probe.look())
            yield _row(f"{CAMPAIGNS} campaigns, unchanged, {how}, {where}", unchanged, floor, 0.3 if far else None)
            if how == "python3" and not far:
                yield from _words(probe, settings)


def _words(probe: Probe, settings: BlastHost) -> Iterator[dict[str, Any]]:
    """From facts to observations: the first time, and when nothing changed."""
    say = _saying(probe, settings)
    first = _once(say)
    yield _row(f"{CAMPAIGNS} campaigns, facts to observations, again", _median(say), first, None)


def _saying(probe: Probe, settings: BlastHost) -> Callable[[], object]:
    memo: dict[str, Any] = {}
    facts = probe.look()
    return lambda: report(
        facts, settings, source="bench", now=datetime.now(UTC), fresh_for=timedelta(seconds=90), policy=Policy(),
        memo=memo,
    )  # fmt: skip


def _cat(server: Sshd, proxy: Proxy, settings: BlastHost) -> None:
    """The floor: every byte the look speaks for, through one `ssh host cat`."""
    command = f"cat {settings.campaigns_dir}/*/* {settings.log_dir}/* {settings.cron_files[0]}"
    known = f"{server.folder}/known_hosts_bench"
    key = Path(f"{server.host_key}.pub").read_text().split()[:2]
    Path(known).write_text(f"[{proxy.host}]:{proxy.port} {' '.join(key)}\n")
    subprocess.run(
        [
            "ssh", "-F", "none", "-i", str(server.key), "-p", str(proxy.port), "-o", f"UserKnownHostsFile={known}",
            "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", f"{server.user}@{proxy.host}", command,
        ],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip


@contextmanager
def _session(server: Sshd, proxy: Proxy) -> Iterator[HostSession]:
    known = server.folder / "known_hosts_session"
    key = Path(f"{server.host_key}.pub").read_text().split()[:2]
    known.write_text(f"[{proxy.host}]:{proxy.port} {' '.join(key)}\n")
    target = Target(
        alias="bench",
        hostname=proxy.host,
        port=proxy.port,
        user=server.user,
        identity_files=(server.key,),
        identities_only=True,
        proxy_jump=(),
        known_hosts_files=(known,),
    )
    with HostSession(target) as session:
        yield session


def _once(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _median(work: Callable[[], object]) -> float:
    return statistics.median(_once(work) for _ in range(REPEATS))


def _row(name: str, ours: float, reference: float, goal: float | None) -> dict[str, Any]:
    return {
        "name": name,
        "ours": round(ours, 4),
        "reference": round(reference, 4),
        "ratio": round(ours / reference, 3),
        "unit": "s",
        "goal": f"≤ {goal} s" if goal is not None else "",
    }


if __name__ == "__main__":
    for row in growth() if "growth" in sys.argv[1:] else run():
        print(json.dumps(row, ensure_ascii=False))
