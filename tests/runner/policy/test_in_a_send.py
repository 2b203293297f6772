"""The policies where they matter: in a runner of its own, before a real mail server."""

import json
import shutil
from hashlib import sha256

import pytest

from tests.runner.conftest import Host, wait_for
from tests.support.smtp_peer import SmtpPeer

pytestmark = pytest.mark.slow


def addresses(count: int, domain: str = "example.com", after: str = "") -> list[str]:
    return [f"p{number}{after}@{domain}" for number in range(1, count + 1)]


def test_those_who_asked_not_to_be_mailed_are_counted_and_not_mailed(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(6))
    host.server(peer, f"[suppression]\nfile = {host.root / 'everywhere.txt'}\n")
    (host.root / "everywhere.txt").write_text(f"# all campaigns\n{sha256(b'p2@example.com').hexdigest()}\n")
    (host.folder / "blast_suppressed.txt").write_text("P5@Example.com\n")

    rehearsed = host.run("dry-run").summary
    assert (rehearsed["audience"], rehearsed["suppressed"]) == (4, 2)
    ended = host.run("send")
    assert ended.rc == 0, ended.out
    assert ended.summary["counts"]["suppressed"] == 2
    assert sorted(peer.recipients()) == [f"p{number}@example.com" for number in (1, 3, 4, 6)]
    looked = host.run("list-unknown").summary
    assert (looked["unsent"], looked["counts"], looked["against"]) == (0, ended.summary["counts"], "")

    (host.root / "everywhere.txt").unlink()
    assert "everywhere.txt can't be read" in host.run("list-unknown").summary["against"], "as a resume would say"
    assert host.run("resume").rc == 65


def test_who_asks_while_a_send_is_paused_is_not_mailed_by_its_resume(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(30))
    host.server(peer)
    process = host.start("send", "--connections", "1", "--rate", "20")
    wait_for(lambda: len(peer.delivered) >= 2)
    process.terminate()
    assert host.ended(process).rc == 143
    left = next(to for to in reversed(addresses(30)) if to not in peer.recipients())
    (host.folder / "blast_suppressed.txt").write_text(left + "\n")

    ended = host.run("resume")
    assert left not in peer.recipients(), "they are spared, whatever becomes of the others"
    assert ended.rc == 0, ended.out
    assert peer.recipients() == dict.fromkeys([to for to in addresses(30) if to != left], 1)


@pytest.mark.parametrize("text", [None, "not an address\n"])
def test_a_list_that_cannot_be_used_stops_the_send_before_it_begins(
    host: Host, peer: SmtpPeer, text: str | None
) -> None:
    host.campaign(addresses(3))
    host.server(peer, f"[suppression]\nfile = {host.root / 'everywhere.txt'}\n")
    if text is not None:
        (host.root / "everywhere.txt").write_text(text)
    ended = host.run("send")
    assert ended.rc == 65
    assert "everywhere.txt" in ended.err + ended.out
    assert peer.connections == 0
    assert host.run("dry-run").rc == 65


def test_ten_who_do_not_exist_pause_nothing(host: Host, peer: SmtpPeer) -> None:
    gone = [f"p{number}-550@{chr(96 + number)}.example.test" for number in range(1, 16)]
    host.campaign([*gone, *addresses(3)])
    host.server(peer)
    ended = host.run("send", "--connections", "1")
    assert ended.rc == 1
    assert "paused" not in ended.states
    assert ended.summary["counts"]["failed"] == 15
    assert len(peer.delivered) == 3


def test_ten_messages_taken_for_spam_pause_the_send_and_nobody_is_failed(host: Host, peer: SmtpPeer) -> None:
    host.campaign(
        addresses(40, after="-554dotx1")
    )  # refused after the dot, by a policy; the second time it is taken
    host.server(peer)
    process = host.start("send", "--connections", "2")
    out = host.runs / "1" / "out"
    wait_for(lambda: out.exists() and '"paused"' in out.read_text())
    assert "refused by the test" in out.read_text()
    assert sum(peer.tries.values()) <= 10 + 2
    told = [json.loads(line) for line in out.read_text().splitlines() if line.startswith("{")]
    assert told[-1]["failed"] == 0
    process.terminate()
    assert host.ended(process).rc == 143
    assert not peer.delivered


def test_a_warm_up_waits_for_tomorrow(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(40), warmup=[5] * 30)
    host.server(peer)
    process = host.start("send", "--connections", "4")
    out = host.runs / "1" / "out"
    wait_for(lambda: out.exists() and '"warm-up"' in out.read_text())
    process.terminate()
    assert host.ended(process).rc == 143
    assert len(peer.delivered) in (5, 10), "ten only where midnight fell into the test"


def test_a_busy_domain_is_passed_over(host: Host, peer: SmtpPeer) -> None:
    host.campaign([*addresses(3, "busy.example.test"), *addresses(20)])
    host.server(peer, "[limits]\ndomain.busy.example.test = 1\n")
    ended = host.run("send", "--connections", "2")
    assert ended.rc == 0, ended.out
    order = [mail.recipient for mail in peer.delivered]
    assert order[-1].endswith("@busy.example.test")
    assert order.index("p20@example.com") < len(order) - 1
    assert ended.summary["duration_s"] >= 1.5


def test_the_accounts_rate_binds_whatever_the_command_line_says(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(30))
    host.server(peer, "[limits]\nrate = 20\nburst = 5\n")
    ended = host.run("send", "--rate", "1000")
    assert ended.rc == 0, ended.out
    assert ended.summary["duration_s"] >= (30 - 5 - 1) / 20


def test_two_campaigns_share_the_account_and_the_higher_priority_goes_first(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(30, after="-urgent"), priority="high")
    shutil.copytree(host.folder, host.folder.with_name("june"))
    host.folder.rename(host.folder.with_name("urgent"))
    host.folder.with_name("june").rename(host.folder)
    host.campaign(addresses(2000), priority="low")
    host.server(peer, "[limits]\nrate = 20\n")

    slow = host.start("send")
    wait_for(lambda: len(peer.delivered) >= 5)
    urgent = host.ended(host.start("send", "--campaign", "urgent"))
    slow.terminate()
    assert host.ended(slow).rc == 143
    assert urgent.rc == 0, urgent.out
    order = ["urgent" in mail.recipient for mail in peer.delivered]
    assert order.count(True) == 30
    while_both = order[order.index(True) : len(order) - order[::-1].index(True)]
    assert 1 <= while_both.count(False) <= 20, "the lower one goes on, and a lot slower"
