"""A disk that fills up in the middle of a run: logs are cut and say so, a journal that can't be written ends it."""

import contextlib
import errno
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runner.record import room
from runner.record.journal import ACCEPTED, BEGUN, DEFERRED, PENDING, Identity, Journal, JournalError, replay
from runner.run import claim, output
from runner.run.output import DeliveryLog, Output, RunLog
from tests.faults.support import report
from tests.runner.conftest import Host, wait_for
from tests.runner.test_resume import addresses, supervised
from tests.support.smtp_peer import SmtpPeer

SMALL_DISK = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
MIB = 1 << 20
KEY = "0" * 16


@pytest.fixture
def small_disk(host: Host) -> Iterator[Path]:
    """The host's state folder on a disk of 3 MiB."""
    state = host.root / "state"
    state.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", state], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("this machine lets nobody mount anything")
    yield state
    for process in host.started:
        process.kill()
        process.wait()
    subprocess.run(["umount", "-l", state], check=True)


def fill(disk: Path) -> Path:
    """A file that leaves no room at all."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return ballast


def limit(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.slow
def test_given_logs_that_may_grow_no_further_then_the_send_goes_on_and_says_they_are_cut(
    host: Host, peer: SmtpPeer
) -> None:
    host.campaign(addresses(60))
    host.server(peer)
    out, log, delivery = (
        host.root / "console",
        host.log,
        host.root / "state" / "runs" / "may" / "1" / "delivery.jsonl",
    )
    limited = 40_000  # the journal of 60 takes less
    delivery.parent.mkdir(parents=True)
    env = supervised_without_folder(host)
    for path in (log, delivery, out):
        path.write_bytes(b"x" * (limited - 200) + b"\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "runner", "--campaign", "may", "--mode", "send", "--log-delivery"],
        stdin=subprocess.DEVNULL,
        stdout=out.open("ab"),
        stderr=subprocess.STDOUT,
        env=env,
        preexec_fn=lambda: limit(limited),
    )
    host.started.append(process)

    assert process.wait(60) == 0

    assert peer.recipients() == dict.fromkeys(addresses(60), 1)
    assert {path.stat().st_size for path in (log, delivery, out)} == {limited}
    assert (host.runs / "1" / "journal").stat().st_size < limited
    assert host.run("list-unknown", **env).summary["counts"]["accepted"] == 60
    report("runner-logs-full", 1, 3, 0)


def supervised_without_folder(host: Host) -> dict[str, str]:
    (host.runs / "1" / "claim.json").write_text(json.dumps({"run_id": "c0ffee", "slug": "may", "attempt": 1}))
    return {
        **os.environ,
        "MAIL_BLAST_CAMPAIGNS_DIR": str(host.root / "campaigns"),
        "MAIL_BLAST_LOG_DIR": str(host.root / "log"),
        "MAIL_BLAST_CREDENTIALS": str(host.credentials),
        "MAIL_BLAST_RUN_DIR": str(host.runs / "1"),
        "MAIL_BLAST_RUN_ID": "c0ffee",
    }


def test_given_room_again_then_what_is_missing_is_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, full = os.write, [False]

    def write(fd: int, data: bytes) -> int:
        if full[0]:
            real(fd, bytes(data)[:5])
            raise OSError(28, "No space left on device")
        return real(fd, data)

    spoken = Output()
    spoken.copy_to(tmp_path / "out")
    log, delivery = RunLog(tmp_path / "log", spoken), DeliveryLog(tmp_path / "delivery", spoken)
    monkeypatch.setattr(output.os, "write", write)
    for full[0] in (False, True, True, False):
        log.line("a line")
        delivery.add(1, "accepted", 250, "ok", "u•••@example.com")
        delivery.flush()
        spoken.line("a word")
    spoken.close()

    assert [line.split("Z ")[-1] for line in (tmp_path / "log").read_text().splitlines() if "Z " in line] == [
        "a line",
        "2 lines are missing here: No space left on device",
        "a line",
    ]
    told = [line for line in (tmp_path / "delivery").read_text().splitlines() if line.endswith("}")]
    assert [json.loads(line).get("lost") for line in told] == [None, 2, None]
    said = (tmp_path / "out").read_text()
    assert said.count("a word\n") == 2
    assert "mail-blast-runner: 4 lines are missing here, the disk was full\n" in said
    assert spoken.lost >= 4


@pytest.mark.slow
@SMALL_DISK
def test_given_a_disk_that_fills_up_once_it_began_then_the_room_kept_for_it_lets_the_send_reach_everybody(
    host: Host, peer: SmtpPeer, small_disk: Path
) -> None:
    host.campaign(addresses(600))
    host.server(peer)
    peer.delay = 0.005
    env = supervised(host)
    process = host.start("send", **env)
    wait_for(lambda: len(peer.delivered) > 30)

    ballast = fill(small_disk)
    ended = host.ended(process)

    assert ended.rc == 0
    assert peer.recipients() == dict.fromkeys(addresses(600), 1)
    assert host.run("list-unknown", **env).summary["counts"]["accepted"] == 600
    book = (host.runs / "1" / "journal").stat()
    assert book.st_blocks * 512 < book.st_size + 8192, "what wasn't needed is given back"
    ballast.unlink()
    report("runner-journal-full", 1, 1, 0)


def test_given_no_room_to_write_down_the_end_then_it_waits_for_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries, said = os.fsync, [0], list[str]()

    def fsync(fd: int) -> None:
        tries[0] += 1
        if tries[0] <= 3:
            raise OSError(28, "No space left on device")
        real(fd)

    monkeypatch.setattr(claim.os, "fsync", fsync)
    monkeypatch.setattr(claim, "_END_PAUSE", 0.01)
    run = claim.RunDir(tmp_path, "r1", 1, supervised=False)
    claim.record_end(run, 70, {"total": 3}, datetime(2026, 5, 11, tzinfo=UTC), said.append)
    assert json.loads((tmp_path / "finished").read_text())["rc"] == 70
    assert len(said) == 1
    assert "finished can't be written (No space left on device): waiting for room" in said[0]


def begun(folder: Path) -> Journal:
    """A journal of nine rows, of which two are being sent."""
    book = Journal(folder / "journal")
    book.header(Identity("r1", "t", "d", 9, "c"), claim.boot_id(), "0.1.0", "then")
    book.claim(1, 5)
    book.begin(1, KEY, 1, "<1@example.com>")
    book.begin(2, KEY, 1, "<2@example.com>")
    return book


def test_given_no_room_for_more_rows_then_nothing_is_begun_and_the_outcomes_have_their_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = begun(tmp_path)

    def no_room(fd: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("runner.record.journal.keep_room", no_room)
    monkeypatch.setattr("runner.record.journal._AHEAD", MIB)
    with pytest.raises(JournalError, match="No space left"):
        book.claim(6, 9)
    for refused in (lambda: book.begin(3, KEY, 1, "<3@example.com>"), lambda: book.state("sending"), book.sync):
        with pytest.raises(JournalError, match="No space left"):
            refused()
    book.accepted(1, KEY, 250, "ok")
    book.deferred(2, KEY, 1, 0, 450, "wait")
    book.close()
    found = replay(tmp_path / "journal", claim.boot_id())
    assert (found.states[1], found.states[2], found.states[6]) == (ACCEPTED, DEFERRED, PENDING)
    assert not list(found.doubtful())


@pytest.mark.parametrize("room", [0, 1, 30, 130, 10_000])
def test_given_a_disk_that_keeps_no_room_then_half_a_record_is_taken_back_and_what_fits_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    book, real, left = begun(tmp_path), os.write, [room]

    def write(fd: int, data: bytes) -> int:
        if left[0] <= 0:
            raise OSError(28, "No space left on device")
        written = real(fd, bytes(data)[: left[0]])
        left[0] -= written
        return written

    monkeypatch.setattr("runner.record.journal.os.write", write)
    began, written = 2, 0
    with contextlib.suppress(JournalError):
        for row in (3, 4, 5):
            book.begin(row, KEY, 1, f"<{row}@example.com>")
            began = row
    left[0] += 40  # somebody took something away
    for row in (1, 2):
        with contextlib.suppress(JournalError):
            book.accepted(row, KEY, 250, "ok")
            written += 1
    book.close()
    found = replay(tmp_path / "journal", claim.boot_id())
    assert found.torn == 0
    assert found.count(ACCEPTED) == written >= 1
    assert found.count(BEGUN) + written == began


@pytest.mark.parametrize("call", ["write", "fdatasync"])
def test_given_an_io_error_then_nothing_at_all_is_written_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """The kernel may have dropped what it couldn't write, and says so once: a second try would look fine."""
    book, real, failures = begun(tmp_path), getattr(os, call), [OSError(5, "Input/output error")]

    def failing(*args: Any) -> Any:
        if failures:
            raise failures.pop()
        return real(*args)

    monkeypatch.setattr(f"runner.record.journal.os.{call}", failing)
    before = (tmp_path / "journal").read_bytes()
    with pytest.raises(JournalError, match="Input/output error"):
        book.sync() if call == "fdatasync" else book.begin(3, KEY, 1, "<3@example.com>")
    for refused in (
        lambda: book.claim(6, 9),
        lambda: book.begin(3, KEY, 1, "<3@example.com>"),
        lambda: book.accepted(1, KEY, 250, "ok"),
        lambda: book.unknown(2, KEY, "no answer"),
        book.sync,
    ):
        with pytest.raises(JournalError, match="Input/output error"):
            refused()
    book.close()
    assert (tmp_path / "journal").read_bytes() == before
    assert list(replay(tmp_path / "journal", claim.boot_id()).doubtful()) == [1, 2]


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.ENOSPC])
def test_where_no_room_can_be_kept_it_is_looked_whether_there_is_as_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(room, "_fallocate", lambda: lambda fd, size: code)
    disk = os.statvfs(tmp_path)
    with (tmp_path / "file").open("wb") as file:
        if code == errno.ENOSPC:
            with pytest.raises(OSError, match="No space left"):
                room.keep_room(file.fileno(), 1)
        else:
            room.keep_room(file.fileno(), 1)
            with pytest.raises(OSError, match="No space left"):
                room.keep_room(file.fileno(), disk.f_blocks * disk.f_frsize + MIB)


@SMALL_DISK
def test_given_too_little_room_at_the_start_then_nothing_is_sent(
    host: Host, peer: SmtpPeer, small_disk: Path
) -> None:
    host.campaign(addresses(3))
    host.server(peer)
    ballast = fill(small_disk)
    ended = host.run("send")
    assert ended.rc == 70
    assert "No space left on device" in ended.summary["error"]
    assert "Traceback" not in ended.err
    assert peer.connections == 0
    ballast.unlink()
