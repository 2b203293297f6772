"""What is easily lost at the end of a send and by small ones: those kept aside, those whose connections break."""

import pytest

from tests.runner.conftest import Host
from tests.support.smtp_peer import SmtpPeer


def test_a_few_refused_for_now_as_if_they_were_blocked_are_tried_again(host: Host, peer: SmtpPeer) -> None:
    few = [f"p{number}-451dotx1@example.com" for number in range(1, 6)]  # 451 4.7.1: kept aside at first
    host.campaign(few)
    host.server(peer)

    ended = host.run("send", "--connections", "2")

    assert ended.rc == 0, ended.out
    assert ended.summary["counts"]["accepted"] == 5
    assert peer.recipients() == dict.fromkeys(few, 1)


@pytest.mark.slow
def test_a_server_that_cuts_us_off_for_a_moment_fails_nobody(host: Host, peer: SmtpPeer) -> None:
    few = [f"p{number}-cutrcptx7@example.com" for number in range(1, 4)]
    host.campaign(few)
    host.server(peer)

    ended = host.run("send", "--connections", "20")

    assert ended.rc == 0, ended.out
    assert peer.recipients() == dict.fromkeys(few, 1)
