"""listmonk's log is kept here: once, masked, over its restarts, by one console or two."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backends.listmonk.kept import RING, KeptLog
from backends.listmonk.loglines import Kind, error_class, other_mail, sleeping, told
from backends.listmonk.runfile import RunFile, Span

NOW = datetime(2026, 7, 2, 8, 0, 0, tzinfo=UTC)


def line(second: float, text: str, *, hours: int = 0) -> str:
    at = NOW + timedelta(seconds=second, hours=hours)
    return f"{at:%Y/%m/%d %H:%M:%S.%f} manager.go:430: {text}"


def texts(kept: KeptLog) -> list[str]:
    return [entry.text for entry in kept.entries()]


@pytest.fixture
def kept(tmp_path: Path) -> KeptLog:
    return KeptLog(tmp_path / "kept")


def test_a_line_is_kept_once_however_often_the_whole_log_is_read(kept: KeptLog) -> None:
    ring = [line(1, "one"), line(2, "two")]
    assert len(kept.take(ring, NOW)) == 2
    assert kept.take(ring, NOW) == ()
    ring = [*ring[1:], line(3, "three")]  # the first one fell out of the ring
    assert [entry.text for entry in kept.take(ring, NOW)] == ["three"]
    assert texts(kept) == ["one", "two", "three"]


def test_two_consoles_keep_one_copy_and_an_old_answer_that_comes_late_is_no_restart(tmp_path: Path) -> None:
    mine, theirs = KeptLog(tmp_path), KeptLog(tmp_path)
    old = [line(1, "one"), line(2, "two")]
    mine.take([*old, line(3, "three")], NOW)
    assert theirs.take(old, NOW) == ()
    theirs.take([*old, line(3, "three"), line(4, "four")], NOW)
    assert texts(mine) == texts(theirs) == ["one", "two", "three", "four"]


def test_a_restart_is_marked_and_nothing_before_it_is_lost(kept: KeptLog) -> None:
    kept.take([line(1, "one"), line(2, "two")], NOW)
    new = kept.take([line(60, "init")], NOW + timedelta(seconds=61))
    assert new[0].restart
    assert [entry.gap for entry in kept.entries()] == [False, False, True, False]


def test_a_log_that_rolled_over_between_two_looks_is_a_gap_but_no_restart(kept: KeptLog) -> None:
    kept.take([line(1, "one")], NOW)
    full = [line(60 + n / 1000, f"line {n}") for n in range(RING)]
    marker = kept.take(full, NOW + timedelta(seconds=70))[0]
    assert marker.gap
    assert not marker.restart


def test_no_address_and_no_secret_is_written_down(kept: KeptLog) -> None:
    kept.take(
        [line(1, "error rendering message (July) (jane.roe@example.com): password=hunter22"), "\x1b[2Jhi"], NOW
    )
    written = b"".join(path.read_bytes() for path in kept.folder.iterdir())
    for word in (b"jane.roe", b"hunter22", b"\x1b"):
        assert word not in written
    assert b"j\xe2\x80\xa2" in written


def test_the_zone_of_the_log_is_learned_from_lines_that_came_between_two_looks(kept: KeptLog) -> None:
    kept.take([line(0, "one", hours=-7)], NOW)
    soon = NOW + timedelta(seconds=10)
    kept.take([line(0, "one", hours=-7), line(9, "two", hours=-7)], soon)
    assert abs(kept.entries()[-1].at - soon) < timedelta(minutes=1)
    again = KeptLog(kept.folder)  # and it is known after a start of the console
    again.take([line(9, "two", hours=-7), line(900, "three", hours=-7)], NOW + timedelta(seconds=900))
    assert abs(again.entries()[-1].at - (NOW + timedelta(seconds=900))) < timedelta(minutes=1)


def test_what_was_kept_before_the_zone_was_known_is_dated_by_it_later(kept: KeptLog) -> None:
    ring = [line(0, "start processing campaign (July)", hours=-7), line(1, "  and more", hours=-7)]
    kept.take(ring, NOW + timedelta(seconds=2))
    KeptLog(kept.folder).take([*ring, line(9, "two", hours=-7)], NOW + timedelta(seconds=10))  # another console
    kept.take([line(60, "init", hours=-7)], NOW + timedelta(seconds=61))
    for each in (kept, KeptLog(kept.folder)):
        seconds = [round((entry.at - NOW).total_seconds()) for entry in each.entries()]
        assert seconds == [0, 1, 9, 60, 60]
        assert each.entries(NOW)[0].text == "start processing campaign (July)"


def test_a_console_that_stands_still_with_the_files_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backends.listmonk.kept.LOCKED_FOR", 0.05)
    with KeptLog(tmp_path).locked(), pytest.raises(OSError, match="another console of yours holds it"):
        KeptLog(tmp_path).take([line(1, "one")], NOW)
    assert KeptLog(tmp_path).take([line(1, "one")], NOW)


def test_it_is_bounded_and_still_knows_what_it_kept(tmp_path: Path) -> None:
    kept = KeptLog(tmp_path, full=2000)
    ring: list[str] = []
    for n in range(100):
        ring = [*ring, line(n, f"number {n} {'x' * 40}")][-30:]
        kept.take(ring, NOW + timedelta(seconds=n))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 6000
    found = texts(kept)
    assert len(found) == len(set(found))
    assert found[-1].startswith("number 99")
    assert not any(entry.gap for entry in kept.entries())


def test_a_line_that_was_cut_by_a_crash_is_left_out_and_hides_nothing(kept: KeptLog) -> None:
    kept.take([line(1, "one")], NOW)
    path = kept.folder / "listmonk.log"
    with path.open("ab") as file:
        file.write(path.read_bytes()[:20])
    again = KeptLog(kept.folder)
    again.take([line(1, "one"), line(2, "two")], NOW)
    assert texts(again) == ["one", "two"]


def test_lines_without_a_time_of_their_own_stay_with_the_line_before_them(kept: KeptLog) -> None:
    ring = [line(1, "trouble:"), "  at one", "  at two", line(2, "trouble:"), "  at one"]
    kept.take(ring, NOW)
    assert kept.take(ring, NOW) == ()
    assert texts(kept) == ["trouble:", "  at one", "  at two", "trouble:", "  at one"]


@pytest.mark.parametrize("name", ["July", "July (b): subscriber 3: x", "{}", "a) finished", "50 % (\\d+)"])
def test_what_a_line_tells_is_told_by_names_that_are_known(name: str) -> None:
    found = told(f"error sending message in campaign {name}: subscriber 17: 550 5.1.1 no such user", name)
    assert found is not None
    assert (found.kind, found.subscriber, found.why) == (Kind.SEND_ERROR, "17", "550 5.1.1 no such user")
    for text, kind in (
        ("start processing campaign ({})", Kind.PICKED_UP),
        ("stop processing campaign ({})", Kind.DRAINED),
        ("campaign ({}) finished", Kind.FINISHED),
        ("set campaign ({}) to paused", Kind.ERROR_PAUSED),
        ("error count exceeded 5. pausing campaign {}", Kind.ERRORS_EXCEEDED),
        ("error processing campaign ({}): template: no such field", Kind.STUCK),
    ):
        assert getattr(told(text.replace("{}", name), name), "kind", None) is kind, text
        assert told(text.replace("{}", name), "another") is None


def test_a_window_that_is_used_up_tells_how_long_everything_sleeps() -> None:
    found = sleeping(
        "messages exceeded (10000) for the window (1h0m0s since 02 Jul 26 08:00). Sleeping for 51m46s."
    )
    assert found is not None
    assert found.sleeps == timedelta(minutes=51, seconds=46)


def test_errors_are_classed_by_what_the_server_said() -> None:
    assert error_class("454 4.7.0 Throttling failure") == "454 4.7.0"
    assert error_class("dial tcp 127.0.0.1:25: connect: connection refused") == "connection"
    assert error_class("i/o timeout") == "timeout"
    assert other_mail("error sending message 'Your receipt': 550 no") == "550 no"
    assert other_mail("error sending message in campaign July: subscriber 1: 550 no") is None


def test_a_run_s_log_has_its_own_lines_once_in_order_and_the_same_bytes_for_everybody(kept: KeptLog) -> None:
    span = Span("July", NOW)
    kept.take(
        [
            line(-3600, "start processing campaign (July)"),  # last year's July, or another one
            line(1, "start processing campaign (July)"),
            line(2, "start processing campaign (June)"),
            line(3, "error sending message in campaign July: subscriber 7: EOF"),
        ],
        NOW,
    )
    mine, theirs = RunFile(kept, "5"), RunFile(kept, "5")
    mine.absorb(span.of(kept.entries()))
    before = theirs.read(0)
    theirs.absorb(span.of(kept.entries()))
    theirs.progress({"state": "sending", "total": 10, "accepted": 1}, NOW)
    mine.progress({"state": "sending", "total": 10, "accepted": 1}, NOW + timedelta(seconds=5))
    mine.say("the end", NOW)
    theirs.say("the end", NOW + timedelta(seconds=9))
    data = mine.read(0)
    assert data.startswith(before)
    assert mine.read(len(before)) == data[len(before) :]
    said = data.decode().splitlines()
    assert [words.partition(" ")[2] for words in said[:2]] == [
        "start processing campaign (July)",
        "error sending message in campaign July: subscriber 7: EOF",
    ]
    assert len(said) == 4
    assert mine.size == len(data)


def test_logs_of_runs_that_are_long_over_are_thrown_away(kept: KeptLog) -> None:
    old, young = RunFile(kept, "old"), RunFile(kept, "young")
    for run in (old, young):
        run.say("the end", NOW)
    os.utime(old.path, (NOW.timestamp(), NOW.timestamp()))
    os.utime(young.path, (NOW.timestamp() + 86_400 * 300, NOW.timestamp() + 86_400 * 300))
    kept.take([line(1, "one")], NOW + timedelta(days=500))
    assert old.read(0) == b""
    assert b"the end" in young.read(0)


def test_a_full_run_log_takes_progress_and_says_that_it_is_full(kept: KeptLog) -> None:
    span, run = Span("July", NOW), RunFile(kept, "5", full=3000)
    ring = [line(n, f"error sending message in campaign July: subscriber {n}: EOF") for n in range(1, 200)]
    for upto in (10, 100, 199):
        kept.take(ring[:upto], NOW + timedelta(seconds=upto))
        run.absorb(span.of(kept.entries()))
    run.progress({"state": "sending", "total": 10, "accepted": 1}, NOW)
    said = run.read(0).decode()
    assert said.count("is full") == 1
    assert len(said) < 4000
    assert said.splitlines()[-1].startswith("{")
