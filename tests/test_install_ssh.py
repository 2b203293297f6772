"""The runner installed over a real SSH server: through cuts and kills, and then it really sends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import runner
from backends.blasthost import installing
from backends.blasthost.launcher import Launcher
from backends.blasthost.mending import Mender
from backends.blasthost.runnerfile import runner_file
from backends.blasthost.session import HostSession
from opsconsole.hostfacts import RunnerFact
from opsconsole.policy import Policy
from opsconsole.ports import Refused, Trouble
from tests.support.blasthost import SLUG, BlastTree, ended, session_to, until
from tests.support.proxy import Proxy
from tests.support.smtp_peer import SmtpPeer
from tests.support.sshd import Sshd

pytestmark = [pytest.mark.needs("sshd"), pytest.mark.slow]
NOW = datetime(2026, 7, 4, 15, 30, tzinfo=UTC)
OURS = runner_file()
OLD = b"#!/bin/sh\necho another runner\n"


def look(session: HostSession, tree: BlastTree, *, ask: bool = False) -> RunnerFact:
    return installing.look(session, str(tree.runner), OURS, ask=ask)


def put(session: HostSession, tree: BlastTree) -> str:
    return installing.put(session, "blast", look(session, tree), OURS, NOW)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[BlastTree]:
    made = BlastTree(tmp_path / "blast")
    made.runner.write_bytes(OLD)
    yield made
    made.end_runs()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    """Its python3 is the one of these tests."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "python3").symlink_to(sys.executable)
    made = Sshd(tmp_path / "sshd", path=f"{tools}:{os.environ['PATH']}")
    yield made
    made.stop()


@pytest.fixture
def session(server: Sshd) -> Iterator[HostSession]:
    with session_to(server) as open_session:
        yield open_session


def test_it_arrives_whole_and_a_line_that_is_cut_on_the_way_changes_nothing(server: Sshd, tree: BlastTree) -> None:
    with (
        Proxy(server.host, server.port) as between,
        session_to(server, host=between.host, port=between.port) as session,
    ):
        seen = look(session, tree)

        class CutOff:
            """The line goes dead when half of the file is on its way."""

            def run(self, *args: Any, **more: Any) -> Any:
                between.after("up", len(OURS.content) // 2, between.cut)
                return session.run(*args, **more)

        with pytest.raises(Trouble):
            installing.put(CutOff(), "blast", seen, OURS, NOW)  # type: ignore[arg-type]
        assert tree.runner.read_bytes() == OLD

    with session_to(server) as session:
        copy = put(session, tree)
        assert look(session, tree, ask=True).same
        assert Path(copy).read_bytes() == OLD


def test_a_console_killed_while_it_installs_leaves_one_of_the_two_whole(
    server: Sshd, session: HostSession, tree: BlastTree
) -> None:
    program = (
        "import sys; from datetime import UTC, datetime\n"
        "from backends.blasthost import installing; from backends.blasthost.runnerfile import runner_file\n"
        "from pathlib import Path; from backends.blasthost.session import HostSession\n"
        "from backends.blasthost.sshconfig import Target\n"
        "host, port, user, key, known, path = sys.argv[1:]\n"
        "target = Target(alias='blast', hostname=host, port=int(port), user=user, identity_files=(Path(key),),"
        " identities_only=True, host_key_alias=None, known_hosts_files=(Path(known),))\n"
        "with HostSession(target) as session:\n"
        "    seen = installing.look(session, path, runner_file(), ask=False)\n"
        "    print('looked', flush=True)\n"
        "    installing.put(session, 'blast', seen, runner_file(), datetime.now(UTC))\n"
        "    print('put', flush=True)\n"
    )
    place = (server.host, str(server.port), server.user, str(server.key), str(server.known_hosts), str(tree.runner))
    for wait in (0.0, 0.1, 0.5):
        console = subprocess.Popen([sys.executable, "-c", program, *place], stdout=subprocess.PIPE)
        assert console.stdout is not None
        assert console.stdout.readline() == b"looked\n"
        time.sleep(wait)
        console.kill()
        console.wait()
        console.stdout.close()
        assert tree.runner.read_bytes() in (OLD, OURS.content)

    def again() -> bool:
        with suppress(Refused):  # what the killed one had begun may just come to its end
            put(session, tree)
        return look(session, tree).same

    until(again)
    assert look(session, tree, ask=True).says["version"] == runner.__version__


def test_installed_it_sends_is_killed_and_sends_the_rest_and_nobody_gets_it_twice(
    session: HostSession, tree: BlastTree
) -> None:
    peer = SmtpPeer()
    credentials = tree.root / "credentials"
    credentials.write_text(f"[smtp]\nhost = 127.0.0.1\nport = {peer.port}\ntls = none\n")
    credentials.chmod(0o600)
    tree.campaign(recipients=200)
    settings = tree.settings_with(runner_kind="mail-blast-runner")
    launch = Launcher(session, settings, Policy(), "blast-test")
    try:
        put(session, tree)
        peer.delay = 0.05
        started = launch.start(tree.plan(audience=200), by="mara").state
        until(lambda: len(peer.delivered) > 20)
        with pytest.raises(Refused, match="is sending with that runner"):
            put(session, tree)

        for pid in running(tree):
            os.kill(pid, signal.SIGKILL)
        first = ended(launch)
        peer.delay = 0.0
        Mender(session, settings, Policy(), "blast-test").send_rest(SLUG, 1, started.run_id, "ana")

        state = until(
            lambda: (s := launch.run_state(SLUG, 1)) and s.word.ended_at != first.word.ended_at and ended(launch)
        )
        got, counts = peer.recipients(), state.word.counts
        assert max(got.values()) == 1
        assert counts.accepted + counts.unknown == 200
        assert len(got) >= counts.accepted
        assert counts.unknown <= 20  # one for each connection
    finally:
        peer.stop()


def running(tree: BlastTree) -> list[int]:
    """The processes of the installed file."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = line.read_bytes().split(b"\0")
            if str(tree.runner).encode() in words[:2] and b"--campaign" in words:
                found.append(int(line.parent.name))
    return found
