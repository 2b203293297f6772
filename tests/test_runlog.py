"""What runners print, and what the console takes from it."""

import json
from datetime import UTC, datetime

import pytest

from opsconsole.observation import Counts
from opsconsole.runlog import CUT, LINE_CAP, Reader, last_send, read_line, say_duration, stretches
from opsconsole.settings import Patterns


def line(**values: object) -> bytes:
    return json.dumps({"v": 1, **values}).encode() + b"\n"


PROGRESS = {"state": "sending", "total": 2601, "accepted": 1587, "deferred": 3, "failed": 1, "unknown": 0}
SUMMARY = {
    "summary": True,
    "mode": "send",
    "rc": 0,
    "counts": {"total": 2601, "accepted": 2601, "failed": 0, "unknown": 0},
    "duration_s": 192.5,
}


def test_a_progress_line_of_our_runner_tells_everything_at_once():
    event = read_line(line(**PROGRESS, inflight=20, rate=41.5, eta_s=24))
    assert event is not None
    assert event.counts == Counts(total=2601, accepted=1587, failed=1, deferred=3)
    assert (event.state, event.inflight, event.rate, event.eta_s, event.ends) == ("sending", 20, 41.5, 24.0, False)


def test_the_summary_of_our_runner_ends_the_run():
    reader = Reader()
    reader.feed(line(**PROGRESS) + line(**SUMMARY))
    assert reader.progress.ended
    assert reader.progress.rc == 0
    assert reader.progress.duration_s == 192.5
    assert reader.progress.counts == Counts(total=2601, accepted=2601, deferred=3)


HUMAN = [
    ("2,601 recipients processed", {"ends": True, "processed": 2601, "total": 2601}),
    ("2601 recipients processed", {"ends": True, "processed": 2601}),
    ("1 recipient processed", {"ends": True, "processed": 1}),
    ("0 SMTP failures", {"failed": 0, "ends": False}),
    ("1,204 failures", {"failed": 1204}),
    ("total recipients: 2,601", {"total": 2601}),
    ("Starting send of paul-simon-may12", {"begins": True, "ends": False}),
    ("progress 1,587 / 2,601", {"processed": 1587, "total": 2601}),
    ("finished in 3.2 minutes", {"duration_s": 192.0}),
    ("2,601 recipients counted", {"ends": True, "mode": "dry-run"}),
    ("dry-run: nothing is sent", {"mode": "dry-run"}),
    ("2026-05-12 10:52:03 INFO dry run of x", {"mode": "dry-run"}),
    ("mode: send", {"mode": "send"}),
    ("ERROR 451 4.3.0 try later", {"error": "ERROR 451 4.3.0 try later"}),
]


@pytest.mark.parametrize(("text", "tells"), HUMAN, ids=[text for text, _ in HUMAN])
def test_human_lines(text, tells):
    event = read_line(text)
    assert event is not None
    assert {name: getattr(event, name) for name in tells} == tells


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "on 05/12/2026 at 10:00",
        "2026/05/12 10:52",
        "5/4 of a barrel",
        "delivered to user1@example.com 250 2.0.0 Ok",
        '{"v":2,"state":"x"}',
        '{"v":1,',
        "[1]",
        "{" * 5000,
        '{"v":1,"total":' + "9" * 6000 + "}",
    ],
)
def test_lines_that_tell_nothing(text):
    assert read_line(text) is None


@pytest.mark.parametrize("value", ["12", None, -1, True, 1.5, [], {}, 1e300, 10**40])
def test_a_count_of_a_wrong_type_is_not_told(value):
    event = read_line(line(total=value, accepted=value, rc=value, state=value, counts=value))
    assert event is not None
    assert (event.total, event.accepted, event.counts) == (None, None, None)


def test_infinite_and_missing_numbers_in_json_are_not_told():
    event = read_line(b'{"v":1,"rate":Infinity,"eta_s":NaN,"duration_s":-1}')
    assert event is not None
    assert (event.rate, event.eta_s, event.duration_s) == (None, None, None)


def test_bytes_may_be_cut_anywhere():
    data = line(**PROGRESS) + "Grüße\r\n".encode() + line(**SUMMARY) + b"last"
    whole = Reader()
    expected = whole.feed(data) + whole.close()
    for size in (1, 2, 7, 64):
        reader = Reader()
        lines = [each for at in range(0, len(data), size) for each in reader.feed(data[at : at + size])]
        assert lines + reader.close() == expected
        assert reader.progress.counts == whole.progress.counts


def test_a_line_without_end_is_cut_and_what_follows_is_read():
    reader = Reader()
    lines = []
    for _ in range(40):
        lines += reader.feed(b"x" * 20_000)
    lines += reader.feed(b"tail of it\n" + line(**SUMMARY))
    assert len(lines) == 2
    assert lines[0].text.endswith(CUT)
    assert len(lines[0].text) == LINE_CAP + len(CUT)
    assert reader.progress.ended


def test_hostile_bytes_never_raise():
    reader = Reader()
    for byte in range(256):
        reader.feed(bytes([byte]) * 3 + b"\n" + bytes([byte]))
    reader.feed(b"\x00\x1b[2J\xff\xfe 7 recipients processed\n")
    assert reader.progress.counts == Counts(total=7, accepted=7)


def test_our_runner_going_on_after_a_summary_is_not_ended():
    reader = Reader()
    reader.feed(line(**SUMMARY) + line(**PROGRESS))
    assert not reader.progress.ended
    assert reader.progress.summary is None


SEND_ENDED = b"Starting send\n100 / 2601\n2601 recipients processed\n3 SMTP failures\nDone in 4.0 minutes\n"
DRY_ENDED = b"Starting dry-run\n2601 recipients counted\n0 rows refused\n"

LOGS = [
    ("a send that ended", SEND_ENDED, True, Counts(total=2601, accepted=2598, failed=3)),
    ("a send, then a rehearsal", SEND_ENDED + DRY_ENDED, True, Counts(total=2601, accepted=2598, failed=3)),
    ("a rehearsal, then a send", DRY_ENDED + SEND_ENDED, True, Counts(total=2601, accepted=2598, failed=3)),
    (
        "a send that stopped half-way",
        DRY_ENDED + b"Starting send\n100 / 2601\n",
        False,
        Counts(total=2601, accepted=100),
    ),
    ("a start and nothing more", b"Starting blast\n", False, None),
    ("a start after a rehearsal", DRY_ENDED + b"Starting blast\n", False, None),
    ("a stopped send, then a rehearsal", b"Starting send\n" + DRY_ENDED, False, None),
    (
        "a report after the end",
        SEND_ENDED + b"Sending completion report to ops\n",
        True,
        Counts(total=2601, accepted=2598, failed=3),
    ),
]


@pytest.mark.parametrize(("log", "ended", "counts"), [each[1:] for each in LOGS], ids=[each[0] for each in LOGS])
def test_the_newest_send_of_a_shared_log(log, ended, counts):
    send = last_send(log)
    assert send is not None
    assert (send.ended, send.counts) == (ended, counts)


@pytest.mark.parametrize(
    "log",
    [
        b"",
        DRY_ENDED,
        b"Starting mail blast\nDRY RUN: nothing is sent\n",
        DRY_ENDED + b"Sending notification to ops\n",
        line(state="rendering", mode="dry-run") + line(summary=True, mode="dry-run", rc=0),
        b"--campaign x --mode dry-run\nStarted\n2601 recipients processed\n",
    ],
)
def test_a_rehearsal_is_no_send(log):
    assert last_send(log) is None


def test_a_send_that_mentions_its_rehearsal_is_still_a_send():
    log = b"the dry run of 10:40 was fine\nSending now\n2601 recipients processed\n"
    assert last_send(log) is not None


def test_the_first_line_of_a_tail_is_left_out():
    assert stretches(b"1 recipients processed", whole=False) == ()
    assert len(stretches(b"1 recipients processed")) == 1


def test_a_log_with_times_of_its_own_tells_them():
    send = last_send(b"2026-05-12 17:52:03Z Starting send\n2026-05-12T17:55:00Z 5 recipients processed\n")
    assert send is not None
    assert send.first_stamp == datetime(2026, 5, 12, 17, 52, 3, tzinfo=UTC)
    assert send.last_stamp == datetime(2026, 5, 12, 17, 55, tzinfo=UTC)


def test_a_foreign_runner_is_read_through_its_own_patterns():
    patterns = Patterns(processed=r"DONE n=(\d+)", failed=r"bad=(\d+)", progress=r"at (\d+) of (\d+)", started="GO")
    reader = Reader(patterns)
    reader.feed(b"GO\nat 5 of 9\n")
    assert reader.progress.began
    assert reader.progress.counts == Counts(total=9, accepted=5)
    reader.feed(b"DONE n=9 bad=2\n")
    assert reader.progress.ended
    assert reader.progress.counts == Counts(total=9, accepted=7, failed=2)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (4.2, "4.2 s"),
        (48, "48 s"),
        (192, "3.2 minutes"),
        (7500, "2 h 5 min"),
        (float("nan"), "unknown"),
        (-1, "unknown"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds, text):
    assert say_duration(seconds) == text


def test_what_a_newer_runner_tells_of_speed_waits_and_classes() -> None:
    reader = Reader()
    told = {
        "state": "window",
        "rate_1s": 18.2,
        "rate_30s": 17.9,
        "suppressed": 4,
        "rate_limit": 20,
        "account": "main",
    }
    error = {"code": 552, "class": "mailbox-full", "text": "5.2.2 full", "n": 2}
    why = "waiting for the window, opens at 09:00 Europe/London (08:00 UTC)"
    waiting = {**told, "why": why, "last_error": error, "classes": {"blocked": 1, "mailbox-full": 3, "odd": "x"}}
    reader.feed(line(**PROGRESS | waiting))
    progress = reader.progress
    assert (progress.rate_1s, progress.rate_30s, progress.rate_limit, progress.account) == (
        18.2,
        17.9,
        "20",
        "main",
    )
    assert (progress.why, progress.error_class) == (why, "mailbox-full")
    assert progress.classes == (("mailbox-full", 3), ("blocked", 1))
    assert progress.last_error == "552 mailbox-full: 5.2.2 full (2 times)"
    assert progress.counts is not None
    assert progress.counts.suppressed == 4

    reader.feed(line(**PROGRESS, rate_limit=None))  # it went on, and nothing limits it
    assert (progress.why, progress.classes, progress.rate_limit, progress.rate_1s) == ("", (), "none", None)


def test_a_hostile_line_makes_no_long_words_of_waits_and_classes() -> None:
    odd = {
        "why": "w" * 9000,
        "account": "a" * 9000,
        "classes": {f"{n}" * 20: 1 for n in range(100, 300)},
        "rate_limit": "x",
    }
    event = read_line(line(**PROGRESS | odd))
    assert event is not None
    assert (len(event.why), len(event.account), event.rate_limit) == (300, 40, "")
    assert len(event.classes) == 40
    assert max(len(kind) for kind, _ in event.classes) == 40
    assert read_line(line(**PROGRESS, classes=[1], why=7, last_error={"class": 5})) is not None
