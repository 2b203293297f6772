"""A console that ends or fails at any point of a start: the next one finds what is true; nobody is mailed twice."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.hosts import RECIPIENTS
from tests.faults.support import report, seed, size
from tests.faults.sweep import ROOT, Point, points, some, traced


def sweep(folder: Path, asked: Iterable[Point]) -> list[dict[str, Any]]:
    lines = "".join(json.dumps({"n": p.n, "call": p.call, "fault": p.fault}) + "\n" for p in asked)
    command = [sys.executable, "-m", "tests.faults.console_sweep", str(folder)]
    done = subprocess.run(command, cwd=ROOT, input=lines, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def wrong(result: dict[str, Any]) -> list[str]:
    """Where the next consoles' words and the truth on the host differ."""
    said, soon, later, mailed = result["said"], result["soon"], result["later"], result["mailed"]
    found = []
    if not soon["sound"] or not later["sound"]:
        found.append("the chain is broken")
    if any(times > 1 for times in mailed.values()):
        found.append(f"twice: {mailed}")
    if not soon["intents"] and (soon["host"] or soon["mailed"]):
        found.append(f"no intent, and the host has {soon['host']}, {soon['mailed']}")
    if said.startswith("refused") and soon["mailed"]:
        found.append(f"told {said}, and mailed {soon['mailed']}")
    if soon["intents"] and not soon["host"] and not said and soon["results"] and "late" not in said:
        found.append(f"given up at once, while the start could be under way: {soon}")
    if later["results"] and len(later["results"]) > 1:
        found.append(f"more than one outcome: {later['results']}")
    if "not-started" in later["results"] and (later["mailed"] or later["host"]):
        found.append(f"on record as not started: {later}")
    if later["host"] == "ended" and later["intents"] and "ended" not in later["results"]:
        found.append(f"its end isn't on record: {later}")
    if later["intents"] and not later["results"] and not (later["open"] and later["host"]):
        found.append(f"neither closed nor open with a reason: {later}")
    if later["results"] == ["not-started"] and result["again"] == "fresh":
        found.append("on record as not started for good, and then started")
    if result["again"] == "fresh" and result["other"] == "fresh":
        found.append("started twice")
    return [f"{result['point']}: {what}" for what in found]


def named(later: dict[str, Any]) -> str:
    """What the last console saw, in a few words."""
    if not later["intents"]:
        return "no intent, nothing sent"
    return f"{later['host'] or 'nothing on the host'}, {' '.join(later['results']) or 'open'}"


@traced
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_console_spoiled_at_every_call_of_a_start(tmp_path: Path) -> None:
    (whole,) = sweep(tmp_path / "whole", [])
    assert whole["said"] == "started"
    assert sum(whole["mailed"].values()) == RECIPIENTS
    assert wrong(whole) == []
    files = [call for call in whole["calls"] if not call["paths"][0].startswith("pipe:")]
    # Errors are counted in a run whose pipes aren't: only the place among the files' own calls is the same there.
    failing = [{**call, "n": number} for number, call in enumerate(files, 1)]
    every = points(whole["calls"], ["kill"]) + points(failing, ["EIO", "ENOSPC"])
    chosen = some(every, size(9, 200), seed())
    results = sweep(tmp_path / "spoiled", chosen)
    found = [what for result in results for what in wrong(result)]
    fired = sum(result["fired"] for result in results)
    left = Counter(named(result["later"]) for result in results)
    print(f"calls={len(whole['calls'])} left: {dict(left)}")
    report("crash-console", len(results), fired, len(found))
    assert not found, "\n".join(found)
    assert fired > 0.8 * len(results)
