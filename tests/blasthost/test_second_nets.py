"""What holds when the first net is gone: a supervisor killed alone, a lock lost, a folder that is closed."""

import os
import signal
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from backends.blasthost import attempts, words
from backends.blasthost.hashcache import HashCache
from backends.blasthost.probe import Probe
from backends.blasthost.scripts import script
from opsconsole.observation import Says
from opsconsole.policy import Policy
from opsconsole.ports import Fate, Refused, Trouble, Verb
from opsconsole.settings import BlastHost, Patterns
from runner.run import claim
from tests.blasthost.local import LocalSession, Tree, owner_of
from tests.blasthost.shells import LocalShell, stub
from tests.blasthost.test_mending import (
    doubter,
    mender,
    peer,
    settings,
    state_of,
    the_launcher,
)
from tests.support.blasthost import SLUG, BlastTree, ended, until
from tests.support.smtp_peer import SmtpPeer

__all__ = ["peer", "settings"]
MANY = 400
ANOTHER_BOOT = "11111111-2222-3333-4444-555555555555"


def wrapped(settings: BlastHost, tree: BlastTree, line: str) -> BlastHost:
    """A wrapper around the runner, under a name that isn't in the command line of what it becomes."""
    wrapper = tree.root / "bin" / "blast"
    wrapper.write_text(f"#!/bin/sh\n{line.format(runner=settings.runner)}\n")
    wrapper.chmod(0o755)
    return msgspec.structs.replace(settings, runner=str(wrapper))


def kill_the_supervisor_alone(tree: BlastTree) -> None:
    """As the kernel does when memory runs out; the runner lives on."""
    os.kill(int((tree.run_folder() / "owner").read_text().split()[0]), signal.SIGKILL)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param('exec {runner} "$@"', id="lock", marks=pytest.mark.slow),
        pytest.param('exec {runner} "$@" 9>&-', id="no lock", marks=pytest.mark.slow),
    ],
)
def test_a_runner_that_outlives_its_supervisor_is_never_taken_for_dead(
    tree: BlastTree, settings: BlastHost, peer: SmtpPeer, line: str
) -> None:
    """Whether it has the lock, or a wrapper (as sudo does) closed it on the way."""
    settings = wrapped(settings, tree, line)
    tree.campaign(recipients=MANY)
    peer.delay = 0.4
    plan = tree.plan(audience=MANY)
    the_launcher(settings).start(plan, by="mara")
    until(lambda: len(peer.delivered) > 5)
    kill_the_supervisor_alone(tree)
    until(lambda: not Path(f"/proc/{(tree.run_folder() / 'owner').read_text().split()[0]}").exists())

    with pytest.raises(Refused, match="still holds the lock"):
        mender(settings).send_rest(SLUG, 1, plan.run_id, "ana")
    with pytest.raises(Refused, match="still holds its lock"):
        mender(settings).release(SLUG, 1, plan.run_id, "ana", "try")
    doubt = doubter(settings).doubt(SLUG, 1)
    assert doubt.against.startswith("a run is going")
    with pytest.raises(Refused, match="is going"):
        doubter(settings).decide(SLUG, 1, plan.run_id, {MANY: Fate.RESEND}, "ana")
    before = len(peer.delivered)
    state = the_launcher(settings).signal(SLUG, 1, Verb.CANCEL)  # it can still be told to stop
    assert state.says in (Says.STARTED, Says.RUNNING)
    peer.delay = 0.0
    until(lambda: doubter(settings).doubt(SLUG, 1).against == "")
    assert before <= len(peer.delivered) < MANY
    assert state_of(settings).says is Says.STARTED  # nobody wrote its end

    assert mender(settings).send_rest(SLUG, 1, plan.run_id, "ana").fresh
    assert ended(the_launcher(settings)).word.rc == 0
    assert peer.recipients() == {f"r{row}@example.com": 1 for row in range(MANY)}


@pytest.mark.slow
def test_a_claim_given_back_leaves_nobody_out_after_a_restart(
    tree: BlastTree, settings: BlastHost, peer: SmtpPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was proven that nobody was mailed: what was merely claimed is no doubt, whenever the machine boots."""
    monkeypatch.setenv("MAIL_BLAST_RETRY_BASE", "0.05")
    tree.campaign(recipients=5)
    port = peer.port
    peer.stop()
    plan = tree.plan(audience=5)
    the_launcher(settings).start(plan, by="mara")
    ended(the_launcher(settings))
    assert "\nC 1 5\n" in (tree.run_folder() / "journal").read_text()
    mender(settings).release(SLUG, 1, plan.run_id, "ana", "the mail server was down")
    for name in ("journal", "released"):
        path = tree.run_folder() / name
        path.write_text(path.read_text().replace(claim.boot_id(), ANOTHER_BOOT))

    again = SmtpPeer()
    try:
        credentials = tree.root / "credentials"
        credentials.write_text(credentials.read_text().replace(str(port), str(again.port)))
        the_launcher(settings).start(tree.plan(audience=5, attempt=2), by="mara")
        end = ended(the_launcher(settings), attempt=2)
        assert again.recipients() == {f"r{row}@example.com": 1 for row in range(5)}
    finally:
        again.stop()
    assert (end.word.rc, end.word.counts.accepted) == (0, 5)


NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")


@pytest.mark.needs("setpriv")
@pytest.mark.skipif(os.getuid() != 0, reason="only root can look as somebody else")
@pytest.mark.parametrize("python", ["auto", "never"])
def test_a_folder_that_can_not_be_looked_into_is_no_claim_without_a_start(tmp_path_factory, python) -> None:
    """A run of another account looks like an empty folder: that proves nothing."""
    root = tmp_path_factory.mktemp("closed", numbered=True)
    for folder in (root, *root.parents):
        if folder == Path(tempfile.gettempdir()):
            break
        folder.chmod(0o755)
    tree = Tree(root / "host")
    tree.campaign("c")
    folder = tree.run("c", claim_json={"run_id": "00ff"}, started="2026-05-12T17:52:01Z\n")
    folder.chmod(0o700)
    session = LocalSession(prefix=NOBODY)

    facts = Probe(session, tree.settings(python=python), HashCache(None)).look()
    run = facts.campaigns["c"].runs[0]
    done = session.run(script("state"), str(tree.state / "c"), "-")
    asked = attempts.parse(done.stdout.decode().splitlines())

    for fact in (run, asked):
        assert fact is not None
        assert "can't be read" in fact.trouble
        assert attempts.run_state("c", fact, Patterns()).says is not Says.CLAIMED


@pytest.mark.slow
@pytest.mark.parametrize("grep", ["", 'exec busybox grep "$@"'], ids=["grep", "busybox grep"])
@pytest.mark.needs("busybox")
def test_another_s_runner_is_seen_whatever_grep_the_host_has(tree: BlastTree, tmp_path: Path, grep: str) -> None:
    """BusyBox's grep reads a command line only up to its first NUL; only a look at all of it finds a campaign."""
    if grep:
        stub(tmp_path / "bin", "grep", grep)
    tree.campaign()
    tree.pace(every=1, nap=0.2)
    by_hand = subprocess.Popen([tree.runner, "--campaign", SLUG, "--mode", "send"], stdout=subprocess.DEVNULL)
    try:
        with pytest.raises(Refused, match="is sending"):
            the_launcher(tree.settings, LocalShell(["sh"], tmp_path / "bin")).start(tree.plan(), by="mara")
    finally:
        by_hand.kill()
        by_hand.wait()


@pytest.mark.slow
def test_the_rest_that_outlives_its_supervisor_is_shown_as_going(
    tree: BlastTree, settings: BlastHost, peer: SmtpPeer
) -> None:
    tree.campaign(recipients=MANY)
    peer.delay = 0.3
    plan = tree.plan(audience=MANY)
    the_launcher(settings).start(plan, by="mara")
    until(lambda: len(peer.delivered) > 5)
    os.killpg(int((tree.run_folder() / "owner").read_text().split()[0]), signal.SIGKILL)
    until(lambda: state_of(settings).says is Says.STARTED)
    mender(settings).send_rest(SLUG, 1, plan.run_id, "ana")
    kill_the_supervisor_alone(tree)
    until(lambda: (tree.run_folder() / "runner.json").exists())

    facts = Probe(LocalSession(), settings, HashCache(None)).look()
    now = datetime.now(UTC)
    report = words.report(
        facts, settings, source="blast-test", now=now, fresh_for=timedelta(seconds=60), policy=Policy()
    )

    (told,) = (o for o in report.observations if o.slug == SLUG)
    assert told.says is Says.RUNNING
    until(lambda: state_of(settings).says is Says.RUNNING)
    the_launcher(settings).signal(SLUG, 1, Verb.CANCEL)


@pytest.mark.needs("setpriv")
@pytest.mark.skipif(os.getuid() != 0, reason="only root can act as somebody else")
def test_another_account_is_told_that_it_may_not_and_leaves_nothing_half_done(
    tree: BlastTree, settings: BlastHost, tmp_path: Path
) -> None:
    """Its folders may be read by both, and be written by the one who claimed it."""
    for folder in (tmp_path, *list(tmp_path.parents)[:3]):
        folder.chmod(0o755)
    tree.campaign(recipients=3)
    stub(tree.root / "stub", "runner", """echo '{"runner": "opsconsole", "modes": ["resolve"]}'""")
    settings = msgspec.structs.replace(settings, runner=str(tree.root / "stub" / "runner"))
    owner = owner_of(os.getpid())
    files = {"claim.json": '{"run_id": "00ff", "by": "mara"}', "plan.json": "{}", "started": "2026-05-12T17:52:01Z"}
    other = LocalSession(prefix=NOBODY)
    folder = tree.run_folder()
    folder.mkdir(parents=True)
    (folder.parent / "lock").touch()
    (folder.parent / ".launch").touch()
    for name, text in files.items():
        (folder / name).write_text(text)
    before = everything(tree.root)

    with pytest.raises(Refused, match="can't be made or locked"):
        mender(settings, other).send_rest(SLUG, 1, "00ff", "ana")
    with pytest.raises(Refused, match="can't be written or locked"):
        mender(settings, other).release(SLUG, 1, "00ff", "ana", "x")
    with pytest.raises(Refused, match="was claimed by mara"):
        the_launcher(settings, other).start(tree.plan(audience=3), by="ana")
    with pytest.raises(Refused, match="can't be locked"):
        doubter(settings, other).decide(SLUG, 1, "00ff", {1: Fate.RESEND}, "ana")
    (folder / "owner").write_text(owner)
    (folder / "runner.json").write_text('{"runner": "opsconsole", "control": "file"}')
    with pytest.raises(Trouble, match="did not let the console pause"):
        the_launcher(settings, other).signal(SLUG, 1, Verb.PAUSE)

    assert everything(tree.root) == before | {folder / "owner", folder / "runner.json"}
    for name in ("owner", "runner.json"):  # nobody is to be killed for it
        (folder / name).unlink()


def everything(root: Path) -> set[Path]:
    return set(root.rglob("*"))
