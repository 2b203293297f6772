"""Killed at any moment, resumed until done: nobody twice, nobody left out but those listed as unknown.

Where what may happen to the process is tried:

    kill -9 in each state of a message       test_kill_states
    kill -9 at random, power cut             here, test_cycle, tests/faults/test_kill_trials
    power cut after each operation           tests/faults/test_power_cut_run
    two runners, at once or one after        here, test_one_writer, test_same_second
    no room: at the start, later on, never   test_full_disk
    each error of the disk, read-only too    test_disk_errors, test_full_disk
    torn tail, damaged, CRLF, gone           here, test_cycle
    a clock that was set back                here
    changed files, changed plan              here
    resume of what is done                   here, test_doubt
    SIGTERM, twice; nobody reads stdout      test_send
"""

import hashlib
import json
import os
import random
import subprocess
import threading
from pathlib import Path

import pytest

from runner.run import claim
from tests.runner.conftest import Host, wait_for
from tests.support.smtp_peer import SmtpPeer


def addresses(count: int) -> list[str]:
    return [f"u{i}@example.com" for i in range(count)]


SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))]


@pytest.mark.parametrize("seed", SEEDS)
def test_given_kill_9_at_random_moments_when_resumed_until_done_then_nobody_is_mailed_twice(
    host: Host, peer: SmtpPeer, seed: int
) -> None:
    chance = random.Random(seed)
    everybody = addresses(400)
    host.campaign(everybody)
    host.server(peer)
    peer.delay = 0.004
    kills = 0
    mode = "send"
    while True:
        # a kill hangs on the count of deliveries, so it falls between any two steps of twenty connections
        target = len(peer.delivered) + chance.randrange(0, 200)
        due = threading.Event()
        peer.on_delivery = lambda count, target=target, due=due: due.set() if count >= target else None
        process = host.start(mode)
        while process.poll() is None and not due.wait(0.02):
            pass
        if due.is_set() and kills < 3:
            process.kill()
            kills += 1
        ended = host.ended(process)
        mode = "resume"
        if ended.rc >= 0:
            break
    listed = host.run("list-unknown").unknown

    assert ended.rc == (1 if listed else 0), ended.err
    got = peer.recipients()
    assert max(got.values()) == 1, "somebody was mailed twice"
    missing = {row for row, address in enumerate(everybody, 1) if address not in got}
    assert missing <= set(listed), "somebody was lost without being listed"
    assert ended.summary["counts"]["accepted"] + len(listed) == 400
    assert kills
    assert len(listed) <= 20 * kills


@pytest.mark.slow
def test_given_a_run_is_going_when_another_starts_then_it_is_refused_and_told_who(
    host: Host, peer: SmtpPeer
) -> None:
    host.campaign(addresses(60))
    host.server(peer)
    peer.delay = 0.3
    first = host.start("send", "--connections", "2")
    wait_for(lambda: peer.delivered)

    for mode in ("send", "resume"):
        second = host.run(mode)
        assert second.rc == 75
        assert json.loads((host.runs / "1" / "claim.json").read_text())["run_id"] in second.err
    peer.delay = 0
    assert host.ended(first).rc == 0
    third = host.run("send")

    assert third.rc == 75
    assert "exists already" in third.err
    assert peer.recipients() == dict.fromkeys(addresses(60), 1)


@pytest.mark.slow
def test_given_a_released_attempt_then_the_next_one_mails_only_those_never_mailed(
    host: Host, peer: SmtpPeer
) -> None:
    host.campaign([*addresses(10), "doubt-cutdot@example.com"])
    host.server(peer)
    assert host.run("send").rc == 1
    (host.runs / "1" / "released").touch()
    host.campaign(["new@example.com", *reversed(addresses(10)), "doubt-cutdot@example.com"])

    second = host.run("send")

    assert second.rc == 0
    assert second.summary["counts"]["earlier"] == 11
    assert peer.recipients() == dict.fromkeys([*addresses(10), "new@example.com", "doubt-cutdot@example.com"], 1)


def write_journal(host: Host, *lines: str, boot: str | None = None, tail: str = "") -> None:
    """An attempt as a process that died left it: its header, then these records."""
    folder = host.runs / "1"
    folder.mkdir(parents=True)
    csv = hashlib.sha256((host.folder / "blast_data.csv").read_bytes()).hexdigest()
    template = hashlib.sha256((host.folder / "blast_template.html").read_bytes()).hexdigest()
    (folder / "claim.json").write_text(
        json.dumps({"run_id": "r1", "slug": "may", "attempt": 1, "by": "ana", "host": "h", "at": "t", "plan": ""})
    )
    (folder / "run.json").write_text("{}")
    from runner.campaign.files import content_digest, open_campaign

    campaign = open_campaign(host.root / "campaigns", "may")
    rows = (host.folder / "blast_data.csv").read_text().count("\n") - 1
    head = f"H r1 {boot or claim.boot_id()} {template} {csv} {rows} {content_digest(campaign)} 0.1.0 then"
    campaign.close()
    (folder / "journal").write_text("\n".join([head, *lines]) + "\n" + tail)


KEY = "0123456789abcdef"


@pytest.mark.slow
def test_given_a_journal_of_this_boot_then_only_the_begun_is_unknown(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(6))
    host.server(peer)
    write_journal(
        host, "C 1 5", f"B 1 {KEY} 1 <m>", f"A 1 {KEY} 250 ok", f"B 2 {KEY} 1 <m>", f"B 3 {KEY} 1 <m>",
        f"F 3 {KEY} 550 no", f"B 4 {KEY} 1 <m>", f"D 4 {KEY} 1 0 450 wait", tail=f"A 2 {KEY} 2",
    )  # fmt: skip

    ended = host.run("resume")

    assert ended.rc == 1
    assert "torn" in ended.err
    assert peer.recipients() == dict.fromkeys(["u3@example.com", "u4@example.com", "u5@example.com"], 1)
    assert host.run("list-unknown").unknown == [2]
    assert (host.runs / "1" / "run.json").exists()


@pytest.mark.slow
def test_given_a_journal_of_an_earlier_boot_then_every_claimed_row_is_unknown(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(6))
    host.server(peer)
    write_journal(
        host, "C 1 3", f"B 1 {KEY} 1 <m>", f"A 1 {KEY} 250 ok", f"D 2 {KEY} 1 0 450 wait", "C 4 5",
        boot="00000000-0000-0000-0000-000000000000", tail="\0\0\0\0",
    )  # fmt: skip

    ended = host.run("resume")

    assert ended.rc == 1
    assert host.run("list-unknown").unknown == [3, 4, 5]
    assert peer.recipients() == dict.fromkeys(["u1@example.com", "u5@example.com"], 1)


@pytest.mark.slow
@pytest.mark.parametrize("spoil", ["missing", "empty", "damaged"])
def test_given_a_marker_without_a_journal_to_believe_then_it_refuses_to_start_over(
    host: Host, peer: SmtpPeer, spoil: str
) -> None:
    host.campaign(addresses(3))
    host.server(peer)
    write_journal(host, "C 1 3", "X nonsense", "A 1")
    path = host.runs / "1" / "journal"
    if spoil == "missing":
        path.unlink()
    elif spoil == "empty":
        path.write_text("")

    ended = host.run("resume")

    assert ended.rc == 70
    assert str(path) in ended.err
    assert peer.connections == 0


def test_given_changed_files_then_resume_refuses_and_names_the_part(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(3))
    host.server(peer)
    write_journal(host, "C 1 3")
    (host.folder / "blast_data.csv").write_text("email,first_name\nother@example.com,Bo\n")
    ended = host.run("resume")
    assert ended.rc == 65
    assert "data was " in ended.err
    host.campaign(addresses(3), subject="Another {{ first_name }}")
    ended = host.run("resume")
    assert ended.rc == 65
    assert "content was " in ended.err
    assert peer.connections == 0


def test_given_nothing_to_resume_then_it_says_so(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(3))
    host.server(peer)
    assert host.run("resume").rc == 65


def supervised(host: Host, **plan: object) -> dict[str, str]:
    """A claim as the console's launcher makes it."""
    folder = host.runs / "1"
    folder.mkdir(parents=True)
    (folder / "claim.json").write_text(json.dumps({"run_id": "c0ffee", "slug": "may", "attempt": 1}))
    if plan:
        (folder / "plan.json").write_text(json.dumps({"slug": "may", **plan}))
    return {"MAIL_BLAST_RUN_DIR": str(folder), "MAIL_BLAST_RUN_ID": "c0ffee"}


@pytest.mark.slow
def test_given_a_plan_that_is_stale_then_nothing_is_sent_and_both_values_are_named(
    host: Host, peer: SmtpPeer
) -> None:
    host.campaign(addresses(4))
    host.server(peer)
    rehearsed = host.run("dry-run").summary
    env = supervised(host, digests=rehearsed["digests"], audience=rehearsed["audience"])
    good = (host.folder / "blast_template.html").read_text()
    (host.folder / "blast_template.html").write_text(good + "x")

    stale = host.run("send", **env)

    assert stale.rc == 65
    assert f"template was {rehearsed['digests']['template']} in the plan, is " in stale.err
    assert peer.connections == 0
    (host.folder / "blast_template.html").write_text(good)
    sent = host.run("send", **env)
    assert sent.rc == 0
    assert peer.recipients() == dict.fromkeys(addresses(4), 1)
    names = {path.name for path in (host.runs / "1").iterdir()}
    assert names == {"claim.json", "plan.json", "journal", "run.json", "runner.json", "runner.lock"}, (
        "the rest is the supervisor's"
    )


@pytest.mark.slow
def test_given_a_plan_with_another_audience_then_it_is_stale(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(4))
    host.server(peer)
    digests = host.run("dry-run").summary["digests"]
    stale = host.run("send", **supervised(host, digests=digests, audience=5))
    assert stale.rc == 65
    assert "audience was 5 in the plan, is 4 now" in stale.err


def test_given_a_claim_of_another_run_then_a_supervised_runner_refuses(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(1))
    host.server(peer)
    assert host.run("send", **(supervised(host) | {"MAIL_BLAST_RUN_ID": "other"})).rc == 75


@pytest.mark.parametrize("name", ["ALL", "may"])
def test_given_a_hold_then_nothing_is_sent_nor_claimed(host: Host, peer: SmtpPeer, name: str) -> None:
    host.campaign(addresses(1))
    host.server(peer)
    hold = host.root / "state" / "holds" / name
    hold.parent.mkdir(parents=True)
    hold.touch()
    assert host.run("send").rc == 77
    assert not (host.runs / "1").exists()
    assert peer.connections == 0


def test_given_holds_that_cannot_be_read_then_that_counts_as_held(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(1))
    host.server(peer)
    (host.root / "state").mkdir()
    (host.root / "state" / "holds").write_text("a file, not a folder")
    assert host.run("send").rc == 77


def test_given_credentials_open_to_others_then_it_refuses_with_the_remedy(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(1))
    host.server(peer, "password = hush\n")
    host.credentials.chmod(0o644)
    ended = host.run("send")
    assert ended.rc == 78
    assert f"has mode 0644: others can read it. Mend it with: chmod 600 {host.credentials}" in ended.err
    assert "hush" not in ended.err + ended.out
    assert not host.runs.joinpath("1").exists()


def test_given_a_full_disk_then_it_stops_before_the_dot(
    host: Host, peer: SmtpPeer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from runner.record.journal import Journal, JournalError

    journal = Journal(tmp_path / "journal")
    real = os.write
    room = [10]

    def short(fd: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        written = real(fd, bytes(data)[: room[0]])
        room[0] -= written
        return written

    monkeypatch.setattr("runner.record.journal.os.write", short)
    with pytest.raises(JournalError, match="No space left"):
        journal.begin(1, KEY, 1, "<m@example.com>")
    room[0] = 1000
    with pytest.raises(JournalError):
        journal.begin(2, KEY, 1, "<m@example.com>")
    journal.close()
    assert (tmp_path / "journal").read_bytes() == b"", "half a record is taken back"


@pytest.mark.slow
def test_given_a_journal_an_editor_went_over_then_it_refuses_and_says_how_to_mend_it(
    host: Host, peer: SmtpPeer
) -> None:
    host.campaign(addresses(3))
    host.server(peer)
    write_journal(host, "C 1 3", f"B 1 {KEY} 1 <m>", f"A 1 {KEY} 250 ok")
    path = host.runs / "1" / "journal"
    good = path.read_bytes()
    path.write_bytes(good.replace(b"\n", b"\r\n"))

    ended = host.run("resume")

    assert ended.rc == 70
    assert "record 1 ends with a carriage return" in ended.err
    assert f"sed -i 's/\\r$//' {path}" in ended.err
    assert peer.connections == 0
    subprocess.run(["sed", "-i", r"s/\r$//", str(path)], check=True)
    assert path.read_bytes() == good
    assert host.run("resume").rc == 0
    assert peer.recipients() == {"u1@example.com": 1, "u2@example.com": 1}


@pytest.mark.slow
def test_given_a_clock_that_was_set_back_then_a_deferred_row_waits_no_longer_than_the_longest_wait(
    host: Host, peer: SmtpPeer
) -> None:
    """By the journal it is due in the year 2100."""
    host.campaign(addresses(2))
    host.server(peer)
    write_journal(host, "C 1 2", f"B 1 {KEY} 1 <m>", f"D 1 {KEY} 1 4102444800 450 wait")

    assert host.run("resume", MAIL_BLAST_RETRY_BASE="0.01").rc == 0

    assert peer.recipients() == dict.fromkeys(addresses(2), 1)


@pytest.mark.slow
@pytest.mark.parametrize("left", ["journal", "run folder"])
def test_given_a_run_that_ended_well_when_resumed_then_nobody_is_mailed(
    host: Host, peer: SmtpPeer, left: str
) -> None:
    host.campaign(addresses(3))
    host.server(peer)
    assert host.run("send").rc == 0
    if left == "journal":
        for name in ("finished", "started", "owner", "out"):
            (host.runs / "1" / name).unlink()

    again = host.run("resume")

    assert again.rc == 0
    assert "Nothing was left to send: nobody was mailed" in again.out
    assert peer.recipients() == dict.fromkeys(addresses(3), 1)
