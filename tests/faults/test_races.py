"""Many want the same at one instant. One gets it; each of the others is told who did, from where and when."""

import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from opsconsole.plan import Plan
from opsconsole.ports import Refused, Started, Trouble
from opsconsole.settings import BlastHost
from tests.faults.desk import CARRIER, Desk
from tests.faults.shellhost import ShellHost
from tests.faults.support import report, seed, size
from tests.support.blasthost import SLUG, BlastTree, session_to, until
from tests.support.smtp_peer import SmtpPeer
from tests.support.sshd import Sshd

pytestmark = pytest.mark.slow

CONSOLES = 50
WHEN = r"20\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d"


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[BlastTree]:
    made = BlastTree(tmp_path / "host")
    made.pace(every=10, nap=0.0)
    try:
        yield made
    finally:
        made.end_runs()


def at_once(acts: list[Callable[[], Any]]) -> list[Any]:
    """What each of them came to, all let go at the same instant; a Trouble is an answer too."""
    gate = threading.Barrier(len(acts))
    answers: list[Any] = [None] * len(acts)

    def take_part(number: int, act: Callable[[], Any]) -> None:
        gate.wait(60)
        try:
            answers[number] = act()
        except Trouble as error:
            answers[number] = error

    threads = [threading.Thread(target=take_part, args=(number, act)) for number, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads), "somebody still waits for an answer"
    return answers


def names(answer: Any, desks: list[Desk]) -> str:
    """Whom an answer names as the one who has it; "" when nobody is named, or not when."""
    if isinstance(answer, Started):
        return answer.state.word.by if answer.state.word.claimed_at else ""
    text = str(answer)
    return next((d.operator for d in desks if f"claimed by {d.operator} from " in text and " at 20" in text), "")


def judge(
    tree: BlastTree, slug: str, desks: list[Desk], plans: list[Plan], answers: list[Any], looks: int
) -> list[str]:
    """What is wrong with the outcome of one race; nothing, it is hoped. `looks` consoles ask how it ended."""
    wrong = []
    winners = [n for n, answer in enumerate(answers) if isinstance(answer, Started) and answer.fresh]
    if len(winners) != 1:
        return [f"{slug}: {len(winners)} consoles say that they started it: {[str(a) for a in answers]}"]
    winner = winners[0]
    until(lambda: (tree.run_folder(slug) / "finished").exists(), 60)
    if tree.attempts(slug) != ["1"]:
        wrong.append(f"{slug}: claims {tree.attempts(slug)}")
    if Counter(tree.mailed(slug)) != Counter(f"r{number}@example.com" for number in range(20)):
        wrong.append(f"{slug}: {len(tree.mailed(slug))} mails")
    for number, (desk, plan, answer) in enumerate(zip(desks, plans, answers, strict=True)):
        if names(answer, desks) != desks[winner].operator:
            wrong.append(f"{slug}: {desk.operator} was told {answer}")
        joins = plan.run_id == plans[winner].run_id
        if not isinstance(answer, Started if joins else Refused):
            wrong.append(f"{slug}: {desk.operator} got {answer!r}")
        if number != winner and number >= looks:
            continue
        desk.runs.reconcile()
        if desk.outcomes(plan.run_id) != ["ended" if joins else "not-started"]:
            wrong.append(f"{slug}: the records of {desk.operator}: {desk.told(plan.run_id)}")
        joined = [r.detail["joined"] for r in desk.records(plan.run_id) if r.action == "send-started"]
        if joined != ([number != winner] if joins else []):
            wrong.append(f"{slug}: {desk.operator} joined: {joined}")
    return wrong


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("same_plan", "bounded", "full"), [(True, 3, 100), (False, 1, 25)], ids=["same", "own"])
def test_of_fifty_consoles_at_one_instant_one_sends(
    tree: BlastTree, tmp_path: Path, same_plan: bool, bounded: int, full: int
) -> None:
    """Every console has its own records and its own way to the host, and confirms one plan or one of its own."""
    rounds, wrong, lost = size(bounded, full), [], 0
    with ExitStack() as stack:
        desks = [Desk(tmp_path / f"desk{n}", f"op{n}", ShellHost(), tree.settings) for n in range(CONSOLES)]
        for desk in desks:
            stack.callback(desk.close)
        for number in range(rounds):
            slug = f"{SLUG}-{number}"
            tree.campaign(slug, recipients=20)
            made = [tree.plan(slug, audience=20, carrier=CARRIER, planned_by=d.operator) for d in desks]
            plans = [made[0]] * CONSOLES if same_plan else made
            answers = at_once([lambda d=d, p=p: d.runs.start(p) for d, p in zip(desks, plans, strict=True)])
            lost += sum(not (isinstance(a, Started) and a.fresh) for a in answers)
            looks = 5 if number < rounds - 1 else len(desks)
            wrong += judge(tree, slug, desks, plans, answers, looks)
        wrong += [f"{d.operator}: {d.store.verify()}" for d in desks[:5] if not d.store.verify().ok]
    report(f"races: {CONSOLES} consoles, {'one plan' if same_plan else 'a plan each'}", rounds, lost, len(wrong))
    assert not wrong
    assert lost == rounds * (CONSOLES - 1)


@pytest.fixture
def peer() -> Iterator[SmtpPeer]:
    server = SmtpPeer()
    yield server
    server.stop()


@pytest.fixture
def settings(tree: BlastTree, peer: SmtpPeer) -> BlastHost:
    """The real runner, which really delivers."""
    credentials = tree.root / "credentials"
    credentials.write_text(f"[smtp]\nhost = 127.0.0.1\nport = {peer.port}\ntls = none\n")
    credentials.chmod(0o600)
    runner = shutil.which("mail-blast-runner", path=str(Path(sys.executable).parent))
    assert runner
    return tree.settings_with(runner=runner)


def as_cron(settings: BlastHost, slug: str) -> tuple[int, str]:
    """The runner as cron starts it: with next to no environment, and nobody's claim but its own."""
    done = subprocess.run(
        ["/bin/sh", "-c", f"{settings.runner} --campaign {slug} --mode send --log-delivery "
         f"--campaigns-dir '{settings.campaigns_dir}' --log-dir '{settings.log_dir}' "
         f"--state-dir '{settings.state_dir}' --credentials '{settings.credentials}'"],
        env={"HOME": "/", "LOGNAME": "root", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.timeout(1200)
def test_cron_and_a_console_in_the_same_second(
    tree: BlastTree, settings: BlastHost, peer: SmtpPeer, tmp_path: Path
) -> None:
    """Who comes second is told who has it, from where and since when, wherever in the other's start they meet."""
    chosen = random.Random(seed())
    rounds, wrong, won = size(12, 100), [], Counter[str]()
    desk = Desk(tmp_path / "desk", "mara", ShellHost(), settings)
    for number in range(rounds):
        slug, before = f"{SLUG}-{number}", len(peer.delivered)
        tree.campaign(slug, recipients=20)
        plan = tree.plan(slug, audience=20, carrier=CARRIER)
        wait = chosen.uniform(-0.4, 0.4)

        def cron(wait: float = wait, slug: str = slug) -> tuple[int, str]:
            time.sleep(max(0.0, -wait))
            return as_cron(settings, slug)

        def console(wait: float = wait, plan: Plan = plan) -> Started:
            time.sleep(max(0.0, wait))
            return desk.runs.start(plan)

        (rc, said), answer = at_once([cron, console])
        until(lambda slug=slug: (tree.run_folder(slug) / "finished").exists(), 60)
        desk.runs.reconcile()
        mailed = Counter(mail.recipient for mail in peer.delivered[before:])
        console_won = isinstance(answer, Started) and answer.fresh
        won["console" if console_won else "cron"] += 1
        told = f"{slug} after {wait:.2f} s: cron {rc} {said[-400:]!r}; console {answer!s}"
        if mailed != Counter(f"r{number}@example.com" for number in range(20)) or tree.attempts(slug) != ["1"]:
            wrong.append(f"{sum(mailed.values())} mails, claims {tree.attempts(slug)}: {told}")
        if console_won and not (rc == 75 and re.search(f"claimed by mara on .+ at {WHEN}", said)):
            wrong.append(f"cron wasn't told: {told}")
        if not console_won and not (
            rc == 0 and re.search(f"claimed by .+mail-blast-runner.+ from .+ at {WHEN}", str(answer))
        ):
            wrong.append(f"the console wasn't told: {told}")
        if desk.store.unresolved() or desk.outcomes(plan.run_id) != ["ended" if console_won else "not-started"]:
            wrong.append(f"the records: {desk.told(plan.run_id)}: {told}")
    desk.close()
    print(f"won by {dict(won)}")
    report("races: cron and a console", rounds, rounds, len(wrong))
    assert not wrong, "\n".join(wrong)
    assert set(won) == {"console", "cron"}


@pytest.mark.needs("sshd")
@pytest.mark.timeout(600)
def test_twenty_consoles_over_real_connections(sshd: Sshd, tree: BlastTree, tmp_path: Path) -> None:
    """Fewer than fifty: a server takes ten new connections at once, and this machine has few cores."""
    rounds, wrong, lost = size(1, 20), [], 0
    with ExitStack() as stack:
        desks = []
        for number in range(20):
            session = stack.enter_context(session_to(sshd))
            session.ensure()
            desks.append(Desk(tmp_path / f"desk{number}", f"op{number}", session, tree.settings))
            stack.callback(desks[-1].close)
        for number in range(rounds):
            slug = f"{SLUG}-{number}"
            tree.campaign(slug, recipients=20)
            plans = [tree.plan(slug, audience=20, carrier=CARRIER)] * len(desks)
            answers = at_once([lambda d=d, p=p: d.runs.start(p) for d, p in zip(desks, plans, strict=True)])
            lost += sum(not (isinstance(a, Started) and a.fresh) for a in answers)
            looks = 5 if number < rounds - 1 else len(desks)
            wrong += judge(tree, slug, desks, plans, answers, looks)
    report("races: 20 consoles over OpenSSH", rounds, lost, len(wrong))
    assert not wrong
