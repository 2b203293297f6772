"""What the tests of sending share: consoles beside each other on one pipeline, plans as a dry run makes them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from threading import Event
from typing import Any

from backends.serverless.audience import read
from backends.serverless.aws import Aws
from backends.serverless.content import digests
from backends.serverless.pipe import Pipe
from backends.serverless.queueing import Queueing
from backends.serverless.rehearsal import dry_run
from opsconsole.plan import DryRun, Plan
from opsconsole.policy import Policy
from opsconsole.ports import Surroundings
from opsconsole.settings import Serverless
from runner.worker.schema import parse_reference
from tests.support.aws import Pipeline

SLUG = "spring-sale"


@cache
def clients(settings: Serverless) -> Aws:
    """Consoles share them here, and tests do: to make them takes longer than most tests."""
    return Aws(settings)


class Clock:
    """The time by hand; without a push it is the real one."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Desk:
    """One console's part in the pipeline."""

    def __init__(self, settings: Serverless, data_dir: Path, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        around = Surroundings(
            policy=Policy(), data_dir=data_dir, clock=self.clock, started=lambda carrier, slug: None
        )
        self.pipe = Pipe("aws", clients(settings), settings, around)
        self.queueing = Queueing(self.pipe, sleep=lambda seconds: None)
        self.said: list[str] = []

    def rehearsed(self, slug: str = SLUG) -> DryRun:
        return dry_run(self.pipe, slug, lambda data: self.said.append(data.decode()), Event())

    def plan(self, slug: str = SLUG, by: str = "ana") -> Plan:
        """A plan of what is there now, as a dry run would find it: the same parts, the same count."""
        item = self.pipe.campaign(slug)
        now = self.clock()
        return Plan(
            slug=slug,
            environment="test",
            carrier="aws",
            host=self.pipe.identity(),
            digests=digests(item),
            audience=len(read(self.pipe, item).emails),
            subject="Hello",
            due=None,
            latest_start=None,
            window="",
            dry_run_seq=1,
            dry_run_at=now,
            planned_by=by,
            created_at=now,
            expires_at=now + timedelta(minutes=30),
        )

    def close(self) -> None:
        self.queueing.close()


@contextmanager
def desk(pipeline: Pipeline, data_dir: Path, clock: Clock | None = None) -> Iterator[Desk]:
    made = Desk(pipeline.settings, data_dir, clock)
    try:
        yield made
    finally:
        made.close()


def people(count: int) -> list[str]:
    return [f"person{number:05}@example.com" for number in range(count)]


def queued(pipeline: Pipeline) -> list[str]:
    """Who has a reference in the queue, by address; whoever has two is there twice."""
    return sorted(parse_reference(body).contact_email for body in pipeline.bodies())


def rewrite(pipeline: Pipeline, slug: str = SLUG, **fields: Any) -> None:
    """What somebody else wrote into the campaign; None takes it away."""
    item = {**pipeline.item(slug), **fields}
    pipeline.put(
        pipeline.settings.campaigns_table, {name: value for name, value in item.items() if value is not None}
    )
