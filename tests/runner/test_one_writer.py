"""Where the campaign's lock can't keep two runners apart, the attempt's own lock does."""

import os
from pathlib import Path

import pytest

from runner.run import claim
from tests.runner.conftest import Host, wait_for
from tests.runner.test_resume import addresses
from tests.support.smtp_peer import SmtpPeer


def supervised(host: Host) -> dict[str, str]:
    """What a supervisor tells its runner, and anybody else who has that in their environment."""
    return {"MAIL_BLAST_RUN_DIR": str(host.runs / "1")}


@pytest.mark.slow
def test_two_who_believe_that_somebody_else_has_the_lock_never_send_at_once(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(60))
    host.server(peer)
    peer.delay = 0.3
    first = host.start("send", "--connections", "2")
    wait_for(lambda: peer.delivered)

    second = host.run("resume", **supervised(host))

    peer.delay = 0
    assert host.ended(first).rc == 0
    assert peer.recipients() == dict.fromkeys(addresses(60), 1)
    assert second.rc == 75
    assert "at work" in second.err


@pytest.mark.slow
def test_a_lock_file_that_was_removed_or_replaced_in_a_run_lets_nobody_in(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(300))
    host.server(peer)
    peer.delay = 0.3
    first = host.start("send", "--connections", "2")
    wait_for(lambda: peer.delivered)

    (host.runs / "lock").unlink()
    refused = [host.run("send"), host.run("resume"), host.run("resolve", "--sent", "all", "--by", "ana")]
    (host.runs / "lock.new").touch()
    os.replace(host.runs / "lock.new", host.runs / "lock")
    refused += [host.run("send"), host.run("resume"), host.run("resolve", "--resend", "all", "--by", "ana")]

    peer.delay = 0
    assert host.ended(first).rc == 0
    assert [ended.rc for ended in refused] == [75] * 6
    assert peer.recipients() == dict.fromkeys(addresses(300), 1)


@pytest.mark.slow
def test_a_look_says_that_somebody_is_at_work_also_where_the_owner_is_gone(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(60))
    host.server(peer)
    peer.delay = 0.3
    first = host.start("send", "--connections", "2")
    wait_for(lambda: peer.delivered)
    owner = host.runs / "1" / "owner"
    owner.write_text(f"999999999 1 {claim.boot_id()}\n")

    told = host.run("list-unknown").summary

    assert told["against"].startswith("a run is going")
    assert host.run("resolve", "--resend", "all", "--by", "ana").rc == 75
    first.kill()
    host.ended(first)
    assert host.run("list-unknown").summary["against"] == ""


@pytest.mark.slow
def test_what_counts_as_released_is_a_plain_file_as_for_the_launcher(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(2))
    host.server(peer)
    assert host.run("send").rc == 0
    folder = host.runs / "1" / "released"
    folder.mkdir()
    assert host.run("send").rc == 75
    folder.rmdir()
    Path(folder).symlink_to(host.log)
    assert host.run("send").rc == 75
    folder.unlink()
    (host.runs / "2").mkdir()
    (host.runs / "2" / "released").touch()
    assert host.run("send").rc == 75  # the first was never given back


@pytest.mark.slow
def test_a_resume_by_hand_keeps_when_it_began_and_every_end_it_had(host: Host, peer: SmtpPeer) -> None:
    host.campaign([*addresses(3), "doubt-cutdot@example.com"])
    host.server(peer)
    folder = host.runs / "1"
    assert host.run("send").rc == 1
    began, first = (folder / "started").read_text(), (folder / "finished").read_text()

    ends = [first]
    for _ in range(2):
        assert host.run("resume").rc == 1
        ends.append((folder / "finished").read_text())

    assert (folder / "started").read_text() == began
    assert [(folder / name).read_text() for name in ("finished.1", "finished.2", "finished")] == ends


@pytest.mark.slow
def test_an_attempt_of_another_runner_given_back_by_hand_makes_nobody_unsent(host: Host, peer: SmtpPeer) -> None:
    """It kept no journal: that nobody was mailed can only be the word of who proved it."""
    host.campaign(addresses(3))
    host.server(peer)
    folder = host.runs / "1"
    folder.mkdir(parents=True)
    (folder / "claim.json").write_text('{"run_id": "00ff"}')
    (folder / "started").write_text("2026-05-12T17:52:01Z\n")
    (folder / "finished").write_text('{"rc": 1, "at": "2026-05-12T17:53:00Z", "counts": null}\n')
    (folder / "released").touch()

    refused = host.run("send")

    assert refused.rc == 70
    assert "kept no journal" in refused.err
    assert peer.connections == 0
    (folder / "released").write_text(f'{{"at": "2026-05-12T18:00:00Z", "boot": "{claim.boot_id()}", "by": "ana"}}')
    (host.runs / "2" / "released").write_text((folder / "released").read_text())
    assert host.run("send").rc == 0
    assert peer.recipients() == dict.fromkeys(addresses(3), 1)
