"""A run that only beats its heart isn't moving; one that waits on purpose isn't stuck."""

import json
from dataclasses import replace
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
        ({"state": "warm-up", "why": "warm-up: today's 500 are sent"}, True),
        ({"state": "share", "why": "behind campaign june (priority high)"}, True),
        ({"state": "cancelling", "why": "cancelling, 2 still in flight"}, False),
        ({"deferred": 6, "inflight": 0}, True),
        ({"deferred": 5, "inflight": 1}, False),
    ],
)
def test_waiting_on_purpose(told: dict[str, object], waiting: bool) -> None:
    assert run_state("spring", running(**told), Patterns()).word.waiting is waiting


def test_the_reason_of_a_wait_is_the_runs_own_word() -> None:
    why = "waiting for the window, opens at 09:00 Europe/London (08:00 UTC)"
    word = run_state("spring", running(state="window", why=why), Patterns()).word
    assert word.going.why == why
    assert word.note.endswith(why)


@pytest.mark.parametrize(
    ("says", "obeys"),
    [
        ({}, ("pause", "resume", "cancel")),
        ({"controls": ["pause", "rate"]}, ("pause", "rate")),
        ({"controls": "rate"}, ("pause", "resume", "cancel")),
        ({"controls": [7, ["rate"]]}, ("7", "['rate']")),
    ],
)
def test_which_wishes_a_runner_obeys_is_its_own_word(says: dict[str, object], obeys: tuple[str, ...]) -> None:
    fact = replace(running(), capabilities=says)
    assert run_state("spring", fact, Patterns()).word.going.controls == obeys
