"""A new account sends a little more each day, whatever happens to those who send."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.run.warmup import WarmUp

NOON = datetime(2026, 5, 12, 12, tzinfo=UTC).timestamp()
DAY = timedelta(days=1).total_seconds()
HUNGRY = """
import sys
from pathlib import Path
from runner.run.warmup import WarmUp
warmup = WarmUp(Path(sys.argv[1]), "account", (5000,))
now = float(sys.argv[2])
while True:
    waits = warmup.wait(now)
    if waits is None:
        warmup.taken()
        print("x", end="", flush=True)
    elif "are sent" in waits.why:
        break
    else:
        now += 0.2
"""


def send(warmup: WarmUp, now: float, most: int = 100_000) -> int:
    """How many go out at once before it says wait."""
    for number in range(most):
        if warmup.wait(now):
            return number
        warmup.taken()
    return most


def test_each_day_has_its_step_and_then_there_is_no_limit(tmp_path: Path) -> None:
    warmup = WarmUp(tmp_path, "account", (20, 40))
    assert send(warmup, NOON) == 20
    assert send(warmup, NOON + 60) == 0
    assert send(warmup, NOON + DAY) == 40
    assert send(warmup, NOON + 2 * DAY, most=500) == 500


def test_it_says_what_it_waits_for_and_until_when(tmp_path: Path) -> None:
    warmup = WarmUp(tmp_path, "account", (5, 10))
    send(warmup, NOON)
    waiting = warmup.wait(NOON)
    assert waiting is not None
    assert (waiting.state, waiting.why) == ("warm-up", "today's 5 are sent, on day 1 of it")
    assert waiting.until == datetime(2026, 5, 13, tzinfo=UTC).timestamp()
    assert warmup.wait(waiting.until - 1) is not None
    assert warmup.wait(waiting.until) is None


def test_days_count_from_the_first_whether_something_was_sent_or_not(tmp_path: Path) -> None:
    assert send(WarmUp(tmp_path, "account", (5, 10, 20)), NOON) == 5
    assert send(WarmUp(tmp_path, "account", (5, 10, 20)), NOON + 2 * DAY) == 20


def test_all_campaigns_of_an_account_count_together_and_other_accounts_apart(tmp_path: Path) -> None:
    one, other = WarmUp(tmp_path, "account", (100,)), WarmUp(tmp_path, "account", (100,))
    assert send(one, NOON, most=30) + send(other, NOON) + send(one, NOON) == 100
    assert send(WarmUp(tmp_path, "second", (100,)), NOON) == 100


def test_the_lowest_of_the_accounts_and_the_campaigns_steps_binds(tmp_path: Path) -> None:
    assert send(WarmUp(tmp_path, "account", (100, 200), (7,)), NOON) == 7
    assert send(WarmUp(tmp_path, "account", (100, 200), (7,)), NOON + DAY) == 200


def test_without_steps_nothing_is_counted_and_nothing_written(tmp_path: Path) -> None:
    assert send(WarmUp(tmp_path / "none", "account", (), ()), NOON, most=10) == 10
    assert not (tmp_path / "none").exists()


def test_what_was_not_used_is_given_back_at_the_end(tmp_path: Path) -> None:
    first = WarmUp(tmp_path, "account", (200,))
    send(first, NOON, most=9)
    first.give_back(first.taken())  # one of them never reached the server
    first.close(NOON)
    assert json.loads((tmp_path / "account.json").read_text())["sent"] == 9
    assert send(WarmUp(tmp_path, "account", (200,)), NOON) == 191


def test_what_was_lost_over_midnight_is_not_sent_besides_the_next_days(tmp_path: Path) -> None:
    warmup = WarmUp(tmp_path, "account", (20, 5))
    assert warmup.wait(NOON) is None
    in_flight = [warmup.taken() for _ in range(10)]
    assert warmup.wait(NOON + DAY) is None
    for day in in_flight:
        warmup.give_back(day)
    assert send(warmup, NOON + DAY) == 5


def test_those_in_flight_beyond_the_last_are_counted_too(tmp_path: Path) -> None:
    warmup = WarmUp(tmp_path, "account", (100,))
    warmup.wait(NOON)
    for _ in range(60):  # 25 were taken ahead, and all workers had looked before one of them began
        warmup.taken()
    assert send(warmup, NOON) == 40


def test_a_clock_that_is_set_back_a_little_loses_nothing(tmp_path: Path) -> None:
    warmup = WarmUp(tmp_path, "account", (100,))
    send(warmup, NOON, most=10)
    assert send(warmup, NOON - 60) == 90


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"first": "2026-05-12", "day": "2026-05-12", "sent": -1}',
        '{"first": "2026-05-12", "day": "2026-05-12", "sent": true}',
        '{"first": "2026-05-13", "day": "2026-05-12", "sent": 1}',
        '{"first": "2026-05-12", "day": "2030-01-01", "sent": 1}',
    ],
)
def test_a_count_that_cannot_be_told_stops_the_send_with_the_reason(tmp_path: Path, text: str) -> None:
    (tmp_path / "account.json").write_text(text)
    warmup = WarmUp(tmp_path, "account", (100,))
    waiting = warmup.wait(NOON)
    assert waiting is not None
    assert waiting.state == "warm-up"
    assert "can't be told" in waiting.why
    assert waiting.until is None
    assert (tmp_path / "account.json").read_text() == text
    (tmp_path / "account.json").unlink()  # a person mends it
    assert warmup.wait(NOON + 60) is None


def test_a_count_that_cannot_be_kept_stops_the_send(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    waiting = WarmUp(tmp_path / "file", "account", (100,)).wait(NOON)
    assert waiting is not None
    assert "can't be told" in waiting.why


@pytest.mark.slow
def test_several_processes_and_kills_never_send_more_than_the_day_has(tmp_path: Path) -> None:
    def start() -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", HUNGRY, str(tmp_path), str(NOON)], stdout=subprocess.PIPE, text=True
        )

    killed, others = start(), [start() for _ in range(3)]
    assert killed.stdout is not None
    sent = len(killed.stdout.read(300))
    os.kill(killed.pid, signal.SIGKILL)
    sent += len(killed.communicate(timeout=30)[0])
    sent += sum(len(process.communicate(timeout=60)[0]) for process in others)
    assert 5000 - 50 <= sent <= 5000
