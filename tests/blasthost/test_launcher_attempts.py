"""What the record of an attempt says, for every state of its files, and for files nobody should trust."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from backends.blasthost.attempts import instant, parse, run_state
from opsconsole.observation import Counts, Says
from opsconsole.ports import RunState, Verb
from opsconsole.settings import Patterns

CLAIM = {"run_id": "00ff", "slug": "may", "attempt": 2, "by": "mara", "host": "desk", "at": "2026-05-12T17:52:00Z"}
STARTED = "2026-05-12T17:52:01Z\n"


def record(owner: str = "none", *flags: str, out: str = "", **files: Any) -> list[str]:
    """Lines as a host prints them; a file given as a mapping becomes JSON. `_` in a name stands for a dot."""
    lines = [f"RUN 2 {owner}"]
    for name, content in files.items():
        text = json.dumps(content) if isinstance(content, dict) else content
        lines.append(f"FILE {name.replace('_', '.')} {base64.b64encode(text.encode()).decode()}")
    return [*lines, *flags, f"OUT {len(out)} 1778608400 {base64.b64encode(out.encode()).decode()}"]


def state(lines: list[str]) -> RunState:
    fact = parse(lines)
    assert fact is not None
    return run_state("may", fact, Patterns())


BOTH = {"claim_json": CLAIM, "started": STARTED}
PAUSED = '{"v":1,"state":"paused","total":9,"accepted":4,"failed":0,"unknown":0}\n'


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (record(claim_json=CLAIM, started=""), Says.STARTED),  # damaged, and still a start
        (record("none", "UNREAD started", claim_json=CLAIM), Says.STARTED),
        (record(), Says.CLAIMED),
        (record(claim_json=CLAIM), Says.CLAIMED),
        (record("live 7", claim_json=CLAIM), Says.CLAIMED),
        (record("live 7", **BOTH), Says.RUNNING),
        (record("stopped 7", **BOTH), Says.PAUSED),
        (record("live 7", out=PAUSED, **BOTH), Says.PAUSED),
        (record("gone", **BOTH), Says.STARTED),
        (record("gone", out=PAUSED, **BOTH), Says.STARTED),
        (record("none", **BOTH), Says.STARTED),
        (record("gone", finished={"rc": 0, "at": "2026-05-12T17:53:00Z", "counts": None}, **BOTH), Says.ENDED),
        (record("live 7", finished={"rc": 3, "at": "", "counts": None}, **BOTH), Says.ENDED),
        (record("gone", finished='{"rc": 0, "at"', **BOTH), Says.STARTED),
        (record("gone", finished="[]", **BOTH), Says.STARTED),
        (record("gone", finished="", **BOTH), Says.STARTED),
    ],
)
def test_what_a_record_says(lines: list[str], says: Says) -> None:
    assert state(lines).says is says


def test_only_a_live_run_can_be_told_something() -> None:
    assert state(record("live 7", **BOTH)).can == {Verb.PAUSE, Verb.CANCEL}
    assert state(record("stopped 7", **BOTH)).can == {Verb.RESUME, Verb.CANCEL}
    assert state(record("gone", **BOTH)).can == frozenset()


def test_who_when_and_how_many() -> None:
    out = "Starting may\n40 recipients processed\n2 SMTP failures\n"
    ended = {"rc": 1, "at": "2026-05-12T17:55:00Z", "counts": None}

    word = state(record("gone", out=out, finished=ended, **BOTH)).word

    assert (word.run_id, word.attempt, word.by, word.rc) == ("00ff", 2, "mara", 1)
    assert word.claimed_at == datetime(2026, 5, 12, 17, 52, tzinfo=UTC)
    assert word.ended_at == datetime(2026, 5, 12, 17, 55, tzinfo=UTC)
    assert word.counts == Counts(total=40, accepted=38, failed=2)


def test_counts_that_the_runner_recorded_itself_win_over_its_output() -> None:
    counts = {"total": 10, "accepted": 9, "failed": 1, "unknown": 0, "deferred": 0, "duplicates": 3}
    ended = {"rc": 1, "at": "2026-05-12T17:55:00Z", "counts": counts}
    word = state(record("gone", out="99 recipients processed\n", finished=ended, **BOTH)).word
    assert word.counts == Counts(total=10, accepted=9, failed=1)


def test_what_went_wrong_before_the_start_is_in_the_note() -> None:
    assert "another run held the lock" in state(record("none", "BUSY", claim_json=CLAIM)).word.note
    assert "given up" in state(record("none", "ABANDONED", claim_json=CLAIM)).word.note
    assert state(record("gone", "RELEASED", claim_json=CLAIM)).word.note == "released"
    assert "claim.json can't be read" in state(["RUN 1 none", "UNREAD claim.json"]).word.note


@pytest.mark.parametrize(
    "claim", ["", "[]", "null", '"x"', "{", "{}", '{"run_id": 5, "by": [], "at": 7}', "[" * 9999]
)
def test_a_claim_that_is_not_one_is_still_a_claim(claim: str) -> None:
    found = state(record(claim_json=claim))
    assert (found.says, found.run_id, found.word.by, found.word.claimed_at) == (Says.CLAIMED, "", "", None)


def test_lines_of_other_kinds_are_left_alone() -> None:
    assert parse([]) is None
    assert parse(["REFUSED stale", "STALE data a b", "HOLD eA=="]) is None
    assert parse(["RUN 1 none", "FILE claim.json not-base64!", "WHATEVER"]) is not None


def test_an_instant_without_a_zone_is_none() -> None:
    assert instant("2026-05-12T17:52:00") is None
    assert instant("yesterday") is None
    assert instant("2026-05-12T10:52:00-07:00") == datetime(2026, 5, 12, 17, 52, tzinfo=UTC)
