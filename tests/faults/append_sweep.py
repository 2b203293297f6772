"""Appends to the audit store, spoiled at one call each: `python -m tests.faults.append_sweep FOLDER [URL]`.

Reads points as JSON lines from standard input (none: looks what calls there are) and writes what came of each.
The imports are done once; every case is a fork on a fresh copy of a small store. With the URL of a PostgreSQL store
all cases go on with that one, and what is spoiled are the client's calls on its connection.
"""

import json
import os
import shutil
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opsconsole.audit.records import Outgoing, Phase
from opsconsole.audit.store import AuditStore
from opsconsole.errors import AuditUnavailable
from tests.audit.support import KEY, event, ticking
from tests.faults.sweep import Point, seen
from tests.faults.tracer import Asked, Tracer

BEFORE, APPENDS = 2, 3


def made(folder: Path) -> None:
    """A store with a few records in it."""
    with AuditStore(folder / "audit.db", KEY, clock=ticking()) as store:
        for number in range(BEFORE):
            store.note(event(run=f"before-{number}"))


def now() -> datetime:
    return datetime.now(UTC)


def append(place: Path | str, said: int, name: str = "run") -> None:
    """Three intents with news, each told on `said` once the store has acknowledged it."""
    try:
        with AuditStore(place, KEY, clock=now) as store:
            for number in range(APPENDS):
                run = f"{name}-{number}"
                news = (Outgoing("dashboard", f"{run}:completion", {"n": number}),)
                intent = replace(event(run=run, detail={"padding": "x" * 2000}), phase=Phase.INTENT)
                store.append(intent, outbox=news)
                os.write(said, f"{run}\n".encode())
    except AuditUnavailable:
        os.write(said, b"unavailable\n")


def case(template: Path, folder: Path, point: Point | None) -> dict[str, Any]:
    shutil.copytree(template, folder)
    log = folder.with_suffix(".log")
    reads, writes = os.pipe()
    spoil = {"at": point.n, "fault": point.fault} if point else {}
    asked = Asked(prefixes=(str(folder),), log=str(log), **spoil)  # type: ignore[arg-type]
    tracer = Tracer(asked)
    tracer.run(lambda: append(folder / "audit.db", writes))
    os.close(writes)
    said = os.read(reads, 65536).decode().split()
    os.close(reads)
    calls = seen(log)
    with AuditStore(folder / "audit.db", KEY, clock=now) as store:
        found = store.verify()
        runs = [record.run for record in reversed(store.search(limit=99))]
        with store.reading() as connection:
            news = connection.exec_driver_sql("SELECT key FROM outbox ORDER BY id").scalars().all()
        # The next writer goes on where this one was stopped.
        again = store.intent(event(run="afterwards"))
        whole = store.verify()
    result = {
        "point": asdict(point) if point else None,
        "calls": calls if point is None else [],
        "fired": any("fired" in call for call in calls),
        "acknowledged": [run for run in said if run != "unavailable"],
        "kept": [run for run in runs if not run.startswith("before-")],
        "news": [key.partition(":")[0] for key in news],
        "ok": found.ok and whole.ok and again.seq == found.checked + 1 and found.checked == len(runs),
        "why": f"{found.why}; {whole.why}",
    }
    shutil.rmtree(folder)
    return result


def client_case(url: str, log: Path, name: str, point: Point | None) -> dict[str, Any]:
    reads, writes = os.pipe()
    spoil: dict[str, Any] = {"at": point.n, "fault": point.fault} if point else {}
    Tracer(Asked(prefixes=(), sockets=True, log=str(log), **spoil)).run(lambda: append(url, writes, name))
    os.close(writes)
    said = os.read(reads, 65536).decode().split()
    os.close(reads)
    calls = seen(log)
    with AuditStore(url, KEY, clock=now) as store:
        # It waits for what the server still does for the client that is gone: what is read after it lasts.
        again = store.intent(event(run=f"after-{name}"))
        found = store.verify()
        kept = [r.run for r in reversed(store.search(limit=99)) if r.run.startswith(f"{name}-")]
        with store.reading() as connection:
            keys = connection.exec_driver_sql("SELECT key FROM outbox ORDER BY id").scalars().all()
    return {
        "point": asdict(point) if point else None,
        "calls": calls if point is None else [],
        "fired": any("fired" in call for call in calls),
        "acknowledged": [run.rpartition("-")[2] for run in said if run != "unavailable"],
        "kept": [run.rpartition("-")[2] for run in kept],
        "news": [key.partition(":")[0].rpartition("-")[2] for key in keys if key.startswith(f"{name}-")],
        "ok": found.ok and again.seq == found.checked,
        "why": found.why,
    }


def main(folder: Path, url: str = "") -> None:
    template = folder / "template"
    template.mkdir(parents=True)
    asked = [Point(**json.loads(line)) for line in sys.stdin]
    if url:
        AuditStore(url, KEY, clock=now).close()
    else:
        made(template)
    for number, point in enumerate(asked or [None]):
        if url:
            name = f"run{os.getpid()}x{number}"
            result = client_case(url, folder / f"case-{number}.log", name, point)
        else:
            result = case(template, folder / f"case-{number}", point)
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
