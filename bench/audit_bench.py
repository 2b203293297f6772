"""The audit store against raw sqlite3 and plain SHA-256, side by side: `python -m bench.audit_bench [records]`.

Appends: the reference is one INSERT a transaction into the same table (indexes, no triggers) with the same
pragmas. Verify: the reference is SHA-256 over the same bytes, already in memory; once as one stream, once record
by record as any chain has to. Ratios above 1 mean that the store is faster.
"""

import hashlib
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from opsconsole.audit.chain import GENESIS, Sealer, message, row_of
from opsconsole.audit.records import Event, Phase, Record
from opsconsole.audit.rows import columns_of
from opsconsole.audit.sqlite import apply_pragmas, raw_connection
from opsconsole.audit.store import AuditStore
from opsconsole.audit.tables import TRIGGERS
from opsconsole.redact import JSON

KEY = bytes(range(32))
START = datetime(2026, 5, 12, 17, 52, tzinfo=UTC)
APPENDS = 200
ROUNDS = 5
DETAIL: dict[str, JSON] = {
    "audience": 2601,
    "carrier": "blast-mail-prod",
    "plan": "9f2c" * 16,
    "dry_run": {"at": "2026-05-12T17:31:00Z", "rows": 2601, "failures": 0, "seconds": 3.4},
    "window": {"from": "09:00", "to": "18:00", "zone": "America/Los_Angeles"},
    "host": {"offset_seconds": 0.2, "free_mb": 18211, "load": [0.1, 0.2, 0.1]},
}


def clock() -> datetime:
    return datetime.now(UTC)


def chain(count: int) -> Iterator[Record]:
    """Records 1 … count, sealed as the store seals them; every third an intent, then its outcome, then a note."""
    sealer = Sealer(KEY)
    prev = GENESIS
    for seq in range(1, count + 1):
        phase = (Phase.NOTE, Phase.INTENT, Phase.OUTCOME)[seq % 3]
        record = Record(
            seq, START + timedelta(seconds=seq), "mara", "s-41c0", "production", f"campaign-{seq % 997}",
            f"campaign-{seq % 997}-9f2c-{seq // 3}", "send" if phase is not Phase.NOTE else "preflight", phase,
            "", DETAIL | {"n": seq}, prev, "", seq - 1 if phase is Phase.OUTCOME else None,
        )  # fmt: skip
        record = replace(record, mac=sealer.mac(message(row_of(record))))
        prev = record.mac
        yield record


def fill(path: Path, count: int) -> None:
    """`count` records in bulk: unsynced and without triggers while it lasts."""
    AuditStore(path, KEY, clock=clock).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for name in TRIGGERS:
            db.execute(f"DROP TRIGGER {name}")
        db.execute("PRAGMA synchronous=OFF")
        db.execute("BEGIN")
        names = list(columns_of(next(chain(1))))
        statement = f"INSERT INTO audit ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)})"
        db.executemany(statement, (columns_of(record) for record in chain(count)))
        db.execute("COMMIT")
    AuditStore(path, KEY, clock=clock).close()  # puts the triggers back


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median_pair(ours: Callable[[], object], reference: Callable[[], object]) -> tuple[float, float]:
    """Medians of ROUNDS, taken in turn so that a busy machine is busy for both."""
    pairs = [(seconds(ours), seconds(reference)) for _ in range(ROUNDS)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def _appends(folder: Path) -> dict[str, Any]:
    store = AuditStore(folder / "ours.db", KEY, clock=clock)
    fill(folder / "raw.db", 0)
    raw = sqlite3.connect(folder / "raw.db", isolation_level=None)
    apply_pragmas(raw)
    for name in TRIGGERS:
        raw.execute(f"DROP TRIGGER {name}")
    rows = (columns_of(record) for record in chain(APPENDS * (ROUNDS + 1)))
    names = list(columns_of(next(chain(1))))
    statement = f"INSERT INTO audit ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)})"
    event = Event("mara", "s-41c0", "production", "preflight", "campaign-1", "campaign-1-9f2c", "", DETAIL)

    def insert() -> None:
        for _ in range(APPENDS):
            raw.execute("BEGIN IMMEDIATE")
            raw.execute(statement, next(rows))
            raw.execute("COMMIT")

    def append() -> None:
        for _ in range(APPENDS):
            store.note(event)

    ours, reference = median_pair(append, insert)
    raw.close()
    store.close()
    return _line("append, each synced, vs raw sqlite3", APPENDS / ours, APPENDS / reference, "records/s")


def _verifies(folder: Path, count: int) -> Iterator[dict[str, Any]]:
    path = folder / "chain.db"
    fill(path, count)
    with closing(raw_connection(path, 1)) as db:
        columns = (
            "seq, ref, utc, operator, session, environment, campaign, run, action, phase, reason, detail, prev, mac"
        )
        messages = [message(row) for row in db.execute(f"SELECT {columns} FROM audit ORDER BY seq")]
    stream = b"".join(messages)
    with AuditStore(path, KEY, clock=clock) as store:
        assert store.verify().checked == count
        ours, whole = median_pair(store.verify, lambda: hashlib.sha256(stream).digest())
        _, each = median_pair(lambda: None, lambda: [hashlib.sha256(text).digest() for text in messages])
        size = len(stream) / 1e6
        yield _line(f"verify {count:,}, vs one SHA-256 over all bytes", size / ours, size / whole, "MB/s")
        yield _line(f"verify {count:,}, vs one SHA-256 a record", size / ours, size / each, "MB/s")
        looks: dict[str, Callable[[], object]] = {
            "search, first page": lambda: store.search(),
            "search, one campaign": lambda: store.search(campaign="campaign-7"),
            "search, a word found often": lambda: store.search("preflight"),
            "search, a word found nowhere": lambda: store.search("not-there-at-all"),
            "search, a word found nowhere, a step of 20,000": lambda: store.search(
                "not-there-at-all", within=20_000
            ),
            "search, a rare day": lambda: store.search(since=START + timedelta(days=3650)),
            "unresolved": lambda: store.unresolved(),
            "last by campaign": lambda: store.last_by_campaign(["send"]),
        }
        with closing(sqlite3.connect(path)) as db:
            scan = statistics.median(
                seconds(lambda: db.execute("SELECT count(*) FROM audit WHERE detail LIKE '%not-there%'").fetchone())
                for _ in range(ROUNDS)
            )
        for name, look in looks.items():
            look()
            took = statistics.median(seconds(look) for _ in range(ROUNDS))
            yield _line(f"{name} of {count:,}, vs one LIKE scan of detail", 1 / took, 1 / scan, "looks/s")


def _line(name: str, ours: float, reference: float, unit: str) -> dict[str, Any]:
    return {"name": name, "ours": ours, "reference": reference, "ratio": ours / reference, "unit": unit}


def run(records: int = 100_000) -> list[dict[str, Any]]:
    """Each figure as name, ours, reference, ratio, unit; rates, so more is better."""
    with tempfile.TemporaryDirectory(prefix="audit-bench-") as folder:
        return [_appends(Path(folder)), *_verifies(Path(folder), records)]


if __name__ == "__main__":
    for figure in run(*map(int, sys.argv[1:])):
        print(json.dumps(figure))
