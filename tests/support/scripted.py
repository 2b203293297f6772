"""A carrier that answers as scripted, with a store and runs over it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from opsconsole.audit.store import AuditStore
from opsconsole.audit.words import ConsoleSource
from opsconsole.decisions import Decisions, new_due
from opsconsole.observation import Counts, Observation, RunWord, Says
from opsconsole.plan import Plan
from opsconsole.ports import Followed, OutOfReach, Refused, RunState, Started, Verb
from opsconsole.preflight import CHECKS
from opsconsole.proof import Proof
from opsconsole.runs import Identity, Runs
from opsconsole.schedule import Due
from opsconsole.verdict import Verdict
from tests.domain.words import NOW, SLUG

ME = Identity("mara", "s-1", "prod")
DONE = Counts(total=2601, accepted=2601)
NOTHING_LEFT = Proof(looks=())


class Host:
    """A carrier that remembers what it was asked and answers as scripted."""

    name = "blast-mail-prod"

    def __init__(self) -> None:
        self.starts: list[Plan] = []
        self.on_start: Callable[[Plan], None] = lambda plan: None
        self.state: RunState | None = None
        self.unreachable = False
        self.given_up: list[tuple[str, str]] = []
        self.late: RunState | None = None  # what has come by the time that a run is given up

    def start(self, plan: Plan, by: str) -> Started:
        self.starts.append(plan)
        self.on_start(plan)
        self.state = state(Says.RUNNING, plan.run_id)
        return Started(state=self.state, fresh=True)

    def run_state(self, slug: str, attempt: int | None = None) -> RunState | None:
        if self.unreachable:
            raise OutOfReach("no answer")
        return self.state

    def give_up(self, slug: str, run_id: str) -> RunState | None:
        self.given_up.append((slug, run_id))
        return self.late

    def follow(self, slug, attempt, offset, on_output, stop) -> Followed:  # type: ignore[no-untyped-def]
        on_output(b"2601 recipients processed\n")
        return Followed(offset=offset + 26, end=self.state)

    def signal(self, slug: str, attempt: int, verb: Verb) -> RunState:
        if self.state is None:
            raise Refused("there is no run")
        return replace(self.state, says=Says.PAUSED)

    def checks(self):  # type: ignore[no-untyped-def]
        return CHECKS

    def preflight_facts(self, slug: str):  # type: ignore[no-untyped-def]
        raise OutOfReach("not asked here")

    def dry_run(self, slug, on_output, stop):  # type: ignore[no-untyped-def]
        raise OutOfReach("not asked here")


def state(says: Says, run_id: str, counts: Counts | None = None) -> RunState:
    ended = NOW if says is Says.ENDED else None
    word = RunWord(
        run_id=run_id, started_at=NOW - timedelta(minutes=9), ended_at=ended, rc=0 if ended else None, counts=counts
    )
    return RunState(slug=SLUG, run_id=run_id, attempt=1, says=says, word=word)


@pytest.fixture(name="store")
def a_store(tmp_path: Path) -> Iterator[AuditStore]:
    with AuditStore(tmp_path / "audit.db", bytes(32), clock=lambda: NOW) as opened:
        yield opened


@pytest.fixture(name="carrier")
def a_carrier() -> Host:
    return Host()


@pytest.fixture(name="runs")
def some_runs(store: AuditStore, carrier: Host) -> Runs:
    return Runs(lambda: store, {"blast-mail-prod": carrier}, ME, lambda: NOW, lambda slug: ("dashboard",))


def words(store: AuditStore) -> Observation:
    return ConsoleSource(lambda: store, lambda: NOW, "prod").observe().observations[0]


def killed_before_the_claim(plan: Plan) -> None:
    raise KeyboardInterrupt  # the console is killed between intent and claim


def moved(before: Verdict, local: str) -> tuple[Verdict, Due]:
    """What rescheduling to this local time rests on."""
    return before, new_due(before, local, NOW)


def decided(store: AuditStore) -> Decisions:
    return Decisions(lambda: store, ME, lambda slug: ("dashboard",))
