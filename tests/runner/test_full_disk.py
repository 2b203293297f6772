"""A disk that fills up in the middle of a run: logs are cut and say so, a journal that can't be written ends it."""

import contextlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner.record.journal import ACCEPTED, Identity, Journal, JournalError, replay
from runner.run import claim, output
from runner.run.output import DeliveryLog, Output, RunLog
from tests.faults.support import report
from tests.runner.conftest import Host, wait_for
from tests.runner.test_resume import addresses, supervised
from tests.support.smtp_peer import SmtpPeer

SMALL_DISK = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
MIB = 1 << 20


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
def test_given_a_full_disk_then_the_send_stops_and_what_was_recorded_is_gone_on_with(
    host: Host, peer: SmtpPeer, small_disk: Path
) -> None:
    host.campaign(addresses(600))
    host.server(peer)
    peer.delay = 0.02
    env = supervised(host)
    process = host.start("send", **env)
    wait_for(lambda: len(peer.delivered) > 30)

    ballast = fill(small_disk)
    ended = host.ended(process)

    assert ended.rc == 70
    assert "the journal can't be written (No space left on device)" in ended.summary["error"]
    ballast.unlink()
    looked = host.run("list-unknown", **env).summary
    assert looked["unknown_total"] == 0, "there was room kept for the answers of those in flight"
    assert looked["counts"]["accepted"] == len(peer.delivered)
    assert looked["unsent"] == 600 - len(peer.delivered)
    peer.delay = 0
    resumed = host.run("resume", **env)
    assert resumed.rc == 0
    assert not (host.runs / "1" / "journal.reserve").exists()
    assert peer.recipients() == dict.fromkeys(addresses(600), 1)
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


@pytest.mark.parametrize("room", [0, 1, 30, 10_000])
def test_given_a_full_disk_and_a_reserve_then_outcomes_are_written_and_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """`room` is what the disk has beside the reserve, in bytes."""
    real, reserve, left = os.write, tmp_path / "journal.reserve", [10_000]

    def write(fd: int, data: bytes) -> int:
        there = left[0] + (0 if reserve.exists() else 150)
        if there <= 0:
            raise OSError(28, "No space left on device")
        written = real(fd, bytes(data)[:there])
        left[0] -= written
        return written

    key = "0" * 16
    book = Journal(tmp_path / "journal")
    book.header(Identity("r1", "t", "d", 9, "c"), claim.boot_id(), "0.1.0", "then")
    book.claim(1, 9)
    book.begin(1, key, 1, "<1@example.com>")
    book.begin(2, key, 1, "<2@example.com>")
    book.keep_reserve()
    monkeypatch.setattr("runner.record.journal.os.write", write)
    left[0] = room
    began = 2
    with contextlib.suppress(JournalError):
        for row in (3, 4, 5):
            book.begin(row, key, 1, f"<{row}@example.com>")
            began = row
    book.accepted(1, key, 250, "ok")
    book.accepted(2, key, 250, "ok")
    if room < 10_000:
        for refused in (lambda: book.begin(6, key, 1, "<6@example.com>"), lambda: book.claim(6, 6), book.sync):
            with pytest.raises(JournalError, match="No space left"):
                refused()
        with contextlib.suppress(JournalError):  # more than the reserve has room for
            for _ in range(9):
                book.accepted(1, key, 250, "ok")
    book.close()
    found = replay(tmp_path / "journal", claim.boot_id())
    assert found.count(ACCEPTED) >= 2
    assert set(found.doubtful()) <= set(range(3, began + 1))


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
