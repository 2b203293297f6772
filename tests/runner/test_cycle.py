"""Killed, looked at, decided, resumed, killed again: the mail server counts, and nobody may be counted wrongly."""

import random
import threading
import time
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from runner.record import journal
from runner.record.journal import Identity, Journal, JournalError, replay
from runner.run import claim
from tests.faults.support import report, size
from tests.runner.conftest import Host
from tests.runner.test_doubt import ANOTHER_BOOT
from tests.runner.test_resume import addresses
from tests.support.smtp_peer import SmtpPeer

PEOPLE = 160
SEEDS = [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, size(6, 30)))]


def killed_after(host: Host, peer: SmtpPeer, mode: str, deliveries: int) -> bool:
    """Run the send until so many more were delivered, then kill -9; True when it was alive for it."""
    target, due = len(peer.delivered) + deliveries, threading.Event()
    peer.on_delivery = lambda count: due.set() if count >= target else None
    process = host.start(mode)
    while process.poll() is None and not due.wait(0.01):
        pass
    hit = process.poll() is None
    process.kill()
    host.ended(process)
    return hit


def restart_the_machine(host: Host) -> None:
    """The journal is then one of an earlier boot: what was claimed there may have been begun as well."""
    path = host.runs / "1" / "journal"
    path.write_text(path.read_text().replace(claim.boot_id(), ANOTHER_BOOT))


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_is_killed_nobody_is_mailed_twice_undecided_nor_left_out(
    host: Host, peer: SmtpPeer, seed: int
) -> None:
    chance = random.Random(seed)
    everybody = addresses(PEOPLE)
    host.campaign(everybody)
    host.server(peer)
    peer.delay = 0.004
    resent: Counter[str] = Counter()
    taken_for_sent: set[str] = set()
    fired = decisions_killed = 0

    fired += killed_after(host, peer, "send", chance.randrange(5, 60))
    for _ in range(1 if seed == 1 else 3):
        if chance.random() < 0.4:
            restart_the_machine(host)
        looked = host.run("list-unknown")
        unknown = looked.unknown
        assert (
            looked.summary["unsent"] + looked.summary["unknown_total"]
            == PEOPLE - (looked.summary["counts"]["accepted"])
        )
        chosen = {row: chance.choice(["sent", "resend"]) for row in unknown if chance.random() < 0.6}
        args = [
            part
            for fate in ("sent", "resend")
            if (rows := [str(row) for row, wanted in chosen.items() if wanted == fate])
            for part in (f"--{fate}", ",".join(rows))
        ]
        while chosen:  # a decision that is killed half-way is made again, and counts once
            process = host.start("resolve", "--by", "ana", *args)
            if chance.random() < 0.5:
                time.sleep(chance.uniform(0.05, 0.8))
                decisions_killed += process.poll() is None
                process.kill()
            if host.ended(process).rc == 0:
                break
        for row, fate in chosen.items():
            if fate == "sent":
                taken_for_sent.add(everybody[row - 1])
            else:
                resent[everybody[row - 1]] += 1
        fired += killed_after(host, peer, "resume", chance.randrange(0, 40))

    before_the_last = host.run("list-unknown").unknown
    if before_the_last:
        assert host.run("resolve", "--by", "ana", "--resend", "all").summary["unknown_total"] == 0
        resent.update(everybody[row - 1] for row in before_the_last)
    peer.on_delivery = lambda count: None
    ended = host.run("resume")

    got = peer.recipients()
    twice = {who: n for who, n in got.items() if n > 1 + resent[who]}
    left_out = {who for who in everybody if who not in got and who not in taken_for_sent}
    report("runner-kill-decide-resume", 1, fired + decisions_killed, len(twice) + len(left_out))
    assert twice == {}
    assert left_out == set()
    assert ended.rc == 0, ended.err
    assert ended.summary["counts"]["accepted"] == PEOPLE
    assert ended.summary["counts"]["decided"] == len(taken_for_sent)


def test_a_journal_cut_at_any_byte_says_what_its_whole_records_say(tmp_path: Path) -> None:
    path, boot, key = tmp_path / "journal", claim.boot_id(), "0123456789abcdef"
    book = Journal(path)
    book.header(Identity("r1", "t", "d", 4, "c"), boot, "0.1.0", "then")
    book.claim(1, 4)
    for row in (1, 2, 3):
        book.begin(row, key, 1, f"<{row}@example.com>")
    book.accepted(1, key, 250, "ok")
    book.unknown(3, key, "no answer")
    book.decided(2, key, "sent", "2026-05-11T10:00:00+00:00", "ana \n b")
    book.decided(3, key, "resend", "2026-05-11T10:00:00+00:00", "ana")
    book.claim(3, 3)
    book.begin(3, key, 1, "<3@example.com>")
    book.close()
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    states = []
    for count in range(1, len(lines) + 1):
        path.write_bytes(b"".join(lines[:count]))
        states.append(bytes(replay(path, boot).states))

    for cut in range(len(lines[0]), len(whole) + 1):
        path.write_bytes(whole[:cut])
        found = replay(path, boot, repair=True)
        complete = whole[:cut].count(b"\n")
        assert bytes(found.states) == states[complete - 1]
        assert path.read_bytes() == b"".join(lines[:complete])
    assert found.count(journal.TAKEN_FOR_SENT) == 1
    assert list(found.doubtful()) == [3]
    path.write_bytes(whole)
    assert list(replay(path, ANOTHER_BOOT).doubtful()) == [3, 4]


@pytest.mark.parametrize(
    "record", ["R 1 - sent now ana", "R 2 - maybe now ana", "R 9 - sent now ana", "R 2 x sent now ana", "R 2 - "]
)
def test_a_decision_that_cannot_have_been_made_is_damage(tmp_path: Path, record: str) -> None:
    path = tmp_path / "journal"
    path.write_text(f"H r1 {claim.boot_id()} t d 3 c v then\nC 1 2\nB 2 {'0' * 16} 1 <m>\n{record}\n")
    with pytest.raises(JournalError, match="record 4 is damaged"):
        replay(path, claim.boot_id())


@pytest.mark.slow
def test_reading_a_journal_keeps_only_what_is_open(tmp_path: Path) -> None:
    """Of everybody whose fate is known a byte is kept, however long the journal is."""
    people, path = 20_000, tmp_path / "journal"
    settled = "".join(
        f"B {row} {row:016x} 1 <{row:032x}@example.com>\nD {row} {row:016x} 1 0 450 later\n"
        f"B {row} {row:016x} 2 <{row:032x}@example.com>\nA {row} {row:016x} 250 2.0.0 Ok\n"
        for row in range(1, people)
    )
    head = f"H r1 boot t d {people} c v then\nC 1 {people}\n"
    path.write_text(f"{head}{settled}B {people} {people:016x} 1 <last@example.com>\n")
    tracemalloc.start()
    found = replay(path, "boot")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.count(journal.ACCEPTED) == people - 1
    assert found.attempts == {}
    assert found.begun == {people: (1, "<last@example.com>")}
    assert found.keys == {people: f"{people:016x}"}
    assert peak < 10 * people + (1 << 20)
