"""The half of a console that acts, without screens and sources: its own records, its own way to the host."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backends.blasthost.hashcache import HashCache
from backends.blasthost.host import BlastHostBackend
from backends.blasthost.probe import Probe
from opsconsole.audit import key
from opsconsole.audit.records import Phase, Record
from opsconsole.audit.rules import StoreRules
from opsconsole.audit.store import AuditStore
from opsconsole.mending import Mending
from opsconsole.policy import Policy
from opsconsole.runs import Identity, Runs
from opsconsole.settings import BlastHost

CARRIER = "blast"


def utc_now() -> datetime:
    return datetime.now(UTC)


def open_store(folder: Path, rules: StoreRules | None = None) -> AuditStore:
    folder.mkdir(parents=True, exist_ok=True)
    secret = key.load_or_create(folder / "audit.key")
    return AuditStore(folder / "audit.db", secret, clock=utc_now, busy_seconds=60, rules=rules)


class Desk:
    """`operator` sits at it. Its records are its own, in `folder`, or those of a team, in `store`.

    A lost answer is asked for at `haste` times the usual pace.
    """

    def __init__(
        self,
        folder: Path,
        operator: str,
        session: Any,
        settings: BlastHost,
        *,
        store: AuditStore | None = None,
        clock: Callable[[], datetime] = utc_now,
        haste: float = 1.0,
    ) -> None:
        self.operator, self.session = operator, session
        self.carrier = BlastHostBackend(CARRIER, settings, policy=Policy())
        self.carrier._opened = (session, Probe(session, settings, HashCache(None)))
        usual = self.carrier._launcher
        hasty = {"_launcher": lambda: replace(usual(), sleep=lambda seconds: time.sleep(seconds / haste))}
        vars(self.carrier).update(hasty)
        self.store = store or open_store(folder)
        self.identity = Identity(operator, f"{operator}-{id(self):x}", "test")
        carriers = {CARRIER: self.carrier}
        self.runs = Runs(lambda: self.store, carriers, self.identity, clock)
        self.mending = Mending(lambda: self.store, carriers, self.identity, clock, self.runs)

    def close(self) -> None:
        self.store.close()

    def follow(self, slug: str, attempt: int = 1, offset: int = 0) -> bytes:
        """The log to its end, as the operator got it; the end is recorded."""
        heard: list[bytes] = []
        followed = self.runs.follow(slug, attempt, offset, heard.append, threading.Event(), CARRIER)
        assert followed.end is not None
        return b"".join(heard)

    def told(self, run_id: str) -> list[tuple[str, str, Any]]:
        """The records of a run in order: action, phase, and what an outcome says came of it."""
        return [(r.action, str(r.phase), r.detail.get("result")) for r in self.records(run_id)]

    def records(self, run_id: str) -> list[Record]:
        return sorted(self.store.for_run(run_id), key=lambda record: record.seq)

    def outcomes(self, run_id: str) -> list[Any]:
        return [r.detail.get("result") for r in self.records(run_id) if r.phase is Phase.OUTCOME]
