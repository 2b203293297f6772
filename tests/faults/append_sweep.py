"""Appends to the audit store, spoiled at one file system call each: `python -m tests.faults.append_sweep`.

Reads points as JSON lines from standard input (none: looks what calls there are) and writes what came of each.
The imports are done once; every case is a fork on a fresh copy of a small store.
"""

import json
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from opsconsole.audit.records import AuditUnavailable, Outgoing
from opsconsole.audit.store import AuditStore
from tests.audit.support import KEY, event, ticking
from tests.faults.sweep import Point, seen
from tests.faults.tracer import Asked, Tracer

BEFORE, APPENDS = 2, 3


def made(folder: Path) -> None:
    """A store with a few records in it."""
    with AuditStore(folder / "audit.db", KEY, clock=ticking()) as store:
        for number in range(BEFORE):
            store.note(event(run=f"before-{number}"))


def append(folder: Path, said: int) -> None:
    """Three intents with news, each told on `said` once the store has acknowledged it."""
    try:
        with AuditStore(folder / "audit.db", KEY, clock=ticking()) as store:
            for number in range(APPENDS):
                run = f"run-{number}"
                news = (Outgoing("dashboard", f"{run}:completion", {"n": number}),)
                store.append(event(run=run, detail={"padding": "x" * 2000}), outbox=news)
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
    tracer.run(lambda: append(folder, writes))
    os.close(writes)
    said = os.read(reads, 65536).decode().split()
    os.close(reads)
    calls = seen(log)
    with AuditStore(folder / "audit.db", KEY, clock=ticking()) as store:
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


def main(folder: Path) -> None:
    template = folder / "template"
    template.mkdir(parents=True)
    made(template)
    asked = [Point(**json.loads(line)) for line in sys.stdin]
    for number, point in enumerate(asked or [None]):
        print(json.dumps(case(template, folder / f"case-{number}", point)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
