"""A console as it is really started, from a configuration file, over one blast host whose scripts run here.

There is no network in between: what is tested is the console, its store, and what the host keeps of it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backends.blasthost.hashcache import HashCache
from backends.blasthost.host import BlastHostBackend
from backends.blasthost.probe import Probe
from opsconsole import wiring
from opsconsole.audit.records import Event
from opsconsole.audit.store import AuditStore
from opsconsole.cli import main
from opsconsole.config import load
from opsconsole.console import Console
from opsconsole.observation import RunWord, Says
from opsconsole.plan import Plan
from opsconsole.policy import Policy
from opsconsole.ports import RunState, Started
from opsconsole.watch import Watched
from tests.blasthost.local import LocalSession, Tree

HOST = "blast-1"
SLUG = "spring-offer"


def utc_now() -> datetime:
    return datetime.now(UTC)


class NearSession(LocalSession):
    """A session that is always open, for a backend that asks for its state."""

    def close(self) -> None: ...

    def retry_now(self) -> None: ...


class Near(BlastHostBackend):
    """The host's real scripts, but for the start of a run, which is only counted."""

    def __init__(self, house: "House") -> None:
        settings = house.tree.settings()
        super().__init__(HOST, settings, policy=Policy())
        self._opened = (house.session, Probe(house.session, settings, HashCache(None)))  # type: ignore[assignment,arg-type]
        self._house, self._since = house, utc_now()

    def connection(self) -> Mapping[str, Any]:
        return {
            "state": "connected",
            "since": self._since,
            "latency_ms": 1.0,
            "identity": HOST,
            "last_error": "",
            "fingerprint": "",
        }

    def start(self, plan: Plan, by: str) -> Started:
        self._house.started.append(plan)
        word = RunWord(run_id=plan.run_id, attempt=plan.attempt, by=by)
        state = RunState(slug=plan.slug, run_id=plan.run_id, attempt=plan.attempt, says=Says.RUNNING, word=word)
        return Started(state=state, fresh=True)


@dataclass
class Said:
    """What a command printed, and how it left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class House:
    """`url` is the database's, "" for a file in the console's folder. `config` is more of the configuration."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch, *, url: str = "", config: str = "") -> None:
        self.tree = Tree(root / "host")
        self.session = NearSession()
        self.started: list[Plan] = []
        self.data = root / "console" / "data"
        self.data.mkdir(parents=True, mode=0o700)
        self.config = root / "console" / "config.toml"
        audit = f"[audit]\nurl = {json.dumps(url)}\n" if url else ""
        self.config.write_text(
            f'environment = "demo"\ndata_dir = {json.dumps(str(self.data))}\n[operator]\nname = "mara"\n'
            f'{audit}[environments.demo.blasthost.{HOST}]\nssh = "blast-test"\n{config}'
        )
        self.more: list[Callable[[], Watched]] = []  # other sources, made anew for each console
        near = lambda: Watched(Near(self), timedelta(seconds=5))  # noqa: E731
        patch.setattr(wiring, "_backends", lambda loaded, around: [made() for made in (near, *self.more)])

    @property
    def db(self) -> Path:
        return self.data / "audit.db"

    @property
    def anchors(self) -> Path:
        """The file of copies that the host keeps."""
        (file,) = (self.tree.state.parent / "anchors").iterdir()
        return file

    def store(self, clock: Callable[[], datetime] = utc_now) -> AuditStore:
        return wiring.open_store(load(self.config), clock)

    @contextmanager
    def console(self, *, clock: Callable[[], datetime] = utc_now, stays: bool = False) -> Iterator[Console]:
        """One just started, every source asked once; one that `stays`, as screens do, goes through the store."""
        console = wiring.build(load(self.config), clock=clock)
        console._staying = stays
        try:
            console.refresh()
            yield console
        finally:
            console.close()

    def command(self, *args: str) -> Said:
        result = CliRunner().invoke(main, ["--config", str(self.config), *args])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    def records(self, count: int, clock: Callable[[], datetime] = utc_now) -> None:
        """So many records that matter for a send, each taken to the host."""
        with self.console(clock=clock) as console:
            for number in range(count):
                console.store().note(an_event(number))
                console.tidy()

    def plan(self, clock: Callable[[], datetime] = utc_now) -> Plan:
        now = clock()
        return Plan(
            slug=SLUG,
            environment="demo",
            carrier=HOST,
            host="",
            digests={"blast_template.html": "1" * 64, "blast_data.csv": "2" * 64, "blast_metadata.json": "3" * 64},
            audience=2601,
            subject="An evening",
            due=None,
            latest_start=None,
            window="",
            dry_run_seq=1,
            dry_run_at=now,
            planned_by="mara",
            created_at=now,
            expires_at=now + timedelta(minutes=30),
        )


def an_event(number: int = 0) -> Event:
    """Recorded, and anchored."""
    action = ("approve", "hold", "mark")[number % 3]
    detail = {"digest": f"{number:064x}", "recipients": 2601 + number}
    return Event(
        "mara", "s-1", "demo", action, f"campaign-{number}", f"run-{number}", f"reason {number}", detail=detail
    )
