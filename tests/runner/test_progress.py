"""What a run says of itself: lines for machines, lines for people, the delivery log."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from runner.campaign.address import mask
from runner.run import voice
from runner.run.output import DeliveryLog, Output
from runner.run.progress import Counts, Progress
from runner.run.voice import Voice
from runner.run.words import closing_lines, wait_words

NOW = datetime(2026, 5, 12, 7, 0, tzinfo=UTC)
LONDON = ZoneInfo("Europe/London")


def classify(code: int, text: str) -> str:
    return "mailbox-full" if code == 552 else "no-such-user"


def line(progress: Progress, clock: float, state: str = "sending", **more: Any) -> dict[str, Any]:
    made = progress.line(state, 3, NOW + timedelta(seconds=clock), clock, **more)
    told: dict[str, Any] = json.loads(made)
    return told


def test_given_a_send_that_slows_down_then_both_rates_and_the_time_left_say_so() -> None:
    counts = Counts(total=2000)
    progress = Progress(counts)
    for tick in range(41):  # ten seconds at 40 a second, a line each quarter of a second
        counts.accepted = 10 * tick
        told = line(progress, tick / 4)
    assert (told["rate_1s"], told["rate_30s"], told["rate"], told["eta_s"]) == (40.0, 40.0, 40.0, 40)
    for tick in range(1, 41):  # and ten at 4 a second
        counts.accepted += 1
        told = line(progress, 10 + tick / 4)
    assert (told["rate_1s"], told["rate"], told["rate_30s"]) == (4.0, 4.0, 22.0)
    assert told["eta_s"] == round((2000 - 440) / 22)
    assert line(progress, 20, rate_limit=200)["eta_s"] == round((2000 - 440) / 22)
    assert line(progress, 20, rate_limit=2)["eta_s"] == (2000 - 440) / 2, "it goes no faster than it may"
    assert "13 min left" in progress.human("sending", 0, NOW)


def test_given_a_server_that_is_gone_then_people_are_told_why_nothing_moves() -> None:
    counts = Counts(total=1000)
    progress = Progress(counts)
    line(progress, 0)
    for _ in range(32):
        progress.error(0, "mail.example.com:25: Connection refused")
    line(progress, 2)
    assert progress.human("sending", 0, NOW) == (
        "sending: 0 of 1,000 processed (0 %), 0 SMTP failures; last error (32 times): "
        "mail.example.com:25: Connection refused"
    )
    counts.accepted = 10
    line(progress, 3)
    assert "refused" not in progress.human("sending", 0, NOW), "it sends again"


def test_given_a_long_pause_then_the_speed_afterwards_is_that_of_the_sending() -> None:
    counts = Counts(total=1000)
    progress = Progress(counts)
    line(progress, 0)
    counts.accepted = 100
    line(progress, 10)
    assert line(progress, 11, "paused")["eta_s"] is None
    counts.accepted = 101  # one that was in flight
    line(progress, 12, "paused")
    assert progress.human("paused", 0, NOW) == "paused: 101 of 1,000 processed (10 %), 0 SMTP failures"
    counts.accepted = 100
    line(progress, 500, "paused")
    line(progress, 501)
    counts.accepted = 120
    assert line(progress, 502)["rate_30s"] == 20.0


def test_only_a_counter_that_changed_is_progress() -> None:
    counts = Counts(total=3)
    progress = Progress(counts)
    first = line(progress, 0)["moved"]
    assert line(progress, 5)["moved"] == first
    counts.deferred = 1
    assert line(progress, 9)["moved"] > first


def test_errors_are_told_by_class_and_masked_and_only_failures_are_counted() -> None:
    progress = Progress(Counts(total=9), classify=classify)
    progress.error(450, "4.2.0 greylisted")
    assert line(progress, 0)["classes"] == {}
    for name in ("ann", "bob", "cy"):
        progress.error(550, f"5.1.1 <{name}@example.com> unknown\x1b[2J", failed=True)
    told = line(progress, 1)
    assert told["last_error"] == {
        "code": 550,
        "class": "no-such-user",
        "text": "5.1.1 <c•••@example.com> unknown [2J",
        "n": 3,
    }
    progress.error(552, "5.2.2 full", failed=True)
    told = line(progress, 2)
    assert told["classes"] == {"no-such-user": 3, "mailbox-full": 1}
    assert (told["last_error"]["n"], told["last_error"]["class"]) == (1, "mailbox-full")


NINE = NOW.timestamp() + 3600
NIGHT = datetime(2026, 5, 12, 23, 30, tzinfo=UTC).timestamp()
WINDOW = "waiting for the window, opens"
WAITS = [
    ("sending", 8, "", None, ""),
    ("finished", 0, "", None, ""),
    ("paused", 3, "", None, "paused, 3 still in flight"),
    ("paused", 0, "", None, "paused"),
    ("paused", 0, "554 no, 10 in a row", None, "paused: 554 no, 10 in a row"),
    ("window", 0, "", NINE, f"{WINDOW} at 09:00 Europe/London (08:00 UTC)"),
    ("window", 2, "outside its window", NINE, f"{WINDOW} at 09:00 Europe/London (08:00 UTC), 2 still in flight"),
    ("window", 0, "", NIGHT, f"{WINDOW} on Wed 13 May at 00:30 Europe/London (Tue 23:30 UTC)"),
    ("warm-up", 0, "500 are sent", NINE, "warm-up: 500 are sent, goes on at 09:00 Europe/London (08:00 UTC)"),
    ("warm-up", 0, "warm-up of the account", None, "warm-up of the account"),
    ("share", 0, "behind campaign june (priority high)", None, "behind campaign june (priority high)"),
    ("cancelling", 4, "", None, "cancelling, 4 still in flight"),
]  # fmt: skip


@pytest.mark.parametrize(("state", "inflight", "why", "until", "words"), WAITS)
def test_why_nothing_new_is_begun(state: str, inflight: int, why: str, until: float | None, words: str) -> None:
    assert wait_words(state, inflight, why, until, NOW, LONDON) == words


def test_a_wait_is_in_the_line_for_machines_and_in_that_for_people() -> None:
    progress = Progress(Counts(total=2601, accepted=1587, failed=3, unknown=1, suppressed=4), LONDON)
    told = line(progress, 0, "window", until=NINE)
    assert told["until"] == "2026-05-12T08:00:00+00:00"
    assert told["why"] == "waiting for the window, opens at 09:00 Europe/London (08:00 UTC), 3 still in flight"
    assert progress.human("window", 0, NOW, until=NINE) == (
        "waiting for the window, opens at 09:00 Europe/London (08:00 UTC): 1,591 of 2,601 processed (61 %), "
        "3 SMTP failures, 1 unknown, 4 suppressed"
    )


def test_the_summary_is_in_the_words_of_the_hosts_logs() -> None:
    counts = Counts(total=2610, accepted=2596, failed=5, unknown=2, suppressed=12)
    assert closing_lines(counts, 552.0, 2603, {"mailbox-full": 1, "no-such-user": 3}) == [
        "2,603 recipients processed",
        "5 SMTP failures",
        "By class: 3 no-such-user, 1 mailbox-full, 1 not told apart",
        "12 on the suppression list, not mailed",
        "2 unknown, not sent again; see them with --mode list-unknown",
        "7 recipients not sent; --mode resume sends them",
        "Completed in 9.2 minutes (average 212 ms per recipient, 4.7 a second)",
    ]
    fast = closing_lines(Counts(total=100_000, accepted=100_000), 5.0, 100_000)[-1]
    assert fast == "Completed in 0.1 minutes (average 0.05 ms per recipient, 20,000 a second)"
    nothing = closing_lines(Counts(total=5, accepted=5), 0.1, 0)[-1]
    assert nothing == "Completed in 0.0 minutes (average 0 ms per recipient)"


class Heard:
    """Stands in for the output: keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


def test_it_speaks_at_once_of_a_new_state_four_times_a_second_of_news_and_once_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts, heard, clock = Counts(total=100), Heard(), [0.0]
    monkeypatch.setattr(voice.time, "monotonic", lambda: clock[0])
    speaker = Voice(heard, Progress(counts), verbose=False)  # type: ignore[arg-type]

    assert speaker.say("sending", 1) is True
    for step in range(1, 101):  # a second of an engine that asks a hundred times, with news each time
        clock[0], counts.accepted = step / 100, step
        assert speaker.say("sending", 1) is False
    assert 4 <= len(heard.lines) - 1 <= 5

    heard.lines.clear()
    for step in range(1, 401):  # four seconds in which nothing happens
        clock[0] = 1 + step / 100
        speaker.say("sending", 1)
    assert 4 <= len(heard.lines) <= 5

    heard.lines.clear()
    assert speaker.say("paused", 3) is True
    assert speaker.say("paused", 3, why="the server refuses") is False
    assert [json.loads(said)["why"] for said in heard.lines] == [
        "paused, 3 still in flight",
        "paused: the server refuses, 3 still in flight",
    ]


def test_the_delivery_log_masks_quotes_and_keeps_the_order(tmp_path: Path) -> None:
    spoken = Output()
    log = DeliveryLog(tmp_path / "delivery.jsonl", spoken)
    hostile = 'no "such" user \\ <eve@example.com>\r\n{"row": 9}\u2028\x00' + "x" * 400
    for row in range(1, 1001):
        log.add(row, "failed", 550, hostile, "eve@example.com")
    log.flush()
    log.add(1001, "accepted", 250, "2.0.0 Ok", "Zoë@example.com")
    log.flush()
    log.flush()
    spoken.close()

    text = (tmp_path / "delivery.jsonl").read_text()
    assert "eve@" not in text
    told = [json.loads(made) for made in text.split("\n")[:-1]]
    assert [one["row"] for one in told] == list(range(1, 1002))
    assert told[0]["to"] == mask("eve@example.com")
    assert told[0]["text"].startswith('no "such" user \\ <e•••@example.com>  {"row": 9}')
    assert len(told[0]["text"]) == 200
    assert all(datetime.fromisoformat(one["t"]).tzinfo for one in told)
    assert told[-1] | {"t": ""} == {
        "t": "",
        "row": 1001,
        "to": "Z•••@example.com",
        "outcome": "accepted",
        "code": 250,
        "text": "2.0.0 Ok",
    }
