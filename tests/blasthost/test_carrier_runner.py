"""The same way with our own runner, which really delivers: to a mail server on loopback."""

import shutil
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.blasthost.launcher import Launcher
from backends.blasthost.rehearsal import dry_run
from backends.blasthost.session import HostSession
from opsconsole.observation import Counts, Says
from opsconsole.policy import Policy
from opsconsole.ports import Refused, Verb
from opsconsole.settings import BlastHost
from opsconsole.wishes import Wish
from tests.support.blasthost import SLUG, BlastTree, ended, until
from tests.support.smtp_peer import SmtpPeer

pytestmark = pytest.mark.needs("sshd")


@pytest.fixture
def peer() -> Iterator[SmtpPeer]:
    server = SmtpPeer()
    yield server
    server.stop()


@pytest.fixture
def settings(tree: BlastTree, peer: SmtpPeer) -> BlastHost:
    credentials = tree.root / "credentials"
    credentials.write_text(f"[smtp]\nhost = 127.0.0.1\nport = {peer.port}\ntls = none\n")
    credentials.chmod(0o600)
    runner = shutil.which("mail-blast-runner", path=str(Path(sys.executable).parent))
    assert runner
    return tree.settings_with(runner=runner)


def rehearsed_plan_parts(session: HostSession, settings: BlastHost) -> dict[str, object]:
    result = dry_run(session, settings, "blast-test", SLUG, lambda data: None, threading.Event())
    assert result.ok, result.troubles
    return {"digests": result.digests, "audience": result.audience}


@pytest.mark.slow
def test_rehearsed_sent_and_counted(
    session: HostSession, tree: BlastTree, settings: BlastHost, peer: SmtpPeer
) -> None:
    tree.campaign(recipients=40)
    launch = Launcher(session, settings, Policy(), "blast-test")
    plan = tree.plan(**rehearsed_plan_parts(session, settings))
    assert plan.audience == 40
    assert peer.delivered == []

    assert launch.start(plan, by="mara").fresh

    state = ended(launch)
    assert state.word.rc == 0
    assert state.word.counts == Counts(total=40, accepted=40)
    assert peer.recipients() == Counter(f"r{number}@example.com" for number in range(40))


def test_what_the_rehearsal_would_not_mail_is_told_row_by_row(
    session: HostSession, tree: BlastTree, settings: BlastHost
) -> None:
    folder = tree.campaign(recipients=3)
    with (folder / "blast_data.csv").open("a") as file:
        file.write("not an address,Name\nr1@example.com,Again\n")

    result = dry_run(session, settings, "blast-test", SLUG, lambda data: None, threading.Event())

    assert (result.audience, result.refused, result.duplicates) == (3, 1, 1)
    assert not result.ok
    assert any(trouble.startswith("row 4: ") for trouble in result.troubles)
    assert result.sample is not None
    assert "example.com" in result.sample["to"]
    assert "r0@" not in str(result.sample)


@pytest.mark.slow
def test_pause_resume_and_cancel_by_the_control_file(
    session: HostSession, tree: BlastTree, settings: BlastHost, peer: SmtpPeer
) -> None:
    tree.campaign(recipients=400)
    peer.delay = 0.1
    launch = Launcher(session, settings, Policy(), "blast-test")
    launch.start(tree.plan(**rehearsed_plan_parts(session, settings)), by="mara")
    until(lambda: peer.delivered)

    paused = launch.signal(SLUG, 1, Verb.PAUSE)
    assert paused.says is Says.PAUSED
    assert paused.word.note.startswith("paused")
    assert (tree.run_folder() / "control").read_text() == "pause\n"
    still = len(peer.delivered)
    assert launch.signal(SLUG, 1, Verb.RESUME).says is Says.RUNNING
    until(lambda: len(peer.delivered) > still)
    steered = launch.steer(SLUG, 1, Wish.RATE, "30")
    assert (steered.word.going.rate_limit, steered.word.going.account) == ("30", "main")
    assert launch.signal(SLUG, 1, Verb.PAUSE).says is Says.PAUSED
    assert (tree.run_folder() / "control").read_text() == "pause\nrate 30\n"
    launch.signal(SLUG, 1, Verb.CANCEL)

    state = ended(launch)
    assert state.word.rc == 143
    assert 0 < len(peer.delivered) < 400
    assert max(peer.recipients().values()) == 1
    with pytest.raises(Refused):
        launch.signal(SLUG, 1, Verb.RESUME)
