"""Records every file operation of appends to a new audit store: `python -m tests.faults.record_appends …`.

What the store has acknowledged goes, with its MAC, to a file `said` beside it, so that it is found among the rest.
"""

import json
import os
import sys
from pathlib import Path

from opsconsole.audit.records import Outgoing
from opsconsole.audit.store import AuditStore
from tests.audit.support import KEY, event, ticking
from tests.faults.tracer import Asked, Tracer


def append(folder: Path, count: int, pragmas: dict[str, object]) -> None:
    from opsconsole.audit import sqlite

    sqlite.PRAGMAS.update(pragmas)
    said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT, 0o600)
    with AuditStore(folder / "audit.db", KEY, clock=ticking()) as store:
        for number in range(count):
            news = (Outgoing("dashboard", f"run-{number}:completion", {"n": number}),)
            # A long one now and then: it takes pages of its own.
            detail = {"padding": "x" * (9000 if number % 3 == 2 else 300)}
            record = store.append(event(run=f"run-{number}", detail=detail), outbox=news)
            os.write(said, json.dumps([record.seq, record.mac]).encode())


def main(folder: str, log: str, count: str, pragmas: str) -> None:
    tracer = Tracer(Asked(prefixes=(folder,), log=log, record=True))
    sys.exit(tracer.run(lambda: append(Path(folder), int(count), json.loads(pragmas))))


if __name__ == "__main__":
    main(*sys.argv[1:])
