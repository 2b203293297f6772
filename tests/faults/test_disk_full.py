"""A disk that is full, at each place that matters: nothing is sent unrecorded, and what runs is told truthfully."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.hosts import RECIPIENTS
from tests.faults.support import report
from tests.faults.sweep import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk"),
]


def scene(name: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.faults.full_disk", name, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(told)
    return told


@pytest.mark.parametrize("name", ["host", "host, nearly"])
def test_without_room_for_its_records_a_run_does_not_start(tmp_path: Path, name: str) -> None:
    told = scene(name, tmp_path)
    report(f"disk-full-{name.replace(', ', '-')}", 1, int(told["answer"] != "started"), len(told["mailed"]))
    assert told["mailed"] == {}
    assert "othing was s" in told["answer"]
    assert told["says"] in (None, "claimed")
    afterwards = told["afterwards"]
    if told["says"] is None:  # nothing was left, so with room again it starts
        assert afterwards["answer"] == "started"
        assert len(afterwards["mailed"]) == RECIPIENTS
    else:
        assert afterwards["mailed"] == {}


def test_a_log_without_room_does_not_stop_the_run(tmp_path: Path) -> None:
    told = scene("log", tmp_path)
    cut = "it is cut there, and sending goes on" in told["out"]
    report("disk-full-log", 1, int(cut), int(told["got"] != 30))
    assert told["rc"] == 0
    assert (told["got"], told["most"]) == (30, 1)


def test_a_disk_that_fills_up_after_the_start_stops_nothing(tmp_path: Path) -> None:
    told = scene("journal", tmp_path)
    report("disk-full-journal", 1, int(told["full"]), int(told["most in all"] != 1))
    assert told["rc"] == 0
    assert told["most in all"] == 1
    assert told["in all"] == 150


def test_a_store_without_room_starts_nothing_and_still_records_an_end(tmp_path: Path) -> None:
    told = scene("store", tmp_path)
    report("disk-full-store", 4, len(told["refused"]), told["mailed by the refused"])
    assert len(told["refused"]) == 3
    assert all("df -h" in words for words in told["refused"])
    assert told["mailed by the refused"] == 0
    assert told["claimed by the refused"] == []
    assert told["end recorded"]
    assert told["sound"]
    assert told["open"] == 0
