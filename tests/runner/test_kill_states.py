"""Killed in each state of a message: what the runner knows afterwards is what happened, or that it can't know it.

The states of row 3, on one connection (the random moments are in tests/faults/test_kill_trials.py):

    about to write        killed there, then           mailed      in doubt
    C  the claim          nothing is claimed           nobody      nobody
    B  the begin          it is claimed                1, 2        nobody
    the message itself    it is begun                  1, 2        3
    (the answer)          the server has the message   1, 2, 3     3
    A  the outcome        the answer has come          1, 2, 3     3
    B  of the next        all is written down          1, 2, 3     nobody
    S  the end            everybody has it             everybody   nobody
"""

import sys
from pathlib import Path

import pytest

from tests.faults.support import report
from tests.faults.sweep import fired, traced
from tests.runner.conftest import Host
from tests.runner.test_resume import addresses
from tests.support.smtp_peer import SmtpPeer

pytestmark = [traced, pytest.mark.slow]
JOURNAL, WIRE = "write:/journal", "write|writev|sendto:]"  # a socket's name ends so
PEOPLE = 5


@pytest.fixture
def one_by_one(host: Host, peer: SmtpPeer) -> Host:
    host.campaign(addresses(PEOPLE))
    host.server(peer)
    return host


def killed(host: Host, log: Path, on: str, holding: str) -> None:
    """The send, without a warning ended right before it writes this."""
    runner = host.program
    options = ["--sockets", "--on", on, "--holding", holding, "--fault", "kill-all", "--log", str(log)]
    host.program = [sys.executable, "-m", "tests.faults.tracer", *options, str(host.runs), "--", *runner]
    host.run("send", "--connections", "1")
    host.program = runner


@pytest.mark.parametrize(
    ("on", "holding", "mailed", "in_doubt"),
    [
        (JOURNAL, "C 1 ", 0, []),
        (JOURNAL, "B 3 ", 2, []),
        (WIRE, "Ann3", 2, [3]),
        (JOURNAL, "A 3 ", 3, [3]),
        (JOURNAL, "B 4 ", 3, []),
        (JOURNAL, "S finished", PEOPLE, []),
    ],
)
def test_killed_right_before_it_writes_then_only_the_unknowable_is_in_doubt(
    one_by_one: Host, peer: SmtpPeer, tmp_path: Path, on: str, holding: str, mailed: int, in_doubt: list[int]
) -> None:
    killed(one_by_one, tmp_path / "calls", on, holding)

    assert fired(tmp_path / "calls")
    assert peer.recipients() == dict.fromkeys(addresses(mailed), 1)
    goes_on(one_by_one, peer, in_doubt)


def test_killed_while_it_waits_for_the_answer_then_that_one_is_in_doubt(one_by_one: Host, peer: SmtpPeer) -> None:
    peer.on_delivery = lambda count: one_by_one.started[-1].kill() if count == 3 else None
    one_by_one.run("send", "--connections", "1")

    assert peer.recipients() == dict.fromkeys(addresses(3), 1)
    peer.on_delivery = lambda count: None
    goes_on(one_by_one, peer, [3])


def goes_on(host: Host, peer: SmtpPeer, in_doubt: list[int]) -> None:
    """Everybody else gets it, once; those in doubt are listed and left alone."""
    had = set(peer.recipients())
    assert host.run("list-unknown").unknown == in_doubt
    resumed = host.run("resume")
    assert resumed.rc == (1 if in_doubt else 0), resumed.err
    expected = had | {who for row, who in enumerate(addresses(PEOPLE), 1) if row not in in_doubt}
    assert peer.recipients() == dict.fromkeys(expected, 1)
    report("runner-kill-states", 1, 1, 0)
