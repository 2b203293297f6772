"""A clock that can be put on, for the console and the stand-in alike, and desks at a listmonk by it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opsconsole.policy import Policy
from opsconsole.verdict import Verdict, judge
from tests.listmonk.desk import Desk, desk
from tests.support.listmonk import listmonk

MINUTE = timedelta(minutes=1)


class Later:
    """Now, and `by` so much later."""

    def __init__(self) -> None:
        self.by = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.by


@pytest.fixture
def clock() -> Later:
    return Later()


@pytest.fixture
def at(tmp_path: Path, clock: Later) -> Iterator[Desk]:
    """A desk at a listmonk that works."""
    made = listmonk(clock=clock)
    yield desk(made, tmp_path, clock=clock, list_every="1 s", timezone="Europe/Berlin")
    made.standin.stop()


@pytest.fixture
def asleep(tmp_path: Path, clock: Later) -> Iterator[Desk]:
    """A desk at one that never picks anything up, so that every row stays as it is."""
    made = listmonk(clock=clock, passive=True)
    yield desk(made, tmp_path, clock=clock, list_every="1 s", timezone="Europe/Berlin")
    made.standin.stop()


def verdict(at: Desk, slug: str, clock: Later) -> Verdict:
    """What listmonk's word alone comes to."""
    return judge(slug, [at.seen(slug)], Policy(), clock())


def codes(said: Verdict) -> set[str]:
    return {finding.code for finding in said.findings}
