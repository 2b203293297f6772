"""Sending against a real SMTP server that misbehaves on purpose."""

import json
import os
import subprocess
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from tests.runner.conftest import Host, wait_for
from tests.support.smtp_peer import SmtpPeer


def addresses(count: int) -> list[str]:
    return [f"u{i}@example.com" for i in range(count)]


def test_given_500_rows_when_sent_then_each_address_gets_it_exactly_once(host: Host, peer: SmtpPeer) -> None:
    host.campaign([*addresses(500), "u7@EXAMPLE.com"], list_unsubscribe="https://example.com/u?e={{ email }}")
    host.server(peer)

    ended = host.run("send", "--log-delivery", "--verbose")

    assert ended.rc == 0, ended.err
    assert peer.recipients() == dict.fromkeys(addresses(500), 1)
    assert peer.connections <= 20
    assert ended.summary["counts"] | {} == {
        "total": 500,
        "accepted": 500,
        "deferred": 0,
        "failed": 0,
        "unknown": 0,
        "suppressed": 0,
        "duplicates": 1,
        "earlier": 0,
        "decided": 0,
    }
    assert "500 recipients processed" in ended.out
    assert "0 SMTP failures" in ended.out
    assert "Completed in 0." in host.log.read_text()
    mail = message_from_bytes(peer.delivered[0].content, policy=policy.default)
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["X-Blast-Id"].split()[0] == json.loads((host.runs / "1" / "claim.json").read_text())["run_id"]
    assert ".and a dot line" in mail.get_body(("html",)).get_content()
    assert len({message_from_bytes(d.content)["Message-ID"] for d in peer.delivered}) == 500
    delivery = [json.loads(line) for line in (host.runs / "1" / "delivery.jsonl").read_text().splitlines()]
    assert len(delivery) == 500
    assert {d["to"] for d in delivery} == {"u•••@example.com"}
    finished = json.loads((host.runs / "1" / "finished").read_text())
    assert (finished["rc"], finished["counts"]["accepted"]) == (0, 500)
    assert (host.runs / "1" / "owner").read_text().split()[0].isdecimal()


def test_given_refusals_of_every_kind_when_sent_then_each_ends_as_it_must(host: Host, peer: SmtpPeer) -> None:
    host.campaign(
        [
            "fine@example.com",
            "grey-450x2@example.com",
            "never-450@example.com",
            "gone-550@example.com",
            "spam-554dot@example.com",
            "later-451dotx1@example.com",
            "flaky-cutrcptx1@example.com",
            "poison-cutrcpt@example.com",
            "doubt-cutdot@example.com",
            "no address",
        ]
    )
    host.server(peer)

    ended = host.run("send", "--connections", "2")

    assert ended.rc == 1
    taken = {"fine", "grey-450x2", "later-451dotx1", "flaky-cutrcptx1", "doubt-cutdot"}
    assert peer.recipients() == {f"{name}@example.com": 1 for name in taken}
    counts = ended.summary["counts"]
    assert (counts["accepted"], counts["failed"], counts["unknown"], counts["deferred"]) == (4, 5, 1, 0)
    assert peer.tries["never-450@example.com"] == 3
    assert peer.tries["gone-550@example.com"] == 1
    assert peer.tries["spam-554dot@example.com"] == 1
    assert peer.tries["poison-cutrcpt@example.com"] == 15, "five connections in each of three tries"
    outcomes = {line.split()[1]: line.split()[0] for line in host.journal() if line[0] in "AFU"}
    assert outcomes == {**dict.fromkeys("1267", "A"), **dict.fromkeys(["3", "4", "5", "8", "10"], "F"), "9": "U"}
    assert "gone-550@" not in ended.out + ended.err + "".join(host.journal())

    listed = host.run("list-unknown")
    assert "row 9  d•••@example.com" in listed.out
    assert listed.unknown == [9]

    again = host.run("resume")
    assert again.rc == 1
    assert sum(peer.recipients().values()) == 5, "neither the sent nor the unknown are sent again"


@pytest.mark.slow
def test_given_a_server_that_refuses_the_sender_then_the_send_pauses_and_goes_on_when_told(
    host: Host, peer: SmtpPeer
) -> None:
    host.campaign(addresses(30))
    host.server(peer)
    peer.refuse_mail = "550 5.7.1 sender not allowed"

    process = host.start("send", "--connections", "3")
    out = host.runs / "1" / "out"
    wait_for(lambda: out.exists() and '"paused"' in out.read_text())
    refused = peer.mails
    assert "sender not allowed" in out.read_text()
    peer.refuse_mail = None
    host.say("run")
    ended = host.ended(process)

    assert ended.rc == 0, ended.out
    assert refused <= 10 + 3
    assert peer.recipients() == dict.fromkeys(addresses(30), 1)


@pytest.mark.slow
def test_given_a_wrong_password_then_it_stops_with_the_reason_and_nobody_is_failed(host: Host) -> None:
    server = SmtpPeer(login=("ops", "right"))
    try:
        host.campaign([*addresses(20), "nobody can be mailed here"])
        host.server(server, "username = ops\npassword = wrong-secret\n")
        ended = host.run("send")
        assert ended.rc == 78
        assert "refused the login: 535" in ended.out
        assert ended.summary["counts"]["failed"] == 1, "the row without an address"
        assert "wrong-secret" not in ended.out + ended.err + host.log.read_text()

        host.server(server, "username = ops\npassword = right\n")
        assert host.run("resume").rc == 1
        assert server.recipients() == dict.fromkeys(addresses(20), 1)
    finally:
        server.stop()


def test_given_no_mail_server_then_it_gives_up_after_a_while_and_nothing_is_failed(
    host: Host, peer: SmtpPeer
) -> None:
    host.campaign(addresses(5))
    host.server(peer)
    peer.stop()

    ended = host.run("send", "--connections", "2", MAIL_BLAST_RETRY_BASE="0.01")

    assert ended.rc == 1
    assert "out of reach" in ended.summary["error"]
    assert ended.summary["counts"]["failed"] == 0
    assert "5 recipients not sent" in ended.out


@pytest.mark.slow
def test_given_pause_resume_and_cancel_in_the_control_file_then_it_obeys(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(400))
    host.server(peer)
    peer.delay = 0.01
    process = host.start("send", "--connections", "2")
    out = host.runs / "1" / "out"
    wait_for(lambda: len(peer.delivered) > 10)

    host.say("pause")
    wait_for(lambda: '"paused"' in out.read_text())
    wait_for(lambda: json.loads(out.read_text().splitlines()[-1])["inflight"] <= 2)
    while True:  # those in hand end, then nothing moves
        before = len(peer.delivered)
        wait_for(lambda: out.read_text().count('"paused"') > 2)
        if len(peer.delivered) == before:
            break
    host.say("run")
    wait_for(lambda: len(peer.delivered) > before)
    host.say("cancel")
    ended = host.ended(process)

    assert ended.rc == 143
    assert ended.states[-1] == "cancelled"
    assert ended.summary["counts"]["unknown"] == 0
    assert len(peer.delivered) == ended.summary["counts"]["accepted"] < 400
    assert "Cancelled by the control file\n" in host.log.read_text()
    states = [line.split()[1] for line in host.journal() if line.startswith("S ")]
    assert states == ["sending", "paused", "sending", "cancelling", "cancelled"]

    peer.delay = 0
    assert host.run("resume").rc == 0, "the old word `cancel` is not for the new process"
    assert peer.recipients() == dict.fromkeys(addresses(400), 1)


def test_given_sigterm_then_it_ends_after_the_answers_in_flight(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(400))
    host.server(peer)
    peer.delay = 0.02
    process = host.start("send")
    wait_for(lambda: len(peer.delivered) > 10)
    process.terminate()
    ended = host.ended(process)
    assert ended.rc == 143
    assert "Cancelled by a signal\n" in host.log.read_text()
    assert ended.summary["counts"]["accepted"] == len(peer.delivered)
    assert ended.summary["counts"]["unknown"] == 0


@pytest.mark.slow
def test_given_a_second_sigterm_then_it_ends_at_once_and_those_in_flight_are_unknown(
    host: Host, peer: SmtpPeer
) -> None:
    host.campaign(addresses(40))
    host.server(peer)
    peer.delay = 30
    process = host.start("send", "--connections", "3")
    wait_for(lambda: (host.runs / "1" / "journal").exists() and sum(x[0] == "B" for x in host.journal()) == 3)
    process.terminate()
    wait_for(lambda: '"cancelling"' in (host.runs / "1" / "out").read_text())
    process.terminate()
    ended = host.ended(process)
    assert ended.rc == 143
    assert ended.summary["counts"]["unknown"] == 3
    assert len([line for line in host.journal() if line.startswith("U ")]) == 3


def test_given_a_closed_window_then_it_waits_and_says_until_when(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(3), window={"days": ["mon"], "from": "00:00", "to": "00:01"}, timezone="Pacific/Apia")
    host.server(peer)
    process = host.start("send")
    out = host.runs / "1" / "out"
    wait_for(lambda: out.exists() and '"window"' in out.read_text())
    assert "opens " in out.read_text()
    process.terminate()
    assert host.ended(process).rc == 143
    assert peer.connections == 0


@pytest.mark.slow
def test_given_a_rate_and_batches_then_the_pace_is_kept(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(40), max_rate=100)
    host.server(peer)
    ended = host.run("send", "--rate", "1000", "--batch-size", "20", "--batch-pause", "0.3")
    assert ended.rc == 0
    assert ended.summary["duration_s"] >= 0.39 + 0.3 - 0.05


@pytest.mark.slow
def test_given_nobody_reads_stdout_then_the_send_still_ends(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(60))
    host.server(peer)
    read, write = os.pipe()
    while True:  # fill it, so that the first line blocks
        os.set_blocking(write, False)
        try:
            os.write(write, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(write, True)
    process = host.start("send", stdout=write)
    process.communicate(timeout=60)
    os.close(write)
    os.close(read)
    assert process.returncode == 0
    assert peer.recipients() == dict.fromkeys(addresses(60), 1)


@pytest.mark.slow
def test_given_stdout_is_closed_then_the_send_still_ends_and_the_journal_stays_whole(
    host: Host, peer: SmtpPeer
) -> None:
    host.campaign(addresses(60))
    host.server(peer)
    read, write = os.pipe()
    process = host.start("send", stdout=write)
    os.close(read)
    os.close(write)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert peer.recipients() == dict.fromkeys(addresses(60), 1)

    (host.runs / "1" / "released").touch()
    shut = subprocess.run(
        ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *host.started[0].args], env=_env_of(host), check=False
    )
    assert shut.returncode == 0
    assert all(line[0] in "HS" for line in host.journal(2)), "the first attempt's recipients aren't mailed again"
    assert len(peer.delivered) == 60


def _env_of(host: Host) -> dict[str, str]:
    return {
        **os.environ,
        "MAIL_BLAST_CAMPAIGNS_DIR": str(host.root / "campaigns"),
        "MAIL_BLAST_LOG_DIR": str(host.root / "log"),
        "MAIL_BLAST_STATE_DIR": str(host.root / "state" / "runs"),
        "MAIL_BLAST_CREDENTIALS": str(host.credentials),
    }


def test_given_a_log_folder_that_cannot_be_written_then_the_send_goes_on(
    host: Host, peer: SmtpPeer, tmp_path: Path
) -> None:
    host.campaign(addresses(3))
    host.server(peer)
    ended = host.run("send", MAIL_BLAST_LOG_DIR=str(tmp_path / "nowhere"))
    assert ended.rc == 0
    assert ended.err.count("can't be written") == 1
