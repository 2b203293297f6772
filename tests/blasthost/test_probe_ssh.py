"""The look over a real SSH connection: near, far, and cut off in the middle."""

import threading

import pytest

from backends.blasthost.errors import HostError
from backends.blasthost.hashcache import HashCache
from backends.blasthost.probe import Probe
from backends.blasthost.session import HostSession
from opsconsole.campaign import DATA
from tests.blasthost.local import LocalSession, Tree
from tests.support.ssh import add_known_host, target_of

pytestmark = pytest.mark.needs("sshd")


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


@pytest.mark.parametrize("python", ["auto", "never"])
def test_over_ssh_the_same_is_seen_as_on_the_host_itself(sshd, tree, python):
    for number in range(30):
        tree.campaign(f"c{number}", data=b"email\n" + b"a@example.com\n" * number)
    settings = tree.settings(python=python)
    there = Probe(LocalSession(), settings, HashCache()).look()
    with HostSession(target_of(sshd)) as session:
        found = Probe(session, settings, HashCache()).look()
    assert found.campaigns == there.campaigns
    assert found.campaigns["c7"].files[DATA].rows == 7
    assert (found.machine_id, found.boot_id, found.cron) == (there.machine_id, there.boot_id, there.cron)
    assert abs(found.clock_offset) <= found.clock_error + 0.05


def test_a_line_that_breaks_in_the_middle_is_no_answer(sshd, proxy, tree):
    for number in range(30):
        tree.campaign(f"c{number}")
    add_known_host(sshd.known_hosts, sshd, proxy.port)
    with HostSession(target_of(sshd, port=proxy.port)) as session:
        probe = Probe(session, tree.settings(), HashCache())
        assert len(probe.look().campaigns) == 30
        proxy.delay = 0.3
        threading.Timer(0.1, proxy.cut).start()
        with pytest.raises(HostError):
            probe.look()
