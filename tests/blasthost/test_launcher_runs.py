"""A run on a real host once it goes: killed, impersonated, paused, asked about."""

import os
import time
from pathlib import Path

import pytest

from backends.blasthost.session import HostSession
from opsconsole.observation import Says
from opsconsole.ports import Refused, Verb
from tests.support.blasthost import SLUG, BlastTree, ended, launcher, until

pytestmark = pytest.mark.needs("sshd")


def test_kill_9_of_everything_is_in_doubt_and_never_failed(session: HostSession, tree: BlastTree) -> None:
    tree.campaign(recipients=500)
    launch = launcher(session, tree)
    launch.start(tree.plan(), by="mara")
    until(tree.mailed)

    tree.end_runs()

    state = until(lambda: (s := launch.run_state(SLUG)) and s.says is not Says.RUNNING and s)
    assert state.says is Says.STARTED
    assert state.word.rc is None
    assert not state.can
    with pytest.raises(Refused, match="is started"):
        launch.start(tree.plan(planned_by="ana"), by="ana")
    with pytest.raises(Refused, match="can't be told to cancel: it is started"):
        launch.signal(SLUG, 1, Verb.CANCEL)


def test_an_owner_whose_pid_is_used_again_is_not_the_owner(session: HostSession, tree: BlastTree) -> None:
    tree.campaign(recipients=2)
    launch = launcher(session, tree)
    launch.start(tree.plan(), by="mara")
    ended(launch)
    folder = tree.run_folder()
    (folder / "finished").unlink()
    _, ticks, boot = (folder / "owner").read_text().split()
    bystander = os.getpid()
    mine = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]

    def says(owner: str) -> Says | None:
        (folder / "owner").write_text(owner)
        state = launch.run_state(SLUG)
        return state.says if state else None

    assert says(f"{bystander} {ticks} {boot}\n") is Says.STARTED
    assert says(f"{bystander} {mine} 00000000-0000-0000-0000-000000000000\n") is Says.STARTED
    assert says("garbage\n") is Says.STARTED
    assert says("") is Says.STARTED
    for verb in Verb:
        with pytest.raises(Refused):
            launch.signal(SLUG, 1, verb)
    assert says(f"{bystander} {mine} {boot}\n") is Says.RUNNING


@pytest.mark.slow
def test_pause_resume_and_cancel_of_a_runner_that_knows_only_signals(session: HostSession, tree: BlastTree) -> None:
    tree.campaign(recipients=2000)
    launch = launcher(session, tree)
    launch.start(tree.plan(), by="mara")
    until(tree.mailed)

    paused = launch.signal(SLUG, 1, Verb.PAUSE)
    assert paused.says is Says.PAUSED
    assert paused.can == {Verb.RESUME, Verb.CANCEL}
    still = len(tree.mailed())
    time.sleep(0.4)
    assert len(tree.mailed()) == still

    assert launch.signal(SLUG, 1, Verb.RESUME).says is Says.RUNNING
    until(lambda: len(tree.mailed()) > still)

    launch.signal(SLUG, 1, Verb.PAUSE)
    launch.signal(SLUG, 1, Verb.CANCEL)
    state = ended(launch)
    assert state.word.rc == 143
    assert len(tree.mailed()) < 2000
    with pytest.raises(Refused, match="it is ended"):
        launch.signal(SLUG, 1, Verb.PAUSE)


def test_no_run_is_no_run_and_a_closed_folder_is_not_none(session: HostSession, tree: BlastTree) -> None:
    launch = launcher(session, tree)
    assert launch.run_state("nobody-knows-it") is None
    with pytest.raises(Refused, match="there is no such run"):
        launch.signal("nobody-knows-it", 1, Verb.PAUSE)
