"""Giving a claim up, deciding what nobody knows, and sending the rest: by hand, and never to anybody twice."""

import fcntl
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.blasthost.doubts import Doubter, ranges
from backends.blasthost.errors import HostLost
from backends.blasthost.launcher import Launcher
from backends.blasthost.mending import Mender
from backends.blasthost.session import Completed
from opsconsole.observation import Says
from opsconsole.policy import Policy
from opsconsole.ports import EveryUnknown, Fate, Refused, RunState, Trouble
from opsconsole.settings import BlastHost
from tests.blasthost.shells import LocalShell, stub
from tests.support.blasthost import SLUG, BlastTree, ended, until
from tests.support.smtp_peer import SmtpPeer

ROWS = 60


@pytest.fixture
def peer() -> Iterator[SmtpPeer]:
    server = SmtpPeer()
    yield server
    server.stop()


@pytest.fixture
def settings(tree: BlastTree, peer: SmtpPeer) -> BlastHost:
    """A host with our own runner, and a mail server that takes what it sends."""
    credentials = tree.root / "credentials"
    credentials.write_text(f"[smtp]\nhost = 127.0.0.1\nport = {peer.port}\ntls = none\n")
    credentials.chmod(0o600)
    runner = shutil.which("mail-blast-runner", path=str(Path(sys.executable).parent))
    return tree.settings_with(
        runner=runner, runner_kind="mail-blast-runner", mail_log=[str(tree.root / "mail.log")]
    )


def the_launcher(settings: BlastHost, shell: Any = None) -> Launcher:
    return Launcher(shell or LocalShell(["sh"]), settings, Policy(), "blast-test")


def mender(settings: BlastHost, shell: Any = None) -> Mender:
    return Mender(shell or LocalShell(["sh"]), settings, Policy(), "blast-test", sleep=lambda _: None)


def doubter(settings: BlastHost, shell: Any = None) -> Doubter:
    return Doubter(shell or LocalShell(["sh"]), settings, "blast-test")


def state_of(settings: BlastHost, attempt: int = 1) -> RunState:
    state = the_launcher(settings).run_state(SLUG, attempt)
    assert state is not None
    return state


def claimed_only(tree: BlastTree, bin_folder: Path, shell: list[str]) -> str:
    """A start whose supervisor never came up; its run id."""
    tree.campaign(recipients=3)
    stub(bin_folder, "setsid", '[ "$2" = true ]')
    stub(bin_folder, "sleep", "exit 0")
    plan = tree.plan(audience=3)
    with pytest.raises(Trouble, match="did not start"):
        the_launcher(tree.settings, LocalShell(shell, bin_folder)).start(plan, by="mara")
    return plan.run_id


def broken(tree: BlastTree, settings: BlastHost, peer: SmtpPeer) -> str:
    """A run that was killed while mails were on their way; its run id."""
    tree.campaign(recipients=ROWS)
    peer.delay = 0.3
    plan = tree.plan(audience=ROWS)
    the_launcher(settings).start(plan, by="mara")
    until(lambda: len(peer.delivered) > 10)
    time.sleep(0.15)  # the next ones are handed over, and not yet answered
    os.killpg(int((tree.run_folder() / "owner").read_text().split()[0]), signal.SIGKILL)
    until(lambda: state_of(settings).says is Says.STARTED)
    peer.delay = 0.0
    time.sleep(0.4)  # what the mail server had in hand is through by then
    return plan.run_id


# -- release ---------------------------------------------------------------------------------------------------
def test_a_claim_under_which_nothing_started_is_released_once_and_makes_way(
    tree: BlastTree, tmp_path: Path, shell: list[str]
) -> None:
    run_id = claimed_only(tree, tmp_path / "bin", shell)
    mend = mender(tree.settings, LocalShell(shell))

    first = mend.release(SLUG, 1, run_id, "ana", 'the host "died"\nat noon')
    paper = (tree.run_folder() / "released").read_text()
    again = mend.release(SLUG, 1, run_id, "li", "me too")

    assert (first.says, again.says, first.word.note.split(";")[0]) == (Says.NOTHING, Says.NOTHING, "released")
    assert (first.released, again.released) == (True, True)
    assert (tree.run_folder() / "released").read_text() == paper
    said = json.loads(paper)
    assert (said["by"], said["reason"], said["run_id"]) == ("ana", 'the host "died"\nat noon', run_id)
    assert said["at"].endswith("Z")
    assert (tree.run_folder() / "claim.json").exists()
    launch = the_launcher(tree.settings, LocalShell(shell))
    assert launch.start(tree.plan(audience=3, attempt=2), by="mara").fresh
    ended(launch, attempt=2)
    assert len(tree.mailed()) == 3


def test_a_claim_that_lost_its_paper_is_nobodys_and_can_be_released(tree: BlastTree, shell: list[str]) -> None:
    tree.run_folder().mkdir(parents=True)
    assert state_of(tree.settings).says is Says.CLAIMED
    assert "by whom it was claimed can't be told" in state_of(tree.settings).word.note

    with pytest.raises(Refused, match="another run"):
        mender(tree.settings, LocalShell(shell)).release(SLUG, 1, "00ff", "ana", "gone")
    assert mender(tree.settings, LocalShell(shell)).release(SLUG, 1, "", "ana", "gone").says is Says.NOTHING


def test_what_may_have_sent_is_never_released(tree: BlastTree, shell: list[str]) -> None:
    tree.campaign(recipients=2000)
    plan = tree.plan(audience=2000)
    launch, mend = the_launcher(tree.settings, LocalShell(shell)), mender(tree.settings, LocalShell(shell))
    launch.start(plan, by="mara")
    until(tree.mailed)
    owner = int((tree.run_folder() / "owner").read_text().split()[0])

    with pytest.raises(Refused, match=r"is running: something still holds its lock"):
        mend.release(SLUG, 1, plan.run_id, "ana", "try")
    os.killpg(owner, signal.SIGKILL)
    until(lambda: state_of(tree.settings).says is Says.STARTED)
    with pytest.raises(Refused, match=r"is started: it was started and has no recorded end"):
        mend.release(SLUG, 1, plan.run_id, "ana", "try")
    (tree.run_folder() / "finished").write_text('{"rc":1,"at":"2026-05-12T17:53:00Z","counts":null}\n')
    with pytest.raises(Refused, match=r"is ended: nothing proves that it handed no message over"):
        mend.release(SLUG, 1, plan.run_id, "ana", "try")
    with pytest.raises(Refused, match="no attempt 7"):
        mend.release(SLUG, 7, plan.run_id, "ana", "try")
    assert not (tree.run_folder() / "released").exists()


def test_a_claim_whose_lock_is_held_is_not_released(tree: BlastTree, tmp_path: Path) -> None:
    run_id = claimed_only(tree, tmp_path / "bin", ["sh"])
    with (tree.runs / SLUG / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Refused, match="still holds its lock"):
            mender(tree.settings).release(SLUG, 1, run_id, "ana", "try")


def test_an_end_of_our_runner_that_reached_nobody_is_released(
    tree: BlastTree, settings: BlastHost, peer: SmtpPeer
) -> None:
    folder = tree.campaign(recipients=3)
    (folder / "blast_template.html").write_text("{{ nobody_has_this }}")
    plan = tree.plan(audience=3)
    the_launcher(settings).start(plan, by="mara")
    assert ended(the_launcher(settings)).word.rc == 65

    assert mender(settings).release(SLUG, 1, plan.run_id, "ana", "the template").says is Says.NOTHING
    assert peer.delivered == []


HEADER = "H 00ff {boot} t d 3 c 1.0 2026-05-12T17:52:00Z\n"
JOURNALS = [
    ("", True),
    (HEADER, True),
    (HEADER + "C 1 3\nF 1 0 0 refused by us\nD 2 0 1 0 451 later\nS ended\n", True),
    (HEADER + "C 1 3\nB 1 0 1 <m@example.com>\n", False),
    (HEADER + "C 1 3\nA 1 0 250 ok\n", False),
    (HEADER + "U 1 0 why\n", False),
    (HEADER + "R 1 0 sent 2026-05-12T17:52:00Z ana\n", False),
    (HEADER + "C 1 3\n\0\0\0\0", False),
    (HEADER + "C 1 3\nB", False),
    ("H 00ff 0000 t d 3 c 1.0 2026-05-12T17:52:00Z\nF 1 0 0 no\n", True),
    ("H 00ff 0000 t d 3 c 1.0 2026-05-12T17:52:00Z\nC 1 3\n", False),  # begun rows may not have reached the disk
]


@pytest.mark.parametrize(("journal", "spotless"), JOURNALS)
def test_the_journal_proves_that_nothing_was_handed_over_or_nothing_does(
    tree: BlastTree, shell: list[str], journal: str, spotless: bool
) -> None:
    folder = tree.run_folder()
    folder.mkdir(parents=True)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    files = {
        "claim.json": '{"run_id": "00ff"}', "started": "2026-05-12T17:52:00Z", "finished": '{"rc": 69}',
        "runner.json": '{"runner": "opsconsole"}', "journal": journal.replace("{boot}", boot),
    }  # fmt: skip
    for name, text in files.items():
        (folder / name).write_text(text)
    if spotless:
        assert mender(tree.settings, LocalShell(shell)).release(SLUG, 1, "00ff", "ana", "x").says is Says.NOTHING
    else:
        with pytest.raises(Refused, match="nothing proves"):
            mender(tree.settings, LocalShell(shell)).release(SLUG, 1, "00ff", "ana", "x")


@pytest.mark.slow
# -- doubt, decide, the rest ---------------------------------------------------------------------------------------
def test_a_broken_run_is_looked_into_decided_and_sent_to_its_end(
    tree: BlastTree, settings: BlastHost, peer: SmtpPeer
) -> None:
    run_id = broken(tree, settings, peer)
    before = peer.recipients()

    doubt = doubter(settings).doubt(SLUG, 1)
    assert (doubt.run_id, doubt.unknown_total, doubt.against) == (run_id, len(doubt.unknown), "")
    assert doubt.unknown
    assert doubt.counts.accepted + doubt.unknown_total + doubt.unsent == ROWS
    assert not any("r1@" in unknown.who for unknown in doubt.unknown)
    taken, *again = [unknown.row for unknown in doubt.unknown]
    every = EveryUnknown(fate=Fate.RESEND, count=doubt.unknown_total + 1)
    with pytest.raises(Refused, match=f"{doubt.unknown_total} recipients are unknown now.*Nothing was written"):
        doubter(settings).decide(SLUG, 1, run_id, every, "ana")
    left = doubter(settings).decide(SLUG, 1, run_id, {taken: Fate.SENT, **dict.fromkeys(again, Fate.RESEND)}, "ana")
    assert left.unknown_total == 0
    assert left.unsent == doubt.unsent + len(again)
    with pytest.raises(Refused, match=r"Nothing was written"):
        doubter(settings).decide(SLUG, 1, run_id, {taken: Fate.RESEND}, "li")

    started = mender(settings).send_rest(SLUG, 1, run_id, 'ana "the second"')

    assert started.fresh
    state = ended(the_launcher(settings))
    assert (state.run_id, state.attempt, state.word.rc) == (run_id, 1, 0)
    told = doubter(settings).doubt(SLUG, 1)
    assert (told.unsent, told.unknown_total) == (0, 0)
    after, sent_again = peer.recipients(), {f"r{row - 1}@example.com" for row in again}
    assert after[f"r{taken - 1}@example.com"] == before[f"r{taken - 1}@example.com"]
    assert all(after[who] == before[who] + 1 for who in sent_again)
    others = {f"r{row}@example.com" for row in range(ROWS)} - sent_again - {f"r{taken - 1}@example.com"}
    assert {after[who] for who in others} == {1}
    resumed = [json.loads(line) for line in (tree.run_folder() / "resumed").read_text().splitlines()]
    assert [line["by"] for line in resumed] == ['ana "the second"']
    assert not (tree.run_folder() / "finished.1").exists()  # there was no end before

    assert mender(settings).send_rest(SLUG, 1, run_id, "ana").fresh  # harmless: nobody is left
    until(lambda: (tree.run_folder() / "finished.1").exists())
    ended(the_launcher(settings))
    assert peer.recipients() == after


@pytest.mark.slow
def test_the_rest_of_a_live_run_is_that_run(tree: BlastTree, settings: BlastHost, peer: SmtpPeer) -> None:
    tree.campaign(recipients=ROWS)
    peer.delay = 0.2
    plan = tree.plan(audience=ROWS)
    the_launcher(settings).start(plan, by="mara")
    until(lambda: peer.delivered)

    started = mender(settings).send_rest(SLUG, 1, plan.run_id, "ana")

    assert (started.fresh, started.state.says) == (False, Says.RUNNING)
    assert not (tree.run_folder() / "resumed").exists()


class Deaf(LocalShell):
    """Runs everything; the answer to the first script is lost."""

    lost = False

    def run(self, script: str | bytes, *args: str, **limits: Any) -> Completed:
        done = super().run(script, *args, **limits)
        if not self.lost:
            self.lost = True
            raise HostLost("The line broke.", "", "", may_have_run=True)
        return done


@pytest.mark.slow
def test_a_lost_answer_to_the_rest_is_asked_for_and_never_repeated(
    tree: BlastTree, settings: BlastHost, peer: SmtpPeer
) -> None:
    run_id = broken(tree, settings, peer)

    started = mender(settings, Deaf(["sh"])).send_rest(SLUG, 1, run_id, "ana")

    assert started.fresh
    ended(the_launcher(settings))
    assert len((tree.run_folder() / "resumed").read_text().splitlines()) == 1
    assert max(peer.recipients().values()) == 1


@pytest.mark.slow
def test_a_rest_that_never_came_is_refused_and_can_not_come_late(
    tree: BlastTree, settings: BlastHost, peer: SmtpPeer
) -> None:
    run_id = broken(tree, settings, peer)
    sent: list[tuple[str | bytes, tuple[str, ...]]] = []

    class Lost(LocalShell):
        def run(self, script: str | bytes, *args: str, **limits: Any) -> Completed:
            sent.append((script, args))
            if len(sent) == 1:
                raise HostLost("The line broke.", "", "", may_have_run=True)
            return super().run(script, *args, **limits)

    with pytest.raises(Refused, match="can't come late"):
        mender(settings, Lost(["sh"])).send_rest(SLUG, 1, run_id, "ana")
    text, args = sent[0]
    assert LocalShell(["sh"]).run(text, *args).stdout.split() == [b"REFUSED", b"void"]
    assert state_of(settings).says is Says.STARTED


@pytest.mark.slow
def test_the_rest_is_refused_where_a_start_would_be(
    tree: BlastTree, settings: BlastHost, peer: SmtpPeer, tmp_path: Path
) -> None:
    run_id = broken(tree, settings, peer)
    mend = mender(settings)
    for other in ("00ff", ""):
        with pytest.raises(Refused, match="was claimed by mara"):
            mend.send_rest(SLUG, 1, other, "ana")
    tree.holds.mkdir()
    (tree.holds / "ALL").write_text("not today")
    with pytest.raises(Refused, match="holds everything: not today"):
        mend.send_rest(SLUG, 1, run_id, "ana")
    (tree.holds / "ALL").unlink()
    plan = tree.run_folder() / "plan.json"
    text = plan.read_text()
    plan.write_text(json.dumps({**json.loads(text), "host": "0123456789abcdef0123456789abcdef"}))
    with pytest.raises(Refused, match="host was 0123456789"):
        mend.send_rest(SLUG, 1, run_id, "ana")
    plan.write_text(text)
    stub(tmp_path / "bin", "setsid", '[ "$2" = true ] || { echo "no more processes" >&2; exit 1; }')
    with pytest.raises(Trouble, match=r"did not come up.*no more processes.*Nothing more was sent"):
        mender(settings, LocalShell(["sh"], tmp_path / "bin")).send_rest(SLUG, 1, run_id, "ana")
    assert state_of(settings).says is Says.STARTED
    assert mend.send_rest(SLUG, 1, run_id, "ana").fresh
    ended(the_launcher(settings))
    assert max(peer.recipients().values()) == 1


def test_a_runner_without_a_journal_is_asked_nothing(tree: BlastTree) -> None:
    tree.campaign()
    plan = tree.plan()
    the_launcher(tree.settings).start(plan, by="mara")
    ended(the_launcher(tree.settings))
    mailed = tree.mailed()

    claims_to_be_ours = tree.settings_with(runner_kind="mail-blast-runner")
    with pytest.raises(Refused, match="keeps no journal"):
        doubter(tree.settings).doubt(SLUG, 1)
    with pytest.raises(Refused, match="keeps no journal"):
        mender(tree.settings).send_rest(SLUG, 1, plan.run_id, "ana")
    with pytest.raises(Refused, match="doesn't know --mode list-unknown"):
        doubter(claims_to_be_ours).doubt(SLUG, 1)
    with pytest.raises(Refused, match="doesn't know --mode resume"):
        mender(claims_to_be_ours).send_rest(SLUG, 1, plan.run_id, "ana")
    assert tree.mailed() == mailed


def test_rows_are_named_in_ranges() -> None:
    assert ranges([3, 7, 10, 11, 12]) == "3,7,10-12"
    assert ranges(range(1, 100_001)) == "1-100000"
