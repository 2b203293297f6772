"""A send that goes is told another rate, another account, and to pause; with the real program and real servers."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.runner.conftest import Host, wait_for
from tests.support.smtp_peer import SmtpPeer

pytestmark = pytest.mark.slow


def addresses(count: int) -> list[str]:
    return [f"u{i}@example.com" for i in range(count)]


def told(out: Path) -> list[dict[str, Any]]:
    """The progress lines so far, whole ones."""
    lines = out.read_text().split("\n")[:-1] if out.exists() else []
    return [json.loads(line) for line in lines if '"state"' in line]


def test_the_rate_is_changed_while_it_goes(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(60))
    host.server(peer)
    process = host.start("send", "--rate", "0.02")  # the second would be due in a minute
    out = host.runs / "1" / "out"
    wait_for(lambda: told(out) and told(out)[-1]["accepted"])

    host.say("run\nrate none\n")

    ended = host.ended(process)
    assert ended.rc == 0, ended.out
    assert peer.recipients() == dict.fromkeys(addresses(60), 1)
    limits = list(dict.fromkeys(line["rate_limit"] for line in told(out) if "rate_limit" in line))
    assert limits == [0.02, None]


def test_a_wished_rate_never_passes_the_campaigns_own(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(4000), max_rate=40)
    host.server(peer)
    process = host.start("send", "--rate", "1")
    out = host.runs / "1" / "out"
    wait_for(lambda: told(out) and told(out)[-1]["accepted"])
    for wish in ("rate 1000", "rate none"):
        host.say(f"run\n{wish}\n")
        wait_for(lambda: told(out)[-1].get("rate_limit") == 40)
        host.say("run\nrate 2\n")
        wait_for(lambda: told(out)[-1].get("rate_limit") == 2)
    host.say("cancel\n")
    assert host.ended(process).rc == 143


def test_another_rate_is_no_leave_to_go_on_after_refusals(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(30))
    host.server(peer)
    peer.refuse_mail = "550 5.7.1 sender not allowed"
    process = host.start("send", "--connections", "3")
    out = host.runs / "1" / "out"
    wait_for(lambda: told(out) and told(out)[-1]["state"] == "paused")
    refused = peer.mails
    peer.refuse_mail = None

    host.say("run\nrate 50\n")
    wait_for(lambda: told(out)[-1].get("rate_limit") == 50)
    seen = len(told(out))
    wait_for(lambda: len(told(out)) >= seen + 2)
    assert told(out)[-1]["state"] == "paused"
    assert "sender not allowed" in told(out)[-1]["why"]
    assert (peer.mails, peer.delivered) == (refused, [])

    host.say("run\nrate 50\n")  # a person says so
    ended = host.ended(process)
    assert ended.rc == 0, ended.out
    assert peer.recipients() == dict.fromkeys(addresses(30), 1)


def test_the_rest_goes_out_by_the_fallback_account_and_by_the_main_one_again(host: Host, peer: SmtpPeer) -> None:
    other = SmtpPeer()
    try:
        host.campaign(addresses(120))
        host.server(peer, f"[smtp-fallback]\nhost = 127.0.0.1\nport = {other.port}\ntls = none\n")
        process = host.start("send", "--rate", "40")
        out = host.runs / "1" / "out"
        wait_for(lambda: peer.delivered)
        assert told(out)[-1]["account"] == "main"
        host.say("run\naccount fallback\n")
        wait_for(lambda: other.delivered)
        wait_for(lambda: told(out)[-1]["account"] == "fallback")
        host.say("run\naccount main\n")
        ended = host.ended(process)
    finally:
        other.stop()
    assert ended.rc == 0, ended.out
    both = peer.recipients() | other.recipients()
    assert both == dict.fromkeys(addresses(120), 1)
    assert len(peer.delivered) + len(other.delivered) == 120
    assert told(out)[-1]["account"] == "main"


def test_without_a_fallback_account_it_says_so_and_stays(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(40))
    host.server(peer)
    process = host.start("send", "--rate", "20")
    out = host.runs / "1" / "out"
    wait_for(lambda: peer.delivered)
    host.say("run\naccount fallback\nfaster please\n")
    ended = host.ended(process)
    assert ended.rc == 0, ended.out
    assert peer.recipients() == dict.fromkeys(addresses(40), 1)
    assert ended.err.count("a fallback account was asked for") == 1
    assert ended.err.count("'faster please'") == 1
    assert {line["account"] for line in told(out) if "account" in line} == {"main"}


def test_a_pause_shows_who_is_still_in_flight_until_nobody_is(host: Host, peer: SmtpPeer) -> None:
    host.campaign(addresses(200))
    host.server(peer)
    peer.delay = 1.0
    process = host.start("send", "--connections", "4")
    out = host.runs / "1" / "out"
    wait_for(lambda: told(out) and told(out)[-1]["inflight"] == 4)
    host.say("pause\n")
    wait_for(lambda: told(out)[-1].get("why") == "paused")
    waits = [line["why"] for line in told(out) if line["state"] == "paused"]
    assert waits[0].endswith("still in flight")
    peer.delay = 0.0
    host.say("cancel\n")
    ended = host.ended(process)
    assert ended.summary["counts"]["unknown"] == 0
    assert f"{200 - ended.summary['counts']['accepted']} recipients not sent; --mode resume sends them" in ended.out
