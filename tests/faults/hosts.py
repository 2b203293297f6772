"""A blast host whose launcher, supervisor and runner can be spoiled at one file system call each."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from backends.blasthost import frames
from backends.blasthost.answers import Completed
from backends.blasthost.doubts import Doubter
from backends.blasthost.errors import HostLost
from backends.blasthost.launcher import Launcher
from backends.blasthost.mending import Mender
from opsconsole.observation import Says
from opsconsole.plan import Plan
from opsconsole.policy import Policy
from opsconsole.ports import MaybeStarted, RunState, Started, Trouble
from tests.faults.sweep import ROOT, Point, fired, seen, under_tracer
from tests.support.blasthost import BlastTree, until
from tests.support.smtp_peer import SmtpPeer

COMMAND = ("/bin/sh", "-c", frames.COMMAND.removeprefix("exec /bin/sh -c ").strip("'"))
RECIPIENTS = 3


# Waits of seconds are cut short: who traces a command waits for the last of what it started.
QUICK_SLEEP = """#!/bin/sh
case $1 in 0.*) exec /bin/sleep "$1" ;; *) exec /bin/sleep 0.3 ;; esac
"""


class HereSession:
    """Runs scripts on this machine as a session would over SSH; only the next one is spoiled.

    `before` is put before its command; `sent` and `heard` are the bytes after which the line breaks, either way.
    Waits until all that the script started has ended when it ran under a tracer.
    """

    def __init__(self, programs: Path) -> None:
        programs.mkdir(parents=True)
        (programs / "sleep").write_text(QUICK_SLEEP)
        (programs / "sleep").chmod(0o755)
        self.env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
        self.before: tuple[str, ...] = ()
        self.sent: int | None = None
        self.heard: int | None = None
        self.size_sent = self.size_heard = 0

    def run(self, script: str | bytes, *args: str, timeout: float | None = None, max_bytes: int = 0) -> Completed:
        nonce = frames.new_nonce()
        text = frames.shell_input(nonce, script, args)
        before, sent, heard = self.before, self.sent, self.heard
        self.before, self.sent, self.heard = (), None, None
        done = subprocess.run(
            [*before, *COMMAND],
            cwd=ROOT,
            env=self.env,
            input=text[:sent],
            capture_output=True,
            timeout=timeout and timeout + 60,
        )
        self.size_sent, self.size_heard = len(text), len(done.stdout)
        out, err = frames.FrameReader(nonce), frames.FrameReader(nonce)
        body, errors = out.feed(done.stdout[:heard]), err.feed(done.stderr)
        if out.rc is None:
            raise HostLost("The line broke.", "It may have begun.", "Ask.", may_have_run=True)
        return Completed(body, errors, out.rc, 0.0)


def no_wait(_: float) -> None:
    """Nobody is waited for between two questions."""


@dataclass
class Case:
    """One host with one campaign, and one plan for it."""

    tree: BlastTree
    session: HereSession
    launcher: Launcher
    plan: Plan
    log: Path

    @property
    def mailed(self) -> Counter[str]:
        return Counter(self.tree.mailed())

    def spoil(self, point: Point | None, *options: str) -> None:
        """The next script that runs here has its calls counted, and one of them spoiled."""
        self.log.unlink(missing_ok=True)
        self.session.before = under_tracer(self.log, [self.tree.root], point, *options)

    @property
    def fired(self) -> bool:
        return fired(self.log)

    @property
    def calls(self) -> list[dict[str, Any]]:
        return seen(self.log)

    @property
    def mender(self) -> Mender:
        return Mender(self.session, self.launcher.settings, Policy(min_free_disk_mb=0), "blast-test", sleep=no_wait)

    @property
    def doubter(self) -> Doubter:
        return Doubter(self.session, self.launcher.settings, "blast-test")

    def start(self, plan: Plan | None = None) -> "Started | Trouble":
        try:
            return self.launcher.start(plan or self.plan, "mara")
        except Trouble as trouble:
            return trouble

    def state(self) -> RunState | None:
        return self.launcher.run_state(self.plan.slug)

    def until_quiet(self) -> None:
        """Until what a second start began, which nobody traced, has ended."""
        until(lambda: (state := self.state()) is None or state.says not in (Says.RUNNING, Says.PAUSED), 60)

    def other_plan(self) -> Plan:
        """A plan made anew a moment later: another run of the same attempt."""
        return replace(self.plan, created_at=self.plan.created_at + timedelta(seconds=1))


def real_case(folder: Path, peer: SmtpPeer, recipients: int = RECIPIENTS) -> Case:
    """As `case`, with our own runner, which delivers to `peer`."""
    made = case(folder, recipients)
    tree = made.tree
    tree.runner.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m runner "$@"\n')
    credentials = tree.root / "credentials"
    credentials.write_text(f"[smtp]\nhost = 127.0.0.1\nport = {peer.port}\ntls = none\n")
    credentials.chmod(0o600)
    one_by_one = ["--connections", "1"]
    settings = tree.settings_with(
        runner_kind="mail-blast-runner",
        send_args=["--campaign", "{slug}", "--mode", "send", *one_by_one],
        rest_args=["--campaign", "{slug}", "--mode", "resume", *one_by_one],
    )
    made.launcher = replace(made.launcher, settings=settings)
    return made


def case(folder: Path, recipients: int = RECIPIENTS) -> Case:
    tree = BlastTree(folder)
    tree.pace(every=1000, nap=0)
    tree.campaign(recipients=recipients)
    session = HereSession(folder.with_suffix(".bin"))
    policy = Policy(min_free_disk_mb=0)
    launcher = Launcher(session, tree.settings, policy, "blast-test", sleep=no_wait)
    return Case(tree, session, launcher, tree.plan(audience=recipients), folder.with_suffix(".calls"))


class HereCarrier:
    """The part of a carrier that starting and looking after a start needs, on a case's host."""

    name = "blast"

    def __init__(self, of: Case) -> None:
        self._of = of

    def start(self, plan: Plan, by: str) -> Started:
        return self._of.launcher.start(plan, by)

    def run_state(self, slug: str, attempt: int | None = None) -> RunState | None:
        return self._of.launcher.run_state(slug, attempt)

    def give_up(self, slug: str, run_id: str) -> RunState | None:
        return self._of.launcher.give_up(slug, run_id)


def wrong_after(case: Case, answer: "Started | Trouble", mailed: Callable[[], Counter[str]]) -> list[str]:
    """What is wrong with what a spoiled start left; all of its processes have ended. The campaign is then started
    again, from the same plan and from another: nobody may get it twice.

    What the stand-in for a runner says of itself isn't judged: it may not notice a part of it that was killed.
    """
    wrong: list[str] = []
    state, got = case.state(), mailed()
    says = state.says if state else None
    if says not in (None, Says.CLAIMED, Says.STARTED, Says.ENDED):
        wrong.append(f"no named state: {says}")
    if says in (None, Says.CLAIMED) and got:
        wrong.append(f"{says} should be provably unsent, and {sum(got.values())} were mailed")
    if isinstance(answer, Trouble) and not isinstance(answer, MaybeStarted) and got:
        wrong.append(f"told that nothing was sent, and {sum(got.values())} were mailed: {answer}")
    again = case.start()
    other = case.start(case.other_plan())
    if isinstance(again, MaybeStarted) or isinstance(other, MaybeStarted):
        wrong.append(f"a host that can be asked left it open: {again} {other}")
    if isinstance(again, Started) and again.fresh != (says is None):
        wrong.append(f"the same plan again found {says} and says fresh={again.fresh}")
    if isinstance(other, Started):
        wrong.append(f"another plan was started beside the first: {says}, {again}")
    after = mailed()
    if any(times > 1 for times in after.values()):
        wrong.append(f"twice: {after}")
    if says is not None and after != got:
        wrong.append(f"{says} was sent further by a second start: {got}, {after}")
    return wrong
