"""Whatever ends or fails an append at whatever call: nothing acknowledged is lost, and what is there is whole."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.append_sweep import APPENDS
from tests.faults.support import report, seed, size
from tests.faults.sweep import ROOT, Point, points, some, traced
from tests.support.postgres import Postgres

RUNS = [f"run-{number}" for number in range(APPENDS)]


def sweep(folder: Path, asked: Iterable[Point], *url: str) -> list[dict[str, Any]]:
    lines = "".join(json.dumps({"n": p.n, "call": p.call, "fault": p.fault}) + "\n" for p in asked)
    command = [sys.executable, "-m", "tests.faults.append_sweep", str(folder), *url]
    done = subprocess.run(command, cwd=ROOT, input=lines, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def broken(result: dict[str, Any], runs: list[str] = RUNS) -> list[str]:
    """What is wrong with the store that one case left behind."""
    acknowledged, kept = result["acknowledged"], result["kept"]
    wrong = []
    if not result["ok"]:
        wrong.append(f"the chain is broken: {result['why']}")
    if not set(acknowledged) <= set(kept):
        wrong.append(f"acknowledged and lost: {sorted(set(acknowledged) - set(kept))}")
    if kept != runs[: len(kept)]:
        wrong.append(f"not what was written, in its order: {kept}")
    if result["news"] != kept:
        wrong.append(f"a record without its news, or the other way round: {result['news']}, {kept}")
    if len(kept) > len(acknowledged) + 1:
        wrong.append(f"more than the one under way was left: {kept}, acknowledged {acknowledged}")
    return [f"{result['point']}: {what}" for what in wrong]


@traced
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_appends_spoiled_at_every_file_system_call(tmp_path: Path) -> None:
    (whole,) = sweep(tmp_path / "whole", [])
    assert whole["acknowledged"] == whole["kept"] == RUNS
    every = points(whole["calls"], ("kill", "EIO", "ENOSPC"))
    results = sweep(tmp_path / "spoiled", some(every, size(60, len(every)), seed()))
    found = [what for result in results for what in broken(result)]
    fired = [result for result in results if result["fired"]]
    unsaid = Counter(r["point"]["fault"] for r in fired if len(r["kept"]) > len(r["acknowledged"]))
    print(f"calls={len(whole['calls'])} committed without a word: {dict(unsaid)}")
    report("crash-audit", len(results), len(fired), len(found))
    assert not found
    assert len(fired) == len(results)
    # A record that stands although its writer never heard so is found by its run: why one looks before repeating.
    # Few calls lie between the commit and the word of it: only the whole sweep is sure to meet one.
    assert unsaid["kill"] or len(results) < len(every)


@traced
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.needs("postgres")
def test_a_client_of_postgresql_killed_at_every_call_on_its_connection(tmp_path: Path) -> None:
    server = Postgres()
    try:
        url = server.new()
        (whole,) = sweep(tmp_path / "whole", [], url)
        runs = [str(number) for number in range(APPENDS)]
        assert whole["acknowledged"] == whole["kept"] == runs
        # Only kills: an error on a connection that is well would have libpq wait for the server's last words.
        every = points(whole["calls"], ["kill"])
        chosen = some(every, size(12, len(every)), seed())
        results = sweep(tmp_path / "spoiled", chosen, url)
    finally:
        server.stop()
    found = [what for result in results for what in broken(result, runs)]
    fired = [result for result in results if result["fired"]]
    unsaid = Counter(r["point"]["fault"] for r in fired if len(r["kept"]) > len(r["acknowledged"]))
    print(f"calls={len(whole['calls'])} committed without a word: {dict(unsaid)}")
    report("crash-audit-postgresql", len(results), len(fired), len(found))
    assert not found
    assert len(fired) > 0.8 * len(results)
