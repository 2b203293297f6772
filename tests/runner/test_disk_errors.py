"""The disk answers the journal with an error, at any place of a send: it stops there, and nobody is unrecorded."""

import sys
from pathlib import Path

import pytest

from tests.faults.support import report
from tests.faults.sweep import fired, traced
from tests.runner.conftest import Ended, Host
from tests.runner.test_resume import addresses
from tests.support.smtp_peer import SmtpPeer

pytestmark = [traced, pytest.mark.slow]
PEOPLE = 5


def spoiled(host: Host, log: Path, on: str, holding: str, fault: str) -> Ended:
    """The send over one connection, with this error for each call that writes this."""
    runner = host.program
    options = ["--on", on, "--holding", holding, "--fault", fault, "--log", str(log)]
    host.program = [sys.executable, "-m", "tests.faults.tracer", *options, str(host.runs), "--", *runner]
    ended = host.run("send", "--connections", "1")
    host.program = runner
    assert fired(log)
    return ended


@pytest.mark.parametrize(
    ("on", "holding", "fault", "mailed", "in_doubt"),
    [
        ("openat:/journal", "", "EROFS", 0, []),
        ("fallocate:/journal", "", "ENOSPC", 0, []),
        ("fallocate:/journal", "", "EDQUOT", 0, []),
        ("write:/journal", "H ", "EROFS", 0, []),
        ("fdatasync:/journal", "", "EIO", 0, []),
        ("write:/journal", "C 1 ", "ENOSPC", 0, []),
        ("write:/journal", "B 3 ", "ENOSPC", 2, []),
        ("write:/journal", "B 3 ", "EIO", 2, []),
        ("write:/journal", "A 3 ", "ENOSPC", 3, [3]),
        ("write:/journal", "A 3 ", "EIO", 3, [3]),
    ],
)
def test_given_an_error_of_the_disk_then_the_send_stops_there(
    host: Host, peer: SmtpPeer, tmp_path: Path, on: str, holding: str, fault: str, mailed: int, in_doubt: list[int]
) -> None:
    host.campaign(addresses(PEOPLE))
    host.server(peer)

    ended = spoiled(host, tmp_path / "calls", on, holding, fault)

    assert ended.rc == 70
    assert "Traceback" not in ended.err
    assert "the journal can't be" in ended.summary["error"]
    assert peer.recipients() == dict.fromkeys(addresses(mailed), 1)
    assert host.run("list-unknown").unknown == in_doubt
    resumed = host.run("resume")
    assert resumed.rc == (1 if in_doubt else 0), resumed.err
    assert peer.recipients() == dict.fromkeys(addresses(PEOPLE), 1)
    report("runner-disk-errors", 1, 1, 0)


def test_given_a_file_system_that_can_keep_no_room_then_the_send_goes_on_without(
    host: Host, peer: SmtpPeer, tmp_path: Path
) -> None:
    host.campaign(addresses(PEOPLE))
    host.server(peer)
    assert spoiled(host, tmp_path / "calls", "fallocate:/journal", "", "EOPNOTSUPP").rc == 0
    assert peer.recipients() == dict.fromkeys(addresses(PEOPLE), 1)
