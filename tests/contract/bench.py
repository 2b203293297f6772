"""A bench: one backend, and hands on the other side of it. A new backend gives one, and gets the contract's tests.

`docs/backends.md` shows a whole one.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from opsconsole.observation import Observation, Says
from opsconsole.plan import DryRun, Plan
from opsconsole.policy import Policy
from opsconsole.ports import Followed, Remembered, RunState, Started, Surroundings, Verb

PATIENCE = 40.0  # seconds that anything may take on a busy machine


class Bench(ABC):
    """`name` is the backend's in the configuration. Recipients are of example.com, by `people`."""

    name = "bench"
    kind = ""
    signals = True  # its runs can be paused and cancelled

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.starts: dict[str, Remembered] = {}  # as the console's store would know them
        self.around = Surroundings(
            policy=Policy(),
            data_dir=self.data_dir,
            clock=lambda: datetime.now(UTC),
            started=lambda carrier, slug: self.starts.get(slug),
        )

    # What a backend's author writes.

    @abstractmethod
    def backend(self, *, reach: bool = True) -> Any:
        """A new object of the backend; without `reach`, of a system that nobody answers for."""

    @abstractmethod
    def campaign(self, *people: str, subject: str = "An evening") -> str:
        """A new campaign that may be sent to these people, made on the other side; its slug."""

    @abstractmethod
    def change(self, slug: str) -> None:
        """Somebody changes its content on the other side."""

    @abstractmethod
    def everything(self) -> Any:
        """All that lasts on the other side, to be compared with `==`."""

    @abstractmethod
    def mailed(self) -> list[str]:
        """Whom any mail went to, sorted; twice who got two."""

    def slowly(self) -> None:  # noqa: B027 - most need none
        """From now on sends go slowly enough to be seen going."""

    def quickly(self) -> None:  # noqa: B027 - most need none
        """As before."""

    def work(self) -> None:  # noqa: B027 - most need none
        """Whatever has to happen beside the console for queued mail to go out: once, until nothing is left."""

    def close(self) -> None:  # noqa: B027 - most need none
        """Take it away."""

    # What the tests do with it.

    def plan(self, backend: Any, slug: str, rehearsed: DryRun, **changed: Any) -> Plan:
        """What the console would freeze after this dry run."""
        now = datetime.now(UTC)
        known: dict[str, Any] = {
            "slug": slug,
            "environment": "test",
            "carrier": self.name,
            "host": self.machine(backend),
            "digests": dict(rehearsed.digests),
            "audience": rehearsed.audience or 0,
            "subject": "An evening",
            "due": None,
            "latest_start": now + timedelta(hours=2),
            "window": "",
            "dry_run_seq": 1,
            "dry_run_at": rehearsed.at,
            "planned_by": "mara",
            "created_at": now,
            "expires_at": now + timedelta(minutes=30),
        }
        return Plan(**{**known, **changed})

    def machine(self, backend: Any) -> str:
        """What identifies the system, as the console reads it after a look."""
        if hasattr(backend, "identity"):
            return str(backend.identity())
        facts = backend.host_facts()
        return str(facts.machine_id or facts.host) if facts else ""

    def rehearse(self, backend: Any, slug: str) -> DryRun:
        rehearsed: DryRun = backend.dry_run(slug, lambda data: None, threading.Event())
        assert rehearsed.ok, rehearsed
        return rehearsed

    def planned(self, backend: Any, slug: str) -> Plan:
        backend.observe()
        return self.plan(backend, slug, self.rehearse(backend, slug))

    def start(self, backend: Any, plan: Plan) -> Started:
        """As the console does: on record first, so that its store knows the start."""
        before = self.starts.get(plan.slug)
        self.starts[plan.slug] = Remembered(
            run_id=plan.run_id, attempt=plan.attempt, at=datetime.now(UTC), by="mara", planned=plan.audience
        )
        try:
            started: Started = backend.start(plan, "mara")
        except Exception:
            self.starts.pop(plan.slug, None)
            if before is not None:
                self.starts[plan.slug] = before
            raise
        return started

    def seen(self, backend: Any, slug: str) -> Observation:
        report = backend.observe()
        assert report.trouble == "", report.trouble
        found: Observation = next(o for o in report.observations if o.slug == slug)
        return found

    def follow(self, backend: Any, slug: str, offset: int = 0) -> tuple[bytes, Followed]:
        """To the end, with a hand on `stop` in case it never comes."""
        log: list[bytes] = []
        stop = threading.Event()
        timer = threading.Timer(PATIENCE, stop.set)
        timer.start()
        try:
            followed: Followed = backend.follow(slug, 1, offset, log.append, stop)
        finally:
            timer.cancel()
        return b"".join(log), followed

    def sent(self, backend: Any, plan: Plan) -> RunState:
        """Start it, let it end, and give its end."""
        self.start(backend, plan)
        self.work()
        _, followed = self.follow(backend, plan.slug)
        assert followed.end is not None, "it never ended"
        return followed.end

    def until_says(self, backend: Any, slug: str, *says: Says) -> RunState:
        state: RunState = until(lambda: (s := backend.run_state(slug)) and s.says in says and s)
        return state

    def signalled(self, backend: Any, slug: str, verb: Verb) -> RunState:
        state: RunState = backend.signal(slug, 1, verb)
        return state


def until(said: Callable[[], Any]) -> Any:
    """The first true answer; fails when none comes in good time."""
    end = time.monotonic() + PATIENCE
    while not (answer := said()):
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.05)
    return answer
