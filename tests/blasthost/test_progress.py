"""A run that only beats its heart isn't moving; one that waits on purpose isn't stuck."""

import json
from datetime import UTC, datetime

import pytest

from backends.blasthost.attempts import run_state
from opsconsole.hostfacts import RunFact
from opsconsole.settings import Patterns

MOVED = datetime(2026, 5, 12, 17, 40, tzinfo=UTC)
WRITTEN = datetime(2026, 5, 12, 17, 52, tzinfo=UTC)


def running(**told: object) -> RunFact:
    line = {"v": 1, "state": "sending", "total": 10, "accepted": 4, "deferred": 0, "failed": 0, "unknown": 0}
    out = json.dumps(line | {"inflight": 2, "moved": MOVED.isoformat()} | told) + "\n"
    return RunFact(
        attempt=1,
        owner="1 2 3",
        owner_alive=True,
        started="2026-05-12T17:30:00+00:00",
        out_size=len(out),
        out_mtime_ns=int(WRITTEN.timestamp() * 1e9),
        out_tail=out,
    )


def test_progress_is_when_a_count_last_changed_and_not_the_last_heartbeat() -> None:
    assert run_state("spring", running(), Patterns()).word.progress_at == MOVED


def test_a_runner_that_tells_no_such_thing_is_judged_by_its_last_line() -> None:
    fact = running(moved=None)
    assert run_state("spring", fact, Patterns()).word.progress_at == WRITTEN


@pytest.mark.parametrize(
    ("told", "waiting"),
    [
        ({}, False),
        ({"state": "window", "inflight": 0}, True),
        ({"deferred": 6, "inflight": 0}, True),
        ({"deferred": 5, "inflight": 1}, False),
    ],
)
def test_waiting_on_purpose(told: dict[str, object], waiting: bool) -> None:
    assert run_state("spring", running(**told), Patterns()).word.waiting is waiting
